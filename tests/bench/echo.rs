//! Echo: messages over connections that stay, one or several under way on each.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::{Events, Poll, Token};

use crate::link::{Address, PolledLink, Transport};
use crate::load::{
    ROUND_LENGTH, ROUNDS, Round, Series, add_rows, in_turns, latencies, nanos, table,
};
use crate::report::{Outcome, Report};
use crate::server::{Server, WITH_PEERS};

pub const ABOUT: &str = "\
1, 8 or 50 connections send messages of 64 bytes; each keeps 1 or 16 of them under way. Percentiles
are medians over the rounds, max is the worst of all rounds. CPU is the server's, all its threads.
`bare loop` is a loop on mio that reads, writes and checks nothing: the limit, not a server.";

const MESSAGE_BYTES: usize = 64;

/// Connections, and messages under way on each.
const SHAPES: [(usize, usize); 4] = [(1, 1), (8, 1), (50, 1), (50, 16)];

/// Before a round counts: caches, frequencies and buffers settle.
const WARM_UP: Duration = Duration::from_millis(50);

/// No answer for so long means that it will not come.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn run(report: &mut Report) -> Outcome<()> {
    let rounds = report.pick(ROUNDS, 1);
    let mut table = table("message");
    let mut goals = Vec::new();
    for transport in [Transport::Tcp, Transport::Unix] {
        for (connections, depth) in SHAPES {
            let all = in_turns(&WITH_PEERS, rounds, |server| {
                let load = Load::new(server.address("echo", transport)?, connections, depth)?;
                round(server, load)
            })?;
            let load = format!("{transport}, {connections} × {depth}");
            add_rows(&mut table, &load, &all);
            goals.extend(compare(&load, transport, (connections, depth), &all));
        }
    }
    println!("{table}");
    goals.iter().for_each(|(met, goal)| report.goal(*met, goal));
    Ok(())
}

/// One round of a load, which is finished then.
pub fn round(server: &Server, mut load: Load) -> Outcome<Round> {
    load.drive_for(WARM_UP, None)?;
    let mut latency = latencies()?;
    let cpu = server.cpu_time()?;
    let start = Instant::now();
    let done = load.drive_for(ROUND_LENGTH, Some(&mut latency))?;
    let elapsed = start.elapsed();
    let cpu = server.cpu_time()?.saturating_sub(cpu);
    load.finish()?;
    Ok(Round {
        done,
        elapsed,
        cpu,
        latency,
    })
}

/// What is to be reached, as ratios to the peers in the same run.
fn compare(
    load: &str,
    transport: Transport,
    shape: (usize, usize),
    all: &[Series],
) -> Vec<(bool, String)> {
    let [ours, bare, tokio, ..] = all else {
        return Vec::new();
    };
    let p50 = |round: &Round| round.quantile_us(0.5);
    let goal = |what: &str, peer: &Series, figure: &dyn Fn(&Round) -> f64, most: f64| {
        let ratio = ours.ratio(peer, figure);
        let goal = format!(
            "{load}: {what} {ratio:.2} of {}, at most {most:.2}",
            peer.name
        );
        (ratio <= most, goal)
    };
    match (transport, shape) {
        (_, (1, 1)) => vec![
            goal("p50", bare, &p50, 0.40),
            goal("p50", tokio, &p50, 0.40),
        ],
        (_, (8, 1)) => vec![
            goal("p50", bare, &p50, 0.80),
            goal("p50", tokio, &p50, 0.80),
        ],
        (Transport::Tcp, (_, 1)) => vec![
            goal("CPU", bare, &Round::cpu_us, 1.00),
            goal("CPU", tokio, &Round::cpu_us, 0.98),
        ],
        (_, (_, 1)) => vec![goal("CPU", bare, &Round::cpu_us, 1.02)],
        _ => vec![goal("CPU", bare, &Round::cpu_us, 1.00)],
    }
}

/// One connection and what is under way on it.
struct Client {
    link: PolledLink,
    /// When each message under way was sent, oldest first.
    sent: VecDeque<Instant>,
    /// Bytes of the oldest that have come back.
    returned: usize,
}

/// All connections of a round.
pub struct Load {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    /// Messages, one after the other, as many as are ever sent or read at once.
    messages: Vec<u8>,
    inbox: Vec<u8>,
}

impl Load {
    /// Connects and sends the first messages.
    pub fn new(address: &Address, connections: usize, depth: usize) -> Outcome<Self> {
        let poll = Poll::new()?;
        let message: Vec<u8> = (0..MESSAGE_BYTES).map(|at| b' ' + at as u8).collect();
        // One more, so that what comes back may begin within a message.
        let messages = message.repeat(depth + 1);
        let mut clients = Vec::new();
        for number in 0..connections {
            let mut link = address
                .connect()?
                .register(poll.registry(), Token(number))?;
            let now = Instant::now();
            link.send(&messages[..depth * MESSAGE_BYTES])?;
            clients.push(Client {
                link,
                sent: vec![now; depth].into(),
                returned: 0,
            });
        }
        // A read that doesn't fill this has taken all there was.
        let inbox = vec![0; depth * MESSAGE_BYTES + 1];
        Ok(Self {
            poll,
            events: Events::with_capacity(connections),
            clients,
            messages,
            inbox,
        })
    }

    /// Keeps every connection busy for so long; returns how many messages came back.
    fn drive_for(
        &mut self,
        length: Duration,
        latency: Option<&mut Histogram<u64>>,
    ) -> Outcome<u64> {
        let start = Instant::now();
        self.drive(|_| start.elapsed() < length, latency)
    }

    /// Keeps every connection busy while `more`, which is told how many messages have come back;
    /// returns how many that were in the end.
    pub fn drive(
        &mut self,
        more: impl Fn(u64) -> bool,
        mut latency: Option<&mut Histogram<u64>>,
    ) -> Outcome<u64> {
        let mut done = 0;
        while more(done) {
            self.wait()?;
            for event in &self.events {
                let client = &mut self.clients[event.token().0];
                let returned = client.take(&mut self.inbox, &self.messages)?;
                let now = Instant::now();
                for sent in client.sent.drain(..returned) {
                    if let Some(latency) = latency.as_deref_mut() {
                        latency.saturating_record(nanos(now - sent));
                    }
                }
                client.sent.extend(std::iter::repeat_n(now, returned));
                client
                    .link
                    .send(&self.messages[..returned * MESSAGE_BYTES])?;
                done += returned as u64;
            }
        }
        Ok(done)
    }

    /// Waits until everything is back, so that no round leaves work to the next.
    pub fn finish(mut self) -> Outcome<()> {
        while self.clients.iter().any(|client| !client.sent.is_empty()) {
            self.wait()?;
            for event in &self.events {
                let client = &mut self.clients[event.token().0];
                let returned = client.take(&mut self.inbox, &self.messages)?;
                client.sent.drain(..returned);
            }
        }
        Ok(())
    }

    fn wait(&mut self) -> Outcome<()> {
        self.poll.poll(&mut self.events, Some(PATIENCE))?;
        match self.events.is_empty() {
            true => Err("no message came back for ten seconds".into()),
            false => Ok(()),
        }
    }
}

impl Client {
    /// Reads and checks what came; returns how many messages are whole by that.
    fn take(&mut self, inbox: &mut [u8], messages: &[u8]) -> Outcome<usize> {
        let len = match self.link.read(inbox)? {
            None => return Ok(0),
            Some(0) => return Err("the server ended a connection".into()),
            Some(len) if len == inbox.len() => return Err("more came back than was sent".into()),
            Some(len) => len,
        };
        if inbox[..len] != messages[self.returned..][..len] {
            return Err("the echo differs from what was sent".into());
        }
        let bytes = self.returned + len;
        self.returned = bytes % MESSAGE_BYTES;
        Ok(bytes / MESSAGE_BYTES)
    }
}
