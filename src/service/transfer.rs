//! Bulk data that does not pass through sessions: a range of an open file to the peer, or from it.

use std::fmt;
use std::fs::File;
use std::sync::Arc;

/// A file that a service has opened, for the runner to read from or to write into.
pub trait OpenFile: Send + Sync {
    /// The file; it is used by position only.
    fn file(&self) -> &File;

    /// Whether its content is still what it was when it was opened. Asked before the last bytes of
    /// a range are sent, which are what makes it whole.
    fn is_same(&self) -> bool {
        true
    }
}

/// A range of a file for the peer.
#[derive(Clone)]
pub struct SendFile {
    /// Open for reading, a regular file.
    pub file: Arc<dyn OpenFile>,
    /// The first byte.
    pub from: u64,
    /// How many bytes; the range lies within the file as it was opened.
    pub len: u64,
}

/// What the peer sends next, for a file.
#[derive(Clone)]
pub struct ReceiveFile {
    /// Open for writing. By the time that `transferred` or `closed` is called nothing writes into it
    /// any more, and the runner holds no `Arc` of it.
    pub file: Arc<dyn OpenFile>,
    /// Where the first byte goes.
    pub from: u64,
    /// How many bytes.
    pub len: u64,
}

/// What a callback asks for.
#[derive(Clone)]
pub enum Transfer {
    /// See [`SendFile`].
    Send(SendFile),
    /// See [`ReceiveFile`].
    Receive(ReceiveFile),
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(range) => write!(f, "send {} bytes from {}", range.len, range.from),
            Self::Receive(range) => write!(f, "receive {} bytes from {}", range.len, range.from),
        }
    }
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
