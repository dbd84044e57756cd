//! The tables of the database, how a new one is filled, and the steps from older layouts.
//!
//! `user_version` says which layout a file has. Whoever makes version 3 gives the step to version 2
//! its own copy of the checksums that it writes: what a file of that layout looks like must not
//! change any more.

use rusqlite::Connection;

use super::line::sha256;
use super::rows;
use super::trail::{self, Head};
use super::trouble::Trouble;

/// The layout that this program writes.
pub(super) const VERSION: i64 = 2;

/// Marks the database as ours, in its header: "SwLk". file(1) shows it.
pub(super) const APPLICATION_ID: i64 = 0x5377_4c6b;

/// The layout, version 2.
///
/// The columns that version 2 brought stand last, as a file that came from version 1 has them.
/// How a checksum is made stands in `rows.rs`, that of the trail in `trail.rs`.
const TABLES: &str = "
-- One row for each locker. A free locker keeps its password for the repeated retrieve.
CREATE TABLE lockers (
    number INTEGER PRIMARY KEY CHECK (number >= 0),
    in_use INTEGER NOT NULL CHECK (in_use IN (0, 1)),
    -- Counts up each time a password is set; 0 before the first.
    epoch INTEGER NOT NULL CHECK (epoch >= 0),
    -- The password's Argon2id hash, in PHC form.
    hash TEXT,
    -- How many rows of items belong to it.
    items INTEGER NOT NULL CHECK (items BETWEEN 0 AND 1000),
    -- When it was retrieved, in milliseconds since 1970, and the row of the trail that holds what
    -- was in it. Both end when it is registered anew.
    freed_at INTEGER,
    taken INTEGER REFERENCES trail (id),
    checksum TEXT NOT NULL,
    -- 1 where the password is 0000 since a reset.
    is_default INTEGER NOT NULL DEFAULT 0 CHECK (is_default IN (0, 1)),
    CHECK ((epoch = 0) = (hash IS NULL)),
    CHECK (in_use = 0 OR hash IS NOT NULL),
    CHECK (in_use = 1 OR items = 0),
    CHECK (in_use = 0 OR freed_at IS NULL),
    CHECK ((freed_at IS NULL) = (taken IS NULL))
) STRICT;
-- What lies in the lockers: TEXT where it is valid UTF-8, else BLOB.
CREATE TABLE items (
    locker INTEGER NOT NULL REFERENCES lockers (number),
    place INTEGER NOT NULL CHECK (place BETWEEN 0 AND 999),
    item ANY NOT NULL
        CHECK (typeof(item) IN ('text', 'blob') AND length(CAST(item AS BLOB)) <= 256),
    checksum TEXT NOT NULL,
    PRIMARY KEY (locker, place)
) STRICT, WITHOUT ROWID;
-- What was done, in order; nothing is ever changed or removed here.
CREATE TABLE trail (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    -- One by one: SQLite makes a table of a longer IN list, for each row anew.
    action TEXT NOT NULL CHECK (action = 'store' OR action = 'retrieve' OR action = 'register' OR
        action = 'reset' OR action = 'rehash' OR action = 'create' OR action = 'grow' OR
        action = 'shrink' OR action = 'migrate'),
    locker INTEGER,
    result TEXT NOT NULL,
    detail TEXT NOT NULL,
    previous TEXT NOT NULL DEFAULT '',
    own TEXT NOT NULL DEFAULT ''
) STRICT;
-- What was taken out, by the row of the trail that tells of it.
CREATE TABLE trail_items (
    entry INTEGER NOT NULL REFERENCES trail (id),
    place INTEGER NOT NULL,
    item ANY NOT NULL CHECK (typeof(item) IN ('text', 'blob')),
    PRIMARY KEY (entry, place)
) STRICT, WITHOUT ROWID;
-- What was taken last out of each locker, until it is registered anew.
CREATE VIEW taken AS SELECT lockers.number AS locker, freed_at, place, item
    FROM lockers JOIN trail_items ON entry = taken ORDER BY locker, place;
";

/// These make the trail append-only for every program.
const TRIGGERS: &str = "
CREATE TRIGGER trail_stays BEFORE UPDATE ON trail
    BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;
CREATE TRIGGER trail_grows BEFORE DELETE ON trail
    BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;
CREATE TRIGGER trail_items_stay BEFORE UPDATE ON trail_items
    BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;
CREATE TRIGGER trail_items_grow BEFORE DELETE ON trail_items
    BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;
";

/// Makes the tables and `count` free lockers, in the transaction that is open.
pub(super) fn create(db: &Connection, count: u32, now_ms: i64) -> Result<Head, Trouble> {
    db.execute_batch(TABLES)?;
    db.execute_batch(TRIGGERS)?;
    db.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
    ))?;
    rows::add_free(db, 0..count)?;
    let detail = format!("{count} lockers");
    trail::note(db, &Head::default(), now_ms, "create", &detail)
}

/// Takes the file from its layout to ours, each step in one transaction.
pub(super) fn migrate(db: &Connection, from: i64, now_ms: i64) -> Result<(), Trouble> {
    for version in from..VERSION {
        db.execute_batch("BEGIN IMMEDIATE")?;
        let done = step(db, version, now_ms).and_then(|()| {
            db.execute_batch(&format!("PRAGMA user_version = {}; COMMIT", version + 1))?;
            Ok(())
        });
        if let Err(trouble) = done {
            // Where this fails too, the connection is closed next, which does the same.
            let _ = db.execute_batch("ROLLBACK");
            return Err(trouble);
        }
    }
    Ok(())
}

fn step(db: &Connection, from: i64, now_ms: i64) -> Result<(), Trouble> {
    match from {
        1 => from_1_to_2(db, now_ms),
        other => Err(Trouble::Damage(format!("there is no version {other}"))),
    }
}

/// Verifies a database of an older layout, before anything is changed in it.
pub(super) fn verify_old(db: &Connection, version: i64) -> Result<(), Trouble> {
    match version {
        1 => verify_1(db),
        other => Err(Trouble::Damage(format!("there is no version {other}"))),
    }
}

/// A locker's line was without `is_default`; items have the checksums that they have today.
fn verify_1(db: &Connection) -> Result<(), Trouble> {
    let mut counts = Vec::new();
    let mut all = db.prepare(
        "SELECT number, items, checksum, 'locker|' || number || '|' || in_use || '|' || epoch ||
            '|' || coalesce(hash, '') || '|' || items || '|' || coalesce(freed_at, '') || '|' ||
            coalesce(taken, '') FROM lockers ORDER BY number",
    )?;
    let mut found = all.query(())?;
    while let Some(row) = found.next()? {
        let number: i64 = row.get(0)?;
        let (checksum, line): (String, String) = (row.get(2)?, row.get(3)?);
        if checksum != sha256(line.as_bytes()) {
            return Err(Trouble::checksum("lockers", number));
        }
        counts.push(row.get(1)?);
    }
    rows::verify_items(db, &counts)
}

/// Version 2 brought `is_default` and the hashes of the trail. The checksum of a locker covers
/// `is_default`, so all are made anew.
fn from_1_to_2(db: &Connection, now_ms: i64) -> Result<(), Trouble> {
    db.execute_batch(
        "ALTER TABLE lockers ADD COLUMN
             is_default INTEGER NOT NULL DEFAULT 0 CHECK (is_default IN (0, 1));
         DROP TRIGGER trail_stays;
         ALTER TABLE trail ADD COLUMN previous TEXT NOT NULL DEFAULT '';
         ALTER TABLE trail ADD COLUMN own TEXT NOT NULL DEFAULT '';",
    )?;
    rows::renew_checksums(db)?;
    let head = trail::link_all(db)?;
    trail::note(db, &head, now_ms, "migrate", "version 1 to version 2")?;
    db.execute_batch(
        "CREATE TRIGGER trail_stays BEFORE UPDATE ON trail
             BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;",
    )?;
    Ok(())
}

#[cfg(test)]
mod tests;
