//! Faults of the disk; any jobs in any batches, held against a model that is too simple to be wrong.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;

use super::super::OUT_OF_ORDER;
use super::super::tests::{Bench, Fault, again, base, one, put, register, rehash, reset, retrieve};
use super::super::{Job, Locker, Outcome, Refusal, Store};
use crate::config::limits::{LOCKER_LOG_BYTES_MAX, LOCKER_LOG_PAGES_MAX, LOCKER_LOG_ROWS};

/// Few lockers, so that jobs meet.
const COUNT: u32 = 3;

/// A locker of the model.
#[derive(Default)]
struct Model {
    in_use: bool,
    epoch: u64,
    is_default: bool,
    items: Vec<Vec<u8>>,
    taken: Option<Vec<Vec<u8>>>,
    hash: Option<String>,
}

impl Model {
    fn apply(&mut self, locker: u32, job: &Job) -> Outcome {
        use super::super::Change;
        let Job::Change { change, .. } = job else {
            return match (&self.taken, self.in_use) {
                (Some(items), _) => Outcome::Taken {
                    at: 1_800_000_000,
                    items: items.clone(),
                },
                (None, true) => Outcome::Refused(Refusal::InUse),
                (None, false) => Outcome::Refused(Refusal::TooLate),
            };
        };
        match change {
            Change::Register { .. } | Change::Again { .. } if self.in_use => {
                return Outcome::Refused(Refusal::InUse);
            }
            Change::Register { .. } | Change::Again { .. } => {}
            _ if !self.in_use => return Outcome::Refused(Refusal::Free),
            _ => {}
        }
        match change {
            Change::Store { epoch, .. }
            | Change::Retrieve { epoch }
            | Change::Again { epoch }
            | Change::Rehash { epoch, .. }
                if *epoch != self.epoch =>
            {
                return Outcome::Refused(Refusal::Changed);
            }
            _ => {}
        }
        self.change(locker, change)
    }

    fn change(&mut self, locker: u32, change: &super::super::Change) -> Outcome {
        use super::super::Change;
        match change {
            Change::Register { hash } => {
                *self = Self {
                    in_use: true,
                    epoch: self.epoch + 1,
                    hash: Some(hash.clone()),
                    ..Self::default()
                };
                assert_eq!(*hash, format!("$argon2id${locker}"));
                Outcome::Registered { epoch: self.epoch }
            }
            Change::Store { item, .. } => {
                self.items.push(item.clone());
                let items = u32::try_from(self.items.len()).expect("few");
                Outcome::Stored { items }
            }
            Change::Retrieve { .. } => {
                self.in_use = false;
                let items = std::mem::take(&mut self.items);
                self.taken = Some(items.clone());
                Outcome::Retrieved { items }
            }
            Change::Again { .. } => match &self.taken {
                Some(items) => Outcome::Again {
                    items: items.clone(),
                },
                None => Outcome::Refused(Refusal::TooLate),
            },
            Change::Reset { hash } => {
                self.epoch += 1;
                self.is_default = true;
                self.hash = Some(hash.clone());
                Outcome::Reset { epoch: self.epoch }
            }
            Change::Rehash { hash, .. } => {
                self.hash = Some(hash.clone());
                Outcome::Rehashed
            }
        }
    }

    fn fits(&self, locker: &Locker) {
        assert_eq!(
            (self.in_use, self.epoch, self.is_default, self.items.len()),
            (
                locker.in_use,
                locker.epoch,
                locker.is_default,
                locker.items as usize
            )
        );
        assert_eq!(self.hash, locker.hash);
        assert_eq!(self.taken.is_some(), !locker.repeat.is_zero());
    }
}

/// A job, or a restart (`None`).
fn step() -> impl Strategy<Value = Option<(u32, Job)>> {
    let epoch = 0..4_u64;
    let item = prop::collection::vec(any::<u8>(), 0..20);
    let job = (0..COUNT, 0..8_u8, epoch, item).prop_map(|(locker, kind, epoch, item)| {
        let job = match kind {
            0 | 1 => register(locker),
            2 | 3 => put(locker, epoch, &item),
            4 => retrieve(locker, epoch),
            5 => again(locker, epoch),
            6 if item.len() % 3 == 0 => reset(locker),
            6 => rehash(locker, epoch),
            _ => Job::Taken { locker },
        };
        (locker, job)
    });
    prop_oneof![12 => job.prop_map(Some), 1 => Just(None)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_store_does_what_the_model_does(
        steps in prop::collection::vec((step(), any::<bool>()), 1..120),
    ) {
        let bench = Bench::new();
        let (mut store, _) = bench.try_open(Some(COUNT)).expect("opens");
        let mut model: HashMap<u32, Model> = (0..COUNT).map(|n| (n, Model::default())).collect();
        let mut batch: Vec<(u32, Job)> = Vec::new();
        for (step, ends_batch) in steps {
            let restart = step.is_none();
            batch.extend(step);
            if !ends_batch && !restart {
                continue;
            }
            let jobs: Vec<Job> = batch.iter().map(|(_, job)| job.clone()).collect();
            let (outcomes, _) = store.run(&jobs);
            prop_assert_eq!(outcomes.len(), jobs.len());
            for ((locker, job), outcome) in batch.drain(..).zip(outcomes) {
                let expected = model.get_mut(&locker).expect("exists").apply(locker, &job);
                prop_assert_eq!(outcome, expected, "{:?}", job);
            }
            if restart {
                drop(store);
                let opened = bench.open();
                store = opened.0;
                for (number, locker) in opened.1.iter().enumerate() {
                    model[&u32::try_from(number).expect("few")].fits(locker);
                }
            }
        }
    }
}

#[test]
fn a_full_disk_undoes_the_whole_batch_and_later_ones_are_served() {
    let bench = Bench::new();
    let (mut store, _) = bench.open();
    one(&mut store, register(0));
    let limit = |store: &mut Store, pages: i64| {
        let pragma = format!("PRAGMA max_page_count = {pages}");
        let db = &base(store).db;
        db.query_row(&pragma, (), |_| Ok(())).expect("sets");
    };
    limit(&mut store, 1);
    let head = base(&mut store).head.clone();
    let jobs: Vec<Job> = (0..100).map(|_| put(0, 1, &[b'x'; 256])).collect();
    let (outcomes, _) = store.run(&jobs);
    let full = Outcome::Failed("the disk is full; nothing was changed".to_owned());
    assert!(outcomes.iter().all(|outcome| *outcome == full));
    assert_eq!(base(&mut store).head, head);
    limit(&mut store, 1_000_000);
    assert_eq!(
        one(&mut store, put(0, 1, b"hat")),
        Outcome::Stored { items: 1 }
    );
}

#[test]
fn after_a_failed_commit_nothing_is_said_until_the_file_was_read_again() {
    for (fault, there) in [(Fault::ComesTrue, true), (Fault::Lost, false)] {
        let bench = Bench::new();
        let (mut store, _) = bench.open();
        one(&mut store, register(0));
        base(&mut store).fault = Some(fault);
        let (outcomes, again) = store.run(&[register(1), Job::Taken { locker: 0 }, register(0)]);
        let out = Outcome::Failed(OUT_OF_ORDER.to_owned());
        assert_eq!(outcomes, [Outcome::Unknown, out.clone(), out.clone()]);
        assert_eq!(again, None);
        bench.pass(Duration::from_millis(999));
        assert_eq!(one(&mut store, register(2)), out);
        assert!(bench.refused().contains("another server uses it"));
        bench.pass(Duration::from_millis(1));
        let (outcomes, again) = store.run(&[register(2)]);
        assert_eq!(outcomes, [Outcome::Registered { epoch: 1 }]);
        let again = again.expect("read again");
        assert_eq!(
            (again[0].in_use, again[1].in_use, again[2].in_use),
            (true, there, false)
        );
    }
}

#[test]
fn a_database_that_is_gone_stays_out_of_order_until_it_is_back() {
    let bench = Bench::new();
    let (mut store, _) = bench.open();
    base(&mut store).fault = Some(Fault::Lost);
    assert_eq!(one(&mut store, register(0)), Outcome::Unknown);
    let away = bench.beside("away.db");
    std::fs::rename(bench.path(), &away).expect("moves");
    bench.pass(Duration::from_secs(1));
    assert!(matches!(one(&mut store, register(0)), Outcome::Failed(_)));
    assert!(!bench.path().exists(), "no new one is made in its place");
    std::fs::rename(&away, bench.path()).expect("moves back");
    bench.pass(Duration::from_secs(1));
    let (outcomes, again) = store.run(&[register(0)]);
    assert_eq!(outcomes, [Outcome::Registered { epoch: 1 }]);
    assert_eq!(again.expect("read again").len(), 16);
}

#[test]
fn damage_that_is_met_later_is_not_passed_on() {
    let bench = Bench::new();
    let (mut store, _) = bench.open();
    store.run(&[register(0), put(0, 1, b"hat"), register(1)]);
    let db = &base(&mut store).db;
    db.execute_batch("UPDATE items SET item = 'cap'")
        .expect("works");
    let (outcomes, _) = store.run(&[put(1, 1, b"x"), retrieve(0, 1)]);
    let damaged = Outcome::Failed("the database is damaged; nothing was changed".to_owned());
    assert_eq!(outcomes, [damaged.clone(), damaged]);
    bench.pass(Duration::from_secs(1));
    let out = Outcome::Failed(OUT_OF_ORDER.to_owned());
    assert_eq!(one(&mut store, register(2)), out);
}

#[test]
fn a_row_of_the_past_is_not_changed() {
    let bench = Bench::new();
    let (mut store, _) = bench.open();
    one(&mut store, register(0));
    let db = &base(&mut store).db;
    db.execute_batch("CREATE TEMP TABLE past AS SELECT * FROM lockers WHERE number = 0")
        .expect("works");
    one(&mut store, reset(0));
    let db = &base(&mut store).db;
    db.execute_batch("REPLACE INTO lockers SELECT * FROM past")
        .expect("works");
    let (outcomes, _) = store.run(&[put(0, 2, b"hat"), rehash(0, 2)]);
    let damaged = Outcome::Failed("the database is damaged; nothing was changed".to_owned());
    assert_eq!(outcomes, [damaged.clone(), damaged]);
}

#[test]
fn a_long_log_is_written_into_the_database() {
    let bench = Bench::new();
    let (mut store, _) = bench.open();
    one(&mut store, register(0));
    let before = std::fs::metadata(bench.path()).expect("there").len();
    let log = || std::fs::metadata(bench.beside("lockers.db-wal")).expect("there");
    // Each touches two pages or more, and how long the log is is not asked each time.
    let rows = i64::try_from(LOCKER_LOG_ROWS).expect("small");
    for _ in 0..(LOCKER_LOG_PAGES_MAX + 2 * rows) / 2 {
        assert!(matches!(one(&mut store, reset(0)), Outcome::Reset { .. }));
    }
    assert!(std::fs::metadata(bench.path()).expect("there").len() > before);
    assert!(log().len() <= LOCKER_LOG_BYTES_MAX, "{}", log().len());
}

/// A locker is emptied, taken anew, filled and emptied in one batch, beside another one.
fn turnover() -> Vec<Job> {
    vec![
        put(0, 1, b"third"),
        put(1, 1, b"beside"),
        retrieve(0, 1),
        register(0),
        put(0, 2, b"other"),
        reset(1),
        put(1, 2, b"beside too"),
        retrieve(0, 2),
        again(0, 2),
        register(0),
        rehash(0, 3),
        put(0, 3, b""),
        register(2),
    ]
}

#[test]
fn a_batch_that_is_undone_anywhere_leaves_what_is_known_as_it_was() {
    let events = [
        "INSERT ON trail",
        "INSERT ON items",
        "INSERT ON trail_items",
    ];
    let events = events
        .into_iter()
        .chain(["DELETE ON items", "UPDATE ON lockers"]);
    let mut undone = 0;
    for event in events {
        for number in 0.. {
            let bench = Bench::new();
            let (mut store, _) = bench.try_open(Some(COUNT)).expect("opens");
            store.run(&[register(0), register(1), put(0, 1, b"a"), put(0, 1, b"b")]);
            let held = |store: &mut Store| [0, 1, 2].map(|n| base(store).known.get(n));
            let before = held(&mut store);
            let fail = format!(
                "CREATE TEMP TABLE seen (n); CREATE TEMP TRIGGER fails BEFORE {event} BEGIN
                    SELECT RAISE(ABORT, 'here') WHERE (SELECT count(*) FROM seen) = {number};
                    INSERT INTO seen VALUES (0); END"
            );
            base(&mut store).db.execute_batch(&fail).expect("works");
            let (outcomes, _) = store.run(&turnover());
            if !matches!(outcomes[0], Outcome::Failed(_)) {
                break;
            }
            undone += 1;
            assert_eq!(held(&mut store), before, "{event} {number}");
            let failed = |outcome: &Outcome| matches!(outcome, Outcome::Failed(_));
            assert!(outcomes.len() == turnover().len() && outcomes.iter().all(failed));
            let mend = "DROP TRIGGER fails";
            base(&mut store).db.execute_batch(mend).expect("works");
            let (outcomes, _) = store.run(&turnover());
            assert!(
                !outcomes.iter().any(failed),
                "{event} {number}: {outcomes:?}"
            );
            let after = held(&mut store);
            drop(store);
            let (mut store, _) = bench.open();
            assert_eq!(held(&mut store), after, "{event} {number}");
        }
    }
    assert!(undone > 25, "{undone}");
}
