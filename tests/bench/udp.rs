//! Datagrams: an echo of them, so many under way, beside a plain loop of recvfrom and sendto.

mod client;

use std::time::{Duration, Instant};

use self::client::{Load, Sends};
use crate::count::{self, Counter, Counts, Failure};
use crate::load::{ROUND_LENGTH, ROUNDS, Round, Series, add_rows, in_turns, latencies, table};
use crate::report::{Outcome, Report, Table, median};
use crate::server::{Kind, Server};

pub const ABOUT: &str = "\
One socket keeps 32 or 64 datagrams of 64 or 1,400 bytes under way; the load takes and sends many
with one call, so that it is the server that is measured. Sent as one means that the kernel gets
them as one and cuts them (UDP_SEGMENT), and hands them over as they come (UDP_GRO). Each datagram
has a number, and what does not come back within two seconds is lost. System calls are counted
in the server, with 64 under way and with one.";

const KINDS: [Kind; 2] = [Kind::Switchboard, Kind::Datagrams];
const SIZES: [usize; 2] = [64, 1_400];
const WINDOWS: [usize; 2] = [64, 32];

/// What issue 6 asks for: the server's processor time for a datagram, beside the plain loop's; and how
/// many times less of it where the load sends as one.
const CPU_MAX: f64 = 1.03;
const GAIN_MIN: f64 = 2.5;

/// The window with which nothing may be lost.
const SAFE_WINDOW: usize = 32;

/// Before a round counts.
const WARM_UP: Duration = Duration::from_millis(50);

/// What switchboard promises for one at a time: a wait, and a call each way.
const CALLS_MAX: f64 = 3.05;

/// How many datagrams one server was sent with the safe window, and how many of them it lost.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    sent: u64,
    lost: u64,
}

pub fn run(report: &mut Report) -> Outcome<()> {
    let rounds = report.pick(ROUNDS, 1);
    let mut table = table("datagram");
    let (mut safe, mut wide) = (Tally::default(), Tally::default());
    let (mut single, mut as_one) = (Vec::new(), Vec::new());
    for (size, window, sends) in loads() {
        let all = in_turns(&KINDS, rounds, |server| {
            let (round, tally) = round(server, size, window, sends)?;
            if server.kind == Kind::Switchboard {
                let total = match window {
                    SAFE_WINDOW => &mut safe,
                    _ => &mut wide,
                };
                total.sent += tally.sent;
                total.lost += tally.lost;
            }
            Ok(round)
        })?;
        let (how, ratios) = match sends {
            Sends::Single => ("", &mut single),
            Sends::AsOne => (", sent as one", &mut as_one),
        };
        let load = format!("{size} B, {window} under way{how}");
        add_rows(&mut table, &load, &all);
        ratios.push(cpu_ratio(&all));
    }
    println!("{table}");
    if !report.smoke {
        say_goals(median(single), median(as_one));
    }
    for (tally, window) in [(wide, WINDOWS[0]), (safe, SAFE_WINDOW)] {
        let Tally { sent, lost } = tally;
        let promise = format!("{lost} of {sent} datagrams lost with {window} under way");
        match window {
            SAFE_WINDOW => report.check(lost == 0, &promise),
            _ => println!("- {promise}"),
        }
    }
    println!();
    count_calls(report)
}

fn loads() -> impl Iterator<Item = (usize, usize, Sends)> {
    let how = [Sends::Single, Sends::AsOne];
    let windows = SIZES.map(|size| WINDOWS.map(|window| (size, window)));
    let windows = move || windows.into_iter().flatten();
    how.into_iter()
        .flat_map(move |sends| windows().map(move |(size, window)| (size, window, sends)))
}

/// The median of the rounds' ratios: the first server's processor time for a datagram, divided by the
/// second's.
fn cpu_ratio(all: &[Series]) -> f64 {
    let cpu = |round: &Round| round.cpu.as_secs_f64() / round.done.max(1) as f64;
    match all {
        [ours, plain, ..] => {
            let pairs = ours.rounds.iter().zip(&plain.rounds);
            median(pairs.map(|(one, two)| cpu(one) / cpu(two)).collect())
        }
        _ => f64::NAN,
    }
}

/// Goals depend on the machine, so they are said and not promised.
fn say_goals(single: f64, as_one: f64) {
    let met = |holds: bool| if holds { "goal met" } else { "goal MISSED" };
    println!(
        "- {}: {single:.2} of the plain loop's CPU for a datagram; at most {CPU_MAX:.2}",
        met(single <= CPU_MAX)
    );
    let gain = 1.0 / as_one;
    println!(
        "- {}: {gain:.2} times less CPU than the plain loop for what is sent as one; at least \
         {GAIN_MIN:.1}",
        met(gain >= GAIN_MIN)
    );
}

fn round(server: &Server, size: usize, window: usize, sends: Sends) -> Outcome<(Round, Tally)> {
    let mut load = Load::new(server, size, window, sends)?;
    load.drive(WARM_UP, None)?;
    let mut latency = latencies()?;
    let cpu = server.cpu_time()?;
    let start = Instant::now();
    let done = load.drive(ROUND_LENGTH, Some(&mut latency))?;
    let elapsed = start.elapsed();
    let cpu = server.cpu_time()?.saturating_sub(cpu);
    load.finish()?;
    let round = Round {
        done,
        elapsed,
        cpu,
        latency,
    };
    let tally = Tally {
        sent: load.next,
        lost: load.lost,
    };
    Ok((round, tally))
}

fn count_calls(report: &mut Report) -> Outcome<()> {
    let datagrams = report.pick(20_000, 2_000);
    let mut table = Table::new(&["load", "server", "calls/datagram", "which"]);
    let (mut by, mut alone) = (None, 0.0);
    for window in [WINDOWS[0], 1] {
        for kind in KINDS {
            let server =
                Server::start(kind.counted()).map_err(|error| format!("{kind}: {error}"))?;
            let calls = match count(&server, window, datagrams) {
                Ok(calls) => calls,
                Err(Failure::Counter(why)) => {
                    count::say_none(&why);
                    return Ok(());
                }
                Err(Failure::Load(error)) => return Err(format!("{kind}: {error}").into()),
            };
            by = Some(calls.by);
            let total = calls.each(datagrams as f64);
            table.row(vec![
                format!("{} B, {window} under way", SIZES[0]),
                kind.to_string(),
                format!("{total:.3}"),
                calls.which(datagrams as f64),
            ]);
            if kind == Kind::Switchboard && window == 1 {
                alone = total;
            }
        }
    }
    println!("{table}");
    count::say(by);
    let promise = format!("{alone:.3} system calls per datagram alone, at most {CALLS_MAX}");
    report.check(alone <= CALLS_MAX, &promise);
    Ok(())
}

/// What is called while so many datagrams come back.
fn count(server: &Server, window: usize, datagrams: u64) -> Result<Counts, Failure> {
    let mut load = Load::new(server, SIZES[0], window, Sends::Single).map_err(Failure::Load)?;
    load.top_up().map_err(Failure::Load)?;
    load.finish().map_err(Failure::Load)?;
    let counter = Counter::attach(server.pid()).map_err(Failure::Counter)?;
    let mut done = 0;
    while done < datagrams {
        load.top_up().map_err(Failure::Load)?;
        done += load.take(None).map_err(Failure::Load)?;
    }
    load.finish().map_err(Failure::Load)?;
    counter.detach().map_err(Failure::Counter)
}
