//! `exec` on the harness: who runs, who waits, who is told to come again.

use std::path::Path;

use super::*;
use crate::service::harness::Harness;

fn runs(t: &Harness, place: usize) -> bool {
    t.program(place).is_some()
}

#[test]
fn each_client_gets_the_program_of_its_listener_at_once() {
    let mut t = Harness::with_listeners(&ENTRY, &["run=./a.py", "run=/bin/b&max=1"]);
    let (a, b) = (t.open_at(0), t.open_at(1));
    assert_eq!(t.program(a).unwrap().path, Path::new("./a.py"));
    assert_eq!(t.program(b).unwrap().path, Path::new("/bin/b"));
    assert_eq!(t.take(a), b"");
    t.program_ended(a);
    assert_eq!(t.closed(a), Some(CloseReason::ProgramEnded));
    assert_eq!(t.sessions(), 1);
}

#[test]
fn the_next_run_in_the_order_in_which_they_came() {
    let mut t = Harness::new(&ENTRY, "run=/bin/cat&max=2");
    let clients: Vec<_> = (0..6).map(|_| t.open()).collect();
    let running =
        |t: &Harness| -> Vec<usize> { clients.iter().copied().filter(|c| runs(t, *c)).collect() };
    assert_eq!(running(&t), [0, 1]);
    t.program_ended(1);
    assert_eq!(running(&t), [0, 1, 2], "the one that ended is still listed");
    t.program_ended(0);
    t.program_ended(2);
    assert_eq!(running(&t), [0, 1, 2, 3, 4]);
    assert!(!runs(&t, 5));
    t.program_ended(4);
    assert!(runs(&t, 5));
    t.program_ended(3);
    t.program_ended(5);
    assert_eq!(t.sessions(), 0);
    let next = t.open();
    assert!(runs(&t, next), "the count came back to nothing");
}

#[test]
fn what_a_waiting_client_sends_is_left_for_its_program() {
    let mut t = Harness::new(&ENTRY, "run=/bin/cat&max=1");
    let (a, b) = (t.open(), t.open());
    t.feed(b, b"early");
    t.end(b);
    assert_eq!(
        t.closed(b),
        None,
        "who has ended only the writing still waits"
    );
    t.program_ended(a);
    assert!(runs(&t, b));
    assert_eq!(t.take(b), b"");
}

#[test]
fn who_waits_and_goes_is_left_out() {
    let mut t = Harness::new(&ENTRY, "run=/bin/cat&max=1");
    let (a, b, c) = (t.open(), t.open(), t.open());
    t.vanish(b);
    t.program_ended(a);
    assert!(!runs(&t, b));
    assert!(runs(&t, c));
    t.program_ended(c);
    assert_eq!(t.sessions(), 0);
}

#[test]
fn a_full_line_is_told_so() {
    let mut t = Harness::new(&ENTRY, "run=/bin/cat&max=1");
    for _ in 0..=EXEC_WAITING_MAX {
        let client = t.open();
        assert_eq!(t.closed(client), None);
    }
    let late = t.open();
    assert_eq!(
        t.take(late),
        b"error: busy: 1 are served and 256 wait; try again later\n"
    );
    assert_eq!(t.closed(late), Some(CloseReason::Busy));
    t.program_ended(0);
    assert!(runs(&t, 1));
    let client = t.open();
    assert_eq!(t.closed(client), None, "there is room again");
}

#[test]
fn a_shutdown_says_goodbye_to_who_waits_and_starts_nothing_more() {
    let mut t = Harness::new(&ENTRY, "run=/bin/cat&max=1");
    let (a, b, c) = (t.open(), t.open(), t.open());
    t.shut_down();
    for waiting in [b, c] {
        assert_eq!(t.take(waiting), BYE);
        assert_eq!(t.closed(waiting), Some(CloseReason::Shutdown));
    }
    t.program_ended(a);
    assert!(!runs(&t, b) && !runs(&t, c));
    assert_eq!(t.sessions(), 0);
}

#[test]
fn listeners_of_one_program_share_its_count() {
    let mut t = Harness::with_listeners(&ENTRY, &["run=/bin/cat&max=1", "run=/bin/cat"]);
    let (a, b) = (t.open_at(0), t.open_at(1));
    assert!(runs(&t, a) && !runs(&t, b));
    t.program_ended(a);
    assert!(runs(&t, b));
}

#[test]
fn wrong_options_are_named() {
    let build = |texts: &[&str]| {
        let values: Vec<_> = texts
            .iter()
            .map(|text| Values::parse(text).unwrap())
            .collect();
        match (ENTRY.build)(&values) {
            Ok(_) => panic!("{texts:?} were taken"),
            Err(error) => (error.listener, error.error.to_string()),
        }
    };
    let none = (ENTRY.build)(&[Values::default()]).err().unwrap();
    assert!(none.error.to_string().contains("option run: is missing"));
    assert!(build(&["run="]).1.contains("no path"));
    assert!(build(&["run=a%00b"]).1.contains("no path"));
    assert!(build(&["run=a&max=0"]).1.contains("from 1 to 4096"));
    let (listener, error) = build(&["run=a&max=1", "run=b&max=2", "run=a&max=3"]);
    assert_eq!(listener, 2);
    assert!(error.contains("is 3 here and 1 on another"), "{error}");
}
