//! The audit trail: one row for each change, chained by hashes so that tampering shows.
//!
//! A row's `own` is the SHA-256 of one line of text that has the row before's in it; the first row
//! has 64 zeros for that. What was taken out of a locker stands behind it, and stays for ever. No
//! secret and no password hash is in it. By hand, for row 7:
//!
//! ```sh
//! sqlite3 copy.db "SELECT 'trail|' || id || '|' || coalesce((SELECT lower(hex(own)) FROM trail
//!     WHERE id = 6), printf('%064d', 0)) || '|' || at || '|' || hex(actor) || '|' || action ||
//!     '|' || coalesce(locker, '') || '|' || coalesce(stored, 'done') || '|' || hex(detail) ||
//!     coalesce((SELECT group_concat('|' || hex(item), '') FROM (SELECT item FROM trail_items
//!     WHERE entry = 7 ORDER BY place)), '') FROM trail WHERE id = 7" | tr -d '\n' | sha256sum
//! ```
//!
//! `stored` is how many items lie in all lockers after the change, so that none can go unseen. Rows of
//! older layouts say `done` in its place, as all did: a hash that somebody has noted down stays true.
//!
//! The chain shows a changed row and one that is missing in the middle. Rows cut off at the end
//! show where items were stored or taken by them, or else in a backup.

use rusqlite::{Connection, OptionalExtension as _, Statement, params};

use super::line::{Hash, Line};
use super::rows::bytes;
use super::trouble::Trouble;
use crate::config::limits::LOCKER_TRAIL_CHECKED;

/// The newest row: its number, its hash, and what it says of the items.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Head {
    pub id: i64,
    pub own: Hash,
    /// How many items lie in all lockers.
    pub stored: i64,
}

/// A row but for its place in the chain.
pub(super) struct Entry<'a> {
    pub at_ms: i64,
    pub actor: &'a str,
    pub action: &'a str,
    pub locker: Option<u32>,
    pub detail: &'a str,
    /// How many items lie in all lockers then; older layouts did not say.
    pub stored: Option<i64>,
}

impl Entry<'_> {
    /// The head once this row stands behind `before`.
    pub(super) fn chained(&self, before: &Head, items: &[Vec<u8>]) -> Head {
        let id = before.id + 1;
        let mut line = Line::new("trail")
            .number(Some(id))
            .hash(&before.own)
            .number(Some(self.at_ms))
            .hex(self.actor.as_bytes())
            .text(self.action)
            .number(self.locker.map(i64::from));
        line = match self.stored {
            Some(_) => line.number(self.stored),
            None => line.text("done"),
        };
        line = line.hex(self.detail.as_bytes());
        for item in items {
            line = line.hex(item);
        }
        Head {
            id,
            own: line.sha256(),
            stored: self.stored.unwrap_or(before.stored),
        }
    }

    /// Adds the row, which makes this head.
    pub(super) fn add(&self, statement: &mut Statement<'_>, head: &Head) -> Result<(), Trouble> {
        statement.execute(params![
            head.id,
            self.at_ms,
            self.actor,
            self.action,
            self.locker,
            self.detail,
            self.stored,
            head.own
        ])?;
        Ok(())
    }
}

/// The statement for [`Entry::add`].
pub(super) const ADD: &str =
    "INSERT INTO trail (id, at, actor, action, locker, detail, stored, own)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// Puts a row of the server's own, which concerns no single locker, behind the head.
pub(super) fn note(
    db: &Connection,
    before: &Head,
    at_ms: i64,
    action: &str,
    detail: &str,
) -> Result<Head, Trouble> {
    let entry = Entry {
        at_ms,
        actor: "server",
        action,
        locker: None,
        detail,
        stored: Some(before.stored),
    };
    let head = entry.chained(before, &[]);
    entry.add(&mut db.prepare(ADD)?, &head)?;
    Ok(head)
}

/// The columns of a row, as [`verified`] wants them.
const SELECT: &str = "SELECT id, at, actor, action, locker, detail, stored, own FROM trail";

/// Verifies the newest rows and gives the head.
pub(super) fn verify(db: &Connection) -> Result<Head, Trouble> {
    let newest = newest(db)?;
    let first = (newest - LOCKER_TRAIL_CHECKED + 1).max(1);
    let mut head = before(db, first)?;
    let mut says = false;
    let mut all = db.prepare(&format!("{SELECT} WHERE id >= ?1 ORDER BY id"))?;
    let mut found = all.query([first])?;
    while let Some(row) = found.next()? {
        says = row.get_ref(6)? != rusqlite::types::ValueRef::Null;
        head = verified(db, row, &head)?;
    }
    match says {
        true => Ok(head),
        false => Err(Trouble::Damage(format!(
            "row {} of trail does not say how many items there are",
            head.id
        ))),
    }
}

/// The id of the newest row, of any layout; the first has 1.
pub(super) fn newest(db: &Connection) -> Result<i64, Trouble> {
    let newest: Option<i64> = db.query_row("SELECT max(id) FROM trail", (), |row| row.get(0))?;
    match newest {
        Some(newest) if newest > 0 => Ok(newest),
        Some(_) => Err(gone(1)),
        None => Err(Trouble::Damage("the trail is empty".to_owned())),
    }
}

/// What a row follows: the row before, which is believed; where there is none, the chain begins.
fn before(db: &Connection, id: i64) -> Result<Head, Trouble> {
    let before: Option<Hash> = db
        .prepare_cached("SELECT own FROM trail WHERE id = ?1")?
        .query_row([id - 1], |row| row.get(0))
        .optional()?;
    match before {
        Some(own) => Ok(Head {
            id: id - 1,
            own,
            stored: 0,
        }),
        None if id == 1 => Ok(Head::default()),
        None => Err(gone(id - 1)),
    }
}

/// The head behind this row, which must follow `before`.
fn verified(db: &Connection, row: &rusqlite::Row<'_>, before: &Head) -> Result<Head, Trouble> {
    let id: i64 = row.get(0)?;
    if id != before.id + 1 {
        return Err(gone(before.id + 1));
    }
    let damaged = |_| Trouble::checksum("trail", id);
    let (actor, action): (String, String) =
        (row.get(2).map_err(damaged)?, row.get(3).map_err(damaged)?);
    let detail: String = row.get(5).map_err(damaged)?;
    let own: Hash = row.get(7).map_err(damaged)?;
    let entry = Entry {
        at_ms: row.get(1).map_err(damaged)?,
        actor: &actor,
        action: &action,
        locker: row.get(4).map_err(damaged)?,
        detail: &detail,
        stored: row.get(6).map_err(damaged)?,
    };
    let head = entry.chained(before, &taken(db, id)?);
    match own == head.own {
        true => Ok(head),
        false => Err(Trouble::checksum("trail", id)),
    }
}

pub(super) fn gone(id: i64) -> Trouble {
    Trouble::Damage(format!("row {id} of trail is gone"))
}

/// What was taken out by this row of the trail, in order.
fn taken(db: &Connection, entry: i64) -> Result<Vec<Vec<u8>>, Trouble> {
    let mut all =
        db.prepare_cached("SELECT item FROM trail_items WHERE entry = ?1 ORDER BY place")?;
    let mut found = all.query([entry])?;
    let mut items = Vec::new();
    while let Some(row) = found.next()? {
        items.push(bytes(row, 0)?.to_vec());
    }
    Ok(items)
}

/// What was taken out by this row of the trail, which is verified.
pub(super) fn taken_verified(db: &Connection, entry: i64) -> Result<Vec<Vec<u8>>, Trouble> {
    let mut one = db.prepare(&format!("{SELECT} WHERE id = ?1"))?;
    let mut found = one.query([entry])?;
    let Some(row) = found.next()? else {
        return Err(gone(entry));
    };
    verified(db, row, &before(db, entry)?)?;
    taken(db, entry)
}

#[cfg(test)]
mod tests;
