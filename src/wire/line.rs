//! Lines that end with LF, a CR before it dropped, with a limit and a way past longer ones.

use crate::config::limits::LINE_BYTES_MAX;

/// Where a search for line ends stands between two segments; kept with the session.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lines {
    /// Bytes at the front of the unused input that are known to hold no LF.
    searched: u16,
    /// The present line was too long and is being skipped to its end.
    skipping: bool,
}

/// What stands at the front of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<'a> {
    /// A line without its end.
    Line(&'a [u8]),
    /// A line longer than [`LINE_BYTES_MAX`]; said once, its rest is skipped.
    TooLong,
    /// No whole line: what is left is to be offered again, with more.
    Incomplete,
}

impl Lines {
    /// Takes the next line off the front of `input`.
    ///
    /// The result does not depend on how the bytes were cut: call it until it says
    /// [`Next::Incomplete`], then leave what `input` still holds unused.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Next<'a> {
        if self.skipping && !self.skip(input) {
            return Next::Incomplete;
        }
        let bytes = *input;
        let from = usize::from(self.searched).min(bytes.len());
        // A line of the greatest length is followed by LF, or by CR LF.
        let window = &bytes[from..bytes.len().min(LINE_BYTES_MAX + 2)];
        if let Some(at) = window.iter().position(|byte| *byte == b'\n') {
            let end = from + at;
            self.searched = 0;
            *input = &bytes[end + 1..];
            let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
            return match line.len() > LINE_BYTES_MAX {
                true => Next::TooLong,
                false => Next::Line(line),
            };
        }
        let hopeless = bytes.len() > LINE_BYTES_MAX + 1
            || (bytes.len() == LINE_BYTES_MAX + 1 && bytes[LINE_BYTES_MAX] != b'\r');
        if hopeless {
            self.searched = 0;
            self.skipping = true;
            self.skip(input);
            return Next::TooLong;
        }
        // At most LINE_BYTES_MAX + 1 here, which a u16 holds.
        self.searched = u16::try_from(bytes.len()).unwrap_or(0);
        Next::Incomplete
    }

    /// Whether a line begins at the front of the input, of which nothing is known: whoever knows a
    /// faster way may take whole lines off there.
    pub fn at_begin(&self) -> bool {
        self.searched == 0 && !self.skipping
    }

    /// The last line, where the writing ended without a newline; `None` where nothing is left.
    pub fn last<'a>(&mut self, rest: &'a [u8]) -> Option<&'a [u8]> {
        (!rest.is_empty() && !self.skipping).then_some(rest)
    }

    /// Throws away what belongs to an over-long line; true once its end was among it.
    fn skip(&mut self, input: &mut &[u8]) -> bool {
        match input.iter().position(|byte| *byte == b'\n') {
            Some(at) => {
                *input = &input[at + 1..];
                self.skipping = false;
                true
            }
            None => {
                *input = &[];
                false
            }
        }
    }
}

const _: () = assert!(LINE_BYTES_MAX < u16::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `pieces` through the reader as a session would; `!` stands for a line too long.
    fn read(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let (mut lines, mut kept, mut found) = (Lines::default(), Vec::new(), Vec::new());
        for piece in pieces {
            kept.extend_from_slice(piece);
            let whole = std::mem::take(&mut kept);
            let mut input = &whole[..];
            loop {
                match lines.next(&mut input) {
                    Next::Line(line) => found.push(line.to_vec()),
                    Next::TooLong => found.push(b"!".to_vec()),
                    Next::Incomplete => break,
                }
            }
            assert!(input.len() <= LINE_BYTES_MAX + 1);
            kept = input.to_vec();
        }
        let last = lines.last(&kept).unwrap_or_default().to_vec();
        (found, last)
    }

    #[test]
    fn lines_come_out_whole_however_they_were_cut() {
        let text = b"one\r\ntwo\n\n\r\nthr\ree\nlast";
        let whole = read(&[text]);
        assert_eq!(whole.0, [&b"one"[..], b"two", b"", b"", b"thr\ree"]);
        assert_eq!(whole.1, b"last");
        for cut in 0..=text.len() {
            assert_eq!(read(&[&text[..cut], &text[cut..]]), whole);
        }
        let bytes: Vec<_> = text.chunks(1).collect();
        assert_eq!(read(&bytes), whole);
    }

    #[test]
    fn the_limit_is_the_same_at_every_cut() {
        for (extra, end, ok) in [
            (0, &b"\n"[..], true),
            (0, b"\r\n", true),
            (1, b"\n", false),
            (1, b"\r\n", false),
        ] {
            let mut text = vec![b'x'; LINE_BYTES_MAX + extra];
            text.extend_from_slice(end);
            text.extend_from_slice(b"next\n");
            let whole = read(&[&text]);
            assert_eq!(whole.0.len(), 2, "{extra} {end:?}");
            assert_eq!(whole.0[0] != b"!", ok, "{extra} {end:?}");
            assert_eq!(whole.0[1], b"next");
            for cut in LINE_BYTES_MAX - 2..text.len() {
                assert_eq!(
                    read(&[&text[..cut], &text[cut..]]),
                    whole,
                    "{extra} {end:?} {cut}"
                );
            }
        }
    }

    #[test]
    fn a_carriage_return_at_the_limit_may_turn_out_to_belong_to_the_line() {
        let mut text = vec![b'x'; LINE_BYTES_MAX];
        text.extend_from_slice(b"\rx\nnext\n");
        for cut in LINE_BYTES_MAX - 2..text.len() {
            let (found, _) = read(&[&text[..cut], &text[cut..]]);
            assert_eq!(found, [&b"!"[..], b"next"], "{cut}");
        }
    }

    #[test]
    fn an_endless_line_is_said_once_and_keeps_nothing() {
        let piece = vec![b'x'; 50_000];
        let (found, last) = read(&[&piece, &piece, b"y\nok\n", b"z"]);
        assert_eq!(found, [&b"!"[..], b"ok"]);
        assert_eq!(last, b"z");
    }
}
