//! Slot: how late the replies are when very many are due at once.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::{Events, Poll, Token};

use crate::link::{Address, PolledLink, Transport};
use crate::load::{latencies, nanos};
use crate::machine::connections_max;
use crate::report::{Outcome, Report, Table, as_micros, median, micros, whole};
use crate::server::{Kind, Server};

pub const ABOUT: &str = "\
10,000 writers on Unix sockets (1,000 in a short run), all connected beforehand, each send a line,
as fast as one thread can; a reply is due 2 s after its own message was sent. Lateness is what it
took beyond that, as the writer sees it. Up to 3 ms of it are the wait itself: its timeout is in
whole milliseconds, and the kernel adds a slack of a thousandth. p50 and p99 are medians of the
rounds, earliest and max are those of all. `switchboard, logging` writes its usual log, three lines
for each writer, into a file, by a thread that has to share the server's core.";

const KINDS: [Kind; 3] = [Kind::Switchboard, Kind::SwitchboardLogging, Kind::Tokio];

/// The server's own default.
const DELAY: Duration = Duration::from_secs(2);

/// A reply that is later than this will not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Events taken at once.
const EVENTS: usize = 1024;

pub fn run(report: &mut Report) -> Outcome<()> {
    let count = report.pick(5, 1);
    let writers = report.pick(10_000, 1000).min(connections_max());
    let mut rounds: Vec<(Kind, Vec<Round>)> = KINDS.map(|kind| (kind, Vec::new())).into();
    for _ in 0..count {
        for (kind, rounds) in &mut rounds {
            rounds.push(measure(*kind, writers).map_err(|error| format!("{kind}: {error}"))?);
        }
    }
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
    for (kind, rounds) in &rounds {
        table.row(row(*kind, rounds)?);
    }
    println!("{table}");
    let ours = rounds.iter().filter(|(kind, _)| *kind != Kind::Tokio);
    let earliest = ours
        .flat_map(|(_, rounds)| rounds.iter().map(Round::earliest_us))
        .fold(f64::MAX, f64::min);
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

    fn latency(&self) -> Outcome<Histogram<u64>> {
        let mut latency = latencies()?;
        for late in self.lateness_us() {
            latency.record(nanos(Duration::from_secs_f64(late.max(0.0) / 1e6)))?;
        }
        Ok(latency)
    }

    /// From the first message sent to the last.
    fn span_us(&self) -> f64 {
        let sent = || self.exchanges.iter().map(|one| one.sent);
        let ends = sent().max().zip(sent().min());
        ends.map_or(0.0, |(last, first)| as_micros(last - first))
    }

    fn cpu_us(&self) -> f64 {
        as_micros(self.cpu) / self.exchanges.len() as f64
    }
}

fn row(kind: Kind, rounds: &[Round]) -> Outcome<Vec<String>> {
    let latencies: Vec<_> = rounds.iter().map(Round::latency).collect::<Outcome<_>>()?;
    let quantile = |at| {
        let all = latencies
            .iter()
            .map(|latency| latency.value_at_quantile(at));
        micros(median(all.map(|nanos| nanos as f64 / 1000.0).collect()))
    };
    let worst = latencies.iter().map(Histogram::max).max().unwrap_or(0);
    Ok(vec![
        kind.to_string(),
        whole(
            rounds
                .iter()
                .map(|round| round.exchanges.len() as f64)
                .sum(),
        ),
        micros(
            rounds
                .iter()
                .map(Round::earliest_us)
                .fold(f64::MAX, f64::min),
        ),
        quantile(0.5),
        quantile(0.99),
        micros(worst as f64 / 1000.0),
        micros(median(rounds.iter().map(Round::span_us).collect())),
        format!("{:.2}", median(rounds.iter().map(Round::cpu_us).collect())),
    ])
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
    last.write_all(b"\n")?;
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
