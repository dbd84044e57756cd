//! Calls for the administrator while lockers change hands and passwords are hashed.

use super::{SECOND, lockers, network, say};
use crate::service::CloseReason;

/// Whoever called was the owner then; the next owner is somebody else.
#[test]
fn a_call_is_worth_nothing_once_its_locker_has_changed_hands() {
    let mut t = lockers();
    t.set_operator(true);
    let (a, b) = (t.open_peer_at(0, network(1)), t.open_peer_at(0, network(2)));
    say(&mut t, a, "register 1 first");
    say(&mut t, a, "reset 1");
    say(&mut t, a, "retrieve 1 first");
    say(&mut t, b, "register 1 second");
    say(&mut t, b, "store 1 second gold");
    t.take_prints();
    t.operator("approve 1");
    let said = "call 1: locker 1 has another password since; the call is forgotten";
    assert_eq!(t.take_prints(), [said]);
    t.operator("approve 1");
    assert_eq!(t.take_prints(), ["there is no call 1"]);
    let taken = "item gold\nok 1 items\n";
    assert_eq!(say(&mut t, b, "retrieve 1 second"), taken);
}

/// A call for the locker as it is now is another one.
#[test]
fn who_calls_again_after_a_change_of_hands_has_a_call_that_counts() {
    let mut t = lockers();
    t.set_operator(true);
    let a = t.open();
    for password in ["first", "second"] {
        say(&mut t, a, &format!("register 1 {password}"));
        say(&mut t, a, "reset 1");
        if password == "first" {
            say(&mut t, a, "retrieve 1 first");
        }
    }
    t.take_prints();
    t.operator("approve 2");
    let said = "locker 1 is reset, its password is 0000";
    assert_eq!(t.take_prints(), [said]);
}

#[test]
fn as_many_calls_as_can_wait_are_approved_at_once() {
    const CALLS: u8 = 12;
    let mut t = lockers();
    t.set_operator(true);
    let owner = t.open();
    for locker in 0..4 {
        say(&mut t, owner, &format!("register {locker} pw"));
    }
    for host in 0..CALLS {
        let caller = t.open_peer_at(0, network(host));
        let called = say(&mut t, caller, &format!("reset {}", host % 4));
        assert_eq!(called, "ok waiting for the administrator\n");
    }
    t.take_prints();
    t.hold_lanes();
    for call in 1..=CALLS {
        t.operator(&format!("approve {call}"));
    }
    assert_eq!(t.take_prints(), [""; 0], "none is forgotten");
    t.work();
    assert_eq!(t.take_prints().len(), usize::from(CALLS));
}

/// Its client is let go once the password is 0000, and not before: it may try that at once.
#[test]
fn a_client_that_waits_for_its_call_waits_until_the_reset_is_done() {
    let mut t = lockers();
    t.set_operator(true);
    let (owner, caller) = (t.open(), t.open());
    say(&mut t, owner, "register 1 pw");
    t.feed(caller, b"reset 1\n");
    t.end(caller);
    t.hold_lanes();
    t.operator("approve 1");
    t.advance(SECOND);
    assert_eq!(t.closed(caller), None, "nothing is done yet");
    t.work();
    assert_eq!(t.closed(caller), Some(CloseReason::ClientEnded));
    t.feed(owner, b"store 1 0000 x\n");
    t.work();
    assert_eq!(t.take(owner), b"ok 1 items\n");
}

/// Nobody is left who could decide, and the client would wait for minutes.
#[test]
fn calls_end_when_the_operator_goes() {
    let mut t = lockers();
    t.set_operator(true);
    let (owner, caller) = (t.open(), t.open());
    say(&mut t, owner, "register 1 pw");
    say(&mut t, owner, "reset 1");
    t.feed(caller, b"reset 1\n");
    t.end(caller);
    t.set_operator(false);
    assert_eq!(t.closed(caller), Some(CloseReason::ClientEnded));
    assert_eq!(t.closed(owner), None);
    t.take_prints();
    t.set_operator(true);
    t.operator("lockers");
    let prints = t.take_prints();
    assert_eq!(prints, ["1 lockers in use, 4 free", "locker 1: 0 items"]);
}
