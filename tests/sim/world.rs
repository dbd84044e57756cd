//! The crowd: who comes, what happens to them at random, and when somebody looks. It knows no
//! service; [`Rules`] say what a client of one sends and what it may be sent.

use std::time::Duration;

use switchboard::service::harness::Harness;
use switchboard::service::{CloseReason, Entry, Moment, Peer, Program};

use crate::random::Random;

/// A service's clients, and what must hold for them.
pub trait Rules {
    const ENTRY: &Entry;
    /// Options of the listeners; clients come by any of them.
    const LISTENERS: &[&str];
    /// Whether the clients send datagrams: each piece of what they send is one.
    const DATAGRAMS: bool = false;
    /// Whether the service's lanes are held, and work step by step among all else that happens; and
    /// whether somebody sits at the console at times.
    const LANES: bool = false;
    /// Steps for each client: more, where clients wait for answers before they go on.
    const STEPS_EACH: usize = 5;
    /// What is known about one client.
    type Client;

    fn new() -> Self;
    /// The listeners' options, where more is known about them at the start of a world.
    fn listeners(&self) -> Vec<String> {
        Self::LISTENERS
            .iter()
            .map(|one| (*one).to_owned())
            .collect()
    }
    /// A client comes by a listener; it will send these bytes, if it gets that far.
    fn come(
        &mut self,
        listener: usize,
        number: usize,
        random: &mut Random,
    ) -> (Self::Client, Vec<u8>);
    /// Where that client comes from, if that matters.
    fn peer(&self, number: usize) -> Option<Peer> {
        let _ = number;
        None
    }
    /// The operator comes, goes, or types something.
    fn operate(&mut self, harness: &mut Harness, random: &mut Random) {
        let _ = (harness, random);
    }
    /// All work of the lanes is done.
    fn drained(&mut self) {}
    /// It sends these.
    fn sent(&mut self, client: &mut Self::Client, bytes: &[u8], now: Moment);
    /// It ends its writing.
    fn ended(&mut self, client: &mut Self::Client, now: Moment);
    /// Time has moved to `now`, and no deadline lay between.
    fn passed(&mut self, client: &mut Self::Client, now: Moment);
    /// The server goes down.
    fn told(&mut self, client: &mut Self::Client);
    /// It has gone without a word.
    fn vanished(&mut self, client: &mut Self::Client) {
        let _ = client;
    }
    /// The program that has its socket ends.
    fn program_ends(&mut self, client: &mut Self::Client) {
        let _ = client;
    }
    /// What it will send besides, now that it has seen an answer.
    fn more(&mut self, client: &mut Self::Client) -> Vec<u8> {
        let _ = client;
        Vec::new()
    }
    /// What it was sent by the last step, and whether it is closed: is that right?
    fn judge(&mut self, client: &mut Self::Client, seen: &Seen<'_>) -> Result<(), String>;
}

/// What a step brought a client that was open before it.
pub struct Seen<'a> {
    pub now: Moment,
    pub received: &'a [u8],
    pub closed: Option<CloseReason>,
    /// The program that has its socket.
    pub program: Option<&'a Program>,
}

struct Visitor<C> {
    client: C,
    /// What it has still to send.
    plan: Vec<u8>,
    ended: bool,
    open: bool,
}

pub struct World<R: Rules> {
    rules: R,
    random: Random,
    harness: Harness,
    /// By their places in the harness.
    visitors: Vec<Visitor<R::Client>>,
    step: usize,
    is_down: bool,
}

/// How many come to one world, at most and at least.
const VISITORS: std::ops::Range<usize> = 40..240;
impl<R: Rules> World<R> {
    pub fn new(seed: u64) -> Self {
        let rules = R::new();
        let listeners = rules.listeners();
        let listeners: Vec<_> = listeners.iter().map(String::as_str).collect();
        let mut harness = Harness::with_listeners(R::ENTRY, &listeners);
        if R::LANES {
            harness.hold_lanes();
        }
        Self {
            rules,
            random: Random(seed),
            harness,
            visitors: Vec::new(),
            step: 0,
            is_down: false,
        }
    }

    pub fn run(mut self) {
        let visitors = VISITORS.start + self.random.below(VISITORS.len());
        for _ in 0..visitors * R::STEPS_EACH {
            self.step += 1;
            if R::LANES {
                self.meddle();
            }
            match self.random.below(10) {
                0 | 1 if self.visitors.len() < visitors => self.open(),
                2 | 3 => {
                    let time = self.time();
                    self.advance(time);
                }
                _ if self.visitors.is_empty() => self.open(),
                _ => self.act(),
            }
            self.count();
        }
        self.shut_down();
        self.drain();
        self.advance(Duration::from_secs(3_600));
        for place in 0..self.visitors.len() {
            // Who is still open is owed nothing and was told; it goes by itself.
            self.harness.vanish(place);
            self.harness.program_ended(place);
        }
        assert_eq!(self.harness.sessions(), 0);
    }

    /// Mostly little, at times about the gap, seldom about a delay.
    fn time(&mut self) -> Duration {
        let nanos = match self.random.below(20) {
            0 => self.random.below(2_200_000_000),
            1..4 => self.random.below(60_000_000),
            4 => 0,
            _ => self.random.below(3_000_000),
        };
        // A game over datagrams lasts a minute.
        Duration::from_nanos(nanos as u64) * if R::DATAGRAMS { 20 } else { 1 }
    }

    fn open(&mut self) {
        let listener = self.random.below(R::LISTENERS.len());
        let number = self.visitors.len();
        let (client, plan) = self.rules.come(listener, number, &mut self.random);
        let listener = u16::try_from(listener).expect("few listeners");
        let place = match (self.rules.peer(number), R::DATAGRAMS) {
            (Some(peer), _) => self.harness.open_peer_at(listener, peer),
            (None, true) => self.harness.open_datagram_at(listener),
            (None, false) => self.harness.open_at(listener),
        };
        assert_eq!(place, number);
        self.visitors.push(Visitor {
            client,
            plan,
            ended: false,
            open: true,
        });
        self.look(place);
    }

    /// One of them sends some of its plan, or ends, or goes; closed ones go on sending too.
    fn act(&mut self) {
        let place = self.random.below(self.visitors.len());
        let now = self.harness.now();
        let runs = self.harness.program(place).is_some() && self.visitors[place].open;
        if runs && self.random.one_in(3) {
            return self.end_program(place);
        }
        // Of a client whose socket is handed over, the program alone finds out.
        if !runs && self.random.one_in(60) {
            return self.vanish(place);
        }
        let visitor = &mut self.visitors[place];
        let client = &mut visitor.client;
        if !visitor.plan.is_empty() && !self.random.one_in(30) {
            let most = visitor.plan.len();
            let cut = if self.random.one_in(3) {
                most
            } else {
                1 + self.random.below(most)
            };
            let bytes: Vec<_> = visitor.plan.drain(..cut).collect();
            if visitor.open && !visitor.ended {
                self.rules.sent(client, &bytes, now);
            }
            self.harness.feed(place, &bytes);
        } else if !R::DATAGRAMS && !visitor.ended && self.random.one_in(2) {
            visitor.ended = true;
            if visitor.open {
                self.rules.ended(client, now);
            }
            self.harness.end(place);
        }
        self.look(place);
    }

    fn vanish(&mut self, place: usize) {
        let visitor = &mut self.visitors[place];
        if visitor.open {
            self.rules.vanished(&mut visitor.client);
        }
        visitor.open = false;
        self.harness.vanish(place);
        assert!(
            self.harness.take(place).is_empty(),
            "nobody is sent anything for going"
        );
    }

    fn end_program(&mut self, place: usize) {
        self.rules.program_ends(&mut self.visitors[place].client);
        self.harness.program_ended(place);
        self.look(place);
    }

    /// Moves the clock, and looks after each moment at which something is due.
    fn advance(&mut self, by: Duration) {
        let until = self.harness.now().after(by);
        loop {
            let due = (0..self.visitors.len())
                .map(|place| self.harness.deadline(place))
                .min();
            let next = due.unwrap_or(Moment::NEVER).min(until);
            self.harness.advance(next.since(self.harness.now()));
            for place in 0..self.visitors.len() {
                let visitor = &mut self.visitors[place];
                if visitor.open && !visitor.ended {
                    self.rules.passed(&mut visitor.client, next);
                }
            }
            self.look_at_all();
            if self.is_down {
                self.drain();
            }
            if next == until {
                return;
            }
        }
    }

    fn shut_down(&mut self) {
        for visitor in self.visitors.iter_mut().filter(|visitor| visitor.open) {
            self.rules.told(&mut visitor.client);
        }
        self.harness.shut_down();
        self.is_down = true;
        self.look_at_all();
    }

    /// A few steps of the lanes, in any order, and perhaps something at the console. Somebody looks
    /// after each result, so that the order of what is acknowledged is known.
    fn meddle(&mut self) {
        for _ in 0..self.random.below(4) {
            let worker = self.random.below(self.harness.workers() + 1);
            match worker < self.harness.workers() {
                true => {
                    self.harness.work_on(worker);
                }
                false if self.harness.report() => self.look_at_all(),
                false => {}
            }
        }
        if self.random.one_in(10) {
            self.rules.operate(&mut self.harness, &mut self.random);
            self.look_at_all();
        }
        if self.random.one_in(40) {
            self.drain();
        }
    }

    /// Has the lanes do all that there is to do.
    fn drain(&mut self) {
        loop {
            let mut busy = false;
            for worker in 0..self.harness.workers() {
                busy |= self.harness.work_on(worker);
            }
            while self.harness.report() {
                busy = true;
                self.look_at_all();
            }
            if !busy {
                break;
            }
        }
        self.rules.drained();
    }

    fn look_at_all(&mut self) {
        for place in 0..self.visitors.len() {
            self.look(place);
        }
        self.count();
    }

    /// Takes what one was sent and has it judged.
    fn look(&mut self, place: usize) {
        let received = self.harness.take(place);
        let closed = self.harness.closed(place);
        let visitor = &mut self.visitors[place];
        if !visitor.open {
            assert!(
                received.is_empty(),
                "step {}: #{place} was sent bytes after its close",
                self.step
            );
            return;
        }
        visitor.open = closed.is_none();
        let seen = Seen {
            now: self.harness.now(),
            received: &received,
            closed,
            program: self.harness.program(place),
        };
        if let Err(error) = self.rules.judge(&mut visitor.client, &seen) {
            let shown = received.escape_ascii();
            panic!(
                "step {} at {:?}: #{place}: {error}; received \"{shown}\", {closed:?}",
                self.step, seen.now
            );
        }
        visitor.plan.extend(self.rules.more(&mut visitor.client));
    }

    fn count(&self) {
        let open = self.visitors.iter().filter(|visitor| visitor.open).count();
        assert_eq!(
            self.harness.sessions(),
            open,
            "step {}: a session for each client",
            self.step
        );
    }
}
