//! The rows of lockers and items, and the checksum that each carries.
//!
//! SQLite finds a damaged page by its structure, not a flipped bit in a value. So each row has the
//! SHA-256 of one line of text, as 64 digits. By hand, for locker 3 and its first item:
//!
//! ```sh
//! sqlite3 copy.db "SELECT 'locker|' || number || '|' || in_use || '|' || epoch || '|' ||
//!     coalesce(hash, '') || '|' || items || '|' || coalesce(freed_at, '') || '|' ||
//!     coalesce(taken, '') || '|' || is_default FROM lockers WHERE number = 3" |
//!     tr -d '\n' | sha256sum
//! sqlite3 copy.db "SELECT 'item|' || locker || '|' || place || '|' || hex(item)
//!     FROM items WHERE locker = 3 AND place = 0" | tr -d '\n' | sha256sum
//! ```

use std::ops::Range;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use super::line::Line;
use super::trouble::Trouble;
use crate::config::limits::LOCKERS_MAX;

/// The columns of a locker, as [`Row::read`] wants them.
pub(super) const COLUMNS: &str =
    "number, in_use, epoch, hash, items, freed_at, taken, is_default, checksum";

/// A row of `lockers`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub number: u32,
    pub in_use: bool,
    pub epoch: u64,
    pub hash: Option<String>,
    pub items: u32,
    pub freed_ms: Option<i64>,
    pub taken: Option<i64>,
    pub is_default: bool,
}

impl Row {
    /// The row, its checksum verified.
    pub(super) fn read(row: &rusqlite::Row<'_>) -> Result<Self, Trouble> {
        let read = Self {
            number: row.get(0)?,
            in_use: row.get(1)?,
            epoch: row.get::<_, i64>(2)?.cast_unsigned(),
            hash: row.get(3)?,
            items: row.get(4)?,
            freed_ms: row.get(5)?,
            taken: row.get(6)?,
            is_default: row.get(7)?,
        };
        match row.get_ref(8)?.as_bytes() == Ok(read.checksum().as_bytes()) {
            true => Ok(read),
            false => Err(Trouble::checksum("lockers", read.number)),
        }
    }

    /// What the row's checksum must be.
    pub(super) fn checksum(&self) -> String {
        Line::new("locker")
            .unsigned(u64::from(self.number))
            .unsigned(u64::from(self.in_use))
            .unsigned(self.epoch)
            .text(self.hash.as_deref().unwrap_or_default())
            .unsigned(u64::from(self.items))
            .number(self.freed_ms)
            .number(self.taken)
            .unsigned(u64::from(self.is_default))
            .sha256()
    }
}

/// The checksum of a row of `items`.
pub(super) fn item_checksum(locker: u32, place: u32, item: &[u8]) -> String {
    Line::new("item")
        .unsigned(u64::from(locker))
        .unsigned(u64::from(place))
        .hex(item)
        .sha256()
}

/// How an item is kept: TEXT where it is valid UTF-8, else BLOB.
pub(super) fn value(item: &[u8]) -> ValueRef<'_> {
    match std::str::from_utf8(item) {
        Ok(_) => ValueRef::Text(item),
        Err(_) => ValueRef::Blob(item),
    }
}

/// The bytes of an item, however it is kept.
pub(super) fn bytes<'r>(row: &'r rusqlite::Row<'_>, column: usize) -> Result<&'r [u8], Trouble> {
    match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Ok(bytes),
        _ => Err(Trouble::Damage("an item is a number".to_owned())),
    }
}

/// All lockers in order; every row of lockers and of items is verified.
pub(super) fn load(db: &Connection) -> Result<Vec<Row>, Trouble> {
    let mut lockers = Vec::new();
    let mut all = db.prepare(&format!("SELECT {COLUMNS} FROM lockers ORDER BY number"))?;
    let mut found = all.query(())?;
    while let Some(row) = found.next()? {
        let number = lockers.len();
        let read = Row::read(row).map_err(|trouble| in_row("lockers", number, trouble))?;
        if usize::try_from(read.number) != Ok(number) || number >= LOCKERS_MAX as usize {
            return Err(Trouble::Damage(format!("row {number} of lockers is gone")));
        }
        lockers.push(read);
    }
    if lockers.is_empty() {
        return Err(Trouble::Damage("there are no lockers".to_owned()));
    }
    let counts: Vec<u32> = lockers.iter().map(|row| row.items).collect();
    verify_items(db, &counts)?;
    Ok(lockers)
}

/// Each item has its checksum and its place, and none is gone; so many belong to each locker.
pub(super) fn verify_items(db: &Connection, expected: &[u32]) -> Result<(), Trouble> {
    let mut counts = vec![0; expected.len()];
    let mut all =
        db.prepare("SELECT locker, place, item, checksum FROM items ORDER BY locker, place")?;
    let mut found = all.query(())?;
    while let Some(row) = found.next()? {
        let (locker, place): (u32, u32) = (row.get(0)?, row.get(1)?);
        let shown = format!("({locker}, {place})");
        let item = bytes(row, 2).map_err(|trouble| in_row("items", &shown, trouble))?;
        if row.get_ref(3)?.as_bytes() != Ok(item_checksum(locker, place, item).as_bytes()) {
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
    for (number, (expected, count)) in expected.iter().zip(counts).enumerate() {
        if *expected != count {
            return Err(Trouble::Damage(format!(
                "row {number} of lockers says {expected} items, and {count} are there"
            )));
        }
    }
    Ok(())
}

/// A value that can't be read is damage, and of which row.
fn in_row(table: &str, row: impl std::fmt::Display, trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Sqlite(error) if error.sqlite_error_code().is_none() => {
            Trouble::Damage(format!("row {row} of {table} can't be read: {error}"))
        }
        other => other,
    }
}

/// Adds free lockers of these numbers.
pub(super) fn add_free(db: &Connection, numbers: Range<u32>) -> Result<(), Trouble> {
    let mut add = db.prepare(
        "INSERT INTO lockers (number, in_use, epoch, items, checksum) VALUES (?1, 0, 0, 0, ?2)",
    )?;
    for number in numbers {
        let row = Row {
            number,
            ..Row::default()
        };
        add.execute(params![number, row.checksum()])?;
    }
    Ok(())
}

/// Gives every locker the checksum of its present row, without a look at the one that it has.
pub(super) fn renew_checksums(db: &Connection) -> Result<(), Trouble> {
    let mut all = db.prepare(
        "SELECT number, in_use, epoch, hash, items, freed_at, taken, is_default FROM lockers",
    )?;
    let rows: Result<Vec<Row>, rusqlite::Error> = all
        .query_map((), |row| {
            Ok(Row {
                number: row.get(0)?,
                in_use: row.get(1)?,
                epoch: row.get::<_, i64>(2)?.cast_unsigned(),
                hash: row.get(3)?,
                items: row.get(4)?,
                freed_ms: row.get(5)?,
                taken: row.get(6)?,
                is_default: row.get(7)?,
            })
        })?
        .collect();
    let mut renew = db.prepare("UPDATE lockers SET checksum = ?2 WHERE number = ?1")?;
    for row in rows? {
        renew.execute(params![row.number, row.checksum()])?;
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests;
