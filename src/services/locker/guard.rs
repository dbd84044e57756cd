//! Rules against guessing passwords: when the next try of a source for a locker may be made. Pure:
//! it is told the moment and what came of a try, and knows no hash, no store and no client.
//!
//! Three rules, and the latest moment that any of them gives is the one that counts:
//!
//! - **The pair** of locker and source: after `n` wrong passwords the next try comes 250 ms times
//!   2^(n-1) after the one before, 60 s at most; ten minutes without a try forget them.
//! - **The source** over all lockers: 20 wrong passwords, and then one in 5 s. Not for sources that
//!   many honest people share (this machine), nor for a first try where the source is known.
//! - **The locker** over all sources, so that ten thousand sources guess no faster than a few. Its
//!   ceiling of one guess a second is cut in four shares (`share.rs`), three of which an attack from the
//!   network cannot use up: so the owner gets in meanwhile.
//!
//! A try is *reserved*: it takes its place as though it will fail, so that tries at the same time
//! are no way around the delays. What came of it is told afterwards, with the reservation.
//! Nothing here locks anybody out: every wait ends, and a refusal changes nothing. What cannot be
//! told apart shares its delays: somebody who guesses from the owner's own address slows the owner
//! down, there and not elsewhere.

use std::collections::HashMap;
use std::time::Duration;

use self::bucket::{Bucket, Rule};
use self::share::{Shares, Taken};
pub use self::source::Source;
use self::table::{Table, Weight};
use crate::config::limits::{
    LOCKER_DELAY_FIRST, LOCKER_DELAY_MAX, LOCKER_DELAY_SERVED, LOCKER_KNOWN_MAX, LOCKER_PAIRS_MAX,
    LOCKER_PENALTY_KEPT, LOCKER_SOURCE_BURST, LOCKER_SOURCE_INTERVAL, LOCKER_SOURCE_SUSPECT,
    LOCKER_SOURCES_MAX, LOCKER_TURN_KEPT,
};
use crate::service::Moment;

#[cfg(test)]
#[path = "guard/attack/tests.rs"]
mod attack;
mod bucket;
mod share;
mod source;
mod table;
#[cfg(test)]
mod tests;

/// What is known of a source at a locker; the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It has shown the locker's password before.
    Known,
    /// Nothing is held against it.
    Fresh,
    /// It was wrong before: at this locker, or at several.
    Suspect,
}

/// The answer to a try.
#[derive(Debug)]
pub enum Verdict {
    /// The password may be looked at, at the moment of the reservation and not before.
    Granted(Reservation),
    /// Not now. Nothing has changed, and the wait is no longer for it.
    Refused {
        /// How long until a try would be granted without a wait, as things stand. More than
        /// [`LOCKER_DELAY_SERVED`]. For a text it is to be rounded up.
        wait: Duration,
    },
}

/// The place of one try. It is to be given to exactly one of [`Guard::succeeded`],
/// [`Guard::failed`] and [`Guard::given_back`]; one that is lost counts as a try that still waits,
/// until its pair is forgotten.
#[derive(Debug)]
#[must_use = "what came of a try has to be told"]
pub struct Reservation {
    locker: u32,
    source: Source,
    at: Moment,
    standing: Standing,
    /// The pair's next try, as though this one fails.
    next: Moment,
    /// The source had never tried this locker.
    is_first: bool,
    share: Taken,
    /// From the source's bucket, where it took from it.
    source_taken: Option<Moment>,
}

impl Reservation {
    /// When the password may be looked at; at most [`LOCKER_DELAY_SERVED`] after the reservation.
    pub fn at(&self) -> Moment {
        self.at
    }

    /// How its source stood when it was made.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// The source.
    pub fn source(&self) -> Source {
        self.source
    }
}

/// Why a reservation was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unused {
    /// The client has left or taken its try back. Its source is no longer new at that locker, or it
    /// could hold the places of new sources without ever being wrong.
    ByClient,
    /// The server could not: too many waited. It is as though there had been no try.
    ByServer,
}

/// All that is remembered of tries. Lockers are named by their number; whoever calls makes sure that
/// they exist, which bounds how many are remembered.
#[derive(Debug)]
pub struct Guard {
    pairs: Table<(u32, Source), Pair>,
    sources: Table<Source, Bucket>,
    lockers: HashMap<u32, Locker>,
}

/// What a locker remembers of one source.
#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    /// Wrong passwords.
    failures: u32,
    /// Reserved tries of which nothing came yet.
    pending: u32,
    /// The next try, as though those will fail.
    next: Moment,
    /// The next try, as though those had never been.
    settled: Moment,
    /// The latest try.
    last: Moment,
}

/// What a locker remembers of all sources.
#[derive(Debug, Default)]
struct Locker {
    shares: Shares,
    /// Sources that have shown its password, the latest first.
    known: Vec<Source>,
}

const SOURCE: Rule = Rule {
    interval: LOCKER_SOURCE_INTERVAL,
    burst: LOCKER_SOURCE_BURST,
};

/// From this many wrong passwords on a full table forgets a pair last.
const HEAVY_FAILURES: u32 = 2;

impl Default for Guard {
    fn default() -> Self {
        Self {
            pairs: Table::new(LOCKER_PAIRS_MAX),
            sources: Table::new(LOCKER_SOURCES_MAX),
            lockers: HashMap::new(),
        }
    }
}

impl Guard {
    /// Asks for a try of that source for that locker.
    pub fn try_at(&mut self, locker: u32, source: Source, now: Moment) -> Verdict {
        let remembered = self.pair(locker, source, now);
        let mut pair = remembered.unwrap_or_default();
        let debts = (!source.is_here())
            .then(|| self.sources.get(&source).copied())
            .map(Option::unwrap_or_default);
        let standing = self.standing(locker, source, now);
        let known = standing == Standing::Known;
        let new = remembered.is_none() && standing == Standing::Fresh;
        let shares = &mut self.lockers.entry(locker).or_default().shares;
        let (share, share_at) = shares.soonest(source, known, new, now);

        let source_at = debts.map_or(now, |bucket| bucket.earliest(SOURCE, now));
        let is_served = |moment: Moment| moment.since(now) <= LOCKER_DELAY_SERVED;
        // Others behind the same address cannot hold up whoever comes with the password at once.
        let is_exempt = known && pair.failures + pair.pending == 0;
        let source_counts = if is_exempt { now } else { source_at };
        let at = now.max(pair.next).max(share_at).max(source_counts);
        if !is_served(at) {
            let wait = at.since(now);
            return Verdict::Refused { wait };
        }
        let share = shares.take(share, now);
        // An exempt try does not drive the source's debt beyond what others could.
        let source_taken = debts.filter(|_| is_served(source_at)).map(|mut bucket| {
            let taken = bucket.take(SOURCE, now);
            self.keep_source(source, bucket, now);
            taken
        });
        pair.pending += 1;
        pair.next = at.after(delay(pair.failures + pair.pending));
        pair.last = at;
        self.keep_pair(locker, source, pair);
        Verdict::Granted(Reservation {
            locker,
            source,
            at,
            standing,
            next: pair.next,
            is_first: remembered.is_none(),
            share,
            source_taken,
        })
    }

    /// The password was right. The source's failures at that locker are forgotten, and the try did
    /// not count as a guess.
    pub fn succeeded(&mut self, reservation: Reservation) {
        let (locker, source) = (reservation.locker, reservation.source);
        if let Some(mut pair) = self.pair(locker, source, reservation.at) {
            pair.pending = pair.pending.saturating_sub(1);
            pair.failures = 0;
            pair.settled = Moment::ZERO;
            match pair.pending {
                0 => self.pairs.remove(&(locker, source)),
                _ => self.keep_pair(locker, source, pair),
            }
        }
        let remembered = self.lockers.entry(locker).or_default();
        remembered.shares.refund(&reservation.share);
        remembered.now_knows(source);
        if reservation.source_taken.is_some() {
            self.with_source(source, reservation.at, |bucket| bucket.refund(SOURCE));
        }
    }

    /// The password was wrong.
    pub fn failed(&mut self, reservation: Reservation) {
        let (locker, source) = (reservation.locker, reservation.source);
        let mut pair = self.pair(locker, source, reservation.at).unwrap_or(Pair {
            next: reservation.next,
            last: reservation.at,
            ..Pair::default()
        });
        pair.pending = pair.pending.saturating_sub(1);
        pair.failures = pair.failures.saturating_add(1);
        pair.settled = pair.settled.max(reservation.next);
        pair.next = pair.next.max(pair.settled);
        self.keep_pair(locker, source, pair);
    }

    /// The password was never looked at.
    pub fn given_back(&mut self, reservation: Reservation, why: Unused) {
        let (locker, source) = (reservation.locker, reservation.source);
        if let Some(mut pair) = self.pair(locker, source, reservation.at) {
            pair.pending = pair.pending.saturating_sub(1);
            if pair.pending == 0 {
                pair.next = pair.settled;
            } else if pair.next == reservation.next {
                // It was the last; those before it stay as they are.
                pair.next = reservation.at;
            }
            let is_nothing = reservation.is_first && pair.pending + pair.failures == 0;
            match why {
                Unused::ByServer if is_nothing => self.pairs.remove(&(locker, source)),
                Unused::ByServer | Unused::ByClient => self.keep_pair(locker, source, pair),
            }
        }
        let shares = &mut self.lockers.entry(locker).or_default().shares;
        shares.hand_back(&reservation.share);
        if let Some(taken) = reservation.source_taken {
            let give = |bucket: &mut Bucket| bucket.hand_back(SOURCE, taken);
            self.with_source(source, reservation.at, give);
        }
    }

    /// The locker has a new owner, who is there: who had shown the old password is known no longer.
    /// Penalties stay, or an attacker could wait for the next owner.
    pub fn renewed(&mut self, locker: u32, owner: Source) {
        let remembered = self.lockers.entry(locker).or_default();
        remembered.known.clear();
        remembered.now_knows(owner);
    }

    /// Whether that source has shown the present password of that locker before.
    pub fn is_known(&self, locker: u32, source: Source) -> bool {
        let remembered = self.lockers.get(&locker);
        remembered.is_some_and(|locker| locker.known.contains(&source))
    }

    /// How that source stands at that locker now.
    pub fn standing(&self, locker: u32, source: Source, now: Moment) -> Standing {
        if self.is_known(locker, source) {
            return Standing::Known;
        }
        let pair = self.pair(locker, source, now).unwrap_or_default();
        let bucket = self.sources.get(&source).copied().unwrap_or_default();
        match pair.failures > 0 || bucket.debt(now) > LOCKER_SOURCE_SUSPECT {
            true => Standing::Suspect,
            false => Standing::Fresh,
        }
    }

    /// What the pair stands for at that moment; `None` if the source is new at that locker.
    fn pair(&self, locker: u32, source: Source, now: Moment) -> Option<Pair> {
        let pair = *self.pairs.get(&(locker, source))?;
        let idle = now.since(pair.last);
        let forgotten = Pair {
            last: pair.last,
            ..Pair::default()
        };
        match idle {
            idle if idle >= LOCKER_TURN_KEPT => None,
            idle if idle >= LOCKER_PENALTY_KEPT => Some(forgotten),
            _ => Some(pair),
        }
    }

    fn keep_pair(&mut self, locker: u32, source: Source, pair: Pair) {
        let weight = match pair.failures >= HEAVY_FAILURES {
            true => Weight::Heavy,
            false => Weight::Light,
        };
        self.pairs.put((locker, source), pair, weight);
    }

    fn with_source(&mut self, source: Source, now: Moment, change: impl FnOnce(&mut Bucket)) {
        // One that had to make room is as good as new.
        if let Some(mut bucket) = self.sources.get(&source).copied() {
            change(&mut bucket);
            self.keep_source(source, bucket, now);
        }
    }

    fn keep_source(&mut self, source: Source, bucket: Bucket, now: Moment) {
        let debt = bucket.debt(now);
        match debt {
            Duration::ZERO => self.sources.remove(&source),
            debt if debt > LOCKER_SOURCE_SUSPECT => {
                self.sources.put(source, bucket, Weight::Heavy);
            }
            _ => self.sources.put(source, bucket, Weight::Light),
        }
    }
}

impl Locker {
    fn now_knows(&mut self, source: Source) {
        // Nobody can be told apart there.
        if source == Source::Gone {
            return;
        }
        self.known.retain(|known| *known != source);
        self.known.insert(0, source);
        self.known.truncate(LOCKER_KNOWN_MAX);
    }
}

/// The delay after the `failures`th wrong password, from 1.
fn delay(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(u32::BITS - 1);
    LOCKER_DELAY_FIRST
        .saturating_mul(1 << doublings)
        .min(LOCKER_DELAY_MAX)
}
