//! Older layouts: how a file of theirs is verified, and the steps from each to the next.
//!
//! Their checksums are made here, by lines that SQLite puts together, so that nothing of today's can
//! change them. All were SHA-256 in 64 digits, and stood in columns of text.

use rusqlite::{Connection, Row as Found};

use super::super::line::{self, Hash};
use super::super::rows::{self, Item, Row};
use super::super::trail::{self, Head};
use super::super::trouble::Trouble;
use super::{TABLES, TRIGGERS};
use crate::config::limits::LOCKER_TRAIL_CHECKED;

/// The line of a locker of version 1.
const LOCKER_1: &str = "'locker|' || number || '|' || in_use || '|' || epoch || '|' ||
    coalesce(hash, '') || '|' || items || '|' || coalesce(freed_at, '') || '|' || coalesce(taken, '')";

/// The line of an item, of both versions.
const ITEM: &str = "'item|' || locker || '|' || place || '|' || hex(item)";

/// The line of a row of version 2's trail, but for what stands before it: kind, id, and hash of the
/// row before.
const ENTRY_2: &str = "at || '|' || hex(actor) || '|' || action || '|' || coalesce(locker, '') ||
    '|done|' || hex(detail) || coalesce((SELECT group_concat(part, '') FROM (SELECT '|' || hex(item)
    AS part FROM trail_items WHERE entry = trail.id ORDER BY place)), '')";

/// The line of a locker of version 2.
fn locker_2() -> String {
    format!("{LOCKER_1} || '|' || is_default")
}

/// Verifies a database of an older layout, before anything is changed in it.
pub(in super::super) fn verify(db: &Connection, version: i64) -> Result<(), Trouble> {
    let line = match version {
        1 => LOCKER_1,
        2 => &locker_2(),
        other => return Err(unknown(other)),
    };
    let items = verify_items(db, &verify_lockers(db, line)?)?;
    let newest = trail::newest(db)?;
    if version > 1 {
        verify_trail(db, newest)?;
    }
    // Each was put there by a row of its own, whose number it can have.
    match items <= newest {
        true => Ok(()),
        false => Err(Trouble::Damage(format!(
            "there are {items} items, and {newest} rows of trail"
        ))),
    }
}

/// Takes a file from its layout to the next, in the transaction that is open.
pub(super) fn step(db: &Connection, from: i64, now_ms: i64) -> Result<(), Trouble> {
    match from {
        1 => from_1_to_2(db, now_ms),
        2 => from_2_to_3(db, now_ms),
        other => Err(unknown(other)),
    }
}

fn unknown(version: i64) -> Trouble {
    Trouble::Damage(format!("there is no version {version}"))
}

/// How many items each locker says that it has.
fn verify_lockers(db: &Connection, line: &str) -> Result<Vec<u32>, Trouble> {
    let mut counts = Vec::new();
    let query = format!("SELECT number, items, checksum, {line} FROM lockers ORDER BY number");
    let mut all = db.prepare(&query)?;
    let mut found = all.query(())?;
    while let Some(row) = found.next()? {
        let number: i64 = row.get(0)?;
        if !fits(row, 2, 3)? {
            return Err(Trouble::checksum("lockers", number));
        }
        if usize::try_from(number) != Ok(counts.len()) {
            let gone = format!("row {} of lockers is gone", counts.len());
            return Err(Trouble::Damage(gone));
        }
        counts.push(row.get(1)?);
    }
    match counts.is_empty() {
        true => Err(Trouble::Damage("there are no lockers".to_owned())),
        false => Ok(counts),
    }
}

/// So many items belong to each locker, each has its place; how many there are.
fn verify_items(db: &Connection, expected: &[u32]) -> Result<i64, Trouble> {
    let mut counts = vec![0; expected.len()];
    let mut all = db.prepare(&format!(
        "SELECT locker, place, checksum, {ITEM} FROM items ORDER BY locker, place"
    ))?;
    let mut found = all.query(())?;
    while let Some(row) = found.next()? {
        let (locker, place): (u32, u32) = (row.get(0)?, row.get(1)?);
        let shown = format!("({locker}, {place})");
        if !fits(row, 2, 3)? {
            return Err(Trouble::checksum("items", shown));
        }
        match counts.get_mut(locker as usize) {
            Some(count) if *count == place => *count += 1,
            _ => {
                return Err(Trouble::Damage(format!(
                    "row {shown} of items is displaced"
                )));
            }
        }
    }
    for (number, (expected, count)) in expected.iter().zip(&counts).enumerate() {
        if expected != count {
            return Err(Trouble::Damage(format!(
                "row {number} of lockers says {expected} items, and {count} are there"
            )));
        }
    }
    Ok(counts.into_iter().map(i64::from).sum())
}

/// Whether the checksum in one column is that of the line in another.
fn fits(row: &Found<'_>, checksum: usize, line: usize) -> Result<bool, Trouble> {
    let (checksum, line): (String, String) = (row.get(checksum)?, row.get(line)?);
    let of_line = line::sha256(line.as_bytes());
    Ok(checksum.as_bytes() == line::shown(&of_line))
}

/// The newest rows of version 2's trail are what they were.
fn verify_trail(db: &Connection, newest: i64) -> Result<(), Trouble> {
    // A hash that is none can't be carried over.
    let odd: Option<i64> = db.query_row(
        "SELECT min(id) FROM trail WHERE length(own) <> 64 OR unhex(own) IS NULL",
        (),
        |row| row.get(0),
    )?;
    if let Some(id) = odd {
        return Err(Trouble::checksum("trail", id));
    }
    let first = (newest - LOCKER_TRAIL_CHECKED + 1).max(1);
    let mut all = db.prepare(&format!(
        "SELECT id, own, 'trail|' || id || '|' || previous || '|' || {ENTRY_2}, result = 'done' AND
            previous = coalesce((SELECT own FROM trail AS row WHERE row.id = trail.id - 1),
                CASE id WHEN 1 THEN printf('%064d', 0) END)
            FROM trail WHERE id >= ?1 ORDER BY id"
    ))?;
    let mut found = all.query([first])?;
    let mut next = first;
    while let Some(row) = found.next()? {
        // Where the row before it is gone, nothing is.
        let follows: Option<bool> = row.get(3)?;
        let id: i64 = row.get(0)?;
        match (id, follows) {
            (id, Some(follows)) if id == next => {
                if !follows || !fits(row, 1, 2)? {
                    return Err(Trouble::checksum("trail", id));
                }
            }
            (id, None) if id == next => return Err(trail::gone(id - 1)),
            _ => return Err(trail::gone(next)),
        }
        next += 1;
    }
    Ok(())
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
    let count: i64 = db.query_row("SELECT count(*) FROM lockers", (), |row| row.get(0))?;
    let line = locker_2();
    for number in 0..count {
        let query = format!("SELECT {line} FROM lockers WHERE number = ?1");
        let line: String = db
            .prepare_cached(&query)?
            .query_row([number], |row| row.get(0))?;
        let renew = "UPDATE lockers SET checksum = ?2 WHERE number = ?1";
        db.prepare_cached(renew)?
            .execute((number, text(&line::sha256(line.as_bytes()))))?;
    }
    let note = "INSERT INTO trail (id, at, actor, action, locker, result, detail)
        SELECT max(id) + 1, ?1, 'server', 'migrate', NULL, 'done', 'version 1 to version 2' FROM trail";
    db.execute(note, [now_ms])?;
    link_all(db)
}

/// Gives the rows of the trail the hashes of version 2.
fn link_all(db: &Connection) -> Result<(), Trouble> {
    let newest: i64 = db.query_row("SELECT max(id) FROM trail", (), |row| row.get(0))?;
    let query =
        format!("SELECT 'trail|' || id || '|' || ?2 || '|' || {ENTRY_2} FROM trail WHERE id = ?1");
    let mut read = db.prepare(&query)?;
    let mut link = db.prepare("UPDATE trail SET previous = ?2, own = ?3 WHERE id = ?1")?;
    let mut previous = text(&Hash::default());
    for id in 1..=newest {
        let mut found = read.query((id, &previous))?;
        let line: String = match found.next()? {
            Some(row) => row.get(0)?,
            None => return Err(trail::gone(id)),
        };
        drop(found);
        let own = text(&line::sha256(line.as_bytes()));
        link.execute((id, &previous, &own))?;
        previous = own;
    }
    Ok(())
}

/// A hash as these versions kept it.
fn text(hash: &Hash) -> String {
    String::from_utf8_lossy(&line::shown(hash)).into_owned()
}

/// Version 3 brought the order of `items`, and `stored`, and took what another row says as well:
/// the count of a locker's items, and a row's own copy of the hash before. Hashes are no longer text.
///
/// An item gets its place in the order of lockers for its id: which row of the trail tells of it is
/// nowhere said.
fn from_2_to_3(db: &Connection, now_ms: i64) -> Result<(), Trouble> {
    db.execute_batch(
        "DROP VIEW taken;
         DROP TRIGGER IF EXISTS trail_stays;
         DROP TRIGGER trail_grows; DROP TRIGGER trail_items_stay; DROP TRIGGER trail_items_grow;
         ALTER TABLE items RENAME TO items_2;
         ALTER TABLE lockers RENAME TO lockers_2;
         ALTER TABLE trail_items RENAME TO trail_items_2;
         ALTER TABLE trail RENAME TO trail_2;",
    )?;
    db.execute_batch(TABLES)?;
    db.execute_batch(
        "INSERT INTO trail (id, at, actor, action, locker, detail, stored, own)
             SELECT id, at, actor, action, locker, detail, NULL, unhex(own) FROM trail_2 ORDER BY id;
         INSERT INTO trail_items (entry, place, item)
             SELECT entry, place, item FROM trail_items_2 ORDER BY entry, place;",
    )?;
    carry_lockers(db)?;
    let stored = carry_items(db)?;
    // Those that refer to others first.
    db.execute_batch(
        "DROP TABLE items_2; DROP TABLE lockers_2; DROP TABLE trail_items_2; DROP TABLE trail_2;",
    )?;
    db.execute_batch(TRIGGERS)?;
    let newest = "SELECT id, own FROM trail ORDER BY id DESC LIMIT 1";
    let head = db.query_row(newest, (), |row| {
        Ok(Head {
            id: row.get(0)?,
            own: row.get(1)?,
            stored,
        })
    })?;
    trail::note(db, &head, now_ms, "migrate", "version 2 to version 3")?;
    Ok(())
}

fn carry_lockers(db: &Connection) -> Result<(), Trouble> {
    let mut all = db.prepare(
        "SELECT number, in_use, epoch, hash, freed_at, taken, is_default FROM lockers_2
            ORDER BY number",
    )?;
    let mut found = all.query(())?;
    while let Some(row) = found.next()? {
        let row = Row {
            number: row.get(0)?,
            in_use: row.get(1)?,
            epoch: row.get::<_, i64>(2)?.cast_unsigned(),
            hash: row.get(3)?,
            freed_ms: row.get(4)?,
            taken: row.get(5)?,
            is_default: row.get(6)?,
        };
        rows::add(db, &row)?;
    }
    Ok(())
}

/// How many there are.
fn carry_items(db: &Connection) -> Result<i64, Trouble> {
    let mut all = db.prepare("SELECT locker, place, item FROM items_2 ORDER BY locker, place")?;
    let mut found = all.query(())?;
    let mut id = 0;
    while let Some(row) = found.next()? {
        id += 1;
        let place = row.get(1)?;
        let item = Item {
            id,
            locker: row.get(0)?,
            place,
            before: (place > 0).then_some(id - 1),
            item: rows::bytes(row, 2)?,
        };
        item.add(&mut *db.prepare_cached(Item::ADD)?)?;
    }
    Ok(id)
}
