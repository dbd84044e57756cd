//! The rows of lockers and items, and the checksum that each carries.
//!
//! SQLite finds a damaged page by its structure, not a flipped bit in a value. So each row has the
//! SHA-256 of one line of text. By hand, for locker 3 and item 7:
//!
//! ```sh
//! sqlite3 copy.db "SELECT 'locker|' || number || '|' || in_use || '|' || epoch || '|' ||
//!     coalesce(hash, '') || '|' || coalesce(freed_at, '') || '|' || coalesce(taken, '') || '|' ||
//!     is_default FROM lockers WHERE number = 3" | tr -d '\n' | sha256sum
//! sqlite3 copy.db "SELECT 'item|' || id || '|' || locker || '|' || place || '|' ||
//!     coalesce(before, '') || '|' || hex(item) FROM items WHERE id = 7" | tr -d '\n' | sha256sum
//! ```
//!
//! An item that is gone shows as well: the next one of its locker names it, and the trail's newest row
//! says how many there are in all.

use std::ops::Range;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Statement, params};

use super::known::{Held, Known};
use super::line::{Hash, Line};
use super::trail::Head;
use super::trouble::Trouble;
use crate::config::limits::LOCKERS_MAX;

/// A row of `lockers`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub number: u32,
    pub in_use: bool,
    pub epoch: u64,
    pub hash: Option<String>,
    pub freed_ms: Option<i64>,
    pub taken: Option<i64>,
    pub is_default: bool,
}

impl Row {
    /// The columns of a locker, as [`Row::read`] wants them.
    pub(super) const SELECT: &str =
        "SELECT number, in_use, epoch, hash, freed_at, taken, is_default, checksum FROM lockers";

    /// The same of one locker.
    const ONE: &str =
        "SELECT number, in_use, epoch, hash, freed_at, taken, is_default, checksum FROM lockers
            WHERE number = ?1";

    /// The row, its checksum verified.
    pub(super) fn read(row: &rusqlite::Row<'_>) -> Result<Self, Trouble> {
        let read = Self {
            number: row.get(0)?,
            in_use: row.get(1)?,
            epoch: row.get::<_, i64>(2)?.cast_unsigned(),
            hash: row.get(3)?,
            freed_ms: row.get(4)?,
            taken: row.get(5)?,
            is_default: row.get(6)?,
        };
        match row.get_ref(7)?.as_bytes() == Ok(&read.checksum()) {
            true => Ok(read),
            false => Err(Trouble::checksum("lockers", read.number)),
        }
    }

    /// The row of this locker, where there is one.
    pub(super) fn of(db: &Connection, locker: u32) -> Result<Option<Self>, Trouble> {
        let mut one = db.prepare_cached(Self::ONE)?;
        let mut found = one.query([locker])?;
        found.next()?.map(Self::read).transpose()
    }

    /// What the row's checksum must be.
    pub(super) fn checksum(&self) -> Hash {
        Line::new("locker")
            .unsigned(u64::from(self.number))
            .unsigned(u64::from(self.in_use))
            .unsigned(self.epoch)
            .text(self.hash.as_deref().unwrap_or_default())
            .number(self.freed_ms)
            .number(self.taken)
            .unsigned(u64::from(self.is_default))
            .sha256()
    }
}

/// A row of `items`.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub id: i64,
    pub locker: u32,
    pub place: u32,
    /// The id of the one that was put into the same locker before it.
    pub before: Option<i64>,
    pub item: &'a [u8],
}

impl<'r> Item<'r> {
    /// The columns of an item, as [`Item::read`] wants them.
    pub(super) const SELECT: &'static str =
        "SELECT id, locker, place, before, item, checksum FROM items";

    /// The same of one item.
    pub(super) const ONE: &'static str =
        "SELECT id, locker, place, before, item, checksum FROM items WHERE id = ?1";

    /// The row, its checksum verified.
    pub(super) fn read(row: &'r rusqlite::Row<'_>) -> Result<Self, Trouble> {
        let id = row.get(0)?;
        let part = |error: rusqlite::Error| in_row("items", id, error.into());
        let read = Self {
            id,
            locker: row.get(1).map_err(part)?,
            place: row.get(2).map_err(part)?,
            before: row.get(3).map_err(part)?,
            item: bytes(row, 4).map_err(|trouble| in_row("items", id, trouble))?,
        };
        match row.get_ref(5)?.as_bytes() == Ok(&read.checksum()) {
            true => Ok(read),
            false => Err(Trouble::checksum("items", id)),
        }
    }

    /// The statement for [`Item::add`].
    pub(super) const ADD: &'static str =
        "INSERT INTO items (id, locker, place, before, item, checksum)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

    /// Adds the row.
    pub(super) fn add(&self, statement: &mut Statement<'_>) -> Result<(), Trouble> {
        statement.execute(params![
            self.id,
            self.locker,
            self.place,
            self.before,
            ToSqlOutput::Borrowed(value(self.item)),
            self.checksum()
        ])?;
        Ok(())
    }

    /// What the row's checksum must be.
    pub(super) fn checksum(&self) -> Hash {
        Line::new("item")
            .number(Some(self.id))
            .unsigned(u64::from(self.locker))
            .unsigned(u64::from(self.place))
            .number(self.before)
            .hex(self.item)
            .sha256()
    }

    /// Whether it is the one that follows what is known of its locker.
    pub(super) fn follows(&self, held: Held) -> bool {
        held.in_use && self.place == held.items && self.before == held.newest()
    }
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

/// All lockers in order, each row verified.
pub(super) fn load(db: &Connection) -> Result<Vec<Row>, Trouble> {
    let mut lockers = Vec::new();
    let mut all = db.prepare(&format!("{} ORDER BY number", Row::SELECT))?;
    let mut found = all.query(())?;
    while let Some(row) = found.next()? {
        let number = lockers.len();
        let read = Row::read(row).map_err(|trouble| in_row("lockers", number, trouble))?;
        if usize::try_from(read.number) != Ok(number) || number >= LOCKERS_MAX as usize {
            return Err(Trouble::Damage(format!("row {number} of lockers is gone")));
        }
        lockers.push(read);
    }
    match lockers.is_empty() {
        true => Err(Trouble::Damage("there are no lockers".to_owned())),
        false => Ok(lockers),
    }
}

/// What lies in these lockers. Each item has its checksum and follows the one before it in its
/// locker, and there are as many as the trail says.
pub(super) fn load_items(db: &Connection, lockers: &[Row], head: &Head) -> Result<Known, Trouble> {
    let empty = |row: &Row| Held::empty(row.in_use, row.epoch);
    let mut held: Vec<Held> = lockers.iter().map(empty).collect();
    let mut count = 0;
    let mut all = db.prepare(&format!("{} ORDER BY id", Item::SELECT))?;
    let mut found = all.query(())?;
    while let Some(row) = found.next()? {
        let item = Item::read(row)?;
        match held.get_mut(item.locker as usize) {
            Some(held) if item.follows(*held) && item.id <= head.id => *held = held.with(item.id),
            _ => {
                let (id, locker) = (item.id, item.locker);
                return Err(Trouble::Damage(format!(
                    "row {id} of items does not follow what was in locker {locker}"
                )));
            }
        }
        count += 1;
    }
    match count == head.stored {
        true => Ok(Known::new(held)),
        false => Err(Trouble::Damage(format!(
            "the trail says {} items, and {count} are there",
            head.stored
        ))),
    }
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
    for number in numbers {
        let row = Row {
            number,
            ..Row::default()
        };
        add(db, &row)?;
    }
    Ok(())
}

/// Adds a locker.
pub(super) fn add(db: &Connection, row: &Row) -> Result<(), Trouble> {
    let mut add = db.prepare_cached(
        "INSERT INTO lockers (number, in_use, epoch, hash, freed_at, taken, is_default, checksum)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    add.execute(params![
        row.number,
        row.in_use,
        row.epoch.cast_signed(),
        row.hash,
        row.freed_ms,
        row.taken,
        row.is_default,
        row.checksum()
    ])?;
    Ok(())
}
#[cfg(test)]
pub(super) mod tests;
