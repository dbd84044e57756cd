//! What a round of load was, and how rounds become a row: shared by all that compare rates.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::report::{Outcome, Table, as_micros, median, micros, whole};
use crate::server::{Kind, Server};

/// The longest latency that a histogram tells apart, in nanoseconds: one minute.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// Significant figures of a histogram.
const FIGURES: u8 = 3;

/// Rounds of each server in a full run: many short ones, because whatever else the machine does
/// then disturbs all servers alike, and the median of many ratios bears some that are off.
pub const ROUNDS: u32 = 21;

/// How long a round is.
pub const ROUND_LENGTH: Duration = Duration::from_millis(300);

/// What one round on one server came to.
pub struct Round {
    /// Messages or requests that were answered.
    pub done: u64,
    pub elapsed: Duration,
    /// Processor time of the server in it.
    pub cpu: Duration,
    /// From sending to answer, in nanoseconds.
    pub latency: Histogram<u64>,
}

/// A histogram of latencies in nanoseconds.
pub fn latencies() -> Outcome<Histogram<u64>> {
    Ok(Histogram::new_with_max(LATENCY_NS_MAX, FIGURES)?)
}

/// Nanoseconds for a histogram.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos())
        .unwrap_or(LATENCY_NS_MAX)
        .min(LATENCY_NS_MAX)
}

impl Round {
    /// Answers a second.
    pub fn rate(&self) -> f64 {
        self.done as f64 / self.elapsed.as_secs_f64()
    }

    /// Processor time of the server for each answer.
    pub fn cpu_us(&self) -> f64 {
        as_micros(self.cpu) / self.done.max(1) as f64
    }

    /// A quantile of the latencies in microseconds.
    pub fn quantile_us(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1000.0
    }
}

/// All rounds of one server under one load.
pub struct Series {
    pub name: String,
    pub rounds: Vec<Round>,
}

impl Series {
    /// The median of the rounds.
    pub fn middle(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(figure).collect())
    }

    /// The median of the rounds' ratios: `self` and `other` ran close together in each.
    pub fn ratio(&self, other: &Self, figure: impl Fn(&Round) -> f64) -> f64 {
        let pairs = self.rounds.iter().zip(&other.rounds);
        median(pairs.map(|(one, two)| figure(one) / figure(two)).collect())
    }
}

/// A table of series; `what` is one answered thing.
pub fn table(what: &str) -> Table {
    Table::new(&[
        "load",
        "server",
        &format!("{what}s/s"),
        "p50 µs",
        "p99 µs",
        "max µs",
        &format!("server CPU µs/{what}"),
        "switchboard's rate ÷ this",
        "switchboard's p50 ÷ this",
        "switchboard's CPU ÷ this",
    ])
}

/// Adds a row for each series; the first is switchboard's, to which the others are compared.
pub fn add_rows(table: &mut Table, load: &str, all: &[Series]) {
    for (number, series) in all.iter().enumerate() {
        let worst = series
            .rounds
            .iter()
            .map(|round| round.latency.max())
            .max()
            .unwrap_or(0);
        let compared = |figure: fn(&Round) -> f64| match number {
            0 => String::new(),
            _ => format!("{:.2}", all[0].ratio(series, figure)),
        };
        table.row(vec![
            load.to_owned(),
            series.name.clone(),
            whole(series.middle(Round::rate)),
            micros(series.middle(|round| round.quantile_us(0.5))),
            micros(series.middle(|round| round.quantile_us(0.99))),
            micros(worst as f64 / 1000.0),
            format!("{:.2}", series.middle(Round::cpu_us)),
            compared(Round::rate),
            compared(|round| round.quantile_us(0.5)),
            compared(Round::cpu_us),
        ]);
    }
}

/// Starts the servers once and lets each have its round in turn.
pub fn in_turns(
    kinds: &[Kind],
    rounds: u32,
    mut round: impl FnMut(&Server) -> Outcome<Round>,
) -> Outcome<Vec<Series>> {
    let mut servers = Vec::new();
    for kind in kinds {
        servers.push(Server::start(*kind).map_err(|error| format!("{kind}: {error}"))?);
    }
    let mut all: Vec<Series> = kinds
        .iter()
        .map(|kind| Series {
            name: kind.to_string(),
            rounds: Vec::new(),
        })
        .collect();
    for _ in 0..rounds {
        for (server, series) in servers.iter().zip(&mut all) {
            let done = round(server).map_err(|error| format!("{}: {error}", server.kind))?;
            series.rounds.push(done);
        }
    }
    Ok(all)
}
