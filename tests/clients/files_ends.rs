//! `ls`, `get` and `put`: what they show, several files in one call, and how they end.

use std::fs;

use crate::filer::Filer;
use crate::files::{DONE, content, ended, names, text, wait_for_part};
use crate::support::{Client, Server, answer, run};
use crate::terminal::Terminal;

#[test]
fn of_several_files_all_are_tried_and_the_worst_counts() {
    let filer = Filer::start(&[("a", b"A"), ("b", b"B"), ("d/c", b"C")]);
    let here = tempfile::tempdir().unwrap();
    let folder = text(here.path());
    filer
        .state()
        .refused
        .insert("b".to_owned(), "error: no \x1b[2Jb".to_owned());
    let got = run(&[
        "get",
        &filer.unix,
        "a",
        "b",
        "none",
        "d/c",
        "-o",
        folder,
        "--json",
    ]);
    assert_eq!(got.code, Some(3));
    let said = "error: b: no \\u{1b}[2Jb\nerror: none: there is no file none\n\
                error: 2 of 4 files were not fetched\n";
    assert_eq!(got.stderr, said);
    let outcomes: Vec<_> = got
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["done", "refused", "refused", "done"]);
    assert_eq!(names(here.path()), ["a", "c"]);
    // A connection that ends is made anew for the next file; and lost comes before refused.
    filer.state().cuts.push_back(0);
    let got = run(&["get", &filer.unix, "a", "b", "d/c", "-o", folder]);
    assert_eq!(got.code, Some(1));
    assert!(
        got.stderr
            .ends_with("error: 2 of 3 files were not fetched\n")
    );
    let missing = here.path().join("missing");
    let put = run(&[
        "put",
        &filer.unix,
        text(&missing),
        text(&here.path().join("c")),
    ]);
    assert_eq!(put.code, Some(1));
    assert!(
        put.stderr.contains("missing: no such file"),
        "{}",
        put.stderr
    );
    assert_eq!(filer.state().files["c"].0, b"C");
}

#[test]
fn what_cannot_be_written_is_said() {
    let filer = Filer::start(&[("x", b"X")]);
    let here = tempfile::tempdir().unwrap();
    for (target, part) in [
        ("/dev/null", "error: /dev/null: is no regular file\n"),
        (
            "/nonexistent/x",
            "error: /nonexistent/.x.partial: no such file or directory\n",
        ),
    ] {
        let got = run(&["get", &filer.endpoint, "x", "-o", target]);
        assert_eq!(ended(&got), (Some(1), "", part));
    }
    let got = run(&["get", &filer.endpoint, "none", "-o", text(here.path())]);
    assert_eq!(ended(&got), (Some(3), "", "error: there is no file none\n"));
    assert_eq!(names(here.path()), [""; 0]);
}

#[test]
fn ctrl_c_leaves_a_part_that_the_next_call_resumes() {
    let bytes = content(500_000, 3);
    let filer = Filer::start(&[("x", &bytes)]);
    let here = tempfile::tempdir().unwrap();
    let folder = text(here.path());
    filer.state().stall = Some(300_000);
    let mut client = Client::start(&["get", &filer.endpoint, "x", "-o", folder, "--json"]);
    filer.wait_for_stall();
    wait_for_part(here.path(), 300_000);
    client.interrupt();
    let (code, stdout, stderr) = client.bytes();
    // By the signal: a shell makes 130 of it.
    assert_eq!((code, &*stderr), (None, ""));
    let json: serde_json::Value = serde_json::from_slice(&stdout).unwrap();
    assert_eq!(
        (&json["outcome"], &json["resumed_from"]),
        (&"interrupted".into(), &0.into())
    );
    filer.state().stall = None;
    let _ = filer.commands();
    assert_eq!(
        ended(&run(&["get", &filer.endpoint, "x", "-o", folder])),
        DONE
    );
    assert_eq!(filer.commands()[1], "get x 300000 500000-1-1");
    assert_eq!(fs::read(here.path().join("x")).unwrap(), bytes);
}

#[test]
fn ctrl_c_while_a_file_is_hashed_has_its_last_word_too() {
    let filer = Filer::start(&[]);
    let here = tempfile::tempdir().unwrap();
    // Hashing so many bytes takes minutes; on the disk they take none.
    let size = 1 << 40;
    for (path, command) in [(".x.partial", "get"), ("x", "put")] {
        let path = here.path().join(path);
        fs::File::create(&path).unwrap().set_len(size).unwrap();
        let mut arguments = vec![command, &filer.endpoint, "--json"];
        match command {
            "get" => arguments.extend(["x", "-o", text(here.path())]),
            _ => arguments.push(text(&path)),
        }
        let mut client = Client::start(&arguments);
        client.wait_until_it_reads(&path);
        client.interrupt();
        let (code, stdout, stderr) = client.bytes();
        assert_eq!((code, &*stderr), (None, ""), "{command}");
        let json: serde_json::Value = serde_json::from_slice(&stdout).unwrap();
        assert_eq!(json["outcome"], "interrupted");
        let there = if command == "get" { size } else { 0 };
        assert_eq!(
            (&json["bytes"], &json["sha256"]),
            (&there.into(), &().into())
        );
    }
}

#[test]
fn a_terminal_shows_how_far_it_is() {
    let bytes = content(500_000, 3);
    let filer = Filer::start(&[("x", &bytes)]);
    let here = tempfile::tempdir().unwrap();
    let folder = text(here.path()).to_owned();
    filer.state().stall = Some(300_000);
    let arguments = ["get", &filer.endpoint, "x", "-o", &folder];
    let mut terminal = Terminal::start(80, &arguments, &[]);
    filer.wait_for_stall();
    terminal.wait_for("/488.28 KiB", 1);
    wait_for_part(here.path(), 300_000);
    terminal.types("\x03");
    terminal.wait_for(" bytes are there; the same call goes on from there\n", 1);
    assert!(terminal.report().starts_with("ended 130"));
    let shown = terminal.shown();
    assert!(shown.contains("/s") && shown.contains(" left"), "{shown:?}");
    filer.state().stall = None;
    filer.state().files.get_mut("x").unwrap().1 = "500000-2-1".to_owned();
    let terminal = Terminal::start(80, &arguments, &[]);
    terminal.wait_for("x: the server's file has changed; starting over\n", 1);
    terminal.wait_for("488.28 KiB in 0s, ", 1);
    terminal.wait_for("/s\n", 1);
    assert!(terminal.report().starts_with("ended 0"));
}

#[test]
fn a_list_has_names_that_do_no_harm() {
    let filer = Filer::start(&[("a b", b"12345"), ("x\u{9b}", b"")]);
    let listed = run(&["ls", &filer.endpoint]);
    let expected = "              5  2026-11-21 15:14:02  a b\n              \
                    0  2026-11-21 15:14:02  x\u{9b}\n              \
                    0  1970-01-01 00:00:00  folder/\n";
    assert_eq!(ended(&listed), (Some(0), expected, ""));
    let listed = run(&["ls", &filer.unix, "a b", "--json"]);
    let first = listed.stdout.lines().next().unwrap();
    let json: serde_json::Value = serde_json::from_str(first).unwrap();
    let expected =
        serde_json::json!({"name": "a b", "bytes": 5, "time": 1_795_274_042, "folder": false});
    assert_eq!(json, expected);
    assert_eq!(filer.commands(), ["list", "list \"a b\""]);
    let terminal = Terminal::start(80, &["ls", &filer.endpoint], &[]);
    terminal.wait_for("x\\u{9b}", 1);
    assert!(terminal.report().starts_with("ended 0"));
}

#[test]
fn a_list_that_is_cut_says_so() {
    for (flag, first) in [
        ("--timeout=60s", "  x\n"),
        ("--json", "\"x\",\"time\":2}\n"),
    ] {
        let server = Server::start(|mut stream| {
            answer(
                &mut stream,
                b"\n",
                b"1 2 x\nok and more that is not shown\n",
            );
        });
        let listed = run(&["ls", &server.endpoint, flag]);
        let note = format!("{}: and more that is not shown\n", server.endpoint);
        assert_eq!((listed.code, &*listed.stderr), (Some(0), &*note));
        assert!(listed.stdout.ends_with(first), "{}", listed.stdout);
    }
}

#[test]
fn a_server_that_is_none_of_files_or_says_goodbye_is_a_lost_connection() {
    for (reply, code, part) in [
        (&b"welcome\n"[..], 1, "is that the service files?"),
        (b"ok 3 4 v\nabcd", 1, "its answer to get makes no sense"),
        (
            b"bye: the server is shutting down\n",
            1,
            "bye: the server is shutting down",
        ),
        (
            b"error: the server is full\n",
            3,
            "error: the server is full",
        ),
        (b"ok 3 3 v\nab", 1, "the server ended the connection"),
    ] {
        let server = Server::start(move |mut stream| answer(&mut stream, b"\n", reply));
        let here = tempfile::tempdir().unwrap();
        let got = run(&["get", &server.endpoint, "x", "-o", text(here.path())]);
        assert_eq!((got.code, &*got.stdout), (Some(code), ""));
        assert!(got.stderr.contains(part), "{}", got.stderr);
    }
    let got = run(&["get", "tcp://127.0.0.1:1", "x", "y"]);
    assert_eq!(got.code, Some(1));
    assert!(
        got.stderr
            .contains("error: y: tcp://127.0.0.1:1: connection refused\n")
    );
}

#[test]
fn a_file_that_changes_while_it_is_sent_is_not_sent_to_its_end() {
    let here = tempfile::tempdir().unwrap();
    let file = here.path().join("x");
    // More than both ends' buffers hold.
    let size = 20_000_000;
    fs::write(&file, content(size, 1)).unwrap();
    let changed = file.clone();
    let server = Server::start(move |mut stream| {
        answer(&mut stream, b"\n", b"ok 0\n");
        let bytes = fs::OpenOptions::new().append(true).open(changed).unwrap();
        std::io::copy(&mut &b"more"[..], &mut &bytes).unwrap();
        let mut rest = Vec::new();
        let _ = std::io::Read::read_to_end(&mut stream, &mut rest);
        rest.len()
    });
    let put = run(&["put", &server.endpoint, text(&file)]);
    let why = "has changed while it was sent; it is not there as a whole";
    let expected = format!("error: {}: {why}\n", file.display());
    assert_eq!(ended(&put), (Some(1), "", &*expected));
    assert!(server.result() < size);
}

#[test]
fn a_part_that_came_over_datagrams_goes_on_over_a_stream() {
    let bytes = content(100_000, 1);
    let filer = Filer::start(&[("x", &bytes)]);
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join(".x.partial"), &bytes[..60_000]).unwrap();
    fs::write(here.path().join(".x.partial.version"), "size 100000\n").unwrap();
    let got = run(&["get", &filer.unix, "x", "-o", text(here.path())]);
    assert_eq!(ended(&got), DONE);
    assert_eq!(filer.commands(), ["hash x 60000", "get x 60000", "hash x"]);
    assert_eq!(fs::read(here.path().join("x")).unwrap(), bytes);
}

#[test]
fn a_second_call_for_one_file_is_told_about_the_first() {
    let bytes = content(300_000, 1);
    let filer = Filer::start(&[("x", &bytes)]);
    let here = tempfile::tempdir().unwrap();
    filer.state().stall = Some(200_000);
    let arguments = ["get", &filer.endpoint, "x", "-o", text(here.path())];
    let first = Client::start(&arguments);
    wait_for_part(here.path(), 200_000);
    let second = run(&arguments);
    assert_eq!(second.code, Some(1));
    assert!(
        second
            .stderr
            .ends_with("x: another process is fetching it\n")
    );
    drop(first);
    filer.state().stall = None;
    // Once the first is gone.
    assert_eq!(ended(&run(&arguments)), DONE);
}
