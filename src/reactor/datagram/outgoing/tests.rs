//! The queue over real sockets.

use super::*;
use std::net::UdpSocket;

fn socket() -> Socket {
    Socket::bind("127.0.0.1:0".parse().unwrap()).unwrap()
}

fn receiver() -> (UdpSocket, SocketAddr) {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = receiver.local_addr().unwrap();
    (receiver, address)
}

#[test]
fn a_datagram_that_can_not_be_sent_is_lost_and_the_others_are_not() {
    let (receiver, to) = receiver();
    let mut outgoing = Outgoing::default();
    let too_long = vec![0; 65_508];
    for bytes in [&b"one"[..], &too_long, b"", b"three"] {
        assert!(outgoing.push(bytes, to, None));
    }
    let nowhere = "[::1]:9".parse().unwrap();
    assert!(outgoing.push(b"four", nowhere, None));
    let flushed = outgoing.flush(&socket());
    assert_eq!((flushed.sent, flushed.sent_bytes, flushed.lost), (3, 8, 2));
    assert!(outgoing.is_empty() && !flushed.full);
    let mut buffer = [0; 100];
    for expected in [&b"one"[..], b"", b"three"] {
        let len = receiver.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], expected);
    }
}

#[test]
fn the_queue_is_bounded_in_number_and_bytes() {
    let (_receiver, to) = receiver();
    let mut outgoing = Outgoing::default();
    let pushed = (0..2 * DATAGRAMS_WAITING_MAX).filter(|_| outgoing.push(b"x", to, None));
    assert_eq!(pushed.count(), DATAGRAMS_WAITING_MAX);
    let mut outgoing = Outgoing::default();
    let large = vec![0; 65_000];
    let pushed = (0..DATAGRAMS_WAITING_MAX)
        .filter(|_| outgoing.push(&large, to, None))
        .count();
    assert!(pushed * large.len() <= DATAGRAMS_WAITING_BYTES);
    assert!((pushed + 1) * large.len() > DATAGRAMS_WAITING_BYTES);
}

/// The datagrams that came, as their lengths, each with its own number in every byte.
fn heard(receiver: &UdpSocket) -> Vec<usize> {
    receiver.set_nonblocking(true).unwrap();
    let (mut buffer, mut lengths) = (vec![0; 70_000], Vec::new());
    while let Ok(len) = receiver.recv(&mut buffer) {
        let number = (lengths.len() % 251) as u8;
        assert!(buffer[..len].iter().all(|byte| *byte == number));
        lengths.push(len);
    }
    lengths
}

fn push_all(outgoing: &mut Outgoing, lengths: &[usize], to: SocketAddr) {
    for (number, len) in lengths.iter().enumerate() {
        assert!(outgoing.push(&vec![(number % 251) as u8; *len], to, None));
    }
}

#[test]
fn what_goes_out_as_one_arrives_as_it_was() {
    let runs: &[&[usize]] = &[
        &[1_432; 16],
        &[1_432, 1_432, 1_432, 1_432, 1_432, 7],
        &[100, 100, 100, 100, 0, 100, 100, 100, 100, 0],
        &[9, 9, 9, 9, 8, 9, 9, 9, 9, 10, 9, 9],
        &[1; 64],
        &[2; 150],
        &[0; 6],
        &[20_000; 7],
        &[1, 2, 3, 4, 5, 4, 3, 2, 1],
    ];
    for lengths in runs {
        for is_connected in [false, true] {
            let (receiver, to) = receiver();
            let any = "127.0.0.1:0".parse().unwrap();
            let socket = match is_connected {
                false => socket(),
                true => Socket::connected(any, &to).unwrap(),
            };
            let mut outgoing = Outgoing::default();
            push_all(&mut outgoing, lengths, to);
            let flushed = outgoing.flush(&socket);
            let bytes: usize = lengths.iter().sum();
            let expected = (lengths.len() as u64, bytes as u64, 0);
            let sent = (flushed.sent, flushed.sent_bytes, flushed.lost);
            assert_eq!(sent, expected, "{lengths:?}");
            assert_eq!(heard(&receiver), *lengths);
            assert!(outgoing.is_empty() && outgoing.together_max == usize::MAX);
        }
    }
}

#[test]
fn those_of_several_peers_keep_their_order_for_each() {
    let receivers: Vec<_> = (0..3).map(|_| receiver()).collect();
    let (mut outgoing, mut sent) = (Outgoing::default(), [0_usize; 3]);
    // Single ones, and runs of all lengths around the shortest that goes out as one.
    let order = [0, 1, 2, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 0, 1, 0, 0, 0];
    for peer in order {
        let number = sent[peer] as u8;
        assert!(outgoing.push(&[number; 30], receivers[peer].1, None));
        sent[peer] += 1;
    }
    assert_eq!(outgoing.flush(&socket()).sent, order.len() as u64);
    for ((receiver, _), sent) in receivers.iter().zip(sent) {
        assert_eq!(heard(receiver), vec![30; sent]);
    }
}

#[test]
fn what_is_refused_as_one_goes_out_one_by_one() {
    // Nobody takes a datagram at port 0, in whatever way: each is lost, and the next are not.
    let (receiver, to) = receiver();
    let mut outgoing = Outgoing::default();
    push_all(&mut outgoing, &[50; 6], "127.0.0.1:0".parse().unwrap());
    push_all(&mut outgoing, &[60; 6], to);
    let flushed = outgoing.flush(&socket());
    assert_eq!((flushed.sent, flushed.lost), (6, 6));
    assert_eq!(outgoing.together_max, 49);
    assert_eq!(heard(&receiver), [60; 6]);
    push_all(&mut outgoing, &[40; 6], to);
    assert_eq!(outgoing.together(0), 6, "smaller ones still do");
    assert_eq!(outgoing.flush(&socket()).sent, 6);
    assert_eq!(heard(&receiver), [40; 6]);
}

#[test]
fn what_goes_out_as_one_leaves_from_the_address_that_was_asked() {
    for (any, to, from) in [
        ("0.0.0.0:0", "127.0.0.1:0", "127.0.0.2"),
        ("[::]:0", "[::1]:0", "::1"),
    ] {
        let receiver = UdpSocket::bind(to).unwrap();
        let (to, from) = (receiver.local_addr().unwrap(), from.parse().unwrap());
        let socket = Socket::bind(any.parse().unwrap()).unwrap();
        let port = socket.inner.local_addr().unwrap().port();
        let local = Local {
            ip: from,
            interface: 1,
            many: false,
        };
        let mut outgoing = Outgoing::default();
        // As one, as single ones, and as one again, with a shorter one at its end.
        let lengths = [
            1_000, 1_000, 1_000, 1_000, 1_000, 5, 70, 80, 300, 300, 300, 300, 9,
        ];
        for (number, len) in lengths.iter().enumerate() {
            assert!(outgoing.push(&vec![number as u8; *len], to, Some(local)));
        }
        assert_eq!(outgoing.flush(&socket).sent, lengths.len() as u64);
        assert_eq!(outgoing.together_max, usize::MAX);
        let mut buffer = [0; 2_000];
        for (number, len) in lengths.iter().enumerate() {
            let (got, at) = receiver.recv_from(&mut buffer).unwrap();
            assert_eq!((got, at), (*len, SocketAddr::new(from, port)));
            assert!(buffer[..got].iter().all(|byte| *byte == number as u8));
        }
    }
}
