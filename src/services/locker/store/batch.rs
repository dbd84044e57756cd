//! What is done with an open database: a transaction of changes, and what stands between them.
//!
//! Whatever an error says, it is asked one thing here: can the changes still come true? Before a
//! commit was tried they can't. After that they can, unless the error is of a kind that comes before
//! the end of the transaction is written: then the answer is `Unknown`, and the database is closed.

use std::path::Path;

use super::change::{self, Changer};
use super::job::{Job, Outcome};
use super::open::{self, Base};
use super::rows::Row;
use super::trouble::{Kind, Trouble};
use super::{backup, count, trail};
use crate::config::limits::{LOCKER_LOG_PAGES_MAX, LOCKER_LOG_ROWS};

impl Base {
    /// Makes it this many lockers. After an error it is to be abandoned.
    pub(super) fn set_count(
        &mut self,
        path: &Path,
        rows: Vec<Row>,
        count: u32,
        now_ms: i64,
    ) -> Result<Vec<Row>, String> {
        if rows.len() == count as usize {
            return Ok(rows);
        }
        let named = |trouble: Trouble| format!("{}: {trouble}", path.display());
        count::set(&self.db, &self.head, &rows, count, now_ms).map_err(named)??;
        let rows;
        (rows, self.known, self.head) = open::load(&self.db).map_err(named)?;
        Ok(rows)
    }

    pub(super) fn back_up(&self, path: &Path) -> Outcome {
        match backup::write_elsewhere(&self.db, path) {
            Ok(bytes) => Outcome::BackedUp { bytes },
            Err(error) => Outcome::Failed(error),
        }
    }

    pub(super) fn taken(&self, locker: u32, outcomes: &mut Vec<Outcome>) -> Option<Trouble> {
        match change::taken(&self.db, locker) {
            Ok(outcome) => {
                outcomes.push(outcome);
                None
            }
            Err(trouble) => {
                outcomes.push(Outcome::Failed(trouble.answer()));
                Some(trouble)
            }
        }
    }

    /// One transaction. The trouble is given where the database is in doubt afterwards.
    pub(super) fn change(
        &mut self,
        jobs: &[Job],
        now_ms: i64,
        outcomes: &mut Vec<Outcome>,
    ) -> Option<Trouble> {
        let (head, rows, mut done) = match self.apply(jobs, now_ms) {
            Ok(done) => done,
            // No commit was tried, so nothing of it can come true, whatever the error is.
            Err(trouble) => return self.undo(trouble, jobs, outcomes),
        };
        match self.commit() {
            Ok(()) => {
                self.head = head;
                self.known.keep();
                outcomes.append(&mut done);
                self.unasked += rows;
                self.checkpoint()
            }
            // These come before the end of the transaction is written, so there is none.
            Err(trouble) if matches!(trouble.kind(), Kind::Full | Kind::ReadOnly | Kind::Rule) => {
                self.undo(trouble, jobs, outcomes)
            }
            // The disk may have all of it, or a part: a later opening may find it whole.
            Err(trouble) => {
                outcomes.resize(outcomes.len() + jobs.len(), Outcome::Unknown);
                Some(trouble)
            }
        }
    }

    /// Does the changes in a new transaction, which stays open. The head after it, and how many rows it
    /// has written.
    fn apply(
        &mut self,
        jobs: &[Job],
        now_ms: i64,
    ) -> Result<(trail::Head, usize, Vec<Outcome>), Trouble> {
        self.db.prepare_cached("BEGIN IMMEDIATE")?.execute(())?;
        let mut changer = Changer::new(&self.db, &mut self.known, self.head.clone(), now_ms);
        let mut done = Vec::with_capacity(jobs.len());
        for job in jobs {
            if let Job::Change {
                locker,
                change,
                actor,
            } = job
            {
                done.push(changer.apply(*locker, change, actor)?);
            }
        }
        Ok((changer.head, changer.rows, done))
    }

    fn commit(&mut self) -> Result<(), Trouble> {
        #[cfg(test)]
        if let Some(fault) = self.fault.take() {
            return fault.commit(&self.db);
        }
        self.db.prepare_cached("COMMIT")?.execute(())?;
        Ok(())
    }

    /// Nothing of the transaction was done.
    fn undo(
        &mut self,
        trouble: Trouble,
        jobs: &[Job],
        outcomes: &mut Vec<Outcome>,
    ) -> Option<Trouble> {
        self.known.undo();
        let failed = Outcome::Failed(trouble.answer());
        outcomes.resize(outcomes.len() + jobs.len(), failed);
        // SQLite may have undone it by itself already; only the end of it counts.
        let _ = self.db.execute_batch("ROLLBACK");
        let as_before = matches!(trouble.kind(), Kind::Full | Kind::Rule);
        match as_before && self.db.is_autocommit() {
            true => None,
            false => Some(trouble),
        }
    }

    /// Writes a long log into the database. That of SQLite, inside COMMIT, hides its errors.
    ///
    /// What was committed is true whatever happens here, as the log is synced; but a database
    /// whose sync failed is not to be used on.
    fn checkpoint(&mut self) -> Option<Trouble> {
        // SQLite prepares a question about its log anew each time, whoever keeps the statement.
        if self.unasked < LOCKER_LOG_ROWS {
            return None;
        }
        self.unasked = 0;
        let done = match self.log_pages() {
            Ok(pages) if pages < LOCKER_LOG_PAGES_MAX => Ok(()),
            Ok(_) => open::checkpoint(&self.db, "PASSIVE"),
            Err(error) => Err(error.into()),
        };
        match done {
            Err(trouble) if trouble.kind() == Kind::Full => {
                log::warn!("the disk is full: the log of the lockers can't be written into them");
                None
            }
            done => done.err(),
        }
    }

    /// How long the log is, in pages.
    fn log_pages(&self) -> rusqlite::Result<i64> {
        self.db
            .prepare_cached("PRAGMA wal_checkpoint(NOOP)")?
            .query_row((), |row| row.get(1))
    }
}

#[cfg(test)]
mod tests;
