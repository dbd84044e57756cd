//! Limits of descriptors, connections and time, and the addresses that a server binds.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

use crate::support::client::read_all;
use crate::support::rounds::{ROUNDS, below, holds, in_one_of};
use crate::support::server::{Builder, Server};
use crate::support::socket::allow_descriptors;
use crate::support::stream::{Client, one_at_a_time, ready};
use crate::support::{LIMIT, have, process, wait_until};

/// What `--nofile=256` leaves for connections: less the reserve and two for the listener.
const ALLOWED: usize = 256 - 64 - 2;

/// Whether the server has begun to serve this client: echo sends back what was written at once.
fn is_served(client: &Client) -> bool {
    client.wait_readable(Duration::ZERO)
}

/// Connects to echo and writes, without waiting for the server.
fn knock(server: &Server) -> Client {
    let mut client = Client::tcp(server, "echo");
    client.write_all(b"hello").unwrap();
    client
}

/// 600 clients come at once. Whoever is served leaves; all are, and while nobody leaves the server
/// that is full does next to nothing.
fn serve_in_waves(server: &Server, at_least: usize) {
    const CLIENTS: usize = 600;
    let start = process::descriptors(server.pid());
    let mut waiting: Vec<_> = (0..CLIENTS).map(|_| knock(server)).collect();
    wait_until("the first wave", || {
        waiting.iter().filter(|client| is_served(client)).count() >= at_least
    });
    let last = waiting.last().unwrap();
    // The first part of a second is for the rest of the wave.
    assert!(!last.wait_readable(Duration::from_millis(300)));
    in_one_of(ROUNDS, || {
        let (before, begin) = (process::run_time(server.pid()), Instant::now());
        assert!(!last.wait_readable(Duration::from_secs(2)));
        let used = (process::run_time(server.pid()) - before).as_secs_f64();
        let share = used / begin.elapsed().as_secs_f64();
        let served = waiting.iter().filter(|client| is_served(client)).count();
        eprintln!(
            "full at {served} connections: {:.4} % of a processor",
            share * 100.0
        );
        below("the share of a processor", share, 0.01)
    });
    wait_until("every client's turn", || {
        let all = std::mem::take(&mut waiting).into_iter();
        let (served, rest): (Vec<_>, _) = all.partition(is_served);
        waiting = rest;
        for mut client in served {
            client.half_close();
            assert_eq!(read_all(&mut client), b"hello");
        }
        waiting.is_empty()
    });
    wait_until("the descriptors of the start", || {
        process::descriptors(server.pid()) == start
    });
}

#[test]
fn six_hundred_clients_are_served_with_256_descriptors() {
    if !allow_descriptors(1_500) {
        return;
    }
    if !have("prlimit") {
        return;
    }
    let server = Builder::new(&["echo=tcp://127.0.0.1:0"])
        .wrapped(&["prlimit", "--nofile=256"])
        .start();
    serve_in_waves(&server, ALLOWED);
    server.wait_for_log(&format!("full: {ALLOWED} connections"));
    let log = server.log();
    assert!(
        !log.contains("can't accept"),
        "the cap comes before the descriptors end"
    );
    server.stop();
}

#[test]
fn holes_in_the_descriptor_table_delay_but_lose_nobody() {
    if !allow_descriptors(1_500) {
        return;
    }
    if !have("prlimit") || !have("bash") {
        return;
    }
    // A limit bounds the number of a descriptor: a hundred that are inherited leave fewer than
    // the cap reckons with.
    let script = r#"for n in {50..249..2}; do eval "exec $n</dev/null"; done; exec "$0" "$@""#;
    let server = Builder::new(&["echo=tcp://127.0.0.1:0"])
        .wrapped(&["prlimit", "--nofile=256", "bash", "-c", script])
        .start();
    serve_in_waves(&server, 100);
    server.wait_for_log("can't accept: Too many open files");
    let log = server.log();
    let changes = log.matches("can't accept").count();
    assert!(changes <= 1 + log.matches("accepting again").count());
    server.stop();
}

#[test]
fn at_the_cap_accepting_stops_and_resumes_at_nine_tenths() {
    let server = Server::start(&["--max-connections", "20", "echo=tcp://127.0.0.1:0"]);
    let mut served: Vec<_> = (0..20).map(|_| knock(&server)).collect();
    for client in &mut served {
        client.receive(5);
    }
    let mut late = knock(&server);
    server.wait_for_log("full: 20 connections");
    drop(served.pop());
    server.wait_for_log("closed after");
    assert!(
        !late.wait_readable(Duration::from_millis(200)),
        "19 are more than nine tenths"
    );
    drop(served.pop());
    assert_eq!(late.receive(5), b"hello");
    server.wait_for_log("accepting again at 18 connections");
    server.stop();
}

/// The backlog has room for most of them at once, and for all if the server comes by meanwhile. Who
/// finds no room is not refused: the kernel drops the first segment, which comes again after a
/// second. So a server that does not get a processor in time makes a round late, and a backlog that
/// is too small makes every round late.
#[test]
fn five_thousand_simultaneous_connects_take_less_than_a_second() {
    if !allow_descriptors(6_000) {
        return;
    }
    let _turn = one_at_a_time();
    in_one_of(ROUNDS, || {
        let server = Builder::new(&["echo=tcp://127.0.0.1:0"])
            .log("warn")
            .start();
        let took = connect_and_echo(&server.tcp("echo"), 5000);
        server.stop();
        below(
            "the slowest of 5,000 connects",
            took,
            Duration::from_secs(1),
        )
    });
}

/// So many connect at once, and each is served in the end. Returns how long the slowest connect took
/// from its own beginning: that this process has to begin them one after the other is not the
/// server's.
fn connect_and_echo(address: &SocketAddr, count: usize) -> Duration {
    let (begin, mut slowest) = (Instant::now(), Duration::ZERO);
    let (mut sockets, mut waiting) = (Vec::new(), Vec::new());
    for place in 0..count {
        let own_begin = Instant::now();
        let socket = begin_connect(address);
        // On the loopback it is done by now, unless its first segment was dropped.
        match ready(socket.as_fd(), PollFlags::OUT, Duration::ZERO) {
            true => slowest = slowest.max(own_begin.elapsed()),
            false => waiting.push((place, own_begin)),
        }
        sockets.push(socket);
    }
    for (place, own_begin) in waiting {
        let connected = ready(sockets[place].as_fd(), PollFlags::OUT, LIMIT);
        assert!(connected, "a connect hangs");
        slowest = slowest.max(own_begin.elapsed());
    }
    let connected = begin.elapsed();
    let mut clients: Vec<_> = sockets.into_iter().map(TcpStream::from).collect();
    for client in &mut clients {
        client.set_nonblocking(false).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        client.write_all(b"x").unwrap();
    }
    for client in &mut clients {
        let mut answer = [0];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"x");
    }
    eprintln!(
        "{count} connects: the slowest took {slowest:?}, all {connected:?}; served in {:?}",
        begin.elapsed()
    );
    slowest
}

/// A socket that has begun to connect.
fn begin_connect(address: &SocketAddr) -> OwnedFd {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
    match connect(&socket, address) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => socket,
        Err(error) => panic!("{error}"),
    }
}

/// A short idle limit.
const IMPATIENCE: Duration = Duration::from_millis(300);

/// A server with that idle limit.
fn impatient() -> Server {
    Server::start(&[
        "--idle-timeout",
        "300ms",
        "slot=tcp://127.0.0.1:0?delay=1s",
        "slot=unix:DIR/slot.sock?delay=1s",
        "sum=tcp://127.0.0.1:0",
        "sum=unix:DIR/sum.sock",
    ])
}

#[test]
fn an_idle_client_is_closed_in_order() {
    let server = impatient();
    for connect in [Client::tcp, Client::unix] {
        let begin = Instant::now();
        let mut client = connect(&server, "sum");
        client.write_all(b"1234567\n").unwrap();
        assert_eq!(read_all(&mut client), b"");
        let took = begin.elapsed();
        assert!(took >= Duration::from_millis(290), "{took:?}");
    }
    wait_until("the reason in the log", || {
        let reason = "the server ended it: nothing came for the idle timeout";
        server.log().matches(reason).count() == 2
    });
    server.stop();
}

#[test]
fn a_client_whose_answer_is_being_made_is_not_idle() {
    let server = Server::start(&[
        "--idle-timeout",
        "100ms",
        // A password takes longer than the idle limit, four times over.
        "locker=tcp://127.0.0.1:0?count=4&hash=65536,14",
    ]);
    let mut lockers = 0..;
    in_one_of(ROUNDS, || {
        let locker = lockers.next().unwrap();
        let mut client = Client::tcp(&server, "locker");
        let line = format!("register {locker} pw\n");
        client.write_all(line.as_bytes()).unwrap();
        let answer = format!("ok locker {locker} is yours\n").into_bytes();
        assert_eq!(client.receive(answer.len()), answer);
        let begin = Instant::now();
        assert_eq!(read_all(&mut client), b"", "then it is");
        // The server may have waited while this thread had no processor to see the answer.
        let waited = begin.elapsed();
        holds(waited >= Duration::from_millis(90), || {
            format!("idle for {waited:?} only")
        })
    });
    server.stop();
}

#[test]
fn a_line_that_comes_byte_by_byte_does_not_keep_a_connection() {
    let server = impatient();
    for connect in [Client::tcp, Client::unix] {
        in_one_of(ROUNDS, || {
            let (begin, mut sent) = (Instant::now(), 0);
            let mut client = connect(&server, "sum");
            // A byte every 50 ms, until the server ends the connection.
            while !client.wait_readable(Duration::from_millis(50)) {
                client.write_all(b"1").unwrap();
                sent += 1;
                assert!(begin.elapsed() < LIMIT, "{sent} bytes and still there");
            }
            assert_eq!(read_all(&mut client), b"");
            let took = begin.elapsed();
            assert!(took >= Duration::from_millis(290), "{took:?}");
            holds(sent > 1, || format!("{sent} bytes in {took:?}"))?;
            below("byte by byte", took, Duration::from_secs(3))
        });
    }
    server.stop();
}

#[test]
fn a_client_that_does_not_read_is_told_from_one_that_is_silent() {
    let server = Server::start(&["--idle-timeout", "300ms", "echo=unix:DIR/echo.sock"]);
    in_one_of(ROUNDS, || {
        let begin = Instant::now();
        let mut client = Client::unix(&server, "echo");
        // More than the kernel takes on the way back.
        let written = client.write_all(&[b'x'; 300_000]);
        below("writing", begin.elapsed(), IMPATIENCE)?;
        written.unwrap();
        server.wait_for_log("the server ended it: the client did not read for the idle timeout");
        Ok(())
    });
    server.stop();
}

#[test]
fn a_writer_that_waits_for_its_reply_is_not_idle() {
    let server = impatient();
    in_one_of(ROUNDS, || {
        let begin = Instant::now();
        let mut clients = Client::both(&server, "slot");
        for client in &mut clients {
            client.write_all(b"hello\n").unwrap();
        }
        // Else they were idle before.
        below("writing", begin.elapsed(), IMPATIENCE)?;
        for client in &mut clients {
            assert_eq!(read_all(client), b"hello\n");
        }
        Ok(())
    });
    server.stop();
}

/// Whether this machine has the IPv6 loopback; a test that needs it says so where it has not.
fn has_ipv6() -> bool {
    let has = TcpListener::bind("[::1]:0").is_ok();
    if !has {
        eprintln!("skipped: there is no IPv6 here");
    }
    has
}

fn assert_sums(address: SocketAddr) {
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"5\n-7\n0\n").unwrap();
    assert_eq!(read_all(&mut client), b"Result = -2\n", "{address}");
}

#[test]
fn the_loopback_of_ipv6_is_served() {
    if !has_ipv6() {
        return;
    }
    let server = Server::start(&["sum=tcp://[::1]:0"]);
    assert!(server.endpoints("sum")[0].starts_with("tcp://[::1]:"));
    assert_sums(server.tcp("sum"));
    wait_until("the peer in the log", || {
        server.log().contains("sum #1 [::1]:")
    });
    server.stop();
}

#[test]
fn both_wildcards_bind_the_same_port() {
    if !has_ipv6() {
        return;
    }
    let first = Server::start(&["sum=tcp://[::]:0"]);
    let port = first.tcp("sum").port();
    let second = Server::start(&[&format!("sum=tcp://0.0.0.0:{port}")]);
    assert_sums(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port)));
    assert_sums(SocketAddr::from(([127, 0, 0, 1], port)));
    wait_until("one client each", || {
        first.log().contains("sum #1 [::1]:") && second.log().contains("sum #1 127.0.0.1:")
    });
    second.stop();
    first.stop();
}

#[test]
fn a_name_is_served_at_each_of_its_addresses() {
    let server = Server::start(&["sum=tcp://localhost:0"]);
    let endpoints = server.endpoints("sum");
    assert!(!endpoints.is_empty());
    for endpoint in endpoints {
        let address: SocketAddr = endpoint.strip_prefix("tcp://").unwrap().parse().unwrap();
        assert!(address.ip().is_loopback());
        assert_sums(address);
    }
    server.stop();
}
