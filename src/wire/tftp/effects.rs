//! What a machine asks for.

use super::{Code, Packet, Refusal, Terms};

/// What the callbacks of a machine asked for since it was cleared: packets, and the rest in order.
///
/// The packets of one callback are to go out together, as one batch, before the rest takes place.
#[derive(Debug, Default)]
pub struct Effects {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    list: Vec<Effect>,
}

/// One thing that a machine asked for or has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The peer has shown that it receives what it is sent. Said once, by a server's machine.
    Proved,
    /// A client's machine has its answer; what holds is this. A file is to be opened there.
    Agreed(Terms),
    /// Of a [`Sender`](super::Sender): read `len` bytes of the file there, which are not beyond its
    /// end, and give it all of them, or what is there, by `data`.
    Read {
        /// Where in the file.
        offset: u64,
        /// Never 0, and never more than a window.
        len: usize,
    },
    /// Of a [`Receiver`](super::Receiver): put these into the file there, and tell it by `written`.
    Write {
        /// Where in the file; each write begins where the one before ended.
        offset: u64,
        /// Never empty.
        bytes: Vec<u8>,
    },
    /// Of a [`Receiver`](super::Receiver): all is there. Behind all writes, make the file visible
    /// under its name and safe, then call `published`.
    Publish {
        /// Bytes of the whole file, what was there before included.
        size: u64,
    },
    /// The machine is done; it asks for nothing more.
    Ended(End),
}

/// How a transfer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The receiver has the whole file, and the sender knows it or was told often enough.
    Whole,
    /// The peer has sent an error; the message is as it wrote it, and not safe to print.
    Refused {
        /// What kind of error.
        code: Code,
        /// The peer's words.
        message: Vec<u8>,
    },
    /// We have sent this error.
    Failed(Refusal),
    /// The file has changed on our side; the peer was sent an error.
    Changed,
    /// The peer was silent, or brought the transfer no further, until it was given up.
    Silent,
}

impl Effects {
    /// The packets, in order.
    pub fn packets(&self) -> impl Iterator<Item = &[u8]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        let pairs = starts.zip(self.ends.iter().copied());
        pairs.map(|(start, end)| &self.bytes[start..end])
    }

    /// The rest, in order; it is taken out.
    pub fn drain(&mut self) -> impl Iterator<Item = Effect> {
        self.list.drain(..)
    }

    /// Forgets everything; keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.list.clear();
    }

    pub(super) fn send(&mut self, packet: &Packet<'_>) {
        packet.write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Sends a packet, and returns its bytes for when it has to go out again.
    pub(super) fn send_and_keep(&mut self, packet: &Packet<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        packet.write(&mut bytes);
        self.send_bytes(&bytes);
        bytes
    }

    pub(super) fn send_bytes(&mut self, datagram: &[u8]) {
        self.bytes.extend_from_slice(datagram);
        self.ends.push(self.bytes.len());
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.list.push(effect);
    }
}
