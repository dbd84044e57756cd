//! A token bucket as one moment. In any window of `w` it gives at most its burst and `w` divided by
//! its interval.

use std::time::Duration;

use crate::service::Moment;

/// How much a bucket holds and how fast it fills.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// One token comes in this time.
    pub interval: Duration,
    /// A full bucket has so many.
    pub burst: u32,
}

/// A bucket; a new one is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    /// When it will be full again.
    full_at: Moment,
}

impl Bucket {
    /// When there is a token, at the earliest.
    pub(super) fn earliest(self, rule: Rule, now: Moment) -> Moment {
        let rest = rule.interval * rule.burst.saturating_sub(1);
        now.max(before(self.full_at, rest))
    }

    /// Takes a token, which may be one that has yet to come. What it returns is for
    /// [`Bucket::hand_back`].
    pub(super) fn take(&mut self, rule: Rule, now: Moment) -> Moment {
        self.full_at = self.full_at.max(now).after(rule.interval);
        self.full_at
    }

    /// Hands the last token back, as though it had never been taken. An earlier one is lost: others
    /// have been told their moments since.
    pub(super) fn hand_back(&mut self, rule: Rule, taken: Moment) {
        if self.full_at == taken {
            self.refund(rule);
        }
    }

    /// Puts a token in again: whoever took it did not guess.
    pub(super) fn refund(&mut self, rule: Rule) {
        self.full_at = before(self.full_at, rule.interval);
    }

    /// How long it takes until the bucket is full.
    pub(super) fn debt(self, now: Moment) -> Duration {
        self.full_at.since(now)
    }
}

/// That moment less a duration; the beginning where that would be earlier.
fn before(moment: Moment, by: Duration) -> Moment {
    let nanos = moment.since(Moment::ZERO).saturating_sub(by).as_nanos();
    Moment::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule {
        interval: Duration::from_secs(4),
        burst: 3,
    };

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_one_each_interval() {
        let (mut bucket, now) = (Bucket::default(), at(100));
        let given: Vec<_> = (0..5)
            .map(|_| {
                let moment = bucket.earliest(RULE, now);
                bucket.take(RULE, now);
                moment
            })
            .collect();
        assert_eq!(given, [now, now, now, at(104), at(108)]);
        assert_eq!(bucket.debt(now), Duration::from_secs(20));
        assert_eq!(bucket.earliest(RULE, at(120)), at(120));
    }

    #[test]
    fn the_last_token_can_be_handed_back_and_an_earlier_one_is_lost() {
        let (mut bucket, now) = (Bucket::default(), at(100));
        let first = bucket.take(RULE, now);
        let second = bucket.take(RULE, now);
        bucket.hand_back(RULE, first);
        assert_eq!(bucket.debt(now), Duration::from_secs(8));
        bucket.hand_back(RULE, second);
        assert_eq!(bucket.debt(now), Duration::from_secs(4));
        bucket.refund(RULE);
        assert_eq!(bucket.debt(now), Duration::ZERO);
    }
}
