//! `exec` under load: many at once, those who wait, and those who do not read.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::support::client::{read_all, read_line, reset};
use crate::support::program::{running, serving};
use crate::support::rounds::{ROUNDS, below, in_one_of};
use crate::support::server::Server;
use crate::support::{have, process, wait_until};

fn expect_as_before(server: &Server, descriptors: usize) {
    wait_until("no child and no descriptor is left", || {
        process::children(server.pid()).is_empty()
            && process::descriptors(server.pid()) == descriptors
    });
}

#[test]
fn two_hundred_at_once() {
    let server = running("/bin/cat", "&max=200", &[]).start();
    let before = process::descriptors(server.pid());
    let mut clients: Vec<_> = (0..200).map(|_| server.connect("exec")).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        writeln!(client, "client {number}").unwrap();
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(read_line(client), format!("client {number}"));
    }
    assert_eq!(process::children(server.pid()).len(), 200);
    for client in &clients {
        client.shutdown(Shutdown::Write).unwrap();
    }
    for client in &mut clients {
        assert_eq!(read_all(client), b"");
    }
    drop(clients);
    expect_as_before(&server, before);
    server.stop();
}

#[test]
fn those_who_wait_come_in_order_and_lose_nothing_that_they_sent() {
    let script = "read x; echo \"$x\" >>order; cat; echo \"$x\"";
    let builder = serving(
        &format!("cd \"${{0%/*}}\" || exit; {script}"),
        "&max=1",
        &[],
    );
    let order = builder.folder().join("order");
    let server = builder.start();
    let mut first = server.connect("exec");
    first.write_all(b"first\n").unwrap();
    wait_until("the first runs", || order.exists());
    let mut waiting = Vec::new();
    for number in 0..20 {
        let mut client = server.connect("exec");
        let rest = vec![b'a' + number; 40_000];
        writeln!(client, "{number}").unwrap();
        client.write_all(&rest).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        server.wait_for_log(&format!(" {} wait", number + 1));
        waiting.push((client, rest));
    }
    first.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut first), b"first\n");
    for (number, (mut client, mut rest)) in waiting.into_iter().enumerate() {
        rest.extend_from_slice(format!("{number}\n").as_bytes());
        assert!(read_all(&mut client) == rest, "client {number}");
    }
    let lines = fs::read_to_string(order).unwrap();
    let expected: String = (0..20).map(|number| format!("{number}\n")).collect();
    assert_eq!(lines, format!("first\n{expected}"));
    server.stop();
}

/// On a Unix socket a client's end is seen at once. One that left something to be read keeps its
/// place; one that left nothing does not. The idle limit has no say in it.
#[test]
fn what_a_client_sent_before_it_left_is_still_read_by_a_program() {
    let script = "cd \"${0%/*}\" || exit; read x; echo $x >>letters; echo in; exec cat";
    let builder = serving(script, "&max=1", &["--idle-timeout", "100ms"]);
    let letters = builder.folder().join("letters");
    let longer_than_the_idle_limit = || {
        let began = Instant::now();
        wait_until("longer than the idle limit", || {
            began.elapsed() > Duration::from_millis(300)
        });
    };
    let server = builder.start();
    let mut first = server.connect("exec");
    first.write_all(b"first\n").unwrap();
    assert_eq!(read_line(&mut first), "in");
    let mut sender = server.connect_unix("exec");
    sender.write_all(b"a letter\n").unwrap();
    server.wait_for_log(" 1 wait");
    drop(sender);
    let silent = server.connect_unix("exec");
    server.wait_for_log(" 2 wait");
    longer_than_the_idle_limit();
    drop(silent);
    server.wait_for_log("0 bytes in, 0 bytes out: the client ended it");
    let mut last = server.connect("exec");
    server.wait_for_log(" #4 127.0.0.1");
    longer_than_the_idle_limit();
    drop(first);
    last.write_all(b"last\n").unwrap();
    assert_eq!(read_line(&mut last), "in");
    assert_eq!(
        fs::read_to_string(letters).unwrap(),
        "first\na letter\nlast\n"
    );
    drop(last);
    server.stop();
}

#[test]
fn a_full_line_is_told_and_those_who_left_it_make_room() {
    let server = running("/bin/cat", "&max=1", &[]).start();
    let before = process::descriptors(server.pid());
    let mut first = server.connect("exec");
    first.write_all(b"x\n").unwrap();
    assert_eq!(read_line(&mut first), "x");
    let tcp: Vec<TcpStream> = (0..128).map(|_| server.connect("exec")).collect();
    let unix: Vec<_> = (0..128).map(|_| server.connect_unix("exec")).collect();
    server.wait_for_log("1 run, 256 wait");
    let mut late = server.connect("exec");
    late.write_all(b"hello\n").unwrap();
    let answer = read_all(&mut late);
    assert_eq!(
        answer,
        b"error: busy: 1 are served and 256 wait; try again later\n"
    );
    // Idle and not read, they cost nothing.
    in_one_of(ROUNDS, || {
        let before = process::run_time(server.pid());
        let began = Instant::now();
        wait_until("half a second", || {
            began.elapsed() > Duration::from_millis(500)
        });
        let used = process::run_time(server.pid()) - before;
        below("processor time", used, Duration::from_millis(50))
    });
    tcp.into_iter().for_each(reset);
    drop(unix);
    wait_until("they are left out", || {
        server.log().matches("closed after").count() >= 257
    });
    let mut next = server.connect("exec");
    next.write_all(b"next\n").unwrap();
    drop(first);
    assert_eq!(read_line(&mut next), "next");
    drop((next, late));
    expect_as_before(&server, before);
    server.stop();
}

/// 100 MB for a client that does not read: its program waits, nobody else does; then it reads all.
#[test]
fn a_client_that_does_not_read_holds_up_nobody_else() {
    let server = serving("exec head -c 100000000 /dev/zero", "", &[]).start();
    let before = process::descriptors(server.pid());
    let (mut slow, gone, broken) = (
        server.connect("exec"),
        server.connect("exec"),
        server.connect("exec"),
    );
    slow.read_exact(&mut [0; 1000]).unwrap();
    let mut echo = server.connect("echo");
    in_one_of(ROUNDS, || {
        let mut took = Vec::new();
        for _ in 0..500 {
            let began = Instant::now();
            echo.write_all(b"x\n").unwrap();
            assert_eq!(read_line(&mut echo), "x");
            took.push(began.elapsed());
        }
        took.sort_unstable();
        let p99 = took[took.len() * 99 / 100];
        below("99 of 100 echoes", p99, Duration::from_millis(250))
    });
    let memory = process::anonymous_bytes(server.pid());
    assert!(memory < 64 * 1024 * 1024, "{memory}");
    drop(gone);
    reset(broken);
    let mut count = 1000;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match slow.read(&mut buffer).unwrap() {
            0 => break,
            more => count += more,
        }
    }
    assert_eq!(count, 100_000_000);
    drop((slow, echo));
    expect_as_before(&server, before);
    server.stop();
}

/// Few descriptors: programs count too, so listeners stop in time and everybody is served.
#[test]
fn programs_count_towards_the_descriptor_limit() {
    if !have("prlimit") {
        return;
    }
    let builder = running("/bin/cat", "&max=200", &[]).wrapped(&["prlimit", "--nofile=128"]);
    let server = builder.start();
    let clients: Vec<_> = (0..100)
        .map(|number| {
            let mut client = server.connect("exec");
            std::thread::spawn(move || {
                writeln!(client, "client {number}").unwrap();
                client.shutdown(Shutdown::Write).unwrap();
                assert_eq!(
                    read_all(&mut client),
                    format!("client {number}\n").as_bytes()
                );
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    assert!(
        !server.log().contains("too many open files"),
        "{}",
        server.log()
    );
    server.stop();
}

/// While the system takes two seconds to start a program, everybody else is served.
#[test]
fn a_slow_start_stalls_nobody() {
    if !have("strace") {
        return;
    }
    let inject = "inject=execve:delay_enter=2000000:when=1";
    let wrapper = [
        "strace",
        "-f",
        "-o",
        "/dev/null",
        "-e",
        "trace=execve",
        "-e",
        inject,
    ];
    let server = running("/bin/cat", "", &[]).wrapped(&wrapper).start();
    let limit = Duration::from_millis(1500);
    in_one_of(ROUNDS, || {
        let began = Instant::now();
        let mut slow = server.connect("exec");
        slow.write_all(b"at last\n").unwrap();
        for _ in 0..50 {
            let mut echo = server.connect("echo");
            echo.write_all(b"x\n").unwrap();
            assert_eq!(read_line(&mut echo), "x");
        }
        let took = began.elapsed();
        assert_eq!(read_line(&mut slow), "at last");
        assert!(began.elapsed() > limit, "the test's own premise");
        below("50 echoes meanwhile", took, limit)
    });
    server.stop();
}
