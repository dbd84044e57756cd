//! `locker`: each request and what is printed of its answer, where passwords come from, a lab
//! server's file, and every exit status.

use std::io::Write as _;

use crate::lockers::{Lockers, Then, end};
use crate::support::{Client, Outcome, run, run_with};
use crate::terminal::Terminal;

fn outcome(code: i32, stdout: &str, stderr: &str) -> Outcome {
    Outcome {
        code: Some(code),
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
    }
}

/// Runs `locker ACTION ENDPOINT REST...` with this on its standard input.
fn locker(lockers: &Lockers, action: &str, rest: &[&str], input: &str) -> Outcome {
    let arguments = [&["locker", action, &lockers.endpoint], rest].concat();
    run_with(&arguments, input.as_bytes())
}

#[test]
fn each_request_prints_what_its_answer_says() {
    let lockers = Lockers::four();
    for (action, rest, request, printed) in [
        (
            "show",
            &[][..],
            "show",
            "0 free\n1 free\n2 free\n3 in use\n",
        ),
        ("register", &["1"], "register 1 pw", "locker 1 is yours\n"),
        ("store", &["1", "a book"], "store 1 pw a book", "2 items\n"),
        ("retrieve", &["1"], "retrieve 1 pw", "a book\n우산\n"),
    ] {
        let printed = outcome(0, printed, "");
        assert_eq!(locker(&lockers, action, rest, "pw\n"), printed);
        assert_eq!(lockers.request(), request);
        assert_eq!(lockers.request(), "END");
    }
}

#[test]
fn several_items_are_stored_with_one_password() {
    let lockers = Lockers::four();
    let stored = locker(&lockers, "store", &["1", "a book", "우산"], "pw");
    assert_eq!(stored, outcome(0, "2 items\n", ""));
    assert_eq!(lockers.request(), "store 1 pw a book");
    assert_eq!(lockers.request(), "store 1 pw 우산");
    let full = Lockers::start("", |line| {
        let answer = match line.ends_with('b') {
            true => "error: locker 1 is full, 1000 items\n",
            false => "ok 1000 items\n",
        };
        Then::Say(answer.to_owned())
    });
    let refused = locker(&full, "store", &["1", "a", "b", "c"], "pw");
    let said = "1 of 3 items were stored\nerror: locker 1 is full, 1000 items\n";
    assert_eq!(refused, outcome(3, "", said));
}

#[test]
fn a_password_may_come_from_a_file() {
    let lockers = Lockers::four();
    let file = lockers.file("password", b"from a file?\n");
    let wrong = locker(&lockers, "retrieve", &["1", "--password-file", &file], "");
    assert_eq!(wrong.code, Some(2));
    let why = format!("error: {file}: the password holds a blank and can't be sent\n");
    assert!(wrong.stderr.starts_with(&why), "{}", wrong.stderr);

    let file = lockers.file("password", b"from-a-file\r\nmore\n");
    let right = locker(&lockers, "retrieve", &["1", "--password-file", &file], "");
    assert_eq!(right.code, Some(0));
    assert_eq!(lockers.request(), "retrieve 1 from-a-file");
}

#[test]
fn a_password_that_can_t_be_sent_is_a_usage_error_and_never_shown() {
    let lockers = Lockers::four();
    let long = "long".repeat(40);
    let without_end = "l".repeat(10_000);
    for (input, why) in [
        ("", "no password was given"),
        ("\n", "the password is empty"),
        ("sec ret\n", "the password holds a blank and can't be sent"),
        (&long, "the password has more than 128 bytes"),
        (&without_end, "the password has more than 128 bytes"),
    ] {
        let wrong = locker(&lockers, "register", &["1"], input);
        assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(2), ""));
        assert!(wrong.stderr.contains(why), "{}", wrong.stderr);
        assert!(!wrong.stderr.contains("ret") && !wrong.stderr.contains("long"));
        assert_eq!(lockers.request(), "END");
    }
    let wrong = locker(&lockers, "store", &["1", "a\nb"], "pw");
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("'a\\nb': the item holds a line end"));
    let wrong = locker(&lockers, "store", &["1"], "pw");
    assert!(wrong.stderr.contains("no item was given"));
}

#[test]
fn a_password_is_typed_without_echo_and_twice_where_it_is_new() {
    let lockers = Lockers::four();
    for (action, prompts) in [
        (
            "register",
            &["Password of locker 1: ", "The same once more: "][..],
        ),
        ("retrieve", &["Password of locker 1: "]),
    ] {
        let arguments = ["locker", action, &lockers.endpoint, "1"];
        let mut terminal = Terminal::start(80, &arguments, &[]);
        for prompt in prompts {
            terminal.wait_for(prompt, 1);
            assert!(!terminal.echoes());
            terminal.types("verysecret\n");
        }
        assert_eq!(terminal.report(), "ended 0, echo on");
        assert_eq!(lockers.request(), format!("{action} 1 verysecret"));
        assert_eq!(lockers.request(), "END");
        assert!(!terminal.shown().contains("verysecret"));
    }
    let arguments = ["locker", "register", &lockers.endpoint, "1"];
    let mut terminal = Terminal::start(80, &arguments, &[]);
    terminal.wait_for("Password of locker 1: ", 1);
    terminal.types("one\n");
    terminal.wait_for("The same once more: ", 1);
    terminal.types("other\n");
    assert_eq!(terminal.report(), "ended 2, echo on");
    terminal.wait_for("error: the two passwords differ\n", 1);
}

#[test]
fn every_way_out_of_a_password_leaves_the_echo_on() {
    let lockers = Lockers::four();
    for (key, status) in [("\x03", 130), ("\x04", 2), ("", 1)] {
        let arguments = ["locker", "retrieve", &lockers.endpoint, "1"];
        let mut terminal = Terminal::start(80, &arguments, &[]);
        terminal.wait_for("Password of locker 1: ", 1);
        assert!(!terminal.echoes());
        let connection = lockers.connection();
        match key {
            "" => end(&connection),
            key => terminal.types(key),
        }
        assert_eq!(terminal.report(), format!("ended {status}, echo on"));
    }
}

#[test]
fn lockers_are_a_grid_on_a_terminal() {
    let lockers = Lockers::four();
    let arguments = ["locker", "show", &lockers.endpoint];
    let terminal = Terminal::start(20, &arguments, &[]);
    assert_eq!(terminal.report(), "ended 0, echo on");
    let rows = "0 free    1 free\n2 free    3 in use\n";
    terminal.wait_for(rows, 1);
    assert_eq!(terminal.shown(), rows);
}

#[test]
fn a_call_is_waited_for_until_it_has_ended() {
    let waiting = "waiting for the administrator; Ctrl-C takes the call back\n";
    let ended = "the call has ended: it was decided, or nobody came in time\n";
    let at_once = Lockers::that_say("ok\n");
    let done = locker(&at_once, "reset", &["1"], "");
    assert_eq!(
        done,
        outcome(0, "the password of locker 1 is 0000 now\n", "")
    );

    let lockers = Lockers::four();
    let arguments = ["locker", "reset", "--timeout=1s", &lockers.endpoint, "2"];
    let mut client = Client::start(&arguments);
    let mut connection = lockers.connection();
    assert_eq!(lockers.request(), "reset 2");
    // Its writing has ended, and it stays for longer than its timeout.
    assert_eq!(lockers.request(), "END");
    assert!(!client.ends_within(std::time::Duration::from_millis(1500)));
    end(&connection);
    let both = format!("{waiting}{ended}");
    assert_eq!(client.outcome(), outcome(0, "", &both));

    let mut client = Client::start(&arguments);
    connection = lockers.connection();
    assert_eq!(lockers.request(), "reset 2");
    assert_eq!(lockers.request(), "END");
    let bye = "bye: the server is shutting down\n";
    connection.write_all(bye.as_bytes()).unwrap();
    let lost = format!("{waiting}error: {}: {bye}", lockers.endpoint);
    assert_eq!(client.outcome(), outcome(1, "", &lost));

    let mut client = Client::start(&arguments);
    assert_eq!(lockers.request(), "reset 2");
    assert_eq!(lockers.request(), "END");
    client.interrupt();
    // Ended by the signal: there is no status.
    assert_eq!(client.outcome().code, None);
}

#[test]
fn a_backup_names_an_absolute_path() {
    let lockers = Lockers::that_say("ok 4096 bytes\n");
    let here = std::env::current_dir().unwrap();
    let saved = outcome(0, "4096 bytes\n", "");
    assert_eq!(locker(&lockers, "backup", &["a copy.db"], ""), saved);
    let path = here.join("a copy.db");
    assert_eq!(lockers.request(), format!("backup {}", path.display()));
    assert_eq!(lockers.request(), "END");
    assert_eq!(locker(&lockers, "backup", &["/x/y.db"], ""), saved);
    assert_eq!(lockers.request(), "backup /x/y.db");
    for name in ["/x/y ", "/x\ny"] {
        let wrong = locker(&lockers, "backup", &[name], "");
        assert_eq!(wrong.code, Some(2));
        assert!(wrong.stderr.contains("can't be sent"), "{}", wrong.stderr);
    }
}

#[test]
fn what_goes_wrong_has_its_status_and_is_named() {
    let refusing = Lockers::that_say("error: locker 1 is free\n");
    let refused = outcome(3, "", "error: locker 1 is free\n");
    assert_eq!(locker(&refusing, "retrieve", &["1"], "pw"), refused);
    for (answer, why) in [
        ("", "the server ended the connection without an answer"),
        (
            "item a\nok",
            "the server ended the connection without an answer",
        ),
        (
            "bye: the server is shutting down\n",
            "bye: the server is shutting down",
        ),
        // Neither yes nor no.
        ("error: outcome unknown\n", "outcome unknown"),
    ] {
        let ending = Lockers::start("", move |_| Then::SayAndEnd(answer.to_owned()));
        let said = format!("error: {}: {why}\n", ending.endpoint);
        let lost = locker(&ending, "retrieve", &["1"], "pw");
        assert_eq!(lost, outcome(1, "", &said));
    }
    let silent = Lockers::that_say("");
    let said = format!("error: {}: no answer within 300ms\n", silent.endpoint);
    let lost = locker(&silent, "show", &["--timeout=300ms"], "");
    assert_eq!(lost, outcome(1, "", &said));
    let endless = Lockers::start("", |_| Then::Say("1 free\n".repeat(20_000)));
    let lost = locker(&endless, "show", &[], "");
    assert!(
        lost.stderr.ends_with(": its answer has no end\n"),
        "{}",
        lost.stderr
    );

    let none = run(&["locker", "show", "unix:/nonexistent/x"]);
    let said = "error: unix:/nonexistent/x: no such file or directory\n";
    assert_eq!(none, outcome(1, "", said));
    for (arguments, part) in [
        (&["locker"][..], "Usage: switchboard locker"),
        (&["locker", "register"], "NUMBER"),
        (&["locker", "register", "x"], "'x'"),
        (&["locker", "register", "unix:@x", "1", "pw"], "'pw'"),
        (
            &["locker", "show", "udp://127.0.0.1:1"],
            "udp://127.0.0.1:1: ",
        ),
        (&["locker", "frob"], "'frob'"),
    ] {
        let wrong = run(arguments);
        assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(2), ""));
        assert!(wrong.stderr.contains(part), "{}", wrong.stderr);
    }
}

#[test]
fn without_an_endpoint_it_is_the_default_boards_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_switchboard"))
        .args(["locker", "show"])
        .env("XDG_RUNTIME_DIR", folder.path())
        .output()
        .unwrap();
    let path = folder.path().join("switchboard/locker.sock");
    let said = format!(
        "error: unix:{}: no such file or directory\n",
        path.display()
    );
    assert_eq!(String::from_utf8(output.stderr).unwrap(), said);
}

/// A record of `lock_information`.
fn record(number: i32, password: &[u8], flag: u8, item: &str) -> Vec<u8> {
    let mut bytes = number.to_ne_bytes().to_vec();
    bytes.extend_from_slice(password);
    bytes.resize(14, 0);
    bytes.push(flag);
    bytes.extend_from_slice(item.as_bytes());
    bytes.resize(116, 0);
    bytes
}

#[test]
fn a_lab_servers_file_is_imported() {
    let lockers = Lockers::four();
    let records = [
        record(0, b"pw0", 1, "a book"),
        record(1, b"old", 0, "gone"),
        record(2, b"0123456789", 1, ""),
    ];
    let file = lockers.file("lock_information", &records.concat());
    let imported = locker(&lockers, "import", &[&file], "");
    assert_eq!(imported, outcome(0, "2 imported, 1 free, 0 refused\n", ""));
    for request in [
        "register 0 pw0",
        "store 0 pw0 a book",
        "register 2 0123456789",
        "END",
    ] {
        assert_eq!(lockers.request(), request);
    }
}

#[test]
fn records_that_are_refused_are_said_and_the_others_are_imported() {
    let lockers = Lockers::four();
    let records = [
        record(3, b"pw", 1, "a book"),
        record(-4, b"pw", 1, ""),
        record(1, b"", 1, "x"),
        record(2, b"a b", 1, "x"),
        record(0, b"secretpw", 1, "umbrella"),
    ];
    let file = lockers.file("lock_information", &records.concat());
    let said = "locker 3: is in use\n\
        locker -4: is no number of a locker\n\
        locker 1: its password is empty\n\
        locker 2: its password holds a blank and can't be sent\n\
        error: 4 of 5 records were refused\n";
    let imported = locker(&lockers, "import", &[&file], "");
    let summary = "1 imported, 0 free, 4 refused\n";
    assert_eq!(imported, outcome(3, summary, said));
}

#[test]
fn an_import_waits_for_a_busy_server_and_says_where_it_was_lost() {
    let mut is_busy = true;
    let lockers = Lockers::start("", move |line| {
        let text = match std::mem::replace(&mut is_busy, false) {
            true => "error: busy, try again\n",
            false => "ok\n",
        };
        match line.starts_with("register 2") {
            true => Then::SayAndEnd(String::new()),
            false => Then::Say(text.to_owned()),
        }
    });
    let records = [record(1, b"pw", 1, "x"), record(2, b"pw", 1, "x")];
    let file = lockers.file("lock_information", &records.concat());
    let lost = locker(&lockers, "import", &[&file], "");
    let said = format!(
        "locker 2: not known whether it was imported; 1 were before it\n\
         error: {}: the server ended the connection without an answer\n",
        lockers.endpoint
    );
    assert_eq!(lost, outcome(1, "", &said));
}

#[test]
fn a_file_that_is_no_lock_information_is_a_usage_error() {
    let lockers = Lockers::four();
    let twice = [record(1, b"a", 1, ""), record(1, b"b", 0, "")].concat();
    for (bytes, why) in [
        (
            &[0; 117][..],
            "has 117 bytes, which are no whole records of 116 bytes",
        ),
        (&twice, "has two records of locker 1"),
    ] {
        let file = lockers.file("lock_information", bytes);
        let wrong = locker(&lockers, "import", &[&file], "");
        assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(2), ""));
        let said = format!("error: {file}: {why}\n");
        assert!(wrong.stderr.starts_with(&said), "{}", wrong.stderr);
    }
    let wrong = locker(&lockers, "import", &["/nonexistent/x"], "");
    let said = "error: /nonexistent/x: no such file or directory\n";
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.starts_with(said), "{}", wrong.stderr);
}
