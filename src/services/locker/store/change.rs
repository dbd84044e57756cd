//! The changes of one transaction: each looks at its locker, and writes the locker's row, the items
//! and a row of the trail, or nothing.

use rusqlite::{CachedStatement, Connection, ToSql, params};

use super::job::{Change, Outcome, Refusal};
use super::rows::{self, Row};
use super::trail::{self, DONE, Entry, Head};
use super::trouble::Trouble;
use crate::config::limits::{LOCKER_ITEM_BYTES_MAX, LOCKER_ITEMS_MAX};

/// Does the changes of a transaction that is open; dropped before its commit.
pub(super) struct Changer<'c> {
    db: &'c Connection,
    /// Asked of the connection when first used, by the number of [`Sql`]. They go back to it in the
    /// end, and are prepared once in its life: that took longer than a change itself.
    prepared: [Option<CachedStatement<'c>>; SQL.len()],
    /// The head of the trail, which is the store's once the transaction is committed.
    pub head: Head,
    now_ms: i64,
}

/// The statements.
#[derive(Clone, Copy)]
enum Sql {
    ReadLocker,
    WriteLocker,
    CountItems,
    ReadItems,
    AddItem,
    RemoveItems,
    AddEntry,
    AddTaken,
}

/// Their texts, in the order of [`Sql`].
const SQL: [&str; 8] = [
    "SELECT number, in_use, epoch, hash, items, freed_at, taken, is_default, checksum
        FROM lockers WHERE number = ?1",
    // What the decision was made on stands in the condition once more.
    "UPDATE lockers SET in_use = ?2, epoch = ?3, hash = ?4, items = ?5, freed_at = ?6, taken = ?7,
        is_default = ?8, checksum = ?9
        WHERE number = ?1 AND in_use = ?10 AND epoch = ?11 AND items = ?12",
    // SQLite looks at the rules of those columns alone that are set.
    "UPDATE lockers SET items = ?2, checksum = ?3
        WHERE number = ?1 AND in_use = ?4 AND epoch = ?5 AND items = ?6",
    "SELECT item, checksum FROM items WHERE locker = ?1 ORDER BY place",
    "INSERT INTO items (locker, place, item, checksum) VALUES (?1, ?2, ?3, ?4)",
    "DELETE FROM items WHERE locker = ?1",
    "INSERT INTO trail (id, at, actor, action, locker, result, detail, previous, own)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    "INSERT INTO trail_items (entry, place, item)
        SELECT ?1, place, item FROM items WHERE locker = ?2",
];

/// One change, as the trail tells it.
struct Told<'a> {
    actor: &'a str,
    action: &'static str,
    detail: String,
    taken: &'a [Vec<u8>],
}

impl<'c> Changer<'c> {
    pub(super) fn new(db: &'c Connection, head: Head, now_ms: i64) -> Self {
        Self {
            db,
            prepared: [const { None }; SQL.len()],
            head,
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
        let Some(row) = self.read(locker)? else {
            let text = format!("there is no locker {locker}; nothing was changed");
            return Ok(Outcome::Failed(text));
        };
        if let Some(refusal) = refusal(&row, change) {
            return Ok(Outcome::Refused(refusal));
        }
        match change {
            Change::Register { hash } => self.register(row, hash, actor),
            Change::Store { item, .. } => self.store(row, item, actor),
            Change::Retrieve { .. } => self.retrieve(row, actor),
            Change::Again { .. } => again(self.db, &row),
            Change::Reset { hash } => {
                let mut new = row.clone();
                new.epoch += 1;
                new.hash = Some(hash.clone());
                new.is_default = true;
                let told = Told::new(actor, "reset");
                self.write(&row, &new, &told)?;
                Ok(Outcome::Reset { epoch: new.epoch })
            }
            Change::Rehash { hash, .. } => {
                let mut new = row.clone();
                new.hash = Some(hash.clone());
                self.write(&row, &new, &Told::new(actor, "rehash"))?;
                Ok(Outcome::Rehashed)
            }
        }
    }

    fn register(&mut self, row: Row, hash: &str, actor: &str) -> Result<Outcome, Trouble> {
        let new = Row {
            number: row.number,
            in_use: true,
            epoch: row.epoch + 1,
            hash: Some(hash.to_owned()),
            ..Row::default()
        };
        self.write(&row, &new, &Told::new(actor, "register"))?;
        Ok(Outcome::Registered { epoch: new.epoch })
    }

    fn store(&mut self, row: Row, item: &[u8], actor: &str) -> Result<Outcome, Trouble> {
        if item.len() > LOCKER_ITEM_BYTES_MAX {
            let text =
                format!("an item has at most {LOCKER_ITEM_BYTES_MAX} bytes; nothing was changed");
            return Ok(Outcome::Failed(text));
        }
        let mut new = row.clone();
        new.items += 1;
        let checksum = rows::item_checksum(row.number, row.items, item);
        let value = rusqlite::types::ToSqlOutput::Borrowed(rows::value(item));
        self.execute(
            Sql::AddItem,
            params![row.number, row.items, value, checksum],
        )?;
        let mut told = Told::new(actor, "store");
        told.detail = format!("{} items", new.items);
        self.tell(&row, &told)?;
        let values = params![
            new.number,
            new.items,
            new.checksum(),
            row.in_use,
            row.epoch.cast_signed(),
            row.items
        ];
        let written = self.execute(Sql::CountItems, values)?;
        one_row(written, row.number)?;
        Ok(Outcome::Stored { items: new.items })
    }

    fn retrieve(&mut self, row: Row, actor: &str) -> Result<Outcome, Trouble> {
        let items = self.items(&row)?;
        let mut new = row.clone();
        new.in_use = false;
        new.items = 0;
        new.freed_ms = Some(self.now_ms);
        new.taken = Some(self.head.id + 1);
        let mut told = Told::new(actor, "retrieve");
        told.detail = format!("{} items", items.len());
        told.taken = &items;
        self.write(&row, &new, &told)?;
        Ok(Outcome::Retrieved { items })
    }

    /// The locker's row.
    fn read(&mut self, locker: u32) -> Result<Option<Row>, Trouble> {
        let mut found = self.statement(Sql::ReadLocker)?.query([locker])?;
        found.next()?.map(Row::read).transpose()
    }

    /// What lies in the locker, in order.
    fn items(&mut self, row: &Row) -> Result<Vec<Vec<u8>>, Trouble> {
        let mut items = Vec::new();
        let mut found = self.statement(Sql::ReadItems)?.query([row.number])?;
        while let Some(read) = found.next()? {
            let item = rows::bytes(read, 0)?;
            let place = items.len() as u32;
            if read.get_ref(1)?.as_bytes()
                != Ok(rows::item_checksum(row.number, place, item).as_bytes())
            {
                let shown = format!("({}, {place})", row.number);
                return Err(Trouble::checksum("items", shown));
            }
            items.push(item.to_vec());
        }
        match items.len() == row.items as usize {
            true => Ok(items),
            false => Err(Trouble::Damage(format!(
                "items of locker {} are gone",
                row.number
            ))),
        }
    }

    /// Writes the row of the trail; what is taken out goes from one place to the other.
    fn tell(&mut self, old: &Row, told: &Told<'_>) -> Result<(), Trouble> {
        let entry = Entry {
            at_ms: self.now_ms,
            actor: told.actor,
            action: told.action,
            locker: Some(old.number),
            detail: &told.detail,
        };
        let head = entry.chained(&self.head, told.taken);
        let previous = std::mem::replace(&mut self.head, head.clone()).own;
        self.execute(
            Sql::AddEntry,
            params![
                head.id,
                entry.at_ms,
                entry.actor,
                entry.action,
                entry.locker,
                DONE,
                entry.detail,
                previous,
                head.own
            ],
        )?;
        if !told.taken.is_empty() {
            self.execute(Sql::AddTaken, params![head.id, old.number])?;
            self.execute(Sql::RemoveItems, params![old.number])?;
        }
        Ok(())
    }

    /// Writes the row of the trail, then the locker's.
    fn write(&mut self, old: &Row, new: &Row, told: &Told<'_>) -> Result<(), Trouble> {
        self.tell(old, told)?;
        let written = self.execute(
            Sql::WriteLocker,
            params![
                new.number,
                new.in_use,
                new.epoch.cast_signed(),
                new.hash,
                new.items,
                new.freed_ms,
                new.taken,
                new.is_default,
                new.checksum(),
                old.in_use,
                old.epoch.cast_signed(),
                old.items
            ],
        )?;
        one_row(written, old.number)
    }

    fn execute(&mut self, sql: Sql, values: &[&dyn ToSql]) -> Result<usize, Trouble> {
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
        }
    }
}

/// What the decision was made on still held.
fn one_row(written: usize, locker: u32) -> Result<(), Trouble> {
    match written {
        1 => Ok(()),
        _ => Err(Trouble::Damage(format!(
            "row {locker} of lockers changed by itself"
        ))),
    }
}

/// Why the change may not be done to this locker, if it may not.
fn refusal(row: &Row, change: &Change) -> Option<Refusal> {
    let of_this = |epoch: u64| (row.epoch != epoch).then_some(Refusal::Changed);
    match (change, row.in_use) {
        (Change::Register { .. } | Change::Again { .. }, true) => Some(Refusal::InUse),
        (Change::Register { .. }, false) => None,
        (Change::Again { epoch }, false) => {
            let late = row.taken.is_none().then_some(Refusal::TooLate);
            of_this(*epoch).or(late)
        }
        (_, false) => Some(Refusal::Free),
        (Change::Store { epoch, .. }, true) => {
            let full = (row.items >= LOCKER_ITEMS_MAX).then_some(Refusal::Full);
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
    let mut changer = Changer::new(db, Head::default(), 0);
    let Some(row) = changer.read(locker)? else {
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
