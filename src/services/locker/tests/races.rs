//! Sessions that come between each other while passwords are hashed.

use super::{SECOND, lockers, network, say, user};
use crate::config::limits::LOCKER_JOBS_MAX;
use crate::service::CloseReason;

/// Two passwords for one locker are hashed before either comes to the store.
#[test]
fn who_lost_the_race_for_a_locker_does_not_get_in_with_their_own_password() {
    for said in ["retrieve 2 b\n", "store 2 b x\n"] {
        let mut t = lockers();
        t.hold_lanes();
        let winner = t.open_peer_at(0, network(1));
        let loser = t.open_peer_at(0, network(2));
        t.feed(winner, b"register 2 a\nstore 2 a book\n");
        t.feed(loser, b"register 2 b\n");
        while t.work_on(1) {}
        t.work();
        assert_eq!(t.take(loser), b"error: locker 2 is in use\n");
        t.feed(loser, said.as_bytes());
        t.work();
        assert_eq!(t.take(loser), b"error: wrong password for locker 2\n");
    }
}

#[test]
fn a_try_that_waited_while_its_locker_was_freed_is_told_so() {
    let mut t = lockers();
    let (owner, other) = (t.open_peer_at(0, network(1)), t.open_peer_at(0, network(2)));
    say(&mut t, owner, "register 3 pw");
    say(&mut t, other, "store 3 wrong x");
    assert_eq!(say(&mut t, other, "store 3 pw x"), "", "it waits");
    say(&mut t, owner, "retrieve 3 pw");
    t.advance(SECOND);
    assert_eq!(t.take(other), b"error: locker 3 is free\n");
}

/// The item has no answer of its own on the binary wire.
#[test]
fn an_item_is_asked_for_only_where_it_would_be_taken() {
    let mut t = lockers();
    let (owner, other) = (t.open(), t.open_at(1));
    say(&mut t, owner, "register 3 pw");
    t.take(other);
    let check = b"\x03\0\0\0\x03\0\0\0pw\0\0\0\0\0\0\0\0";
    let (go_on, refused) = ([0, 0, 0, 0], [1, 0, 0, 0]);
    t.feed(other, check);
    assert_eq!(t.take(other), go_on);
    t.feed(other, &[b'x'; 100]);
    t.hold_lanes();
    let third = t.open_at(1);
    t.take(third);
    // Its password is right when it is looked at, and the locker is freed before it is told.
    t.feed(third, check);
    t.feed(owner, b"retrieve 3 pw\n");
    assert!(t.work_on(0) && t.work_on(1));
    t.work();
    assert!(t.take(owner).starts_with(b"item xxx"));
    assert_eq!(t.take(third), refused);
}

/// A password is hashed and the store has no room for the registration; then somebody else comes.
#[test]
fn who_was_told_to_try_again_does_not_get_in_with_their_own_password() {
    let mut t = lockers();
    t.hold_lanes();
    let late = t.open_peer_at(0, network(2));
    t.feed(late, b"register 2 late\n");
    while t.work_on(1) {}
    for _ in 0..LOCKER_JOBS_MAX {
        let admin = t.open_peer_at(0, user(0));
        t.feed(admin, b"backup /nowhere/copy\n");
    }
    while t.report() {}
    assert_eq!(t.take(late), b"error: busy, try again\n");
    t.work();
    let owner = t.open_peer_at(0, network(1));
    t.feed(owner, b"register 2 own\n");
    t.work();
    assert_eq!(t.take(owner), b"ok locker 2 is yours\n");
    t.feed(late, b"retrieve 2 late\n");
    t.work();
    assert_eq!(t.take(late), b"error: wrong password for locker 2\n");
}

/// The locker has another owner for a while, between the command and the registration.
#[test]
fn who_has_registered_need_not_show_the_password_again() {
    let mut t = lockers();
    let quick = t.open_peer_at(0, network(1));
    say(&mut t, quick, "register 2 quick");
    say(&mut t, quick, "retrieve 2 quick");
    t.hold_lanes();
    // Two hold up the pool; of those who wait behind them the known one is first.
    let others = [t.open_peer_at(0, network(3)), t.open_peer_at(0, network(4))];
    t.feed(others[0], b"register 0 pw\n");
    t.feed(others[1], b"register 1 pw\n");
    let slow = t.open_peer_at(0, network(2));
    t.feed(slow, b"register 2 slow\n");
    t.feed(quick, b"register 2 quick\n");
    assert!(t.work_on(1) && t.work_on(1));
    while t.report() {}
    assert!(t.work_on(1) && t.report() && t.work_on(0));
    while t.report() {}
    t.feed(quick, b"retrieve 2 quick\n");
    assert!(t.work_on(0) && t.report());
    assert_eq!(t.take(quick), b"ok locker 2 is yours\nok 0 items\n");
    assert!(t.work_on(1) && t.report() && t.work_on(0) && t.report());
    t.feed(slow, b"store 2 slow x\n");
    // The store alone answers; nothing is hashed.
    assert!(t.work_on(0) && t.report());
    assert_eq!(t.take(slow), b"ok locker 2 is yours\nok 1 items\n");
}

/// The operator approves while the password is right, and the locker changes hands before it is set.
#[test]
fn a_reset_never_meets_the_next_owner() {
    let mut t = lockers();
    t.set_operator(true);
    let (old, new) = (t.open_peer_at(0, network(1)), t.open_peer_at(0, network(2)));
    say(&mut t, old, "register 1 old");
    say(&mut t, old, "reset 1");
    t.hold_lanes();
    t.operator("approve 1");
    t.feed(old, b"retrieve 1 old\n");
    assert!(t.work_on(0) && t.report());
    t.feed(new, b"register 1 new\n");
    t.work();
    assert_eq!(t.take(new), b"ok locker 1 is yours\n");
    let prints = t.take_prints().join("\n");
    assert!(
        prints.contains("was not reset: it has changed hands"),
        "{prints}"
    );
    t.feed(new, b"retrieve 1 new\n");
    t.work();
    assert_eq!(t.take(new), b"ok 0 items\n");
}

/// The binary wire has no word for it but the end.
#[test]
fn an_item_that_was_asked_for_is_never_lost_without_a_sign() {
    let mut t = lockers();
    let (owner, kiosk) = (t.open(), t.open_at(1));
    say(&mut t, owner, "register 3 pw");
    t.take(kiosk);
    t.feed(kiosk, b"\x03\0\0\0\x03\0\0\0pw\0\0\0\0\0\0\0\0");
    assert_eq!(t.take(kiosk), [0, 0, 0, 0]);
    say(&mut t, owner, "retrieve 3 pw");
    t.feed(kiosk, &[b'x'; 100]);
    assert_eq!(t.closed(kiosk), Some(CloseReason::ItemRefused));
}
