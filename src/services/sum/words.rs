//! Integers of 32 bits, many at a time.

/// Integers that are added up together: 4 KiB.
pub(super) const TOGETHER: usize = 1024;

// The lower halves are added up in 32 bits, and so are the upper ones.
const _: () = assert!(TOGETHER <= 1 << 16);

/// The sum of at most [`TOGETHER`] native integers; `None` where one of them is 0.
///
/// Halves of 16 bits are added up apart: so 4 integers fit into a vector, where sums of 64 bits let
/// 2, and the compiler makes three instructions of each addition where 128 bits took ten.
pub(super) fn sum(words: &[[u8; 4]]) -> Option<i64> {
    let (mut lower, mut upper, mut zeros) = (0_u32, 0_i32, 0_u32);
    for word in words {
        let word = i32::from_ne_bytes(*word);
        zeros |= u32::from(word == 0);
        lower = lower.wrapping_add(word.cast_unsigned() & 0xffff);
        upper = upper.wrapping_add(word >> 16);
    }
    (zeros == 0).then(|| (i64::from(upper) << 16) + i64::from(lower))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_make_up_the_sum_at_its_bounds() {
        for value in [1, -1, i32::MAX, i32::MIN, 0xffff, -0x1_0000, 0x1234_5678] {
            for count in [0, 1, 3, TOGETHER] {
                let words = vec![value.to_ne_bytes(); count];
                let expected = i64::from(value) * i64::try_from(count).unwrap();
                assert_eq!(sum(&words), Some(expected), "{count} times {value}");
            }
        }
    }

    #[test]
    fn a_0_anywhere_is_seen() {
        for place in 0..TOGETHER {
            let mut words = vec![[0xff; 4]; TOGETHER];
            words[place] = [0; 4];
            assert_eq!(sum(&words), None, "{place}");
        }
    }
}
