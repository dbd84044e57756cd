//! `talk`: a message to the operator, and what the operator answers.

use std::time::Duration;

use super::dialog::{self, End, Keyboard};
use super::write::{Reply, check};
use super::{BYE, ERROR, Failure, Server, output};
use crate::config::endpoint::Endpoint;
use crate::exit::words;
use crate::wire::Readable;

/// Sends `message` as a line to `endpoint` and prints the operator's answer as it came.
///
/// A person may take long, and `timeout` is how long they have. An answer without an end, as
/// other servers send it, ends with the connection. `error: ...` is [`Failure::Refused`]; a server
/// that shuts down, and an end without an answer, are [`Failure::Lost`].
pub fn talk(endpoint: &Endpoint, message: &[u8], timeout: Duration) -> Result<(), Failure> {
    check(message)?;
    let server = &Server::dial(endpoint, timeout)?;
    let mut line = message.to_vec();
    line.push(b'\n');
    let mut reply = Reply::default();
    let end = dialog::run(server, Keyboard::KeptOpen, line, &mut reply)?;
    let text = reply.text();
    match end {
        End::OutputClosed => Ok(()),
        End::Server(Some(error)) => Err(server.lost(words(&error))),
        End::Server(None) if text.is_empty() && reply.shown().is_empty() => {
            Err(server.lost("the server ended the connection without an answer"))
        }
        _ if text.starts_with(ERROR) => Err(Failure::Refused(Readable(text).to_string())),
        _ if text == BYE => Err(server.lost(Readable(text))),
        End::Done | End::Server(None) => output::write_text(reply.shown()),
    }
}
