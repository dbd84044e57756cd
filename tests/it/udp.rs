//! Datagrams against the real binary: nothing mixed up, nothing lost, what is lost is said.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};

use rustix::net::sockopt::{set_ip_tos, set_ipv6_tclass};
use rustix::process::Signal;

use crate::support::client::run;
use crate::support::process::anonymous_bytes;
use crate::support::server::{Builder, Server};
use crate::support::udp::{ask, client, hear, hears_nothing, report_line, taken, udp};
use crate::support::wait_until;

#[test]
fn datagrams_of_every_size_come_back_over_ipv4_and_ipv6() {
    let server = Server::start(&["echo=udp://127.0.0.1:0", "echo=udp://[::1]:0"]);
    for place in 0..2 {
        let client = client(udp(&server, place));
        for len in [0, 1, 512, 1472, 1473, 8192, 65_506, 65_507] {
            let datagram: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            assert!(ask(&client, &datagram) == datagram, "{len} bytes");
        }
    }
    server.stop();
}

#[test]
fn the_recorded_conversation_is_played() {
    let server = Server::start(&["echo=udp://127.0.0.1:0"]);
    let client = client(udp(&server, 0));
    for datagram in [&b"abc"[..], b"hello udp"] {
        assert_eq!(ask(&client, datagram), datagram);
    }
    server.stop();
}

/// A sender with several sockets and a window over all of them.
struct Sender {
    sockets: Vec<UdpSocket>,
    waiting: VecDeque<(usize, Vec<u8>)>,
    random: u64,
}

impl Sender {
    fn next_random(&mut self) -> usize {
        // Any sequence will do; this one is Knuth's (MMIX).
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize
    }

    /// Mostly small, one in fifty of any size; long enough ones say who and which they are.
    fn datagram(&mut self, which: usize, number: usize) -> Vec<u8> {
        let random = self.next_random();
        let len = match random % 50 {
            0 => self.next_random() % 65_508,
            _ => self.next_random() % 200,
        };
        let name = format!("{which}/{number}/");
        let filler = (0..).map(|at| (at * 7 + random % 256) as u8);
        name.bytes().chain(filler).take(len).collect()
    }

    fn run(&mut self, count: usize, window: usize) {
        let mut buffer = vec![0; 65_536];
        for number in 0..count + window {
            if self.waiting.len() >= window || number >= count {
                let Some((which, datagram)) = self.waiting.pop_front() else {
                    return;
                };
                let len = self.sockets[which].recv(&mut buffer).unwrap();
                assert!(
                    buffer[..len] == datagram,
                    "another's datagram, or a lost one"
                );
            }
            if number < count {
                let which = number % self.sockets.len();
                let datagram = self.datagram(which, number);
                self.sockets[which].send(&datagram).unwrap();
                self.waiting.push_back((which, datagram));
            }
        }
    }
}

#[test]
fn a_hundred_clients_lose_nothing_of_a_hundred_thousand_datagrams() {
    let server = Builder::new(&["echo=udp://127.0.0.1:0"])
        .log("info")
        .start();
    let to = udp(&server, 0);
    let senders: Vec<_> = (0..4)
        .map(|seed| {
            std::thread::spawn(move || {
                let mut sender = Sender {
                    sockets: (0..25).map(|_| client(to)).collect(),
                    waiting: VecDeque::new(),
                    random: seed,
                };
                sender.run(25_000, 16);
            })
        })
        .collect();
    for sender in senders {
        sender.join().unwrap();
    }
    let line = report_line(&server, &to.to_string());
    assert!(line.contains("open, 100000 datagrams"), "{line}");
    assert!(line.contains(", 0 lost; 0 lost before"), "{line}");
    server.stop();
}

#[test]
fn the_answer_comes_from_the_address_that_was_asked() {
    let server = Server::start(&["echo=udp://0.0.0.0:0", "echo=udp://[::]:0"]);
    for ip in ["127.0.0.1", "127.0.0.2", "127.255.0.3"] {
        // A connected socket hears nothing from any other address.
        let client = client(SocketAddr::new(ip.parse().unwrap(), udp(&server, 0).port()));
        for _ in 0..3 {
            assert_eq!(ask(&client, ip.as_bytes()), ip.as_bytes());
        }
    }
    let at = SocketAddr::new("::1".parse().unwrap(), udp(&server, 1).port());
    assert_eq!(ask(&client(at), b"six"), b"six");
    server.stop();
}

#[test]
fn a_datagram_to_everybody_is_not_answered() {
    let server = Server::start(&["echo=udp://0.0.0.0:0"]);
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.set_broadcast(true).unwrap();
    let port = udp(&server, 0).port();
    sender.send_to(b"all", ("127.255.255.255", port)).unwrap();
    server.wait_for_log("not answered: it was sent to many");
    hears_nothing(&sender);
    server.stop();
}

/// A socket can be bound to such an address too, and gets nothing but what was sent to many.
#[test]
fn a_listener_at_the_address_of_many_answers_nobody() {
    for ip in ["127.255.255.255", "224.0.0.1"] {
        let server = Server::start(&[&format!("echo=udp://{ip}:0")]);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.set_broadcast(true).unwrap();
        sender.send_to(b"all", udp(&server, 0)).unwrap();
        server.wait_for_log("not answered: it was sent to many");
        hears_nothing(&sender);
        server.stop();
    }
}

#[test]
fn a_second_server_on_the_port_is_refused() {
    let server = Server::start(&["echo=udp://127.0.0.1:0"]);
    let at = udp(&server, 0);
    let listener = format!("echo=udp://{at}");
    let output = run(
        env!("CARGO_BIN_EXE_switchboard"),
        &["serve", &listener],
        b"",
    );
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains(&format!("{listener}: address already in use")),
        "{text}"
    );
    let wildcard = format!("echo=udp://0.0.0.0:{}", at.port());
    let output = run(
        env!("CARGO_BIN_EXE_switchboard"),
        &["serve", &wildcard],
        b"",
    );
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(ask(&client(at), b"still here"), b"still here");
    server.stop();
}

#[test]
fn clients_that_leave_before_the_answer_harm_nobody() {
    let server = Server::start(&["echo=udp://127.0.0.1:0"]);
    let at = udp(&server, 0);
    let other = client(at);
    for round in 0..500 {
        // Its port is closed when the answer comes: the network says so to the server.
        client(at).send(b"gone").unwrap();
        if round % 10 == 0 {
            assert_eq!(ask(&other, b"here"), b"here");
        }
    }
    let line = report_line(&server, &at.to_string());
    assert!(line.contains(", 0 lost; 0 lost before"), "{line}");
    server.stop();
}

#[test]
fn a_source_gets_its_rate_and_no_more() {
    let server = Server::start(&["echo=udp://127.0.0.1:0?rate=1", "echo=udp://127.0.0.1:0"]);
    let (limited, free) = (client(udp(&server, 0)), client(udp(&server, 1)));
    for number in 0..20_u8 {
        limited.send(&[number]).unwrap();
    }
    assert_eq!(hear(&limited), [0]);
    server.wait_for_log("not answered: over its rate");
    for _ in 0..100 {
        assert_eq!(ask(&free, b"x"), b"x", "loopback is exempt by default");
    }
    let line = report_line(&server, &udp(&server, 0).to_string());
    assert!(!line.contains(" 0 over their rate"), "{line}");
    server.stop();
    let output = run(
        env!("CARGO_BIN_EXE_switchboard"),
        &["serve", "echo=udp://127.0.0.1:0?rate=many"],
        b"",
    );
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("option rate: 'many' is no whole number"),
        "{text}"
    );
}

#[test]
fn datagrams_that_found_no_room_are_reported() {
    let server = Server::start(&["echo=udp://127.0.0.1:0"]);
    let client = client(udp(&server, 0));
    assert_eq!(ask(&client, b"x"), b"x");
    server.signal(Signal::STOP);
    for _ in 0..300 {
        client.send(&[1; 60_000]).unwrap();
    }
    server.signal(Signal::CONT);
    // The kernel tells with the next datagram that found room.
    wait_until("a warning of lost datagrams", || {
        client.send(b"x").unwrap();
        server.log().contains("the receive buffer was full")
    });
    let line = report_line(&server, &udp(&server, 0).to_string());
    assert!(!line.contains("; 0 lost before they were read"), "{line}");
    server.stop();
}

#[test]
fn a_burst_leaves_the_server_small() {
    let server = Server::start(&["echo=udp://127.0.0.1:0"]);
    let clients: Vec<_> = (0..500).map(|_| client(udp(&server, 0))).collect();
    for client in &clients {
        assert_eq!(ask(client, b"x"), b"x");
    }
    let kib = anonymous_bytes(server.pid()) / 1024;
    assert!(kib < 8 * 1024, "{kib} KiB for datagrams of one byte");
    server.stop();
}

#[test]
fn what_a_server_of_this_kind_sends_is_not_answered() {
    let server = Server::start(&["echo=udp://127.0.0.1:0", "echo=udp://[::1]:0"]);
    let (v4, v6) = (client(udp(&server, 0)), client(udp(&server, 1)));
    assert_eq!((ask(&v4, b"x"), ask(&v6, b"x")), (vec![b'x'], vec![b'x']));
    set_ip_tos(&v4, 0x0c).unwrap();
    set_ipv6_tclass(&v6, 0x0c).unwrap();
    for (place, client) in [(0, &v4), (1, &v6)] {
        client.send(b"x").unwrap();
        wait_until("the second datagram", || taken(&server, place) == 2);
        let line = report_line(&server, &udp(&server, place).to_string());
        assert!(line.contains("not answered: 1 refused"), "{line}");
        hears_nothing(client);
    }
    server.stop();
}
