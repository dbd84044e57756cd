//! Sum: connections that live for one request, and one long stream (`stream`).

pub mod stream;

use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::link::{Address, PolledLink, Transport};
use crate::load::{ROUND_LENGTH, ROUNDS, Round, add_rows, in_turns, latencies, nanos, table};
use crate::report::{Outcome, Report};
use crate::server::{Kind, Server};

pub const ABOUT: &str = "\
Connect, send `5`, `-7`, `0` as lines, read `Result = -2` until the server ends the connection; 16
connections at any time. Latency is from before the connecting to the end of the connection.
`switchboard, logging` writes its usual log, lines for each connection, into a file.";

const REQUEST: &[u8] = b"5\n-7\n0\n";
const REPLY: &[u8] = b"Result = -2\n";

/// Connections open at any time.
const CONNECTIONS: usize = 16;

/// Before a round counts.
const WARM_UP: Duration = Duration::from_millis(50);

/// No answer for so long means that it will not come.
const PATIENCE: Duration = Duration::from_secs(10);

const KINDS: [Kind; 5] = [
    Kind::Switchboard,
    Kind::SwitchboardAsleep,
    Kind::SwitchboardLogging,
    Kind::Tokio,
    Kind::Threads,
];

pub fn run(report: &mut Report) -> Outcome<()> {
    let rounds = report.pick(ROUNDS, 1);
    let mut table = table("request");
    for transport in [Transport::Tcp, Transport::Unix] {
        let all = in_turns(&KINDS, rounds, |server| round(server, transport))?;
        add_rows(&mut table, &transport.to_string(), &all);
    }
    println!("{table}");
    Ok(())
}

fn round(server: &Server, transport: Transport) -> Outcome<Round> {
    let address = server.address("sum", transport)?;
    drive(address, WARM_UP, server)?;
    drive(address, ROUND_LENGTH, server)
}

/// One request under way.
struct Client {
    link: PolledLink,
    begun: Instant,
    reply: Vec<u8>,
}

impl Client {
    fn begin(address: &Address, poll: &Poll, token: Token) -> Outcome<Self> {
        let begun = Instant::now();
        let mut link = address.connect()?.register(poll.registry(), token)?;
        link.send(REQUEST)?;
        Ok(Self {
            link,
            begun,
            reply: Vec::with_capacity(REPLY.len()),
        })
    }

    /// Reads what came; `true` when the server has ended the connection after the right reply.
    fn take(&mut self) -> Outcome<bool> {
        let mut bytes = [0; 64];
        while let Some(len) = self.link.read(&mut bytes)? {
            match len {
                0 if self.reply == REPLY => return Ok(true),
                0 => return Err(format!("a wrong reply: {}", self.reply.escape_ascii()).into()),
                len => self.reply.extend_from_slice(&bytes[..len]),
            }
        }
        Ok(false)
    }
}

/// Keeps so many requests under way for so long, then waits for the last of them.
fn drive(address: &Address, length: Duration, server: &Server) -> Outcome<Round> {
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
            return Err("no reply came for ten seconds".into());
        }
        for event in &events {
            let place = &mut clients[event.token().0];
            let Some(client) = place else { continue };
            if !client.take()? {
                continue;
            }
            let now = Instant::now();
            latency.record(nanos(now - client.begun))?;
            *place = None;
            if now - start < length {
                *place = Some(Client::begin(address, &poll, event.token())?);
            }
        }
    }
    let elapsed = start.elapsed();
    let cpu = server.cpu_time()?.saturating_sub(cpu);
    Ok(Round {
        done: latency.len(),
        elapsed,
        cpu,
        latency,
    })
}
