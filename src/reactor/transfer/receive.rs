//! What a peer sends, on its way into a file.

use std::sync::Arc;

use super::lane::FileJob;
use crate::config::limits::RECEIVE_BYTES_MAX;
use crate::reactor::buffer::Inbound;
use crate::reactor::connection::Connection;
use crate::service::{OpenFile, ReceiveFile, TransferEnd};

/// A range of a file that a peer fills.
pub(in crate::reactor) struct Receiving {
    file: Arc<dyn OpenFile>,
    from: u64,
    /// Up to here all is written.
    written: u64,
    end: u64,
    /// Bytes that the lane is writing, behind `written`.
    writing: usize,
    /// Bytes that have come and wait, behind those.
    pending: Vec<u8>,
    failed: Option<i32>,
    /// The peer has ended its writing.
    cut: bool,
}

impl Receiving {
    fn new(range: ReceiveFile) -> Self {
        let ReceiveFile { file, from, len } = range;
        Self {
            file,
            from,
            written: from,
            end: from.saturating_add(len),
            writing: 0,
            pending: Vec::new(),
            failed: None,
            cut: false,
        }
    }

    /// How many bytes are still to come.
    pub(in crate::reactor) fn missing(&self) -> u64 {
        let got = self.written + self.writing as u64 + self.pending.len() as u64;
        self.end.saturating_sub(got)
    }

    /// Whether there is room for more.
    pub(in crate::reactor) fn has_room(&self, crowded: bool) -> bool {
        let waiting = self.writing + self.pending.len();
        let room = match crowded {
            true => waiting == 0,
            false => waiting < RECEIVE_BYTES_MAX,
        };
        room && self.missing() > 0 && self.failed.is_none() && !self.cut
    }

    pub(in crate::reactor) fn take(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The peer has ended its writing.
    pub(in crate::reactor) fn cut(&mut self) {
        self.cut = true;
    }

    /// What is to be written next, if nothing is being written.
    pub(in crate::reactor) fn next_job(&mut self) -> Option<FileJob> {
        if self.writing > 0 || self.pending.is_empty() || self.failed.is_some() {
            return None;
        }
        let bytes = std::mem::take(&mut self.pending);
        self.writing = bytes.len();
        Some(FileJob::Write {
            file: Arc::clone(&self.file),
            at: self.written,
            bytes,
        })
    }

    pub(in crate::reactor) fn written(&mut self, result: Result<usize, i32>) {
        match result {
            Ok(count) => self.written += count as u64,
            Err(errno) => self.failed = Some(errno),
        }
        self.writing = 0;
    }

    /// How it ended, if it has.
    pub(in crate::reactor) fn ended(&self) -> Option<TransferEnd> {
        if self.writing > 0 {
            return None;
        }
        if let Some(errno) = self.failed {
            return Some(TransferEnd::Failed(errno));
        }
        if self.written == self.end {
            return Some(TransferEnd::Whole);
        }
        let written = self.written - self.from;
        (self.cut && self.pending.is_empty()).then_some(TransferEnd::Cut { written })
    }

    /// Whether a turn has something to do: a job to hand over, or an end to tell.
    pub(in crate::reactor) fn wants_turn(&self) -> bool {
        self.writing == 0 && (!self.pending.is_empty() || self.ended().is_some())
    }

    /// Whether the lane is writing into it.
    pub(in crate::reactor) fn is_writing(&self) -> bool {
        self.writing > 0
    }

    /// Bytes of memory held, those with the lane included.
    pub(in crate::reactor) fn held(&self) -> usize {
        self.pending.capacity() + self.writing
    }
}

impl Connection {
    /// The file that its peer fills, if it does.
    pub(in crate::reactor) fn receiving(&mut self) -> Option<&mut Receiving> {
        self.inbound.as_mut()?.file.as_mut()
    }

    /// Has what comes next go into a file, beginning with what was left unused.
    pub(in crate::reactor) fn receive_file(&mut self, range: ReceiveFile) {
        let inbound = self.inbound.get_or_insert_with(Box::default);
        let mut receiving = Receiving::new(range);
        let here = usize::try_from(receiving.missing()).unwrap_or(usize::MAX);
        let here = here.min(inbound.bytes.len());
        receiving.take(&inbound.bytes[..here]);
        inbound.bytes.drain(..here);
        inbound.file = Some(receiving);
    }

    /// The file has all that it will get.
    pub(in crate::reactor) fn end_receiving(&mut self) {
        let Some(mut inbound) = self.inbound.take() else {
            return;
        };
        if !inbound.bytes.is_empty() {
            inbound.file = None;
            self.inbound = Some(inbound);
        }
    }
}

impl Inbound {
    /// Bytes of memory held.
    pub(in crate::reactor) fn held(&self) -> usize {
        self.bytes.capacity() + self.file.as_ref().map_or(0, Receiving::held)
    }
}
