//! A range of a file on its way to a peer.

use std::io::IoSliceMut;

use rustix::io::{Errno, ReadWriteFlags, pread, preadv2};

use super::lane::{FileJob, Files};
use crate::config::limits::READ_AHEAD_BYTES;
use crate::reactor::buffer::Outbound;
use crate::reactor::connection::{Connection, Phase};
use crate::service::{SendFile, SourceId, TransferEnd};

/// What is left of a range.
pub(in crate::reactor) struct Sending {
    pub(super) range: SendFile,
    /// The next byte for the peer.
    pub(super) at: u64,
    pub(super) end: u64,
    /// Up to here the lane has just read: reading does not block, or not for long.
    pub(super) warm_to: u64,
    /// Up to here it was in the page cache, at some places.
    pub(super) probed_to: u64,
    /// Why the lane could not read ahead (errno(3)).
    pub(super) failed: Option<i32>,
    /// A piece was sent without a copy, or was to be.
    pub(super) begun: bool,
    /// Sending without a copy is refused.
    pub(super) copies: bool,
    /// The lane reads ahead.
    pub(in crate::reactor) cold: bool,
}

/// What one turn of sending came to.
pub(in crate::reactor) enum Pumped {
    /// The peer took some.
    Moved,
    /// It took nothing.
    Blocked,
    /// The file has to be read ahead first.
    Cold(FileJob),
    /// Nothing is left, or nothing more will come.
    Ended(TransferEnd),
}

impl Sending {
    pub(in crate::reactor) fn new(range: SendFile) -> Self {
        let (at, end) = (range.from, range.from.saturating_add(range.len));
        Self {
            range,
            at,
            end,
            warm_to: at,
            probed_to: at,
            failed: None,
            begun: false,
            copies: false,
            cold: false,
        }
    }

    /// Reads the next piece, if that does not block.
    fn read<'a>(&self, scratch: &'a mut [u8]) -> Result<&'a [u8], Errno> {
        // To ask the disk again here would hold up the loop as long as it takes to fail.
        if let Some(errno) = self.failed {
            return Err(Errno::from_raw_os_error(errno));
        }
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let want = scratch.len().min(left);
        let file = self.range.file.file();
        let count = match usize::try_from(self.warm_to.saturating_sub(self.at)) {
            Ok(warm) if warm > 0 => pread(file, &mut scratch[..want.min(warm)], self.at)?,
            _ => {
                let mut slices = [IoSliceMut::new(&mut scratch[..want])];
                preadv2(file, &mut slices, self.at, ReadWriteFlags::NOWAIT)?
            }
        };
        Ok(&scratch[..count])
    }

    /// The lane has read ahead, or could not.
    fn warmed(&mut self, result: Result<(), i32>) {
        self.cold = false;
        match result {
            Ok(()) => self.warm_to = self.at.saturating_add(READ_AHEAD_BYTES as u64),
            Err(errno) => self.failed = Some(errno),
        }
    }

    fn ahead(&mut self) -> FileJob {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        self.cold = true;
        FileJob::Warm {
            file: self.range.file.clone(),
            at: self.at,
            len: left.min(READ_AHEAD_BYTES),
        }
    }
}

impl Connection {
    /// Whether the next to be written comes from a file.
    pub(in crate::reactor) fn sends_file(&self) -> bool {
        let outbound = self.outbound.as_ref();
        outbound.is_some_and(|outbound| outbound.unsent().is_empty() && outbound.file.is_some())
    }

    /// Puts a file behind what waits to be written.
    pub(in crate::reactor) fn send_file(&mut self, range: SendFile) {
        let outbound = self.outbound.get_or_insert_with(Box::default);
        outbound.file = Some(Sending::new(range));
        self.mark_water();
    }

    /// Forgets a file that can't be sent any more.
    pub(in crate::reactor) fn drop_file(&mut self) {
        if self.phase == Phase::Dead
            && let Some(outbound) = &mut self.outbound
        {
            outbound.file = None;
        }
    }

    /// Sends one budget of the file.
    pub(super) fn pump(&mut self, id: SourceId, files: &mut Files) -> Pumped {
        let Some(mut outbound) = self.outbound.take() else {
            return Pumped::Blocked;
        };
        let pumped = self.pump_from(id, &mut outbound, files);
        if !matches!(pumped, Pumped::Ended(_)) && self.phase != Phase::Dead {
            self.outbound = Some(outbound);
        }
        self.mark_water();
        pumped
    }

    fn pump_from(&mut self, id: SourceId, outbound: &mut Outbound, files: &mut Files) -> Pumped {
        let Some(sending) = &mut outbound.file else {
            return Pumped::Blocked;
        };
        if let Some(pumped) = self.pump_pages(id, sending, &mut files.pages) {
            return pumped;
        }
        let bytes = match sending.at == sending.end {
            true => &[],
            false => match sending.read(files.scratch()) {
                Ok([]) => return Pumped::Ended(TransferEnd::Changed),
                Ok(bytes) => bytes,
                // Not in the cache, or the file system does not know the question.
                Err(Errno::AGAIN | Errno::OPNOTSUPP) => return Pumped::Cold(sending.ahead()),
                Err(Errno::INTR) => return Pumped::Moved,
                Err(errno) => return Pumped::Ended(TransferEnd::Failed(errno.raw_os_error())),
            },
        };
        // The last bytes are what makes it whole, so they go only if all of it is one version: it is
        // looked at after the last read.
        let is_last = sending.at + bytes.len() as u64 == sending.end;
        if is_last && !sending.range.file.is_same() {
            return Pumped::Ended(TransferEnd::Changed);
        }
        let taken = match bytes.is_empty() {
            true => 0,
            false => self.write_some(bytes),
        };
        sending.at += taken as u64;
        match sending.at == sending.end {
            true => Pumped::Ended(TransferEnd::Whole),
            false if taken == 0 => Pumped::Blocked,
            false => Pumped::Moved,
        }
    }

    /// The lane has read ahead.
    pub(in crate::reactor) fn warmed(&mut self, result: Result<(), i32>) {
        let Some(sending) = self.outbound.as_mut().and_then(|o| o.file.as_mut()) else {
            return;
        };
        sending.warmed(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::OpenFile;
    use std::fs::File;
    use std::io::Write as _;
    use std::sync::Arc;

    struct Plain(File);

    impl OpenFile for Plain {
        fn file(&self) -> &File {
            &self.0
        }
    }

    #[test]
    fn a_disk_that_has_failed_on_the_lane_is_not_asked_again_by_the_loop() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"hello").unwrap();
        let range = SendFile {
            file: Arc::new(Plain(file)),
            from: 1,
            len: 3,
        };
        let mut sending = Sending::new(range);
        sending.warmed(Ok(()));
        assert_eq!(sending.read(&mut [0; 16]), Ok(&b"ell"[..]));
        sending.warmed(Err(Errno::IO.raw_os_error()));
        assert_eq!(sending.read(&mut [0; 16]), Err(Errno::IO));
    }
}
