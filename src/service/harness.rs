//! Runs any service under a virtual clock, without sockets.
//!
//! It does what the reactor does, in the same order, and checks the contract as it goes: a service
//! that uses more than it was given, or sends after it closed, fails the test that runs it.
//!
//! ```
//! use std::time::Duration;
//! use switchboard::service::harness::Harness;
//! use switchboard::services::slot;
//!
//! let mut t = Harness::new(&slot::ENTRY, "delay=2s");
//! let (a, b) = (t.open(), t.open());
//! t.feed(a, b"fir");
//! t.feed(a, b"st\n");
//! t.advance(Duration::from_secs(1));
//! t.feed(b, b"second\0");
//! t.advance(Duration::from_secs(1));
//! assert_eq!(t.take(a), b"second\n");
//! ```

mod lanes;
mod operator;
mod settle;
mod transfer;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use self::transfer::Receiving;
use super::{
    Call, CloseReason, Effects, Ending, Entry, Hosted, Mail, Moment, Peer, Program, Random,
    SourceId, TransferEnd, Worker,
};
use crate::config::limits::INPUT_KEPT_BYTES_MAX;
use crate::config::options::Values;

/// A service, a clock that stands until it is moved, and the peers that were opened.
pub struct Harness {
    host: Box<dyn Hosted>,
    now: Moment,
    peers: Vec<State>,
    effects: Effects,
    notes: Vec<String>,
    prints: Vec<String>,
    mail: VecDeque<Mail>,
    operator: bool,
    workers: Vec<(&'static str, Box<dyn Worker>)>,
    /// Lanes do their work by themselves, after each event.
    lanes_run: bool,
    /// Peers whose sessions have resumed.
    resumed: VecDeque<usize>,
    /// Transfers that have ended, to be told.
    transferred: VecDeque<(usize, TransferEnd)>,
}

struct State {
    peer: Peer,
    session: u32,
    kept: Vec<u8>,
    sent: Vec<u8>,
    deadline: Moment,
    input_ended: bool,
    ending: Option<Ending>,
    datagram: bool,
    datagrams: Vec<Vec<u8>>,
    program: Option<Program>,
    paused: bool,
    /// The peer has ended its writing while its session was paused.
    end_waits: bool,
    /// What the peer sends goes into a file.
    receiving: Option<Receiving>,
}

/// What happens to a peer; one callback each.
enum Event<'a> {
    Receive(&'a [u8]),
    EndOfInput(&'a [u8]),
    Deadline,
    ShuttingDown,
    Notified,
    Done,
    Transferred(TransferEnd),
}

impl Harness {
    /// The service with one listener; `options` as behind the `?` of a listener, or empty.
    ///
    /// # Panics
    /// Where the options are wrong: a test names its options correctly.
    pub fn new(entry: &Entry, options: &str) -> Self {
        Self::with_listeners(entry, &[options])
    }

    /// The service with several listeners.
    ///
    /// # Panics
    /// As [`Harness::new`].
    pub fn with_listeners(entry: &Entry, options: &[&str]) -> Self {
        let values: Vec<_> = options
            .iter()
            .map(|text| match text.is_empty() {
                true => Values::default(),
                false => Values::parse(text).unwrap_or_else(|error| panic!("{error}")),
            })
            .collect();
        for values in &values {
            values
                .check_keys(&[entry.options])
                .unwrap_or_else(|error| panic!("{error}"));
        }
        let mut host = (entry.build)(&values).unwrap_or_else(|error| panic!("{}", error.error));
        let workers = lanes::start(&mut *host);
        Self {
            host,
            now: Moment::ZERO,
            peers: Vec::new(),
            effects: Effects::new(Random::default(), true),
            notes: Vec::new(),
            prints: Vec::new(),
            mail: VecDeque::new(),
            operator: false,
            workers,
            lanes_run: true,
            resumed: VecDeque::new(),
            transferred: VecDeque::new(),
        }
    }

    /// Starts the random numbers anew, from this seed; they start from 0 otherwise.
    pub fn seed(&mut self, seed: u64) {
        self.effects.random = Random::seeded(seed);
    }

    /// A peer comes by the first listener; returns its place, by which it is named from then on.
    pub fn open(&mut self) -> usize {
        self.open_at(0)
    }

    /// A peer comes by the listener with this place.
    pub fn open_at(&mut self, listener: u16) -> usize {
        self.open_as(listener, false)
    }

    /// The first datagram of a peer's address comes by the listener with this place; the datagram
    /// itself is to be fed.
    pub fn open_datagram_at(&mut self, listener: u16) -> usize {
        self.open_as(listener, true)
    }

    fn open_as(&mut self, listener: u16, datagram: bool) -> usize {
        let port = u16::try_from(40_000 + self.peers.len() % 20_000).unwrap_or(u16::MAX);
        let peer = Peer::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
        self.open_by(listener, peer, datagram)
    }

    /// That peer comes by the listener with this place, on a stream.
    pub fn open_peer_at(&mut self, listener: u16, peer: Peer) -> usize {
        self.open_by(listener, peer, false)
    }

    fn open_by(&mut self, listener: u16, peer: Peer, datagram: bool) -> usize {
        let place = self.peers.len();
        let number = u32::try_from(place + 1).unwrap_or(u32::MAX);
        let id = SourceId {
            key: number,
            generation: 0,
        };
        let effects = &mut self.effects;
        let call = Call {
            id,
            number,
            now: self.now,
            peer: &peer,
            datagram,
            operator: self.operator,
            effects,
        };
        let session = self.host.open(listener, call);
        self.peers.push(State {
            peer,
            session,
            kept: Vec::new(),
            sent: Vec::new(),
            deadline: Moment::NEVER,
            input_ended: false,
            ending: None,
            datagram,
            datagrams: Vec::new(),
            program: None,
            paused: false,
            end_waits: false,
            receiving: None,
        });
        self.settle(place);
        self.go_on();
        place
    }

    /// One segment arrives. It is thrown away, as the reactor does, once the session has closed,
    /// and left with the kernel where the service does not read.
    ///
    /// # Panics
    /// Where the service leaves more bytes unused than the reactor would keep.
    pub fn feed(&mut self, place: usize, bytes: &[u8]) {
        let state = &mut self.peers[place];
        if state.ending.is_some() || state.input_ended || state.end_waits || !self.host.reads() {
            return;
        }
        let mut input = std::mem::take(&mut state.kept);
        input.extend_from_slice(bytes);
        if state.receiving.is_some() {
            state.kept = input;
            self.fill(place);
            return self.go_on();
        }
        if state.paused {
            state.kept = input;
            return;
        }
        self.offer(place, input);
    }

    /// The peer ends its writing, which one that sends datagrams cannot.
    pub fn end(&mut self, place: usize) {
        let state = &mut self.peers[place];
        if state.ending.is_some() || state.input_ended || state.datagram || !self.host.reads() {
            return;
        }
        if state.receiving.is_some() {
            self.cut(place);
            self.go_on();
        }
        let state = &mut self.peers[place];
        if state.ending.is_some() {
            return;
        }
        if state.paused {
            state.end_waits = true;
            return;
        }
        state.input_ended = true;
        let rest = std::mem::take(&mut state.kept);
        self.call(place, Event::EndOfInput(&rest));
    }

    /// The peer is gone without a word: reset, cable, kill. A program that has its socket finds out
    /// by itself.
    pub fn vanish(&mut self, place: usize) {
        if self.peers[place].ending.is_none() && self.peers[place].program.is_none() {
            self.peers[place].ending = Some(Ending::Abort(CloseReason::Reset));
            self.close_session(place);
            self.go_on();
        }
    }

    /// The program that the session's socket was handed to, if it was.
    pub fn program(&self, place: usize) -> Option<&Program> {
        self.peers[place].program.as_ref()
    }

    /// That program has ended, or could not be started.
    pub fn program_ended(&mut self, place: usize) {
        if self.peers[place].ending.is_none() && self.peers[place].program.is_some() {
            self.peers[place].ending = Some(Ending::Close(CloseReason::ProgramEnded));
            self.close_session(place);
            self.go_on();
        }
    }

    /// The datagrams that were sent to this peer since the last call.
    pub fn take_datagrams(&mut self, place: usize) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.peers[place].datagrams)
    }

    /// The server starts to go down: every open session is told.
    pub fn shut_down(&mut self) {
        for place in 0..self.peers.len() {
            if self.peers[place].ending.is_none() && self.peers[place].program.is_none() {
                self.call(place, Event::ShuttingDown);
            }
        }
    }

    /// Moves the clock, stopping at every deadline on the way, in order.
    pub fn advance(&mut self, by: Duration) {
        let until = self.now.after(by);
        while let Some(place) = self.next_due(until) {
            self.now = self.now.max(self.peers[place].deadline);
            self.peers[place].deadline = Moment::NEVER;
            self.call(place, Event::Deadline);
            let state = &mut self.peers[place];
            let waits = state.paused || state.kept.is_empty();
            if state.ending.is_none() && !state.input_ended && !waits {
                let kept = std::mem::take(&mut state.kept);
                self.offer(place, kept);
            }
        }
        self.now = until;
    }

    /// What was sent to this peer since the last call.
    pub fn take(&mut self, place: usize) -> Vec<u8> {
        std::mem::take(&mut self.peers[place].sent)
    }

    /// Why this peer's connection was ended; `None` while it is open.
    pub fn closed(&self, place: usize) -> Option<CloseReason> {
        self.peers[place].ending.map(|ending| match ending {
            Ending::Close(reason) | Ending::Abort(reason) | Ending::Reset(reason) => reason,
        })
    }

    /// The session's deadline, [`Moment::NEVER`] if it has none.
    pub fn deadline(&self, place: usize) -> Moment {
        self.peers[place].deadline
    }

    /// The moment of the virtual clock.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Lines that the service wrote to the log since the last call.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// How many sessions are open.
    pub fn sessions(&self) -> usize {
        self.host.sessions()
    }

    fn next_due(&self, until: Moment) -> Option<usize> {
        let open = self
            .peers
            .iter()
            .enumerate()
            .filter(|(_, s)| s.ending.is_none());
        open.filter(|(_, s)| s.deadline.is_some() && s.deadline <= until)
            .min_by_key(|(_, s)| s.deadline)
            .map(|(place, _)| place)
    }

    fn offer(&mut self, place: usize, mut input: Vec<u8>) {
        let used = self.call(place, Event::Receive(&input));
        input.drain(..used);
        let state = &mut self.peers[place];
        if state.datagram {
            input.clear();
        }
        // What came meanwhile, while the lanes ran, stands behind.
        input.append(&mut state.kept);
        // Whoever has closed gets no more, and whoever pauses or yields has left it for later.
        let later = state.paused || state.ending.is_some() || self.resumed.contains(&place);
        let bounded = later || input.len() <= INPUT_KEPT_BYTES_MAX;
        assert!(bounded, "the service bounds its own messages");
        state.kept = input;
        self.go_on();
    }

    fn call(&mut self, place: usize, event: Event<'_>) -> usize {
        let state = &mut self.peers[place];
        let number = u32::try_from(place + 1).unwrap_or(u32::MAX);
        let id = SourceId {
            key: number,
            generation: 0,
        };
        let call = Call {
            id,
            number,
            now: self.now,
            peer: &state.peer,
            datagram: state.datagram,
            operator: self.operator,
            effects: &mut self.effects,
        };
        let mut used = 0;
        match event {
            Event::Receive(input) => used = self.host.receive(state.session, input, call),
            Event::EndOfInput(rest) => self.host.end_of_input(state.session, rest, call),
            Event::Deadline => self.host.deadline(state.session, call),
            Event::ShuttingDown => self.host.shutting_down(state.session, call),
            Event::Notified => self.host.notified(state.session, call),
            Event::Done => self.host.done(state.session, call),
            Event::Transferred(end) => self.host.transferred(state.session, end, call),
        }
        self.settle(place);
        if !matches!(event, Event::Receive(_)) {
            self.go_on();
        }
        used
    }
}
