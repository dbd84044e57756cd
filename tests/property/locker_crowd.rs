//! Many clients at the same lockers while the lanes work in any order: whatever they are told could
//! have been told to them one after the other.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use switchboard::service::Peer;
use switchboard::service::harness::Harness;
use switchboard::services::locker;

use crate::cases;
use crate::locker_history::{Call, is_linearizable};
use crate::locker_model::{Ask, Password, line, network, read};

const LOCKERS: usize = 2;
const CLIENTS: usize = 6;
/// Two of them may reset.
const ADMINS: usize = 2;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Action {
    /// A client that has its last answer asks for something: which locker, what, and with which of
    /// the passwords that it ever had.
    Ask(usize, usize, u8, usize),
    /// A worker does a batch.
    Work(usize),
    /// The next result is delivered.
    Report,
    /// A second passes.
    Second,
    /// The client goes without a word, and another one comes.
    Vanish(usize),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        24 => (0..CLIENTS, 0..LOCKERS, 0_u8..16, 0_usize..12)
            .prop_map(|(client, locker, what, pick)| Action::Ask(client, locker, what, pick)),
        16 => (0_usize..8).prop_map(Action::Work),
        16 => Just(Action::Report),
        1 => Just(Action::Second),
        1 => (0..CLIENTS).prop_map(Action::Vanish),
    ]
}

struct Crowd {
    harness: Harness,
    places: [usize; CLIENTS],
    peers: usize,
    /// What each has asked and has no answer to: the locker and the place in its history.
    open: [Option<(usize, usize)>; CLIENTS],
    histories: [Vec<Call>; LOCKERS],
    passwords: [Vec<Password>; LOCKERS],
    count: u32,
    now: usize,
}

impl Crowd {
    fn new() -> Self {
        let mut harness = Harness::new(&locker::ENTRY, "count=2&hash=8,1");
        harness.hold_lanes();
        let mut crowd = Self {
            harness,
            places: [0; CLIENTS],
            peers: 0,
            open: [None; CLIENTS],
            histories: Default::default(),
            passwords: std::array::from_fn(|_| vec![0]),
            count: 0,
            now: 0,
        };
        (0..CLIENTS).for_each(|client| crowd.come(client));
        crowd
    }

    fn come(&mut self, client: usize) {
        self.peers += 1;
        let peer = match client < ADMINS {
            true => Peer::Unix { pid: 1, uid: 0 },
            false => network(self.peers),
        };
        self.places[client] = self.harness.open_peer_at(0, peer);
    }

    fn act(&mut self, action: &Action) -> Result<(), String> {
        match *action {
            Action::Ask(client, locker, what, pick) => self.ask(client, locker, what, pick),
            Action::Work(worker) => {
                self.harness.work_on(worker % self.harness.workers());
            }
            Action::Report => {
                self.harness.report();
            }
            Action::Second => self.harness.advance(Duration::from_secs(1)),
            Action::Vanish(client) => {
                self.harness.vanish(self.places[client]);
                self.open[client] = None;
                self.come(client);
            }
        }
        self.look()
    }

    fn ask(&mut self, client: usize, locker: usize, what: u8, pick: usize) {
        if self.open[client].is_some() {
            return;
        }
        self.count += 1;
        let known = &self.passwords[locker];
        let password = known[known.len() - 1 - (pick / 4) % known.len()];
        let ask = match what {
            0..4 => Ask::Register(self.count),
            4..8 => Ask::Store(password, self.count),
            8..13 => Ask::Retrieve(password),
            13 if client < ADMINS => Ask::Reset,
            _ => Ask::Show,
        };
        if let Ask::Register(password) = ask {
            self.passwords[locker].push(password);
        }
        self.now += 1;
        let place = self.places[client];
        self.harness.feed(place, line(locker, &ask).as_bytes());
        let history = &mut self.histories[locker];
        self.open[client] = Some((locker, history.len()));
        history.push(Call {
            ask,
            told: None,
            asked: self.now,
            answered: 0,
        });
    }

    /// Writes down the answers that have come.
    fn look(&mut self) -> Result<(), String> {
        self.now += 1;
        for client in 0..CLIENTS {
            let text = self.harness.take(self.places[client]);
            if text.is_empty() {
                continue;
            }
            let text = String::from_utf8_lossy(&text).into_owned();
            let Some((locker, number)) = self.open[client].take() else {
                return Err(format!("{text:?} to nothing"));
            };
            let call = &mut self.histories[locker][number];
            call.answered = self.now;
            match read(locker, &call.ask, &text)? {
                Some(told) => call.told = Some(told),
                // Nothing was done, whatever the locker is.
                None => (call.ask, call.told) = (Ask::Show, None),
            }
        }
        Ok(())
    }

    /// Everything that is under way is done.
    fn finish(&mut self) -> Result<(), String> {
        for _ in 0..2 {
            loop {
                let workers = self.harness.workers();
                let busy = (0..workers).filter(|worker| self.harness.work_on(*worker));
                let mut busy = busy.count() > 0;
                while self.harness.report() {
                    busy = true;
                    self.look()?;
                }
                if !busy {
                    break;
                }
            }
            // Whoever had a wrong password before waits, at most so long.
            self.harness.advance(Duration::from_secs(10));
            self.look()?;
        }
        match self.open.iter().flatten().next() {
            None => Ok(()),
            Some((locker, number)) => {
                let call = &self.histories[*locker][*number];
                Err(format!("no answer to {call:?}"))
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn what_all_were_told_could_have_been_told_one_after_the_other(
        actions in vec(action(), 1..160),
    ) {
        let mut crowd = Crowd::new();
        for action in &actions {
            let acted = crowd.act(action);
            prop_assert!(acted.is_ok(), "{:?}", acted);
        }
        let finished = crowd.finish();
        prop_assert!(finished.is_ok(), "{:?}", finished);
        for history in &crowd.histories {
            prop_assert!(is_linearizable(history), "no order for {:#?}", history);
        }
    }
}
