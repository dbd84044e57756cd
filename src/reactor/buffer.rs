//! Bytes that the peer has not taken yet, kept with a connection only while there are any.

use super::transfer::{Receiving, Sending};
use crate::config::limits::{HIGH_WATER_BYTES, LOW_WATER_BYTES};

/// Unsent output: a vector and where the unsent part of it begins.
#[derive(Default)]
pub(super) struct Outbound {
    bytes: Vec<u8>,
    start: usize,
    /// It passed the high-water mark, and has not come below the low-water mark since.
    pub(super) choked: bool,
    /// What is sent behind it.
    pub(super) file: Option<Sending>,
}

impl Outbound {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            start: 0,
            choked: false,
            file: None,
        }
    }

    pub(super) fn unsent(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        // Once more than half is sent, moving the rest costs less than it saves.
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Marks the first `count` unsent bytes as sent.
    pub(super) fn advance(&mut self, count: usize) {
        debug_assert!(count <= self.unsent().len());
        self.start = (self.start + count).min(self.bytes.len());
    }

    /// Applies the water marks to what is unsent now.
    pub(super) fn mark_water(&mut self) {
        let unsent = self.unsent().len();
        self.choked = match self.choked {
            _ if self.file.is_some() => true,
            false => unsent > HIGH_WATER_BYTES,
            true => unsent >= LOW_WATER_BYTES,
        };
    }

    /// Whether nothing is left to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.unsent().is_empty() && self.file.is_none()
    }

    /// Whether something could be written now, if the peer takes it.
    pub(super) fn is_ready(&self) -> bool {
        !self.unsent().is_empty() || self.file.as_ref().is_some_and(|file| !file.cold)
    }

    /// Bytes of memory held.
    pub(super) fn held(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Unused input, boxed so that a connection without any pays one word.
#[derive(Default)]
pub(super) struct Inbound {
    pub bytes: Vec<u8>,
    /// A file that takes what comes, in the session's place; what is in `bytes` comes behind it.
    pub file: Option<Receiving>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_in_any_portion_comes_out_in_order() {
        for portion in 1..9 {
            let (mut outbound, mut sent, mut given) = (Outbound::default(), Vec::new(), Vec::new());
            for round in 0..100_u8 {
                let piece = vec![round; usize::from(round % 7)];
                outbound.push(&piece);
                given.extend_from_slice(&piece);
                let taken = outbound.unsent().len().min(portion);
                sent.extend_from_slice(&outbound.unsent()[..taken]);
                outbound.advance(taken);
                assert!(outbound.bytes.len() <= 2 * outbound.unsent().len() + 7 + portion);
            }
            sent.extend_from_slice(outbound.unsent());
            assert_eq!(sent, given);
        }
    }
}
