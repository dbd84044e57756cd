//! The store: the lockers in a SQLite database, so that what was acknowledged outlives a kill at any
//! moment and a power cut.
//!
//! It blocks, so it runs on a lane of its own and knows neither the loop nor a wire. [`Store::run`]
//! does everything that waits in one synced transaction. `job.rs` says what can be asked; `batch.rs`
//! has the transaction and `change.rs` what one change does in it, by what `known.rs` keeps in memory;
//! `schema.rs` has the tables, `rows.rs` and `trail.rs` their checksums, each of a line of text
//! (`line.rs`); `open.rs` and `files.rs` open and verify the files; `trouble.rs` says what errors mean.

use std::fs::File;

use self::clock::{Clock, repeat_left};
use self::open::Base;
use self::rows::Row;
use self::trouble::Trouble;
use crate::config::limits::{LOCKER_REOPEN, LOCKERS_DEFAULT};

pub use self::job::{Change, Job, Locker, Outcome, Place, Refusal};

mod backup;
mod batch;
mod change;
mod clock;
mod count;
mod files;
mod job;
mod known;
mod line;
mod open;
mod rows;
mod schema;
mod trail;
mod trouble;

/// The lockers on the disk. Dropping it writes the log into the database and gives the file up.
pub struct Store {
    place: Place,
    state: State,
    clock: Clock,
    /// Held to the end, also while the database is out of order.
    _lock: Option<File>,
}

/// Whether the database is in use.
enum State {
    /// It is.
    Open(Base),
    /// Something failed that leaves its contents in doubt. It is closed, and was tried last then.
    OutOfOrder {
        tried_ms: i64,
        /// What was said last, so that the log says it once.
        why: String,
    },
}

impl Store {
    /// Opens the database, or makes it, and gives the lockers by their numbers.
    ///
    /// `count` is how many there shall be; without it, a database that is there keeps its number,
    /// and a new one asks (`None` where nobody can be asked: 16).
    ///
    /// # Errors
    ///
    /// A sentence that names the file: it is damaged, newer, another program's, in use by another
    /// server, can't be read or written; or lockers in use are in the way of `count`. The file is
    /// then left as it was.
    pub fn open(
        place: Place,
        count: Option<u32>,
        ask: &mut dyn FnMut() -> Option<u32>,
    ) -> Result<(Self, Vec<Locker>), String> {
        Self::open_at(place, count, ask, clock::system())
    }

    fn open_at(
        place: Place,
        count: Option<u32>,
        ask: &mut dyn FnMut() -> Option<u32>,
        mut clock: Clock,
    ) -> Result<(Self, Vec<Locker>), String> {
        let now_ms = clock();
        if let Some(count) = count {
            count::checked(count)?;
        }
        let (place, lock, base, rows) = match place {
            Place::Memory => {
                let count = count.unwrap_or(LOCKERS_DEFAULT);
                let (base, rows) =
                    open::in_memory(count, now_ms).map_err(|trouble| trouble.to_string())?;
                (Place::Memory, None, base, rows)
            }
            Place::File(path) => {
                let path = files::resolved(&path)?;
                let lock = files::lock(&path)?;
                files::warn_of_network(&path);
                open::make(&path, &mut || count::first(count, ask), now_ms)?;
                let (mut base, rows) = open::open(&path, now_ms)?;
                let count = count.unwrap_or(rows.len() as u32);
                match base.set_count(&path, rows, count, now_ms) {
                    Ok(rows) => (Place::File(path), Some(lock), base, rows),
                    Err(error) => {
                        base.abandon();
                        return Err(error);
                    }
                }
            }
        };
        let lockers = seen(rows, &base, now_ms);
        let store = Self {
            place,
            state: State::Open(base),
            clock,
            _lock: lock,
        };
        Ok((store, lockers))
    }

    /// Does the jobs in their order and says what became of each; what is reported as done is
    /// on the disk. Changes that stand together are one transaction.
    ///
    /// The second part is there where the database had been out of order and could be opened again:
    /// all lockers as they were *before* the first of these jobs.
    pub fn run(&mut self, jobs: &[Job]) -> (Vec<Outcome>, Option<Vec<Locker>>) {
        let now_ms = (self.clock)();
        let again = self.reopen(now_ms);
        let mut outcomes = Vec::with_capacity(jobs.len());
        let together = |a: &Job, b: &Job| a.is_change() && b.is_change();
        for group in jobs.chunk_by(together) {
            let State::Open(base) = &mut self.state else {
                let out = Outcome::Failed(OUT_OF_ORDER.to_owned());
                outcomes.resize(outcomes.len() + group.len(), out);
                continue;
            };
            let trouble = match group {
                [Job::Backup { path }] => {
                    outcomes.push(base.back_up(path));
                    None
                }
                [Job::Look] => {
                    outcomes.push(Outcome::Looked);
                    None
                }
                [Job::Taken { locker }] => base.taken(*locker, &mut outcomes),
                changes => base.change(changes, now_ms, &mut outcomes),
            };
            if let Some(trouble) = trouble {
                self.give_up(&trouble, now_ms);
            }
        }
        (outcomes, again)
    }

    /// Closes a database that is in doubt.
    fn give_up(&mut self, trouble: &Trouble, now_ms: i64) {
        let name = self.name();
        log::error!("{name}: {trouble}; no locker is changed until it can be opened again");
        let closed = State::OutOfOrder {
            tried_ms: now_ms,
            why: String::new(),
        };
        if let State::Open(base) = std::mem::replace(&mut self.state, closed) {
            base.abandon();
        }
    }

    /// Opens a database again that is out of order, if it is time to try.
    fn reopen(&mut self, now_ms: i64) -> Option<Vec<Locker>> {
        let (State::OutOfOrder { tried_ms, why }, Place::File(path)) =
            (&mut self.state, &self.place)
        else {
            return None;
        };
        // Also when the clock went back, so that it can't keep the store out of order for years.
        if u128::from(now_ms.abs_diff(*tried_ms)) < LOCKER_REOPEN.as_millis() {
            return None;
        }
        *tried_ms = now_ms;
        match open::open(path, now_ms) {
            Ok((base, rows)) => {
                log::info!("{}: was opened again", path.display());
                let lockers = seen(rows, &base, now_ms);
                self.state = State::Open(base);
                Some(lockers)
            }
            Err(error) => {
                if *why != error {
                    log::error!("{error}");
                    *why = error;
                }
                None
            }
        }
    }

    fn name(&self) -> String {
        match &self.place {
            Place::File(path) => path.display().to_string(),
            Place::Memory => "the lockers".to_owned(),
        }
    }
}

/// What is answered while the database is out of order.
const OUT_OF_ORDER: &str = "the database is out of order; nothing was changed";

/// The lockers as others see them.
fn seen(rows: Vec<Row>, base: &Base, now_ms: i64) -> Vec<Locker> {
    let items = |row: &Row| base.known.get(row.number).map_or(0, |held| held.items);
    let seen = |row: Row| Locker {
        items: items(&row),
        in_use: row.in_use,
        epoch: row.epoch,
        hash: row.hash,
        is_default: row.is_default,
        repeat: repeat_left(row.freed_ms, now_ms),
    };
    rows.into_iter().map(seen).collect()
}

// A lane takes it to its own thread.
const _: () = {
    const fn goes_to_a_thread<T: Send>() {}
    goes_to_a_thread::<Store>();
};

#[cfg(test)]
mod tests;
