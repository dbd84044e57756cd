//! The service on the harness: both wires, one state.

use std::time::Duration;

use super::ENTRY;
use crate::service::harness::Harness;
use crate::service::{CloseReason, Peer};

mod calls;
mod races;

const SECOND: Duration = Duration::from_secs(1);

/// Five lockers with cheap hashes; a text listener, a binary one, and one that names an admin.
fn lockers() -> Harness {
    let options = ["count=5&hash=8,1", "wire=binary", "admins=4711"];
    Harness::with_listeners(&ENTRY, &options)
}

fn user(uid: u32) -> Peer {
    Peer::Unix { pid: 1, uid }
}

fn network(host: u8) -> Peer {
    Peer::from(std::net::SocketAddr::from(([10, 0, 0, host], 4000)))
}

/// Sends a line and returns what came back, as text.
fn say(t: &mut Harness, who: usize, line: &str) -> String {
    t.feed(who, format!("{line}\n").as_bytes());
    String::from_utf8(t.take(who)).unwrap()
}

#[test]
fn a_locker_is_registered_filled_and_emptied() {
    let mut t = lockers();
    let a = t.open();
    assert_eq!(say(&mut t, a, "register 1 pw"), "ok locker 1 is yours\n");
    assert_eq!(
        say(&mut t, a, "REGISTER 1 other"),
        "error: locker 1 is in use\n"
    );
    assert_eq!(say(&mut t, a, "store 1 pw a book"), "ok 1 items\n");
    assert_eq!(say(&mut t, a, "Store 1 pw  a pen "), "ok 2 items\n");
    let shown = "0 free\n1 in use\n2 free\n3 free\n4 free\nok\n";
    assert_eq!(say(&mut t, a, "show"), shown);
    let taken = "item a book\nitem a pen \nok 2 items\n";
    assert_eq!(say(&mut t, a, "retrieve 1 pw"), taken);
    assert_eq!(
        say(&mut t, a, "store 1 pw more"),
        "error: locker 1 is free\n"
    );
    assert!(say(&mut t, a, "show").contains("1 free\n"));
    assert_eq!(say(&mut t, a, "quit"), "ok bye\n");
    assert_eq!(t.closed(a), Some(CloseReason::ClientLeft));
}

#[test]
fn a_repeated_retrieve_gets_the_same_answer_for_a_minute_and_until_the_next_owner() {
    let mut t = lockers();
    let (a, b) = (t.open(), t.open());
    say(&mut t, a, "register 1 pw");
    say(&mut t, a, "store 1 pw book");
    let taken = "item book\nok 1 items\n";
    assert_eq!(say(&mut t, a, "retrieve 1 pw"), taken);
    assert_eq!(say(&mut t, a, "retrieve 1 pw"), taken);
    t.advance(59 * SECOND);
    assert_eq!(say(&mut t, b, "retrieve 1 pw"), taken);
    t.advance(SECOND);
    assert_eq!(say(&mut t, b, "retrieve 1 pw"), "error: locker 1 is free\n");
    say(&mut t, b, "register 1 new");
    assert_eq!(
        say(&mut t, a, "retrieve 1 pw"),
        "error: wrong password for locker 1\n"
    );
    t.advance(10 * SECOND);
    assert_eq!(say(&mut t, b, "retrieve 1 new"), "ok 0 items\n");
}

#[test]
fn wrong_lines_are_answered_and_change_nothing() {
    let mut t = lockers();
    let a = t.open();
    let long = format!("store 1 pw {}", "x".repeat(257));
    let secret = format!("register 1 {}", "p".repeat(129));
    for (line, answer) in [
        ("", "an empty line is no command; 'help' lists them"),
        ("frob", "'frob' is no command; 'help' lists them"),
        ("register", "write register N PASSWORD"),
        ("register 1", "write register N PASSWORD"),
        ("register one pw", "write register N PASSWORD"),
        ("register 1 pw pw", "write register N PASSWORD"),
        ("store 1 pw", "write store N PASSWORD ITEM"),
        ("retrieve 1", "write retrieve N PASSWORD"),
        ("reset", "write reset N"),
        ("show me", "write show, and nothing behind it"),
        ("register 5 pw", "there is no locker 5; there are 0 to 4"),
        (
            "register 99999999999 pw",
            "there is no locker 4294967295; there are 0 to 4",
        ),
        ("retrieve 1 pw", "locker 1 is free"),
        ("reset 1", "locker 1 is free"),
        (&secret, "a password has 1 to 128 bytes"),
        (&long, "an item has 1 to 256 bytes"),
        (
            "backup /tmp/x",
            "a copy is for the server's own user, on a Unix socket",
        ),
    ] {
        assert_eq!(say(&mut t, a, line), format!("error: {answer}\n"), "{line}");
    }
    assert!(!say(&mut t, a, "show").contains("in use"));
}

#[test]
fn commands_behind_one_that_takes_time_wait_their_turn() {
    let mut t = lockers();
    t.hold_lanes();
    let (a, b) = (t.open(), t.open());
    t.feed(
        a,
        b"register 0 pw\nstore 0 pw x\nretrieve 0 pw\nshow\nquit\n",
    );
    t.end(a);
    t.feed(b, b"show\n");
    assert_eq!(t.take(a), b"");
    assert!(t.take(b).ends_with(b"ok\n"), "others are not held up");
    t.work();
    let text = String::from_utf8(t.take(a)).unwrap();
    assert!(text.starts_with("ok locker 0 is yours\nok 1 items\nitem x\nok 1 items\n0 free\n"));
    assert!(text.ends_with("ok\nok bye\n"), "{text}");
}

#[test]
fn of_two_who_want_one_locker_one_gets_it() {
    let mut t = lockers();
    t.hold_lanes();
    let (a, b) = (t.open(), t.open());
    t.feed(a, b"register 2 a\n");
    t.feed(b, b"register 2 b\n");
    t.work();
    let mut answers = [t.take(a), t.take(b)];
    answers.sort();
    assert_eq!(answers[0], b"error: locker 2 is in use\n");
    assert_eq!(answers[1], b"ok locker 2 is yours\n");
}

#[test]
fn wrong_passwords_make_the_next_try_wait_and_then_are_refused() {
    let mut t = lockers();
    let owner = t.open_peer_at(0, network(1));
    let thief = t.open_peer_at(0, network(2));
    say(&mut t, owner, "register 3 pw");
    let wrong = "error: wrong password for locker 3\n";
    assert_eq!(say(&mut t, thief, "retrieve 3 a"), wrong);
    assert_eq!(say(&mut t, thief, "retrieve 3 b"), "");
    t.advance(Duration::from_millis(249));
    assert_eq!(t.take(thief), b"");
    t.advance(Duration::from_millis(1));
    assert_eq!(t.take(thief), wrong.as_bytes());
    let refused = "error: too many wrong passwords for locker 3; try again in ";
    let tries = (0..20).map(|_| {
        let answer = say(&mut t, thief, "retrieve 3 c");
        t.advance(10 * SECOND);
        answer + std::str::from_utf8(&t.take(thief)).unwrap()
    });
    let answers: Vec<_> = tries.take_while(|answer| answer == wrong).collect();
    assert!((4..8).contains(&answers.len()), "{answers:?}");
    let answer = say(&mut t, thief, "retrieve 3 pw");
    assert!(answer.starts_with(refused) || answer.is_empty(), "{answer}");
    assert_eq!(say(&mut t, owner, "retrieve 3 pw"), "ok 0 items\n");
}

#[test]
fn an_administrator_resets_at_once_and_others_wait_for_the_operator() {
    let mut t = lockers();
    t.set_operator(true);
    let owner = t.open();
    say(&mut t, owner, "register 1 pw");
    say(&mut t, owner, "store 1 pw book");
    for (peer, listener) in [(user(0), 0), (user(1000), 0), (user(4711), 2)] {
        let admin = t.open_peer_at(listener, peer);
        assert_eq!(say(&mut t, admin, "reset 1"), "ok\n");
    }
    assert_eq!(
        say(&mut t, owner, "store 1 pw pen"),
        "error: wrong password for locker 1\n"
    );
    let other = t.open_peer_at(0, user(4711));
    assert_eq!(
        say(&mut t, other, "reset 1"),
        "ok waiting for the administrator\n"
    );
    assert_eq!(
        say(&mut t, other, "reset 1"),
        "ok waiting for the administrator\n"
    );
    let prints = t.take_prints();
    assert_eq!(prints.len(), 1, "{prints:?}");
    assert!(prints[0].starts_with("call 1: process 1 of user 4711 wants locker 1 reset"));
    t.operator("approve 2");
    t.operator("approve 1");
    let prints = t.take_prints();
    assert_eq!(
        prints,
        [
            "there is no call 2",
            "locker 1 is reset, its password is 0000"
        ]
    );
    assert_eq!(
        say(&mut t, other, "retrieve 1 0000"),
        "item book\nok 1 items\n"
    );
}

#[test]
fn a_call_ends_with_its_client_or_in_five_minutes() {
    let mut t = lockers();
    t.set_operator(true);
    let (a, b) = (t.open(), t.open());
    say(&mut t, a, "register 1 pw");
    say(&mut t, a, "reset 1");
    t.feed(b, b"reset 1");
    t.end(b);
    assert_eq!(t.take(b), b"ok waiting for the administrator\n");
    assert_eq!(t.closed(b), None, "it waits for the administrator");
    t.vanish(a);
    t.operator("approve 1");
    t.advance(300 * SECOND);
    assert_eq!(t.closed(b), Some(CloseReason::ClientEnded));
    t.operator("deny 2");
    let prints = t.take_prints().join("\n");
    assert!(prints.contains("call 1 is withdrawn") && prints.contains("there is no call 1"));
    assert!(prints.contains("call 2 has waited too long"), "{prints}");
    t.set_operator(false);
    let c = t.open();
    assert_eq!(
        say(&mut t, c, "reset 1"),
        "error: no administrator is there\n"
    );
}

#[test]
fn the_operator_sees_lockers_calls_and_what_was_taken() {
    let mut t = lockers();
    t.set_operator(true);
    let a = t.open();
    say(&mut t, a, "register 1 pw");
    say(&mut t, a, "register 2 pw");
    say(&mut t, a, "store 2 pw a \x1b[2Jbook");
    say(&mut t, a, "retrieve 2 pw");
    say(&mut t, a, "reset 1");
    t.take_prints();
    for line in [
        "lockers",
        "taken 2",
        "taken 0",
        "taken 9",
        "deny 1",
        "approve x",
    ] {
        t.operator(line);
    }
    let prints = t.take_prints();
    assert_eq!(prints[0], "1 lockers in use, 4 free");
    assert_eq!(prints[1], "locker 1: 0 items");
    assert!(prints[2].starts_with("call 1: ") && prints[2].ends_with(" for 0 s"));
    assert!(
        prints[3].starts_with("locker 2: 1 items, taken out "),
        "{prints:?}"
    );
    assert_eq!(prints[4], "  a \\u{1b}[2Jbook");
    assert_eq!(prints[5], "nothing was taken out of locker 0 so far");
    assert_eq!(prints[6], "there is no locker 9");
    assert_eq!(prints[7], "call 1 is denied");
    assert_eq!(prints[8], "write approve N, N being a number");
}

#[test]
fn a_shutdown_sends_what_is_owed_and_says_goodbye_to_the_rest() {
    let mut t = lockers();
    t.hold_lanes();
    let (a, b, c) = (t.open(), t.open(), t.open_at(1));
    t.feed(a, b"register 0 pw\n");
    t.shut_down();
    assert_eq!(t.closed(a), None);
    assert_eq!(t.take(b), crate::service::BYE);
    assert_eq!(t.closed(c), Some(CloseReason::Shutdown));
    t.work();
    assert_eq!(t.take(a), b"ok locker 0 is yours\n");
    assert_eq!(t.closed(a), Some(CloseReason::Shutdown));
}

#[test]
fn nothing_of_a_client_that_left_is_lost_or_kept() {
    let mut t = lockers();
    t.hold_lanes();
    let a = t.open();
    t.feed(a, b"register 0 pw\n");
    t.vanish(a);
    t.work();
    let b = t.open();
    t.feed(b, b"show\n");
    assert!(
        t.take(b).starts_with(b"0 free\n"),
        "it had not come to the store"
    );
    t.feed(b, b"register 0 pw\n");
    while t.work_on(1) {}
    while t.report() {}
    t.vanish(b);
    t.work();
    let c = t.open();
    t.feed(c, b"show\n");
    let shown = t.take(c);
    assert!(shown.starts_with(b"0 in use\n") || shown.starts_with(b"0 free\n"));
}

#[test]
fn the_count_is_the_same_wherever_it_stands() {
    let values = |text: &str| crate::config::options::Values::parse(text).unwrap();
    let error = (ENTRY.build)(&[values("count=3"), values("count=4")]).err();
    let error = error.map(|error| (error.listener, error.error.to_string()));
    let problem = "option count: is another than on an earlier listener of lockers";
    assert_eq!(error, Some((1, problem.to_owned())));
    assert!((ENTRY.build)(&[values("count=3"), values("count=3")]).is_ok());
    for wrong in [
        "count=0",
        "count=10001",
        "wire=auto",
        "admins=nobody-there",
        "hash=1,1",
    ] {
        assert!((ENTRY.build)(&[values(wrong)]).is_err(), "{wrong}");
    }
}

#[test]
fn commands_with_long_answers_wait_until_those_have_gone_out() {
    let mut t = lockers();
    let a = t.open();
    let commands = b"help\n".repeat(3000);
    t.feed(a, &commands);
    let text = String::from_utf8(t.take(a)).unwrap();
    assert_eq!(text.matches("\nok\n").count(), 3000);
}
