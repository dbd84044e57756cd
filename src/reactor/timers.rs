//! Deadlines of all sources in one lazy heap.
//!
//! Activity only stores a number with its source; an entry that comes up too early is pushed again
//! for the real time. Each source remembers the moment that the heap holds for it (`armed`), so an
//! outdated entry is recognised and dropped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::service::{Moment, SourceId};

/// What the heap holds: 12 bytes, because there is one for each connection.
///
/// A place of the slab is enough to find the source. Where another one has it by now, that one's
/// `armed` tells that the entry is not its own; if by chance it is the same, nothing is wrong: a
/// source that is looked at too early is armed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    /// The moment in nanoseconds, the upper half first: so they compare like moments.
    nanos: [u32; 2],
    key: u32,
}

const _: () = assert!(size_of::<Due>() == 12);

impl Due {
    fn new(moment: Moment, key: u32) -> Self {
        let nanos = moment.as_nanos();
        Self {
            nanos: [(nanos >> 32) as u32, nanos as u32],
            key,
        }
    }

    fn moment(self) -> Moment {
        let [high, low] = self.nanos;
        Moment::from_nanos(u64::from(high) << 32 | u64::from(low))
    }
}

/// A heap of moments and sources, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<Due>>,
}

/// Outdated entries are swept when the heap has more than twice the live ones and this many.
const SLACK: usize = 64;

impl Timers {
    /// Room for `capacity` sources is reserved at once, as in `Sources`.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            heap: BinaryHeap::with_capacity(capacity),
        }
    }

    /// Arms a source whose deadline is `deadline`: an entry is pushed only where none is held that
    /// comes up early enough.
    pub(super) fn arm(&mut self, id: SourceId, deadline: Moment, armed: &mut Moment) {
        if deadline < *armed {
            *armed = deadline;
            self.heap.push(Reverse(Due::new(deadline, id.key)));
        }
    }

    /// The moment of the earliest entry.
    pub(super) fn next(&self) -> Option<Moment> {
        self.heap.peek().map(|Reverse(due)| due.moment())
    }

    /// Takes the earliest entry if its moment has come; with the place of its source in the slab.
    pub(super) fn pop_due(&mut self, now: Moment) -> Option<(Moment, u32)> {
        let Reverse(due) = self.heap.peek()?;
        if due.moment() > now {
            return None;
        }
        self.heap.pop().map(|Reverse(due)| (due.moment(), due.key))
    }

    /// Sweeps outdated entries if there are too many for `live` sources.
    pub(super) fn sweep(&mut self, live: usize, armed: impl Fn(u32) -> Option<Moment>) {
        if self.heap.len() > 2 * live + SLACK {
            self.heap
                .retain(|Reverse(due)| armed(due.key) == Some(due.moment()));
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SOURCES: usize = 8;

    fn id(key: usize) -> SourceId {
        SourceId {
            key: u32::try_from(key).unwrap(),
            generation: 0,
        }
    }

    proptest! {
        /// Against a model that knows each source's deadline: whatever is moved, and however often,
        /// each deadline comes up at its moment, once, and the heap stays bounded.
        #[test]
        fn each_deadline_comes_up_once_at_its_moment(
            steps in prop::collection::vec((0..SOURCES, 0_u64..1_000, 0_u64..50), 1..300),
        ) {
            let mut timers = Timers::default();
            let (mut deadlines, mut armed) = ([Moment::NEVER; SOURCES], [Moment::NEVER; SOURCES]);
            let mut now = 0;
            for (source, after, pass) in steps {
                deadlines[source] = Moment::from_nanos(now + after);
                timers.arm(id(source), deadlines[source], &mut armed[source]);
                now += pass;
                let moment = Moment::from_nanos(now);
                while let Some((at, due)) = timers.pop_due(moment) {
                    let key = due as usize;
                    if armed[key] != at {
                        continue;
                    }
                    armed[key] = Moment::NEVER;
                    if deadlines[key] <= moment {
                        deadlines[key] = Moment::NEVER;
                    } else {
                        timers.arm(id(key), deadlines[key], &mut armed[key]);
                    }
                }
                prop_assert!(deadlines.iter().all(|deadline| *deadline > moment), "none is missed");
                timers.sweep(SOURCES, |key| Some(armed[key as usize]));
                prop_assert!(timers.len() <= 2 * SOURCES + SLACK);
            }
        }
    }
}
