//! Opens the database: makes a new one, or verifies one that is there before anything is changed
//! in it.
//!
//! A new database is made under another name and gets its own when it is whole and synced, so a
//! first start that is killed leaves nothing that a second one would have to understand.

use std::fs;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::files::{self, Found};
use super::known::Known;
use super::rows::{self, Row};
use super::schema::{self, VERSION};
use super::trail::{self, Head};
use super::trouble::Trouble;
use crate::config::limits::{LOCKER_CACHE_KIB, LOCKER_LOG_BYTES_MAX};

/// A database that is verified and in use.
pub(super) struct Base {
    pub db: Connection,
    pub known: Known,
    pub head: Head,
    /// Rows that were written since the log was asked how long it is.
    pub unasked: usize,
    /// A commit that a test has chosen to fail.
    #[cfg(test)]
    pub fault: Option<super::tests::Fault>,
}

impl Base {
    fn new(db: Connection, known: Known, head: Head) -> Self {
        Self {
            db,
            known,
            head,
            unasked: 0,
            #[cfg(test)]
            fault: None,
        }
    }

    /// Closes the connection and leaves database and log as they are.
    ///
    /// SQLite would otherwise checkpoint: sync the log, which proves nothing after a sync has
    /// failed, write into the database, and remove the log. What a failed commit left behind is
    /// looked at by the next opening alone, which begins with [`files::settle_log`].
    pub(super) fn abandon(self) {
        leave_log(&self.db);
        drop(self.db);
    }
}

/// Makes the database if there is none.
pub(super) fn make(
    path: &Path,
    count: &mut dyn FnMut() -> Result<u32, String>,
    now_ms: i64,
) -> Result<(), String> {
    match files::look(path)? {
        Found::Ours => return Ok(()),
        Found::Nobodys if !holds_nothing(path) => {
            let path = path.display();
            return Err(format!(
                "{path}: is the database of another program; it was left as it is"
            ));
        }
        Found::Nobodys | Found::Nothing => {}
    }
    let count = count()?;
    let fresh = files::beside(path, ".new");
    let written = |error: &std::io::Error| files::said(&fresh, error);
    // What a killed first start left; its journal and log would be played into the new file.
    for left in ["", "-journal", "-wal"] {
        files::remove(&files::beside(&fresh, left)).map_err(|error| written(&error))?;
    }
    let file = files::create_new(&fresh).map_err(|error| written(&error))?;
    fill(&fresh, count, now_ms).map_err(|trouble| format!("{}: {trouble}", fresh.display()))?;
    // Open since before the first write, so it hears of every write that failed since; closed only
    // after SQLite has closed its own, whose locks would go with it.
    file.sync_all().map_err(|error| written(&error))?;
    drop(file);
    fs::rename(&fresh, path)
        .and_then(|()| files::sync_folder(path))
        .map_err(|error| files::said(path, &error))?;
    Ok(())
}

/// Writes a whole new database into an empty file, which is not synced.
///
/// Nobody reads it before it is synced and has its name, and what a killed start left is thrown away:
/// so it needs no journal on the disk, and none of the ten syncs that go with one.
fn fill(fresh: &Path, count: u32, now_ms: i64) -> Result<(), Trouble> {
    let db = connect(fresh)?;
    db.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; BEGIN IMMEDIATE")?;
    schema::create(&db, count, now_ms)?;
    // In the header, so that the file need not be changed for it later.
    db.execute_batch("COMMIT; PRAGMA journal_mode = WAL")?;
    db.close().map_err(|(_, error)| error.into())
}

/// A database of a program without a mark, which has no tables: nothing is lost if it is replaced.
fn holds_nothing(path: &Path) -> bool {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    Connection::open_with_flags(path, flags)
        .and_then(|db| {
            db.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
            db.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))
        })
        .is_ok_and(|count: i64| count == 0)
}

/// Opens the database, which is there, and gives its lockers. Errors are sentences with its name.
pub(super) fn open(path: &Path, now_ms: i64) -> Result<(Base, Vec<Row>), String> {
    if !matches!(files::look(path)?, Found::Ours) {
        return Err(format!("{}: is no longer there", path.display()));
    }
    files::make_private(path)?;
    files::settle_log(path)?;
    let named = |trouble: Trouble| match trouble {
        Trouble::Damage(_) => format!("{}: {trouble}; it was left as it is", path.display()),
        other => format!("{}: {other}", path.display()),
    };
    let db = connect(path).map_err(named)?;
    // Until everything is verified, not even closing may change the file.
    leave_log(&db);
    let version = verify(&db).map_err(named)?;
    if version > VERSION {
        let newer = files::newer(version);
        return Err(format!("{}: {newer}; it was left as it is", path.display()));
    }
    let (lockers, known, head) = match version == VERSION {
        true => {
            let read = load(&db).map_err(named)?;
            settle(&db).map_err(named)?;
            read
        }
        false => {
            schema::verify_old(&db, version).map_err(named)?;
            settle(&db).map_err(named)?;
            back_up_before(path, &db, version)?;
            schema::migrate(&db, version, now_ms).map_err(named)?
        }
    };
    // From here on a close writes the log into the database and removes it.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        .map_err(|error| named(error.into()))?;
    Ok((Base::new(db, known, head), lockers))
}

/// What is read when a database is opened.
pub(super) type Read = (Vec<Row>, Known, Head);

/// Reads and verifies all lockers and items and the newest of the trail.
pub(super) fn load(db: &Connection) -> Result<Read, Trouble> {
    let (lockers, head) = (rows::load(db)?, trail::verify(db)?);
    let known = rows::load_items(db, &lockers, &head)?;
    Ok((lockers, known, head))
}

/// A database in memory, for tests.
pub(super) fn in_memory(count: u32, now_ms: i64) -> Result<(Base, Vec<Row>), Trouble> {
    let db = Connection::open_in_memory()?;
    db.execute_batch("PRAGMA foreign_keys = ON")?;
    schema::create(&db, count, now_ms)?;
    let (lockers, known, head) = load(&db)?;
    Ok((Base::new(db, known, head), lockers))
}

fn connect(path: &Path) -> Result<Connection, Trouble> {
    // Without CREATE: the file was made before, with its mode.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(std::time::Duration::ZERO)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // Exclusive before the first read: then the index of the log is in our memory, and not in a
    // mapped file, whose pages a full disk takes away. The checkpoints are ours, as those inside
    // COMMIT keep their errors to themselves.
    db.execute_batch(&format!(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA wal_autocheckpoint = 0;
         PRAGMA cache_size = -{LOCKER_CACHE_KIB};"
    ))?;
    Ok(db)
}

/// Reads the whole file and gives its version; nothing is written.
fn verify(db: &Connection) -> Result<i64, Trouble> {
    let version = db.query_row("PRAGMA user_version", (), |row| row.get(0))?;
    if version > VERSION {
        return Ok(version);
    }
    // Of ours alone: without the name SQLite makes a database for temporary tables to check that.
    let check: String = db.query_row("PRAGMA main.quick_check(1)", (), |row| row.get(0))?;
    match check.as_str() {
        "ok" => Ok(version),
        problem => Err(Trouble::Damage(problem.replace('\n', " "))),
    }
}

/// Sets the modes that a power cut asks for, reads them back, and empties the log.
///
/// The checkpoint is a must, as it mends the database too: where a sync of the *database* failed,
/// its pages are in doubt, but all of them are still in the log, which begins anew only after a
/// checkpoint that was whole. So they are written once more here, and really synced.
fn settle(db: &Connection) -> Result<(), Trouble> {
    db.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         PRAGMA journal_size_limit = {LOCKER_LOG_BYTES_MAX};"
    ))?;
    let text = |what: &str| -> Result<String, Trouble> {
        let query = format!("SELECT lower(CAST({what} AS TEXT)) FROM pragma_{what}");
        Ok(db.query_row(&query, (), |row| row.get(0))?)
    };
    for (what, wanted) in [
        ("journal_mode", "wal"),
        ("synchronous", "2"),
        ("locking_mode", "exclusive"),
    ] {
        let is = text(what)?;
        if is != wanted {
            return Err(Trouble::Unfit(format!("{what} is {is}, not {wanted}")));
        }
    }
    checkpoint(db, "TRUNCATE")
}

/// Writes the log into the database and syncs it; an error if any of it is left.
pub(super) fn checkpoint(db: &Connection, how: &str) -> Result<(), Trouble> {
    let (busy, log, done): (i64, i64, i64) =
        db.query_row(&format!("PRAGMA wal_checkpoint({how})"), (), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    match busy == 0 && log == done {
        true => Ok(()),
        false => Err(Trouble::Unfit(
            "the log can't be written into the database".to_owned(),
        )),
    }
}

/// Closing leaves the log as it is. It can't fail: SQLite only sets a flag.
fn leave_log(db: &Connection) {
    let _ = db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
}

/// A whole and synced copy of the old layout, made once: one that is there is kept.
fn back_up_before(path: &Path, db: &Connection, version: i64) -> Result<(), String> {
    let copy = files::beside(path, &format!(".v{version}"));
    if fs::symlink_metadata(&copy).is_ok() {
        return Ok(());
    }
    let fresh = files::beside(&copy, ".new");
    files::remove(&fresh).map_err(|error| files::said(&fresh, &error))?;
    super::backup::write(db, &fresh)?;
    fs::rename(&fresh, &copy)
        .and_then(|()| files::sync_folder(&copy))
        .map_err(|error| files::said(&copy, &error))?;
    log::info!("{}: version {version} is kept there", copy.display());
    Ok(())
}

#[cfg(test)]
mod tests;
