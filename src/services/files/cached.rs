//! Whether a part of a file is in memory, so that reading it cannot make the loop wait for a disk.
//!
//! A regular file is always "ready", so the poller cannot tell. preadv2 with RWF_NOWAIT can: it
//! reads what is in the page cache and says EAGAIN where it would have to wait. mincore tells only
//! about mapped memory, and a page that it saw may be gone at the read.
//!
//! To ask is not free of the disk: where nothing is in memory, the kernel begins to fetch it and
//! does not wait. That takes some 15 µs, and longer where the disk's queue is full or where the
//! file system has to look up which blocks are meant. So a lane should be ahead of the reader.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use rustix::fs::{Advice, fadvise};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use crate::config::limits::FILE_READ_BYTES;

/// What a read that does not wait came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warm {
    /// So many bytes were read, perhaps fewer than asked: ask again behind them. 0 is the end of
    /// the file.
    Read(usize),
    /// Nothing could be read without waiting: have a lane call [`warm_up`].
    Cold,
    /// This file system cannot tell; every read of it may wait.
    Unknown,
}

/// Reads from `offset`, but only what is in memory. It costs what any read of it costs.
///
/// # Errors
/// What reading failed with.
pub fn read_warm(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<Warm> {
    // The largest offset would mean "where the last read ended".
    if offset > i64::MAX.cast_unsigned() {
        return Err(Errno::INVAL.into());
    }
    let buffers = &mut [IoSliceMut::new(buffer)];
    loop {
        return match preadv2(file, buffers, offset, ReadWriteFlags::NOWAIT) {
            Ok(read) => Ok(Warm::Read(read)),
            Err(Errno::AGAIN) => Ok(Warm::Cold),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(Warm::Unknown),
            Err(Errno::INTR) => continue,
            Err(errno) => Err(errno.into()),
        };
    }
}

/// Reads a range, so that it is in memory afterwards; waits for the disk, so it is for a lane.
///
/// What comes behind the range is asked for too, without waiting. Gives the number of bytes that
/// are there: fewer than the range where the file ends before.
///
/// # Errors
/// What reading failed with.
pub fn warm_up(file: &File, range: &Range<u64>, buffer: &mut Vec<u8>) -> io::Result<u64> {
    buffer.resize(FILE_READ_BYTES, 0);
    let mut at = range.start;
    while at < range.end {
        let wanted = usize::try_from(range.end - at).unwrap_or(usize::MAX);
        let room = wanted.min(buffer.len());
        match file.read_at(&mut buffer[..room], at) {
            Ok(0) => return Ok(at - range.start),
            Ok(read) => at += read as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let behind = std::num::NonZeroU64::new(range.end.saturating_sub(range.start));
    // It is only advice: a file system that takes none is read when it is read.
    let _ = fadvise(file, range.end, behind, Advice::WillNeed);
    Ok(at.saturating_sub(range.start))
}

#[cfg(test)]
mod tests;
