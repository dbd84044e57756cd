//! Flows with sockets of their own, over real sockets and with forged sources.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use super::*;
use crate::config::limits::{FLOW_IDLE, TRANSFERS_BEGUN_PER_SECOND};
use crate::reactor::datagram::UdpOptions;
use crate::reactor::datagram::tests::{
    GAME, Loop, PATIENCE, hear, hears_nothing, settings, start_as,
};
use crate::reactor::{Settings, State};
use crate::service::Entry;

/// [`GAME`], with a port for each flow.
const TRANSFERS: Entry = Entry {
    datagrams: Some(Datagrams::Transfers),
    ..GAME
};

const FRESH: UdpOptions = UdpOptions {
    rate: None,
    single_port: false,
};

const SINGLE: UdpOptions = UdpOptions {
    rate: None,
    single_port: true,
};

/// So many transfers may have sockets of their own with the settings of [`room_for`].
fn room_for(sockets: usize) -> Loop {
    start_as(
        &TRANSFERS,
        FRESH,
        Settings {
            connections_max: 4 * sockets,
            descriptors_max: 1_000,
            ..settings()
        },
    )
}

fn fresh() -> Loop {
    room_for(100)
}

fn single() -> Loop {
    start_as(&TRANSFERS, SINGLE, settings())
}

impl Loop {
    /// A client that hears everybody.
    fn someone(&self) -> UdpSocket {
        let client = UdpSocket::bind((self.at.ip(), 0)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }

    /// Sends a datagram to the listener and hears the answer; says where it came from.
    fn begin(&mut self, client: &UdpSocket, text: &str) -> (String, SocketAddr) {
        self.go_on(client, text, self.at);
        let mut buffer = [0; 2000];
        let (len, from) = client.recv_from(&mut buffer).unwrap();
        (String::from_utf8(buffer[..len].to_vec()).unwrap(), from)
    }

    /// Sends a datagram to that port, and lets the loop take and answer it: what a new transfer says
    /// leaves at the turn of its own socket.
    fn go_on(&mut self, client: &UdpSocket, text: &str, port: SocketAddr) {
        client.send_to(text.as_bytes(), port).unwrap();
        self.take();
        self.work();
    }

    /// The sockets of transfers: which, at which port, and with which peer.
    fn own(&self) -> impl Iterator<Item = (SourceId, SocketAddr, SocketAddr)> + '_ {
        let sockets = self.reactor.sources.datagrams();
        let own = sockets.filter(|(id, _)| *id != self.id);
        own.map(|(id, own)| {
            let socket = &own.socket.inner;
            let (at, peer) = (socket.local_addr().unwrap(), socket.peer_addr().unwrap());
            (id, at, peer)
        })
    }

    /// The socket and the port of the transfer of that client.
    fn own_of(&self, client: &UdpSocket) -> (SourceId, SocketAddr) {
        let client = client.local_addr().unwrap();
        let found = self.own().find(|(.., peer)| *peer == client);
        found.map(|(id, at, _)| (id, at)).unwrap()
    }

    /// Transfers, those of them with a socket of their own, and all UDP sockets of the loop.
    fn held(&self) -> (usize, usize, usize) {
        let flows = &self.reactor.udp.flows;
        let sockets = self.reactor.sources.datagrams().count();
        (
            flows.len(),
            flows.descriptors() - flows.transfers(),
            sockets,
        )
    }

    /// Whether only the listener is left: no session, no place of a connection, no socket.
    fn has_nothing(&self) -> bool {
        let connections = self.reactor.sources.connections().count();
        self.held() == (0, 0, 1) && self.sessions() == 0 && connections == 0
    }
}

/// Whether a port of a transfer is free again: its socket is closed.
fn is_free(port: SocketAddr) -> bool {
    UdpSocket::bind(port).is_ok()
}

#[test]
fn each_transfer_has_a_port_that_is_connected_to_its_peer() {
    let mut t = fresh();
    let (a, b) = (t.someone(), t.someone());
    let (said_a, port_a) = t.begin(&a, "x");
    let (said_b, port_b) = t.begin(&b, "x");
    assert_eq!((said_a.as_str(), said_b.as_str()), ("1", "1"));
    assert!(port_a != t.at && port_b != t.at && port_a != port_b);
    assert_eq!(t.held(), (2, 2, 3));
    assert_eq!(t.reactor.live, 0, "they count as connections elsewhere");
    assert_eq!((t.own_of(&a).1, t.own_of(&b).1), (port_a, port_b));
    // By its own port and by the listener's the client is in the same transfer.
    t.go_on(&a, "x", port_a);
    assert_eq!(hear(&a), "2");
    assert_eq!(t.begin(&a, "x"), ("3".to_owned(), port_a));
    t.go_on(&b, "x", port_b);
    assert_eq!(hear(&b), "2");
}

#[test]
fn a_stranger_at_a_transfer_s_port_finds_it_closed_and_changes_nothing() {
    let mut t = fresh();
    let (a, stranger) = (t.someone(), t.someone());
    let (_, port) = t.begin(&a, "x");
    stranger.connect(port).unwrap();
    stranger.send(b"end").unwrap();
    // The kernel says so at once: nothing of it has reached the loop.
    let error = stranger.recv(&mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    t.go_on(&a, "x", port);
    assert_eq!(hear(&a), "2");
    // Nor does a datagram that came before the socket was connected.
    let (id, _) = t.own_of(&a);
    let stranger = Arrival::forged("127.0.0.1:40000".parse().unwrap());
    t.reactor.arrive(id, &stranger, b"end");
    t.go_on(&a, "x", port);
    assert_eq!(hear(&a), "3");
    assert_eq!(t.held(), (1, 1, 2));
}

#[test]
fn the_end_of_a_transfer_frees_its_socket_and_its_place() {
    let mut t = fresh();
    for round in 0..5 {
        let a = t.someone();
        let (_, port) = t.begin(&a, "x");
        assert!(!is_free(port), "round {round}");
        t.go_on(&a, "end", port);
        assert!(t.has_nothing() && is_free(port), "round {round}");
        assert!(hears_nothing(&a));
        // What is late finds a closed port, and begins nothing.
        a.connect(port).unwrap();
        a.send(b"late").unwrap();
        let error = a.recv(&mut [0; 10]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    }
    assert_eq!(t.counts().taken, 10, "what its sockets took is counted");
    assert!(t.has_nothing());
}

#[test]
fn a_transfer_that_ends_with_its_first_datagram_leaves_nothing() {
    let mut t = fresh();
    let a = t.someone();
    for _ in 0..20 {
        t.go_on(&a, "end", t.at);
        assert!(t.has_nothing());
    }
    assert!(hears_nothing(&a));
}

#[test]
fn a_closed_port_of_the_peer_ends_its_transfer() {
    // By what is sent before it has gone, while it waits, and in the middle of a batch.
    for text in ["x", "wait", "prove"] {
        let mut t = fresh();
        let (a, other) = (t.someone(), t.someone());
        let (_, kept) = t.begin(&other, "x");
        t.go_on(&a, text, t.at);
        let (_, ours) = t.own_of(&a);
        match text {
            "wait" => {
                drop(a);
                t.reactor.clock.skip(Duration::from_secs(6));
            }
            "prove" => {
                a.send_to(b"much", ours).unwrap();
                drop(a);
            }
            _ => {
                a.send_to(b"x", ours).unwrap();
                drop(a);
            }
        }
        t.until(|t| t.reactor.udp.flows.len() == 1);
        assert!(is_free(ours), "{text}");
        assert_eq!((t.held(), t.sessions()), ((1, 1, 2), 1), "{text}");
        t.go_on(&other, "x", kept);
        assert_eq!(hear(&other), "2");
    }
}

#[test]
fn an_error_at_the_listener_s_port_harms_nobody() {
    let mut t = single();
    let (a, other) = (t.someone(), t.someone());
    assert_eq!(t.begin(&other, "x").0, "1");
    a.send_to(b"x", t.at).unwrap();
    drop(a);
    t.take();
    assert_eq!(t.begin(&other, "x").0, "2");
    assert_eq!(t.held(), (2, 0, 1), "its own silence ends it");
}

#[test]
fn with_a_single_port_no_transfer_has_a_socket() {
    let mut t = single();
    let (a, b) = (t.someone(), t.someone());
    for count in ["1", "2"] {
        assert_eq!(t.begin(&a, "x"), (count.to_owned(), t.at));
        assert_eq!(t.begin(&b, "x"), (count.to_owned(), t.at));
    }
    assert_eq!(t.held(), (2, 0, 1));
    t.go_on(&a, "end", t.at);
    assert_eq!((t.held(), t.sessions()), ((1, 0, 1), 1));
    assert_eq!(t.begin(&a, "x").0, "1", "the next is a new one");
}

#[test]
fn the_oldest_that_is_unproved_gives_way_where_sockets_are_few() {
    let mut t = room_for(3);
    let clients: Vec<_> = (0..5).map(|_| t.someone()).collect();
    let ports: Vec<_> = clients.iter().map(|c| t.begin(c, "x").1).collect();
    assert_eq!(t.held(), (3, 3, 4));
    assert!(is_free(ports[0]) && is_free(ports[1]) && !is_free(ports[2]));
    for at in 2..5 {
        t.go_on(&clients[at], "prove", ports[at]);
    }
    // All have proved themselves: whoever comes now is not answered.
    t.go_on(&clients[0], "x", t.at);
    assert!(hears_nothing(&clients[0]));
    assert_eq!((t.counts().no_room, t.held()), (1, (3, 3, 4)));
    t.go_on(&clients[3], "end", ports[3]);
    assert_eq!(t.begin(&clients[0], "x").0, "1");
    assert_eq!(t.held(), (3, 3, 4));
}

#[test]
fn transfers_leave_the_descriptors_of_streams_alone() {
    let mut t = start_as(
        &TRANSFERS,
        FRESH,
        Settings {
            connections_max: 1_000,
            descriptors_max: 2,
            ..settings()
        },
    );
    t.reactor.live = 1;
    let (a, b) = (t.someone(), t.someone());
    let (_, port) = t.begin(&a, "x");
    t.begin(&b, "x");
    assert!(t.held() == (1, 1, 2) && is_free(port), "a gave way to b");
    // With streams alone as many as there may be, there is no place for any.
    t.reactor.live = 2;
    let (_, port) = t.own_of(&b);
    t.go_on(&b, "prove", port);
    t.go_on(&a, "x", t.at);
    assert!(hears_nothing(&a));
    assert_eq!((t.counts().no_room, t.held()), (1, (1, 1, 2)));
    t.reactor.live = 0;
}

/// Another machine; nothing is ever sent there from a socket at the loopback address.
fn host(number: u32) -> SocketAddr {
    let ip = Ipv4Addr::from_bits(0xc612_0000 + number);
    SocketAddr::from((ip, 40_000))
}

#[test]
fn other_machines_may_begin_so_many_a_second_all_together() {
    let room = Settings {
        connections_max: 4 * TRANSFERS_MAX,
        descriptors_max: 4 * TRANSFERS_MAX,
        ..settings()
    };
    let mut t = start_as(&TRANSFERS, SINGLE, room);
    let most = TRANSFERS_BEGUN_PER_SECOND;
    for number in 0..most + 50 {
        t.forge(host(number), "x");
    }
    assert_eq!((t.held().0, t.counts().over_rate), (most as usize, 50));
    // What is under way goes on, and whoever is on this machine begins.
    t.forge(host(0), "x");
    t.forge("127.0.0.9:40000".parse().unwrap(), "x");
    assert_eq!((t.held().0, t.counts().over_rate), (most as usize + 1, 50));
    // Another begins when its share of a second has passed; two do not.
    let share = Duration::from_secs(1) / most;
    t.reactor.now = t.reactor.now.after(share);
    t.forge(host(most), "x");
    t.forge(host(most + 1), "x");
    assert_eq!((t.held().0, t.counts().over_rate), (most as usize + 2, 51));
    // After a second of quiet, as many as at first; those who never showed themselves give way.
    t.reactor.now = t.reactor.now.after(Duration::from_secs(2));
    for number in 0..most + 1 {
        t.forge(host(10_000 + number), "x");
    }
    assert_eq!((t.held().0, t.counts().over_rate), (TRANSFERS_MAX, 52));
}

#[test]
fn what_is_over_the_rate_takes_no_socket() {
    let mut t = fresh();
    let now = t.reactor.now;
    while t.reactor.udp.begun.take(TRANSFERS_BEGUN_PER_SECOND, now) {}
    t.forge(host(1), "x");
    assert_eq!((t.counts().over_rate, t.counts().no_room), (1, 0));
    assert!(t.has_nothing());
}

#[test]
fn silence_does_not_end_a_transfer_and_its_session_does() {
    let mut t = fresh();
    let a = t.someone();
    let (_, port) = t.begin(&a, "x");
    t.reactor.clock.skip(FLOW_IDLE + Duration::from_secs(1));
    t.work();
    t.go_on(&a, "x", port);
    assert_eq!(hear(&a), "2");
}

#[test]
fn what_a_transfer_sends_before_it_proved_itself_is_bounded() {
    let mut t = fresh();
    let a = t.someone();
    t.go_on(&a, "much", t.at);
    // Three blocks of 516 bytes, whatever came: one answer of 1,000 bytes fits, and no second.
    assert_eq!(hear(&a).len(), 1000);
    assert!(hears_nothing(&a));
    let (_, port) = t.own_of(&a);
    t.go_on(&a, "prove", port);
    t.go_on(&a, "much", port);
    (0..50).for_each(|_| assert_eq!(hear(&a).len(), 1000));
}

#[test]
fn answers_wait_for_a_full_socket_of_one_transfer_only() {
    let mut t = fresh();
    let (a, b) = (t.someone(), t.someone());
    let (_, port_a) = t.begin(&a, "x");
    let (_, port_b) = t.begin(&b, "x");
    let (id, _) = t.own_of(&a);
    t.reactor.sources.datagram(id).unwrap().writable = false;
    t.go_on(&a, "x", port_a);
    assert_eq!(t.reactor.sources.datagram(id).unwrap().waiting(), 1);
    assert!(hears_nothing(&a));
    t.go_on(&b, "x", port_b);
    assert_eq!(hear(&b), "2");
    t.until(|t| t.reactor.sources.datagram(id).unwrap().waiting() == 0);
    assert_eq!(hear(&a), "2");
}

#[test]
fn a_shutdown_says_goodbye_from_every_port_and_closes_them() {
    let mut t = fresh();
    let clients: Vec<_> = (0..5).map(|_| t.someone()).collect();
    let ports: Vec<_> = clients.iter().map(|c| t.begin(c, "x").1).collect();
    t.reactor.begin_drain("a test");
    t.until(|t| t.reactor.state == State::Stopped);
    for client in &clients {
        assert_eq!(hear(client), "bye");
    }
    assert!(ports.into_iter().all(is_free));
    assert_eq!(t.sessions(), 0);
}
