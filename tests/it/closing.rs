//! The last reply is never lost, and no way of ending a connection hurts anybody else.

use std::io::{IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt::set_tcp_cork;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, send, sendmsg};

use crate::support::client::read_all;
use crate::support::rounds::{ROUNDS, below, in_one_of};
use crate::support::server::Server;
use crate::support::stream::Client;
use crate::support::{process, wait_until};

const RUNS: usize = 100;

/// A server with all services on TCP and Unix; `slot` is the slot's options.
fn server(slot: &str) -> Server {
    Server::start(&[
        &format!("slot=tcp://127.0.0.1:0?{slot}"),
        &format!("slot=unix:DIR/slot.sock?{slot}"),
        "sum=tcp://127.0.0.1:0",
        "sum=unix:DIR/sum.sock",
        "echo=tcp://127.0.0.1:0",
        "echo=unix:DIR/echo.sock",
    ])
}

/// A new client is served, on both transports.
fn assert_serves(server: &Server) {
    for mut client in Client::both(server, "sum") {
        client.write_all(b"5\n-7\n0\n").unwrap();
        assert_eq!(read_all(&mut client), b"Result = -2\n");
    }
}

/// Every connection has gone, and with it its descriptor.
fn wait_for_descriptors(server: &Server, start: usize) {
    wait_until("the descriptors of the start", || {
        process::descriptors(server.pid()) == start
    });
}

/// Writes a message and 10 kB more, and again 10 kB when the reply has begun to come, all of it
/// unasked for; expects the whole reply and a clean end of the stream.
fn reply_survives_surplus(mut client: Client, message: &[u8], reply: &[u8]) {
    client.write_all(message).unwrap();
    client.write_all(&[b'x'; 10_000]).unwrap();
    let mut got = client.receive(1);
    client.write_all(&[b'y'; 10_000]).unwrap();
    got.extend(read_all(&mut client));
    assert_eq!(got.len(), reply.len());
    assert!(got == reply, "the reply is another one");
}

fn slot_reply_survives_surplus(size: usize) {
    // A writer that is not run for 50 ms would be cut in two by the default gap.
    let server = server(&format!("delay=1ms&gap=30s&size={size}"));
    let mut message = vec![b'm'; size - 1];
    *message.last_mut().unwrap() = b'\n';
    for _ in 0..RUNS {
        for client in Client::both(&server, "slot") {
            reply_survives_surplus(client, &message, &message);
        }
    }
    server.stop();
}

#[test]
fn a_reply_of_16_bytes_survives_20_kb_too_many() {
    slot_reply_survives_surplus(17);
}

#[test]
fn a_reply_of_100_kb_survives_20_kb_too_many() {
    slot_reply_survives_surplus(100_001);
}

#[test]
fn a_reply_of_2_mb_survives_20_kb_too_many() {
    slot_reply_survives_surplus(2_000_001);
}

#[test]
fn a_sum_survives_20_kb_too_many() {
    let server = server("delay=1ms");
    for _ in 0..RUNS {
        for client in Client::both(&server, "sum") {
            reply_survives_surplus(client, b"5\n-7\n0\n", b"Result = -2\n");
        }
    }
    server.stop();
}

#[test]
fn a_reply_survives_5_mb_that_are_written_before_it_is_read() {
    let server = server("delay=1ms");
    let mut input = b"5\n-7\n0\n".to_vec();
    input.resize(5_000_000, b'z');
    for mut client in Client::both(&server, "sum") {
        client.write_all(&input).unwrap();
        assert_eq!(read_all(&mut client), b"Result = -2\n");
    }
    server.stop();
}

#[test]
fn half_close_gets_all_that_is_owed() {
    let server = server("delay=20ms");
    for _ in 0..20 {
        for (service, input, reply) in [
            ("slot", "hi", "hi\0"),
            ("slot", "hi\n", "hi\n"),
            ("sum", "5\n-7", "Result = -2\n"),
            ("sum", "", "Result = 0\n"),
            ("echo", "every byte", "every byte"),
            ("echo", "", ""),
        ] {
            for mut client in Client::both(&server, service) {
                client.write_all(input.as_bytes()).unwrap();
                client.half_close();
                let got = read_all(&mut client);
                assert_eq!(got, reply.as_bytes(), "{service} {input:?}");
            }
        }
    }
    server.stop();
}

/// How far a client goes before it resets the connection.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Connected,
    MessageBegun,
    ReplyOwed,
    ReplyBegun,
    HalfClosed,
    ReplyRead,
}

fn go(client: &mut Client, stage: Stage, size: usize) {
    let mut message = vec![b'm'; size - 1];
    *message.last_mut().unwrap() = b'\n';
    match stage {
        Stage::Connected => {}
        Stage::MessageBegun => client.write_all(&message[..10]).unwrap(),
        Stage::ReplyOwed => client.write_all(&message).unwrap(),
        Stage::ReplyBegun => {
            client.write_all(&message).unwrap();
            client.receive(1);
        }
        Stage::HalfClosed => {
            client.write_all(&message[..10]).unwrap();
            client.half_close();
        }
        Stage::ReplyRead => {
            client.write_all(&message).unwrap();
            client.receive(message.len());
        }
    }
}

#[test]
fn a_reset_at_any_stage_costs_only_its_own_connection() {
    const SIZE: usize = 500_000;
    let server = server(&format!("delay=20ms&gap=30s&size={SIZE}"));
    let start = process::descriptors(server.pid());
    for stage in [
        Stage::Connected,
        Stage::MessageBegun,
        Stage::ReplyOwed,
        Stage::ReplyBegun,
        Stage::HalfClosed,
        Stage::ReplyRead,
    ] {
        for _ in 0..20 {
            for mut client in Client::both(&server, "slot") {
                go(&mut client, stage, SIZE);
                client.reset();
            }
        }
        assert_serves(&server);
        wait_for_descriptors(&server, start);
    }
    assert!(server.log().contains("the client broke it off"));
    server.stop();
}

#[test]
fn a_peer_that_shuts_its_reading_is_closed_without_spinning() {
    let server = server("delay=50ms");
    let start = process::descriptors(server.pid());
    let mut slot = Client::unix(&server, "slot");
    slot.write_all(b"hello\n").unwrap();
    slot.shutdown(Shutdown::Read);
    let mut echo = Client::unix(&server, "echo");
    echo.shutdown(Shutdown::Read);
    let _ = echo.write_all(b"to nobody");
    wait_for_descriptors(&server, start);
    // A client on TCP that does so is not seen by the server; it reads its own end.
    let mut echo = Client::tcp(&server, "echo");
    echo.shutdown(Shutdown::Read);
    echo.write_all(b"to nobody").unwrap();
    let silent = Client::tcp(&server, "echo");
    in_one_of(ROUNDS, || {
        let before = process::run_time(server.pid());
        assert!(!silent.wait_readable(Duration::from_millis(500)));
        let used = process::run_time(server.pid()) - before;
        below("processor time", used, Duration::from_millis(20))
    });
    drop(silent);
    drop(echo);
    wait_for_descriptors(&server, start);
    assert_serves(&server);
    server.stop();
}

#[test]
fn what_follows_urgent_data_is_read() {
    let server = server("delay=1ms");
    for _ in 0..RUNS {
        let mut client = Client::tcp(&server, "echo");
        client.write_all(b"abc").unwrap();
        send(client.as_fd(), b"!", SendFlags::OOB).unwrap();
        client.write_all(b"def\n").unwrap();
        assert_eq!(
            client.receive(7),
            b"abcdef\n",
            "the urgent byte itself is out of line"
        );
        client.write_all(b"ghi").unwrap();
        client.half_close();
        assert_eq!(read_all(&mut client), b"ghi");
    }
    server.stop();
}

#[test]
fn data_and_the_end_in_one_segment_are_both_seen() {
    let server = server("delay=1ms");
    for _ in 0..RUNS {
        let mut client = Client::tcp(&server, "sum");
        set_tcp_cork(client.as_fd(), true).unwrap();
        client.write_all(b"5\n-7").unwrap();
        client.half_close();
        assert_eq!(read_all(&mut client), b"Result = -2\n");
    }
    server.stop();
}

#[test]
fn descriptors_that_a_client_sends_are_not_kept() {
    let server = server("delay=1ms");
    let mut client = Client::unix(&server, "echo");
    client.write_all(b"x").unwrap();
    client.receive(1);
    let start = process::descriptors(server.pid());
    for _ in 0..RUNS {
        let (mut reader, writer) = std::io::pipe().unwrap();
        {
            let descriptors = [writer.as_fd()];
            let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
            let parts = [IoSlice::new(b"with")];
            sendmsg(client.as_fd(), &parts, &mut ancillary, SendFlags::empty()).unwrap();
        }
        assert_eq!(client.receive(4), b"with");
        // The server read past the descriptor, which is closed by that: it was the last writer.
        drop(writer);
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        client.write_all(b"out").unwrap();
        assert_eq!(client.receive(3), b"out");
    }
    assert_eq!(process::descriptors(server.pid()), start);
    assert_serves(&server);
    server.stop();
}
