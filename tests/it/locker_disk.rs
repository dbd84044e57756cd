//! Disks that fail: an error at every call by which a server of lockers writes. No answer is ever
//! false, the server stays up, and the lockers come back by themselves.

use std::fs;
use std::io::{Read, Write};

use rustix::process::{Signal, kill_process};

use crate::support::lockers::{Data, Held, Kiosk, Known, filled};
use crate::support::points::{Point, for_all, injected, traced, was_injected};
use crate::support::scenario::Scenario;
use crate::support::server::Server;
use crate::support::{can_inject, wait_until};

/// All changes, and enough of them that each kind of call is made in the middle.
const COMMANDS: [&str; 7] = [
    "register 1 pw",
    "store 1 pw a book",
    "store 3 other three",
    "reset 1",
    "retrieve 3 other",
    "register 3 next",
    "store 0 old a shade",
];

const OUT_OF_ORDER: &str = "error: the database is out of order; nothing was changed";

const FULL: &str = "error: the disk is full; nothing was changed";

/// Says all commands up to the first that is not done, and gives the answer to that one.
fn converse(kiosk: &mut Kiosk, known: &mut Known) -> Option<String> {
    let answers = COMMANDS.iter().map(|line| known.say(kiosk, line).unwrap());
    let mut answers = answers.skip_while(|answer| answer.starts_with("ok"));
    answers.next()
}

/// What was said is so after a kill right behind the answer.
fn check_after_a_kill(data: &Data, mut server: Server, known: &Known, what: &str) {
    let _ = kill_process(server.pid(), Signal::KILL);
    server.wait();
    let server = data.server("").start();
    known.check(&server, what);
    server.stop();
    data.read();
}

fn assert_echo(server: &Server, what: &str) {
    let mut echo = server.connect("echo");
    echo.write_all(b"x").unwrap();
    let mut byte = [0];
    echo.read_exact(&mut byte)
        .unwrap_or_else(|error| panic!("{what}: {error}"));
}

/// Waits until changes are done again. Meanwhile each is refused in these words.
fn wait_until_in_order(kiosk: &mut Kiosk, known: &mut Known, what: &str) {
    wait_until(what, || {
        let answer = kiosk.last("register 2 again");
        let done = answer == "ok locker 2 is yours";
        assert!(
            done || answer == OUT_OF_ORDER || answer == FULL,
            "{what}: {answer}"
        );
        done
    });
    // Beside the command whose outcome is unknown.
    let password = Some("again".to_owned());
    let items = Vec::new();
    known.lockers.insert(2, Held { password, items });
}

/// An error at one call; what the client was told, or `None` where the server had no trouble.
fn fail_at(scenario: &Scenario<'_>, point: &Point, error: &str) -> Option<String> {
    let effect = format!("error={error}");
    let start = || {
        let (data, known) = (scenario.data.copy(), scenario.known.clone());
        let server = injected(&data, "", point, &effect).start();
        (data, known, server)
    };
    let (data, mut known, server) = start();
    let told = converse(&mut Kiosk::unix(&server).unwrap(), &mut known);
    let what = format!("{error} at {point:?}: {told:?}");
    check_after_a_kill(&data, server, &known, &what);

    let (data, mut known, mut server) = start();
    let mut kiosk = Kiosk::unix(&server).unwrap();
    assert_eq!(converse(&mut kiosk, &mut known), told, "{what}");
    if told.is_some() {
        assert_echo(&server, &what);
        wait_until_in_order(&mut kiosk, &mut known, &what);
    }
    drop(kiosk);
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(0), "{what}: {}", server.log());
    assert_eq!(was_injected(&data.beside("trace")), !point.beyond, "{what}");
    let server = data.server("").start();
    known.check(&server, &what);
    server.stop();
    data.read();
    told
}

fn all_changes() -> Scenario<'static> {
    let (data, known) = filled();
    Scenario {
        data,
        known,
        options: "",
        only: |_| true,
        commands: &COMMANDS,
        leaves: &[],
        after: |_| (),
    }
}

/// An error at each such call; the client is told one of these.
fn fail_everywhere(call: &str, error: &str, allowed: &[&str]) {
    if !can_inject() {
        return;
    }
    let scenario = all_changes();
    let mut points = scenario.points();
    points.retain(|point| point.call == call);
    let told = for_all(&points, |point| {
        let told = fail_at(&scenario, point, error);
        Some(told.unwrap_or_else(|| "no trouble".to_owned()))
    });
    eprintln!("{error} at {} calls of {call}: {told:?}", points.len());
    for answer in told.keys() {
        assert!(
            answer == "no trouble" || allowed.contains(&answer.as_str()),
            "{answer}"
        );
    }
    for answer in allowed {
        assert!(told.contains_key(*answer), "nobody was told: {answer}");
    }
}

#[test]
fn a_sync_that_fails_leaves_no_false_answer() {
    fail_everywhere("fsync", "EIO", &["error: outcome unknown"]);
}

#[test]
fn a_write_that_fails_leaves_no_false_answer() {
    fail_everywhere("pwrite64", "EIO", &["error: outcome unknown"]);
}

#[test]
fn a_write_to_a_full_disk_changes_nothing() {
    fail_everywhere("pwrite64", "ENOSPC", &[FULL]);
}

#[test]
fn a_name_or_a_length_that_cannot_be_changed_costs_a_start_at_most() {
    if !can_inject() {
        return;
    }
    let scenario = all_changes();
    let mut points = scenario.points();
    points.retain(|point| ["ftruncate", "unlink"].contains(&point.call.as_str()));
    let ends = for_all(&points, |point| {
        let (data, mut known) = (scenario.data.copy(), scenario.known.clone());
        let server = injected(&data, "", point, "error=EIO");
        let mut command = server.command();
        let end = match server.try_start_as(&mut command) {
            Ok(mut server) => {
                let told = converse(&mut Kiosk::unix(&server).unwrap(), &mut known);
                assert_eq!(told, None, "{point:?}");
                server.signal(Signal::INT);
                assert_eq!(server.wait().code(), Some(0), "{point:?}");
                "no trouble"
            }
            Err((builder, status)) => {
                let log = fs::read_to_string(builder.folder().join("log")).unwrap();
                assert_eq!(status.code(), Some(1), "{point:?}: {log}");
                assert!(log.contains("lockers.db: the disk failed"), "{log}");
                "refused"
            }
        };
        let server = data.server("").start();
        known.check(&server, &format!("{point:?}"));
        server.stop();
        data.read();
        Some(end.to_owned())
    });
    eprintln!(
        "EIO at {} calls of ftruncate and unlink: {ends:?}",
        points.len()
    );
}

#[test]
fn a_disk_that_fails_for_good_puts_the_lockers_out_of_order_and_nothing_else() {
    if !can_inject() {
        return;
    }
    for call in ["fsync", "pwrite64"] {
        let (data, mut known) = filled();
        let inject = format!("inject={call}:error=EIO:when=12+");
        let only = format!("trace={call}");
        let words = ["-e", &only, "-e", &inject];
        let server = traced(data.server(""), &data.beside("trace"), &words).start();
        let mut kiosk = Kiosk::unix(&server).unwrap();
        let mut number = 0;
        let told = loop {
            number += 1;
            let told = known
                .say(&mut kiosk, &format!("store 0 old {number}"))
                .unwrap();
            if !told.starts_with("ok") {
                break told;
            }
        };
        assert_eq!(told, "error: outcome unknown", "{call}");
        // Whatever is asked, and also when it was tried to open the database again.
        wait_until("the second try", || {
            assert_eq!(kiosk.last("register 2 pw"), OUT_OF_ORDER, "{call}");
            assert!(kiosk.last("show").starts_with("ok"), "{call}");
            server.log().matches("lockers.db").count() > 1
        });
        assert_echo(&server, call);
        drop(kiosk);
        check_after_a_kill(&data, server, &known, call);
    }
}

/// Nobody changes anything afterwards: who only looks is told how it is, and not how it was.
#[test]
fn whoever_asks_after_an_unknown_outcome_is_told_what_came_of_it() {
    if !can_inject() {
        return;
    }
    let (filled, _) = filled();
    let mut came_true = Vec::new();
    for nth in 1..8 {
        let data = filled.copy();
        let inject = format!("inject=fsync:error=EIO:when={nth}");
        let words = ["-e", "trace=fsync", "-e", &inject];
        let builder = traced(data.server(""), &data.beside("trace"), &words);
        let mut command = builder.command();
        let Ok(mut server) = builder.try_start_as(&mut command) else {
            continue;
        };
        let mut kiosk = Kiosk::unix(&server).unwrap();
        if kiosk.last("register 1 pw") == "error: outcome unknown" {
            let mut shown = Vec::new();
            wait_until("the lockers read anew", || {
                shown = kiosk.ask("show").unwrap();
                server.log().contains("was opened again")
            });
            let answer = kiosk.last("store 1 pw a pen");
            let is_in_use = shown[1] == "1 in use";
            assert_eq!(answer == "ok 1 items", is_in_use, "{nth}: {answer}");
            let _ = kill_process(server.pid(), Signal::KILL);
            server.wait();
            let server = data.server("").start();
            assert_eq!(Kiosk::unix(&server).unwrap().ask("show").unwrap(), shown);
            server.stop();
            came_true.push(is_in_use);
        }
    }
    assert!(came_true.contains(&true), "{came_true:?}");
}
