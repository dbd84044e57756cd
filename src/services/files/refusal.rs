//! Why something about a file was not done, in sentences that a wire puts behind `error: `.
//!
//! A client knows which name it asked for, so no sentence repeats it.

use std::fmt;
use std::io;

use rustix::io::Errno;

use crate::wire::files::{CHANGED, UPLOADING};

/// Why a request was refused, or what ended it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing has that name.
    NoSuchFile,
    /// A file was asked for, and this is a folder.
    IsFolder,
    /// A folder was asked for, and this is none, or something before a `/` is none.
    NoFolder,
    /// A device, a pipe, a socket.
    NotRegular,
    /// Some part of the name is a link, or leads out of the root in another way.
    Link,
    /// The system does not let the server.
    NoPermission,
    /// Somebody holds or moves it just now.
    Moving,
    /// The range that was asked for is not in the file.
    Beyond {
        /// The file's size in bytes.
        size: u64,
    },
    /// The file is not what it was when it was opened.
    Changed,
    /// There is a file of that name, and files are not replaced here.
    Exists,
    /// Another upload of that name is under way.
    Uploading,
    /// The upload is larger than one may be.
    TooLarge {
        /// The most bytes.
        max: u64,
    },
    /// All unfinished uploads together would be too large, or are too many.
    TooManyPartials,
    /// The disk has room, but less would be left than must be.
    NoRoom,
    /// The folder is on another file system than the root, so nothing can be moved into it at once.
    OtherFileSystem,
    /// Not as many bytes came as were announced.
    WrongSize {
        /// Bytes that are there.
        have: u64,
        /// Bytes that were announced.
        declared: u64,
    },
    /// The disk is full (ENOSPC).
    DiskFull,
    /// The server's user has used up its share of the disk (EDQUOT).
    ShareFull,
    /// The file system or the server's limits take no file so large (EFBIG).
    FileTooLarge,
    /// The file system takes no changes (EROFS).
    ReadOnly,
    /// The disk failed (EIO).
    DiskFailed,
    /// The server has too many files open (EMFILE, ENFILE).
    NoDescriptors,
    /// The file is in its place, but may be lost where the power fails now.
    NotSafe(Box<Refusal>),
    /// Anything else, in the system's words.
    Other(String),
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOENT => Self::NoSuchFile,
            Errno::ISDIR => Self::IsFolder,
            Errno::NOTDIR => Self::NoFolder,
            Errno::NXIO | Errno::NODEV => Self::NotRegular,
            Errno::LOOP | Errno::XDEV => Self::Link,
            Errno::ACCESS | Errno::PERM => Self::NoPermission,
            Errno::AGAIN | Errno::TXTBSY | Errno::BUSY => Self::Moving,
            Errno::EXIST | Errno::NOTEMPTY => Self::Exists,
            Errno::NOSPC => Self::DiskFull,
            Errno::DQUOT => Self::ShareFull,
            Errno::FBIG => Self::FileTooLarge,
            Errno::ROFS => Self::ReadOnly,
            Errno::IO => Self::DiskFailed,
            Errno::MFILE | Errno::NFILE => Self::NoDescriptors,
            other => Self::Other(words(&other.into())),
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(errno) => errno.into(),
            None => Self::Other(words(&error)),
        }
    }
}

impl Refusal {
    /// Whether what an upload has sent so far is of use after this: no room can come back, but a
    /// disk that failed may have lost what it took before.
    pub fn keeps_partial(&self) -> bool {
        !matches!(
            self,
            Self::DiskFailed | Self::FileTooLarge | Self::TooLarge { .. } | Self::Exists
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::NoSuchFile => "there is no file or folder of that name",
            Self::IsFolder => "this is a folder, not a file",
            Self::NoFolder => "this is a file, or has one before a '/', where a folder is needed",
            Self::NotRegular => "this is a device, a pipe or a socket, not a file",
            Self::Link => "a part of this name is a link; links are not followed",
            Self::NoPermission => "the server has no permission for this",
            Self::Moving => "this is being moved or changed just now; try again",
            Self::Changed => CHANGED,
            Self::Exists => "there is a file of that name, and files are not replaced here",
            Self::Uploading => UPLOADING,
            Self::TooManyPartials => "unfinished uploads take all the room they may; try later",
            Self::NoRoom => "the disk has too little room for this",
            Self::OtherFileSystem => "this folder is on another disk; nothing is uploaded to it",
            Self::DiskFull => "the disk is full",
            Self::ShareFull => "the server has used up its share of the disk",
            Self::FileTooLarge => "the file system takes no file as large as this",
            Self::ReadOnly => "the disk is read-only",
            Self::DiskFailed => "the disk failed",
            Self::NoDescriptors => "the server has too many files open; try again",
            Self::Other(words) => words,
            Self::Beyond { size } => return write!(f, "the file has only {size} bytes"),
            Self::TooLarge { max } => return write!(f, "an upload has at most {max} bytes"),
            Self::WrongSize { have, declared } => {
                return write!(f, "{declared} bytes were announced and {have} are there");
            }
            Self::NotSafe(why) => {
                return write!(
                    f,
                    "the file is there but may be lost if the power fails: {why}"
                );
            }
        };
        f.write_str(words)
    }
}

/// What the system said, without its number, as the end of a sentence.
pub(super) fn words(error: &io::Error) -> String {
    let mut text = error.to_string();
    if let Some(at) = text.rfind(" (os error ") {
        text.truncate(at);
    }
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_one_sentence() {
        let table = [
            (Errno::NOENT, "there is no file or folder of that name"),
            (Errno::NOSPC, "the disk is full"),
            (Errno::DQUOT, "the server has used up its share of the disk"),
            (
                Errno::FBIG,
                "the file system takes no file as large as this",
            ),
            (Errno::IO, "the disk failed"),
            (Errno::ROFS, "the disk is read-only"),
            (Errno::NOMEM, "cannot allocate memory"),
        ];
        for (errno, words) in table {
            assert_eq!(Refusal::from(errno).to_string(), words);
            assert_eq!(Refusal::from(io::Error::from(errno)).to_string(), words);
        }
        assert!(Refusal::DiskFull.keeps_partial() && !Refusal::DiskFailed.keeps_partial());
    }
}
