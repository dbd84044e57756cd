//! How many lockers there are: `count=`, and the question at the first start.

use std::fs;

use crate::support::have;
use crate::support::lockers::{Data, Kiosk, filled};
use crate::support::refusal::refused;
use crate::support::server::Builder;
use crate::support::terminal::{HOLDER, Terminal};

/// How many lockers a server on this folder shows.
fn count(data: &Data, options: &str) -> usize {
    let server = data.server(options).start();
    let shown = Kiosk::unix(&server).unwrap().ask("show").unwrap();
    server.stop();
    shown.len() - 1
}

#[test]
fn lockers_are_added_and_taken_away_but_never_one_in_use() {
    let (data, known) = filled();
    assert_eq!(count(&data, "&count=100"), 100);
    assert_eq!(count(&data, ""), 100);
    assert_eq!(count(&data, "&count=4"), 4);
    let before = fs::read(data.database()).unwrap();
    let words = [
        "error: locker: ",
        "count=3: locker 3 is in use; there are 0 to 3",
    ];
    refused(&data.server("&count=3")).expect(1, &words);
    assert_eq!(fs::read(data.database()).unwrap(), before);
    let server = data.server("&count=10000").start();
    let mut kiosk = Kiosk::unix(&server).unwrap();
    assert_eq!(kiosk.last("register 9999 pw"), "ok locker 9999 is yours");
    assert_eq!(kiosk.last("retrieve 9999 pw"), "ok 0 items");
    let answer = kiosk.last("register 10000 pw");
    assert_eq!(
        answer,
        "error: there is no locker 10000; there are 0 to 9999"
    );
    drop(kiosk);
    server.stop();
    assert_eq!(count(&data, "&count=4"), 4);
    let server = data.server("").start();
    known.check(&server, "after other numbers");
    server.stop();
    assert_eq!(count(&data, "&count=1"), 1);
}

#[test]
fn a_number_of_lockers_that_cannot_be_had_is_refused() {
    for (options, words) in [
        ("&count=0", "count"),
        ("&count=10001", "count"),
        ("&count=many", "count"),
    ] {
        let data = Data::new();
        let refusal = refused(&data.server(options));
        assert_eq!(refusal.code, Some(2), "{refusal:?}");
        assert!(refusal.stderr.contains(words), "{refusal:?}");
        assert!(!data.database().exists());
    }
}

#[test]
fn nobody_is_asked_where_there_is_no_terminal() {
    let data = Data::new();
    assert_eq!(count(&data, ""), 16);
    let data = Data::new();
    let server = data.server("");
    let mut command = server.command();
    command.stdin(std::process::Stdio::piped());
    let mut server = server.start_as(&mut command);
    drop(server.stdin());
    assert_eq!(Kiosk::unix(&server).unwrap().ask("show").unwrap().len(), 17);
    assert!(!server.log().contains("How many"), "{}", server.log());
    server.stop();
}

/// A server whose standard streams are a terminal, standard error among them: there it asks.
fn asking(data: &Data, options: &str) -> (Builder, Terminal) {
    let shell = ["sh", "-c", "exec \"$@\" 2>&1", "sh"];
    let words: Vec<_> = HOLDER.into_iter().chain(shell).collect();
    let builder = data.server(options).log("off").wrapped(&words);
    let terminal = Terminal::start(&mut builder.command());
    (builder, terminal)
}

/// The lockers after these answers, each to a question of its own.
fn asked(answers: &[&str]) -> usize {
    let data = Data::new();
    let (_builder, mut terminal) = asking(&data, "");
    let question = "How many lockers are there, 1 to 10000? [16] ";
    for (number, answer) in answers.iter().enumerate() {
        terminal.wait_for(&question.repeat(number + 1));
        terminal.types(answer);
    }
    terminal.wait_for("ready\n");
    terminal.types("\\x03");
    assert_eq!(terminal.ended(), Some(0), "{}", terminal.shown());
    count(&data, "")
}

#[test]
fn the_first_start_asks_on_the_terminal() {
    if !have("python3") {
        return;
    }
    assert_eq!(asked(&["5\\n"]), 5);
    assert_eq!(asked(&["\\n"]), 16);
    assert_eq!(asked(&["0\\n", "10001\\n", "7\\n"]), 7);
    assert_eq!(asked(&["none\\n", "-1\\n", "a lot\\n"]), 16);
    // Its end is no answer.
    assert_eq!(asked(&["\\x04"]), 16);
}

#[test]
fn nobody_is_asked_where_the_number_is_known() {
    if !have("python3") {
        return;
    }
    let data = Data::new();
    for options in ["&count=3", ""] {
        let (_builder, mut terminal) = asking(&data, options);
        terminal.wait_for("ready\n");
        terminal.types("\\x03");
        assert_eq!(terminal.ended(), Some(0), "{}", terminal.shown());
        assert!(
            !terminal.shown().contains("How many"),
            "{}",
            terminal.shown()
        );
    }
    assert_eq!(count(&data, ""), 3);
}

#[test]
fn an_interrupt_at_the_question_makes_nothing() {
    if !have("python3") {
        return;
    }
    let data = Data::new();
    let (_builder, mut terminal) = asking(&data, "");
    terminal.wait_for("[16] ");
    terminal.types("\\x03");
    // By the signal: 128 and its number.
    assert_eq!(terminal.ended(), Some(130), "{}", terminal.shown());
    assert_eq!(data.names(), ["lockers.lock"]);
    drop(terminal);
    assert_eq!(count(&data, "&count=2"), 2);
}
