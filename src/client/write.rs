//! `write`: a message to the slot, and what the slot holds when its delay is over.

use std::time::Duration;

use super::dialog::{self, End, Keyboard, Rules};
use super::{BYE, ERROR, Failure, Server, output};
use crate::config::endpoint::Endpoint;
use crate::config::limits::SLOT_SIZE_MAX;
use crate::exit::words;
use crate::wire::Readable;

/// Sends `message` as a line to `endpoint` and prints the reply as it came.
///
/// `message` has at least one byte and no newline or NUL, which would end it early: a usage
/// failure. A reply `error: ...` is [`Failure::Refused`]; a server that shuts down, and an end
/// before the reply is whole, are [`Failure::Lost`].
pub fn write(endpoint: &Endpoint, message: &[u8], timeout: Duration) -> Result<(), Failure> {
    check(message)?;
    let server = &Server::dial(endpoint, timeout)?;
    let mut line = message.to_vec();
    line.push(b'\n');
    let mut reply = Reply::default();
    let end = dialog::run(server, Keyboard::KeptOpen, line, &mut reply)?;
    let text = reply.text();
    match end {
        End::OutputClosed => Ok(()),
        End::Done if text.starts_with(ERROR) => Err(Failure::Refused(Readable(text).to_string())),
        End::Done if text == BYE => Err(server.lost(Readable(text))),
        End::Done if reply.end.is_none() => Err(server.lost("the reply has no end")),
        End::Done => output::write_text(reply.shown()),
        End::Server(Some(error)) => Err(server.lost(words(&error))),
        End::Server(None) if reply.bytes.is_empty() => {
            Err(server.lost("the server ended the connection without a reply"))
        }
        End::Server(None) => {
            Err(server.lost("the server ended the connection in the middle of the reply"))
        }
    }
}

/// A message that would not arrive as it was written is refused here.
///
/// The server's limit is the server's to say: it may be started with another size.
pub(super) fn check(message: &[u8]) -> Result<(), Failure> {
    let problem = match message {
        [] => "the message is empty",
        _ if message.contains(&b'\n') => "the message holds a newline, which would end it",
        _ if message.contains(&0) => "the message holds a NUL, which would end it",
        _ => return Ok(()),
    };
    Err(Failure::Usage(problem.to_owned()))
}

/// What the server has sent; whole when it has a newline, or a NUL as other slots send.
#[derive(Default)]
pub(super) struct Reply {
    bytes: Vec<u8>,
    end: Option<usize>,
}

impl Reply {
    /// Without its end.
    pub(super) fn text(&self) -> &[u8] {
        let text = &self.bytes[..self.end.unwrap_or(self.bytes.len())];
        text.strip_suffix(b"\r").unwrap_or(text)
    }

    /// With the newline, if it ends in one, and never with a NUL.
    pub(super) fn shown(&self) -> &[u8] {
        match self.end {
            Some(end) if self.bytes[end] == b'\n' => &self.bytes[..=end],
            Some(end) => &self.bytes[..end],
            None => &self.bytes,
        }
    }
}

impl Rules for Reply {
    fn typed(&mut self, _: &[u8], _: &mut Vec<u8>) -> bool {
        false
    }

    fn typing_ended(&mut self, _: &mut Vec<u8>) {}

    fn heard(&mut self, bytes: &[u8], _: &mut Vec<u8>) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let end = bytes.iter().position(|byte| matches!(byte, b'\n' | 0));
        self.end = end.map(|end| from + end);
    }

    fn is_owed(&self) -> bool {
        true
    }

    fn is_done(&self) -> bool {
        // No slot sends more without an end.
        self.end.is_some() || self.bytes.len() > SLOT_SIZE_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_would_be_cut_is_refused() {
        for (message, word) in [(&b""[..], "empty"), (b"a\nb", "newline"), (b"a\0", "NUL")] {
            let Err(Failure::Usage(text)) = check(message) else {
                panic!("{message:?} was taken");
            };
            assert!(text.contains(word), "{text}");
        }
        assert_eq!(check(b"\xff \x1b"), Ok(()));
    }

    #[test]
    fn a_reply_ends_at_its_newline_or_nul_however_it_was_cut() {
        for (text, shown, bare) in [
            (&b"hello\n"[..], &b"hello\n"[..], &b"hello"[..]),
            (b"hello\r\nmore", b"hello\r\n", b"hello"),
            (b"hello\0\0\0", b"hello", b"hello"),
        ] {
            for cut in 0..=text.len() {
                let (mut reply, mut print) = (Reply::default(), Vec::new());
                for part in [&text[..cut], &text[cut..]] {
                    if !reply.is_done() {
                        reply.heard(part, &mut print);
                    }
                }
                assert!(reply.is_done());
                assert_eq!(reply.shown(), shown);
                assert_eq!(reply.text(), bare);
            }
        }
    }
}
