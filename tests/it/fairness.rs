//! Hostile and slow peers: memory stays bounded, and nobody else notices.

use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::net::sockopt::set_socket_send_buffer_size;
use rustix::process::setpriority_process;
use std::os::fd::AsFd;
use switchboard::config::limits::{HIGH_WATER_BYTES, READ_BYTES_MAX};

use crate::support::client::read_all;
use crate::support::rounds::{ROUNDS, Timely, below, in_one_of};
use crate::support::server::{Builder, Server};
use crate::support::socket::allow_descriptors;
use crate::support::stream::{Client, any_ready, one_at_a_time, ready};
use crate::support::{process, wait_until};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// A server whose own log costs little.
fn server() -> Server {
    let arguments = [
        "echo=tcp://127.0.0.1:0",
        "echo=unix:DIR/echo.sock",
        "sum=tcp://127.0.0.1:0",
        "sum=unix:DIR/sum.sock?wire=text",
    ];
    Builder::new(&arguments).log("warn").start()
}

/// Sends a few bytes to echo and waits for them, so many times; returns each time it took, sorted.
fn round_trips(client: &mut Client, count: usize) -> Vec<Duration> {
    let trip = |_| {
        let start = Instant::now();
        client.write_all(b"sixteen bytes...").unwrap();
        client.receive(16);
        start.elapsed()
    };
    let mut times: Vec<_> = (0..count).map(trip).collect();
    times.sort_unstable();
    times
}

/// 200 of them, beside `what`: 99 of 100 take less than 50 ms, in one round.
fn expect_swift(client: &mut Client, what: &str) {
    in_one_of(ROUNDS, || {
        let times = round_trips(client, 200);
        eprintln!("{what}: worst {:?}", times.last());
        below(what, percentile(&times, 99), Duration::from_millis(50))
    });
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// Writes to all of them in turn until the server takes no more from any.
fn fill(clients: &mut [Client]) {
    let block = [b'f'; 16 * 1024];
    let mut taken = true;
    while taken {
        taken = false;
        for client in clients.iter_mut() {
            match client.write(&block) {
                Ok(count) => taken |= count > 0,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
        }
        taken |= any_ready(clients, PollFlags::OUT, Duration::from_millis(50));
    }
}

/// Connects that many to echo over a Unix socket, with little room for what they send.
fn crowd(server: &Server, count: usize) -> Vec<Client> {
    let connect = |_| {
        let client = Client::unix(server, "echo");
        set_socket_send_buffer_size(client.as_fd(), 16 * 1024).unwrap();
        client.set_nonblocking(true);
        client
    };
    (0..count).map(connect).collect()
}

#[test]
fn a_client_that_never_reads_costs_little_and_nobody_notices() {
    let server = server();
    for (mut other, mut stuck) in Client::both(&server, "echo")
        .into_iter()
        .zip(Client::both(&server, "echo"))
    {
        round_trips(&mut other, 10);
        let before = process::anonymous_bytes(server.pid());
        let taken = stuck.write_until_stuck(&[b'x'; 64 * 1024], Duration::from_millis(300));
        let grown = process::anonymous_bytes(server.pid()).saturating_sub(before);
        eprintln!("stuck after {taken} bytes; grown by {grown}");
        assert!(grown < MIB, "{grown}");
        expect_swift(&mut other, "beside one that never reads");
    }
    server.stop();
}

#[test]
fn a_thousand_clients_that_never_read_cost_no_more_than_the_limit_of_each() {
    if !allow_descriptors(2_000) {
        return;
    }
    const COUNT: usize = 1000;
    let _turn = one_at_a_time();
    let server = server();
    let mut other = Client::tcp(&server, "echo");
    round_trips(&mut other, 10);
    let before = process::anonymous_bytes(server.pid());
    let mut clients = crowd(&server, COUNT);
    fill(&mut clients);
    let grown = process::anonymous_bytes(server.pid()).saturating_sub(before);
    eprintln!("{COUNT} never read: grown by {} KiB", grown / KIB);
    // The output may pass the high-water mark by one read, and a vector grows by doubling.
    let bound = COUNT * 2 * (HIGH_WATER_BYTES + READ_BYTES_MAX);
    assert!(grown < bound as u64, "{grown} of {bound}");
    expect_swift(&mut other, "beside a thousand that never read");
    drop(clients);
    server.stop();
}

#[test]
fn accepting_goes_on_when_what_is_kept_for_all_was_taken() {
    let _turn = one_at_a_time();
    let server = server();
    let mut clients = Vec::new();
    while !server.log().contains("full: ") {
        assert!(clients.len() < 8000, "the limit of all was never met");
        let mut more = crowd(&server, 500);
        fill(&mut more);
        clients.extend(more);
    }
    let mut late = Client::tcp(&server, "echo");
    late.write_all(b"late").unwrap();
    assert!(
        !late.wait_readable(Duration::from_millis(200)),
        "there was room"
    );
    let mut buffer = vec![0; 64 * 1024];
    wait_until("the late client's turn", || {
        for client in &mut clients {
            while client
                .read(&mut buffer)
                .is_ok_and(|count| count == buffer.len())
            {}
        }
        late.wait_readable(Duration::from_millis(1))
    });
    assert_eq!(late.receive(4), b"late");
    drop(clients);
    server.stop();
}

/// Sends to echo as fast as it can and reads what comes back, until it is told to stop.
fn flood(mut client: Client, sent: &AtomicU64, stop: &AtomicBool) {
    // The processors are shared with the server under test: a flooder stands behind it.
    setpriority_process(None, 19).unwrap();
    client.set_nonblocking(true);
    let (block, mut buffer) = ([b'f'; 64 * 1024], vec![0; 64 * 1024]);
    while !stop.load(Ordering::Relaxed) {
        let both = PollFlags::IN | PollFlags::OUT;
        ready(client.as_fd(), both, Duration::from_millis(100));
        if let Ok(count) = client.write(&block) {
            sent.fetch_add(count as u64, Ordering::Relaxed);
        }
        let _ = client.read(&mut buffer);
    }
}

/// Says stop when it goes out of scope, so that a test that fails does not wait for its threads.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn eight_flooders_leave_an_innocent_client_its_share() {
    let _turn = one_at_a_time();
    let server = server();
    let stop = AtomicBool::new(false);
    let sent: [AtomicU64; 8] = Default::default();
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        for (index, sent) in sent.iter().enumerate() {
            let [tcp, unix] = Client::both(&server, "echo");
            let client = if index % 2 == 0 { tcp } else { unix };
            let stop = &stop;
            scope.spawn(move || flood(client, sent, stop));
        }
        wait_until("every flooder at work", || {
            sent.iter().all(|sent| sent.load(Ordering::Relaxed) > MIB)
        });
        let mut innocent = Client::tcp(&server, "echo");
        in_one_of(ROUNDS, || beside_flooders(&mut innocent, &sent));
    });
    server.stop();
}

/// Round trips while the flooders send 256 MiB, and 300 of them at least.
fn beside_flooders(innocent: &mut Client, sent: &[AtomicU64]) -> Timely {
    let all = || {
        let each = sent.iter().map(|sent| sent.load(Ordering::Relaxed));
        each.sum::<u64>()
    };
    let (before, mut times) = (all(), Vec::new());
    while times.len() < 300 || all() < before + 256 * MIB {
        times.extend(round_trips(innocent, 10));
    }
    times.sort_unstable();
    let (p50, p99) = (percentile(&times, 50), percentile(&times, 99));
    eprintln!(
        "8 flooders, {} MiB, {} round trips: p50 {p50:?}, p99 {p99:?}",
        (all() - before) / MIB,
        times.len()
    );
    below("beside 8 flooders", p99, Duration::from_millis(10))
}

#[test]
fn five_thousand_silent_and_slow_writers_delay_nobody() {
    if !allow_descriptors(6_000) {
        return;
    }
    const COUNT: usize = 5000;
    let _turn = one_at_a_time();
    let server = server();
    let mut slow: Vec<_> = (0..COUNT).map(|_| Client::tcp(&server, "sum")).collect();
    for client in slow.iter_mut().step_by(2) {
        client.write_all(b"1").unwrap();
    }
    slow[0].write_all(b"2").unwrap();
    in_one_of(ROUNDS, || {
        let mut worst = Duration::ZERO;
        for writer in slow.iter_mut().step_by(2).skip(1).take(200) {
            writer.write_all(b"2").unwrap();
            let start = Instant::now();
            let mut client = Client::tcp(&server, "sum");
            client.write_all(b"5\n-7\n0\n").unwrap();
            assert_eq!(read_all(&mut client), b"Result = -2\n");
            worst = worst.max(start.elapsed());
        }
        let what = format!("beside {COUNT} silent and slow writers");
        eprintln!("{what}: worst {worst:?}");
        below(what, worst, Duration::from_millis(50))
    });
    // The slow ones are served all the same.
    slow[0].write_all(b"\n0\n").unwrap();
    assert_eq!(read_all(&mut slow[0]), b"Result = 12\n");
    drop(slow);
    server.stop();
}

#[test]
fn a_line_without_end_costs_no_memory_and_time_in_proportion() {
    let _turn = one_at_a_time();
    let server = server();
    in_one_of(ROUNDS, || one_line_without_end(&server));
    server.stop();
}

/// The second half of a line costs what the first did.
fn one_line_without_end(server: &Server) -> Timely {
    const HALF: u64 = if cfg!(debug_assertions) {
        128 * MIB
    } else {
        512 * MIB
    };
    let mut client = Client::unix(server, "sum");
    let block = vec![b'1'; 64 * 1024];
    let mut send = |bytes: u64| {
        let before = process::run_time(server.pid());
        for _ in 0..bytes / block.len() as u64 {
            client.write_all(&block).unwrap();
        }
        process::run_time(server.pid()) - before
    };
    send(MIB);
    let memory = process::anonymous_bytes(server.pid());
    let (first, second) = (send(HALF), send(HALF));
    let grown = process::anonymous_bytes(server.pid()).saturating_sub(memory);
    eprintln!(
        "{} MiB without a newline: {first:?}, {second:?}, {grown} bytes",
        2 * HALF / MIB
    );
    assert!(grown < 256 * KIB, "{grown}");
    client.write_all(b"\n5\n0\n").unwrap();
    let reply = String::from_utf8(read_all(&mut client)).unwrap();
    assert_eq!(reply.lines().count(), 2, "{reply}");
    assert!(
        reply.starts_with("error: ") && reply.ends_with("\nResult = 5\n"),
        "{reply}"
    );
    below("the processor time of the second half", second, first * 2)
}
