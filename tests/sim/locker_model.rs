//! What the lockers may be, as far as the crowd has been told: for each locker all states that fit
//! what was acknowledged, in the order in which it was. A change that nobody was told of yet, or ever
//! will be, may have happened or not.

/// What changes a locker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Under this password.
    Register(String),
    /// With this password, this item.
    Store(String, String),
    /// With this password.
    Retrieve(String),
    /// The password becomes `0000`.
    Reset,
}

/// One thing that a locker may be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    /// The owner's password; `None` while it is free.
    password: Option<String>,
    items: Vec<String>,
    /// What was taken out last, and with which password, until somebody registers.
    taken: Option<(String, Vec<String>)>,
    /// Changes that may still happen to it, unseen.
    unseen: Vec<u32>,
}

#[derive(Debug)]
struct Locker {
    states: Vec<State>,
    unseen: Vec<(u32, Change)>,
    /// Counts up with everything that may have changed whose it is.
    turns: u64,
}

/// All lockers.
pub struct Lockers {
    lockers: Vec<Locker>,
    numbers: u32,
}

/// So many states of one locker would mean that the test has lost sight of it.
const STATES_MAX: usize = 20_000;

impl State {
    /// The state after the change; `None` where it would be refused.
    fn after(&self, change: &Change) -> Option<Self> {
        let mut new = self.clone();
        match (change, &self.password) {
            (Change::Register(password), None) => {
                new.password = Some(password.clone());
                new.taken = None;
            }
            (Change::Store(password, item), Some(owner)) if owner == password => {
                new.items.push(item.clone());
            }
            (Change::Retrieve(password), Some(owner)) if owner == password => {
                new.taken = Some((password.clone(), std::mem::take(&mut new.items)));
                new.password = None;
            }
            (Change::Reset, Some(_)) => new.password = Some("0000".to_owned()),
            _ => return None,
        }
        Some(new)
    }

    fn is_in_use(&self) -> bool {
        self.password.is_some()
    }
}

impl Lockers {
    pub fn new(count: usize) -> Self {
        let locker = || Locker {
            states: vec![State::default()],
            unseen: Vec::new(),
            turns: 0,
        };
        Self {
            lockers: (0..count).map(|_| locker()).collect(),
            numbers: 0,
        }
    }

    /// This may happen to the locker from now on, until [`Lockers::settle`] is told its number.
    pub fn may_happen(&mut self, locker: usize, change: Change) -> u32 {
        self.numbers += 1;
        let locker = &mut self.lockers[locker];
        locker.turns += 1;
        locker.unseen.push((self.numbers, change));
        for state in &mut locker.states {
            state.unseen.push(self.numbers);
        }
        self.numbers
    }

    /// That has happened by now, or it never will.
    pub fn settle(&mut self, number: u32) {
        for locker in &mut self.lockers {
            if !locker.unseen.iter().any(|(one, _)| *one == number) {
                continue;
            }
            locker.let_happen();
            locker.turns += 1;
            locker.unseen.retain(|(one, _)| *one != number);
            for state in &mut locker.states {
                state.unseen.retain(|one| *one != number);
            }
            locker.forget_doubles();
        }
    }

    /// The change was acknowledged; `items` are how many the owner was told to have in it now.
    pub fn changed(&mut self, locker: usize, change: &Change, items: usize) -> Result<(), String> {
        self.lockers[locker].turns += 1;
        self.see(locker, &format!("{change:?}"), |state| {
            state.after(change).filter(|new| new.items.len() == items)
        })
    }

    /// Those items were taken out: now, or before, with the same password.
    pub fn taken(&mut self, locker: usize, with: &str, items: &[String]) -> Result<(), String> {
        self.lockers[locker].turns += 1;
        let seen = Some((with.to_owned(), items.to_vec()));
        let change = Change::Retrieve(with.to_owned());
        self.see(locker, &format!("taken out: {seen:?}"), |state| {
            let new = state.after(&change).or_else(|| {
                let again = !state.is_in_use();
                again.then(|| state.clone())
            });
            new.filter(|new| new.taken == seen)
        })
    }

    /// It was said to be in use, or free.
    pub fn said(&mut self, locker: usize, in_use: bool) -> Result<(), String> {
        self.see(locker, &format!("in use: {in_use}"), |state| {
            (state.is_in_use() == in_use).then(|| state.clone())
        })
    }

    /// The password was said to be right.
    pub fn right(&mut self, locker: usize, password: &str) -> Result<(), String> {
        self.see(locker, &format!("'{password}' is right"), |state| {
            let right = state.password.as_deref() == Some(password);
            right.then(|| state.clone())
        })
    }

    /// The password was said to be wrong, to somebody who asked when [`Lockers::turns`] was that. It
    /// may have been looked at under another owner.
    pub fn wrong(&mut self, locker: usize, password: &str, asked: u64) -> Result<(), String> {
        let place = &self.lockers[locker];
        if place.turns != asked || !place.unseen.is_empty() {
            return Ok(());
        }
        self.see(locker, &format!("'{password}' is wrong"), |state| {
            let wrong = state.password.as_deref() != Some(password);
            wrong.then(|| state.clone())
        })
    }

    /// How often that locker may have changed hands.
    pub fn turns(&self, locker: usize) -> u64 {
        self.lockers[locker].turns
    }

    /// Keeps of all that the locker may be what fits, as `next` says.
    fn see(
        &mut self,
        number: usize,
        what: &str,
        next: impl Fn(&State) -> Option<State>,
    ) -> Result<(), String> {
        let locker = &mut self.lockers[number];
        locker.let_happen();
        let fitting: Vec<_> = locker.states.iter().filter_map(next).collect();
        if fitting.is_empty() {
            return Err(format!("locker {number}: {what}, but it is {locker:?}"));
        }
        locker.states = fitting;
        locker.forget_doubles();
        Ok(())
    }
}

impl Locker {
    /// All that it may be by now: each unseen change has happened or not, in any order.
    fn let_happen(&mut self) {
        let mut from = 0;
        while let Some(state) = self.states.get(from).cloned() {
            from += 1;
            for (number, change) in &self.unseen {
                if !state.unseen.contains(number) {
                    continue;
                }
                let Some(mut new) = state.after(change) else {
                    continue;
                };
                new.unseen.retain(|one| one != number);
                if !self.states.contains(&new) {
                    self.states.push(new);
                }
            }
            assert!(self.states.len() <= STATES_MAX, "too much is unseen");
        }
    }

    fn forget_doubles(&mut self) {
        let mut once: Vec<State> = Vec::new();
        for state in self.states.drain(..) {
            if !once.contains(&state) {
                once.push(state);
            }
        }
        self.states = once;
    }
}
