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
at once, as fast as one thread can, or evenly over 4 s; a reply is due 2 s after its own message was
sent. Lateness is what it took beyond that, as the writer sees it. p50 and p99 are medians of the
rounds, earliest and max are those of all. Bytes are the server's anonymous memory when the first
reply comes, less that without a writer, for each. `switchboard, logging` writes its usual log, three
lines for each writer, into a file, by a thread that has to share the server's core.";

const KINDS: [Kind; 3] = [Kind::Switchboard, Kind::SwitchboardLogging, Kind::Tokio];

/// The server's own default.
const DELAY: Duration = Duration::from_secs(2);

/// A reply that is later than this will not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Events taken at once.
const EVENTS: usize = 1024;

/// Over what time the writers send, and the most that p50 and p99 are to be late, in microseconds.
const SPREADS: [(Duration, &str, f64, f64); 2] = [
    (Duration::ZERO, "at once", f64::MAX, 50_000.0),
    (Duration::from_secs(4), "over 4 s", 200.0, 5_000.0),
];

/// A waiting writer takes no more.
const BYTES_MAX: f64 = 400.0;

pub fn run(report: &mut Report) -> Outcome<()> {
    let mut table = Table::new(&[
        "writers",
        "server",
        "replies",
        "earliest µs",
        "p50 µs",
        "p99 µs",
        "max µs",
        "sent within µs",
        "server CPU µs/reply",
        "bytes/writer",
    ]);
    let mut earliest = f64::MAX;
    let mut goals = Vec::new();
    for (spread, name, p50, p99) in SPREADS {
        let all = rounds(report, spread)?;
        for (kind, rounds) in &all {
            table.row(row(name, *kind, rounds)?);
            if *kind != Kind::Tokio {
                let first = rounds.iter().map(Round::earliest_us);
                earliest = first.fold(earliest, f64::min);
            }
        }
        let ours = &all[0].1;
        let bytes = median(ours.iter().map(|round| round.bytes).collect());
        for (what, value, most) in [
            ("p50 µs", quantile(ours, 0.5)?, p50),
            ("p99 µs", quantile(ours, 0.99)?, p99),
            ("bytes/writer", bytes, BYTES_MAX),
        ] {
            if most < f64::MAX {
                let goal = format!("{name}: {what} {value:.1}, at most {most}");
                goals.push((value <= most, goal));
            }
        }
    }
    println!("{table}");
    goals.iter().for_each(|(met, goal)| report.goal(*met, goal));
    report.check(
        earliest >= 0.0,
        &format!("no reply is early; the earliest is {earliest:.1} µs late"),
    );
    Ok(())
}

/// All rounds of all servers, in turns.
fn rounds(report: &Report, spread: Duration) -> Outcome<Vec<(Kind, Vec<Round>)>> {
    let count = report.pick(5, 1);
    let writers = report.pick(10_000, 1000).min(connections_max());
    let mut all: Vec<(Kind, Vec<Round>)> = KINDS.map(|kind| (kind, Vec::new())).into();
    for _ in 0..count {
        for (kind, rounds) in &mut all {
            let round = measure(*kind, writers, spread);
            rounds.push(round.map_err(|error| format!("{kind}: {error}"))?);
        }
    }
    Ok(all)
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
    /// Of memory for each writer.
    bytes: f64,
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

/// The median of the rounds' quantiles, in microseconds.
fn quantile(rounds: &[Round], at: f64) -> Outcome<f64> {
    let of = |round: &Round| Ok(round.latency()?.value_at_quantile(at) as f64 / 1000.0);
    Ok(median(rounds.iter().map(of).collect::<Outcome<_>>()?))
}

fn row(name: &str, kind: Kind, rounds: &[Round]) -> Outcome<Vec<String>> {
    let latencies: Vec<_> = rounds.iter().map(Round::latency).collect::<Outcome<_>>()?;
    let worst = latencies.iter().map(Histogram::max).max().unwrap_or(0);
    let middle = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
    let earliest = rounds.iter().map(Round::earliest_us);
    Ok(vec![
        name.to_owned(),
        kind.to_string(),
        whole(
            rounds
                .iter()
                .map(|round| round.exchanges.len() as f64)
                .sum(),
        ),
        micros(earliest.fold(f64::MAX, f64::min)),
        micros(quantile(rounds, 0.5)?),
        micros(quantile(rounds, 0.99)?),
        micros(worst as f64 / 1000.0),
        micros(middle(Round::span_us)),
        format!("{:.2}", middle(Round::cpu_us)),
        whole(middle(|round| round.bytes)),
    ])
}

fn measure(kind: Kind, writers: usize, spread: Duration) -> Outcome<Round> {
    let server = Server::start(kind)?;
    let address = server.address("slot", Transport::Unix)?;
    wait_until_accepted(address)?;
    let empty = server.anonymous_bytes()?;
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
    let mut with = None;
    let start = Instant::now();
    let mut missing = writers;
    while missing > 0 {
        let mut patience = PATIENCE;
        // Between two messages the replies are looked for without waiting.
        while let Some(link) = links.get_mut(exchanges.len()) {
            let number = exchanges.len();
            if start.elapsed() < spread * number as u32 / writers as u32 {
                patience = Duration::ZERO;
                break;
            }
            let message = format!("writer {number}\n");
            exchanges.push(Exchange {
                sent: Instant::now(),
                replied: None,
            });
            link.send(message.as_bytes())?;
        }
        let came = collect(&mut poll, &mut links, &mut exchanges, patience)?;
        missing -= came;
        if came > 0 && with.is_none() {
            with = Some(server.anonymous_bytes()?);
        }
    }
    let cpu = server.cpu_time()?.saturating_sub(cpu);
    let with = with.unwrap_or(empty);
    let bytes = (with as f64 - empty as f64) / writers as f64;
    Ok(Round {
        exchanges,
        cpu,
        bytes,
    })
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

/// Takes the replies in, noting when the first bytes of each came; returns how many they are.
fn collect(
    poll: &mut Poll,
    links: &mut [PolledLink],
    exchanges: &mut [Exchange],
    patience: Duration,
) -> Outcome<usize> {
    let mut events = Events::with_capacity(EVENTS);
    let mut inbox = [0; 256];
    let mut came = 0;
    poll.poll(&mut events, Some(patience))?;
    if events.is_empty() && !patience.is_zero() {
        return Err("some replies never came".into());
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
            return Err(format!("a wrong reply: {:?}", reply.escape_ascii().to_string()).into());
        }
        exchanges[number].replied = Some(now);
        came += 1;
    }
    Ok(came)
}
