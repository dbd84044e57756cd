//! Datagrams against the real binary: nothing mixed up or lost, nobody answered who must not be.

use std::collections::VecDeque;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket};
use rustix::process::Signal;

use crate::support::client::run;
use crate::support::server::{Builder, Server};
use crate::support::{LIMIT, have, wait_until};

/// The address of the `place`th UDP listener of echo.
fn udp(server: &Server, place: usize) -> SocketAddr {
    let endpoints = server.endpoints("echo");
    let mut addresses = endpoints.iter().filter_map(|e| e.strip_prefix("udp://"));
    addresses.nth(place).unwrap().parse().unwrap()
}

fn client(to: SocketAddr) -> UdpSocket {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let client = UdpSocket::bind(any).unwrap();
    client.connect(to).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client
}

fn ask(client: &UdpSocket, datagram: &[u8]) -> Vec<u8> {
    client.send(datagram).unwrap();
    hear(client)
}

fn hear(client: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let len = client.recv(&mut buffer).unwrap();
    buffer.truncate(len);
    buffer
}

fn hears_nothing(client: &UdpSocket) {
    client
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let heard = client.recv(&mut [0; 65_536]);
    assert!(heard.is_err(), "{heard:?} bytes came");
    client.set_read_timeout(Some(LIMIT)).unwrap();
}

/// The datagrams that the `place`th UDP listener has taken so far, by the table of SIGUSR1.
fn taken(server: &Server, place: usize) -> u64 {
    let address = udp(server, place).to_string();
    let line = report_line(server, &address);
    let words: Vec<_> = line.split(' ').collect();
    let at = words.iter().position(|word| *word == "datagrams").unwrap();
    words[at - 1].parse().unwrap()
}

/// The line about that listener in a table that is printed now.
fn report_line(server: &Server, address: &str) -> String {
    let tables = |log: &str| log.matches("taken in all").count();
    let before = tables(&server.log());
    server.signal(Signal::USR1);
    let mut found = String::new();
    wait_until("the table", || {
        let log = server.log();
        let text = log.rsplit("taken in all").next().unwrap_or("").to_owned();
        let line = text.lines().find(|line| line.contains(address));
        found = line.unwrap_or("").to_owned();
        tables(&log) > before && found.ends_with("waiting")
    });
    found
}

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
    server.wait_for_log("not answered: Destination");
    hears_nothing(&sender);
    server.stop();
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
fn foreign_clients_are_answered() {
    let server = Server::start(&["echo=udp://127.0.0.1:0"]);
    let port = udp(&server, 0).port().to_string();
    if have("nc.openbsd") {
        let output = run("nc.openbsd", &["-u", "-w1", "127.0.0.1", &port], b"hello\n");
        assert_eq!(output.stdout, b"hello\n");
    }
    if have("nc.traditional") {
        let arguments = ["-u", "-q1", "-w1", "127.0.0.1", &port];
        let output = run("nc.traditional", &arguments, b"hello\n");
        assert_eq!(output.stdout, b"hello\n");
    }
    if have("socat") {
        let at = format!("UDP:127.0.0.1:{port}");
        let output = run("socat", &["-t3", "-", &at], &[b'x'; 5000]);
        assert!(output.stdout == [b'x'; 5000]);
        // An empty datagram goes out, and comes back as one: socat takes it for the end.
        let before = taken(&server, 0);
        let at = format!("{at},shut-null");
        let output = run("socat", &["-,null-eof", &at], b"");
        assert!(output.status.success() && output.stdout.is_empty());
        wait_until("the empty datagram", || taken(&server, 0) == before + 1);
    }
    server.stop();
}

/// A socket that sends whole IPv4 packets, or `None` without the privilege.
fn raw_socket() -> Option<OwnedFd> {
    let raw = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::RAW)).ok();
    if raw.is_none() {
        eprintln!("skipped: only root may forge datagrams");
    }
    raw
}

/// Sends a datagram in the name of `from`.
fn forge(raw: &OwnedFd, from: SocketAddrV4, to: SocketAddr, payload: &[u8]) {
    let SocketAddr::V4(to) = to else {
        panic!("IPv4 only")
    };
    let len = u16::try_from(8 + payload.len()).unwrap();
    // RFC 791; the kernel fills in the length and the checksum (raw(7)).
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(from.ip().octets());
    packet.extend(to.ip().octets());
    // RFC 768; a checksum of 0 is none.
    for field in [from.port(), to.port(), len, 0] {
        packet.extend(field.to_be_bytes());
    }
    packet.extend(payload);
    sendto(raw, &packet, SendFlags::empty(), &to).unwrap();
}

#[test]
fn no_two_servers_can_be_set_on_each_other() {
    let Some(raw) = raw_socket() else { return };
    let one = Server::start(&["echo=udp://127.0.0.1:0", "echo=udp://127.0.0.1:0"]);
    let port = udp(&one, 0).port();
    let two = Server::start(&[&format!("echo=udp://127.0.0.2:{port}")]);
    let three = Server::start(&["echo=udp://127.0.0.3:0"]);
    let v4 = |address: SocketAddr| match address {
        SocketAddr::V4(v4) => v4,
        SocketAddr::V6(_) => panic!("IPv4 only"),
    };
    let (a, b, c) = (udp(&one, 0), udp(&one, 1), udp(&two, 0));
    forge(&raw, v4(a), a, b"itself");
    forge(&raw, v4(b), a, b"its neighbour");
    forge(&raw, v4(c), a, b"another server with the same port");
    for port in [0, 7, 13, 17, 19, 37, 53, 69, 123, 161, 1900, 11_211] {
        forge(
            &raw,
            SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), port),
            a,
            b"?",
        );
        forge(&raw, SocketAddrV4::new(Ipv4Addr::LOCALHOST, port), a, b"?");
    }
    wait_until("27 forged datagrams", || taken(&one, 0) == 27);
    let line = report_line(&one, &a.to_string());
    assert!(line.contains(" 0 of 0 bytes out"), "{line}");
    assert!(line.contains("27 refused"), "{line}");
    assert_eq!((taken(&one, 1), taken(&two, 0)), (0, 0));
    // Nobody could foresee the third's port; but what servers send is marked.
    let d = udp(&three, 0);
    forge(&raw, v4(d), a, b"round and round");
    wait_until("the first server's answer", || taken(&three, 0) == 1);
    let line = report_line(&three, &d.to_string());
    assert!(
        line.contains(" 0 of 0 bytes out; not answered: 1 refused"),
        "{line}"
    );
    assert_eq!((taken(&one, 0), taken(&three, 0)), (28, 1));
    let client = client(a);
    assert_eq!(ask(&client, b"served"), b"served");
    one.stop();
    two.stop();
    three.stop();
}

#[test]
fn a_loop_with_a_server_of_another_kind_ends() {
    let Some(raw) = raw_socket() else { return };
    let server = Builder::new(&["echo=udp://127.0.0.1:0"])
        .log("info")
        .start();
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let SocketAddr::V4(from) = other.local_addr().unwrap() else {
        panic!("IPv4 only")
    };
    forge(&raw, from, udp(&server, 0), b"round and round");
    let mut rounds = 0;
    let mut buffer = [0; 100];
    other.set_read_timeout(Some(LIMIT)).unwrap();
    while let Ok((len, from)) = other.recv_from(&mut buffer) {
        rounds += 1;
        other.send_to(&buffer[..len], from).unwrap();
        // From here on silence is what is waited for.
        if rounds == switchboard::config::limits::LOOP_RUN {
            other
                .set_read_timeout(Some(Duration::from_millis(300)))
                .unwrap();
        }
    }
    assert_eq!(rounds, switchboard::config::limits::LOOP_RUN);
    server.stop();
}

#[test]
fn a_forged_source_gets_no_more_than_was_sent_in_its_name() {
    let Some(raw) = raw_socket() else { return };
    let server = Server::start(&["echo=udp://127.0.0.1:0"]);
    let victim = UdpSocket::bind("127.0.0.9:0").unwrap();
    let SocketAddr::V4(from) = victim.local_addr().unwrap() else {
        panic!("IPv4 only")
    };
    let to = udp(&server, 0);
    let (mut sent, mut heard) = (0, 0);
    for len in (0..200).step_by(7) {
        forge(&raw, from, to, &vec![7; len]);
        sent += len;
    }
    victim.set_read_timeout(Some(LIMIT)).unwrap();
    let mut buffer = [0; 65_536];
    for _ in (0..200).step_by(7) {
        heard += victim.recv(&mut buffer).unwrap();
    }
    assert_eq!(heard, sent);
    hears_nothing(&victim);
    server.stop();
}

#[test]
fn a_burst_leaves_the_server_small() {
    let server = Server::start(&["echo=udp://127.0.0.1:0"]);
    let clients: Vec<_> = (0..500).map(|_| client(udp(&server, 0))).collect();
    for client in &clients {
        assert_eq!(ask(client, b"x"), b"x");
    }
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    assert!(kib < 8 * 1024, "{kib} KiB for datagrams of one byte");
    server.stop();
}
