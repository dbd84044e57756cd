//! Whether what many clients were told of one locker at the same time could have been told to them
//! one after the other: a search over the orders that their questions and answers allow (Wing and
//! Gong, with what was tried before kept in mind, as Lowe has it).
//!
//! Each locker has a history of its own: several are right together if each is right alone.

use std::collections::HashSet;

use switchboard::service::Moment;

use crate::locker_model::{Ask, Locker, Told};

/// A question and its answer.
#[derive(Debug, Clone)]
pub struct Call {
    pub ask: Ask,
    /// `None` where the answer never came: it may have been done or not.
    pub told: Option<Told>,
    /// When it was asked, and when it was answered, counted in steps.
    pub asked: usize,
    pub answered: usize,
}

/// The most calls that one history may have: a bit for each.
const CALLS_MAX: usize = 128;

impl Call {
    /// The locker after this call, if it may come now.
    fn after(&self, before: &Locker) -> Option<Locker> {
        let mut locker = before.clone();
        // Histories are shorter than a repeated retrieve is answered.
        let told = locker.answer(&self.ask, Moment::ZERO);
        let is_default = matches!(self.ask, Ask::Store(0, _) | Ask::Retrieve(0));
        match &self.told {
            // Two resets in a row make the same password a new one: it is refused if it was looked
            // at before the second. All other passwords are used once.
            Some(Told::Wrong) if is_default => Some(before.clone()),
            // Refused for what happened while it was under way; it has changed nothing.
            Some(Told::ChangedHands) => Some(before.clone()),
            Some(seen) => (*seen == told).then_some(locker),
            None => Some(locker),
        }
    }
}

/// Whether there is an order in which a locker, free at first, answers all calls as they were.
pub fn is_linearizable(calls: &[Call]) -> bool {
    assert!(calls.len() <= CALLS_MAX, "{} calls", calls.len());
    let all = calls.iter().enumerate();
    let answered = all
        .filter(|(_, call)| call.told.is_some())
        .fold(0_u128, |bits, (number, _)| bits | 1 << number);
    let mut tried = HashSet::new();
    let mut next = vec![(0_u128, Locker::default())];
    while let Some((done, locker)) = next.pop() {
        if done & answered == answered {
            return true;
        }
        if !tried.insert((done, locker.clone())) {
            continue;
        }
        let left = || {
            let all = calls.iter().enumerate();
            all.filter(|(number, _)| done >> number & 1 == 0)
        };
        // Whoever was asked after another had its answer comes after it.
        let first_answer = left()
            .filter(|(_, call)| call.told.is_some())
            .map(|(_, call)| call.answered)
            .min();
        for (number, call) in left() {
            if first_answer.is_some_and(|answered| call.asked > answered) {
                continue;
            }
            if let Some(after) = call.after(&locker) {
                next.push((done | 1 << number, after));
            }
        }
    }
    false
}

fn call(ask: Ask, told: Option<Told>, asked: usize, answered: usize) -> Call {
    Call {
        ask,
        told,
        asked,
        answered,
    }
}

fn register(password: u32, told: Option<Told>, asked: usize, answered: usize) -> Call {
    call(Ask::Register(password), told, asked, answered)
}

fn retrieve(password: u32, told: Option<Told>, asked: usize, answered: usize) -> Call {
    call(Ask::Retrieve(password), told, asked, answered)
}

fn show(in_use: bool, asked: usize, answered: usize) -> Call {
    call(Ask::Show, Some(Told::Is(in_use)), asked, answered)
}

#[test]
fn the_checker_finds_a_locker_with_two_owners() {
    let yours = || Some(Told::Yours);
    assert!(!is_linearizable(&[
        register(1, yours(), 0, 3),
        register(2, yours(), 1, 2),
    ]));
    // Unless the first has given it back between.
    let none = || Some(Told::Items(Vec::new()));
    assert!(is_linearizable(&[
        register(1, yours(), 0, 3),
        register(2, yours(), 1, 8),
        retrieve(1, none(), 4, 5),
    ]));
    assert!(!is_linearizable(&[
        register(1, yours(), 0, 3),
        register(2, yours(), 1, 2),
        retrieve(1, none(), 4, 5),
    ]));
}

#[test]
fn the_checker_finds_an_answer_that_came_too_late() {
    let yours = || Some(Told::Yours);
    assert!(!is_linearizable(&[
        register(1, yours(), 0, 1),
        show(false, 2, 3)
    ]));
    assert!(is_linearizable(&[
        register(1, yours(), 0, 3),
        show(false, 1, 2)
    ]));
    // Seen by one, it cannot be unseen by the next.
    let seen = [register(1, None, 0, 0), show(true, 2, 3), show(false, 4, 5)];
    assert!(!is_linearizable(&seen));
    assert!(is_linearizable(&seen[..2]));
    assert!(is_linearizable(&[
        seen[0].clone(),
        show(false, 2, 3),
        show(true, 4, 5)
    ]));
}

#[test]
fn the_checker_finds_what_was_lost_or_stolen() {
    let store = |item, holds, asked, answered| {
        call(
            Ask::Store(1, item),
            Some(Told::Holds(holds)),
            asked,
            answered,
        )
    };
    let begin = [
        register(1, Some(Told::Yours), 0, 1),
        store(7, 1, 2, 5),
        store(8, 2, 3, 4),
    ];
    let ends = |items: &[u32], password| {
        let end = retrieve(password, Some(Told::Items(items.to_vec())), 6, 7);
        is_linearizable(&[&begin[..], &[end]].concat())
    };
    assert!(ends(&[7, 8], 1));
    for wrong in [&[8, 7][..], &[7], &[]] {
        assert!(!ends(wrong, 1), "{wrong:?}");
    }
    assert!(!ends(&[7, 8], 2), "with another password");
}
