//! The store: every change and refusal, the trail, the time of a repeat.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::config::limits::{LOCKER_ITEM_BYTES_MAX, LOCKER_ITEMS_MAX};

/// How a commit fails in a test.
pub(super) enum Fault {
    /// It fails, and comes true all the same.
    ComesTrue,
    /// It fails, and nothing of it is there.
    Lost,
}

impl Fault {
    pub(super) fn commit(self, db: &Connection) -> Result<(), Trouble> {
        db.execute_batch(match self {
            Self::ComesTrue => "COMMIT",
            Self::Lost => "ROLLBACK",
        })
        .expect("the disk works");
        let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
        Err(rusqlite::Error::SqliteFailure(error, None).into())
    }
}

/// A folder with a database, and a clock that is moved by hand.
pub(super) struct Bench {
    pub folder: TempDir,
    pub now: Arc<AtomicI64>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            now: Arc::new(AtomicI64::new(1_800_000_000_000)),
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("lockers.db")
    }

    /// Another file of the folder.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn try_open(&self, count: Option<u32>) -> Result<(Store, Vec<Locker>), String> {
        let now = self.now.clone();
        let clock = Box::new(move || now.load(Ordering::Relaxed));
        Store::open_at(Place::File(self.path()), count, &mut || None, clock)
    }

    pub(super) fn open(&self) -> (Store, Vec<Locker>) {
        self.try_open(None).expect("it opens")
    }

    pub(super) fn pass(&self, time: Duration) {
        let ms = i64::try_from(time.as_millis()).expect("small");
        self.now.fetch_add(ms, Ordering::Relaxed);
    }

    /// Why it does not open.
    pub(super) fn refused(&self) -> String {
        self.try_open(None).map(|_| ()).expect_err("it is refused")
    }
}

pub(super) fn base(store: &mut Store) -> &mut Base {
    match &mut store.state {
        State::Open(base) => base,
        State::OutOfOrder { .. } => panic!("out of order"),
    }
}

pub(super) fn job(locker: u32, change: Change) -> Job {
    Job::Change {
        locker,
        change,
        actor: "192.0.2.1:4000".to_owned(),
    }
}

pub(super) fn register(locker: u32) -> Job {
    let hash = format!("$argon2id${locker}");
    job(locker, Change::Register { hash })
}

pub(super) fn put(locker: u32, epoch: u64, item: &[u8]) -> Job {
    let item = item.to_vec();
    job(locker, Change::Store { epoch, item })
}

pub(super) fn retrieve(locker: u32, epoch: u64) -> Job {
    job(locker, Change::Retrieve { epoch })
}

pub(super) fn again(locker: u32, epoch: u64) -> Job {
    job(locker, Change::Again { epoch })
}

pub(super) fn reset(locker: u32) -> Job {
    let hash = "$argon2id$0000".to_owned();
    job(locker, Change::Reset { hash })
}

pub(super) fn rehash(locker: u32, epoch: u64) -> Job {
    let hash = "$argon2id$dear".to_owned();
    job(locker, Change::Rehash { epoch, hash })
}

/// One job alone in its batch.
pub(super) fn one(store: &mut Store, job: Job) -> Outcome {
    let (mut outcomes, again) = store.run(&[job]);
    assert_eq!((outcomes.len(), again), (1, None));
    outcomes.remove(0)
}

pub(super) fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[test]
fn a_locker_is_registered_filled_and_emptied() {
    let bench = Bench::new();
    let (mut store, lockers) = bench.open();
    assert_eq!(lockers.len(), 16);
    assert!(
        lockers.iter().all(|locker| !locker.in_use
            && locker.hash.is_none()
            && locker.repeat == Duration::ZERO)
    );
    assert_eq!(
        one(&mut store, register(3)),
        Outcome::Registered { epoch: 1 }
    );
    assert_eq!(
        one(&mut store, put(3, 1, b"a\0b")),
        Outcome::Stored { items: 1 }
    );
    assert_eq!(
        one(&mut store, put(3, 1, b"\xff")),
        Outcome::Stored { items: 2 }
    );
    assert_eq!(
        one(&mut store, put(3, 1, b"")),
        Outcome::Stored { items: 3 }
    );
    assert_eq!(one(&mut store, reset(3)), Outcome::Reset { epoch: 2 });
    assert_eq!(one(&mut store, rehash(3, 2)), Outcome::Rehashed);
    let items = vec![b"a\0b".to_vec(), vec![0xff], Vec::new()];
    let got = one(&mut store, retrieve(3, 2));
    assert_eq!(
        got,
        Outcome::Retrieved {
            items: items.clone()
        }
    );
    bench.pass(Duration::from_secs(20));
    let got = one(&mut store, again(3, 2));
    assert_eq!(
        got,
        Outcome::Again {
            items: items.clone()
        }
    );
    let at = 1_800_000_000;
    assert_eq!(
        one(&mut store, Job::Taken { locker: 3 }),
        Outcome::Taken { at, items }
    );
    drop(store);
    let (_, lockers) = bench.open();
    let expected = Locker {
        in_use: false,
        epoch: 2,
        hash: Some("$argon2id$dear".to_owned()),
        is_default: true,
        items: 0,
        repeat: Duration::from_secs(40),
    };
    assert_eq!(lockers[3], expected);
}

#[test]
fn the_trail_tells_of_each_change_and_of_no_secret() {
    let bench = Bench::new();
    let (mut store, _) = bench.open();
    let items = [put(3, 1, b"hat"), put(3, 1, b"cap")];
    store.run(&[
        register(3),
        items[0].clone(),
        items[1].clone(),
        put(3, 2, b"lost"),
    ]);
    store.run(&[reset(3), rehash(3, 2), retrieve(3, 2), again(3, 2)]);
    drop(store);
    let db = Connection::open(bench.path()).expect("closed before");
    let mut all = db
        .prepare(
            "SELECT at || actor || action || ifnull(locker, '') || '|' || detail || '|' || stored
                FROM trail",
        )
        .expect("our tables");
    let rows = all.query_map((), |row| row.get(0)).expect("rows");
    let told: Vec<String> = rows.map(|row| row.expect("a row")).collect();
    let change = |told: &str| format!("1800000000000192.0.2.1:4000{told}");
    let expected = [
        "1800000000000servercreate|16 lockers|0".to_owned(),
        change("register3||0"),
        change("store3|1 items|1"),
        change("store3|2 items|2"),
        change("reset3||2"),
        change("rehash3||2"),
        change("retrieve3|2 items|0"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_does_not_fit_the_locker_is_refused_and_writes_nothing() {
    let bench = Bench::new();
    let (mut store, _) = bench.open();
    one(&mut store, register(1));
    let before = base(&mut store).head.clone();
    let cases = [
        (register(1), Refusal::InUse),
        (again(1, 1), Refusal::InUse),
        (put(1, 2, b"x"), Refusal::Changed),
        (retrieve(1, 0), Refusal::Changed),
        (rehash(1, 2), Refusal::Changed),
        (put(2, 0, b"x"), Refusal::Free),
        (retrieve(2, 0), Refusal::Free),
        (reset(2), Refusal::Free),
        (rehash(2, 0), Refusal::Free),
        (again(2, 0), Refusal::TooLate),
        (again(2, 1), Refusal::Changed),
        (Job::Taken { locker: 1 }, Refusal::InUse),
        (Job::Taken { locker: 2 }, Refusal::TooLate),
    ];
    let jobs: Vec<Job> = cases.iter().map(|(job, _)| job.clone()).collect();
    let (outcomes, _) = store.run(&jobs);
    for ((job, refusal), outcome) in cases.iter().zip(outcomes) {
        assert_eq!(outcome, Outcome::Refused(*refusal), "{job:?}");
    }
    let long = vec![b'x'; LOCKER_ITEM_BYTES_MAX + 1];
    let failed = [register(16), put(1, 1, &long), Job::Taken { locker: 99 }];
    for job in failed {
        let outcome = one(&mut store, job.clone());
        assert!(
            matches!(outcome, Outcome::Failed(_)),
            "{job:?}: {outcome:?}"
        );
    }
    assert_eq!(base(&mut store).head, before);
}

#[test]
fn a_locker_takes_a_thousand_items_and_no_more() {
    let bench = Bench::new();
    let (mut store, _) = bench.open();
    let mut jobs = vec![register(0)];
    jobs.extend((0..LOCKER_ITEMS_MAX).map(|n| put(0, 1, n.to_string().as_bytes())));
    jobs.push(put(0, 1, b"one more"));
    let (outcomes, _) = store.run(&jobs);
    assert_eq!(outcomes[1000], Outcome::Stored { items: 1000 });
    assert_eq!(outcomes[1001], Outcome::Refused(Refusal::Full));
    let Outcome::Retrieved { items } = one(&mut store, retrieve(0, 1)) else {
        panic!("not retrieved");
    };
    assert!(
        items
            .iter()
            .enumerate()
            .all(|(n, item)| *item == n.to_string().into_bytes())
    );
    assert_eq!(items.len(), 1000);
}

#[test]
fn a_repeat_is_served_after_a_restart_for_what_is_left_of_a_minute() {
    let bench = Bench::new();
    let (mut store, _) = bench.open();
    store.run(&[register(0), put(0, 1, b"hat"), retrieve(0, 1)]);
    drop(store);
    for (seconds, left) in [(59, 1), (1, 0), (1, 0)] {
        bench.pass(Duration::from_secs(seconds));
        let (_, lockers) = bench.open();
        assert_eq!(lockers[0].repeat, Duration::from_secs(left));
    }
    // The clock went back behind the moment of the retrieve.
    bench.now.fetch_sub(61_001, Ordering::Relaxed);
    let (mut store, lockers) = bench.open();
    assert_eq!(lockers[0].repeat, Duration::ZERO);
    // Registered anew, nothing is repeated, and the operator is not shown it either.
    let (outcomes, _) = store.run(&[register(0), retrieve(0, 2), again(0, 1), again(0, 2)]);
    assert_eq!(outcomes[2], Outcome::Refused(Refusal::Changed));
    assert_eq!(outcomes[3], Outcome::Again { items: Vec::new() });
}

#[test]
fn reads_stand_in_order_between_the_changes_of_a_batch() {
    let bench = Bench::new();
    let (mut store, _) = bench.open();
    let path = bench.beside("copy.db");
    let (outcomes, _) = store.run(&[
        register(0),
        put(0, 1, b"hat"),
        Job::Backup { path: path.clone() },
        retrieve(0, 1),
        Job::Taken { locker: 0 },
        register(0),
    ]);
    assert!(matches!(outcomes[2], Outcome::BackedUp { bytes } if bytes > 4096));
    assert!(matches!(&outcomes[4], Outcome::Taken { items, .. } if items.len() == 1));
    assert_eq!(outcomes[5], Outcome::Registered { epoch: 2 });
    let copy = Connection::open(path).expect("opens");
    let items: i64 = copy
        .query_row("SELECT count(*) FROM items WHERE locker = 0", (), |row| {
            row.get(0)
        })
        .expect("the state in between");
    assert_eq!(items, 1);
}

#[test]
fn a_store_in_memory_does_the_same() {
    let (mut store, lockers) = Store::open(Place::Memory, Some(2), &mut || None).expect("opens");
    assert_eq!(lockers.len(), 2);
    let (outcomes, _) = store.run(&[register(0), put(0, 1, b"hat"), retrieve(0, 1)]);
    let items = vec![b"hat".to_vec()];
    assert_eq!(outcomes[2], Outcome::Retrieved { items });
}
