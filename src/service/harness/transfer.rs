//! Transfers in the harness: done at once, on the test's own thread.

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::super::{OpenFile, SendFile, Transfer, TransferEnd};
use super::Harness;

/// A file that a peer fills.
pub(super) struct Receiving {
    file: Arc<dyn OpenFile>,
    from: u64,
    at: u64,
    end: u64,
}

impl Harness {
    pub(super) fn transfer(&mut self, place: usize, transfer: Transfer) {
        match transfer {
            Transfer::Send(range) => {
                let end = self.send(place, &range);
                self.transferred.push_back((place, end));
            }
            Transfer::Receive(range) => {
                let (from, end) = (range.from, range.from + range.len);
                self.peers[place].receiving = Some(Receiving {
                    file: range.file,
                    from,
                    at: from,
                    end,
                });
                // What was left unused goes first, once it is kept.
                self.resumed.push_back(place);
            }
        }
    }

    fn send(&mut self, place: usize, range: &SendFile) -> TransferEnd {
        let sent = &mut self.peers[place].sent;
        let start = sent.len();
        sent.resize(start + usize::try_from(range.len).unwrap_or(usize::MAX), 0);
        let read = range
            .file
            .file()
            .read_exact_at(&mut sent[start..], range.from);
        match read {
            Ok(()) if range.file.is_same() => TransferEnd::Whole,
            _ => {
                sent.truncate(start);
                TransferEnd::Changed
            }
        }
    }

    /// Writes what has come into the file; tells the session once it is whole.
    pub(super) fn fill(&mut self, place: usize) {
        let state = &mut self.peers[place];
        let Some(receiving) = &mut state.receiving else {
            return;
        };
        let missing = usize::try_from(receiving.end - receiving.at).unwrap_or(usize::MAX);
        let count = missing.min(state.kept.len());
        let bytes: Vec<u8> = state.kept.drain(..count).collect();
        let result = receiving.file.file().write_all_at(&bytes, receiving.at);
        receiving.at += count as u64;
        let end = match result {
            Err(error) => TransferEnd::Failed(error.raw_os_error().unwrap_or(0)),
            Ok(()) if receiving.at == receiving.end => TransferEnd::Whole,
            Ok(()) => return,
        };
        state.receiving = None;
        self.transferred.push_back((place, end));
    }

    /// The peer has ended its writing before the file was whole.
    pub(super) fn cut(&mut self, place: usize) {
        let Some(receiving) = self.peers[place].receiving.take() else {
            return;
        };
        let written = receiving.at - receiving.from;
        self.transferred
            .push_back((place, TransferEnd::Cut { written }));
    }
}
