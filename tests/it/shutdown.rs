//! Shutting down: whoever is owed something gets it, everybody else is told, nothing is left.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::client::read_all;
use crate::support::process::state;
use crate::support::server::Server;
use crate::support::socket::{Kind, Socket, allow_descriptors};
use crate::support::wait_until;

pub const BYE: &str = "bye: the server is shutting down\n";

/// What a client is doing when the signal comes.
#[derive(Debug, Clone, Copy)]
enum Client {
    SumIdle,
    SumAdding,
    BinarySum,
    SlotSilent,
    SlotOwed,
    Echo,
}

impl Client {
    const ALL: [Self; 6] = [
        Self::SumIdle,
        Self::SumAdding,
        Self::BinarySum,
        Self::SlotSilent,
        Self::SlotOwed,
        Self::Echo,
    ];

    fn start(self, kind: Kind, server: &Server) -> Socket {
        let (service, bytes): (_, &[u8]) = match self {
            Self::SumIdle => ("sum", b""),
            Self::SumAdding => ("sum", b"1000\n-3\n12"),
            Self::BinarySum => ("sum", b"\x05\0\0\0\x07\0\0"),
            Self::SlotSilent => ("slot", b""),
            Self::SlotOwed => ("slot", b"the message\n"),
            Self::Echo => ("echo", b"every byte"),
        };
        let mut socket = kind.connect(server, service);
        socket.write_all(bytes).unwrap();
        socket
    }

    /// All that it reads until the end.
    fn expects(self) -> &'static str {
        match self {
            Self::SumIdle | Self::SumAdding | Self::SlotSilent => BYE,
            Self::BinarySum => "",
            Self::SlotOwed => "the message\n",
            // A line of ours would be a byte that the client has not sent.
            Self::Echo => "every byte",
        }
    }
}

const ARGUMENTS: [&str; 6] = [
    "slot=tcp://127.0.0.1:0?delay=700ms",
    "slot=unix:DIR/slot?delay=700ms",
    "sum=tcp://127.0.0.1:0",
    "sum=unix:DIR/sum",
    "echo=tcp://127.0.0.1:0",
    "echo=unix:DIR/echo",
];

/// Every path of a server, and its lock.
fn paths(server: &Server) -> Vec<PathBuf> {
    let services = ["slot", "sum", "echo"].map(|service| server.endpoints(service));
    let endpoints = services.concat();
    let unix = endpoints.iter().filter_map(|e| e.strip_prefix("unix:"));
    unix.flat_map(|path| [path.into(), format!("{path}.lock").into()])
        .collect()
}

#[track_caller]
fn assert_gone(paths: &[PathBuf]) {
    let left: Vec<_> = paths.iter().filter(|path| path.exists()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// Interrupts a server with this many clients of every sort, and checks what each of them reads.
fn interrupted(signal: Signal, clients: usize) {
    let mut server = Server::start(&ARGUMENTS);
    let paths = paths(&server);
    assert!(paths.len() == 6 && paths.iter().all(|path| path.exists()));
    let clients: Vec<_> = (0..clients)
        .map(|number| {
            let kind = Kind::BOTH[number % 2];
            let client = Client::ALL[number / 2 % Client::ALL.len()];
            (number, kind, client, client.start(kind, &server))
        })
        .collect();
    server.signal(signal);
    for (number, kind, client, mut socket) in clients {
        let mut got = Vec::new();
        let end = socket.read_to_end(&mut got);
        let got = String::from_utf8_lossy(&got);
        let about = format!("client {number}: {kind:?} {client:?}, {end:?}");
        assert_eq!(got, client.expects(), "{about}");
        assert!(end.is_ok(), "{about}");
    }
    let status = server.wait();
    assert_eq!(status.code(), Some(0), "{signal:?}: {}", server.log());
    assert_gone(&paths);
}

#[test]
fn of_five_hundred_clients_each_gets_its_reply_or_a_goodbye_at_an_interrupt() {
    if allow_descriptors(1000) {
        interrupted(Signal::INT, 500);
    }
}

#[test]
fn a_termination_is_as_orderly_as_an_interrupt() {
    interrupted(Signal::TERM, 60);
}

#[test]
fn a_hang_up_is_as_orderly_as_an_interrupt() {
    interrupted(Signal::HUP, 60);
}

/// A server that owes a reply in a minute, and the client.
fn owing(grace: &str) -> (Server, Socket) {
    let server = Server::start(&[
        "slot=unix:DIR/slot?delay=60s",
        "sum=unix:DIR/sum",
        "--grace",
        grace,
    ]);
    let mut socket = Kind::Unix.connect(&server, "slot");
    socket.write_all(b"patience\n").unwrap();
    server.wait_for_log("stored");
    (server, socket)
}

#[test]
fn the_log_says_whose_bytes_were_lost_when_the_grace_was_over() {
    let mut server = Server::start(&["echo=unix:DIR/echo", "--grace", "300ms"]);
    let mut socket = Kind::Unix.connect(&server, "echo");
    // More than the kernel takes on the way back, and nothing is read of it.
    socket.write_all(&[b'x'; 300_000]).unwrap();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let log = server.log();
    assert!(
        log.contains("300000 bytes in")
            && log.contains("it is shutting down and the grace is over"),
        "{log}"
    );
}

#[test]
fn a_second_interrupt_ends_it_at_once() {
    for second in [Signal::INT, Signal::TERM, Signal::HUP] {
        let (mut server, _socket) = owing("60s");
        let paths = paths(&server);
        server.signal(Signal::INT);
        server.wait_for_log("SIGINT: shutting down");
        let asked = Instant::now();
        server.signal(second);
        assert_eq!(server.wait().code(), Some(0), "{}", server.log());
        assert!(
            asked.elapsed() < Duration::from_secs(10),
            "{:?}",
            asked.elapsed()
        );
        assert_gone(&paths);
    }
}

#[test]
fn the_grace_bounds_how_long_a_shutdown_takes() {
    let (mut server, mut socket) = owing("300ms");
    let paths = paths(&server);
    let asked = Instant::now();
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    let took = asked.elapsed();
    assert!(
        took >= Duration::from_millis(300),
        "it waited {took:?} only"
    );
    assert!(took < Duration::from_secs(10), "it waited {took:?}");
    assert_eq!(read_all(&mut socket), b"", "nothing was due yet");
    assert!(server.log().contains("the grace is over: 1 connection cut"));
    assert_gone(&paths);
}

#[test]
fn without_debts_a_shutdown_takes_no_grace() {
    let mut server = Server::start(&[
        "sum=tcp://127.0.0.1:0",
        "sum=unix:DIR/sum",
        "--grace",
        "60s",
    ]);
    let mut clients = Kind::BOTH.map(|kind| kind.connect(&server, "sum"));
    server.signal(Signal::INT);
    for socket in &mut clients {
        assert_eq!(read_all(socket), BYE.as_bytes());
    }
    // They keep their side open, and still the server ends.
    let asked = Instant::now();
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked.elapsed()
    );
}

#[test]
fn what_arrived_before_the_signal_is_answered() {
    for round in 0..40 {
        let mut server = Server::start(&[
            "slot=tcp://127.0.0.1:0?delay=1ms",
            "slot=unix:DIR/slot?delay=1ms",
            "sum=tcp://127.0.0.1:0",
            "sum=unix:DIR/sum",
            "echo=tcp://127.0.0.1:0",
            "echo=unix:DIR/echo",
        ]);
        let requests: [(_, &[u8], &[u8]); 4] = [
            ("sum", b"50\n-7\n0\n", b"Result = 43\n"),
            ("sum", b"\x05\0\0\0\0\0\0\0", b"Result = 5"),
            ("slot", b"hello\n", b"hello\n"),
            ("echo", b"every byte", b"every byte"),
        ];
        let mut sockets = Kind::BOTH.map(|kind| requests.map(|r| kind.connect(&server, r.0)));
        for sockets in &mut sockets {
            for (socket, (_, request, _)) in sockets.iter_mut().zip(requests) {
                socket.write_all(request).unwrap();
            }
        }
        server.signal(Signal::INT);
        for (kind, mut sockets) in Kind::BOTH.into_iter().zip(sockets) {
            for (socket, (service, request, reply)) in sockets.iter_mut().zip(requests) {
                let got = read_all(socket);
                let about = format!("round {round}: {kind:?} {service} {request:?}: {got:?}");
                assert!(got.starts_with(reply), "{about}");
            }
        }
        assert_eq!(
            server.wait().code(),
            Some(0),
            "round {round}: {}",
            server.log()
        );
    }
}

#[test]
fn whoever_waits_in_the_backlog_at_the_signal_is_served_or_told() {
    const EACH: usize = 100;
    if !allow_descriptors(1000) {
        return;
    }
    let mut server = Server::start(&ARGUMENTS);
    // Stopped, it accepts nobody; the kernel lets clients connect and write all the same.
    server.signal(Signal::STOP);
    wait_until("the server is stopped", || state(server.pid()) == 'T');
    let mut clients = Vec::new();
    for number in 0..EACH {
        let kind = Kind::BOTH[number % 2];
        let mut asking = kind.connect(&server, "sum");
        asking.write_all(b"1000\n5\n0\n").unwrap();
        clients.push((kind, asking, "Result = 1005\n"));
        clients.push((kind, kind.connect(&server, "sum"), BYE));
        let mut writing = kind.connect(&server, "slot");
        writing.write_all(b"from the backlog\n").unwrap();
        clients.push((kind, writing, "from the backlog\n"));
    }
    server.signal(Signal::INT);
    server.signal(Signal::CONT);
    for (kind, mut socket, expected) in clients {
        let got = String::from_utf8(read_all(&mut socket)).unwrap();
        assert_eq!(got, expected, "{kind:?}");
    }
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}

#[test]
fn a_shutdown_tells_some_of_those_who_waited_for_room() {
    let mut server = Server::start(&[
        "--max-connections=2",
        "sum=tcp://127.0.0.1:0",
        "sum=unix:DIR/sum.sock",
    ]);
    let mut clients: Vec<_> = (0..12)
        .map(|number| Kind::BOTH[number % 2].connect(&server, "sum"))
        .collect();
    server.wait_for_log("full: 2 connections");
    server.signal(Signal::INT);
    for socket in &mut clients {
        assert_eq!(String::from_utf8(read_all(socket)).unwrap(), BYE);
    }
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}

#[test]
fn a_second_hang_up_is_that_of_the_same_terminal() {
    let mut server = Server::start(&["slot=tcp://127.0.0.1:0?delay=500ms"]);
    let mut owed = server.connect("slot");
    owed.write_all(b"owed\n").unwrap();
    server.wait_for_log("stored");
    server.signal(Signal::HUP);
    server.wait_for_log("SIGHUP: shutting down");
    server.signal(Signal::HUP);
    assert_eq!(read_all(&mut owed), b"owed\n");
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}

#[test]
fn signals_that_come_together_are_one_wish() {
    let mut server = Server::start(&["slot=tcp://127.0.0.1:0?delay=500ms"]);
    let mut owed = server.connect("slot");
    owed.write_all(b"owed\n").unwrap();
    server.wait_for_log("stored");
    // As timeout(1) does it, only surely at once: a stopped process takes them together.
    server.signal(Signal::STOP);
    wait_until("the server is stopped", || state(server.pid()) == 'T');
    server.signal(Signal::INT);
    server.signal(Signal::TERM);
    server.signal(Signal::CONT);
    assert_eq!(read_all(&mut owed), b"owed\n");
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}

#[test]
fn nobody_gets_in_behind_the_signal() {
    let (mut server, _socket) = owing("60s");
    let path = server.unix("sum");
    server.signal(Signal::INT);
    wait_until("the path is gone", || !path.exists());
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(0));
    let other = Server::start(&[
        "sum=tcp://127.0.0.1:0",
        "slot=tcp://127.0.0.1:0?delay=60s",
        "--grace",
        "60s",
    ]);
    let mut owed = other.connect("slot");
    owed.write_all(b"patience\n").unwrap();
    other.wait_for_log("stored");
    other.signal(Signal::TERM);
    wait_until("the port is closed", || {
        TcpStream::connect(other.tcp("sum")).is_err()
    });
    let mut other = other;
    other.signal(Signal::TERM);
    assert_eq!(other.wait().code(), Some(0));
}
