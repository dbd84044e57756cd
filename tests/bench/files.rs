//! Files: large ones from the page cache, beside nginx with sendfile, and uploads.

mod fetch;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use self::fetch::{Load, Pass, fetch, store};
use crate::count::{self, Counter};
use crate::link::Transport;
use crate::peers;
use crate::report::{Outcome, Report, Table, median};
use crate::server::{Kind, Server};

pub const ABOUT: &str = "\
One file of 1 GiB from the page cache, on connections that are new in each pass: all of it on one, its
second half on each of 8. The load reads up to 1 MiB with one call; *discarded* has the kernel throw it
away without a copy instead (`MSG_TRUNC`), so that it is the server that is measured. Our wire is `get NAME
OFFSET`; nginx has one process and `sendfile on`, its other settings as they come. GB are 10^9 bytes, CPU
is in seconds for one of them. Uploads are `put` of 256 MiB, until it is synced: their rate is the disk's.";

/// The file.
const NAME: &str = "big";

const MIB: u64 = 1 << 20;

/// Passes of each server in a full run.
const PASSES: u32 = 9;

/// System calls for a MiB on one connection, at most: one sends it, nine ask whether it is in the
/// cache, and some more wait or find the socket full.
const CALLS_MAX: f64 = 24.0;

/// What issue 6 asks for over TCP: rates of nginx's on 1 and 8 connections, and of its CPU.
const GOALS: [(usize, f64); 2] = [(1, 1.25), (8, 1.2)];
/// See [`GOALS`].
const GOAL_CPU: f64 = 0.8;

pub fn run(report: &mut Report) -> Outcome<()> {
    let size = report.pick(1024 * MIB, 64 * MIB);
    let folder = tempfile::Builder::new()
        .prefix("files-")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    fill(&folder.path().join(NAME), size)?;
    let mut servers = vec![Server::with_files(Kind::Switchboard, folder.path())?];
    match peers::installed("nginx") {
        Some(_) => servers.push(Server::with_files(Kind::Nginx, folder.path())?),
        None => println!("nginx is not installed, so there is nothing to compare with.\n"),
    }
    let passes = report.pick(PASSES, 1);
    let mut table = Table::new(&[
        "load",
        "server",
        "GB/s",
        "server CPU s/GB",
        "load CPU s/GB",
        "switchboard's rate ÷ this",
        "switchboard's CPU ÷ this",
    ]);
    let mut met = Vec::new();
    for load in loads(size) {
        let all = in_turns(&servers, passes, load)?;
        let name = described(load);
        add_rows(&mut table, &name, &servers, &all);
        if let [ours, nginx] = &all[..] {
            met.extend(goal(load, &name, ours, nginx));
        }
    }
    for transport in [Transport::Tcp, Transport::Unix] {
        let upload = report.pick(256 * MIB, 16 * MIB);
        let passes: Outcome<Vec<_>> = (0..passes)
            .map(|_| store(&servers[0], transport, upload))
            .collect();
        add_rows(
            &mut table,
            &format!("{transport}, upload"),
            &servers,
            &[passes?],
        );
    }
    println!("{table}");
    for line in met.iter().filter(|_| !report.smoke) {
        println!("- {line}");
    }
    println!();
    count_calls(report, &servers, size)
}

/// Writes the file, and so has it in the page cache.
fn fill(path: &Path, size: u64) -> Outcome<()> {
    let mut file = File::create(path)?;
    let block: Vec<u8> = (0..MIB).map(|at| (at % 251) as u8).collect();
    for _ in 0..size / MIB {
        file.write_all(&block)?;
    }
    // What is written while it is measured would be measured too.
    Ok(file.sync_all()?)
}

fn loads(size: u64) -> Vec<Load> {
    let mut loads = Vec::new();
    for transport in [Transport::Tcp, Transport::Unix] {
        for connections in [1, 8] {
            for discard in [true, false] {
                loads.push(Load {
                    transport,
                    connections,
                    from: if connections == 1 { 0 } else { size / 2 },
                    size,
                    discard,
                });
            }
        }
    }
    // A Unix socket has no way to throw away.
    loads.retain(|load| load.transport == Transport::Tcp || !load.discard);
    loads
}

fn described(load: Load) -> String {
    let how = if load.discard { "discarded" } else { "read" };
    format!("{}, {}, {how}", load.transport, load.connections)
}

/// Each server has its pass in turn; the first of each warms up.
fn in_turns(servers: &[Server], passes: u32, load: Load) -> Outcome<Vec<Vec<Pass>>> {
    let mut all: Vec<Vec<Pass>> = servers.iter().map(|_| Vec::new()).collect();
    for _ in 0..passes {
        for (server, series) in servers.iter().zip(&mut all) {
            let pass = fetch(server, load);
            series.push(pass.map_err(|error| format!("{}: {error}", server.kind))?);
        }
    }
    Ok(all)
}

/// The median of the passes' ratios.
fn ratio(one: &[Pass], two: &[Pass], figure: fn(&Pass) -> f64) -> f64 {
    let pairs = one.iter().zip(two);
    median(pairs.map(|(one, two)| figure(one) / figure(two)).collect())
}

fn add_rows(table: &mut Table, load: &str, servers: &[Server], all: &[Vec<Pass>]) {
    for (number, (server, passes)) in servers.iter().zip(all).enumerate() {
        let middle = |figure: fn(&Pass) -> f64| median(passes.iter().map(figure).collect());
        let compared = |figure| match number {
            0 => String::new(),
            _ => format!("{:.2}", ratio(&all[0], passes, figure)),
        };
        table.row(vec![
            load.to_owned(),
            server.kind.to_string(),
            format!("{:.2}", middle(Pass::rate)),
            format!("{:.3}", middle(Pass::server_cpu)),
            format!("{:.3}", middle(Pass::load_cpu)),
            compared(Pass::rate),
            compared(Pass::server_cpu),
        ]);
    }
}

/// Whether the goals of a load are met, where it has any.
fn goal(load: Load, name: &str, ours: &[Pass], nginx: &[Pass]) -> Option<String> {
    let (_, wanted) = GOALS.into_iter().find(|goal| goal.0 == load.connections)?;
    if load.transport != Transport::Tcp {
        return None;
    }
    let rate = ratio(ours, nginx, Pass::rate);
    let cpu = ratio(ours, nginx, Pass::server_cpu);
    let met = |met: bool| if met { "goal met" } else { "goal MISSED" };
    let (fast, cheap) = (met(rate >= wanted), met(cpu <= GOAL_CPU));
    Some(format!(
        "{name}: {fast}: {rate:.2} of nginx's rate, at least {wanted}; {cheap}: {cpu:.2} of its CPU, \
         at most {GOAL_CPU}"
    ))
}

/// System calls for a MiB on one connection.
fn count_calls(report: &mut Report, servers: &[Server], size: u64) -> Outcome<()> {
    let mut table = Table::new(&["load", "server", "calls/MiB", "which"]);
    let (mut by, mut promised) = (None, Vec::new());
    let one = |load: &Load| load.connections == 1 && !load.discard;
    for load in loads(size).into_iter().filter(one) {
        for server in servers {
            let counted = Counter::attach(server.pid()).and_then(|counter| {
                fetch(server, load).map_err(|error| error.to_string())?;
                counter.detach()
            });
            let counted = match counted {
                Ok(counted) => counted,
                Err(why) => {
                    count::say_none(&why);
                    return Ok(());
                }
            };
            let units = (size / MIB) as f64;
            let total = counted.each(units);
            by = Some(counted.by);
            table.row(vec![
                described(load),
                server.kind.to_string(),
                format!("{total:.2}"),
                counted.which(units),
            ]);
            if server.kind == Kind::Switchboard {
                promised.push((load.transport, total));
            }
        }
    }
    println!("{table}");
    count::say(by);
    for (transport, total) in promised {
        let promise =
            format!("{total:.2} system calls for a MiB over {transport}, at most {CALLS_MAX}");
        report.check(total <= CALLS_MAX, &promise);
    }
    Ok(())
}
