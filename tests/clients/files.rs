//! `ls`, `get` and `put` over streams: they resume, check the whole, and say how it ended.

use std::fs;
use std::path::Path;

use crate::filer::{Filer, sha256};
use crate::support::{Client, Server, answer, run};

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

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Until so many bytes of the file `x` are there.
pub fn wait_for_part(folder: &Path, len: u64) {
    let part = folder.join(".x.partial");
    let since = std::time::Instant::now();
    while fs::metadata(&part).map_or(0, |part| part.len()) < len {
        assert!(since.elapsed() < crate::support::PATIENCE);
        std::thread::yield_now();
    }
}

/// How a client ends that has done its job.
pub const DONE: (Option<i32>, &str, &str) = (Some(0), "", "");

/// How a client ended: its status and what it said.
pub fn ended(outcome: &crate::support::Outcome) -> (Option<i32>, &str, &str) {
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
        got.stderr
            .contains("changes all the time; nothing was kept"),
        "{}",
        got.stderr
    );
    assert_eq!(names(here.path()), ["x"]);
    // The file that was there before is still whole.
    assert_eq!(fs::read(&target).unwrap(), content(2000, 3));
}

#[test]
fn a_server_that_is_busy_costs_no_part() {
    let here = tempfile::tempdir().unwrap();
    let busy = "error: busy, try again\n";
    let hash = format!("ok sha256 {}\n", sha256(b"abc"));
    for answers in [vec![busy.to_owned()], vec![hash, busy.to_owned()]] {
        fs::write(here.path().join(".x.partial"), b"abc").unwrap();
        let server = Server::start(move |mut stream| {
            for line in &answers {
                answer(&mut stream, b"\n", line.as_bytes());
            }
        });
        let got = run(&["get", &server.endpoint, "x", "-o", text(here.path())]);
        assert_eq!(ended(&got), (Some(3), "", busy));
        let part = fs::read(here.path().join(".x.partial")).unwrap();
        assert_eq!(part, b"abc");
    }
}

#[test]
fn a_file_that_changes_while_it_is_hashed_is_started_over() {
    let here = tempfile::tempdir().unwrap();
    let target = here.path().join("x");
    let server = Server::start(|mut stream| {
        let changed = b"error: the file has changed meanwhile; start over\n";
        let hash = format!("ok sha256 {}\n", sha256(b"new"));
        let mut said = answer(&mut stream, b"\n", b"ok 3 3 v\nold");
        said += &answer(&mut stream, b"\n", changed);
        said += &answer(&mut stream, b"\n", b"ok 3 3 w\nnew");
        said + &answer(&mut stream, b"\n", hash.as_bytes())
    });
    let got = run(&["get", &server.endpoint, "x", "-o", text(&target)]);
    assert_eq!(ended(&got), DONE);
    assert_eq!(server.result(), "get x\nhash x\nget x\nhash x\n");
    assert_eq!(fs::read(&target).unwrap(), b"new");
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
fn a_no_in_the_middle_of_the_rest_does_not_throw_away_what_was_kept() {
    let here = tempfile::tempdir().unwrap();
    let file = here.path().join("x");
    // More than both ends' buffers hold.
    fs::write(&file, content(20_000_000, 1)).unwrap();
    let server = Server::start(|mut stream| {
        answer(
            &mut stream,
            b"\n",
            b"ok 5\nerror: the disk has too little room for this\n",
        );
        // Its end is no reset, so that the answer is read.
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    // A second connection would wait for ever.
    let put = run(&["put", &server.endpoint, text(&file), "--timeout=5s"]);
    let expected = "error: the disk has too little room for this\n";
    assert_eq!(ended(&put), (Some(3), "", expected));
}

#[test]
fn the_end_of_an_earlier_call_is_waited_for() {
    let filer = Filer::start(&[]);
    let here = tempfile::tempdir().unwrap();
    let file = here.path().join("x");
    fs::write(&file, b"abc").unwrap();
    let busy = "error: a file of that name is being uploaded just now".to_owned();
    filer.state().refused.insert("x".to_owned(), busy.clone());
    let mut client = Client::start(&["put", &filer.endpoint, text(&file)]);
    // It has asked again.
    let since = std::time::Instant::now();
    while filer.state().commands.len() < 2 {
        assert!(since.elapsed() < crate::support::PATIENCE);
        std::thread::yield_now();
    }
    filer.state().refused.clear();
    assert_eq!(ended(&client.outcome()), DONE);
    assert_eq!(filer.state().files["x"].0, b"abc");
    // Who really sends it for longer is not waited for.
    filer.state().refused.insert("x".to_owned(), busy.clone());
    let put = run(&["put", &filer.endpoint, text(&file), "--timeout=300ms"]);
    assert_eq!(ended(&put), (Some(3), "", &*format!("{busy}\n")));
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
fn a_no_in_the_middle_of_an_upload_is_heard_at_once() {
    let here = tempfile::tempdir().unwrap();
    let file = here.path().join("x");
    // More than both ends' buffers hold.
    fs::write(&file, content(20_000_000, 1)).unwrap();
    let (leave, left) = std::sync::mpsc::channel();
    let server = Server::start(move |mut stream| {
        answer(&mut stream, b"\n", b"ok 0\nerror: the disk is full\n");
        // Reads nothing more.
        let _: Result<(), _> = left.recv();
    });
    let put = run(&["put", &server.endpoint, text(&file)]);
    assert_eq!(ended(&put), (Some(3), "", "error: the disk is full\n"));
    drop(leave);
}
