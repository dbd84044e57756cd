//! `ls`, `get` and `put` over streams: they resume, check the whole, and say how it ended.

use std::fs;
use std::path::Path;

use crate::filer::{Filer, sha256};
use crate::support::{Client, Server, answer, run};
use crate::terminal::Terminal;

/// Bytes that repeat nowhere.
pub fn content(len: usize, seed: u8) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(next).collect()
}

/// What is in a folder, hidden files included.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
    let mut names: Vec<_> = entries.map(|entry| name(entry).unwrap()).collect();
    names.sort();
    names
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Until so many bytes of the file `x` are there.
fn wait_for_part(folder: &Path, len: u64) {
    let part = folder.join(".x.partial");
    let since = std::time::Instant::now();
    while fs::metadata(&part).map_or(0, |part| part.len()) < len {
        assert!(since.elapsed() < crate::support::PATIENCE);
        std::thread::yield_now();
    }
}

const DONE: (Option<i32>, &str, &str) = (Some(0), "", "");

fn ended(outcome: &crate::support::Outcome) -> (Option<i32>, &str, &str) {
    (outcome.code, &outcome.stdout, &outcome.stderr)
}

#[test]
fn files_of_every_size_come_and_go_over_tcp_and_unix_sockets() {
    let sizes = [0, 1, 511, 65_536, 3_000_001];
    let here = tempfile::tempdir().unwrap();
    for (at, size) in sizes.into_iter().enumerate() {
        let bytes = content(size, at as u8);
        let filer = Filer::start(&[("a b/x y", &bytes)]);
        let endpoint = [&filer.endpoint, &filer.unix][at % 2];
        let folder = text(here.path());
        let got = run(&["get", endpoint, "a b/x y", "-o", folder]);
        assert_eq!(ended(&got), DONE);
        assert_eq!(filer.commands(), ["get \"a b/x y\"", "hash \"a b/x y\""]);
        let file = here.path().join("x y");
        assert_eq!(fs::read(&file).unwrap(), bytes);
        assert_eq!(names(here.path()), ["x y"]);
        let put = run(&["put", endpoint, text(&file), "--as=new"]);
        assert_eq!(ended(&put), DONE);
        let expected = format!("put new {size} {size} {}", sha256(&bytes));
        assert_eq!(filer.commands(), [expected]);
        assert_eq!(filer.state().files["new"].0, bytes);
    }
}

#[test]
fn a_download_that_is_cut_again_and_again_goes_on_until_it_is_identical() {
    let bytes = content(2_000_000, 7);
    let filer = Filer::start(&[("x", &bytes)]);
    let here = tempfile::tempdir().unwrap();
    let target = here.path().join("x");
    let mut left = bytes.len();
    for cut in [0, 1, 100_000, 65_536, 7, 500_003, 262_144, 3] {
        filer.state().cuts.push_back(cut);
        let got = run(&["get", &filer.endpoint, "x", "-o", text(&target)]);
        let why = format!(
            "error: {}: the server ended the connection\n",
            filer.endpoint
        );
        assert_eq!(ended(&got), (Some(1), "", &*why));
        left -= cut;
        if left < bytes.len() {
            let part = fs::read(here.path().join(".x.partial")).unwrap();
            assert!(bytes.starts_with(&part) && part.len() == bytes.len() - left);
        }
        assert!(!target.exists());
    }
    let _ = filer.commands();
    let got = run(&["get", &filer.endpoint, "x", "-o", text(&target), "--json"]);
    let offset = bytes.len() - left;
    let expected = [
        format!("hash x {offset}"),
        format!("get x {offset} 2000000-1-1"),
        "hash x".to_owned(),
    ];
    assert_eq!(filer.commands(), expected);
    assert_eq!(got.code, Some(0));
    let json: serde_json::Value = serde_json::from_str(&got.stdout).unwrap();
    assert_eq!(
        (&json["name"], &json["outcome"]),
        (&"x".into(), &"done".into())
    );
    assert_eq!(
        (&json["bytes"], &json["resumed_from"]),
        (&2_000_000.into(), &offset.into())
    );
    assert_eq!(json["sha256"], sha256(&bytes));
    assert!(json["seconds"].as_f64().unwrap() >= 0.0);
    assert_eq!(fs::read(&target).unwrap(), bytes);
    assert_eq!(names(here.path()), ["x"]);
}

#[test]
fn an_upload_that_is_cut_again_and_again_goes_on_until_it_is_identical() {
    let bytes = content(2_000_000, 8);
    let filer = Filer::start(&[]);
    let here = tempfile::tempdir().unwrap();
    let file = here.path().join("x");
    fs::write(&file, &bytes).unwrap();
    for cut in [0, 1, 300_000, 65_536, 999] {
        filer.state().cuts.push_back(cut);
        let put = run(&["put", &filer.unix, text(&file)]);
        assert_eq!((put.code, &*put.stdout), (Some(1), ""), "{}", put.stderr);
    }
    let put = run(&["put", &filer.unix, text(&file), "--json"]);
    let json: serde_json::Value = serde_json::from_str(&put.stdout).unwrap();
    assert_eq!(json["resumed_from"], 1 + 300_000 + 65_536 + 999);
    assert_eq!(filer.state().files["x"].0, bytes);
}

#[test]
fn a_part_of_another_file_is_started_over() {
    let bytes = content(100_000, 1);
    let filer = Filer::start(&[("x", &bytes)]);
    let here = tempfile::tempdir().unwrap();
    let at = |name: &str| here.path().join(name);
    let get = || run(&["get", &filer.endpoint, "x", "-o", text(here.path())]);
    let whole = ["get x", "hash x"];
    // Other bytes, more of them than the file has, or those of another version.
    for (part, note, first) in [
        (
            content(50_000, 2),
            "version 100000-1-1",
            &["hash x 50000"][..],
        ),
        (content(200_000, 2), "", &["hash x 200000"]),
        (
            bytes[..50_000].to_vec(),
            "version 100000-0-1",
            &["hash x 50000", "get x 50000 100000-0-1"],
        ),
    ] {
        fs::write(at(".x.partial"), &part).unwrap();
        fs::write(at(".x.partial.version"), note).unwrap();
        assert_eq!(ended(&get()), DONE);
        assert_eq!(filer.commands(), [first, &whole].concat());
        assert_eq!(fs::read(at("x")).unwrap(), bytes);
        assert_eq!(names(here.path()), ["x"]);
    }
    // A part whose note is missing is held against the hash alone.
    fs::write(at(".x.partial"), &bytes[..50_000]).unwrap();
    assert_eq!(ended(&get()), DONE);
    assert_eq!(filer.commands(), ["hash x 50000", "get x 50000", "hash x"]);
}

#[test]
fn a_file_that_changes_meanwhile_is_never_taken_for_whole() {
    let old = content(1000, 1);
    let here = tempfile::tempdir().unwrap();
    let target = here.path().join("x");
    let get = |filer: &Filer| run(&["get", &filer.endpoint, "x", "-o", text(&target)]);
    let filer = Filer::start(&[("x", &old)]);
    filer.state().changes = [content(1000, 2), content(2000, 3)].into();
    assert_eq!(ended(&get(&filer)), DONE);
    assert_eq!(fs::read(&target).unwrap(), content(2000, 3));
    filer.state().changes = (4..10).map(|seed| content(1000, seed)).collect();
    let got = get(&filer);
    assert_eq!(got.code, Some(1));
    assert!(
        got.stderr.contains("changes all the time"),
        "{}",
        got.stderr
    );
    // The file that was there before is still whole.
    assert_eq!(fs::read(&target).unwrap(), content(2000, 3));
}

#[test]
fn what_the_server_kept_of_another_file_is_started_over() {
    let filer = Filer::start(&[]);
    let here = tempfile::tempdir().unwrap();
    let file = here.path().join("x");
    fs::write(&file, content(5000, 1)).unwrap();
    filer.state().kept.insert("x".to_owned(), content(3000, 2));
    let put = run(&["put", &filer.endpoint, text(&file), "--json"]);
    assert_eq!((put.code, &*put.stderr), (Some(0), ""));
    assert!(put.stdout.contains("\"resumed_from\":0"), "{}", put.stdout);
    assert_eq!(filer.state().files["x"].0, content(5000, 1));
}

#[test]
fn an_upload_whose_answer_was_lost_is_found_by_the_next_call() {
    let filer = Filer::start(&[]);
    let here = tempfile::tempdir().unwrap();
    let file = here.path().join("x");
    fs::write(&file, b"abc").unwrap();
    filer.state().is_mute = true;
    let put = || run(&["put", &filer.endpoint, text(&file)]);
    let lost = put();
    assert_eq!(lost.code, Some(1));
    assert!(
        lost.stderr.contains("the same call finds out"),
        "{}",
        lost.stderr
    );
    assert_eq!(ended(&put()), DONE);
    fs::write(&file, b"abd").unwrap();
    let refused = (Some(3), "", "error: x exists already\n");
    assert_eq!(ended(&put()), refused);
}

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
