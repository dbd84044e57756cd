//! Datagrams that their sender sent as one, over real sockets.

use std::io::IoSlice;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};

use super::*;
use crate::reactor::datagram::UdpOptions;
use crate::reactor::datagram::tests::{GAME, Loop, hear, hears_nothing, settings, start_as};

fn start(rate: Option<u32>) -> Loop {
    let options = UdpOptions {
        rate,
        ..UdpOptions::default()
    };
    start_as(&GAME, options, settings())
}

/// Sends the bytes as datagrams of so many, in one call.
fn send_as_one(client: &UdpSocket, bytes: &[u8], segment: u16) {
    let nowhere: Option<&SockaddrStorage> = None;
    let (slices, cut) = (
        [IoSlice::new(bytes)],
        [ControlMessage::UdpGsoSegments(&segment)],
    );
    let sent = sendmsg(
        client.as_raw_fd(),
        &slices,
        &cut,
        MsgFlags::empty(),
        nowhere,
    );
    assert_eq!(sent, Ok(bytes.len()));
}

/// The numbers of the answers, in the order in which they came.
fn numbers(client: &UdpSocket, count: usize) -> Vec<usize> {
    let heard = (0..count).map(|_| hear(client).parse().unwrap());
    heard.collect()
}

#[test]
fn each_of_several_that_came_as_one_has_its_own_borders() {
    let mut t = start(None);
    let a = t.client();
    // Commands of five bytes, and a shorter one at the end.
    send_as_one(&a, b"firstproveotherlastx?", 5);
    t.take();
    assert_eq!((hear(&a).as_str(), hear(&a).as_str()), ("1", "3"));
    assert_eq!((hear(&a).as_str(), hear(&a).as_str()), ("4", "5"));
    assert!(hears_nothing(&a));
    let counts = t.counts();
    assert_eq!((counts.taken, counts.bytes_in, counts.sent), (5, 21, 4));
    // One that is cut into one, and empty ones, are as ever.
    send_as_one(&a, b"x", 5);
    a.send(b"").unwrap();
    t.until(|t| t.counts().taken == 7);
    assert_eq!(numbers(&a, 2), [6, 7]);
}

#[test]
fn a_turn_ends_after_so_many_and_the_rest_has_the_next() {
    let mut t = start(None);
    let (a, b) = (t.client(), t.client());
    for _ in 0..3 {
        send_as_one(&a, &[b'x'; 128], 2);
    }
    b.send(b"x").unwrap();
    t.iterate();
    assert_eq!(t.counts().taken, 3 * 64 + 1);
    assert_eq!(t.counts().sent, DATAGRAMS_PER_CALL as u64);
    // What is left keeps its place, also while the socket takes no answers.
    t.reactor.sources.datagram(t.id).unwrap().writable = false;
    t.iterate();
    let socket = t.reactor.sources.datagram(t.id).unwrap();
    assert_eq!(socket.waiting(), DATAGRAMS_PER_CALL);
    assert!(socket.rest.is_some() && !socket.wants_read());
    t.until(|t| t.counts().sent == 3 * 64 + 1);
    assert_eq!(numbers(&a, 3 * 64), (1..=3 * 64).collect::<Vec<_>>());
    assert_eq!(hear(&b), "1");
    assert!(t.reactor.sources.datagram(t.id).unwrap().rest.is_none());
}

#[test]
fn rates_and_credit_are_those_of_single_datagrams() {
    let mut t = start(Some(10));
    let a = t.client();
    // An answer of 1,000 bytes is too much for 4 bytes and their header, and 50 are anyway.
    send_as_one(&a, b"muchxxxxmuch", 4);
    t.take();
    assert_eq!(hear(&a), "2");
    assert_eq!(t.counts().over_credit, 100);
    send_as_one(&a, &[b'x'; 40], 2);
    t.take();
    t.work();
    assert_eq!(numbers(&a, 7), [4, 5, 6, 7, 8, 9, 10]);
    assert!(hears_nothing(&a));
    assert_eq!(t.counts().over_rate, 13);
}
