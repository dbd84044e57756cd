//! Flows and queues in a real loop over real sockets, one iteration at a time. No iteration waits for
//! longer than [`PATIENCE`]: what does not come fails its test.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Poll, Token};

use super::*;
use crate::config::limits::{FLOW_IDLE, FLOWS_MAX};
use crate::output::{Descriptors, Output};
use crate::reactor::{Settings, State};
use crate::service::{CloseReason, Cx, Entry, Host, Never, Service, ServiceCx};

/// How long something may take that takes no time.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Answers with the number of the datagram in its session, and does what the datagram says.
#[derive(Default)]
struct Game {
    last: Option<SourceId>,
}

pub(super) const GAME: Entry = Entry {
    name: "game",
    summary: "",
    about: "",
    options: &[],
    datagrams: Some(Datagrams::Flows),
    console: &[],
    transfers: false,
    secret: false,
    takes_lines: false,
    board: &[],
    build: |listeners| Host::build(listeners, |_| Ok(Game::default())),
};

impl Service for Game {
    type Options = ();
    type Session = u32;
    type Done = Never;

    fn open(&mut self, cx: &mut Cx<'_, Self>) -> u32 {
        assert!(cx.is_datagram());
        0
    }

    fn receive(&mut self, count: &mut u32, input: &[u8], cx: &mut Cx<'_, Self>) -> usize {
        *count += 1;
        match input {
            b"much" => (0..50).for_each(|_| cx.send(&[0; 1000])),
            b"prove" => cx.peer_is_proved(),
            b"wait" => cx.set_deadline(Duration::from_secs(5)),
            b"tell" => {
                let last = self.last.unwrap();
                cx.service().send_to(last, b"told");
            }
            b"end" => cx.close(CloseReason::Answered),
            _ => cx.send_text(format_args!("{count}")),
        }
        self.last = Some(cx.id());
        // What is left of a datagram is dropped.
        input.len() / 2
    }

    fn deadline(&mut self, _: &mut u32, cx: &mut Cx<'_, Self>) {
        cx.send(b"late");
        cx.send(b"");
    }

    fn shutting_down(&mut self, _: &mut u32, cx: &mut Cx<'_, Self>) {
        cx.send(b"bye");
        cx.close(CloseReason::Shutdown);
    }

    fn closed(&mut self, _: u32, _: &mut ServiceCx<'_>) {}
}

pub(super) struct Loop {
    pub(super) reactor: Reactor,
    pub(super) at: SocketAddr,
    pub(super) id: SourceId,
}

pub(super) fn settings() -> Settings {
    Settings {
        grace: Duration::from_secs(5),
        idle_timeout: None,
        connections_max: 10,
        descriptors_max: 10,
        accepts: None,
        poll_for: Duration::ZERO,
        seed: None,
    }
}

fn start() -> Loop {
    start_as(&GAME, UdpOptions::default(), settings())
}

/// An address of this machine that no other test uses, so that a port which is free stays so.
fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 1 + high % 250, low, NEXT.fetch_add(1, Relaxed))
}

pub(super) fn start_as(entry: &'static Entry, options: UdpOptions, settings: Settings) -> Loop {
    // Other tests have sockets open meanwhile.
    let shared = Descriptors::Shared;
    let (stdout, stderr) = (
        Output::stdout(shared).unwrap(),
        Output::stderr(shared).unwrap(),
    );
    let mut reactor = Reactor::new(settings, stdout, stderr).unwrap();
    let host = (entry.build)(&[Values::default()]).unwrap();
    let service = reactor.add_service(entry, host);
    let spec = format!("game=udp://{}:0", own_address());
    let spec: ListenerSpec = spec.parse().unwrap();
    let crate::config::endpoint::Endpoint::Udp(at) = &spec.endpoint else {
        unreachable!()
    };
    let bound = reactor.listen_datagrams(service, 0, (&spec, at), options);
    let at = bound.unwrap()[0]["udp://".len()..].parse().unwrap();
    let id = reactor.sources.datagrams().next().unwrap().0;
    Loop { reactor, at, id }
}

impl Loop {
    pub(in crate::reactor::datagram) fn client(&self) -> UdpSocket {
        // At the same address, so that none has a port of the server's.
        let client = UdpSocket::bind((self.at.ip(), 0)).unwrap();
        client.connect(self.at).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }

    /// One iteration, once there is something to do; what is due later is no reason to wait.
    pub(in crate::reactor::datagram) fn iterate(&mut self) {
        let now = self.reactor.clock.now();
        if self.reactor.wake_at(now) > now {
            // A poller is readable where it has events; it keeps them.
            let (mut watch, mut events) = (Poll::new().unwrap(), Events::with_capacity(1));
            let fd = self.reactor.poll.as_raw_fd();
            let registry = watch.registry();
            let registered = registry.register(&mut SourceFd(&fd), Token(0), Interest::READABLE);
            registered.unwrap();
            watch.poll(&mut events, Some(PATIENCE)).unwrap();
            assert!(!events.is_empty(), "nothing happens");
        }
        self.reactor.iterate().unwrap();
    }

    /// Iterates until that is so.
    pub(super) fn until(&mut self, is_so: impl Fn(&mut Self) -> bool) {
        let began = std::time::Instant::now();
        while !is_so(self) {
            assert!(began.elapsed() < PATIENCE, "it never came to that");
            self.iterate();
        }
    }

    /// Sends a datagram and lets the loop take it.
    fn say(&mut self, client: &UdpSocket, text: &str) {
        client.send(text.as_bytes()).unwrap();
        self.take();
    }

    /// Iterates until a socket has taken a batch: whatever else wakes the loop is not it.
    pub(super) fn take(&mut self) {
        let taken = |t: &mut Self| {
            let sockets = t.reactor.sources.datagrams();
            sockets.map(|(_, socket)| socket.counts.taken).sum::<u64>()
        };
        let before = taken(self);
        self.until(|t| taken(t) > before);
    }

    fn ask(&mut self, client: &UdpSocket, text: &str) -> String {
        self.say(client, text);
        hear(client)
    }

    /// Goes round until nothing is left to do now.
    pub(super) fn work(&mut self) {
        let has_work = |reactor: &Reactor| {
            let now = reactor.clock.now();
            reactor.wake_at(now) <= now
        };
        while has_work(&self.reactor) {
            self.iterate();
        }
    }

    /// A datagram of any source, past the socket.
    pub(super) fn forge(&mut self, from: SocketAddr, text: &str) {
        let arrival = Arrival::forged(from);
        self.reactor.arrive(self.id, &arrival, text.as_bytes());
    }

    pub(super) fn counts(&mut self) -> Counts {
        self.reactor.sources.datagram(self.id).unwrap().counts
    }

    pub(super) fn sessions(&self) -> usize {
        self.reactor.services[0].host.sessions()
    }
}

pub(super) fn hear(client: &UdpSocket) -> String {
    let mut buffer = [0; 2000];
    let len = client.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..len].to_vec()).unwrap()
}

pub(super) fn hears_nothing(client: &UdpSocket) -> bool {
    client.set_nonblocking(true).unwrap();
    let nothing = client.recv(&mut [0; 2000]).is_err();
    client.set_nonblocking(false).unwrap();
    nothing
}

#[test]
fn all_datagrams_of_an_address_are_one_session_until_it_closes() {
    let mut t = start();
    let (a, b) = (t.client(), t.client());
    assert_eq!(t.ask(&a, "x"), "1");
    assert_eq!(t.ask(&a, ""), "2");
    assert_eq!(t.ask(&b, "x"), "1");
    assert_eq!(t.ask(&a, "long enough to leave half"), "3");
    assert_eq!((t.sessions(), t.reactor.udp.flows.len()), (2, 2));
    // What comes in one batch with the end is a new session.
    a.send(b"end").unwrap();
    assert_eq!(t.ask(&a, "x"), "1");
    assert_eq!((t.sessions(), t.reactor.udp.flows.len()), (2, 2));
    assert_eq!(t.reactor.live, 0, "flows take no descriptor");
}

#[test]
fn mail_and_deadlines_reach_a_flow_as_datagrams() {
    let mut t = start();
    let (a, b) = (t.client(), t.client());
    t.say(&a, "wait");
    t.say(&b, "tell");
    t.work();
    assert_eq!(hear(&a), "told");
    t.reactor.clock.skip(Duration::from_secs(6));
    t.work();
    assert_eq!((hear(&a).as_str(), hear(&a).as_str()), ("late", ""));
}

#[test]
fn a_flow_is_forgotten_after_a_minute_of_silence() {
    let mut t = start();
    let a = t.client();
    assert_eq!(t.ask(&a, "x"), "1");
    t.reactor.clock.skip(FLOW_IDLE - Duration::from_secs(1));
    assert_eq!(t.ask(&a, "x"), "2");
    t.reactor.clock.skip(FLOW_IDLE + Duration::from_secs(1));
    t.work();
    assert_eq!((t.sessions(), t.reactor.udp.flows.len()), (0, 0));
    assert_eq!(t.reactor.sources.connections().count(), 0);
    assert_eq!(t.ask(&a, "x"), "1");
}

#[test]
fn an_address_gets_three_times_what_it_sent_until_it_has_proved_itself() {
    let mut t = start();
    let a = t.client();
    t.say(&a, "much");
    assert!(hears_nothing(&a), "32 bytes in are no 1028 out");
    assert_eq!(t.counts().over_credit, 50);
    t.say(&a, "prove");
    t.say(&a, "much");
    (0..50).for_each(|_| assert_eq!(hear(&a).len(), 1000));
    assert_eq!(t.counts().over_credit, 50);
}

#[test]
fn forged_sources_take_bounded_room_and_give_way_to_others() {
    let mut t = start();
    let real = t.client();
    assert_eq!(t.ask(&real, "x"), "1");
    t.say(&real, "prove");
    let count = u32::try_from(FLOWS_MAX).unwrap() + 5_000;
    for n in 0..count {
        let ip = Ipv4Addr::from_bits(0x7f01_0000 + n);
        t.forge(SocketAddr::from((ip, 40_000)), "x");
        if n % 1000 == 0 {
            t.reactor.bury();
        }
    }
    t.reactor.bury();
    assert_eq!(
        (t.sessions(), t.reactor.udp.flows.len()),
        (FLOWS_MAX, FLOWS_MAX)
    );
    assert_eq!(t.reactor.sources.connections().count(), FLOWS_MAX);
    assert_eq!(t.ask(&real, "x"), "3", "it had proved itself, and stays");
    t.reactor.clock.skip(FLOW_IDLE + Duration::from_secs(1));
    t.work();
    assert_eq!((t.sessions(), t.reactor.udp.flows.len()), (0, 0));
    assert_eq!(t.reactor.sources.connections().count(), 0);
}

#[test]
fn a_network_that_takes_too_much_room_gets_no_more() {
    let mut t = start();
    for n in 0..FLOWS_MAX as u32 {
        let ip = Ipv4Addr::new(192, 0, 2, (n % 256) as u8);
        let port = 20_000 + (n / 256) as u16;
        t.forge(SocketAddr::from((ip, port)), &format!("{n}"));
    }
    let flows = t.reactor.udp.flows.len();
    assert_eq!(flows, crate::config::limits::FLOWS_PER_NETWORK_MAX as usize);
    let counts = t.counts();
    assert_eq!(
        counts.no_room + counts.over_rate,
        (FLOWS_MAX - flows) as u64
    );
}

#[test]
fn a_shutdown_tells_flows_and_waits_for_none() {
    let mut t = start();
    let clients: Vec<_> = (0..10).map(|_| t.client()).collect();
    for client in &clients {
        assert_eq!(t.ask(client, "x"), "1");
    }
    t.reactor.begin_drain("a test");
    for _ in 0..3 {
        if t.reactor.state != State::Stopped {
            t.iterate();
        }
    }
    assert_eq!(t.reactor.state, State::Stopped);
    let said: HashSet<_> = clients.iter().map(hear).collect();
    assert_eq!(said, HashSet::from(["bye".to_owned()]));
    assert_eq!(t.sessions(), 0);
}

#[test]
fn answers_wait_for_a_full_socket_and_nothing_is_taken_meanwhile() {
    let mut t = start();
    let a = t.client();
    t.reactor.sources.datagram(t.id).unwrap().writable = false;
    t.say(&a, "x");
    let socket = t.reactor.sources.datagram(t.id).unwrap();
    assert_eq!(socket.waiting(), 1);
    socket.readable = true;
    assert!(!socket.wants_read() && socket.asks_writable);
    assert!(hears_nothing(&a));
    t.iterate();
    assert_eq!(hear(&a), "1");
    let socket = t.reactor.sources.datagram(t.id).unwrap();
    assert!(!socket.asks_writable && socket.waiting() == 0);
}

#[test]
fn what_the_kernel_had_no_room_for_is_counted() {
    let mut t = start();
    let a = t.client();
    let sent = 300;
    for _ in 0..sent {
        a.send(&[b'x'; 60_000]).unwrap();
    }
    let mut seen = 0;
    while t.reactor.sources.datagram(t.id).unwrap().readable || seen == 0 {
        t.iterate();
        seen = t.counts().taken;
    }
    // The counter comes with the next datagram that found room.
    t.say(&a, "x");
    let counts = t.counts();
    assert!(counts.overflowed > 0, "{counts}");
    assert_eq!(counts.taken + counts.overflowed, sent + 1, "{counts}");
}
