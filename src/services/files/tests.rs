//! The service on the harness: both wires, uploads, refusals.

use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::ENTRY;
use super::hash::hex;
use crate::config::limits::{HASH_STEP_BYTES, LIST_ENTRIES_MAX, PARTIAL_AGE_MAX, SWEEP_EVERY};
use crate::service::harness::Harness;
use crate::service::{BYE, CloseReason};

/// A folder with some files, and the service on it.
fn served(options: &str) -> (TempDir, Harness) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("source_file.txt"), pattern(1024)).unwrap();
    fs::write(folder.path().join("a b"), b"blank").unwrap();
    fs::write(folder.path().join(".hidden"), b"secret").unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("sub/c"), b"").unwrap();
    let t = on(folder.path(), options);
    (folder, t)
}

fn on(folder: &Path, options: &str) -> Harness {
    let root = folder.display();
    Harness::new(&ENTRY, &format!("root={root}{options}"))
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 256) as u8).collect()
}

fn say(t: &mut Harness, who: usize, line: &str) -> String {
    t.feed(who, format!("{line}\n").as_bytes());
    String::from_utf8(t.take(who)).unwrap()
}

fn sha(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[test]
fn the_labs_client_gets_the_file_from_any_offset() {
    let (_folder, mut t) = served("");
    let whole = pattern(1024);
    for (sent, from) in [
        (&b"0\0"[..], 0),
        (b"2\x001000\0\0\0\0\0\0", 1000),
        (b"1\x001000\0\x7f\xc0\xff\xee\0", 1000),
        (b"1\x000\0\0\0\0\0\0\0\0\0", 0),
        (b"2\x001024\0\0\0\0\0\0", 1024),
        (b"2\x009999999\0\0\0", 1024),
    ] {
        for cut in 0..sent.len() {
            let a = t.open();
            t.feed(a, &sent[..cut]);
            t.feed(a, &sent[cut..]);
            assert_eq!(t.take(a), &whole[from..], "{sent:?} {cut}");
            assert_eq!(t.closed(a), Some(CloseReason::Answered));
        }
    }
    let a = t.open();
    t.feed(a, b"2\x00100");
    t.end(a);
    assert_eq!(t.take(a), &whole[100..]);
}

#[test]
fn commands_of_the_text_wire_are_answered_one_after_the_other() {
    let (folder, mut t) = served("");
    let a = t.open();
    let listed = say(&mut t, a, "list");
    let names: Vec<_> = listed
        .lines()
        .map(|line| line.splitn(3, ' ').last().unwrap())
        .collect();
    assert_eq!(names, ["\"a b\"", "source_file.txt", "sub/", "ok"]);
    assert!(say(&mut t, a, "list sub/").contains(" c\nok\n"));
    assert_eq!(say(&mut t, a, "SIZE source_file.txt"), "ok 1024\n");
    let whole = format!("ok sha256 {}\n", sha(&pattern(1024)));
    assert_eq!(say(&mut t, a, "hash source_file.txt"), whole);
    let part = format!("ok sha256 {}\n", sha(&pattern(10)));
    assert_eq!(say(&mut t, a, "hash source_file.txt 10"), part);
    let got = say(&mut t, a, "get \"a b\" 1");
    let (head, rest) = got.split_once('\n').unwrap();
    assert_eq!(rest, "lank");
    let version = head.strip_prefix("ok 4 5 ").unwrap();
    let none = say(&mut t, a, &format!("get \"a b\" 5 {version}"));
    assert_eq!(none, format!("ok 0 5 {version}\n"));
    fs::write(folder.path().join("a b"), b"other").unwrap();
    let refused = say(&mut t, a, &format!("get \"a b\" 1 {version}"));
    assert!(
        refused.starts_with("error: the file has changed: it is now 5-"),
        "{refused}"
    );
    t.feed(a, b"size sub/c\nget sub/c\nsize nosuch\nquit\n");
    let text = String::from_utf8(t.take(a)).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "ok 0");
    assert!(lines[1].starts_with("ok 0 0 0-"));
    assert_eq!(lines[2], "error: there is no file or folder of that name");
    assert_eq!(lines[3], "ok bye");
}

#[test]
fn every_answer_ends_with_a_line_that_begins_with_ok_or_error() {
    let (folder, mut t) = served("");
    let a = t.open();
    let help = say(&mut t, a, "help");
    assert!(help.starts_with("list [FOLDER] "), "{help}");
    assert!(help.ends_with("\nok\n"), "{help}");
    for number in 0..=LIST_ENTRIES_MAX {
        fs::write(folder.path().join(format!("sub/{number}")), b"").unwrap();
    }
    let listed = say(&mut t, a, "list sub");
    let lines: Vec<_> = listed.lines().collect();
    assert_eq!(lines.len(), LIST_ENTRIES_MAX + 1);
    assert_eq!(lines[LIST_ENTRIES_MAX], "ok and more that is not shown");
}

#[test]
fn nothing_leads_out_and_wrong_lines_say_why() {
    let (folder, mut t) = served("");
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
    let a = t.open();
    for line in [
        "get ../etc/passwd",
        "get /etc/passwd",
        "get .hidden",
        "get link",
        "get sub",
        "list nosuch",
        "list source_file.txt",
        "get source_file.txt 1025",
        "get source_file.txt x",
        "get source_file.txt 0 nonsense",
        "hash source_file.txt 1025",
        "get",
        "get a b c d",
        "frob",
        "",
        "get \"a",
        "put new 3",
    ] {
        let answer = say(&mut t, a, line);
        assert!(
            answer.starts_with("error: ") && answer.lines().count() == 1,
            "{line}: {answer}"
        );
    }
    assert_eq!(say(&mut t, a, "size source_file.txt"), "ok 1024\n");
}

#[test]
fn an_upload_is_seen_once_it_is_whole_and_goes_on_where_it_was() {
    let (folder, mut t) = served("&upload=yes");
    let bytes = pattern(5000);
    let a = t.open();
    assert_eq!(say(&mut t, a, "put new 5000"), "ok 0\n");
    t.feed(a, &bytes[..2000]);
    t.end(a);
    assert_eq!(t.closed(a), Some(CloseReason::UploadCut));
    assert!(!folder.path().join("new").exists());
    let b = t.open();
    let line = format!("put new 5000 5000 {}", sha(&bytes));
    assert_eq!(say(&mut t, b, &line), "ok 2000\n");
    t.feed(b, &bytes[2000..]);
    t.feed(b, b"size new\n");
    assert_eq!(t.take(b), b"ok\nok 5000\n");
    assert_eq!(fs::read(folder.path().join("new")).unwrap(), bytes);
    let refused = say(&mut t, b, "put new 3");
    assert_eq!(
        refused,
        "error: there is a file of that name, and files are not replaced here\n"
    );
    assert_eq!(say(&mut t, b, "put empty 0"), "ok 0\nok\n");
    assert_eq!(fs::read(folder.path().join("empty")).unwrap(), b"");
}

#[test]
fn two_uploads_of_one_name_and_one_that_is_another_file_are_refused() {
    let (folder, mut t) = served("&upload=replace");
    let (a, b) = (t.open(), t.open());
    assert_eq!(say(&mut t, a, "put new 10"), "ok 0\n");
    let busy = "error: a file of that name is being uploaded just now\n";
    assert_eq!(say(&mut t, b, "put new 10"), busy);
    t.feed(a, b"0123456789");
    assert_eq!(t.take(a), b"ok\n");
    let line = format!("put new 3 0 {}", sha(b"xyz"));
    assert_eq!(say(&mut t, b, &line), "ok 0\n");
    t.feed(b, b"abc");
    assert_eq!(
        t.take(b),
        b"error: the file that came is another one; nothing was kept\n"
    );
    assert_eq!(fs::read(folder.path().join("new")).unwrap(), b"0123456789");
    t.feed(b, format!("{line}\nxyz").as_bytes());
    assert_eq!(t.take(b), b"ok 0\nok\n");
    assert_eq!(fs::read(folder.path().join("new")).unwrap(), b"xyz");
}

#[test]
fn an_upload_whose_client_vanishes_is_kept() {
    let (_folder, mut t) = served("&upload=yes");
    let a = t.open();
    say(&mut t, a, "put new 100");
    t.feed(a, &pattern(60));
    t.vanish(a);
    t.work();
    let b = t.open();
    assert_eq!(say(&mut t, b, "put new 100 100"), "ok 60\n");
    // It is owed nothing but the truth.
    t.shut_down();
    assert_eq!(t.take(b), BYE);
    assert_eq!(t.closed(b), Some(CloseReason::Shutdown));
}

#[test]
fn what_nobody_went_on_with_is_removed() {
    let (folder, mut t) = served("&upload=yes");
    let leave = |t: &mut Harness| {
        let a = t.open();
        say(t, a, "put new 100");
        t.feed(a, &pattern(60));
        t.vanish(a);
        t.work();
    };
    let left = || {
        let all = fs::read_dir(folder.path().join(".partial")).unwrap();
        all.map(|entry| entry.unwrap().path())
            .filter(|path| !path.ends_with("lock"))
            .collect::<Vec<_>>()
    };
    let age = || {
        let old = std::time::SystemTime::now() - 2 * PARTIAL_AGE_MAX;
        fs::File::open(&left()[0])
            .unwrap()
            .set_modified(old)
            .unwrap();
    };
    leave(&mut t);
    let _other = on(folder.path(), "&upload=yes");
    assert_eq!(left().len(), 1, "it is not old");
    age();
    let _other = on(folder.path(), "&upload=yes");
    assert_eq!(left().len(), 0, "at the start");
    leave(&mut t);
    age();
    t.open();
    t.work();
    assert_eq!(left().len(), 1);
    t.advance(SWEEP_EVERY);
    t.open();
    t.work();
    assert_eq!(left().len(), 0, "when a client comes, an hour later");
}

/// A large one would keep a thread from everybody else for as long.
#[test]
fn the_hash_of_an_upload_is_compared_a_step_at_a_time() {
    let size = HASH_STEP_BYTES + 1;
    let hash = sha(&vec![0; usize::try_from(size).unwrap()]);
    for name in ["stays", "leaves"] {
        let (folder, mut t) = served("&upload=yes");
        let (a, cut) = (t.open(), t.open());
        assert_eq!(say(&mut t, cut, &format!("put {name} {size}")), "ok 0\n");
        t.feed(cut, b"\0");
        t.end(cut);
        // As if all but the last byte had come.
        let partials = fs::read_dir(folder.path().join(".partial")).unwrap();
        let mut paths = partials.map(|entry| entry.unwrap().path());
        let part = paths.find(|path| !path.ends_with("lock")).unwrap();
        let part = fs::File::options().write(true).open(part).unwrap();
        part.set_len(HASH_STEP_BYTES).unwrap();
        let b = t.open();
        let line = format!("put {name} {size} {size} {hash}");
        assert_eq!(say(&mut t, b, &line), format!("ok {HASH_STEP_BYTES}\n"));
        t.hold_lanes();
        t.feed(b, b"\0");
        t.feed(a, b"size source_file.txt\n");
        for _ in 0..2 {
            assert!(t.work_on(0) && t.report());
        }
        assert_eq!((t.take(b), t.take(a)), (vec![], b"ok 1024\n".to_vec()));
        if name == "leaves" {
            t.vanish(b);
        }
        t.work();
        assert_eq!(t.take(b).is_empty(), name == "leaves");
        assert_eq!(fs::metadata(folder.path().join(name)).unwrap().len(), size);
    }
}
