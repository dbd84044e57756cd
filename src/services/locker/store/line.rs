//! The line of text that a checksum is of.
//!
//! A change makes two of them or three, so they are put together byte by byte: by `format!` it took as many
//! instructions as half of what SQLite needs for the change.

use sha2::{Digest as _, Sha256};

/// Room for most lines from the start: a locker's with its hash has some 140 bytes, that of an item
/// of 40 bytes 100, a row of the trail 200.
const ROOM: usize = 256;

/// Decimal digits of a `u64`.
const DIGITS_MAX: usize = 20;

/// What kind of row it is, and its values, with a `|` before each.
pub(super) struct Line(Vec<u8>);

impl Line {
    pub(super) fn new(kind: &str) -> Self {
        let mut bytes = Vec::with_capacity(ROOM);
        bytes.extend_from_slice(kind.as_bytes());
        Self(bytes)
    }

    /// A value as it is.
    pub(super) fn text(mut self, value: &str) -> Self {
        self.0.push(b'|');
        self.0.extend_from_slice(value.as_bytes());
        self
    }

    /// A value as `hex()` of SQLite shows it.
    pub(super) fn hex(mut self, value: &[u8]) -> Self {
        self.0.push(b'|');
        // Not by one byte after the other, for each of which the vector would look for room.
        let start = self.0.len();
        self.0.resize(start + 2 * value.len(), 0);
        let (pairs, _) = self.0[start..].as_chunks_mut();
        for (pair, byte) in pairs.iter_mut().zip(value) {
            *pair = UPPER[usize::from(*byte)];
        }
        self
    }

    pub(super) fn unsigned(mut self, value: u64) -> Self {
        self.0.push(b'|');
        self.decimal(value);
        self
    }

    /// A number; nothing where there is none.
    pub(super) fn number(mut self, value: Option<i64>) -> Self {
        self.0.push(b'|');
        if let Some(value) = value {
            if value < 0 {
                self.0.push(b'-');
            }
            self.decimal(value.unsigned_abs());
        }
        self
    }

    fn decimal(&mut self, value: u64) {
        let mut place = [0; DIGITS_MAX];
        self.0.extend_from_slice(decimal(value, &mut place));
    }

    /// A hash as sha256sum(1) shows it.
    pub(super) fn hash(mut self, value: &Hash) -> Self {
        self.0.push(b'|');
        self.0.extend_from_slice(&shown(value));
        self
    }

    /// The SHA-256 of the line.
    pub(super) fn sha256(self) -> Hash {
        sha256(&self.0)
    }
}

/// A SHA-256.
pub(super) type Hash = [u8; 32];

/// The SHA-256 of a text.
pub(super) fn sha256(text: &[u8]) -> Hash {
    Sha256::digest(text).into()
}

/// The digits of a hash, as sha256sum(1) shows them.
pub(super) fn shown(hash: &Hash) -> [u8; 64] {
    let mut shown = [0; 64];
    let (pairs, _) = shown.as_chunks_mut();
    for (pair, byte) in pairs.iter_mut().zip(hash) {
        *pair = LOWER[usize::from(*byte)];
    }
    shown
}

/// So many items, in words.
pub(super) fn items(count: u32) -> String {
    let mut place = [0; DIGITS_MAX];
    let digits = decimal(u64::from(count), &mut place);
    let mut shown = String::with_capacity(DIGITS_MAX);
    shown.extend(digits.iter().copied().map(char::from));
    shown.push_str(" items");
    shown
}

/// The decimal digits of a number.
fn decimal(mut value: u64, place: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let mut first = DIGITS_MAX;
    // By pairs, as a division takes longer than all the rest.
    while value >= 10 {
        let pair = TENS[(value % 100) as usize];
        value /= 100;
        first -= 2;
        place[first..first + 2].copy_from_slice(&pair);
    }
    if value > 0 || first == DIGITS_MAX {
        first -= 1;
        // A digit, so less than ten.
        place[first] = b'0' + value as u8;
    }
    &place[first..]
}

/// The digits of each byte.
const UPPER: [[u8; 2]; 256] = pairs(b"0123456789ABCDEF");
const LOWER: [[u8; 2]; 256] = pairs(b"0123456789abcdef");

/// The digits of each number below a hundred.
const TENS: [[u8; 2]; 100] = pairs(b"0123456789");

/// The pairs of these digits, in the order of the numbers that they are.
const fn pairs<const BASE: usize, const COUNT: usize>(digits: &[u8; BASE]) -> [[u8; 2]; COUNT] {
    let mut pairs = [[0; 2]; COUNT];
    let mut number = 0;
    while number < COUNT {
        pairs[number] = [digits[number / BASE], digits[number % BASE]];
        number += 1;
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_sqlite_would_put_together() {
        let line = Line::new("kind")
            .unsigned(0)
            .unsigned(u64::MAX)
            .number(None)
            .number(Some(i64::MIN))
            .number(Some(1_700_000_000_000))
            .text("a|b")
            .hex(b"\x00\xffz");
        let shown = String::from_utf8_lossy(&line.0);
        let (most, least) = (u64::MAX, i64::MIN);
        assert_eq!(
            shown,
            format!("kind|0|{most}||{least}|1700000000000|a|b|00FF7A")
        );
    }

    #[test]
    fn numbers_of_every_length_have_their_digits() {
        let powers = (0..20).map(|power| 10_u64.pow(power));
        let around = powers.flat_map(|power| [power - 1, power, power + 1]);
        for number in around.chain(0..2_000) {
            let mut place = [0; DIGITS_MAX];
            let digits = decimal(number, &mut place);
            assert_eq!(digits, number.to_string().as_bytes());
        }
        assert_eq!(
            [items(0), items(10), items(999)],
            ["0 items", "10 items", "999 items"]
        );
    }

    #[test]
    fn bytes_have_the_digits_that_all_others_give_them() {
        for byte in 0..=u8::MAX {
            let line = Line::new("").hex(&[byte]);
            assert_eq!(line.0, format!("|{byte:02X}").as_bytes());
            assert_eq!(
                shown(&[byte; 32]),
                *format!("{byte:02x}").repeat(32).as_bytes()
            );
        }
    }

    #[test]
    fn the_hash_is_that_of_sha256sum() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(shown(&sha256(b"abc")), known.as_bytes());
        let line = Line::new("kind").hash(&sha256(b"abc"));
        assert_eq!(line.0, format!("kind|{known}").as_bytes());
    }
}
