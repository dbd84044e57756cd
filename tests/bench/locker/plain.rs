//! What the server is held against: SQLite alone, without any socket, with so many changes a commit.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::time::ClockId;
use rusqlite::{Connection, params};

use crate::load::{Round, latencies, nanos};
use crate::machine;
use crate::report::Outcome;

/// As wide as the server's were in layout 2, without its rules and without hashes. The goal is named
/// after these, so they stay when the server's change.
const TABLES: &str = "
PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
CREATE TABLE lockers (
    number INTEGER PRIMARY KEY, items INTEGER NOT NULL, hash TEXT NOT NULL, checksum TEXT NOT NULL
) STRICT;
CREATE TABLE items (
    locker INTEGER NOT NULL, place INTEGER NOT NULL, item TEXT NOT NULL, checksum TEXT NOT NULL,
    PRIMARY KEY (locker, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE trail (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
    locker INTEGER NOT NULL, detail TEXT NOT NULL, previous TEXT NOT NULL, own TEXT NOT NULL
) STRICT;";

/// As long as a SHA-256 that is shown, of which there were four in a change.
const CHECKSUM: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// As long as the hash of a password.
const HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

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
            db.execute(
                "INSERT INTO lockers VALUES (?1, 0, ?2, ?3)",
                params![number, HASH, CHECKSUM],
            )?;
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
            "INSERT INTO items VALUES (?1, ?2, ?3, ?4)",
            "UPDATE lockers SET items = ?2, checksum = ?3 WHERE number = ?1",
            "INSERT INTO trail
                VALUES (NULL, ?1, 'process 4711 of user 1000', 'store', ?2, '9 items', ?3, ?3)",
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
                put.execute(params![locker, place, item, CHECKSUM])?;
                count.execute(params![locker, place + 1, CHECKSUM])?;
                tell.execute(params![self.changes, locker, CHECKSUM])?;
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
