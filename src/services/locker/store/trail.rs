//! The audit trail: one row for each change, chained by hashes so that tampering shows.
//!
//! A row's `own` is the SHA-256 of one line of text that has the row before's in it; the first row
//! has 64 zeros for that. What was taken out of a locker stands behind it, and stays for ever. No
//! secret and no password hash is in it. By hand, for row 7:
//!
//! ```sh
//! sqlite3 copy.db "SELECT 'trail|' || id || '|' || previous || '|' || at || '|' || hex(actor) ||
//!     '|' || action || '|' || coalesce(locker, '') || '|' || result || '|' || hex(detail) ||
//!     coalesce((SELECT group_concat(part, '') FROM (SELECT '|' || hex(item) AS part
//!     FROM trail_items WHERE entry = 7 ORDER BY place)), '') FROM trail WHERE id = 7" |
//!     tr -d '\n' | sha256sum
//! ```
//!
//! The chain shows a changed row and one that is missing in the middle. Rows cut off at the end
//! do not show; they do in a backup.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::line::Line;
use super::rows::bytes;
use super::trouble::Trouble;
use crate::config::limits::LOCKER_TRAIL_CHECKED;

/// What all rows say in `result`: what was refused or failed has changed nothing, and is not there.
pub(super) const DONE: &str = "done";

/// The newest row: its number and hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub id: i64,
    pub own: String,
}

impl Default for Head {
    /// Before the first row.
    fn default() -> Self {
        Self {
            id: 0,
            own: "0".repeat(64),
        }
    }
}

/// A row but for its place in the chain.
pub(super) struct Entry<'a> {
    pub at_ms: i64,
    pub actor: &'a str,
    pub action: &'a str,
    pub locker: Option<u32>,
    pub detail: &'a str,
}

impl Entry<'_> {
    /// The head once this row stands behind `before`.
    pub(super) fn chained(&self, before: &Head, items: &[Vec<u8>]) -> Head {
        let id = before.id + 1;
        let mut line = Line::new("trail")
            .number(Some(id))
            .text(&before.own)
            .number(Some(self.at_ms))
            .hex(self.actor.as_bytes())
            .text(self.action)
            .number(self.locker.map(i64::from))
            .text(DONE)
            .hex(self.detail.as_bytes());
        for item in items {
            line = line.hex(item);
        }
        Head {
            id,
            own: line.sha256(),
        }
    }
}

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
    };
    let head = entry.chained(before, &[]);
    db.execute(
        "INSERT INTO trail (id, at, actor, action, locker, result, detail, previous, own)
            VALUES (?1, ?2, 'server', ?3, NULL, ?4, ?5, ?6, ?7)",
        params![head.id, at_ms, action, DONE, detail, before.own, head.own],
    )?;
    Ok(head)
}

/// Verifies the newest rows and gives the head.
pub(super) fn verify(db: &Connection) -> Result<Head, Trouble> {
    let newest: Option<i64> = db.query_row("SELECT max(id) FROM trail", (), |row| row.get(0))?;
    let Some(newest) = newest else {
        return Err(Trouble::Damage("the trail is empty".to_owned()));
    };
    let first = (newest - LOCKER_TRAIL_CHECKED + 1).max(1);
    // The row before them is believed; where there is none, the chain begins.
    let before: Option<String> = db
        .query_row("SELECT own FROM trail WHERE id = ?1", [first - 1], |row| {
            row.get(0)
        })
        .optional()?;
    let mut head = match before {
        Some(own) => Head { id: first - 1, own },
        None if first == 1 => Head::default(),
        None => return Err(gone(first - 1)),
    };
    let mut all = db.prepare(
        "SELECT id, previous, at, actor, action, locker, result, detail, own FROM trail
            WHERE id >= ?1 ORDER BY id",
    )?;
    let mut found = all.query([first])?;
    while let Some(row) = found.next()? {
        head = verified(db, row, &head)?;
    }
    Ok(head)
}

/// The head behind this row, which must follow `before`.
fn verified(db: &Connection, row: &rusqlite::Row<'_>, before: &Head) -> Result<Head, Trouble> {
    let id: i64 = row.get(0)?;
    if id != before.id + 1 {
        return Err(gone(before.id + 1));
    }
    let damaged = |_| Trouble::checksum("trail", id);
    let (previous, own): (String, String) =
        (row.get(1).map_err(damaged)?, row.get(8).map_err(damaged)?);
    let (actor, action): (String, String) =
        (row.get(3).map_err(damaged)?, row.get(4).map_err(damaged)?);
    let (result, detail): (String, String) =
        (row.get(6).map_err(damaged)?, row.get(7).map_err(damaged)?);
    let entry = Entry {
        at_ms: row.get(2).map_err(damaged)?,
        actor: &actor,
        action: &action,
        locker: row.get(5).map_err(damaged)?,
        detail: &detail,
    };
    let head = entry.chained(before, &taken(db, id)?);
    match previous == before.own && own == head.own && result == DONE {
        true => Ok(head),
        false => Err(Trouble::checksum("trail", id)),
    }
}

fn gone(id: i64) -> Trouble {
    Trouble::Damage(format!("row {id} of trail is gone"))
}

/// What was taken out by this row of the trail, in order.
pub(super) fn taken(db: &Connection, entry: i64) -> Result<Vec<Vec<u8>>, Trouble> {
    let mut all = db.prepare("SELECT item FROM trail_items WHERE entry = ?1 ORDER BY place")?;
    let mut found = all.query([entry])?;
    let mut items = Vec::new();
    while let Some(row) = found.next()? {
        items.push(bytes(row, 0)?.to_vec());
    }
    Ok(items)
}

/// What was taken out by this row of the trail, which is verified.
pub(super) fn taken_verified(db: &Connection, entry: i64) -> Result<Vec<Vec<u8>>, Trouble> {
    let mut one = db.prepare(
        "SELECT id, previous, at, actor, action, locker, result, detail, own FROM trail
            WHERE id = ?1",
    )?;
    let mut found = one.query([entry])?;
    let Some(row) = found.next()? else {
        return Err(gone(entry));
    };
    let before = Head {
        id: entry - 1,
        own: row.get(1)?,
    };
    verified(db, row, &before)?;
    taken(db, entry)
}

/// Chains rows that have no hashes yet, and gives the head.
pub(super) fn link_all(db: &Connection) -> Result<Head, Trouble> {
    let mut head = Head::default();
    let mut next = db.prepare(
        "SELECT id, at, actor, action, locker, detail FROM trail WHERE id > ?1 ORDER BY id LIMIT 1",
    )?;
    let mut link = db.prepare("UPDATE trail SET previous = ?2, own = ?3 WHERE id = ?1")?;
    // One row at a time: a row must not change below a statement that reads on.
    loop {
        let linked = {
            let mut found = next.query([head.id])?;
            let Some(row) = found.next()? else {
                return Ok(head);
            };
            if row.get::<_, i64>(0)? != head.id + 1 {
                return Err(gone(head.id + 1));
            }
            let (actor, action): (String, String) = (row.get(2)?, row.get(3)?);
            let detail: String = row.get(5)?;
            let entry = Entry {
                at_ms: row.get(1)?,
                actor: &actor,
                action: &action,
                locker: row.get(4)?,
                detail: &detail,
            };
            entry.chained(&head, &taken(db, head.id + 1)?)
        };
        link.execute(params![linked.id, head.own, linked.own])?;
        head = linked;
    }
}

#[cfg(test)]
mod tests;
