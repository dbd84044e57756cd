//! `echo` over real sockets: every byte, in order, at any speed, until the client stops writing.

use std::io::{Read, Write};
use std::thread;

use crate::support::client::read_all;
use crate::support::server::{Builder, Server};
use crate::support::socket::{Kind, allow_descriptors};

const ARGUMENTS: [&str; 2] = ["echo=tcp://127.0.0.1:0", "echo=unix:DIR/echo"];

/// Bytes that differ from place to place, so that none can be lost, doubled or moved unseen: the
/// period is a prime number, and no power of two.
fn pattern() -> Vec<u8> {
    (0..65_521_u32)
        .map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect()
}

#[test]
fn sixty_four_mebibytes_come_back_while_they_are_being_written() {
    const TOTAL: usize = 64 * 1024 * 1024;
    let server = Builder::new(&ARGUMENTS).log("info").start();
    thread::scope(|scope| {
        for kind in Kind::BOTH {
            let server = &server;
            scope.spawn(move || {
                let mut socket = kind.connect(server, "echo");
                let mut writer = socket.twin();
                let writing = thread::spawn(move || {
                    let pattern = pattern();
                    let mut left = TOTAL;
                    while left > 0 {
                        let part = &pattern[..left.min(pattern.len())];
                        writer.write_all(part).unwrap();
                        left -= part.len();
                    }
                    writer.end_writing();
                });
                let expected = pattern();
                let mut part = vec![0; expected.len()];
                let mut got = 0;
                while got < TOTAL {
                    let want = part.len().min(TOTAL - got);
                    socket.read_exact(&mut part[..want]).unwrap();
                    assert!(
                        part[..want] == expected[..want],
                        "{kind:?}: differs behind byte {got}"
                    );
                    got += want;
                }
                assert_eq!(
                    read_all(&mut socket),
                    b"",
                    "{kind:?}: more came back than was sent"
                );
                writing.join().unwrap();
            });
        }
    });
    server.stop();
}

#[test]
fn the_server_ends_only_when_the_client_stops_writing() {
    let server = Server::start(&ARGUMENTS);
    for kind in Kind::BOTH {
        let mut socket = kind.connect(&server, "echo");
        for length in [1, 2, 1000, 1] {
            let part = &pattern()[..length];
            socket.write_all(part).unwrap();
            let mut back = vec![0; length];
            socket.read_exact(&mut back).unwrap();
            assert_eq!(back, part, "{kind:?}");
        }
        socket.write_all(b"the last bytes").unwrap();
        socket.end_writing();
        assert_eq!(read_all(&mut socket), b"the last bytes", "{kind:?}");
    }
    server.stop();
}

#[test]
fn a_client_that_sends_nothing_gets_nothing_and_an_end() {
    let server = Server::start(&ARGUMENTS);
    for kind in Kind::BOTH {
        let mut socket = kind.connect(&server, "echo");
        socket.end_writing();
        assert_eq!(read_all(&mut socket), b"", "{kind:?}");
    }
    server.wait_for_log("closed after");
    assert!(!server.log().contains("broke"), "{}", server.log());
    server.stop();
}

#[test]
fn each_of_many_clients_at_once_gets_its_own_bytes() {
    const CLIENTS: usize = 500;
    if !allow_descriptors(CLIENTS as u64 + 500) {
        return;
    }
    let server = Builder::new(&ARGUMENTS).log("info").start();
    let mut sockets: Vec<_> = (0..CLIENTS)
        .map(|number| Kind::BOTH[number % 2].connect(&server, "echo"))
        .collect();
    let line = |client: usize, round: usize| format!("client {client} round {round}\n").repeat(50);
    for round in 0..4 {
        for (client, socket) in sockets.iter_mut().enumerate() {
            socket.write_all(line(client, round).as_bytes()).unwrap();
        }
    }
    for (client, socket) in sockets.iter_mut().enumerate() {
        socket.end_writing();
        let expected: String = (0..4).map(|round| line(client, round)).collect();
        let got = String::from_utf8(read_all(socket)).unwrap();
        assert!(
            got == expected,
            "client {client}: {} bytes of {}",
            got.len(),
            expected.len()
        );
    }
    server.stop();
}
