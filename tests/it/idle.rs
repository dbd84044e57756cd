//! What a quiet server costs: no wake-ups, little memory, and few system calls for each request.

use std::fs;
use std::io::Write;
use std::time::Duration;

use crate::support::rounds::{ROUNDS, below, holds, in_one_of};
use crate::support::server::Builder;
use crate::support::socket::allow_descriptors;
use crate::support::stream::{Client, one_at_a_time};
use crate::support::{have, process};

const ECHO: [&str; 2] = ["echo=tcp://127.0.0.1:0", "echo=unix:DIR/echo.sock"];

fn ask(client: &mut Client, text: &[u8]) {
    client.write_all(text).unwrap();
    assert_eq!(client.receive(text.len()), text);
}

#[test]
fn a_server_with_idle_connections_sleeps_without_a_break() {
    let server = Builder::new(&ECHO).start();
    let mut clients: Vec<_> = (0..50)
        .flat_map(|_| Client::both(&server, "echo"))
        .collect();
    for client in &mut clients {
        ask(client, b"x");
    }
    let (quiet, last) = (Duration::from_secs(3), clients.last().unwrap());
    // What the last request still causes is over by then.
    assert!(!last.wait_readable(Duration::from_millis(200)));
    let cost = || {
        (
            process::sleeps(server.pid()),
            process::run_time(server.pid()),
        )
    };
    in_one_of(ROUNDS, || {
        let before = cost();
        assert!(!last.wait_readable(quiet));
        let after = cost();
        holds(before == after, || format!("{before:?}, then {after:?}"))
    });
    server.stop();
}

#[test]
fn fifteen_thousand_idle_connections_cost_less_than_200_bytes_each() {
    if !allow_descriptors(16_000) {
        return;
    }
    const COUNT: usize = 15_000;
    // In a debug build too, where mio adds an id to each socket.
    const BOUND: u64 = 200;
    let _turn = one_at_a_time();
    let server = Builder::new(&ECHO).log("warn").start();
    // The first few touch what all share: buffers, the stack, the allocator's first pages.
    let mut clients: Vec<_> = (0..10)
        .flat_map(|_| Client::both(&server, "echo"))
        .collect();
    for client in &mut clients {
        ask(client, b"x");
    }
    let before = process::anonymous_bytes(server.pid());
    for _ in 0..COUNT / 2 {
        for mut client in Client::both(&server, "echo") {
            ask(&mut client, b"x");
            clients.push(client);
        }
    }
    let grown = process::anonymous_bytes(server.pid()).saturating_sub(before);
    eprintln!(
        "{COUNT} idle connections: {} bytes each",
        grown / COUNT as u64
    );
    assert!(grown < BOUND * COUNT as u64, "{grown}");
    for client in clients.iter_mut().step_by(1000) {
        ask(client, b"still there");
    }
    drop(clients);
    server.stop();
}

#[test]
fn a_request_costs_a_wait_a_read_and_a_write() {
    if !have("strace") {
        return;
    }
    for unix in [false, true] {
        in_one_of(ROUNDS, || {
            let each = calls_for_a_request(unix);
            eprintln!("{each} calls for each request");
            // Now and then the kernel reports the same bytes twice (the sender's wake-up comes
            // after they were read), which costs a wait and a read that finds nothing.
            below("calls for each request", each, 3.2)
        });
    }
}

/// How many calls a server makes for each of many requests, by strace.
fn calls_for_a_request(unix: bool) -> f64 {
    const REQUESTS: usize = 500;
    // For so long the loop may ask new connections itself, beside the poller.
    const NEW: usize = 100;
    let builder = Builder::new(&ECHO).log("warn");
    let trace = builder.folder().join("trace").display().to_string();
    let server = builder.wrapped(&["strace", "-f", "-o", &trace]).start();
    let [tcp, other] = Client::both(&server, "echo");
    let mut client = if unix { other } else { tcp };
    for _ in 0..NEW {
        ask(&mut client, b"new");
    }
    ask(&mut client, b"begin");
    for _ in 0..REQUESTS {
        ask(&mut client, b"request");
    }
    ask(&mut client, b"finish");
    drop(client);
    server.signal(rustix::process::Signal::INT);
    let text = trace_of(server, &trace);
    let at = |mark: &str| {
        text.find(mark)
            .unwrap_or_else(|| panic!("no {mark} in\n{text}"))
    };
    // From the first request's read to the last one's.
    let calls = text[at("\"begin\"")..at("\"finish\"")].lines().skip(1);
    calls.count() as f64 / (REQUESTS + 1) as f64
}

/// The whole trace, once the server has ended.
fn trace_of(mut server: crate::support::server::Server, path: &str) -> String {
    assert!(server.wait().success());
    fs::read_to_string(path).unwrap()
}
