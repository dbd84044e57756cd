//! Datagrams on their way out: they leave in batches, wait a bounded time for a full socket, and
//! are lost, counted, where the socket won't have them.
//!
//! What goes to one peer and is of one size, as a window of TFTP is, goes out as one and is cut by the
//! kernel: it then passes the network stack once. See decision 0033.

use std::net::SocketAddr;

use nix::errno::Errno;

use super::Local;
use super::socket::Socket;
use crate::config::limits::{
    DATAGRAMS_PER_CALL, DATAGRAMS_TOGETHER_BYTES, DATAGRAMS_TOGETHER_MAX, DATAGRAMS_TOGETHER_MIN,
    DATAGRAMS_WAITING_BYTES, DATAGRAMS_WAITING_MAX,
};

/// The queue of one socket.
#[derive(Debug)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    items: Vec<Item>,
    /// How many of `items` have gone.
    gone: usize,
    /// Larger datagrams are not sent as one: a way has refused that.
    together_max: usize,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            items: Vec::new(),
            gone: 0,
            together_max: usize::MAX,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Item {
    to: SocketAddr,
    from: Option<Local>,
    start: usize,
    end: usize,
}

impl Item {
    fn len(&self) -> usize {
        self.end - self.start
    }
}

/// What a flush did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flushed {
    pub sent: u64,
    pub sent_bytes: u64,
    /// What the socket would not have, as if the network had lost it.
    pub lost: u64,
    /// The last error of these.
    pub error: Option<Errno>,
    /// The socket is full; the rest waits.
    pub full: bool,
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.gone == self.items.len()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.items.len() - self.gone
    }

    /// Puts a datagram behind the others; false if there is no room for it.
    pub(super) fn push(&mut self, bytes: &[u8], to: SocketAddr, from: Option<Local>) -> bool {
        if self.gone > DATAGRAMS_WAITING_MAX {
            self.forget_gone();
        }
        let waiting_from = self.items.get(self.gone).map_or(0, |item| item.start);
        if self.len() >= DATAGRAMS_WAITING_MAX
            || self.bytes.len() - waiting_from + bytes.len() > DATAGRAMS_WAITING_BYTES
        {
            return false;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.items.push(Item {
            to,
            from,
            start,
            end: self.bytes.len(),
        });
        true
    }

    /// Sends what the socket takes: a call for each run of datagrams that go out as one, and for each
    /// run of others that leave from one address.
    pub(super) fn flush(&mut self, socket: &Socket) -> Flushed {
        let mut flushed = Flushed::default();
        while let Some(first) = self.items.get(self.gone).copied() {
            let together = self.together(self.gone);
            let sent = match together >= DATAGRAMS_TOGETHER_MIN {
                true => self.send_together(socket, together),
                false => self.send_run(socket),
            };
            match sent {
                Ok(count) => {
                    let sent = &self.items[self.gone..self.gone + count];
                    flushed.sent += count as u64;
                    flushed.sent_bytes += sent.iter().map(|item| item.len() as u64).sum::<u64>();
                    self.gone += count;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    flushed.full = true;
                    return flushed;
                }
                // They are tried one by one, and so are all of that size from now on.
                Err(Errno::EINVAL | Errno::EMSGSIZE) if together >= DATAGRAMS_TOGETHER_MIN => {
                    self.together_max = first.len() - 1;
                }
                // No checksums by the device, or no such option.
                Err(Errno::EIO | Errno::ENOPROTOOPT | Errno::EOPNOTSUPP)
                    if together >= DATAGRAMS_TOGETHER_MIN =>
                {
                    self.together_max = 0;
                }
                Err(error) => {
                    flushed.lost += 1;
                    flushed.error = Some(error);
                    self.gone += 1;
                }
            }
        }
        self.forget_gone();
        flushed
    }

    /// How many from the `at`th on can go out as one: of one size, the last perhaps shorter, from one
    /// address to one peer.
    fn together(&self, at: usize) -> usize {
        let Some(first) = self.items.get(at) else {
            return 0;
        };
        if first.len() == 0 || first.len() > self.together_max {
            return 1;
        }
        let mut count = 1;
        for item in self.items[at + 1..].iter().take(DATAGRAMS_TOGETHER_MAX - 1) {
            let is_like = (item.to, item.from) == (first.to, first.from);
            let fits = item.end - first.start <= DATAGRAMS_TOGETHER_BYTES;
            if !is_like || !fits || item.len() == 0 || item.len() > first.len() {
                break;
            }
            count += 1;
            if item.len() < first.len() {
                break;
            }
        }
        count
    }

    fn send_together(&self, socket: &Socket, count: usize) -> nix::Result<usize> {
        let items = &self.items[self.gone..self.gone + count];
        let (Some(first), Some(last)) = (items.first(), items.last()) else {
            return Ok(0);
        };
        let segment = u16::try_from(first.len()).map_err(|_| Errno::EMSGSIZE)?;
        let bytes = &self.bytes[first.start..last.end];
        socket.send_together(bytes, segment, first.to, first.from)?;
        Ok(count)
    }

    /// Sends those that leave from the address of the first, up to the next that go out as one.
    fn send_run(&self, socket: &Socket) -> nix::Result<usize> {
        let from = self.items.get(self.gone).and_then(|first| first.from);
        let alone = |at: &usize| self.together(*at) < DATAGRAMS_TOGETHER_MIN;
        let run = (self.gone..self.items.len())
            .take(DATAGRAMS_PER_CALL)
            .take_while(|at| *at == self.gone || alone(at))
            .map(|at| &self.items[at])
            .take_while(|item| item.from == from)
            .map(|item| (&self.bytes[item.start..item.end], item.to));
        socket.send(run, from)
    }

    fn forget_gone(&mut self) {
        let start = self
            .items
            .get(self.gone)
            .map_or(self.bytes.len(), |item| item.start);
        self.bytes.drain(..start);
        self.items.drain(..self.gone);
        for item in &mut self.items {
            item.start -= start;
            item.end -= start;
        }
        self.gone = 0;
        if self.items.is_empty() {
            self.bytes.shrink_to(OUTGOING_KEPT_BYTES);
        }
    }
}

/// The queue keeps its memory from batch to batch up to this many bytes.
const OUTGOING_KEPT_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests;
