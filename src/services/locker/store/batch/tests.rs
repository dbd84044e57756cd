//! Any jobs in any batches, held against a model that is too simple to be wrong.

use std::collections::HashMap;

use proptest::prelude::*;

use super::super::tests::{Bench, again, put, register, rehash, reset, retrieve};
use super::super::{Job, Locker, Outcome, Refusal};

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
