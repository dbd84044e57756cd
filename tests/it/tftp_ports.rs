//! The ports of TFTP, packet by packet: which one answers, who is heard there, and how many are held.

use std::fs;
use std::net::{SocketAddr, UdpSocket};

use crate::support::server::Server;
use crate::support::udp::{hear, hears_nothing, report_line, udp_of};
use crate::support::{LIMIT, process};

const READ: &[u8] = b"\0\x01file\0octet\0";
const SIZE: usize = 1200;

/// A server that has a file of three blocks, and its UDP address.
fn serve(endpoint: &str, more: &[&str]) -> (Server, SocketAddr) {
    let listener = format!("files={endpoint}");
    let server = Server::start(&[&[&*listener], more].concat());
    let folder = server.folder().join("switchboard/files");
    fs::write(folder.join("file"), vec![7; SIZE]).unwrap();
    let at = udp_of(&server, "files", 0);
    (server, at)
}

/// A socket that hears everybody.
fn client(host: &str) -> UdpSocket {
    let client = UdpSocket::bind((host, 0)).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client
}

/// Sends a packet there; says what comes back, and from where.
fn ask(client: &UdpSocket, packet: &[u8], to: SocketAddr) -> (Vec<u8>, SocketAddr) {
    client.send_to(packet, to).unwrap();
    let mut buffer = vec![0; 65_536];
    let (len, from) = client.recv_from(&mut buffer).unwrap();
    buffer.truncate(len);
    (buffer, from)
}

fn data(block: u8, len: usize) -> Vec<u8> {
    [&[0, 3, 0, block][..], &vec![7; len]].concat()
}

/// The rest of the file, from that port.
fn finish(client: &UdpSocket, port: SocketAddr) {
    let block = ask(client, &[0, 4, 0, 1], port);
    assert_eq!(block, (data(2, 512), port));
    let block = ask(client, &[0, 4, 0, 2], port);
    assert_eq!(block, (data(3, SIZE - 1024), port));
    client.send_to(&[0, 4, 0, 3], port).unwrap();
}

#[test]
fn each_transfer_has_a_port_where_only_its_peer_is_heard() {
    let (server, at) = serve("udp://127.0.0.1:0", &[]);
    let (a, b) = (client("127.0.0.1"), client("127.0.0.1"));
    let (block, port_a) = ask(&a, READ, at);
    assert_eq!(block, data(1, 512));
    let (_, port_b) = ask(&b, READ, at);
    assert!(port_a != at && port_b != at && port_a != port_b);
    assert_eq!(port_a.ip(), at.ip());
    // The request again is part of the same transfer, and nothing comes of it.
    a.send_to(READ, at).unwrap();
    hears_nothing(&a);
    // Nobody else is heard there.
    let foreign = client("127.0.0.1");
    foreign.connect(port_a).unwrap();
    foreign.send(&[0, 4, 0, 1]).unwrap();
    assert!(foreign.recv(&mut [0; 10]).is_err(), "its port is closed");
    finish(&a, port_a);
    finish(&b, port_b);
    // Another from the same port, at once.
    let (block, again) = ask(&a, READ, at);
    assert_eq!(block, data(1, 512));
    finish(&a, again);
    server.wait_for_log("#3 ");
    server.stop();
}

#[test]
fn with_a_single_port_all_come_from_there() {
    let (server, at) = serve("udp://127.0.0.1:0?port=single", &[]);
    let (a, b) = (client("127.0.0.1"), client("127.0.0.1"));
    for client in [&a, &b] {
        assert_eq!(ask(client, READ, at), (data(1, 512), at));
    }
    finish(&b, at);
    finish(&a, at);
    let stray = ask(&client("127.0.0.1"), &[0, 4, 0, 1], at);
    assert_eq!((&stray.0[..4], stray.1), (&[0, 5, 0, 5][..], at));
    server.stop();
}

#[test]
fn a_fresh_port_has_the_address_that_was_asked() {
    for (endpoint, asked, host) in [
        ("udp://0.0.0.0:0", "127.0.0.3", "127.0.0.1"),
        ("udp://[::]:0", "::1", "::1"),
        ("udp://[::1]:0", "::1", "::1"),
    ] {
        let (server, at) = serve(endpoint, &[]);
        let to = SocketAddr::new(asked.parse().unwrap(), at.port());
        let a = client(host);
        let (block, port) = ask(&a, READ, to);
        assert_eq!((block, port.ip()), (data(1, 512), to.ip()), "{endpoint}");
        assert_ne!(port.port(), at.port());
        finish(&a, port);
        server.stop();
    }
}

#[test]
fn a_client_that_has_gone_ends_its_transfer() {
    let (server, at) = serve("udp://127.0.0.1:0", &[]);
    let a = client("127.0.0.1");
    let (_, port) = ask(&a, READ, at);
    a.send_to(&[0, 4, 0, 1], port).unwrap();
    drop(a);
    server.wait_for_log("the client broke it off");
    server.stop();
}

#[test]
fn a_silent_requester_is_sent_three_packets() {
    let (server, at) = serve("udp://127.0.0.1:0", &[]);
    let a = client("127.0.0.1");
    let (block, port) = ask(&a, READ, at);
    a.connect(port).unwrap();
    for _ in 0..2 {
        assert_eq!(hear(&a), block);
    }
    server.wait_for_log("the client no longer answers");
    hears_nothing(&a);
    let (line, sent) = (report_line(&server, &at.to_string()), 3 * block.len());
    assert!(line.contains(&format!("3 of {sent} bytes out")), "{line}");
    server.stop();
}

#[test]
fn whoever_is_silent_gives_way_where_ports_are_few() {
    // A quarter of them may be ports of transfers.
    let (server, at) = serve("udp://127.0.0.1:0", &["--max-connections=8"]);
    let clients: Vec<_> = (0..6).map(|_| client("127.0.0.1")).collect();
    let (_, proved) = ask(&clients[0], READ, at);
    let second = ask(&clients[0], &[0, 4, 0, 1], proved);
    assert_eq!(second.0, data(2, 512));
    let ports: Vec<_> = clients[1..].iter().map(|c| ask(c, READ, at).1).collect();
    server.wait_for_log("too many others came");
    finish_from_two(&clients[0], proved);
    finish(&clients[5], ports[4]);
    server.stop();
}

fn finish_from_two(client: &UdpSocket, port: SocketAddr) {
    let block = ask(client, &[0, 4, 0, 2], port);
    assert_eq!(block, (data(3, SIZE - 1024), port));
    client.send_to(&[0, 4, 0, 3], port).unwrap();
}

#[test]
fn an_upload_that_is_done_holds_no_port_that_others_need() {
    let more = ["--max-connections=8"];
    let (server, at) = serve("udp://127.0.0.1:0?upload=yes", &more);
    for number in 0..6 {
        let a = client("127.0.0.1");
        let request = [b"\0\x02new", &[b'0' + number][..], b"\0octet\0"].concat();
        let (answer, port) = ask(&a, &request, at);
        assert_eq!(answer, [0, 4, 0, 0]);
        assert_eq!(ask(&a, &[0, 3, 0, 1, 7], port), (vec![0, 4, 0, 1], port));
    }
    let a = client("127.0.0.1");
    assert_eq!(ask(&a, READ, at).0, data(1, 512));
    assert!(
        !server.log().contains("too many others"),
        "{}",
        server.log()
    );
    server.stop();
}

/// Each holds a file, and descriptors are everybody's.
#[test]
fn requests_at_a_single_port_take_only_their_share_of_descriptors() {
    let more = ["--max-connections=400"];
    let (server, at) = serve("udp://127.0.0.1:0?port=single", &more);
    let before = process::descriptors(server.pid());
    let clients: Vec<_> = (0..200).map(|_| client("127.0.0.1")).collect();
    for a in &clients {
        assert_eq!(ask(a, READ, at).0, data(1, 512));
    }
    let taken = process::descriptors(server.pid()) - before;
    assert!(taken <= 100, "{taken}");
    finish(&clients[199], at);
    server.stop();
}
