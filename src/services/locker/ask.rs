//! What a client can ask for and what it can be told, apart from how a wire writes it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::password::Secret;
use crate::config::limits::{LOCKER_ITEM_BYTES_MAX, LOCKER_ITEMS_MAX, LOCKER_PASSWORD_BYTES_MAX};

/// What a client asks for.
#[derive(Debug)]
pub(super) enum Ask {
    /// Which lockers are free.
    Show,
    /// A free locker, under this password.
    Register { locker: u32, password: Secret },
    /// Something with a locker, for whoever has its password.
    Open {
        locker: u32,
        password: Secret,
        purpose: Purpose,
    },
    /// To put an item into the locker whose password this session has shown last.
    Put { locker: u32, item: Vec<u8> },
    /// To have the password set to `0000`.
    Reset { locker: u32 },
    /// A copy of the database in this file.
    Backup { path: PathBuf },
}

/// What a password is shown for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To know whether it is right: the binary wire asks before it sends the item.
    Check,
    /// To put an item in.
    Store(Vec<u8>),
    /// To take all items out, which frees the locker.
    Retrieve,
}

/// What a client is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// For each locker whether it is free.
    Lockers(Vec<bool>),
    /// The locker is the client's.
    Registered(u32),
    /// The password is right.
    Right,
    /// The item is in; so many are in the locker now.
    Stored(u32),
    /// These were taken out.
    Retrieved(Vec<Vec<u8>>),
    /// The password is `0000`.
    Reset,
    /// A person has to decide first.
    Waiting,
    /// The copy is made; so many bytes.
    BackedUp(u64),
    /// No, and nothing was changed.
    No(Refusal),
    /// Nobody knows: the disk failed in the middle.
    Unknown,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Lockers are numbered from 0 to one less than this.
    NoLocker {
        locker: u32,
        count: u32,
    },
    InUse(u32),
    Free(u32),
    WrongPassword(u32),
    TooMany {
        locker: u32,
        wait: Duration,
    },
    PasswordLength,
    ItemLength,
    Full(u32),
    /// It has another owner by now.
    ChangedHands(u32),
    Busy,
    /// Nobody is at the console.
    NobodyThere,
    /// Too many calls wait for the administrator.
    TooManyCalls,
    /// For the user of the server or root, on a Unix socket.
    NotAllowed,
    /// The path of a copy has to be absolute.
    NotAbsolute,
    /// The store said no, in words.
    Failed(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLocker { locker, count } => {
                let last = count.saturating_sub(1);
                write!(f, "there is no locker {locker}; there are 0 to {last}")
            }
            Self::InUse(locker) => write!(f, "locker {locker} is in use"),
            Self::Free(locker) => write!(f, "locker {locker} is free"),
            Self::WrongPassword(locker) => write!(f, "wrong password for locker {locker}"),
            Self::TooMany { locker, wait } => {
                // Rounded up, so that nobody comes back too early.
                let seconds = wait.as_millis().div_ceil(1000);
                write!(
                    f,
                    "too many wrong passwords for locker {locker}; try again in {seconds} s"
                )
            }
            Self::PasswordLength => {
                write!(f, "a password has 1 to {LOCKER_PASSWORD_BYTES_MAX} bytes")
            }
            Self::ItemLength => write!(f, "an item has 1 to {LOCKER_ITEM_BYTES_MAX} bytes"),
            Self::Full(locker) => {
                write!(f, "locker {locker} is full, {LOCKER_ITEMS_MAX} items")
            }
            Self::ChangedHands(locker) => {
                write!(f, "locker {locker} has changed hands; nothing was changed")
            }
            Self::Busy => f.write_str("busy, try again"),
            Self::NobodyThere => f.write_str("no administrator is there"),
            Self::TooManyCalls => f.write_str("busy, too many wait for the administrator"),
            Self::NotAllowed => {
                f.write_str("a copy is for the server's own user, on a Unix socket")
            }
            Self::NotAbsolute => f.write_str("the path of a copy begins with a '/'"),
            Self::Failed(words) => f.write_str(words),
        }
    }
}

/// Whether a password may be looked at.
pub(super) fn check_length(password: &Secret) -> Result<(), Answer> {
    match (1..=LOCKER_PASSWORD_BYTES_MAX).contains(&password.len()) {
        true => Ok(()),
        false => Err(Answer::No(Refusal::PasswordLength)),
    }
}

/// Whether an item may be put in.
pub(super) fn check_item(item: &[u8]) -> Result<(), Answer> {
    match (1..=LOCKER_ITEM_BYTES_MAX).contains(&item.len()) {
        true => Ok(()),
        false => Err(Answer::No(Refusal::ItemLength)),
    }
}
