//! A connection that speaks the text wire of `files`: lines, and bytes of files between them.
//!
//! Whatever is waited for, Ctrl-C ends the waiting.

use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::Stop;
use crate::client::dial::Server;
use crate::client::interrupt::Interrupt;
use crate::client::patience::Patience;
use crate::client::{BYE, Failure};
use crate::config::endpoint::Endpoint;
use crate::config::limits::{LINE_BYTES_MAX, TRANSFER_BYTES, TRANSFER_HASH_BYTES_PER_S};
use crate::exit::words;
use crate::wire::Readable;
use crate::wire::files::{Said, said};
use crate::wire::line::{Lines, Next};

/// The connection, and what was read ahead of it.
#[derive(Debug)]
pub struct Channel {
    server: Server,
    heard: Vec<u8>,
    /// How much of that is used.
    used: usize,
    lines: Lines,
}

/// What came of an attempt to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// So many bytes were taken.
    Taken(usize),
    /// The server says something, or takes no more: its line is next.
    Spoken,
}

impl Channel {
    /// Connects; see [`Server::dial`].
    pub fn dial(endpoint: &Endpoint, timeout: Duration) -> Result<Self, Failure> {
        Ok(Self {
            server: Server::dial(endpoint, timeout)?,
            heard: Vec::new(),
            used: 0,
            lines: Lines::default(),
        })
    }

    /// Whether it is still as it was left: nothing has come, and it has not ended.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [0];
        let next = rustix::net::recv(&self.server, &mut byte[..], RecvFlags::PEEK);
        self.used == self.heard.len() && matches!(next, Err(Errno::AGAIN))
    }

    /// The connection is of no more use, and why.
    pub fn lost(&self, why: impl std::fmt::Display) -> Stop {
        self.server.lost(why).into()
    }

    /// Sends a command and waits for its first line: returns what stands behind `ok`.
    /// `error: ...` is [`Failure::Refused`].
    ///
    /// The server may take longer by what it takes to read so many bytes of `work`.
    pub fn ask(
        &mut self,
        command: &[u8],
        work: u64,
        interrupt: &Interrupt,
    ) -> Result<Vec<u8>, Stop> {
        self.send(command, interrupt)?;
        let line = self.line(work, interrupt)?;
        match said(&line) {
            Said::Ok(rest) => Ok(rest.to_vec()),
            _ => Err(self.refused(&line)),
        }
    }

    /// What a line means that is not the one that was waited for.
    pub fn refused(&self, line: &[u8]) -> Stop {
        match said(line) {
            Said::Error(line) => Failure::Refused(Readable(line).to_string()).into(),
            _ if line == BYE => self.lost(Readable(line)),
            _ => self.lost("its answer makes no sense; is that the service files?"),
        }
    }

    /// Sends a command; stops where the server speaks before it has all of it.
    pub fn send(&mut self, mut bytes: &[u8], interrupt: &Interrupt) -> Result<(), Stop> {
        while !bytes.is_empty() {
            match self.send_some(bytes, interrupt)? {
                Sent::Taken(count) => bytes = &bytes[count..],
                Sent::Spoken => break,
            }
        }
        Ok(())
    }

    /// Sends as much of `bytes` as the server takes, at least one, or finds that it speaks.
    pub fn send_some(&mut self, bytes: &[u8], interrupt: &Interrupt) -> Result<Sent, Stop> {
        let patience = Patience::new(self.server.timeout());
        if self.used < self.heard.len() {
            // It came right behind the line before.
            return Ok(Sent::Spoken);
        }
        loop {
            let ready = self.wait(PollFlags::IN | PollFlags::OUT, patience.left(), interrupt)?;
            if ready.intersects(PollFlags::IN) {
                return Ok(Sent::Spoken);
            }
            match rustix::net::send(&self.server, bytes, SendFlags::NOSIGNAL) {
                Ok(count) => return Ok(Sent::Taken(count)),
                Err(Errno::INTR | Errno::AGAIN) => {}
                // What the server said before it went is still to be read.
                Err(Errno::PIPE | Errno::CONNRESET) => return Ok(Sent::Spoken),
                Err(errno) => return Err(self.lost(words(&errno.into()))),
            }
        }
    }

    /// The next line; the server may take longer by `work`, see [`Channel::ask`].
    pub fn line(&mut self, work: u64, interrupt: &Interrupt) -> Result<Vec<u8>, Stop> {
        let timeout = self.server.timeout();
        let patience = Patience::new(match timeout.is_zero() {
            true => timeout,
            false => timeout + Duration::from_secs(work / TRANSFER_HASH_BYTES_PER_S),
        });
        loop {
            let mut rest = &self.heard[self.used..];
            let next = match self.lines.next(&mut rest) {
                Next::Line(line) => Some(line.to_vec()),
                Next::Incomplete => None,
                Next::TooLong => {
                    let limit = format!("it sent a line of more than {LINE_BYTES_MAX} bytes");
                    return Err(self.lost(limit));
                }
            };
            self.used = self.heard.len() - rest.len();
            if let Some(line) = next {
                return Ok(line);
            }
            self.hear(patience, interrupt)?;
        }
    }

    /// The next bytes, of which `left` belong to the file: some of them, which are used then.
    pub fn bytes(&mut self, left: u64, interrupt: &Interrupt) -> Result<&[u8], Stop> {
        if self.used == self.heard.len() {
            self.hear(Patience::new(self.server.timeout()), interrupt)?;
        }
        let start = self.used;
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        self.used += left.min(self.heard.len() - start);
        Ok(&self.heard[start..self.used])
    }

    /// Reads what the server has sent behind what is unused; waits for it.
    fn hear(&mut self, patience: Patience, interrupt: &Interrupt) -> Result<(), Stop> {
        self.heard.drain(..self.used);
        self.used = 0;
        self.heard.reserve(TRANSFER_BYTES);
        loop {
            self.wait(PollFlags::IN, patience.left(), interrupt)?;
            let room = spare_capacity(&mut self.heard);
            match rustix::net::recv(&self.server, room, RecvFlags::empty()) {
                Ok((_, 0)) => return Err(self.lost("the server ended the connection")),
                Ok(_) => return Ok(()),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(self.lost(words(&errno.into()))),
            }
        }
    }

    /// Waits until the server is ready for that; its end is, too.
    fn wait(
        &self,
        flags: PollFlags,
        limit: Option<Duration>,
        interrupt: &Interrupt,
    ) -> Result<PollFlags, Stop> {
        let timeout = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let mut watched = [
            PollFd::new(&self.server, flags),
            PollFd::new(interrupt, PollFlags::IN),
        ];
        match poll(&mut watched, timeout.as_ref()) {
            Ok(0) => Err(self.server.silent().into()),
            Ok(_) if !watched[1].revents().is_empty() => Err(Stop::Interrupted),
            Ok(_) => Ok(watched[0].revents()),
            Err(Errno::INTR) => Ok(PollFlags::empty()),
            Err(errno) => {
                let why = words(&errno.into());
                Err(Failure::Lost(format!("poll: {why}")).into())
            }
        }
    }
}
