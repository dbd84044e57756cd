//! What the server is held against: SQLite alone, without any socket, with so many changes a commit.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::time::ClockId;
use rusqlite::{Connection, params};

use crate::load::{Round, latencies, nanos};
use crate::machine;
use crate::report::Outcome;

/// Fewer than the server's, and without checksums and hashes.
const TABLES: &str = "
PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
CREATE TABLE lockers (number INTEGER PRIMARY KEY, items INTEGER NOT NULL) STRICT;
CREATE TABLE items (
    locker INTEGER NOT NULL, place INTEGER NOT NULL, item TEXT NOT NULL,
    PRIMARY KEY (locker, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE trail (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, action TEXT NOT NULL, locker INTEGER NOT NULL
) STRICT;";

/// One database.
pub struct Plain {
    db: Connection,
    lockers: i64,
    /// Changes that one transaction takes.
    per_commit: i64,
    changes: i64,
}

impl Plain {
    /// A new database with that many lockers.
    pub fn new(path: &Path, lockers: i64, per_commit: i64) -> Outcome<Self> {
        let db = Connection::open(path)?;
        db.execute_batch(TABLES)?;
        db.execute_batch("BEGIN")?;
        for number in 0..lockers {
            db.execute("INSERT INTO lockers VALUES (?1, 0)", [number])?;
        }
        db.execute_batch("COMMIT")?;
        Ok(Self {
            db,
            lockers,
            per_commit,
            changes: 0,
        })
    }

    pub fn name(&self) -> String {
        match self.per_commit {
            1 => "SQLite, one commit a change".to_owned(),
            many => format!("SQLite, one commit for {many}"),
        }
    }

    /// Changes for so long, on the server's core. Latency is that of the transaction.
    pub fn round(&mut self, length: Duration, item: &str) -> Outcome<Round> {
        let done = thread::scope(|scope| {
            let work = || self.change(length, item).map_err(|error| error.to_string());
            let thread = machine::on_server_core(|| Ok(scope.spawn(work)));
            let thread = thread.map_err(|error| error.to_string())?;
            thread
                .join()
                .unwrap_or(Err("SQLite's thread died".to_owned()))
        });
        Ok(done?)
    }

    fn change(&mut self, length: Duration, item: &str) -> Outcome<Round> {
        let mut latency = latencies()?;
        let mut statements = [
            "BEGIN IMMEDIATE",
            "INSERT INTO items VALUES (?1, ?2, ?3)",
            "UPDATE lockers SET items = ?2 WHERE number = ?1",
            "INSERT INTO trail VALUES (NULL, ?1, 'store', ?2)",
            "COMMIT",
        ]
        .map(|sql| self.db.prepare(sql));
        let [Ok(begin), Ok(put), Ok(count), Ok(tell), Ok(commit)] = &mut statements else {
            return Err("SQLite takes no statement".into());
        };
        let before = self.changes;
        let cpu = Duration::from(ClockId::CLOCK_THREAD_CPUTIME_ID.now()?);
        let start = Instant::now();
        while start.elapsed() < length {
            let begun = Instant::now();
            begin.execute(())?;
            for _ in 0..self.per_commit {
                let (locker, place) = (self.changes % self.lockers, self.changes / self.lockers);
                put.execute(params![locker, place, item])?;
                count.execute([locker, place + 1])?;
                tell.execute([self.changes, locker])?;
                self.changes += 1;
            }
            commit.execute(())?;
            latency.record_n(nanos(begun.elapsed()), self.per_commit.unsigned_abs())?;
        }
        let elapsed = start.elapsed();
        let cpu = Duration::from(ClockId::CLOCK_THREAD_CPUTIME_ID.now()?).saturating_sub(cpu);
        Ok(Round {
            done: (self.changes - before).unsigned_abs(),
            elapsed,
            cpu,
            latency,
        })
    }
}
