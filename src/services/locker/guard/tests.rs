//! Each rule by itself, in virtual time.

use proptest::prelude::*;

use super::*;

pub(super) const OWNER: Source = Source::V4(0xC000_0201);
const STRANGER: Source = Source::V4(0xC000_0202);

pub(super) fn ms(ms: u64) -> Moment {
    Moment::from_nanos(ms * 1_000_000)
}

pub(super) fn attacker(number: u32) -> Source {
    Source::V4(0x0A00_0000 + number)
}

pub(super) fn granted(guard: &mut Guard, locker: u32, source: Source, now: Moment) -> Reservation {
    match guard.try_at(locker, source, now) {
        Verdict::Granted(reservation) => reservation,
        Verdict::Refused { wait } => panic!("{source:?} has to wait {wait:?}"),
    }
}

fn refused(guard: &mut Guard, locker: u32, source: Source, now: Moment) -> Duration {
    match guard.try_at(locker, source, now) {
        Verdict::Granted(reservation) => panic!("granted: {reservation:?}"),
        Verdict::Refused { wait } => wait,
    }
}

/// Tries whenever it may, and is wrong each time; returns the moments.
fn wrong(guard: &mut Guard, locker: u32, source: Source, start: Moment, times: u32) -> Vec<Moment> {
    let mut now = start;
    let mut moments = Vec::new();
    while moments.len() < times as usize {
        match guard.try_at(locker, source, now) {
            Verdict::Refused { wait } => now = now.after(wait),
            Verdict::Granted(reservation) => {
                now = reservation.at();
                moments.push(now);
                guard.failed(reservation);
            }
        }
    }
    moments
}

pub(super) fn knowing_owner(guard: &mut Guard, locker: u32) {
    guard.renewed(locker, OWNER);
    assert!(guard.is_known(locker, OWNER));
}

#[test]
fn the_delay_doubles_from_250_ms_up_to_60_s() {
    let mut guard = Guard::default();
    let moments = wrong(&mut guard, 1, STRANGER, ms(1_000), 12);
    let gaps: Vec<_> = moments
        .windows(2)
        .map(|pair| pair[1].since(pair[0]).as_millis())
        .collect();
    let expected = [
        250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000,
    ];
    assert_eq!(gaps, expected);
}

#[test]
fn a_wait_of_10_s_is_served_and_a_longer_one_is_refused_and_changes_nothing() {
    let mut guard = Guard::default();
    let last = wrong(&mut guard, 1, STRANGER, ms(0), 7)[6];
    // The delay is 16 s now.
    for _ in 0..100 {
        let wait = refused(&mut guard, 1, STRANGER, last);
        assert_eq!(wait, Duration::from_secs(16));
    }
    let later = last.after(Duration::from_millis(5_999));
    let wait = refused(&mut guard, 1, STRANGER, later);
    assert_eq!(wait, Duration::from_millis(10_001));
    let later = last.after(Duration::from_secs(6));
    let reservation = granted(&mut guard, 1, STRANGER, later);
    assert_eq!(reservation.at(), last.after(Duration::from_secs(16)));
}

#[test]
fn ten_minutes_without_a_try_forget_and_a_success_clears() {
    let mut guard = Guard::default();
    let last = wrong(&mut guard, 1, STRANGER, ms(0), 12)[11];
    assert_eq!(guard.standing(1, STRANGER, last), Standing::Suspect);
    let almost = last.after(LOCKER_PENALTY_KEPT - Duration::from_millis(1));
    assert_eq!(guard.standing(1, STRANGER, almost), Standing::Suspect);
    let later = last.after(LOCKER_PENALTY_KEPT);
    assert_eq!(guard.standing(1, STRANGER, later), Standing::Fresh);
    let gaps = wrong(&mut guard, 1, STRANGER, later, 3);
    assert_eq!(gaps[2].since(gaps[0]), Duration::from_millis(750));

    let reservation = granted(&mut guard, 1, STRANGER, gaps[2]);
    let now = reservation.at();
    guard.succeeded(reservation);
    assert_eq!(guard.standing(1, STRANGER, now), Standing::Known);
    assert_eq!(granted(&mut guard, 1, STRANGER, now).at(), now);
}

#[test]
fn tries_at_the_same_time_are_spaced_as_though_each_will_fail() {
    let mut guard = Guard::default();
    let held: Vec<_> = (0..6)
        .map(|_| granted(&mut guard, 1, STRANGER, ms(0)))
        .collect();
    let moments: Vec<_> = held.iter().map(Reservation::at).collect();
    assert_eq!(moments, [0, 250, 750, 1_750, 3_750, 7_750].map(ms));
    let wait = refused(&mut guard, 1, STRANGER, ms(0));
    assert_eq!(wait, Duration::from_millis(15_750));
    // Once all were right nothing is held against anybody.
    held.into_iter().for_each(|one| guard.succeeded(one));
    assert_eq!(granted(&mut guard, 1, STRANGER, ms(1)).at(), ms(1));
}

#[test]
fn what_is_given_back_costs_no_time() {
    for why in [Unused::ByClient, Unused::ByServer] {
        let mut guard = Guard::default();
        let (first, second) = (
            granted(&mut guard, 1, STRANGER, ms(0)),
            granted(&mut guard, 1, STRANGER, ms(0)),
        );
        guard.given_back(second, why);
        let second = granted(&mut guard, 1, STRANGER, ms(0));
        assert_eq!(second.at(), ms(250), "as it was");
        guard.given_back(first, why);
        guard.given_back(second, why);
        assert_eq!(granted(&mut guard, 1, STRANGER, ms(1)).at(), ms(1));

        let mut guard = Guard::default();
        let (first, second) = (
            granted(&mut guard, 1, STRANGER, ms(0)),
            granted(&mut guard, 1, STRANGER, ms(0)),
        );
        guard.failed(first);
        guard.given_back(second, why);
        assert_eq!(granted(&mut guard, 1, STRANGER, ms(1)).at(), ms(250));
    }
}

#[test]
fn one_source_over_all_lockers_gets_20_and_then_one_in_5_s() {
    let mut guard = Guard::default();
    for locker in 0..20 {
        wrong(&mut guard, locker, STRANGER, ms(0), 1);
    }
    assert_eq!(guard.standing(50, STRANGER, ms(0)), Standing::Suspect);
    for (locker, at) in [(20, 5_000), (21, 10_000)] {
        let reservation = granted(&mut guard, locker, STRANGER, ms(0));
        assert_eq!(reservation.at(), ms(at));
        guard.failed(reservation);
    }
    let wait = refused(&mut guard, 22, STRANGER, ms(0));
    assert_eq!(wait, Duration::from_secs(15));
    // Not for the owner of a locker who comes from the same address, if the password is right.
    guard.renewed(23, STRANGER);
    for _ in 0..100 {
        let reservation = granted(&mut guard, 23, STRANGER, ms(0));
        assert_eq!(reservation.at(), ms(0));
        guard.succeeded(reservation);
    }
    assert_eq!(
        refused(&mut guard, 22, STRANGER, ms(0)),
        wait,
        "it earned nothing"
    );
    // Once it was wrong there, it is like the others.
    wrong(&mut guard, 23, STRANGER, ms(0), 1);
    assert_eq!(refused(&mut guard, 23, STRANGER, ms(0)), wait);
    // And a locker for each wrong guess does not pile up more than others could.
    (100..2_000).for_each(|locker| guard.renewed(locker, STRANGER));
    (100..2_000).for_each(|locker| drop(wrong(&mut guard, locker, STRANGER, ms(0), 1)));
    assert!(refused(&mut guard, 22, STRANGER, ms(0)) <= wait);
    for locker in 0..100 {
        wrong(&mut guard, locker, Source::Loopback, ms(0), 1);
        wrong(&mut guard, locker, Source::User(7), ms(0), 1);
    }
}

#[test]
fn a_new_owner_makes_the_old_one_a_stranger_and_penalties_stay() {
    let mut guard = Guard::default();
    knowing_owner(&mut guard, 1);
    let last = wrong(&mut guard, 1, STRANGER, ms(0), 7)[6];
    guard.renewed(1, Source::User(5));
    assert!(!guard.is_known(1, OWNER) && guard.is_known(1, Source::User(5)));
    assert!(!guard.is_known(2, Source::User(5)));
    assert_eq!(
        refused(&mut guard, 1, STRANGER, last),
        Duration::from_secs(16)
    );
    guard.renewed(1, Source::Gone);
    assert!(!guard.is_known(1, Source::Gone), "it could be anybody");
    for number in 0..100 {
        let reservation = granted(&mut guard, 1, attacker(number), last);
        guard.succeeded(reservation);
    }
    let known = (0..100).filter(|n| guard.is_known(1, attacker(*n)));
    assert_eq!(known.count(), LOCKER_KNOWN_MAX);
}

#[test]
fn a_try_that_the_server_could_not_take_leaves_its_source_new() {
    let mut guard = Guard::default();
    for (why, remembered) in [(Unused::ByServer, 0), (Unused::ByClient, 1)] {
        let reservation = granted(&mut guard, 1, OWNER, ms(0));
        guard.given_back(reservation, why);
        assert_eq!(guard.pairs.len(), remembered, "{why:?}");
        assert_eq!(guard.sources.len(), 0, "{why:?}");
    }
}

#[test]
fn a_million_sources_do_not_grow_the_tables() {
    let mut guard = Guard::default();
    let mut random = fastrand::Rng::with_seed(1);
    let victim = wrong(&mut guard, 5, STRANGER, ms(0), 9)[8];
    for number in 0..1_000_000_u32 {
        let locker = random.u32(..10_000);
        let now = victim.after(Duration::from_micros(u64::from(number)));
        if let Verdict::Granted(reservation) = guard.try_at(locker, attacker(number), now) {
            match number % 3 {
                0 => guard.failed(reservation),
                1 => guard.given_back(reservation, Unused::ByClient),
                _ => {}
            }
        }
        assert!(guard.pairs.len() <= LOCKER_PAIRS_MAX);
        assert!(guard.sources.len() <= LOCKER_SOURCES_MAX);
    }
    assert_eq!(guard.pairs.len(), LOCKER_PAIRS_MAX, "they were full");
    // Whoever was wrong often is not pushed out by those who were wrong once.
    let wait = refused(
        &mut guard,
        5,
        STRANGER,
        victim.after(Duration::from_secs(1)),
    );
    assert_eq!(wait, Duration::from_secs(59));
}

proptest! {
    /// Whatever comes of them, and however they overlap: the tries of a pair that were wrong are as
    /// far apart as the rule says, and no wait above 10 s is handed out.
    #[test]
    fn no_try_is_earlier_than_the_rule_says(
        steps in proptest::collection::vec((0_u64..3_000, 0_u8..5, any::<prop::sample::Index>()), 1..80),
    ) {
        let mut guard = Guard::default();
        let mut now = ms(0);
        let mut held: Vec<Reservation> = Vec::new();
        let mut failures: Vec<Moment> = Vec::new();
        for (pause, what, which) in steps {
            now = now.after(Duration::from_millis(pause));
            let due: Vec<_> = (0..held.len()).filter(|at| held[*at].at() <= now).collect();
            match (what, due.is_empty(), held.is_empty()) {
                (0..2, _, _) => match guard.try_at(1, STRANGER, now) {
                    Verdict::Granted(one) => {
                        let wait = one.at().since(now);
                        prop_assert!(one.at() >= now && wait <= LOCKER_DELAY_SERVED);
                        held.push(one);
                    }
                    Verdict::Refused { wait } => prop_assert!(wait > LOCKER_DELAY_SERVED),
                },
                (2..4, false, _) => {
                    let one = held.remove(due[which.index(due.len())]);
                    failures.push(one.at());
                    guard.failed(one);
                }
                (4, _, false) => {
                    let one = held.remove(which.index(held.len()));
                    guard.given_back(one, Unused::ByClient);
                }
                _ => {}
            }
        }
        failures.sort();
        for (number, pair) in failures.windows(2).enumerate() {
            let least = delay(u32::try_from(number).unwrap() + 1);
            prop_assert!(pair[1].since(pair[0]) >= least, "{failures:?}");
        }
    }
}
