//! Standard input in lines, any of which may be a password: what was read is overwritten.

use std::io::{self, IsTerminal};

use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::client::Failure;
use crate::client::password::Password;
use crate::config::limits::LINE_BYTES_MAX;
use crate::exit::words;
use crate::wire::line::{Lines, Next};

/// What came from the keyboard. It can't be printed: it may be a password.
pub enum Typed {
    /// A line without its end.
    Line(Password),
    /// A line longer than one may be.
    TooLong,
    /// Nothing more is typed: Ctrl-D, or the end of a pipe or file.
    Ended,
    /// Nobody reads standard output any more.
    OutputClosed,
}

/// What was read of standard input and not asked for yet.
#[derive(Default)]
pub struct Keyboard {
    kept: Password,
    lines: Lines,
    /// The end of a pipe or file was read.
    has_ended: bool,
}

impl Keyboard {
    /// A line that was read whole, or the end behind the last.
    pub fn next(&mut self) -> Option<Typed> {
        let mut rest = &self.kept[..];
        let typed = match self.lines.next(&mut rest) {
            Next::Line(line) => Typed::Line(Zeroizing::new(line.to_vec())),
            Next::TooLong => Typed::TooLong,
            Next::Incomplete if !self.has_ended => return None,
            Next::Incomplete => match self.lines.last(std::mem::take(&mut rest)) {
                Some(line) => Typed::Line(Zeroizing::new(line.to_vec())),
                None => Typed::Ended,
            },
        };
        self.kept = joined(&[rest]);
        Some(typed)
    }

    /// Reads once; does not block where poll(2) said that there is something. What ends a terminal
    /// (Ctrl-D) is given at once, for more may come from it.
    pub fn read(&mut self) -> Result<Option<Typed>, Failure> {
        let mut buffer = Zeroizing::new([0; READ_BYTES]);
        match rustix::io::read(io::stdin(), &mut buffer[..]) {
            // On a terminal a line without its end is no line; one that has gone says EIO.
            Ok(0) if io::stdin().is_terminal() => Ok(Some(Typed::Ended)),
            Ok(0) | Err(Errno::IO) => {
                self.has_ended = true;
                Ok(None)
            }
            Ok(count) => {
                self.kept = joined(&[&self.kept, &buffer[..count]]);
                Ok(None)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(errno) => Err(Failure::Lost(format!(
                "standard input: {}",
                words(&errno.into())
            ))),
        }
    }
}

/// Bytes taken by one read.
const READ_BYTES: usize = 4096;

/// A copy that never moves, of bytes that are overwritten then: a vector that grows, or gives its
/// front away, leaves copies behind.
fn joined(parts: &[&[u8]]) -> Password {
    // At most a line of the greatest length, its end, and one read more.
    let mut joined = Zeroizing::new(Vec::with_capacity(LINE_BYTES_MAX + 2 + READ_BYTES));
    for part in parts {
        joined.extend_from_slice(part);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut keyboard, mut found) = (Keyboard::default(), Vec::new());
        for piece in pieces {
            keyboard.kept = joined(&[&keyboard.kept, piece]);
            keyboard.has_ended = piece.is_empty();
            while let Some(typed) = keyboard.next() {
                found.push(match typed {
                    Typed::Line(line) => String::from_utf8(line.to_vec()).unwrap(),
                    Typed::TooLong => "too long".to_owned(),
                    Typed::Ended | Typed::OutputClosed => return found,
                });
            }
        }
        found
    }

    #[test]
    fn lines_are_given_one_at_a_time_and_the_last_needs_no_end() {
        let text = b"one\r\n\ntwo\nlast";
        for cut in 1..text.len() {
            let found = lines(&[&text[..cut], &text[cut..], b""]);
            assert_eq!(found, ["one", "", "two", "last"], "{cut}");
        }
        let long = [b'x'; READ_BYTES];
        let found = lines(&[&long, &long, &long, b"\nnext\n", b""]);
        assert_eq!(found, ["too long", "next"]);
    }
}
