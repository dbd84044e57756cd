//! What has come of a file, on its way to the disk.

use crate::config::limits::{TFTP_UNWRITTEN_BYTES_MAX, TFTP_WRITE_BYTES};
use crate::wire::tftp::{Decoder, Effect, Effects, Mode};

/// Gathers blocks into writes, and knows how far the disk is behind.
#[derive(Debug)]
pub(super) struct Intake {
    mode: Mode,
    decoder: Decoder,
    /// Bytes that were not handed on yet, and where they belong.
    pending: Vec<u8>,
    position: u64,
    /// Bytes that were handed on and are not written yet.
    unwritten: u64,
}

impl Intake {
    /// Bytes from that place in the file on.
    pub(super) fn new(mode: Mode, position: u64) -> Self {
        Self {
            mode,
            decoder: Decoder::default(),
            pending: Vec::new(),
            position,
            unwritten: 0,
        }
    }

    /// Nothing has come yet; what will, begins there.
    pub(super) fn begin(&mut self, position: u64) {
        self.position = position;
    }

    /// Bytes of the file up to here.
    pub(super) fn end(&self) -> u64 {
        self.position.saturating_add(self.pending.len() as u64)
    }

    /// Takes a block.
    pub(super) fn append(&mut self, bytes: &[u8], is_last: bool) {
        match self.mode {
            Mode::Octet => self.pending.extend_from_slice(bytes),
            Mode::Netascii => self.decoder.decode(bytes, &mut self.pending),
        }
        if is_last {
            self.decoder.finish(&mut self.pending);
        }
    }

    /// Forgets what is beyond that place in the file.
    pub(super) fn cut(&mut self, most: u64) {
        let kept = usize::try_from(most.saturating_sub(self.position));
        self.pending.truncate(kept.unwrap_or(usize::MAX));
    }

    /// Hands on what has come, if it is worth a write.
    pub(super) fn hand_on_much(&mut self, effects: &mut Effects) {
        if self.pending.len() >= TFTP_WRITE_BYTES {
            self.hand_on(effects);
        }
    }

    /// Hands on what has come.
    pub(super) fn hand_on(&mut self, effects: &mut Effects) {
        let bytes = std::mem::take(&mut self.pending);
        if !bytes.is_empty() {
            let offset = self.position;
            let len = bytes.len() as u64;
            self.position = self.position.saturating_add(len);
            self.unwritten = self.unwritten.saturating_add(len);
            effects.push(Effect::Write { offset, bytes });
        }
    }

    /// So many bytes are in the file.
    pub(super) fn written(&mut self, bytes: u64) {
        self.unwritten = self.unwritten.saturating_sub(bytes);
    }

    /// Whether the disk is so far behind that the peer has to wait.
    pub(super) fn is_choked(&self) -> bool {
        self.unwritten > TFTP_UNWRITTEN_BYTES_MAX
    }
}
