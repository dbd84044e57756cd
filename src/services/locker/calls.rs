//! Calls for the administrator: numbered, so that what is approved is one call and not a locker.

use std::time::Duration;

use crate::config::limits::{LOCKER_CALL_LIFE, LOCKER_CALLS_MAX, LOCKER_CALLS_PER_SOURCE_MAX};
use crate::service::{Moment, SourceId};

use super::guard::Source;

/// One call: somebody wants the password of a locker set to `0000`.
#[derive(Debug)]
pub(super) struct Call {
    /// Counted up from 1; never used twice.
    pub number: u32,
    pub locker: u32,
    /// Which password of the locker it is about.
    pub epoch: u64,
    /// The connection; with its end the call ends.
    pub id: SourceId,
    pub source: Source,
    /// Who calls, as the log names it.
    pub from: String,
    pub since: Moment,
}

impl Call {
    /// When it ends by itself.
    pub(super) fn ends(&self) -> Moment {
        self.since.after(LOCKER_CALL_LIFE)
    }
}

/// The calls that wait, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Calls {
    waiting: Vec<Call>,
    numbers: u32,
}

/// What became of a new call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Called {
    /// It waits, under this number.
    New(u32),
    /// The same connection's call for that password of that locker waits already.
    Again,
    /// Too many wait, of this source or in all.
    TooMany,
}

impl Calls {
    /// Takes a call.
    pub(super) fn add(
        &mut self,
        (id, source): (SourceId, Source),
        (locker, epoch): (u32, u64),
        from: String,
        now: Moment,
    ) -> Called {
        let mine = |call: &&Call| (call.id, call.locker, call.epoch) == (id, locker, epoch);
        if self.waiting.iter().any(|call| mine(&call)) {
            return Called::Again;
        }
        let of_source = self.waiting.iter().filter(|call| call.source == source);
        if self.waiting.len() >= LOCKER_CALLS_MAX
            || of_source.count() >= LOCKER_CALLS_PER_SOURCE_MAX
        {
            return Called::TooMany;
        }
        self.numbers = self.numbers.wrapping_add(1);
        self.waiting.push(Call {
            number: self.numbers,
            locker,
            epoch,
            id,
            source,
            from,
            since: now,
        });
        Called::New(self.numbers)
    }

    /// Takes the call of that number out.
    pub(super) fn take(&mut self, number: u32) -> Option<Call> {
        let at = self.waiting.iter().position(|call| call.number == number)?;
        Some(self.waiting.remove(at))
    }

    /// Puts one back that was taken out just now.
    pub(super) fn put_back(&mut self, call: Call) {
        let at = self
            .waiting
            .partition_point(|other| other.since < call.since);
        self.waiting.insert(at, call);
    }

    /// Takes out those that have waited too long.
    pub(super) fn take_expired(&mut self, now: Moment) -> Vec<Call> {
        self.waiting
            .extract_if(.., |call| call.ends() <= now)
            .collect()
    }

    /// Takes out those of a connection that has gone.
    pub(super) fn take_of(&mut self, id: SourceId) -> Vec<Call> {
        self.waiting.extract_if(.., |call| call.id == id).collect()
    }

    /// When the last call of this connection ends by itself; `None` where it has none.
    pub(super) fn last_of(&self, id: SourceId) -> Option<Moment> {
        let of = self.waiting.iter().filter(|call| call.id == id);
        of.map(Call::ends).max()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Call> {
        self.waiting.iter()
    }
}

/// How long a call has waited, in whole seconds.
pub(super) fn seconds(since: Moment, now: Moment) -> u64 {
    Duration::as_secs(&now.since(since))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Peer;

    fn id(key: u32) -> SourceId {
        SourceId { key, generation: 0 }
    }

    fn source(uid: u32) -> Source {
        Source::of(&Peer::Unix { pid: 1, uid })
    }

    #[test]
    fn a_call_has_a_number_of_its_own_and_ends_with_its_connection_or_in_time() {
        let mut calls = Calls::default();
        let now = Moment::ZERO;
        assert_eq!(
            calls.add((id(1), source(7)), (3, 0), "a".into(), now),
            Called::New(1)
        );
        assert_eq!(
            calls.add((id(1), source(7)), (3, 0), "a".into(), now),
            Called::Again
        );
        assert_eq!(
            calls.add((id(2), source(8)), (3, 0), "b".into(), now),
            Called::New(2)
        );
        assert_eq!(calls.take_of(id(1)).len(), 1);
        assert!(calls.take(1).is_none());
        let later = now.after(LOCKER_CALL_LIFE);
        assert!(calls.take_expired(Moment::from_nanos(1)).is_empty());
        assert_eq!(calls.take_expired(later)[0].number, 2);
        assert_eq!(
            calls.add((id(3), source(9)), (3, 0), "c".into(), later),
            Called::New(3)
        );
    }

    #[test]
    fn calls_are_few_for_one_source_and_in_all() {
        let mut calls = Calls::default();
        let mut taken = 0;
        for key in 0..200 {
            let called = calls.add(
                (id(key), source(key / 10)),
                (0, 0),
                String::new(),
                Moment::ZERO,
            );
            taken += usize::from(called != Called::TooMany);
        }
        assert_eq!(taken, LOCKER_CALLS_MAX);
        let of_first = calls.iter().filter(|call| call.source == source(0));
        assert_eq!(of_first.count(), LOCKER_CALLS_PER_SOURCE_MAX);
    }
}
