//! Slot: how late the replies are when very many are due at once.

use std::io::Read;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::link::{Address, PolledLink, Transport};
use crate::load::{latencies, nanos};
use crate::machine::connections_max;
use crate::report::{Outcome, Report, Table, as_micros, micros, whole};
use crate::server::{Kind, Server};

pub const ABOUT: &str = "\
Writers on Unix sockets, all connected beforehand, each send a line as fast as one thread can; each
reply is due 2 s after its own message was sent. Lateness is what it took beyond that, as the
writer sees it; a wait counted in milliseconds alone makes up to one of it. `switchboard, logging`
writes its usual log, lines for each writer, into a file.";

/// The server's own default.
const DELAY: Duration = Duration::from_secs(2);

/// A reply that is later than this will not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Events taken at once.
const EVENTS: usize = 1024;

pub fn run(report: &mut Report) -> Outcome<()> {
    let rounds = report.pick(3, 1);
    let writers = report.pick(10_000, 1000).min(connections_max());
    let mut table = Table::new(&[
        "server",
        "replies",
        "earliest µs",
        "p50 µs",
        "p99 µs",
        "max µs",
        "sent within µs",
        "server CPU µs/reply",
    ]);
    let mut earliest = f64::MAX;
    for kind in [Kind::Switchboard, Kind::SwitchboardLogging] {
        for _ in 0..rounds {
            let round = measure(kind, writers).map_err(|error| format!("{kind}: {error}"))?;
            earliest = earliest.min(round.earliest_us());
            table.row(round.row(kind)?);
        }
    }
    println!("{table}");
    report.check(
        earliest >= 0.0,
        &format!("no reply is early; the earliest is {earliest:.1} µs late"),
    );
    Ok(())
}

/// When a message was sent and when its reply came.
struct Exchange {
    sent: Instant,
    replied: Option<Instant>,
}

/// All of one burst.
struct Round {
    exchanges: Vec<Exchange>,
    cpu: Duration,
}

impl Round {
    /// Lateness of each reply in microseconds; less than nothing is early.
    fn lateness_us(&self) -> impl Iterator<Item = f64> {
        let answered = self
            .exchanges
            .iter()
            .filter_map(|one| Some((one.sent, one.replied?)));
        answered.map(|(sent, replied)| as_micros(replied - sent) - as_micros(DELAY))
    }

    fn earliest_us(&self) -> f64 {
        self.lateness_us().fold(f64::MAX, f64::min)
    }

    fn row(&self, kind: Kind) -> Outcome<Vec<String>> {
        let mut latency = latencies()?;
        for late in self.lateness_us() {
            latency.record(nanos(Duration::from_secs_f64(late.max(0.0) / 1e6)))?;
        }
        let quantile = |at| micros(latency.value_at_quantile(at) as f64 / 1000.0);
        let sent = || self.exchanges.iter().map(|one| one.sent);
        let span = sent()
            .max()
            .zip(sent().min())
            .map_or(Duration::ZERO, |(last, first)| last - first);
        Ok(vec![
            kind.to_string(),
            whole(latency.len() as f64),
            micros(self.earliest_us()),
            quantile(0.5),
            quantile(0.99),
            quantile(1.0),
            micros(as_micros(span)),
            format!("{:.2}", as_micros(self.cpu) / self.exchanges.len() as f64),
        ])
    }
}

fn measure(kind: Kind, writers: usize) -> Outcome<Round> {
    let server = Server::start(kind)?;
    let address = server.address("slot", Transport::Unix)?;
    let mut poll = Poll::new()?;
    let mut links = Vec::with_capacity(writers);
    for number in 0..writers {
        links.push(
            address
                .connect()?
                .register(poll.registry(), Token(number))?,
        );
    }
    wait_until_accepted(address)?;
    let cpu = server.cpu_time()?;
    let mut exchanges = Vec::with_capacity(writers);
    for (number, link) in links.iter_mut().enumerate() {
        let message = format!("writer {number}\n");
        exchanges.push(Exchange {
            sent: Instant::now(),
            replied: None,
        });
        link.send(message.as_bytes())?;
    }
    collect(&mut poll, &mut links, &mut exchanges)?;
    let cpu = server.cpu_time()?.saturating_sub(cpu);
    Ok(Round { exchanges, cpu })
}

/// Connections are accepted in their order, and an empty message is answered at once: when this
/// answer comes, everybody before has been accepted.
fn wait_until_accepted(address: &Address) -> Outcome<()> {
    let mut last = address.connect()?;
    std::io::Write::write_all(&mut last, b"\n")?;
    let mut answer = String::new();
    last.read_to_string(&mut answer)?;
    match answer.starts_with("error: ") {
        true => Ok(()),
        false => Err(format!("an empty message was answered {answer:?}").into()),
    }
}

/// Takes the replies in, noting when the first bytes of each came.
fn collect(poll: &mut Poll, links: &mut [PolledLink], exchanges: &mut [Exchange]) -> Outcome<()> {
    let mut events = Events::with_capacity(EVENTS);
    let mut inbox = [0; 256];
    let mut missing = links.len();
    while missing > 0 {
        poll.poll(&mut events, Some(PATIENCE))?;
        if events.is_empty() {
            return Err(format!("{missing} replies never came").into());
        }
        for event in &events {
            let number = event.token().0;
            let Some(len) = links[number].read(&mut inbox)? else {
                continue;
            };
            let now = Instant::now();
            if exchanges[number].replied.is_some() {
                continue;
            }
            let reply = &inbox[..len];
            if !reply.starts_with(b"writer ") || !reply.ends_with(b"\n") {
                return Err(
                    format!("a wrong reply: {:?}", reply.escape_ascii().to_string()).into(),
                );
            }
            exchanges[number].replied = Some(now);
            missing -= 1;
        }
    }
    Ok(())
}
