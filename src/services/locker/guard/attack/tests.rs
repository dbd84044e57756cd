//! Hours of attack in virtual time: guesses stay below the ceiling, and the owner gets in.

use super::tests::{OWNER, attacker, granted, knowing_owner, ms};
use super::*;
use proptest::prelude::*;

/// An attack on locker 1. Each second `tries` of the attackers try, in turn; what was granted is
/// wrong when its moment comes, or given back where `leaves` says so.
struct Attack {
    guard: Guard,
    attackers: u32,
    tries: u32,
    leaves: fn(u32) -> bool,
    next: u32,
    pending: Vec<Reservation>,
    guesses: Vec<Moment>,
}

impl Attack {
    fn new(attackers: u32, tries: u32) -> Self {
        Self {
            guard: Guard::default(),
            attackers,
            tries,
            leaves: |_| false,
            next: 0,
            pending: Vec::new(),
            guesses: Vec::new(),
        }
    }

    fn second(&mut self, now: Moment) {
        let pending = std::mem::take(&mut self.pending).into_iter();
        let (due, later): (Vec<_>, Vec<_>) = pending.partition(|one| one.at() <= now);
        self.pending = later;
        for reservation in due {
            self.guesses.push(reservation.at());
            self.guard.failed(reservation);
        }
        for _ in 0..self.tries {
            let number = self.next;
            self.next = (self.next + 1) % self.attackers;
            match self.guard.try_at(1, attacker(number), now) {
                Verdict::Granted(held) if (self.leaves)(number) => {
                    self.guard.given_back(held, Unused::ByClient);
                }
                Verdict::Granted(held) => self.pending.push(held),
                Verdict::Refused { .. } => {}
            }
        }
    }

    /// The most guesses in any window of that many seconds.
    fn most_within(&mut self, seconds: u64) -> u64 {
        self.guesses.sort();
        let mut first = 0;
        let mut most = 0;
        for (last, at) in self.guesses.iter().enumerate() {
            while at.since(self.guesses[first]) > Duration::from_secs(seconds) {
                first += 1;
            }
            most = most.max(last + 1 - first);
        }
        most as u64
    }
}

/// What `shares` of the four give at most in any window of `seconds`: each its burst, and one every
/// 4 s, also for the 10 s ahead of the window, in which its guesses may have been reserved.
fn ceiling(shares: u64, seconds: u64) -> u64 {
    shares * (4 + (seconds + 10) / 4)
}

#[test]
fn ten_thousand_sources_stay_below_the_ceiling_for_an_hour_and_the_owner_gets_in() {
    let mut attack = Attack::new(10_000, 100);
    knowing_owner(&mut attack.guard, 1);
    for second in 0..3_600 {
        let now = ms(second * 1_000);
        attack.second(now);
        for source in [OWNER, Source::User(1000)] {
            if second % 10 == 0 {
                let reservation = granted(&mut attack.guard, 1, source, now);
                assert!(reservation.at().since(now) <= Duration::from_secs(3));
                attack.guard.succeeded(reservation);
            }
        }
    }
    // Attackers from the network have two of the shares.
    assert!(attack.most_within(3_600) <= ceiling(2, 3_600));
    for seconds in [0, 1, 10, 60, 600] {
        assert!(attack.most_within(seconds) <= ceiling(2, seconds));
    }
    assert!(attack.guesses.len() > 1_700, "the attack is a strong one");
}

#[test]
fn an_owner_at_a_unix_socket_who_was_never_there_gets_in_at_once() {
    let mut attack = Attack::new(10_000, 100);
    for second in 0..600 {
        let now = ms(second * 1_000);
        attack.second(now);
        let user = Source::User(u32::try_from(second).unwrap());
        if second % 10 == 0 {
            assert_eq!(granted(&mut attack.guard, 1, user, now).at(), now);
        }
    }
}

#[test]
fn users_known_sources_and_the_network_together_stay_below_one_a_second() {
    let mut attack = Attack::new(1_000, 100);
    let mut users = 0;
    for second in 0..3_600 {
        let now = ms(second * 1_000);
        attack.second(now);
        for known in 0..4 {
            attack.guard.renewed(1, Source::V6(known));
            for source in [Source::V6(known), Source::User(users)] {
                users += 1;
                if let Verdict::Granted(held) = attack.guard.try_at(1, source, now) {
                    attack.pending.push(held);
                }
            }
        }
    }
    for seconds in [0, 60, 3_600] {
        assert!(attack.most_within(seconds) <= ceiling(4, seconds));
    }
    assert_eq!(ceiling(4, 3_600), 3_600 + 24);
}

/// The owner comes from a source that was never there, behind `attackers` that try all the time.
/// Each of them takes a guess of the new sources' share once, one in 4 s; then it is the owner's.
#[test]
fn an_owner_from_a_new_source_gets_in_when_each_attacker_was_wrong_once() {
    for leaves in [|_| false, |number: u32| number.is_multiple_of(2)] {
        let attackers = 300;
        let mut attack = Attack::new(attackers, attackers);
        attack.leaves = leaves;
        let bound = u64::from(attackers) * 4;
        let inside = (0..2 * bound).find(|second| {
            let now = ms(second * 1_000);
            attack.second(now);
            // It starts when the attack is under way, and is the last in each second.
            *second >= 60 && matches!(attack.guard.try_at(1, OWNER, now), Verdict::Granted(_))
        });
        assert!(inside.is_some_and(|second| second <= bound), "{inside:?}");
    }
}

proptest! {
    /// Sources that try, are wrong and leave as they like stay below the ceiling, whatever they do.
    #[test]
    fn no_order_of_tries_and_leaving_gets_past_the_ceiling(
        steps in proptest::collection::vec((0_u64..1_500, 0_u32..40, 0_u8..6), 1..300),
    ) {
        let mut attack = Attack::new(1, 0);
        let mut now = ms(0);
        for (pause, number, what) in steps {
            now = now.after(Duration::from_millis(pause));
            attack.second(now);
            match attack.guard.try_at(1, attacker(number), now) {
                Verdict::Granted(held) => attack.pending.push(held),
                Verdict::Refused { .. } => {}
            }
            if let (0..2, Some(left)) = (what, attack.pending.len().checked_sub(1)) {
                let which = left * usize::from(what);
                let held = attack.pending.swap_remove(which);
                attack.guard.given_back(held, Unused::ByClient);
            }
        }
        attack.second(now.after(LOCKER_DELAY_SERVED));
        for seconds in [0, 1, 5, 30, 600] {
            prop_assert!(attack.most_within(seconds) <= ceiling(2, seconds), "{seconds} s");
        }
    }
}
