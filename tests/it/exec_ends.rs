//! `exec`: how programs end, how clients end, and how the server ends them.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::support::client::{read_all, read_line, reset};
use crate::support::program::{running, serving};
use crate::support::rounds::{ROUNDS, Timely, below, in_one_of};
use crate::support::server::Server;
use crate::support::{have, process, wait_until};

fn pid(line: &str) -> Pid {
    Pid::from_raw(line.parse().unwrap()).unwrap()
}

fn expect_no_children(server: &Server) {
    wait_until("no child, dead or alive", || {
        process::children(server.pid()).is_empty()
    });
}

/// More input than the program reads, an answer, and the end: no reset overtakes the answer.
#[test]
fn a_program_that_leaves_input_unread_resets_nobody() {
    let server = serving("read x; echo \"$x\"; exit 3", "", &[]).start();
    for _ in 0..20 {
        let mut tcp = server.connect("exec");
        tcp.write_all(b"answer\n").unwrap();
        tcp.write_all(&[b'z'; 20_000]).unwrap();
        assert_eq!(read_all(&mut tcp), b"answer\n");
        let mut unix = server.connect_unix("exec");
        unix.write_all(b"answer\n").unwrap();
        unix.write_all(&[b'z'; 20_000]).unwrap();
        assert_eq!(read_all(&mut unix), b"answer\n");
    }
    server.wait_for_log("has ended: exit status: 3");
    expect_no_children(&server);
    server.stop();
}

#[test]
fn a_program_that_is_killed_ends_only_its_own_connection() {
    let server = serving("echo $$; read x; echo \"$x\"", "", &[]).start();
    let (mut a, mut b) = (server.connect("exec"), server.connect("exec"));
    let (first, _) = (pid(&read_line(&mut a)), read_line(&mut b));
    kill_process(first, Signal::KILL).unwrap();
    assert_eq!(read_all(&mut a), b"");
    b.write_all(b"alive\n").unwrap();
    assert_eq!(read_all(&mut b), b"alive\n");
    server.wait_for_log("has ended: signal: 9");
    expect_no_children(&server);
    server.stop();
}

/// The process that a program leaves behind holds the socket and the standard error: neither the
/// client nor the server waits for it.
#[test]
fn a_program_that_leaves_a_daemon_behind_is_over_when_it_ends() {
    let server = serving("sleep 300 & echo $!; echo oops >&2", "&max=1", &[]).start();
    let before = process::descriptors(server.pid());
    let mut daemons = Vec::new();
    for _ in 0..3 {
        let mut tcp = server.connect("exec");
        daemons.push(pid(String::from_utf8(read_all(&mut tcp)).unwrap().trim()));
    }
    expect_no_children(&server);
    wait_until("descriptors as at the start", || {
        process::descriptors(server.pid()) == before
    });
    for daemon in daemons {
        assert!(process::runs(daemon));
        kill_process(daemon, Signal::KILL).unwrap();
    }
    server.wait_for_log("says \"oops\"");
    server.stop();
}

/// A kernel without descriptors of processes: SIGCHLD says when to look, and only our own children
/// are reaped.
#[test]
fn without_descriptors_of_processes_their_end_is_noticed_all_the_same() {
    if !have("strace") {
        return;
    }
    let inject = "inject=pidfd_open:error=ENOSYS";
    let trace = "trace=pidfd_open";
    let wrapper = ["strace", "-f", "-o", "/dev/null", "-e", trace, "-e", inject];
    let server = serving("read x; echo \"$x\"", "", &[])
        .wrapped(&wrapper)
        .start();
    let mut clients: Vec<_> = (0..20).map(|_| server.connect("exec")).collect();
    for client in &mut clients {
        client.write_all(b"answer\n").unwrap();
    }
    for client in &mut clients {
        assert_eq!(read_all(client), b"answer\n");
    }
    expect_no_children(&server);
    server.stop();
}

#[test]
fn a_program_that_closes_its_streams_harms_nobody() {
    let server = serving(
        "exec <&-; echo said; exec >&- 2>&-; exec sleep 300",
        "",
        &[],
    )
    .start();
    let mut tcp = server.connect("exec");
    tcp.write_all(b"unread\n").unwrap();
    assert_eq!(read_line(&mut tcp), "said");
    let mut echo = server.connect("echo");
    echo.write_all(b"x\n").unwrap();
    assert_eq!(read_line(&mut echo), "x");
    let sleep = process::named(server.pid(), "sleep");
    server.stop();
    wait_until("the program is ended with the server", || {
        !process::runs(sleep)
    });
}

#[test]
fn a_client_that_breaks_off_is_noticed_by_the_program() {
    let server = running("/bin/cat", "", &[]).start();
    let before = process::descriptors(server.pid());
    for round in 0..20 {
        let mut tcp = server.connect("exec");
        tcp.write_all(b"x\n").unwrap();
        if round % 2 == 0 {
            assert_eq!(read_line(&mut tcp), "x");
        }
        reset(tcp);
        drop(server.connect_unix("exec"));
    }
    expect_no_children(&server);
    wait_until("descriptors as at the start", || {
        process::descriptors(server.pid()) == before
    });
    server.stop();
}

/// SIGTERM lets a program say goodbye; it need not wait for the grace.
#[test]
fn a_shutdown_asks_programs_to_end_with_their_whole_group() {
    let script = "trap 'echo the program says goodbye; exit' TERM
        sleep 300 & echo $!; wait; wait";
    let mut server = serving(script, "", &["--grace", "20s"]).start();
    let mut tcp = server.connect("exec");
    let helper = pid(&read_line(&mut tcp));
    let began = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(read_all(&mut tcp), b"the program says goodbye\n");
    drop(tcp);
    assert_eq!(server.wait().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10));
    wait_until("the helper is ended too", || !process::runs(helper));
}

/// Who ignores SIGTERM, or has been stopped, is killed when the grace is over; its group too.
#[test]
fn a_shutdown_kills_who_ignores_it_when_the_grace_is_over() {
    in_one_of(ROUNDS, shut_down_who_ignores_it);
}

fn shut_down_who_ignores_it() -> Timely {
    let script = "trap '' TERM; sleep 300 & echo $! $$; while :; do sleep 300; done";
    let mut server = serving(script, "", &["--grace", "300ms"]).start();
    let (mut a, mut b) = (server.connect("exec"), server.connect_unix("exec"));
    let (first, second) = (read_line(&mut a), read_line(&mut b));
    let pids: Vec<_> = [first, second]
        .iter()
        .flat_map(|line| line.split(' ').map(pid).collect::<Vec<_>>())
        .collect();
    kill_process_group(pids[3], Signal::STOP).unwrap();
    let began = Instant::now();
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(0));
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(300), "{took:?}");
    for pid in pids {
        wait_until("every process is gone", || !process::runs(pid));
    }
    // Its end is the kernel's now: all copies of the socket are gone, or shut.
    assert_eq!(a.read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(
        server.log().contains("the grace is over"),
        "{}",
        server.log()
    );
    below("the shutdown", took, Duration::from_secs(3))
}

#[test]
fn a_process_that_left_the_group_loses_the_socket_all_the_same() {
    let script = "trap '' TERM; setsid sleep 300 & echo $!; while :; do sleep 300; done";
    let mut server = serving(script, "", &["--grace", "100ms"]).start();
    let mut tcp = server.connect("exec");
    let away = pid(&read_line(&mut tcp));
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(
        read_all(&mut tcp),
        b"",
        "the end, though a copy is still held"
    );
    assert!(process::runs(away), "the test's own premise");
    kill_process(away, Signal::KILL).unwrap();
}

#[test]
fn a_second_signal_kills_at_once() {
    let script = "trap '' TERM; echo $$; while :; do sleep 300; done";
    let mut server = serving(script, "", &["--grace", "60s"]).start();
    let mut tcp = server.connect("exec");
    let program = pid(&read_line(&mut tcp));
    server.signal(Signal::INT);
    server.wait_for_log("SIGINT: shutting down");
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(0));
    wait_until("the program is gone", || !process::runs(program));
}

#[test]
fn the_last_of_accepts_is_waited_for() {
    let server = serving("read x; echo \"$x\"", "", &["--accepts", "2"]);
    let mut server = server.start();
    let (mut a, mut b) = (server.connect("exec"), server.connect("exec"));
    a.write_all(b"one\n").unwrap();
    assert_eq!(read_all(&mut a), b"one\n");
    drop(a);
    server.wait_for_log("was the last to be taken");
    b.write_all(b"two\n").unwrap();
    assert_eq!(read_all(&mut b), b"two\n");
    drop(b);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn who_waits_at_a_shutdown_is_told() {
    let mut server = serving("echo in; read x", "&max=1", &[]).start();
    let mut running = server.connect("exec");
    assert_eq!(read_line(&mut running), "in");
    let mut waiting = server.connect("exec");
    waiting.write_all(b"early\n").unwrap();
    server.wait_for_log("waits for its turn: 1 run, 1 wait");
    server.signal(Signal::INT);
    assert_eq!(
        read_all(&mut waiting),
        b"bye: the server is shutting down\n"
    );
    assert_eq!(read_all(&mut running), b"");
    drop((running, waiting));
    assert_eq!(server.wait().code(), Some(0));
}
