//! Bulk data that does not pass through sessions: a range of an open file to the peer, or from it.

use std::fmt;
use std::fs::File;
use std::sync::Arc;

/// What a file was when it was opened: if it is not the same at the end of a transfer, what was
/// sent is no version of the file at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// When its contents changed last, in nanoseconds since 1970.
    pub modified: i128,
    /// When its inode changed last, in nanoseconds since 1970.
    pub changed: i128,
    /// Its inode.
    pub inode: u64,
}

/// A range of a file for the peer.
#[derive(Debug, Clone)]
pub struct SendFile {
    /// Open for reading, a regular file.
    pub file: Arc<File>,
    /// The first byte.
    pub from: u64,
    /// How many bytes; the range lies within the file as the stamp describes it.
    pub len: u64,
    /// What the file was when it was opened.
    pub stamp: Stamp,
}

/// What the peer sends next, for a file.
#[derive(Debug, Clone)]
pub struct ReceiveFile {
    /// Open for writing. Whoever lends it may tell by the count of the `Arc` when no write of a
    /// transfer is under way any more.
    pub file: Arc<File>,
    /// Where the first byte goes.
    pub from: u64,
    /// How many bytes.
    pub len: u64,
}

/// What a callback asks for.
#[derive(Debug, Clone)]
pub enum Transfer {
    /// See [`SendFile`].
    Send(SendFile),
    /// See [`ReceiveFile`].
    Receive(ReceiveFile),
}

/// How a transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferEnd {
    /// All of the range was taken by the kernel for the peer, or is written into the file (but not
    /// synced).
    Whole,
    /// The peer ended its writing before the range was whole; so many bytes are written.
    Cut {
        /// From the beginning of the range, without gaps.
        written: u64,
    },
    /// The file is not what it was: the last bytes were held back, and what the peer has is
    /// nothing.
    Changed,
    /// The file could not be read or written; the error's number (errno(3)).
    Failed(i32),
}

impl fmt::Display for TransferEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("whole"),
            Self::Cut { written } => write!(f, "cut after {written} bytes"),
            Self::Changed => f.write_str("the file has changed meanwhile"),
            Self::Failed(errno) => write!(f, "error {errno} of the file"),
        }
    }
}
