//! Errors of system calls, injected one by one, and processes that stop: one connection may suffer
//! at most, and the server answers the next client.

use std::fs;
use std::io::{self, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::client::read_all;
use crate::support::rounds::{ROUNDS, Timely, below, in_one_of};
use crate::support::server::{Builder, Server};
use crate::support::stream::{Client, one_at_a_time};
use crate::support::{LIMIT, can_inject, process, wait_until};

/// Errors are injected into the first, the second ... up to this occurrence of a call.
const OCCURRENCES: usize = 20;

/// Conversations after the start of the server, enough for so many occurrences of each call.
const CONVERSATIONS: usize = 22;

/// A server with one error injected, at the `occurrence`th such call of its main thread.
fn injected(call: &str, error: &str, occurrence: usize) -> Builder {
    let trace = format!("trace={call}");
    let inject = format!("inject={call}:error={error}:when={occurrence}");
    let builder = Builder::new(&["sum=tcp://127.0.0.1:0", "sum=unix:DIR/sum.sock"]);
    let output = builder.folder().join("trace").display().to_string();
    builder.wrapped(&[
        "strace",
        "-f",
        "--seccomp-bpf",
        "-o",
        &output,
        "-e",
        &trace,
        "-e",
        &inject,
    ])
}

/// One conversation to its end.
fn converse(mut client: Client) -> io::Result<()> {
    client.write_all(b"5\n-7\n0\n")?;
    let mut reply = String::new();
    client.read_to_string(&mut reply)?;
    match reply.as_str() {
        "Result = -2\n" => Ok(()),
        _ => Err(io::Error::other(format!("the reply was {reply:?}"))),
    }
}

/// How many errors were injected so far.
fn was_injected(server: &Server) -> usize {
    let trace = fs::read_to_string(server.folder().join("trace")).unwrap();
    trace.matches("(INJECTED)").count()
}

/// Injects `error` into each occurrence of `call` from the `first` on: at most `harmed_max`
/// conversations suffer, none hangs, and the server serves on with no descriptor lost.
fn inject(call: &str, error: &str, first: usize, harmed_max: usize) {
    for occurrence in first..=OCCURRENCES {
        let server = injected(call, error, occurrence).start();
        let start = process::descriptors(server.pid());
        let watched = process::watched(server.pid());
        let mut harmed = Vec::new();
        for round in 0..CONVERSATIONS {
            let connect = if round % 2 == 0 {
                Client::tcp
            } else {
                Client::unix
            };
            if call == "epoll_ctl" {
                wait_until("the last client to be gone", || {
                    process::watched(server.pid()) <= watched
                });
            }
            let mut client = connect(&server, "sum");
            // Only who goes on talking is sure to be watched. Zeros before a number change nothing.
            if call == "epoll_ctl" {
                wait_until("the client to be watched", || {
                    let _ = client.write_all(b"0");
                    process::watched(server.pid()) > watched || was_injected(&server) > 0
                });
            }
            harmed.extend(converse(client).err());
        }
        let what = format!("{call} {error} at {occurrence}");
        assert!(harmed.len() <= harmed_max, "{what}: {harmed:?}");
        converse(Client::tcp(&server, "sum")).unwrap_or_else(|error| panic!("{what}: {error}"));
        wait_until(&format!("{what}: the descriptors of the start"), || {
            process::descriptors(server.pid()) == start
        });
        assert_eq!(was_injected(&server), 1, "{what}: it was not injected");
        // The handler of a signal wakes the loop by `sendto`, in whichever thread it runs, and
        // strace counts for each thread: that one's first may be this. It ends by being dropped.
        if call != "sendto" {
            server.stop();
        }
    }
}

/// Takes all of the errors at once, for most of the time passes in waiting.
fn inject_all(call: &str, errors: &[(&str, usize)]) {
    if !can_inject() {
        return;
    }
    let _turn = one_at_a_time();
    thread::scope(|scope| {
        for &(error, harmed_max) in errors {
            scope.spawn(move || inject(call, error, 1, harmed_max));
        }
    });
}

#[test]
fn an_error_of_accept_loses_nobody() {
    let errors = [
        "EMFILE",
        "ENFILE",
        "ENOMEM",
        "ECONNABORTED",
        "EPERM",
        "EINTR",
        "EPROTO",
    ];
    inject_all("accept4", &errors.map(|error| (error, 0)));
}

#[test]
fn an_interrupted_wait_loses_nobody() {
    inject_all("epoll_wait", &[("EINTR", 0)]);
    inject_all("ppoll", &[("EINTR", 0), ("ENOMEM", 0)]);
}

#[test]
fn an_error_of_a_read_costs_its_own_connection() {
    inject_all(
        "recvfrom",
        &[("ECONNRESET", 1), ("ETIMEDOUT", 1), ("EINTR", 0)],
    );
}

#[test]
fn an_error_of_a_write_costs_its_own_connection() {
    inject_all(
        "sendto",
        &[
            ("EPIPE", 1),
            ("ECONNRESET", 1),
            ("ENOBUFS", 1),
            ("EINTR", 0),
        ],
    );
}

#[test]
fn an_error_of_shutdown_costs_its_own_connection() {
    inject_all("shutdown", &[("ENOTCONN", 1), ("ENOBUFS", 1)]);
}

#[test]
fn a_connection_that_cannot_be_watched_is_the_only_one_lost() {
    // The signals, the waker, the timer and the two listeners.
    const AT_START: usize = 5;
    if !can_inject() {
        return;
    }
    for occurrence in 1..=AT_START {
        let builder = injected("epoll_ctl", "ENOSPC", occurrence);
        let status = builder.command().status().unwrap();
        assert_eq!(status.code(), Some(1), "at {occurrence}");
        let log = fs::read_to_string(builder.folder().join("log")).unwrap();
        assert!(
            log.contains("error: ") && log.contains("no space left on device"),
            "{log}"
        );
        assert!(
            !builder.folder().join("sum.sock").exists(),
            "its path is left behind"
        );
    }
    inject("epoll_ctl", "ENOSPC", AT_START + 1, 1);
}

#[test]
fn a_file_system_that_cannot_rename_without_replacing_holds_a_path_all_the_same() {
    if !can_inject() {
        return;
    }
    let server = injected("renameat2", "EINVAL", 1).start();
    let new = server.folder().join("sum.sock.new");
    converse(Client::unix(&server, "sum")).unwrap();
    assert!(!new.exists());
    let path = server.unix("sum");
    server.stop();
    assert!(!path.exists());
}

/// Waits for the state of a process as proc(5) has it, `T` being stopped.
fn stop(server: &Server) {
    server.signal(Signal::STOP);
    wait_until("the stop", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
        stat.rsplit(") ").next().unwrap().starts_with('T')
    });
}

#[test]
fn what_came_while_the_server_was_stopped_came_in_time() {
    in_one_of(ROUNDS, stop_in_the_middle);
}

fn stop_in_the_middle() -> Timely {
    let server = Server::start(&[
        "--idle-timeout",
        "1s",
        "slot=tcp://127.0.0.1:0?gap=1s&delay=1ms",
        "slot=unix:DIR/slot.sock?gap=1s&delay=1ms",
        "sum=tcp://127.0.0.1:0",
        "sum=unix:DIR/sum.sock",
    ]);
    let begin = Instant::now();
    let mut slots = Client::both(&server, "slot");
    let mut sums = Client::both(&server, "sum");
    let silent = Client::tcp(&server, "sum");
    for slot in &mut slots {
        slot.write_all(b"hel").unwrap();
    }
    for sum in &mut sums {
        sum.write_all(b"1000\n").unwrap();
    }
    wait_until("the first bytes read", || {
        server.log().matches("opened").count() == 5
    });
    let is_answered = slots[0].wait_readable(Duration::from_millis(100));
    stop(&server);
    // Neither the gap nor the idle limit has passed.
    below("the first part", begin.elapsed(), Duration::from_secs(1))?;
    assert!(!is_answered, "in the middle of its message");
    for slot in &mut slots {
        slot.write_all(b"lo\n").unwrap();
    }
    for sum in &mut sums {
        sum.write_all(b"5\n0\n").unwrap();
    }
    // Both the gap and the idle limit pass meanwhile.
    assert!(!slots[0].wait_readable(Duration::from_secs(3)));
    server.signal(Signal::CONT);
    for slot in &mut slots {
        assert_eq!(read_all(slot), b"hello\n");
    }
    for sum in &mut sums {
        assert_eq!(read_all(sum), b"Result = 1005\n");
    }
    // Who has said nothing is still closed.
    assert!(silent.wait_readable(LIMIT));
    server.stop();
    Ok(())
}

#[test]
fn clients_that_left_before_they_were_taken_leave_nothing_behind() {
    let server = Server::start(&["sum=tcp://127.0.0.1:0", "sum=unix:DIR/sum.sock"]);
    let start = process::descriptors(server.pid());
    stop(&server);
    for round in 0..200 {
        for mut client in Client::both(&server, "sum") {
            if round % 2 == 0 {
                client.write_all(b"5\n").unwrap();
            }
            if round % 4 < 2 {
                client.reset();
            }
        }
    }
    server.signal(Signal::CONT);
    converse(Client::tcp(&server, "sum")).unwrap();
    wait_until("the descriptors of the start", || {
        process::descriptors(server.pid()) == start
    });
    wait_until("every end in the log", || {
        server.log().matches("closed after").count() == 401
    });
    server.stop();
}

#[test]
fn stops_and_signals_in_any_number_disturb_no_conversation() {
    let server = Server::start(&["sum=tcp://127.0.0.1:0", "echo=tcp://127.0.0.1:0"]);
    let mut client = Client::tcp(&server, "echo");
    for _ in 0..50 {
        stop(&server);
        client.write_all(b"x").unwrap();
        server.signal(Signal::CONT);
        assert_eq!(client.receive(1), b"x");
        for signal in [Signal::CONT, Signal::WINCH, Signal::USR1, Signal::USR1] {
            server.signal(signal);
        }
        client.write_all(b"y").unwrap();
        assert_eq!(client.receive(1), b"y");
    }
    converse(Client::tcp(&server, "sum")).unwrap();
    server.wait_for_log("listener echo tcp://127.0.0.1:");
    server.stop();
}
