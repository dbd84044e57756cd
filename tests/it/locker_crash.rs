//! Kills: at every system call by which a server of lockers writes, what was acknowledged is there
//! after the next start, nothing is damaged, and what was not is there as a whole or not at all.

use rustix::process::Signal;

use crate::support::can_inject;
use crate::support::lockers::{Data, Kiosk, Known, filled};
use crate::support::scenario::Scenario;

/// What a server leaves behind.
const LEAVES: [&str; 2] = ["lockers.db", "lockers.lock"];

/// No lockers yet.
fn nothing() -> Scenario<'static> {
    Scenario {
        data: Data::new(),
        known: Known::default(),
        options: "&count=4",
        only: |_| true,
        commands: &["register 1 pw"],
        leaves: &LEAVES,
        after: |_| (),
    }
}

#[test]
fn a_kill_at_any_call_of_the_first_start_leaves_all_or_nothing() {
    if can_inject() {
        nothing().kill_everywhere("first start");
    }
}

#[test]
fn an_error_at_any_call_of_the_first_start_leaves_all_or_nothing() {
    if can_inject() {
        nothing().fail_everywhere("first start", "EIO");
    }
}

#[test]
fn a_kill_at_any_call_of_any_change_loses_nothing_that_was_acknowledged() {
    if !can_inject() {
        return;
    }
    let (data, known) = filled();
    let scenario = Scenario {
        data,
        known,
        options: "",
        only: |_| true,
        commands: &[
            "register 1 pw",
            "store 1 pw a book",
            "store 1 pw a second book",
            "reset 1",
            "retrieve 3 other",
            "register 3 next",
            "backup DATA/copy.db",
        ],
        leaves: &LEAVES,
        after: |_| (),
    };
    scenario.kill_everywhere("changes");
}

#[test]
fn a_kill_while_a_long_log_is_written_into_the_database_loses_nothing() {
    if !can_inject() {
        return;
    }
    let (data, known) = filled();
    // Two pages each and some more, and at 1,000 the log is written into the database.
    let store = |n| [format!("store 0 old {n}"), format!("store 3 other {n}")];
    let lines: Vec<_> = (0..300).flat_map(store).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let scenario = Scenario {
        data,
        known,
        options: "",
        only: |call| call.contains("lockers.db>"),
        commands: &lines,
        leaves: &LEAVES,
        after: |_| (),
    };
    // A few only, as each kill takes seconds: pages are alike, and at the end there are more.
    let points = scenario.points();
    let of = |call: &'static str, some: [usize; 2]| {
        let points: Vec<_> = points.iter().filter(|point| point.call == call).collect();
        some.map(|number| points[number].clone())
    };
    let some = [of("pwrite64", [0, 11]), of("fsync", [0, 0])].concat();
    let parts = scenario.kill_at_all(&some.into_iter().collect(), "checkpoint");
    assert_eq!(parts["store"], 3, "{parts:?}");
}

/// Lockers whose server was killed just now: a part of them is in the log alone.
fn killed() -> Scenario<'static> {
    let (data, mut known) = filled();
    let mut server = data.server("").start();
    let mut kiosk = Kiosk::unix(&server).unwrap();
    for line in ["register 1 pw", "store 1 pw a book", "retrieve 3 other"] {
        known.do_it(&mut kiosk, line);
    }
    server.signal(Signal::KILL);
    server.wait();
    assert_eq!(
        data.names(),
        ["lockers.db", "lockers.db-wal", "lockers.lock"]
    );
    Scenario {
        data,
        known,
        options: "",
        only: |_| true,
        commands: &["store 1 pw another"],
        leaves: &LEAVES,
        after: |_| (),
    }
}

#[test]
fn a_kill_while_the_log_of_a_killed_server_is_read_loses_nothing() {
    if can_inject() {
        killed().kill_everywhere("start after a kill");
    }
}

#[test]
fn an_error_while_the_log_of_a_killed_server_is_read_loses_nothing() {
    if can_inject() {
        killed().fail_everywhere("start after a kill", "EIO");
    }
}

#[test]
fn a_kill_while_the_number_of_lockers_changes_loses_none() {
    if !can_inject() {
        return;
    }
    for (options, name) in [
        ("&count=300", "more lockers"),
        ("&count=4", "fewer lockers"),
    ] {
        let (data, known) = filled();
        if options == "&count=4" {
            data.server("&count=300").start().stop();
        }
        let scenario = Scenario {
            data,
            known,
            options,
            only: |_| true,
            commands: &[],
            leaves: &LEAVES,
            after: |_| (),
        };
        scenario.kill_everywhere(name);
    }
}
