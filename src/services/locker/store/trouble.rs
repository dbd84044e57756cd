//! What can go wrong with the database, and what that says about the changes that were under way.

use std::fmt;

use rusqlite::ErrorCode;

/// Why the database did not do what it was asked.
#[derive(Debug)]
pub(super) enum Trouble {
    /// SQLite says so.
    Sqlite(rusqlite::Error),
    /// The database is readable, but what stands in it can't be.
    Damage(String),
    /// The database can't be used in the way that keeps what is acknowledged.
    Unfit(String),
}

/// What follows from a trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The disk is full: undone by SQLite, and the connection is as good as before.
    Full,
    /// The file or its file system is read-only: nothing was written.
    ReadOnly,
    /// A rule of the tables was broken, which only a fault of ours does; the statement was undone.
    Rule,
    /// Another program holds the database.
    Busy,
    /// The contents are not what they were.
    Damaged,
    /// It is no database, or it can't be opened.
    NotOpen,
    /// The disk: what was being written may or may not be there.
    Disk,
    /// Anything else, with the same consequence.
    Other,
}

impl Trouble {
    /// A row that does not have its checksum.
    pub(super) fn checksum(table: &str, row: impl fmt::Display) -> Self {
        Self::Damage(format!("row {row} of {table} does not have its checksum"))
    }

    pub(super) fn kind(&self) -> Kind {
        let error = match self {
            Self::Sqlite(error) => error,
            Self::Damage(_) => return Kind::Damaged,
            Self::Unfit(_) => return Kind::Other,
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Kind::Full,
            Some(ErrorCode::ReadOnly) => Kind::ReadOnly,
            Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => Kind::Rule,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Kind::Busy,
            Some(ErrorCode::DatabaseCorrupt) => Kind::Damaged,
            Some(ErrorCode::NotADatabase | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Kind::NotOpen
            }
            // Tables that are not ours, a value of a type that they do not allow: only damage or a
            // stranger brings them there.
            Some(ErrorCode::Unknown) | None => Kind::Damaged,
            Some(ErrorCode::SystemIoFailure) => Kind::Disk,
            Some(_) => Kind::Other,
        }
    }

    /// What stands in an answer: that nothing was changed, and why.
    pub(super) fn answer(&self) -> String {
        let why = match self.kind() {
            Kind::Full => "the disk is full",
            Kind::ReadOnly => "the database is read-only",
            Kind::Rule => "the database does not allow that",
            Kind::Busy => "another program uses the database",
            Kind::Damaged => "the database is damaged",
            Kind::NotOpen => "the database can't be opened",
            Kind::Disk => "the disk failed",
            Kind::Other => "the database failed",
        };
        format!("{why}; nothing was changed")
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, said) = match self {
            Self::Damage(what) => return write!(f, "is damaged: {what}"),
            Self::Unfit(what) => return f.write_str(what),
            Self::Sqlite(error) => (self.kind(), error),
        };
        match kind {
            Kind::Full => f.write_str("the disk is full"),
            Kind::ReadOnly => f.write_str("is read-only"),
            Kind::Rule => write!(f, "does not allow that: {said}"),
            Kind::Busy => f.write_str("another program uses it"),
            Kind::Damaged => write!(f, "is damaged: {said}"),
            Kind::NotOpen => write!(f, "can't be opened: {said}"),
            Kind::Disk => write!(f, "the disk failed: {said}"),
            Kind::Other => write!(f, "failed: {said}"),
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

#[cfg(test)]
mod tests;
