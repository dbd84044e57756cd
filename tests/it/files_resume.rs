//! Transfers that are cut off: clients and servers are killed at random moments, files change. What
//! comes out is the file, or nothing.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::LIMIT;
use crate::support::folder::{Filer, Folder, content, size};
use crate::support::server::Server;
use crate::support::socket::Kind;
use crate::support::trips::Trips;

const MIB: u64 = 1 << 20;
const KILLS: u64 = 20;

/// Bytes of a large file; `SWITCHBOARD_FILE_MIB=1024` for more.
fn large() -> usize {
    let mib = std::env::var("SWITCHBOARD_FILE_MIB").ok();
    let mib = mib.and_then(|text| text.parse().ok()).unwrap_or(200);
    mib << 20
}

fn own(words: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command.args(words).stdin(Stdio::null());
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The moments of the kills, by how many bytes have come.
fn moments(size: u64) -> Vec<u64> {
    let mut moments: Vec<_> = content(8 * KILLS as usize, 7)
        .chunks(8)
        .map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()) % size)
        .collect();
    moments.sort_unstable();
    moments
}

/// Waits until so much has come. False where the client has ended before.
fn wait_for(client: &mut Child, moment: u64, come: impl Fn() -> u64) -> bool {
    let end = Instant::now() + LIMIT;
    while come() < moment {
        if client.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(
            Instant::now() < end,
            "{} of {moment} bytes have come",
            come()
        );
        std::thread::park_timeout(Duration::from_micros(200));
    }
    true
}

fn assert_done(mut client: Child, what: &str) {
    let end = Instant::now() + 4 * LIMIT;
    loop {
        if let Some(status) = client.try_wait().unwrap() {
            return assert!(status.success(), "{what}: {status}");
        }
        assert!(Instant::now() < end, "{what} takes too long");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

fn same(one: &Path, bytes: &[u8]) {
    // No assert_eq: it would print them.
    assert!(fs::read(one).unwrap() == bytes, "{}", one.display());
}

#[test]
fn a_download_that_is_killed_twenty_times_comes_out_whole() {
    let folder = Folder::new();
    let bytes = content(large(), 1);
    folder.write("big", &bytes);
    let server = folder.server("").start();
    let tcp = format!("tcp://{}", server.tcp("files"));
    let target = folder.beside("big");
    let part = folder.beside(".big.partial");
    let words = ["get", &tcp, "big", "-o", target.to_str().unwrap()];
    let mut kills = 0;
    for moment in moments(bytes.len() as u64) {
        let mut client = own(&words);
        if wait_for(&mut client, moment, || size(&part)) {
            client.kill().unwrap();
            kills += 1;
        }
        client.wait().unwrap();
        if target.exists() {
            same(&target, &bytes);
            fs::remove_file(&target).unwrap();
        }
    }
    assert_done(own(&words), "the last get");
    same(&target, &bytes);
    eprintln!("{kills} kills of a download of {} bytes", bytes.len());
    assert!(kills > KILLS / 2, "{kills}");
    server.stop();
}

#[test]
fn an_upload_whose_client_and_server_are_killed_comes_out_whole() {
    let folder = Folder::new();
    let bytes = content(large(), 2);
    let source = folder.beside("big");
    fs::write(&source, &bytes).unwrap();
    let acknowledged = folder.root().join("before");
    let mut server: Server = folder.server("&upload=yes").start();
    let mut filer = Filer::tcp(&server);
    assert_eq!(filer.ask("put before 100000"), "ok 0");
    filer.say(&bytes[..100_000]);
    assert_eq!(filer.line(), "ok");
    let socket = folder.socket();
    let words = ["put", &socket, source.to_str().unwrap()];
    let (mut kills, mut of_servers) = (0, 0);
    for (number, moment) in moments(bytes.len() as u64).into_iter().enumerate() {
        let mut client = own(&words);
        let reached = wait_for(&mut client, moment, || folder.partial_bytes());
        kills += u64::from(reached);
        if reached && number % 2 == 0 {
            server.signal(Signal::KILL);
            server.wait();
            of_servers += 1;
            assert!(!client.wait().unwrap().success(), "a put without a server");
            // Not whole, not seen.
            assert!(!folder.root().join("big").exists());
            server = folder.server("&upload=yes").start();
        } else if reached {
            client.kill().unwrap();
        }
        client.wait().unwrap();
        same(&acknowledged, &bytes[..100_000]);
        if folder.root().join("big").exists() {
            same(&folder.root().join("big"), &bytes);
            fs::remove_file(folder.root().join("big")).unwrap();
        }
    }
    assert_done(own(&words), "the last put");
    server.signal(Signal::KILL);
    server.wait();
    same(&folder.root().join("big"), &bytes);
    assert!(folder.partials().is_empty(), "{:?}", folder.partials());
    eprintln!(
        "{kills} kills of an upload of {} bytes, {of_servers} of the server",
        bytes.len()
    );
    assert!(kills > KILLS / 2, "{kills}");
}

#[test]
fn uploads_that_were_acknowledged_survive_a_kill() {
    let folder = Folder::new();
    let mut server = folder.server("&upload=replace").start();
    for round in 0..10_usize {
        let mut filer = Filer::new(Kind::BOTH[round % 2], &server);
        let mut last = Vec::new();
        for step in 0..=round {
            last = content(10_000 + step, round as u64 + 10);
            assert_eq!(filer.ask(&format!("put x {}", last.len())), "ok 0");
            filer.say(&last);
            assert_eq!(filer.line(), "ok");
        }
        // One that is under way, and is not to be seen.
        assert_eq!(filer.ask("put x 50000"), "ok 0");
        filer.say(&content(30_000, 3));
        server.signal(Signal::KILL);
        server.wait();
        server = folder.server("&upload=replace").start();
        same(&folder.root().join("x"), &last);
    }
    server.stop();
}

#[test]
fn a_file_that_changes_while_it_is_sent_is_never_whole() {
    let folder = Folder::new();
    let bytes = content(64 * MIB as usize, 1);
    for kind in Kind::BOTH {
        for command in [&b"get source_file.txt\n"[..], b"0\0"] {
            folder.write("source_file.txt", &bytes);
            let server = folder.server("").start();
            let mut filer = Filer::new(kind, &server);
            filer.say(command);
            if command[0] == b'g' {
                assert!(filer.line().starts_with("ok 67108864 "));
            }
            let first = filer.bytes(1_000);
            let path = folder.root().join("source_file.txt");
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            // The same size, before what has been sent.
            std::os::unix::fs::FileExt::write_all_at(&file, b"!", 0).unwrap();
            let (rest, end) = filer.rest();
            assert!(
                first.len() + rest.len() < bytes.len(),
                "{kind:?}: it came whole"
            );
            match (kind, end) {
                (Kind::Tcp, Err(error)) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
                (Kind::Unix, _) => {}
                (kind, end) => panic!("{kind:?}: {end:?}"),
            }
            server.wait_for_log("the file has changed meanwhile");
            server.stop();
        }
    }
}

#[test]
fn what_is_on_its_way_when_the_file_was_compared_does_not_change_any_more() {
    let folder = Folder::new();
    let (before, after) = (content(64 * MIB as usize, 1), content(64 * MIB as usize, 2));
    let server = folder.server("").start();
    let mut trips = Trips::new(&server);
    let mut whole = 0;
    for kind in Kind::BOTH {
        // From what a buffer of the kernel holds to what both hold, and more.
        for behind in [64 << 10, 200 << 10, 1 << 20, 3 << 20, 12 << 20] {
            folder.write("x", &before);
            let mut filer = Filer::new(kind, &server);
            filer.say(b"get x\nquit\n");
            assert!(filer.line().starts_with("ok 67108864 "));
            filer.bytes(before.len() - behind);
            // The server has its turns, and perhaps has sent all.
            for _ in 0..50 {
                trips.trip();
            }
            let path = folder.root().join("x");
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &after, 0).unwrap();
            let (rest, _) = filer.rest();
            if rest.len() > behind {
                let (last, bye) = rest.split_at(behind);
                assert!(
                    last == &before[before.len() - behind..],
                    "{kind:?} {behind}"
                );
                assert_eq!(bye, b"ok bye\n");
                whole += 1;
            }
        }
    }
    assert!(whole > 0, "the server was never done before the change");
    server.stop();
}

#[test]
fn a_file_that_changed_between_two_parts_is_not_gone_on_with() {
    let folder = Folder::new();
    folder.write("x", &content(1_000_000, 1));
    let server = folder.server("").start();
    let mut filer = Filer::tcp(&server);
    let head = filer.ask("get x");
    let version = head.rsplit(' ').next().unwrap().to_owned();
    drop(filer);
    let mut filer = Filer::tcp(&server);
    assert_eq!(
        filer.ask(&format!("get x 999990 {version}")),
        format!("ok 10 1000000 {version}")
    );
    filer.bytes(10);
    folder.write("x", &content(1_000_000, 2));
    let refused = filer.ask(&format!("get x 500000 {version}"));
    assert!(
        refused.starts_with("error: the file has changed: it is now 1000000-"),
        "{refused}"
    );

    // Our client starts over by itself.
    let target = folder.beside("x");
    fs::write(folder.beside(".x.partial"), content(500_000, 1)).unwrap();
    let version = format!("{version}\n");
    fs::write(folder.beside(".x.partial.version"), version).unwrap();
    let tcp = format!("tcp://{}", server.tcp("files"));
    assert_done(
        own(&["get", &tcp, "x", "-o", target.to_str().unwrap()]),
        "get",
    );
    same(&target, &content(1_000_000, 2));
    server.stop();
}

#[test]
fn a_file_that_is_replaced_while_it_is_sent_comes_as_it_was() {
    let folder = Folder::new();
    let bytes = content(32 * MIB as usize, 1);
    folder.write("x", &bytes);
    let server = folder.server("").start();
    let mut filer = Filer::tcp(&server);
    assert!(filer.ask("get x").starts_with("ok 33554432 "));
    let first = filer.bytes(1_000);
    folder.write("y", b"new");
    fs::rename(folder.root().join("y"), folder.root().join("x")).unwrap();
    let rest = filer.bytes(bytes.len() - first.len());
    assert!(bytes.starts_with(&first) && bytes.ends_with(&rest));
    assert_eq!(filer.ask("size x"), "ok 3");
    server.stop();
}
