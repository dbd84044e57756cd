//! The threads that read ahead and write for transfers.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use super::pages::Pages;
use crate::config::limits::{FILE_JOBS_MAX, FILE_THREADS, READ_AHEAD_BYTES, TRANSFER_BYTES_MAX};
use crate::service::{Kit, Lane, OpenFile, SourceId, Workshop};

/// Work on a file that may block.
pub(in crate::reactor) enum FileJob {
    /// Get this range into the page cache.
    Warm {
        file: Arc<dyn OpenFile>,
        at: u64,
        len: usize,
    },
    /// Write these bytes.
    Write {
        file: Arc<dyn OpenFile>,
        at: u64,
        bytes: Vec<u8>,
    },
}

/// What came of it; an error by its number (errno(3)).
pub(in crate::reactor) enum FileDone {
    /// The range is in the cache, as far as the file goes.
    Warmed(Result<(), i32>),
    /// So many bytes are written, all of the job's.
    Written(Result<usize, i32>),
}

/// The lane, the buffer that copies go through, and when none are made.
#[derive(Default)]
pub(in crate::reactor) struct Files {
    pub(super) pages: Pages,
    lane: Lane<FileJob>,
    results: Option<Receiver<(SourceId, FileDone)>>,
    /// Jobs that the lane had no room for; one for each connection at most.
    waiting: VecDeque<(SourceId, FileJob)>,
    scratch: Box<[u8]>,
}

impl Files {
    /// Starts the threads.
    ///
    /// # Errors
    /// Where the system refuses one.
    pub(in crate::reactor) fn start(workshop: &mut Workshop) -> io::Result<Self> {
        let (mut kit, results) = Kit::new(workshop);
        let lane = kit.pool("files", (FILE_JOBS_MAX, FILE_THREADS), || {
            let mut scratch = Vec::new();
            move |job| run(job, &mut scratch)
        })?;
        Ok(Self {
            pages: Pages::of_this_kernel(),
            lane,
            results: Some(results),
            waiting: VecDeque::new(),
            scratch: vec![0; TRANSFER_BYTES_MAX].into_boxed_slice(),
        })
    }

    pub(super) fn scratch(&mut self) -> &mut [u8] {
        &mut self.scratch
    }

    /// That connection is closed, and so is its socket.
    pub(in crate::reactor) fn closed(&mut self, id: SourceId) {
        self.pages.closed(id);
    }

    pub(in crate::reactor) fn submit(&mut self, id: SourceId, job: FileJob) {
        if let Err(job) = self.lane.push(id, job) {
            self.waiting.push_back((id, job));
        }
    }

    /// What came of a job, if one is done; its place goes to one that waits.
    pub(in crate::reactor) fn result(&mut self) -> Option<(SourceId, FileDone)> {
        let result = self.results.as_ref()?.try_recv().ok()?;
        if let Some((id, job)) = self.waiting.pop_front()
            && let Err(job) = self.lane.push(id, job)
        {
            self.waiting.push_front((id, job));
        }
        Some(result)
    }
}

fn run(job: FileJob, scratch: &mut Vec<u8>) -> FileDone {
    let number = |error: io::Error| error.raw_os_error().unwrap_or(0);
    match job {
        FileJob::Warm { file, at, len } => {
            scratch.resize(len.min(READ_AHEAD_BYTES), 0);
            FileDone::Warmed(read_all(file.file(), at, scratch).map_err(number))
        }
        FileJob::Write { file, at, bytes } => {
            let written = file.file().write_all_at(&bytes, at).map(|()| bytes.len());
            FileDone::Written(written.map_err(number))
        }
    }
}

/// Reads the range, or what the file has of it.
fn read_all(file: &File, mut at: u64, mut rest: &mut [u8]) -> io::Result<()> {
    while !rest.is_empty() {
        match file.read_at(rest, at) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                at += count as u64;
                rest = &mut rest[count..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
