//! Disks that are full: changes are refused in words, nothing is false, and they are served again
//! once there is room.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::support::client::run;
use crate::support::have;
use crate::support::lockers::{Data, Kiosk, Known, filled};
use crate::support::process;
use crate::support::refusal::refused;
use crate::support::server::{Builder, Server};
use crate::support::wait_until;

const FULL: &str = "error: the disk is full; nothing was changed";

/// A disk of its own, in a mount namespace of its own, for the folder `$0`.
const MOUNT: &str = "mount -t tmpfs -o size=$1 tmpfs \"$0\" && shift && exec \"$@\"";

/// Whether a small disk can be mounted: that needs a user namespace or root.
fn can_mount() -> bool {
    if !have("unshare") {
        return false;
    }
    let folder = tempfile::tempdir().unwrap();
    let mount = [
        "-rm",
        "sh",
        "-c",
        MOUNT,
        folder.path().to_str().unwrap(),
        "8k",
        "true",
    ];
    let may = run("unshare", &mount, b"").status.success();
    assert!(may || std::env::var_os("CI").is_none(), "no user namespace");
    if !may {
        eprintln!("skipped: no file system may be mounted here (user namespaces are refused)");
    }
    may
}

/// The builder's server, whose database lies on a disk of this size.
fn on_small_disk(data: &Data, size: &str) -> Builder {
    fs::create_dir(data.folder()).unwrap();
    let folder = data.folder().display().to_string();
    let words = ["unshare", "-rm", "sh", "-c", MOUNT, &folder, size];
    data.server("&count=4").wrapped(&words)
}

/// A path as the server sees it.
fn inside(server: &Server, path: &Path) -> PathBuf {
    let path = path.strip_prefix("/").unwrap();
    PathBuf::from(format!("/proc/{}/root", server.pid())).join(path)
}

/// Takes all the room that is left.
fn fill(file: &Path) {
    // A page at a time: what does not fit as a whole might leave some room.
    let mut filler = fs::File::create(file).unwrap();
    while std::io::Write::write_all(&mut filler, &[0; 4096]).is_ok() {}
}

/// The same files after a kill, for a server that is not on the small disk.
fn after_a_kill(server: &Server, data: &Data) -> Data {
    server.signal(Signal::STOP);
    wait_until("the stop", || process::state(server.pid()) == 'T');
    let copy = Data::new();
    fs::create_dir(copy.folder()).unwrap();
    for entry in fs::read_dir(inside(server, &data.folder())).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.file(entry.file_name().to_str().unwrap())).unwrap();
    }
    copy
}

/// Stores until it is refused in other words than `ok`; what was said.
fn store_until_refused(kiosk: &mut Kiosk, known: &mut Known) -> String {
    let item = "x".repeat(200);
    for _ in 0..900 {
        let answer = known.say(kiosk, &format!("store 0 pw {item}")).unwrap();
        if !answer.starts_with("ok") {
            return answer;
        }
    }
    panic!("it was never refused");
}

#[test]
fn a_full_disk_changes_nothing_and_room_is_used_at_once() {
    if !can_mount() {
        return;
    }
    let data = Data::new();
    let server = on_small_disk(&data, "400k").start();
    let (mut known, mut kiosk) = (Known::default(), Kiosk::unix(&server).unwrap());
    known.do_it(&mut kiosk, "register 0 pw");
    known.do_it(&mut kiosk, "register 2 other");
    known.do_it(&mut kiosk, "store 2 other a book");
    let filler = inside(&server, &data.file("filler"));
    for round in 0..3 {
        fill(&filler);
        assert_eq!(
            store_until_refused(&mut kiosk, &mut known),
            FULL,
            "round {round}"
        );
        // Those that free something need room too, and may find it where the store did not.
        for line in ["register 1 new", "reset 0", "retrieve 2 other"] {
            let mut kiosk = Kiosk::unix(&server).unwrap();
            let answer = known.clone().say(&mut kiosk, line).unwrap();
            assert_eq!(answer, FULL, "round {round}: {line}");
        }
        let copy = format!("backup {}", data.file("copy.db").display());
        let answer = kiosk.last(&copy);
        assert!(answer.ends_with("copy.db: the disk is full"), "{answer}");
        assert!(!inside(&server, &data.file("copy.db")).exists());
        assert_eq!(kiosk.last("show"), "ok");
        after_a_kill_all_is_there(&server, &data, &known);
        fs::remove_file(&filler).unwrap();
        known.do_it(&mut kiosk, "store 0 pw there is room again");
    }
    after_a_kill_all_is_there(&server, &data, &known);
    drop(kiosk);
    server.stop();
}

fn after_a_kill_all_is_there(server: &Server, data: &Data, known: &Known) {
    let copy = after_a_kill(server, data);
    server.signal(Signal::CONT);
    let again = copy.server("").start();
    known.check(&again, "the copy of a full disk");
    again.stop();
    copy.read();
}

#[test]
fn a_first_start_on_a_full_disk_is_refused() {
    if !can_mount() {
        return;
    }
    let data = Data::new();
    let words = ["locker: ", "lockers.db.new: the disk is full"];
    refused(&on_small_disk(&data, "8k")).expect(1, &words);
}

#[test]
fn a_read_only_file_system_is_refused_and_left() {
    if !can_mount() {
        return;
    }
    let (data, known) = filled();
    let before = fs::read(data.database()).unwrap();
    let mount = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && exec \"$@\"";
    let folder = data.folder().display().to_string();
    let words = ["unshare", "-rm", "sh", "-c", mount, &folder];
    let refusal = refused(&data.server("").wrapped(&words));
    refusal.expect(1, &["error: ", &folder, ": read-only file system"]);
    assert_eq!(fs::read(data.database()).unwrap(), before);
    let server = data.server("").start();
    known.check(&server, "after a read-only file system");
    server.stop();
}

#[test]
fn a_limit_on_the_size_of_files_kills_no_server_and_loses_nothing() {
    if !have("prlimit") {
        return;
    }
    let data = Data::new();
    let limited = |limit: &str| data.server("&count=4").wrapped(&["prlimit", limit]);
    let refusal = refused(&limited("--fsize=8192"));
    refusal.expect(1, &["locker: ", "lockers.db.new: the disk failed"]);
    let mut server = limited("--fsize=100000").start();
    let (mut known, mut kiosk) = (Known::default(), Kiosk::unix(&server).unwrap());
    known.do_it(&mut kiosk, "register 0 pw");
    let told = store_until_refused(&mut kiosk, &mut known);
    assert_eq!(told, "error: outcome unknown");
    let answer = kiosk.last("store 0 pw again");
    assert_eq!(
        answer,
        "error: the database is out of order; nothing was changed"
    );
    // The log is begun anew when the database is opened again.
    wait_until("another change", || {
        kiosk.last("register 1 new").starts_with("ok")
    });
    assert!(kiosk.last("retrieve 1 new").starts_with("ok"));
    server.signal(Signal::KILL);
    server.wait();
    let server = data.server("").start();
    known.check(&server, "a limit on the size of files");
    server.stop();
    data.read();
}
