//! The tables of the database, how a new one is filled, and the steps from older layouts.
//!
//! `user_version` says which layout a file has. Whoever makes version 4 gives the step to version 3
//! its own copy of the tables and checksums that it writes: what a file of that layout looks like must
//! not change any more. `old.rs` has those of versions 1 and 2.

use rusqlite::Connection;

use super::open::{self, Read};
use super::rows;
use super::trail::{self, Head};
use super::trouble::Trouble;

mod old;

pub(super) use self::old::verify as verify_old;

/// The layout that this program writes.
pub(super) const VERSION: i64 = 3;

/// Marks the database as ours, in its header: "SwLk". file(1) shows it.
pub(super) const APPLICATION_ID: i64 = 0x5377_4c6b;

/// The layout, version 3.
///
/// What a change adds stands at the end of its table, behind what others have added: the items of all
/// lockers share pages, and a change writes two. Decision 41 has the figures. How a checksum is made
/// stands in `rows.rs`, that of the trail in `trail.rs`.
const TABLES: &str = "
-- One row for each locker. A free locker keeps its password for the repeated retrieve.
CREATE TABLE lockers (
    number INTEGER PRIMARY KEY CHECK (number >= 0),
    in_use INTEGER NOT NULL CHECK (in_use IN (0, 1)),
    -- Counts up each time a password is set; 0 before the first.
    epoch INTEGER NOT NULL CHECK (epoch >= 0),
    -- The password's Argon2id hash, in PHC form.
    hash TEXT,
    -- When it was retrieved, in milliseconds since 1970, and the row of the trail that holds what
    -- was in it. Both end when it is registered anew.
    freed_at INTEGER,
    taken INTEGER REFERENCES trail (id),
    -- 1 where the password is 0000 since a reset.
    is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),
    checksum BLOB NOT NULL,
    CHECK ((epoch = 0) = (hash IS NULL)),
    CHECK (in_use = 0 OR hash IS NOT NULL),
    CHECK (in_use = 0 OR freed_at IS NULL),
    CHECK ((freed_at IS NULL) = (taken IS NULL))
) STRICT;
-- What lies in the lockers: TEXT where it is valid UTF-8, else BLOB.
CREATE TABLE items (
    -- That of the row of the trail that tells of it.
    id INTEGER PRIMARY KEY CHECK (id > 0),
    locker INTEGER NOT NULL CHECK (locker >= 0),
    place INTEGER NOT NULL CHECK (place BETWEEN 0 AND 999),
    -- The item that was put into the same locker before it.
    before INTEGER CHECK (before < id),
    item ANY NOT NULL
        CHECK (typeof(item) IN ('text', 'blob') AND length(CAST(item AS BLOB)) <= 256),
    checksum BLOB NOT NULL,
    CHECK ((place = 0) = (before IS NULL))
) STRICT;
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
    detail TEXT NOT NULL,
    -- How many items lie in all lockers then; rows of older layouts do not say.
    stored INTEGER CHECK (stored >= 0),
    own BLOB NOT NULL
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

/// Takes the file from its layout to ours, in one transaction, and gives what is in it then.
///
/// That is read before the commit: an older layout may hold what ours refuses, and such a file stays
/// as it is.
pub(super) fn migrate(db: &Connection, from: i64, now_ms: i64) -> Result<Read, Trouble> {
    db.execute_batch("BEGIN IMMEDIATE")?;
    let done = (from..VERSION)
        .try_for_each(|version| old::step(db, version, now_ms))
        .and_then(|()| {
            let read = open::load(db)?;
            db.execute_batch(&format!("PRAGMA user_version = {VERSION}; COMMIT"))?;
            Ok(read)
        });
    if done.is_err() {
        // Where this fails too, the connection is closed next, which does the same.
        let _ = db.execute_batch("ROLLBACK");
    }
    done
}

#[cfg(test)]
mod tests;
