//! `--accepts N`: a server for N connections and no more.

use std::io::{Read, Write};

use crate::support::client::read_all;
use crate::support::server::Server;
use crate::support::socket::Kind;
use crate::support::wait_until;

/// An address of its own, which no client's socket takes a port of in the meantime.
const ADDRESS: &str = "127.88.3.1";

#[test]
fn the_third_is_served_then_the_server_ends_and_starts_again_at_once_on_the_same_address() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slot");
    let unix = format!("slot=unix:{}?delay=20ms", path.display());
    let mut endpoint = format!("tcp://{ADDRESS}:0");
    for round in 0..3 {
        let tcp = format!("slot={endpoint}?delay=20ms");
        let mut server = Server::start(&[&tcp, &unix, "--accepts", "3"]);
        endpoint = server.endpoints("slot").swap_remove(0);
        for (number, kind) in [Kind::Tcp, Kind::Unix, Kind::Tcp].into_iter().enumerate() {
            let mut socket = kind.connect(&server, "slot");
            let line = format!("round {round}.{number}\n");
            socket.write_all(line.as_bytes()).unwrap();
            assert_eq!(read_all(&mut socket), line.as_bytes(), "{kind:?}");
        }
        assert_eq!(server.wait().code(), Some(0), "{}", server.log());
        assert!(!path.exists(), "round {round}: the path is left");
        assert!(!folder.path().join("slot.lock").exists(), "round {round}");
    }
}

#[test]
fn the_listeners_close_after_the_last_and_nobody_is_told_bye() {
    let mut server = Server::start(&[
        "echo=tcp://127.0.0.1:0",
        "sum=unix:DIR/sum",
        "--accepts",
        "3",
    ]);
    let path = server.unix("sum");
    let mut first = Kind::Unix.connect(&server, "sum");
    let mut second = Kind::Tcp.connect(&server, "echo");
    let mut third = Kind::Tcp.connect(&server, "echo");
    server.wait_for_log("was the last to be taken");
    wait_until("the path is gone", || !path.exists());
    let refused = std::net::TcpStream::connect(server.tcp("echo"));
    assert!(refused.is_err(), "a fourth client was let in");
    let mut byte = [0; 1];
    for socket in [&mut second, &mut third] {
        socket.write_all(b"x").unwrap();
        socket.read_exact(&mut byte).unwrap();
        socket.end_writing();
        assert_eq!(read_all(socket), b"");
    }
    first.write_all(b"5\n6\n0\n").unwrap();
    assert_eq!(read_all(&mut first), b"Result = 11\n", "and no bye");
    drop(first);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}
