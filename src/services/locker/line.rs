//! Who of those whose password waits to be hashed is next. Pure, and bounded: whoever does not fit
//! is told that the server is busy.
//!
//! Three classes wait, by [`Standing`]: sources that knew the password before, sources against which
//! nothing is held, and suspects. The best class that has somebody goes first, but one turn in eight
//! is of the lowest, so that nobody waits for ever. Inside a class lockers take turns, so that an
//! attack on one does not delay another.

use std::collections::VecDeque;

use super::guard::{Source, Standing};
use crate::config::limits::{LOCKER_LINE_LOWEST_EVERY, LOCKER_LINE_MAX, LOCKER_LINE_PER_SOURCE};
use crate::service::SourceId;

/// The line; `T` is the work that waits.
#[derive(Debug)]
pub struct Line<T> {
    /// From the best class to the lowest.
    classes: [Class<T>; 3],
    /// Turns since the last one of the lowest class.
    turns: u32,
}

#[derive(Debug)]
struct Class<T> {
    /// The first to come first; at most [`LOCKER_LINE_MAX`], so that looking at all is cheap.
    waiting: VecDeque<Waiting<T>>,
    /// Each locker that somebody waits for, once: the next to have a turn first.
    lockers: VecDeque<u32>,
}

#[derive(Debug)]
struct Waiting<T> {
    id: SourceId,
    source: Source,
    locker: u32,
    work: T,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        let class = || Class {
            waiting: VecDeque::new(),
            lockers: VecDeque::new(),
        };
        Self {
            classes: [class(), class(), class()],
            turns: 0,
        }
    }
}

impl<T> Line<T> {
    /// Puts the work of a connection behind that of its class. The work comes back where there is
    /// no room: in the class, or because its source has enough in the line already (sources on this
    /// machine may be many people, and are not counted), or the connection itself is in it.
    pub fn push(
        &mut self,
        standing: Standing,
        source: Source,
        locker: u32,
        id: SourceId,
        work: T,
    ) -> Result<(), T> {
        let all = || self.classes.iter().flat_map(|class| &class.waiting);
        let same = all().filter(|one| one.source == source).count();
        let too_many = !source.is_here() && same >= LOCKER_LINE_PER_SOURCE;
        if too_many || all().any(|one| one.id == id) {
            return Err(work);
        }
        let class = &mut self.classes[place(standing)];
        if class.waiting.len() >= LOCKER_LINE_MAX {
            return Err(work);
        }
        if !class.lockers.contains(&locker) {
            class.lockers.push_back(locker);
        }
        class.waiting.push_back(Waiting {
            id,
            source,
            locker,
            work,
        });
        class.check();
        Ok(())
    }

    /// Takes out whoever is next.
    pub fn pop(&mut self) -> Option<(SourceId, T)> {
        self.turns += 1;
        let mut somebody = self.classes.iter_mut().filter(|class| !class.is_empty());
        let class = match self.turns >= LOCKER_LINE_LOWEST_EVERY {
            true => {
                self.turns = 0;
                somebody.next_back()
            }
            false => somebody.next(),
        };
        let Some(next) = class.and_then(Class::pop) else {
            self.turns = 0;
            return None;
        };
        Some((next.id, next.work))
    }

    /// Takes the work of that connection out, if it waits.
    pub fn remove(&mut self, id: SourceId) -> Option<T> {
        let found = self.classes.iter_mut().find_map(|class| class.remove(id));
        found.map(|one| one.work)
    }

    /// How many wait.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.classes.iter().map(|class| class.waiting.len()).sum()
    }

    /// Whether nobody waits.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Class<T> {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes out the first of the locker whose turn it is.
    fn pop(&mut self) -> Option<Waiting<T>> {
        let locker = self.lockers.pop_front()?;
        let at = self.waiting.iter().position(|one| one.locker == locker)?;
        let next = self.waiting.remove(at);
        if self.waits_for(locker) {
            self.lockers.push_back(locker);
        }
        self.check();
        next
    }

    fn remove(&mut self, id: SourceId) -> Option<Waiting<T>> {
        let at = self.waiting.iter().position(|one| one.id == id)?;
        let removed = self.waiting.remove(at)?;
        if !self.waits_for(removed.locker) {
            self.lockers.retain(|locker| *locker != removed.locker);
        }
        self.check();
        Some(removed)
    }

    fn waits_for(&self, locker: u32) -> bool {
        self.waiting.iter().any(|one| one.locker == locker)
    }

    fn check(&self) {
        debug_assert!(self.waiting.len() <= LOCKER_LINE_MAX);
        debug_assert!(self.lockers.len() <= self.waiting.len());
        debug_assert_eq!(self.waiting.is_empty(), self.lockers.is_empty());
    }
}

fn place(standing: Standing) -> usize {
    match standing {
        Standing::Known => 0,
        Standing::Fresh => 1,
        Standing::Suspect => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn id(key: u32) -> SourceId {
        SourceId { key, generation: 0 }
    }

    /// Everybody comes from another source; the work is the number.
    fn push(line: &mut Line<u32>, standing: Standing, locker: u32, number: u32) -> Result<(), u32> {
        line.push(standing, Source::V4(number), locker, id(number), number)
    }

    fn popped(line: &mut Line<u32>, times: usize) -> Vec<u32> {
        (0..times)
            .map_while(|_| line.pop().map(|(_, work)| work))
            .collect()
    }

    #[test]
    fn better_classes_go_first_and_lockers_take_turns() {
        let mut line = Line::default();
        for number in 10..13 {
            push(&mut line, Standing::Suspect, 1, number).unwrap();
            push(&mut line, Standing::Fresh, 1, number + 10).unwrap();
        }
        push(&mut line, Standing::Fresh, 2, 30).unwrap();
        push(&mut line, Standing::Known, 1, 40).unwrap();
        assert_eq!(line.len(), 8);
        assert_eq!(popped(&mut line, 7), [40, 20, 30, 21, 22, 10, 11]);
        assert_eq!(line.pop(), Some((id(12), 12)));
        assert!(line.pop().is_none() && line.is_empty());
    }

    #[test]
    fn one_turn_in_eight_is_of_the_lowest_class() {
        let mut line = Line::default();
        let mut turns = Vec::new();
        for number in 0..10 {
            push(&mut line, Standing::Suspect, 1, 1_000 + number).unwrap();
        }
        for number in 0..40 {
            push(&mut line, Standing::Known, 1, number).unwrap();
            turns.push(line.pop().is_some_and(|(_, work)| work >= 1_000));
        }
        let suspects: Vec<_> = (0..40).filter(|turn| turns[*turn]).collect();
        assert_eq!(suspects, [7, 15, 23, 31, 39]);
    }

    #[test]
    fn a_class_has_room_for_64_and_the_others_are_as_they_were() {
        let mut line = Line::default();
        for number in 0..64 {
            push(&mut line, Standing::Suspect, number, number).unwrap();
        }
        assert_eq!(push(&mut line, Standing::Suspect, 1, 64), Err(64));
        assert_eq!(push(&mut line, Standing::Fresh, 1, 64), Ok(()));
        assert_eq!(line.pop(), Some((id(64), 64)));
        assert_eq!(line.len(), LOCKER_LINE_MAX);
    }

    #[test]
    fn a_network_source_waits_twice_at_most_and_a_connection_once() {
        let (far, near) = (Source::V6(1), Source::Loopback);
        let mut line = Line::default();
        assert_eq!(line.push(Standing::Known, far, 1, id(1), 1), Ok(()));
        assert_eq!(line.push(Standing::Suspect, far, 2, id(2), 2), Ok(()));
        assert_eq!(line.push(Standing::Fresh, far, 3, id(3), 3), Err(3));
        assert_eq!(line.remove(id(1)), Some(1));
        assert_eq!(line.push(Standing::Fresh, far, 3, id(3), 3), Ok(()));
        for number in 10..20 {
            let pushed = line.push(Standing::Fresh, near, 1, id(number), number);
            assert_eq!(pushed, Ok(()));
        }
        assert_eq!(line.push(Standing::Fresh, near, 1, id(10), 10), Err(10));
    }

    #[test]
    fn whoever_leaves_is_not_next_and_the_locker_keeps_its_turn() {
        let mut line = Line::default();
        for (number, locker) in [(1, 1), (2, 1), (3, 2)] {
            push(&mut line, Standing::Fresh, locker, number).unwrap();
        }
        assert_eq!(line.remove(id(1)), Some(1));
        assert_eq!(line.remove(id(1)), None);
        assert_eq!(line.remove(id(3)), Some(3));
        assert_eq!(popped(&mut line, 3), [2]);
    }

    proptest! {
        /// Whatever is pushed, popped and removed: each comes out once, and only who was in.
        #[test]
        fn nobody_is_lost_and_nobody_comes_twice(
            steps in proptest::collection::vec((0_u8..8, 0_u32..40, 0_u32..4), 1..400),
        ) {
            let mut line = Line::default();
            let mut inside = HashSet::new();
            for (what, number, locker) in steps {
                let standing = [Standing::Known, Standing::Fresh, Standing::Suspect];
                match what {
                    0..3 => {
                        let standing = standing[usize::from(what)];
                        let was_in = inside.contains(&number);
                        let pushed = push(&mut line, standing, locker, number);
                        prop_assert_eq!(pushed.is_err(), was_in);
                        inside.insert(number);
                    }
                    3..6 => match line.pop() {
                        Some((_, work)) => prop_assert!(inside.remove(&work)),
                        None => prop_assert!(inside.is_empty()),
                    },
                    _ => prop_assert_eq!(line.remove(id(number)).is_some(), inside.remove(&number)),
                }
                prop_assert_eq!(line.len(), inside.len());
            }
            prop_assert_eq!(popped(&mut line, 1_000).len(), inside.len());
        }
    }
}
