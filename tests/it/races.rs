//! Two servers that come and go on one path at the same moment.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::process::{has_open, named};
use crate::support::refusal::wait;
use crate::support::server::{Builder, Server};
use crate::support::{have, wait_until};

/// A slot on this path.
fn listener(path: &Path) -> String {
    format!("slot=unix:{}", path.display())
}

#[test]
fn of_two_that_start_at_once_on_one_path_exactly_one_serves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slot");
    let builders = [(); 2].map(|()| Builder::new(&[&listener(&path)]).log("error"));
    for round in 0..200 {
        let mut starters = builders.each_ref().map(|b| b.command().spawn().unwrap());
        // What each says first: the table, or nothing because it has ended.
        let said = starters.each_mut().map(|starter| {
            let mut start = [0; 5];
            let stdout = starter.stdout.as_mut().unwrap();
            stdout
                .read_exact(&mut start)
                .is_ok_and(|()| &start == b"slot ")
        });
        assert_ne!(said[0], said[1], "round {round}: {said:?}");
        let (winner, loser) = if said[0] { (0, 1) } else { (1, 0) };
        let code = wait(&mut starters[loser]);
        let log = fs::read_to_string(builders[loser].folder().join("log")).unwrap();
        assert_eq!(code, Some(1), "round {round}: {log}");
        assert!(
            log.contains("address already in use"),
            "round {round}: {log}"
        );
        assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
        UnixStream::connect(&path).expect("the winner serves");
        // Every second round begins with the path of a dead server.
        let signal = if round % 2 == 0 {
            Signal::KILL
        } else {
            Signal::INT
        };
        let pid = Pid::from_child(&starters[winner]);
        kill_process(pid, signal).unwrap();
        starters[winner].wait().unwrap();
        assert_eq!(path.exists(), signal == Signal::KILL, "round {round}");
    }
}

#[test]
fn a_server_that_starts_while_another_stops_serves_or_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slot");
    let builder = Builder::new(&[&listener(&path)]).log("error");
    let mut served = 0;
    for round in 0..100 {
        let mut first = Builder::new(&[&listener(&path)]).log("error").start();
        // In which order the two meet is up to chance; both orders are tried.
        let signalled_first = round % 2 == 0;
        if signalled_first {
            first.signal(Signal::INT);
        }
        let mut second = builder.command().spawn().unwrap();
        if !signalled_first {
            first.signal(Signal::INT);
        }
        let mut stdout = BufReader::new(second.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(first.wait().code(), Some(0), "round {round}");
        if line.is_empty() {
            assert_eq!(wait(&mut second), Some(1), "round {round}");
            assert_eq!(
                fs::read_dir(folder.path()).unwrap().count(),
                0,
                "round {round}"
            );
            continue;
        }
        served += 1;
        UnixStream::connect(&path).expect("the path of the one that serves is there");
        let pid = Pid::from_child(&second);
        kill_process(pid, Signal::TERM).unwrap();
        assert_eq!(wait(&mut second), Some(0), "round {round}");
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            0,
            "round {round}"
        );
    }
    assert!(served > 0, "none of 100 found the path free");
}

#[test]
fn a_lock_that_was_given_back_between_open_and_lock_is_taken_anew() {
    if !have("strace") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, lock) = (folder.path().join("slot"), folder.path().join("slot.lock"));
    let first = Server::start(&[&listener(&path)]);
    let inject = "inject=flock:delay_enter=700000:when=1";
    let slow = Builder::new(&[&listener(&path)]);
    let slow = slow.wrapped(&[
        "strace",
        "-o",
        "/dev/null",
        "-e",
        "trace=flock",
        "-e",
        inject,
    ]);
    let mut strace = slow.command().spawn().unwrap();
    let pid = named(Pid::from_child(&strace), "switchboard");
    wait_until("the second holds the lock file open", || {
        has_open(pid, &lock)
    });
    first.stop();
    let mut said = [0; 5];
    let stdout = strace.stdout.as_mut().unwrap();
    let serves = stdout.read_exact(&mut said).is_ok();
    let locked = lock.exists();
    let _ = kill_process(pid, Signal::INT);
    let code = wait(&mut strace);
    let log = fs::read_to_string(slow.folder().join("log")).unwrap();
    assert!(serves, "the second did not start: {log}");
    assert!(
        locked,
        "the second serves with a lock that no other server would find"
    );
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "something is left"
    );
}
