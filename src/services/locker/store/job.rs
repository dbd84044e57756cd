//! What the store can be asked to do, and what it answers.

use std::path::PathBuf;
use std::time::Duration;

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In this file, in a folder that is there. Beside it lie `-wal` while the store is open, and a
    /// lock file with the extension `lock`, which stays.
    File(PathBuf),
    /// In memory, gone with the store; for tests.
    Memory,
}

/// One locker as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locker {
    /// Somebody has registered it and not retrieved since.
    pub in_use: bool,
    /// How often its password was set: a proof of the password holds for one epoch.
    pub epoch: u64,
    /// The password's hash in PHC form; a free locker still has that of its last user.
    pub hash: Option<String>,
    /// Whether the password is the one that a reset sets.
    pub is_default: bool,
    /// How many items lie in it.
    pub items: u32,
    /// How long a repeated retrieve is still answered; zero if it is not.
    pub repeat: Duration,
}

/// What is to be done to a locker. `epoch` is that in which the password was proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A free locker gets a user and a password.
    Register {
        /// The password's hash.
        hash: String,
    },
    /// An item is put into a locker in use.
    Store {
        /// See [`Change`].
        epoch: u64,
        /// At most 256 bytes.
        item: Vec<u8>,
    },
    /// All items are taken out, and the locker is free.
    Retrieve {
        /// See [`Change`].
        epoch: u64,
    },
    /// The last retrieve is answered once more; nothing is changed. How long this may be asked is
    /// the caller's to know, by a clock that does not jump.
    Again {
        /// See [`Change`].
        epoch: u64,
    },
    /// A locker in use gets the usual password and keeps its items.
    Reset {
        /// The usual password's hash.
        hash: String,
    },
    /// The same password, hashed with other parameters; the epoch stays.
    Rehash {
        /// See [`Change`].
        epoch: u64,
        /// The password's new hash.
        hash: String,
    },
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// A change, with its row in the audit trail.
    Change {
        /// The number of the locker.
        locker: u32,
        /// What.
        change: Change,
        /// Who, for the audit trail: a short text without secrets.
        actor: String,
    },
    /// Writes a copy of the database into a new file.
    Backup {
        /// The file; it must not be there yet.
        path: PathBuf,
    },
    /// Nothing: it is done once the database is in order, and so has been read anew.
    Look,
    /// Asks what was taken last out of a locker, until it is registered anew.
    Taken {
        /// The number of the locker.
        locker: u32,
    },
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The locker is its caller's.
    Registered {
        /// The epoch of the new password.
        epoch: u64,
    },
    /// The item lies in the locker.
    Stored {
        /// How many lie there now.
        items: u32,
    },
    /// The locker is free, and these lay in it, in the order in which they came.
    Retrieved {
        /// All of them.
        items: Vec<Vec<u8>>,
    },
    /// What the last retrieve got.
    Again {
        /// All of them.
        items: Vec<Vec<u8>>,
    },
    /// The usual password is set.
    Reset {
        /// The epoch of the usual password.
        epoch: u64,
    },
    /// The new hash is kept.
    Rehashed,
    /// The database is in order.
    Looked,
    /// The copy is whole and on the disk.
    BackedUp {
        /// Its size.
        bytes: u64,
    },
    /// What was taken last.
    Taken {
        /// When, in seconds since 1970.
        at: u64,
        /// All items.
        items: Vec<Vec<u8>>,
    },
    /// The locker is not in the state that the job needs; nothing was changed.
    Refused(Refusal),
    /// Nothing was changed, and why, in words that may stand behind `error: `.
    Failed(String),
    /// The commit failed: the change may or may not come true.
    Unknown,
}

/// Why a job does not fit the state of its locker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is in use.
    InUse,
    /// It is free.
    Free,
    /// Its password was set anew since it was proved.
    Changed,
    /// It holds as many items as it may.
    Full,
    /// Nothing that was taken out is kept for it.
    TooLate,
}

impl Job {
    pub(super) fn is_change(&self) -> bool {
        matches!(self, Self::Change { .. })
    }
}
