//! `exec` where the system refuses: each call on the way of a socket to a program and back fails
//! once. One client may be told so; the server, and every other client, goes on.

use std::io::{Read, Write};
use std::net::Shutdown;

use crate::support::program::running;
use crate::support::{can_inject, process, wait_until};

/// Three clients, one of which may meet the fault, and then one that has to be served. Faults of
/// the start itself are no part of this.
fn survives(fault: &str) {
    let call = fault.split(':').next().unwrap();
    let (trace, inject) = (format!("trace={call}"), format!("inject={fault}"));
    let wrapper = [
        "strace",
        "-f",
        "-o",
        "/dev/null",
        "-e",
        &trace,
        "-e",
        &inject,
    ];
    let server = running("/bin/cat", "", &[]).wrapped(&wrapper).start();
    let mut before = None;
    for number in 0..6 {
        let mut client = server.connect("exec");
        // The one that meets the fault may be cut off at any point.
        let _ = client.write_all(b"hello\n");
        let _ = client.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let read = client.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            ["", "hello\n"].contains(&answer.as_str())
                || answer.starts_with("error: the program can't be started: "),
            "{fault}: {answer}"
        );
        // Each process counts its own: no program can be started at all, and every client is told.
        let never = call == "execve";
        if number == 5 && never {
            assert!(answer.ends_with("argument list too long\n"), "{answer}");
        } else if number == 5 {
            assert!(
                read.is_ok() && answer == "hello\n",
                "{fault}: {read:?}, {answer}"
            );
        }
        drop(client);
        wait_until(&format!("{fault}: no child is left"), || {
            process::children(server.pid()).is_empty()
        });
        let now = || process::descriptors(server.pid());
        let expected = *before.get_or_insert_with(now);
        wait_until(&format!("{fault}: no descriptor is left"), || {
            now() <= expected
        });
    }
    server.stop();
}

#[test]
fn a_call_that_fails_once_harms_at_most_one_client() {
    if !can_inject() {
        return;
    }
    let mut faults = vec![
        // The thread that starts programs, and then a program.
        "clone3:error=EAGAIN:when=3".to_owned(),
        "clone3:error=EAGAIN:when=4".to_owned(),
        "execve:error=E2BIG:when=1".to_owned(),
        "pipe2:error=EMFILE:when=1".to_owned(),
        "pipe2:error=EMFILE:when=2".to_owned(),
        "pidfd_open:error=EMFILE:when=2".to_owned(),
    ];
    faults.extend((7..15).map(|nth| format!("epoll_ctl:error=ENOMEM:when={nth}")));
    faults.extend((2..8).map(|nth| format!("fcntl:error=EMFILE:when={nth}")));
    let running = faults
        .into_iter()
        .map(|fault| std::thread::spawn(move || survives(&fault)));
    for thread in running.collect::<Vec<_>>() {
        thread.join().unwrap();
    }
}
