//! `echo`: standard input to the server, and what comes back to standard output.

use std::io;
use std::time::Duration;

use rustix::fs::{FileType, fstat};
use rustix::io::Errno;

use super::datagram;
use super::dialog::{self, End, Keyboard, Rules};
use super::output;
use super::ping::Ping;
use super::{Failure, Server};
use crate::config::endpoint::Endpoint;
use crate::exit::words;

/// Copies until standard input has ended and as many bytes are back as were sent.
///
/// The bytes pass as they are, also to a terminal. [`Failure::Lost`] where the server ended before
/// that; a standard output that nobody reads any more is success.
///
/// Over datagrams each read of standard input is one datagram, and the next is read when it is
/// back.
pub fn echo(endpoint: &Endpoint, timeout: Duration) -> Result<(), Failure> {
    if matches!(endpoint, Endpoint::Udp(_)) {
        return echo_datagrams(endpoint, timeout);
    }
    let server = &Server::dial(endpoint, timeout)?;
    let mut copy = Copy::default();
    match dialog::run(server, Keyboard::Read, Vec::new(), &mut copy)? {
        End::Done | End::OutputClosed => Ok(()),
        End::Server(Some(error)) => Err(server.lost(words(&error))),
        End::Server(None) if copy.received < copy.sent => {
            let Copy { received, sent, .. } = copy;
            Err(server.lost(format_args!(
                "the server ended the connection with {received} of {sent} bytes back"
            )))
        }
        End::Server(None) => Err(server.lost("the server ended the connection")),
    }
}

/// Whether standard input is a pipe, a file or a socket: something that was put there to be sent.
pub fn input_is_piped() -> bool {
    let kind = fstat(io::stdin()).map(|stat| FileType::from_raw_mode(stat.st_mode));
    matches!(
        kind,
        Ok(FileType::Fifo | FileType::RegularFile | FileType::Socket)
    )
}

fn echo_datagrams(endpoint: &Endpoint, timeout: Duration) -> Result<(), Failure> {
    let mut server = Server::dial_any(endpoint, timeout)?;
    let mut input = vec![0; Ping::SIZE_MAX];
    loop {
        let count = match rustix::io::read(io::stdin(), &mut input[..]) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(Errno::INTR) => continue,
            Err(errno) => {
                let why = words(&errno.into());
                return Err(Failure::Lost(format!("standard input: {why}")));
            }
        };
        let sent = &input[..count];
        // What is not the same is late, forged or broken: the answer may still come.
        datagram::ask(&mut server, sent, 1, |heard| heard == sent)?;
        if !output::write_while_read(sent)? {
            return Ok(());
        }
    }
}

/// How many bytes went out and came back.
#[derive(Debug, Default)]
struct Copy {
    sent: u64,
    received: u64,
    is_typed: bool,
}

impl Rules for Copy {
    fn typed(&mut self, bytes: &[u8], send: &mut Vec<u8>) -> bool {
        send.extend_from_slice(bytes);
        self.sent += bytes.len() as u64;
        true
    }

    fn typing_ended(&mut self, _: &mut Vec<u8>) {
        self.is_typed = true;
    }

    fn heard(&mut self, bytes: &[u8], print: &mut Vec<u8>) {
        print.extend_from_slice(bytes);
        self.received += bytes.len() as u64;
    }

    fn is_owed(&self) -> bool {
        self.received < self.sent
    }

    fn is_done(&self) -> bool {
        self.is_typed && self.received >= self.sent
    }
}
