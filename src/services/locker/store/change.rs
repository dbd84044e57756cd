//! The changes of one transaction: each looks at its locker, and writes items, a row of the trail and
//! the locker's row, as far as it changes them, or nothing.

use rusqlite::types::ToSqlOutput;
use rusqlite::{CachedStatement, Connection, ToSql, params};

use super::job::{Change, Outcome, Refusal};
use super::known::{Held, Known};
use super::line;
use super::rows::{self, Item, Row};
use super::trail::{self, Entry, Head};
use super::trouble::Trouble;
use crate::config::limits::{LOCKER_ITEM_BYTES_MAX, LOCKER_ITEMS_MAX};

/// Does the changes of a transaction that is open; dropped before its commit.
pub(super) struct Changer<'c> {
    db: &'c Connection,
    /// Asked of the connection when first used, by the number of [`Sql`]. They go back to it in the
    /// end, and are prepared once in its life: that took longer than a change itself.
    prepared: [Option<CachedStatement<'c>>; SQL.len()],
    known: &'c mut Known,
    /// The head of the trail, which is the store's once the transaction is committed.
    pub head: Head,
    /// How many rows were written, removed ones among them.
    pub rows: usize,
    now_ms: i64,
}

/// The statements.
#[derive(Clone, Copy)]
enum Sql {
    WriteLocker,
    ReadItem,
    AddItem,
    RemoveItem,
    AddEntry,
    AddTaken,
}

/// Their texts, in the order of [`Sql`].
const SQL: [&str; 6] = [
    // What the decision was made on stands in the condition once more.
    "UPDATE lockers SET in_use = ?2, epoch = ?3, hash = ?4, freed_at = ?5, taken = ?6,
        is_default = ?7, checksum = ?8
        WHERE number = ?1 AND in_use = ?9 AND epoch = ?10",
    Item::ONE,
    Item::ADD,
    "DELETE FROM items WHERE id = ?1",
    trail::ADD,
    "INSERT INTO trail_items (entry, place, item) VALUES (?1, ?2, ?3)",
];

/// One change, as the trail tells it.
struct Told<'a> {
    actor: &'a str,
    action: &'static str,
    detail: String,
    taken: &'a [Vec<u8>],
    /// How many items more or less lie in all lockers.
    stored: i64,
}

impl<'c> Changer<'c> {
    pub(super) fn new(db: &'c Connection, known: &'c mut Known, head: Head, now_ms: i64) -> Self {
        Self {
            db,
            prepared: [const { None }; SQL.len()],
            known,
            head,
            rows: 0,
            now_ms,
        }
    }

    /// Does one change, or says why not; what is not done has written nothing.
    pub(super) fn apply(
        &mut self,
        locker: u32,
        change: &Change,
        actor: &str,
    ) -> Result<Outcome, Trouble> {
        let Some(held) = self.known.get(locker) else {
            let text = format!("there is no locker {locker}; nothing was changed");
            return Ok(Outcome::Failed(text));
        };
        if let Some(refusal) = refusal(held, change) {
            return Ok(Outcome::Refused(refusal));
        }
        // All but a store read the locker's row first.
        match change {
            Change::Store { item, .. } => self.store(locker, held, item, actor),
            Change::Register { hash } => {
                let row = self.row(locker, held)?;
                self.register(&row, hash, actor)
            }
            Change::Retrieve { .. } => {
                let row = self.row(locker, held)?;
                self.retrieve(&row, held, actor)
            }
            Change::Again { .. } => again(self.db, &self.row(locker, held)?),
            Change::Reset { hash } => {
                let row = self.row(locker, held)?;
                let mut new = row.clone();
                new.epoch += 1;
                new.hash = Some(hash.clone());
                new.is_default = true;
                self.write(&row, &new, &Told::new(actor, "reset"))?;
                self.known.set(locker, held.anew(new.epoch));
                Ok(Outcome::Reset { epoch: new.epoch })
            }
            Change::Rehash { hash, .. } => {
                let row = self.row(locker, held)?;
                let mut new = row.clone();
                new.hash = Some(hash.clone());
                self.write(&row, &new, &Told::new(actor, "rehash"))?;
                Ok(Outcome::Rehashed)
            }
        }
    }

    fn register(&mut self, row: &Row, hash: &str, actor: &str) -> Result<Outcome, Trouble> {
        let new = Row {
            number: row.number,
            in_use: true,
            epoch: row.epoch + 1,
            hash: Some(hash.to_owned()),
            ..Row::default()
        };
        self.write(row, &new, &Told::new(actor, "register"))?;
        self.known.set(row.number, Held::empty(true, new.epoch));
        Ok(Outcome::Registered { epoch: new.epoch })
    }

    /// Writes two rows, each behind the last of its table, and reads none.
    fn store(
        &mut self,
        locker: u32,
        held: Held,
        item: &[u8],
        actor: &str,
    ) -> Result<Outcome, Trouble> {
        if item.len() > LOCKER_ITEM_BYTES_MAX {
            let text =
                format!("an item has at most {LOCKER_ITEM_BYTES_MAX} bytes; nothing was changed");
            return Ok(Outcome::Failed(text));
        }
        let items = held.items + 1;
        let mut told = Told::new(actor, "store");
        told.detail = line::items(items);
        told.stored = 1;
        self.tell(locker, &told)?;
        let item = Item {
            id: self.head.id,
            locker,
            place: held.items,
            before: held.newest(),
            item,
        };
        self.rows += 1;
        item.add(self.statement(Sql::AddItem)?)?;
        self.known.set(locker, held.with(item.id));
        Ok(Outcome::Stored { items })
    }

    fn retrieve(&mut self, row: &Row, held: Held, actor: &str) -> Result<Outcome, Trouble> {
        let (ids, items) = self.items(row.number, held)?;
        let mut new = row.clone();
        new.in_use = false;
        new.freed_ms = Some(self.now_ms);
        new.taken = Some(self.head.id + 1);
        let mut told = Told::new(actor, "retrieve");
        told.detail = line::items(held.items);
        told.taken = &items;
        told.stored = -i64::from(held.items);
        self.write(row, &new, &told)?;
        for (place, (id, item)) in ids.iter().zip(&items).enumerate() {
            let value = ToSqlOutput::Borrowed(rows::value(item));
            let entry = self.head.id;
            self.execute(Sql::AddTaken, params![entry, place as i64, value])?;
            let removed = self.execute(Sql::RemoveItem, params![id])?;
            one_row(removed, "items", *id)?;
        }
        self.known.set(row.number, Held::empty(false, row.epoch));
        Ok(Outcome::Retrieved { items })
    }

    /// The locker's row, which says what is known.
    fn row(&mut self, locker: u32, held: Held) -> Result<Row, Trouble> {
        match Row::of(self.db, locker)? {
            Some(row) if row.in_use == held.in_use && row.epoch == held.epoch => Ok(row),
            _ => Err(Trouble::Damage(format!(
                "row {locker} of lockers changed by itself"
            ))),
        }
    }

    /// What lies in the locker, with its ids, in order: from the newest back, each names the one
    /// before it.
    fn items(&mut self, locker: u32, held: Held) -> Result<(Vec<i64>, Vec<Vec<u8>>), Trouble> {
        let (mut ids, mut items) = (Vec::new(), Vec::new());
        let mut next = held.newest();
        for place in (0..held.items).rev() {
            let gone = || Trouble::Damage(format!("items of locker {locker} are gone"));
            let id = next.ok_or_else(gone)?;
            let mut found = self.statement(Sql::ReadItem)?.query([id])?;
            let item = Item::read(found.next()?.ok_or_else(gone)?)?;
            if (item.locker, item.place) != (locker, place) {
                return Err(gone());
            }
            ids.push(id);
            items.push(item.item.to_vec());
            next = item.before;
        }
        ids.reverse();
        items.reverse();
        Ok((ids, items))
    }

    /// Writes the row of the trail.
    fn tell(&mut self, locker: u32, told: &Told<'_>) -> Result<(), Trouble> {
        let entry = Entry {
            at_ms: self.now_ms,
            actor: told.actor,
            action: told.action,
            locker: Some(locker),
            detail: &told.detail,
            stored: Some(self.head.stored + told.stored),
        };
        self.head = entry.chained(&self.head, told.taken);
        let head = self.head.clone();
        self.rows += 1;
        entry.add(self.statement(Sql::AddEntry)?, &head)
    }

    /// Writes the row of the trail, then the locker's.
    fn write(&mut self, old: &Row, new: &Row, told: &Told<'_>) -> Result<(), Trouble> {
        self.tell(old.number, told)?;
        let written = self.execute(
            Sql::WriteLocker,
            params![
                new.number,
                new.in_use,
                new.epoch.cast_signed(),
                new.hash,
                new.freed_ms,
                new.taken,
                new.is_default,
                new.checksum(),
                old.in_use,
                old.epoch.cast_signed()
            ],
        )?;
        one_row(written, "lockers", old.number.into())
    }

    fn execute(&mut self, sql: Sql, values: &[&dyn ToSql]) -> Result<usize, Trouble> {
        self.rows += 1;
        Ok(self.statement(sql)?.execute(values)?)
    }

    fn statement(&mut self, sql: Sql) -> Result<&mut CachedStatement<'c>, Trouble> {
        let at = sql as usize;
        let place = &mut self.prepared[at];
        match place {
            Some(statement) => Ok(statement),
            None => Ok(place.insert(self.db.prepare_cached(SQL[at])?)),
        }
    }
}

impl<'a> Told<'a> {
    fn new(actor: &'a str, action: &'static str) -> Self {
        Self {
            actor,
            action,
            detail: String::new(),
            taken: &[],
            stored: 0,
        }
    }
}

/// What the decision was made on still held.
fn one_row(written: usize, table: &str, row: i64) -> Result<(), Trouble> {
    match written {
        1 => Ok(()),
        _ => Err(Trouble::Damage(format!(
            "row {row} of {table} changed by itself"
        ))),
    }
}

/// Why the change may not be done to this locker, if it may not.
fn refusal(held: Held, change: &Change) -> Option<Refusal> {
    let of_this = |epoch: u64| (held.epoch != epoch).then_some(Refusal::Changed);
    match (change, held.in_use) {
        (Change::Register { .. } | Change::Again { .. }, true) => Some(Refusal::InUse),
        (Change::Register { .. }, false) => None,
        (Change::Again { epoch }, false) => of_this(*epoch),
        (_, false) => Some(Refusal::Free),
        (Change::Store { epoch, .. }, true) => {
            let full = (held.items >= LOCKER_ITEMS_MAX).then_some(Refusal::Full);
            of_this(*epoch).or(full)
        }
        (Change::Retrieve { epoch } | Change::Rehash { epoch, .. }, true) => of_this(*epoch),
        (Change::Reset { .. }, true) => None,
    }
}

/// What was taken out last, once more.
fn again(db: &Connection, row: &Row) -> Result<Outcome, Trouble> {
    match row.taken {
        Some(entry) => {
            let items = trail::taken_verified(db, entry)?;
            Ok(Outcome::Again { items })
        }
        None => Ok(Outcome::Refused(Refusal::TooLate)),
    }
}

/// What was taken last out of a locker, for the operator.
pub(super) fn taken(db: &Connection, locker: u32) -> Result<Outcome, Trouble> {
    let Some(row) = Row::of(db, locker)? else {
        let text = format!("there is no locker {locker}");
        return Ok(Outcome::Failed(text));
    };
    let (Some(entry), Some(freed_ms)) = (row.taken, row.freed_ms) else {
        return Ok(Outcome::Refused(match row.in_use {
            true => Refusal::InUse,
            false => Refusal::TooLate,
        }));
    };
    Ok(Outcome::Taken {
        at: u64::try_from(freed_ms / 1000).unwrap_or(0),
        items: trail::taken_verified(db, entry)?,
    })
}
