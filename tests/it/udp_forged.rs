//! Datagrams in somebody else's name: nobody is answered who must not be. They need root.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket};

use crate::support::server::{Builder, Server};
use crate::support::udp::{ask, client, hears_nothing, report_line, taken, udp};
use crate::support::{LIMIT, wait_until};

/// A socket that sends whole IPv4 packets, or `None` without the privilege.
fn raw_socket() -> Option<OwnedFd> {
    let raw = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::RAW)).ok();
    let may = raw.is_some();
    assert!(
        may || std::env::var_os("CI").is_none(),
        "raw sockets are refused"
    );
    if !may {
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
    let (mut rounds, mut buffer) = (0, [0; 100]);
    let short = Duration::from_millis(100);
    other.set_read_timeout(Some(short)).unwrap();
    let at = udp(&server, 0).to_string();
    wait_until("the end of the loop", || {
        while let Ok((len, from)) = other.recv_from(&mut buffer) {
            rounds += 1;
            other.send_to(&buffer[..len], from).unwrap();
        }
        // A pause may be the machine's.
        report_line(&server, &at).contains("not answered: 1 refused")
    });
    // Pauses begin the count anew, so that there may be more.
    let run = u32::from(switchboard::config::limits::LOOP_RUN);
    assert!(rounds >= run, "{rounds} of {run}");
    assert!(other.recv_from(&mut buffer).is_err(), "it has ended");
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
