//! One datagram out and its answer back, for a server that may be deaf, gone or talkative.

use std::io;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::patience::Patience;
use super::{Failure, Server};
use crate::exit::words;

/// The most that a datagram holds, and a byte more.
const DATAGRAM_BYTES: usize = 64 * 1024;

/// How long it takes at most until a datagram that may be sent more than once is sent again.
const AGAIN: Duration = Duration::from_secs(1);

/// Sends `datagram`, at most `sends` times, until something that `is_answer` has come; returns it
/// and how often the datagram was sent.
///
/// All of it takes at most the server's timeout, of which each sending but the last has a quarter.
/// What is no answer is passed over. A refusal goes on to the next address of a name.
pub fn ask(
    server: &mut Server,
    datagram: &[u8],
    sends: u32,
    mut is_answer: impl FnMut(&[u8]) -> bool,
) -> Result<(Vec<u8>, u32), Failure> {
    let whole = Patience::new(server.timeout());
    let mut sent = 0;
    let mut buffer = vec![0; DATAGRAM_BYTES];
    'send: loop {
        send(server, datagram)?;
        sent += 1;
        let patience = match (sent < sends, server.timeout()) {
            (false, _) => whole,
            (true, Duration::ZERO) => Patience::new(AGAIN),
            (true, timeout) => whole.part(AGAIN.min(timeout / 4)),
        };
        loop {
            match receive(server, &mut buffer) {
                Ok(Some(count)) if is_answer(&buffer[..count]) => {
                    buffer.truncate(count);
                    return Ok((buffer, sent));
                }
                Ok(Some(_)) if patience.left() != Some(Duration::ZERO) => continue,
                Ok(_) => {}
                Err(Errno::CONNREFUSED) if server.dial_next() => {
                    sent -= 1;
                    continue 'send;
                }
                Err(errno) => return Err(server.lost(words(&errno.into()))),
            }
            if !wait(server, PollFlags::IN, &patience)? {
                if sent < sends {
                    continue 'send;
                }
                return Err(server.silent());
            }
        }
    }
}

/// Sends one datagram, waiting for room if there is none.
pub fn send(server: &mut Server, datagram: &[u8]) -> Result<(), Failure> {
    let patience = Patience::new(server.timeout());
    loop {
        match rustix::net::send(&*server, datagram, SendFlags::NOSIGNAL) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN | Errno::NOBUFS) => {
                if !wait(server, PollFlags::OUT, &patience)? {
                    return Err(server.silent());
                }
            }
            // It speaks of a datagram before, which the next address is to get as well.
            Err(Errno::CONNREFUSED) if server.dial_next() => {}
            Err(errno) => return Err(server.lost(words(&errno.into()))),
        }
    }
}

/// Takes a datagram that has come; `None` where none has.
pub fn receive(server: &Server, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
    match rustix::net::recv(server, buffer, RecvFlags::empty()) {
        Ok((_, count)) => Ok(Some(count)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// True where the server has something, perhaps; false where the patience is over.
fn wait(server: &Server, flags: PollFlags, patience: &Patience) -> Result<bool, Failure> {
    let left = patience.left();
    let timeout = left.and_then(|left| Timespec::try_from(left).ok());
    match poll(&mut [PollFd::new(server, flags)], timeout.as_ref()) {
        Ok(0) => Ok(left.is_none()),
        Ok(_) | Err(Errno::INTR) => Ok(true),
        Err(errno) => {
            let why = words(&io::Error::from(errno));
            Err(Failure::Lost(format!("poll: {why}")))
        }
    }
}
