//! Plain lines by blocks against the same lines one by one.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What the lines come to, each read alone, and where the first one begins that is not plain.
fn one_by_one(input: &[u8], from: usize) -> (i128, usize) {
    let (mut sum, mut start) = (0, from);
    for line in input[from..].split_inclusive(|byte| *byte == b'\n') {
        let Some(value) = plain(line) else { break };
        sum += value;
        start += line.len();
    }
    (sum, start)
}

fn plain(line: &[u8]) -> Option<i128> {
    let line = line.strip_suffix(b"\n")?;
    let digits = line.strip_prefix(b"-").unwrap_or(line);
    let few = (1..=16).contains(&digits.len()) && digits[0] != b'0';
    let all = digits.iter().all(u8::is_ascii_digit);
    (few && all).then(|| std::str::from_utf8(line).unwrap().parse().unwrap())
}

/// Both ways, with as many bytes before the lines as a line is looked at with.
fn compare(lines: &[u8]) -> usize {
    let input = [&[b'7'; COLUMNS][..], lines].concat();
    let (sum, next) = add(&input, COLUMNS);
    assert_eq!(one_by_one(&input[..next], COLUMNS), (sum, next));
    let (_, last) = one_by_one(&input, COLUMNS);
    // A block more, and the line that began before it.
    let soon = next + BLOCK + COLUMNS + 2;
    assert!(last < soon, "{last} of plain lines, {next} taken");
    next - COLUMNS
}

#[test]
fn columns_hold_the_greatest_sums() {
    for line in ["9\n", "-9\n", "9999999999999999\n", "-9999999999999999\n"] {
        let lines = line.repeat(100_000);
        let taken = compare(lines.as_bytes());
        assert!(taken + BLOCK >= lines.len(), "{line:?}: {taken}");
    }
}

#[test]
fn any_byte_in_a_plain_line_is_seen() {
    let lines =
        b"12345\n-987654321\n1\n-1\n9999999999999999\n77\n-5\n123\n10\n8\n42\n999\n1000000\n";
    assert!(lines.len() > BLOCK && compare(lines) > 0);
    for place in 0..BLOCK {
        for byte in 0..=u8::MAX {
            let mut lines = *lines;
            lines[place] = byte;
            compare(&lines);
        }
    }
}

#[test]
fn the_ends_of_lines_are_found_beside_bytes_that_look_like_them() {
    for near in [b'\n' - 1, b'\n' + 1, b'\n' ^ 0x80, 0, u8::MAX, b'\n'] {
        for place in 0..BLOCK {
            let mut block = [near; BLOCK];
            block[place] = b'\n';
            let ends = match near {
                b'\n' => u64::MAX >> (64 - BLOCK),
                _ => 1 << place,
            };
            assert_eq!(line_ends(&block), ends, "{near:#x} at {place}");
        }
    }
}

#[test]
fn what_is_short_or_begins_too_early_is_left() {
    assert_eq!(add(b"", 0), (0, 0));
    assert_eq!(add(b"1\n", 5), (0, 5));
    let lines = b"1\n".repeat(BLOCK);
    assert_eq!(add(&lines, 0), (0, 0), "nothing stands before the first");
    assert_eq!(add(&lines[..BLOCK + COLUMNS - 2], COLUMNS), (0, COLUMNS));
}

fn lines() -> impl Strategy<Value = Vec<u8>> {
    let plain = (0_u32..17, any::<u64>(), any::<bool>()).prop_map(|(digits, value, minus)| {
        let value = value % 10_u64.pow(digits);
        format!("{}{value}\n", if minus { "-" } else { "" }).into_bytes()
    });
    let line = prop_oneof![
        60 => plain,
        1 => "[-+ 0-9\r]{0,20}\n".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..40),
    ];
    vec(line, 0..120).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn blocks_are_added_as_lines_are(lines in lines()) {
        compare(&lines);
    }
}
