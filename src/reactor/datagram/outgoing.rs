//! Datagrams on their way out: they leave in batches, wait a bounded time for a full socket, and
//! are lost, counted, where the socket won't have them.

use std::net::SocketAddr;

use nix::errno::Errno;

use super::Local;
use super::socket::Socket;
use crate::config::limits::{DATAGRAMS_PER_CALL, DATAGRAMS_WAITING_BYTES, DATAGRAMS_WAITING_MAX};

/// The queue of one socket.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    items: Vec<Item>,
    /// How many of `items` have gone.
    gone: usize,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    to: SocketAddr,
    from: Option<Local>,
    start: usize,
    end: usize,
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

    /// Sends what the socket takes: a call for each run of datagrams that leave from one address.
    pub(super) fn flush(&mut self, socket: &Socket) -> Flushed {
        let mut flushed = Flushed::default();
        while let Some(first) = self.items.get(self.gone) {
            let from = first.from;
            let run = self.items[self.gone..]
                .iter()
                .take(DATAGRAMS_PER_CALL)
                .take_while(|item| item.from == from)
                .map(|item| (&self.bytes[item.start..item.end], item.to));
            match socket.send(run, from) {
                Ok(count) => {
                    let sent = &self.items[self.gone..self.gone + count];
                    flushed.sent += count as u64;
                    flushed.sent_bytes += sent
                        .iter()
                        .map(|item| (item.end - item.start) as u64)
                        .sum::<u64>();
                    self.gone += count;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    flushed.full = true;
                    return flushed;
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
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn socket() -> Socket {
        Socket::bind("127.0.0.1:0".parse().unwrap()).unwrap()
    }

    fn receiver() -> (UdpSocket, SocketAddr) {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = receiver.local_addr().unwrap();
        (receiver, address)
    }

    #[test]
    fn a_datagram_that_can_not_be_sent_is_lost_and_the_others_are_not() {
        let (receiver, to) = receiver();
        let mut outgoing = Outgoing::default();
        let too_long = vec![0; 65_508];
        for bytes in [&b"one"[..], &too_long, b"", b"three"] {
            assert!(outgoing.push(bytes, to, None));
        }
        let nowhere = "[::1]:9".parse().unwrap();
        assert!(outgoing.push(b"four", nowhere, None));
        let flushed = outgoing.flush(&socket());
        assert_eq!((flushed.sent, flushed.sent_bytes, flushed.lost), (3, 8, 2));
        assert!(outgoing.is_empty() && !flushed.full);
        let mut buffer = [0; 100];
        for expected in [&b"one"[..], b"", b"three"] {
            let len = receiver.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..len], expected);
        }
    }

    #[test]
    fn the_queue_is_bounded_in_number_and_bytes() {
        let (_receiver, to) = receiver();
        let mut outgoing = Outgoing::default();
        let pushed = (0..2 * DATAGRAMS_WAITING_MAX).filter(|_| outgoing.push(b"x", to, None));
        assert_eq!(pushed.count(), DATAGRAMS_WAITING_MAX);
        let mut outgoing = Outgoing::default();
        let large = vec![0; 65_000];
        let pushed = (0..DATAGRAMS_WAITING_MAX)
            .filter(|_| outgoing.push(&large, to, None))
            .count();
        assert!(pushed * large.len() <= DATAGRAMS_WAITING_BYTES);
        assert!((pushed + 1) * large.len() > DATAGRAMS_WAITING_BYTES);
    }
}
