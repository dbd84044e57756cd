//! `sum`: integers to the server, from the command line, the keyboard or a pipe; its result back.
//!
//! Only integers are sent, in plain decimal: a listener that finds out the wire from the first
//! bytes then always sees text, whatever was typed.

use std::io::{self, IsTerminal, Write as _};
use std::time::Duration;

use super::dialog::{self, End, Keyboard, Rules};
use super::{BYE, ERROR, Failure, Server, output};
use crate::config::endpoint::Endpoint;
use crate::config::limits::LINE_BYTES_MAX;
use crate::exit::words;
use crate::wire::line::{Lines, Next};
use crate::wire::{Escaped, Readable};

/// Sends `integers` and a 0, or, where there are none, what standard input holds, a line each,
/// until a 0 or its end. Prints the server's line `Result = N`.
///
/// A line of standard input that is no 64-bit integer is said on standard error and passed over.
/// An answer `error: ...` is [`Failure::Refused`]; an end without a result is [`Failure::Lost`].
pub fn sum(endpoint: &Endpoint, integers: &[i64], timeout: Duration) -> Result<(), Failure> {
    let server = &Server::dial(endpoint, timeout)?;
    let mut adding = Adding::default();
    let (keyboard, first) = match integers {
        [] => (Keyboard::Read, Vec::new()),
        _ => (Keyboard::Unused, lines_of(integers)),
    };
    if keyboard == Keyboard::Read && io::stdin().is_terminal() {
        let _ = writeln!(io::stderr(), "one integer a line, 0 or Ctrl-D ends");
    }
    let end = dialog::run(server, keyboard, first, &mut adding)?;
    match (adding.answer, end) {
        (_, End::OutputClosed) => Ok(()),
        (Some(line), _) if line.starts_with(ERROR) => {
            Err(Failure::Refused(Readable(&line).to_string()))
        }
        (Some(line), _) if line == BYE => Err(server.lost(Readable(&line))),
        (Some(mut line), _) if line.starts_with(RESULT) => {
            line.push(b'\n');
            output::write_text(&line)
        }
        (Some(line), _) => Err(server.lost(format_args!(
            "the server answered {}, which is no result",
            Escaped(&line)
        ))),
        (None, End::Server(Some(error))) => Err(server.lost(words(&error))),
        (None, End::Server(None) | End::Done) => {
            Err(server.lost("the server ended the connection without a result"))
        }
    }
}

/// How the answer begins.
const RESULT: &[u8] = b"Result = ";

/// The lines that are sent for integers of the command line; a 0 ends them in any case.
fn lines_of(integers: &[i64]) -> Vec<u8> {
    let mut lines = Vec::new();
    for integer in integers.iter().take_while(|integer| **integer != 0) {
        send_integer(*integer, &mut lines);
    }
    send_integer(0, &mut lines);
    lines
}

fn send_integer(integer: i64, send: &mut Vec<u8>) {
    send.extend_from_slice(format!("{integer}\n").as_bytes());
}

/// What was typed of a line, and what was heard of the answer.
#[derive(Default)]
struct Adding {
    lines: Lines,
    kept: Vec<u8>,
    heard: Vec<u8>,
    /// The server's last word, without its newline.
    answer: Option<Vec<u8>>,
}

impl Adding {
    /// Sends a line's integer; false if it was the 0 that ends them.
    fn line(line: &[u8], send: &mut Vec<u8>) -> bool {
        let line = line.trim_ascii();
        let text = std::str::from_utf8(line).ok();
        match text.and_then(|text| text.parse::<i64>().ok()) {
            Some(integer) => {
                send_integer(integer, send);
                integer != 0
            }
            None if line.is_empty() => true,
            None => {
                pass_over(format_args!("{} is no integer of 64 bits", Escaped(line)));
                true
            }
        }
    }
}

fn pass_over(why: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{why}; it is passed over");
}

impl Rules for Adding {
    fn typed(&mut self, bytes: &[u8], send: &mut Vec<u8>) -> bool {
        self.kept.extend_from_slice(bytes);
        let typed = std::mem::take(&mut self.kept);
        let mut rest = &typed[..];
        loop {
            match self.lines.next(&mut rest) {
                Next::Line(line) if !Self::line(line, send) => return false,
                Next::Line(_) => {}
                Next::TooLong => pass_over(format_args!(
                    "a line of more than {LINE_BYTES_MAX} bytes is no integer"
                )),
                Next::Incomplete => break,
            }
        }
        self.kept = rest.to_vec();
        true
    }

    fn typing_ended(&mut self, send: &mut Vec<u8>) {
        let more = self
            .lines
            .last(&self.kept)
            .is_none_or(|line| Self::line(line, send));
        if more {
            send_integer(0, send);
        }
    }

    fn heard(&mut self, bytes: &[u8], _: &mut Vec<u8>) {
        self.heard.extend_from_slice(bytes);
        let end = self.heard.iter().position(|byte| *byte == b'\n');
        if let Some(end) = end {
            let line = &self.heard[..end];
            self.answer = Some(line.strip_suffix(b"\r").unwrap_or(line).to_vec());
        } else if self.heard.len() > LINE_BYTES_MAX {
            self.answer = Some(std::mem::take(&mut self.heard));
        }
    }

    fn is_owed(&self) -> bool {
        false
    }

    fn is_done(&self) -> bool {
        self.answer.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is sent for pieces of typing; true if no more was wanted.
    fn sent(pieces: &[&[u8]]) -> (String, bool) {
        let (mut adding, mut send) = (Adding::default(), Vec::new());
        for piece in pieces {
            if !adding.typed(piece, &mut send) {
                return (String::from_utf8(send).unwrap(), true);
            }
        }
        adding.typing_ended(&mut send);
        (String::from_utf8(send).unwrap(), false)
    }

    #[test]
    fn only_integers_are_sent_however_the_typing_was_cut() {
        let text = b" +5 \r\n\xc3\xa9\n\n-9223372036854775808\n9223372036854775808\n7";
        for cut in 0..=text.len() {
            let expected = "5\n-9223372036854775808\n7\n0\n";
            assert_eq!(
                sent(&[&text[..cut], &text[cut..]]),
                (expected.to_owned(), false)
            );
        }
    }

    #[test]
    fn a_zero_ends_typing_and_nothing_follows_it() {
        assert_eq!(sent(&[b"1\n-0\n5\n"]), ("1\n0\n".to_owned(), true));
        assert_eq!(sent(&[b"1\n0"]), ("1\n0\n".to_owned(), false));
        assert_eq!(sent(&[]), ("0\n".to_owned(), false));
        assert_eq!(
            sent(&[&[b'1'; 5000], b"\n2\n"]),
            ("2\n0\n".to_owned(), false)
        );
    }

    #[test]
    fn integers_of_the_command_line_end_with_one_zero() {
        assert_eq!(lines_of(&[5, -7]), b"5\n-7\n0\n");
        assert_eq!(lines_of(&[5, 0]), b"5\n0\n");
        assert_eq!(lines_of(&[0]), b"0\n");
    }
}
