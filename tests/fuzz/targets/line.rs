//! Lines out of any bytes in any cuts: those of a splitter that sees all bytes at once.
//!
//! The first byte says how the rest is cut; a byte of 255 stands for a run of 1,000 such.
//! What is longer than two lines of the greatest length is left out.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::config::limits::LINE_BYTES_MAX;
use switchboard::wire::line::{Lines, Next};

/// Lines, `None` for one that was too long, and the last, which has no end.
type Read = (Vec<Option<Vec<u8>>>, Option<Vec<u8>>);

fn read(bytes: &[u8], piece: usize) -> Read {
    let (mut lines, mut kept, mut found) = (Lines::default(), Vec::new(), Vec::new());
    for segment in bytes.chunks(piece) {
        kept.extend_from_slice(segment);
        let mut input = &kept[..];
        loop {
            match lines.next(&mut input) {
                Next::Line(line) => found.push(Some(line.to_vec())),
                Next::TooLong => found.push(None),
                Next::Incomplete => break,
            }
        }
        let used = kept.len() - input.len();
        kept.drain(..used);
        assert!(kept.len() <= LINE_BYTES_MAX + 1);
    }
    let last = lines.last(&kept).map(<[u8]>::to_vec);
    (found, last)
}

fn naive(bytes: &[u8]) -> Read {
    let short = |line: &[u8]| (line.len() <= LINE_BYTES_MAX).then(|| line.to_vec());
    let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
    let last = lines.pop().unwrap_or_default();
    let mut found: Vec<_> = lines
        .iter()
        .map(|line| short(line.strip_suffix(b"\r").unwrap_or(line)))
        .collect();
    if short(last.strip_suffix(b"\r").unwrap_or(last)).is_none() {
        found.push(None);
        return (found, None);
    }
    (found, (!last.is_empty()).then(|| last.to_vec()))
}

fuzz_target!(|input: &[u8]| {
    let Some((cut, rest)) = input.split_first() else {
        return;
    };
    let bytes: Vec<u8> = rest
        .iter()
        .flat_map(|byte| vec![*byte; if *byte == 255 { 1_000 } else { 1 }])
        .take(2 * LINE_BYTES_MAX)
        .collect();
    let expected = naive(&bytes);
    assert_eq!(read(&bytes, 1 + usize::from(*cut)), expected);
    assert_eq!(read(&bytes, usize::MAX), expected);
});
