//! Echo: messages over connections that stay, one or several under way on each.

mod client;

use std::time::{Duration, Instant};

pub use self::client::Load;
use self::client::{Exchange, Pace, Shape};
use crate::link::Transport;
use crate::load::{ROUND_LENGTH, ROUNDS, Round, Series, add_rows, in_turns, latencies, table};
use crate::peers::{self, memcached, redis};
use crate::report::{Outcome, Report};
use crate::server::{Kind, Server, WITH_PEERS};

pub const ABOUT: &str = "\
1, 8 or 50 connections send messages of 64 bytes; each keeps 1 or 16 of them under way. Percentiles
are medians over the rounds, max is the worst of all rounds. CPU is the server's, all its threads.
`bare loop` is a loop on mio that reads, writes and checks nothing: the limit, not a server.

8 connections send in three more ways: *load awake* asks its poller again and again and never sleeps, so that
the server wakes nobody; *together*, all send when all are back; *in turn*, one sends when the one before it
has its answer, so that one message is under way in all.

Redis and memcached have no echo. `PING` with 43 bytes has 64 with its frame, and its answer 50; `mg` of a
key of 57 bytes has 64, and its answer with a value of 55 bytes 64 too.";

/// Connections, and messages under way on each.
const SHAPES: [(usize, usize); 4] = [(1, 1), (8, 1), (50, 1), (50, 16)];

/// The peers of the loads that are paced in another way.
const PACED: [Kind; 3] = [Kind::Switchboard, Kind::Bare, Kind::Tokio];

/// 8 connections with one message under way on each: when they send, whether the load stays awake, and how
/// that is called.
const PACES: [(Pace, bool, &str); 3] = [
    (Pace::Each, true, "load awake"),
    (Pace::Together, false, "together"),
    (Pace::InTurn, false, "in turn"),
];

/// Before a round counts: caches, frequencies and buffers settle.
const WARM_UP: Duration = Duration::from_millis(50);

pub fn run(report: &mut Report) -> Outcome<()> {
    let rounds = report.pick(ROUNDS, 1);
    let mut table = table("message");
    let mut goals = Vec::new();
    say_missing();
    for transport in [Transport::Tcp, Transport::Unix] {
        for (connections, depth) in SHAPES {
            let shape = Shape::usual(connections, depth);
            let kinds = match connections {
                50 => with_others(transport),
                _ => WITH_PEERS.to_vec(),
            };
            let all = in_turns(&kinds, rounds, |server| of_shape(server, transport, shape))?;
            let load = format!("{transport}, {connections} × {depth}");
            add_rows(&mut table, &load, &all);
            goals.extend(compare(&load, transport, (connections, depth), &all));
        }
        for (pace, awake, name) in PACES {
            let usual = Shape::usual(8, 1);
            let shape = Shape {
                pace,
                awake,
                ..usual
            };
            let all = in_turns(&PACED, rounds, |server| of_shape(server, transport, shape))?;
            add_rows(&mut table, &format!("{transport}, 8 × 1, {name}"), &all);
        }
    }
    println!("{table}");
    goals.iter().for_each(|(met, goal)| report.goal(*met, goal));
    Ok(())
}

/// The peers that have an echo, and those that are asked for something like it where they are
/// installed.
fn with_others(transport: Transport) -> Vec<Kind> {
    let memcached = match transport {
        Transport::Unix => Kind::MemcachedUnix,
        _ => Kind::Memcached,
    };
    let others = [
        (redis::PROGRAM, Kind::Redis),
        (memcached::PROGRAM, memcached),
    ];
    let others = others.into_iter();
    let others = others.filter(|(program, _)| peers::installed(program).is_some());
    WITH_PEERS
        .into_iter()
        .chain(others.map(|(_, kind)| kind))
        .collect()
}

fn say_missing() {
    for program in [redis::PROGRAM, memcached::PROGRAM] {
        if peers::installed(program).is_none() {
            println!("{program} is not installed, so it has no rows.\n");
        }
    }
}

fn of_shape(server: &Server, transport: Transport, shape: Shape) -> Outcome<Round> {
    let address = server.address("echo", transport)?;
    round(
        server,
        Load::of(address, shape, Exchange::with(server.kind))?,
    )
}

/// One round of a load, which is finished then.
pub fn round(server: &Server, load: Load) -> Outcome<Round> {
    round_of(server, load, 0)
}

/// As [`round`]; it takes longer where less than so many messages came back, and so does the warm-up.
pub fn round_of(server: &Server, mut load: Load, least: u64) -> Outcome<Round> {
    load.drive_for(WARM_UP, least, None)?;
    let mut latency = latencies()?;
    let cpu = server.cpu_time()?;
    let start = Instant::now();
    let done = load.drive_for(ROUND_LENGTH, least, Some(&mut latency))?;
    let elapsed = start.elapsed();
    let cpu = server.cpu_time()?.saturating_sub(cpu);
    load.pause()?;
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
