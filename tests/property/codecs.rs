//! The codecs against naive ones that see all bytes at once.

use proptest::collection::vec;
use proptest::prelude::*;
use switchboard::config::limits::LINE_BYTES_MAX;
use switchboard::wire::line::{Lines, Next};
use switchboard::wire::{Escaped, block};

use crate::bytes::{bytes, cuts};
use crate::cases;

/// A line, or `None` for one that was too long.
type Found = Vec<Option<Vec<u8>>>;

/// Splits all of it at once; the last line, if there is one, has no end.
fn naive(bytes: &[u8]) -> (Found, Option<Vec<u8>>) {
    let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
    let last = lines.pop().unwrap_or_default();
    let short = |line: &[u8]| (line.len() <= LINE_BYTES_MAX).then(|| line.to_vec());
    let mut found: Found = lines
        .iter()
        .map(|line| short(line.strip_suffix(b"\r").unwrap_or(line)))
        .collect();
    // A CR at the very limit may yet turn out to belong to the line's end.
    if short(last.strip_suffix(b"\r").unwrap_or(last)).is_none() {
        found.push(None);
        return (found, None);
    }
    (found, (!last.is_empty()).then(|| last.to_vec()))
}

proptest! {
    #![proptest_config(cases(1_500))]

    #[test]
    fn lines_are_those_of_a_naive_splitter(bytes in bytes(), cuts in cuts()) {
        let (mut lines, mut kept, mut found) = (Lines::default(), Vec::new(), Found::new());
        for segment in cuts.cut(&bytes) {
            kept.extend_from_slice(segment);
            let mut input = &kept[..];
            loop {
                match lines.next(&mut input) {
                    Next::Line(line) => found.push(Some(line.to_vec())),
                    Next::TooLong => found.push(None),
                    Next::Incomplete => break,
                }
            }
            kept = input.to_vec();
            prop_assert!(kept.len() <= LINE_BYTES_MAX + 1);
        }
        let last = lines.last(&kept).map(<[u8]>::to_vec);
        let (expected, expected_last) = naive(&bytes);
        prop_assert_eq!(found, expected);
        prop_assert_eq!(last, expected_last);
    }

    #[test]
    fn a_block_holds_its_text_and_a_nul(text in vec(1_u8.., 0..40), size in 1_usize..40) {
        let block = block::padded(&text, size);
        prop_assert_eq!(block.len(), size);
        prop_assert_eq!(block.last(), Some(&0));
        prop_assert_eq!(block::unpadded(&block), &text[..text.len().min(size - 1)]);
    }

    #[test]
    fn what_stands_before_the_first_nul_is_found(bytes in bytes()) {
        let text = block::unpadded(&bytes);
        prop_assert!(!text.contains(&0) && bytes.starts_with(text));
        prop_assert!(matches!(bytes.get(text.len()), None | Some(0)));
    }

    #[test]
    fn what_is_escaped_is_one_line_of_printable_ascii(bytes in bytes()) {
        let shown = Escaped(&bytes).to_string();
        prop_assert!(shown.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        prop_assert!(shown.len() <= 64 * 4 + 40);
    }
}
