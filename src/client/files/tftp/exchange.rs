//! The socket of one TFTP transfer, and the loop that runs a machine with it.
//!
//! A server answers from a port of its own, so the socket is connected only once the first answer
//! has come: from then on the kernel passes over all other senders. It tells them that the port is
//! closed, which ends a transfer that a repeated request has begun twice.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::super::{Run, Stop};
use crate::client::Failure;
use crate::client::dial::{no_answer, resolved};
use crate::client::patience::{Patience, Since};
use crate::config::endpoint::Endpoint;
use crate::config::limits::DATAGRAM_BYTES_MAX;
use crate::exit::words;
use crate::wire::tftp::{Code, Effect, Effects, Packet, Receiver, Refusal, Sender};

/// One end of a transfer.
pub trait Machine {
    /// See [`Receiver::receive`].
    fn receive(&mut self, datagram: &[u8], now: Duration, effects: &mut Effects);
    /// See [`Receiver::expired`].
    fn expired(&mut self, now: Duration, effects: &mut Effects);
    /// See [`Receiver::deadline`].
    fn deadline(&self) -> Option<Duration>;
    /// See [`Receiver::fail`].
    fn fail(&mut self, refusal: Refusal, effects: &mut Effects);
}

macro_rules! is_machine {
    ($end:ty) => {
        impl Machine for $end {
            fn receive(&mut self, datagram: &[u8], now: Duration, effects: &mut Effects) {
                Self::receive(self, datagram, now, effects);
            }
            fn expired(&mut self, now: Duration, effects: &mut Effects) {
                Self::expired(self, now, effects);
            }
            fn deadline(&self) -> Option<Duration> {
                Self::deadline(self)
            }
            fn fail(&mut self, refusal: Refusal, effects: &mut Effects) {
                Self::fail(self, refusal, effects);
            }
        }
    };
}

is_machine!(Receiver);
is_machine!(Sender);

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The file is whole where it was to go.
    Whole,
    /// What was there belongs to another file, for this reason: to be started over.
    Stale(&'static str),
}

/// What a machine asks for is done by this; it says whether that is the end.
pub trait Work<M> {
    /// Does one thing.
    fn take(
        &mut self,
        effect: Effect,
        machine: &mut M,
        now: Duration,
        effects: &mut Effects,
    ) -> Result<Option<Outcome>, Stop>;
}

/// A socket that speaks with the server.
pub struct Exchange<'a, 'b> {
    run: &'a Run<'b>,
    endpoint: &'a Endpoint,
    socket: UdpSocket,
    address: SocketAddr,
    /// Other addresses of its name, the next one last.
    untried: Vec<SocketAddr>,
    is_connected: bool,
    request: Vec<u8>,
    since: Since,
    patience: Patience,
}

impl<'a, 'b> Exchange<'a, 'b> {
    /// Finds the server's address.
    pub fn new(run: &'a Run<'b>) -> Result<Self, Stop> {
        let (endpoint, timeout) = (run.files.endpoint, run.files.timeout);
        let Endpoint::Udp(at) = endpoint else {
            let problem = "TFTP is for udp:// endpoints";
            return Err(Failure::Usage(format!("{endpoint}: {problem}")).into());
        };
        let found = run.interrupt.unwatched(|| resolved(endpoint, at, timeout));
        let mut untried = found?;
        untried.reverse();
        let address = untried.pop();
        let address = address.ok_or_else(|| lost(endpoint, "the host name has no address"))?;
        Ok(Self {
            run,
            endpoint,
            socket: bound(endpoint, address)?,
            address,
            untried,
            is_connected: false,
            request: Vec::new(),
            since: Since::now(),
            patience: Patience::new(timeout),
        })
    }

    /// The machine's moment.
    pub fn now(&self) -> Duration {
        self.since.elapsed()
    }

    /// Whether the server has answered at all.
    pub fn has_answer(&self) -> bool {
        self.is_connected
    }

    /// Runs a machine that has just begun to its end.
    pub fn run<M: Machine>(
        &mut self,
        machine: &mut M,
        mut effects: Effects,
        work: &mut impl Work<M>,
    ) -> Result<Outcome, Stop> {
        self.request = effects.packets().next().unwrap_or_default().to_vec();
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        let ended = loop {
            match self.settle(machine, &mut effects, work) {
                Ok(Some(outcome @ Outcome::Whole)) => return Ok(outcome),
                Ok(Some(outcome)) => break Ok(outcome),
                Ok(None) => {}
                Err(stop) => break Err(stop),
            }
            if let Err(stop) = self.wait(machine.deadline()) {
                break Err(stop);
            }
            match self.receive(&mut buffer) {
                Ok(Some(count)) => machine.receive(&buffer[..count], self.now(), &mut effects),
                Ok(None) => {}
                Err(stop) => break Err(stop),
            }
            // Also where something comes all the time: it may bring nothing further.
            machine.expired(self.now(), &mut effects);
        };
        // The server need not repeat itself; and what came is not lost.
        let refusal = Refusal::new(Code::UNDEFINED, "the client has given up");
        effects.clear();
        machine.fail(refusal, &mut effects);
        if self.is_connected {
            let _ = self.settle(machine, &mut effects, work);
        }
        ended
    }

    /// Sends the packets, then does the rest, until there is nothing more.
    fn settle<M: Machine>(
        &mut self,
        machine: &mut M,
        effects: &mut Effects,
        work: &mut impl Work<M>,
    ) -> Result<Option<Outcome>, Stop> {
        loop {
            for packet in effects.packets() {
                self.send(packet)?;
            }
            let list: Vec<_> = effects.drain().collect();
            effects.clear();
            if list.is_empty() {
                return Ok(None);
            }
            let mut outcome = None;
            for effect in list {
                let now = self.now();
                outcome = work.take(effect, machine, now, effects)?;
                if outcome.is_some() {
                    break;
                }
            }
            if outcome.is_some() {
                for packet in effects.packets() {
                    self.send(packet)?;
                }
                effects.clear();
                return Ok(outcome);
            }
        }
    }

    fn send(&mut self, packet: &[u8]) -> Result<(), Stop> {
        loop {
            let sent = match self.is_connected {
                true => self.socket.send(packet),
                false => self.socket.send_to(packet, self.address),
            };
            let Err(error) = sent else { return Ok(()) };
            match Errno::from_io_error(&error) {
                Some(Errno::INTR) => {}
                // As if it were lost on its way: it is sent again when its time has come.
                Some(Errno::AGAIN | Errno::NOBUFS | Errno::MSGSIZE) => return Ok(()),
                Some(Errno::CONNREFUSED) => return self.refused(),
                _ => return Err(lost(self.endpoint, &words(&error)).into()),
            }
        }
    }

    /// Takes a datagram; `None` where there is none, or one that is not of this transfer.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Stop> {
        loop {
            match self.socket.recv_from(buffer) {
                Ok((count, from)) => {
                    let is_ours = match self.is_connected {
                        // Another's may have come before the socket was connected.
                        true => from == self.address,
                        false => self.connect(from, &buffer[..count])?,
                    };
                    if is_ours {
                        self.patience.renew();
                    }
                    return Ok(is_ours.then_some(count));
                }
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::INTR) => {}
                    // What was sent last was too long for a router on the way: the system has
                    // learnt that, and cuts what comes next (IP_MTU_DISCOVER in ip(7)).
                    Some(Errno::MSGSIZE) => {}
                    Some(Errno::AGAIN) => return Ok(None),
                    Some(Errno::CONNREFUSED) => self.refused()?,
                    _ => return Err(lost(self.endpoint, &words(&error)).into()),
                },
            }
        }
    }

    /// The first answer says which port speaks from now on; false where it is none.
    fn connect(&mut self, from: SocketAddr, datagram: &[u8]) -> Result<bool, Stop> {
        if from.ip() != self.address.ip() || Packet::parse(datagram).is_err() {
            return Ok(false);
        }
        let connected = self.socket.connect(from);
        connected.map_err(|error| lost(self.endpoint, &words(&error)))?;
        (self.address, self.is_connected) = (from, true);
        Ok(true)
    }

    /// Nobody listens there: the request goes to the next address.
    fn refused(&mut self) -> Result<(), Stop> {
        let next = self.untried.pop().filter(|_| !self.is_connected);
        let Some(next) = next else {
            return Err(lost(self.endpoint, "connection refused").into());
        };
        self.address = next;
        self.socket = bound(self.endpoint, next)?;
        let sent = self.socket.send_to(&self.request, next);
        // The machine repeats it.
        sent.map(|_| ())
            .map_err(|error| lost(self.endpoint, &words(&error)).into())
    }

    /// Waits for a datagram, the machine's deadline, or Ctrl-C.
    fn wait(&self, deadline: Option<Duration>) -> Result<(), Stop> {
        let timeout = self.run.files.timeout;
        let left = self.patience.left();
        if left == Some(Duration::ZERO) {
            return Err(lost(self.endpoint, &no_answer(timeout)).into());
        }
        let due = deadline.map(|deadline| deadline.saturating_sub(self.now()));
        let limit = match (left, due) {
            (Some(left), Some(due)) => Some(left.min(due)),
            (left, due) => left.or(due),
        };
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let mut watched = [
            PollFd::new(&self.socket, PollFlags::IN),
            PollFd::new(&self.run.interrupt, PollFlags::IN),
        ];
        match poll(&mut watched, limit.as_ref()) {
            Ok(_) if !watched[1].revents().is_empty() => Err(Stop::Interrupted),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(lost(self.endpoint, &words(&errno.into())).into()),
        }
    }
}

fn bound(endpoint: &Endpoint, address: SocketAddr) -> Result<UdpSocket, Failure> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let ready = UdpSocket::bind(any).and_then(|socket| {
        socket.set_nonblocking(true)?;
        // A socket that is not connected hears of a closed port only so.
        match address {
            SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4RecvErr, &true),
            SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvErr, &true),
        }?;
        Ok(socket)
    });
    ready.map_err(|error| lost(endpoint, &words(&error)))
}

/// The connection is of no more use, and why.
pub fn lost(endpoint: &Endpoint, why: &str) -> Failure {
    Failure::Lost(format!("{endpoint}: {why}"))
}
