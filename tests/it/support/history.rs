//! Whether a recorded history of one locker is linearizable: whether its operations can be put in
//! one order, each at a moment between its invocation and its return, so that a locker that does
//! one after the other gives all of these answers (the search of Wing and Gong, each operation put
//! in its place just before the first return that needs it, and no state looked at twice).

use std::collections::HashSet;

/// What a kiosk, named by its number, asked and was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub kiosk: u32,
    pub asked: Asked,
    /// `None` where no answer came: then it may have been done or not, but not after `returned`.
    pub told: Option<Told>,
    /// Nanoseconds on a clock that all kiosks share.
    pub invoked: u64,
    pub returned: u64,
}

/// The password is always the kiosk's own; an item is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Register,
    Store(u32),
    Retrieve,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It was done, or what it asked for; of a `retrieve` these are the items.
    Done(Vec<u32>),
    /// The locker holds so many items now.
    Holds(usize),
    InUse,
    Free,
    WrongPassword,
}

/// A locker as its kiosks may know it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Locker {
    owner: Option<u32>,
    items: Vec<u32>,
    /// Of a free one: who had it last, and what was taken out.
    last: Option<(u32, Vec<u32>)>,
}

/// Those under way that were done already, by their places in the history, and what came of it.
type Reached = (Vec<usize>, Locker);

impl Locker {
    /// What it is after this operation; `None` where it would not have answered so.
    fn after(&self, operation: &Operation) -> Option<Self> {
        let kiosk = operation.kiosk;
        let (next, says) = match (operation.asked, self.owner) {
            (Asked::Register, Some(_)) => (self.clone(), Told::InUse),
            (Asked::Register, None) => {
                let owner = Some(kiosk);
                let next = Self {
                    owner,
                    ..Self::default()
                };
                (next, Told::Done(Vec::new()))
            }
            (Asked::Store(item), Some(owner)) if owner == kiosk => {
                let mut next = self.clone();
                next.items.push(item);
                let holds = next.items.len();
                (next, Told::Holds(holds))
            }
            (Asked::Store(_), None) => (self.clone(), Told::Free),
            (Asked::Retrieve, Some(owner)) if owner == kiosk => {
                let last = Some((kiosk, self.items.clone()));
                let next = Self {
                    last,
                    ..Self::default()
                };
                (next, Told::Done(self.items.clone()))
            }
            (Asked::Retrieve, None) => match &self.last {
                // The same answer once more, for a minute.
                Some((last, items)) if *last == kiosk => (self.clone(), Told::Done(items.clone())),
                Some(_) if operation.told == Some(Told::WrongPassword) => {
                    (self.clone(), Told::WrongPassword)
                }
                _ => (self.clone(), Told::Free),
            },
            (Asked::Store(_) | Asked::Retrieve, Some(_)) => (self.clone(), Told::WrongPassword),
        };
        let fits = operation.told.as_ref().is_none_or(|told| *told == says);
        fits.then_some(next)
    }
}

/// Looks for an order of the operations of one locker that was free at first. The error says at
/// which operation there is none any more.
pub fn check(mut operations: Vec<Operation>) -> Result<(), String> {
    operations.sort_by_key(|operation| operation.invoked);
    let mut events = Vec::new();
    for (place, operation) in operations.iter().enumerate() {
        assert!(operation.invoked < operation.returned);
        events.push((operation.invoked, true, place));
        events.push((operation.returned, false, place));
    }
    events.sort_unstable();
    let mut under_way = Vec::new();
    let mut reached: HashSet<Reached> = HashSet::from([(Vec::new(), Locker::default())]);
    for (_, begins, place) in events {
        if begins {
            under_way.push(place);
            continue;
        }
        let next = returns(place, reached.clone(), &under_way, &operations);
        if next.is_empty() {
            let wrong = &operations[place];
            let others: Vec<_> = under_way.iter().map(|place| &operations[*place]).collect();
            let states: Vec<_> = reached.iter().map(|(_, locker)| locker).take(5).collect();
            return Err(format!(
                "no order allows {wrong:?}; before it {states:?}; under way with it {others:?}"
            ));
        }
        reached = next;
        under_way.retain(|other| *other != place);
    }
    Ok(())
}

/// All that can have been reached when the operation of that place returned.
fn returns(
    place: usize,
    from: HashSet<Reached>,
    under_way: &[usize],
    operations: &[Operation],
) -> HashSet<Reached> {
    let unanswered = operations[place].told.is_none();
    let mut next = HashSet::new();
    let mut seen = HashSet::new();
    let mut open: Vec<_> = from.into_iter().collect();
    while let Some((mut done, locker)) = open.pop() {
        // What changes nothing is done at once: that never takes a way out of those there are.
        for other in under_way
            .iter()
            .filter(|other| operations[**other].told.is_some())
        {
            if !done.contains(other) && locker.after(&operations[*other]).as_ref() == Some(&locker)
            {
                done.push(*other);
            }
        }
        done.sort_unstable();
        if !seen.insert((done.clone(), locker.clone())) {
            continue;
        }
        let is_done = done.contains(&place);
        if is_done || unanswered {
            let rest = done.iter().copied().filter(|other| *other != place);
            next.insert((rest.collect(), locker.clone()));
        }
        if is_done {
            continue;
        }
        for other in under_way.iter().filter(|other| !done.contains(other)) {
            if let Some(after) = locker.after(&operations[*other]) {
                let done = done.iter().copied().chain([*other]).collect();
                open.push((done, after));
            }
        }
    }
    next
}

mod tests {
    use super::{Asked, Operation, Told, check};

    /// Kiosk, question, answer, from, to.
    fn history(rows: &[(u32, Asked, Option<Told>, u64, u64)]) -> Vec<Operation> {
        let row =
            |(kiosk, asked, told, invoked, returned): &(_, _, Option<Told>, _, _)| Operation {
                kiosk: *kiosk,
                asked: *asked,
                told: told.clone(),
                invoked: *invoked,
                returned: *returned,
            };
        rows.iter().map(row).collect()
    }

    fn done(items: &[u32]) -> Option<Told> {
        Some(Told::Done(items.to_vec()))
    }

    #[test]
    fn good_histories_pass() {
        use Asked::{Register, Retrieve, Store};
        let overlapping = [
            (1, Register, done(&[]), 0, 10),
            (2, Register, Some(Told::InUse), 1, 4),
            (1, Store(7), Some(Told::Holds(1)), 11, 14),
            (1, Retrieve, done(&[7]), 15, 30),
            (2, Register, done(&[]), 16, 20),
            (1, Retrieve, Some(Told::WrongPassword), 31, 32),
            (2, Retrieve, done(&[]), 40, 41),
            (2, Retrieve, done(&[]), 42, 43),
        ];
        check(history(&overlapping)).unwrap();
        // The answer was lost; it was done all the same, or it was not.
        let lost = (1, Register, None, 0, 9);
        let was_done = [lost.clone(), (2, Register, Some(Told::InUse), 10, 11)];
        check(history(&was_done)).unwrap();
        let was_not = [lost, (2, Register, done(&[]), 10, 11)];
        check(history(&was_not)).unwrap();
    }

    #[test]
    fn bad_histories_are_found() {
        use Asked::{Register, Retrieve, Store};
        let two_owners = [
            (1, Register, done(&[]), 0, 10),
            (2, Register, done(&[]), 5, 15),
        ];
        check(history(&two_owners)).unwrap_err();
        let too_late = [
            (1, Register, Some(Told::InUse), 0, 2),
            (2, Register, done(&[]), 3, 4),
        ];
        check(history(&too_late)).unwrap_err();
        let lost_item = [
            (1, Register, done(&[]), 0, 1),
            (1, Store(7), Some(Told::Holds(1)), 2, 3),
            (1, Retrieve, done(&[]), 4, 5),
        ];
        check(history(&lost_item)).unwrap_err();
        let stranger = [
            (1, Register, done(&[]), 0, 1),
            (2, Retrieve, done(&[]), 2, 3),
        ];
        check(history(&stranger)).unwrap_err();
        // An answer that is lost came true before the end, not afterwards.
        let undead = [
            (1, Register, None, 0, 5),
            (2, Register, done(&[]), 6, 7),
            (2, Retrieve, done(&[]), 8, 9),
            (3, Register, Some(Told::InUse), 10, 11),
        ];
        check(history(&undead)).unwrap_err();
    }
}
