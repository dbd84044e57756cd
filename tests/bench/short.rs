//! Short connections: connect, one small message, its echo, the end.

use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::link::{Address, PolledLink, Transport};
use crate::load::{ROUND_LENGTH, ROUNDS, Round, add_rows, in_turns, latencies, nanos, table};
use crate::report::{Outcome, Report};
use crate::server::{Kind, Server};

pub const ABOUT: &str = "\
Connect, send 6 bytes, read them back, close; 16 connections at any time. Latency is from before the
connecting to the echo. CPU is the server's, for all of a connection; what it takes to poll instead
of sleeping, where the load is the limit, is in it.";

const MESSAGE: &[u8] = b"hello\n";

const KINDS: [Kind; 5] = [
    Kind::Switchboard,
    Kind::Bare,
    Kind::Tokio,
    Kind::Threads,
    Kind::SwitchboardAsleep,
];

/// Connections open at any time.
const CONNECTIONS: usize = 16;

/// Before a round counts.
const WARM_UP: u64 = 500;

/// No answer for so long means that it will not come.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn run(report: &mut Report) -> Outcome<()> {
    let rounds = report.pick(ROUNDS, 1);
    let mut table = table("connection");
    let mut goals = Vec::new();
    for (transport, most) in [(Transport::Tcp, 0.93), (Transport::Unix, 0.80)] {
        let all = in_turns(&KINDS, rounds, |server| round(server, transport))?;
        add_rows(&mut table, &transport.to_string(), &all);
        let [ours, bare, .., asleep] = &all[..] else {
            continue;
        };
        for ours in [ours, asleep] {
            let ratio = ours.ratio(bare, Round::cpu_us);
            let (name, peer) = (&ours.name, &bare.name);
            let goal =
                format!("{transport}: CPU of {name} {ratio:.2} of {peer}, at most {most:.2}");
            goals.push((ratio <= most, goal));
        }
    }
    println!("{table}");
    goals.iter().for_each(|(met, goal)| report.goal(*met, goal));
    Ok(())
}

fn round(server: &Server, transport: Transport) -> Outcome<Round> {
    let address = server.address("echo", transport)?;
    drive(address, server, |done, _| done < WARM_UP)?;
    drive(address, server, |_, elapsed| elapsed < ROUND_LENGTH)
}

/// One connection under way.
struct Client {
    link: PolledLink,
    begun: Instant,
}

impl Client {
    fn begin(address: &Address, poll: &Poll, token: Token) -> Outcome<Self> {
        let begun = Instant::now();
        let mut link = address.connect()?;
        std::io::Write::write_all(&mut link, MESSAGE)?;
        let link = link.register(poll.registry(), token)?;
        Ok(Self { link, begun })
    }

    /// Whether the whole message is back.
    fn take(&mut self) -> Outcome<bool> {
        let mut bytes = [0; 64];
        match self.link.read(&mut bytes)? {
            None => Ok(false),
            Some(len) if bytes[..len] == *MESSAGE => Ok(true),
            Some(len) => Err(format!("a wrong echo: {}", bytes[..len].escape_ascii()).into()),
        }
    }
}

/// Keeps so many connections under way while `more`, which is told how many are done and for how
/// long it goes on already; then waits for the last of them, and until the server has seen their ends.
pub fn drive(
    address: &Address,
    server: &Server,
    more: impl Fn(u64, Duration) -> bool,
) -> Outcome<Round> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(CONNECTIONS);
    let mut latency = latencies()?;
    let mut clients = Vec::new();
    let cpu = server.cpu_time()?;
    let start = Instant::now();
    for number in 0..CONNECTIONS {
        clients.push(Some(Client::begin(address, &poll, Token(number))?));
    }
    while clients.iter().any(Option::is_some) {
        poll.poll(&mut events, Some(PATIENCE))?;
        if events.is_empty() {
            return Err("no echo came for ten seconds".into());
        }
        for event in &events {
            let place = &mut clients[event.token().0];
            let Some(client) = place else { continue };
            if !client.take()? {
                continue;
            }
            let now = Instant::now();
            latency.record(nanos(now - client.begun))?;
            // Closed before the next one begins.
            *place = None;
            if more(latency.len(), now - start) {
                *place = Some(Client::begin(address, &poll, event.token())?);
            }
        }
    }
    let elapsed = start.elapsed();
    // One that is served after them, so the ends of most of them are in the time.
    address.connect()?.echo(MESSAGE)?;
    let cpu = server.cpu_time()?.saturating_sub(cpu);
    Ok(Round {
        done: latency.len(),
        elapsed,
        cpu,
        latency,
    })
}
