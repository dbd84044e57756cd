//! TFTP: a file read by lock-step and in windows, beside the servers that the system has.

mod client;
mod servers;

use crate::report::{Outcome, Report, Table, median};
use client::{Fetched, Terms, fetch};
use servers::{ALL, Folder, Kind, Server};

pub const ABOUT: &str = "\
One client reads a file and compares it, block by block; it takes the blocks of a window with one
call where they have come, so that it is the server that is measured. CPU is the server's, with all
its threads, and with the process that tftpd-hpa makes for each transfer. A window is what the server
grants of what was asked for.";

/// One way to read the file.
struct Load {
    terms: Terms,
    /// Mebibytes of the file in a full run: less in lock-step, which takes longer for each.
    mib: usize,
}

const LOADS: [Load; 6] = [
    load(512, 1, 2),
    load(1_428, 1, 4),
    load(8_192, 1, 16),
    load(1_428, 4, 16),
    load(1_428, 16, 64),
    load(1_428, 64, 64),
];

const fn load(block: usize, window: u64, mib: usize) -> Load {
    Load {
        terms: Terms { block, window },
        mib,
    }
}

const MIB: usize = 1024 * 1024;

/// The whole file, of which lesser loads read one that is shorter.
const MIB_MAX: usize = 64;

/// Rounds of each server in a full run; each is a file, which takes longer than a round elsewhere.
const ROUNDS: u32 = 9;

/// What issue 6 asks for, as ratios of rates: the terms, the peer, and the least.
const GOALS: [(Terms, Kind, f64); 2] = [
    (LOADS[4].terms, Kind::Atftpd, 1.5),
    (LOADS[0].terms, Kind::Hpa, 0.95),
];

/// The rounds of one server.
struct Series {
    kind: Kind,
    rounds: Vec<Fetched>,
}

impl Series {
    fn middle(&self, figure: impl Fn(&Fetched) -> f64) -> f64 {
        median(self.rounds.iter().map(figure).collect())
    }

    /// The median of the rounds' ratios: `self` and `other` ran close together in each.
    fn ratio(&self, other: &Self, figure: impl Fn(&Fetched) -> f64) -> f64 {
        let pairs = self.rounds.iter().zip(&other.rounds);
        median(pairs.map(|(one, two)| figure(one) / figure(two)).collect())
    }
}

/// Millions of bytes a second.
fn rate(fetched: &Fetched) -> f64 {
    fetched.bytes as f64 / 1e6 / fetched.elapsed.as_secs_f64()
}

/// Microseconds of the server's processor time for each million bytes.
fn cpu(fetched: &Fetched) -> f64 {
    fetched.cpu.as_secs_f64() * 1e6 / (fetched.bytes as f64 / 1e6)
}

pub fn run(report: &mut Report) -> Outcome<()> {
    let (rounds, most) = (report.pick(ROUNDS, 1), report.pick(MIB_MAX, 1));
    let mut table = Table::new(&[
        "load",
        "server",
        "MB/s",
        "server CPU µs/MB",
        "repeats",
        "switchboard's rate ÷ this",
        "switchboard's CPU ÷ this",
    ]);
    let (mut goals, mut refusals) = (Vec::new(), Vec::new());
    let mut missing = Vec::new();
    for Load { terms, mib } in LOADS {
        let file = pattern(mib.min(most) * MIB);
        let folder = Folder::with("file", &file)?;
        let servers = start(&folder, &mut missing)?;
        let all = in_turns(&servers, &file, terms, rounds, &mut refusals)?;
        add_rows(&mut table, terms, &all);
        if !report.smoke {
            goals.extend(reached(terms, &all));
        }
    }
    println!("{table}");
    for note in missing.iter().chain(&refusals).chain(&goals) {
        println!("- {note}");
    }
    Ok(())
}

/// Bytes of which no block is like another.
fn pattern(len: usize) -> Vec<u8> {
    let word = |at: u64| at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    (0..len as u64 / 8).flat_map(word).collect()
}

/// Starts all servers that there are; says once why another is not measured.
fn start(folder: &Folder, missing: &mut Vec<String>) -> Outcome<Vec<Server>> {
    let mut servers = Vec::new();
    for kind in ALL {
        match Server::start(kind, folder) {
            Ok(server) => servers.push(server),
            Err(why) if kind == Kind::Switchboard => return Err(why.into()),
            Err(why) => {
                let note = format!("{kind} is not measured: {why}");
                if !missing.contains(&note) {
                    missing.push(note);
                }
            }
        }
    }
    Ok(servers)
}

/// Lets each server have its round in turn; one that does not grant the terms has none.
fn in_turns(
    servers: &[Server],
    file: &[u8],
    terms: Terms,
    rounds: u32,
    refusals: &mut Vec<String>,
) -> Outcome<Vec<Series>> {
    let mut all = Vec::new();
    for _ in 0..rounds {
        for server in servers {
            let fetched = fetch(server, ("file", file), terms);
            let fetched = fetched.map_err(|error| format!("{}: {error}", server.kind))?;
            let known = all.iter_mut().find(|s: &&mut Series| s.kind == server.kind);
            match (fetched, known) {
                (Some(fetched), Some(series)) => series.rounds.push(fetched),
                (Some(fetched), None) => all.push(Series {
                    kind: server.kind,
                    rounds: vec![fetched],
                }),
                (None, _) => {
                    let note = format!("{} does not grant {}", server.kind, described(terms));
                    if !refusals.contains(&note) {
                        refusals.push(note);
                    }
                }
            }
        }
    }
    Ok(all)
}

fn described(terms: Terms) -> String {
    match terms.window {
        1 => format!("{} B, lock-step", terms.block),
        window => format!("{} B, window {window}", terms.block),
    }
}

fn add_rows(table: &mut Table, terms: Terms, all: &[Series]) {
    for series in all {
        let window = series.rounds.first().map_or(terms.window, |r| r.window);
        let load = described(Terms { window, ..terms });
        let repeats: u32 = series.rounds.iter().map(|round| round.repeats).sum();
        let compared = |figure: fn(&Fetched) -> f64| match &all[0] {
            ours if ours.kind != series.kind => format!("{:.2}", ours.ratio(series, figure)),
            _ => String::new(),
        };
        table.row(vec![
            load,
            series.kind.to_string(),
            format!("{:.1}", series.middle(rate)),
            format!("{:.0}", series.middle(cpu)),
            repeats.to_string(),
            compared(rate),
            compared(cpu),
        ]);
    }
}

/// Says of the goals with these terms whether they were met: they depend on the machine.
fn reached(terms: Terms, all: &[Series]) -> Vec<String> {
    let series = |kind: Kind| all.iter().find(|series| series.kind == kind);
    let goals = GOALS.iter().filter(|(goal, ..)| *goal == terms);
    let said = goals.filter_map(|(_, peer, least)| {
        let ratio = series(Kind::Switchboard)?.ratio(series(*peer)?, rate);
        let met = match ratio >= *least {
            true => "goal met",
            false => "goal MISSED",
        };
        let load = described(terms);
        Some(format!(
            "{met}: {ratio:.2} times the rate of {peer}, {load}; at least {least:.2}"
        ))
    });
    said.collect()
}
