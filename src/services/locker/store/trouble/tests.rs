//! What errors of SQLite mean.

use rusqlite::ffi;

use super::*;

#[test]
fn an_error_is_put_in_words() {
    for (code, kind, answer) in [
        (ffi::SQLITE_FULL, Kind::Full, "the disk is full"),
        (
            ffi::SQLITE_READONLY_DBMOVED,
            Kind::ReadOnly,
            "the database is read-only",
        ),
        (
            ffi::SQLITE_CONSTRAINT_CHECK,
            Kind::Rule,
            "the database does not allow that",
        ),
        (
            ffi::SQLITE_BUSY,
            Kind::Busy,
            "another program uses the database",
        ),
        (
            ffi::SQLITE_CORRUPT,
            Kind::Damaged,
            "the database is damaged",
        ),
        (
            ffi::SQLITE_CANTOPEN,
            Kind::NotOpen,
            "the database can't be opened",
        ),
        (ffi::SQLITE_IOERR_WRITE, Kind::Disk, "the disk failed"),
        (ffi::SQLITE_IOERR_FSYNC, Kind::Disk, "the disk failed"),
        (ffi::SQLITE_NOMEM, Kind::Other, "the database failed"),
    ] {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        let trouble = Trouble::from(error);
        assert_eq!(trouble.kind(), kind, "{code}");
        assert_eq!(
            trouble.answer(),
            format!("{answer}; nothing was changed"),
            "{code}"
        );
    }
}
