//! Idle: what a server keeps for a connection on which nothing happens.

use crate::echo::{Load, round_of};
use crate::link::{Link, Transport};
use crate::load::{Round, Series};
use crate::machine::connections_max;
use crate::report::{Outcome, Report, Table, micros, whole};
use crate::server::{Kind, Server, WITH_PEERS};

pub const ABOUT: &str = "\
Unix connections that stay open, each after one echo. Bytes are the server's anonymous memory
(smaps_rollup) with them less without them, for each; the kernel's own for a socket, several
hundred, is not in it. The peers keep a buffer of 4,096 bytes a connection. A thread for each is
more than some machines allow, so that peer holds fewer connections.

Then all of so many connections echo, one message of 64 bytes under way on each, beside 50 that do; and the
same with the bare loop, where nearly all of what a message costs is the kernel's.";

const MESSAGE: [u8; 64] = [b'm'; 64];

/// Connections before the first reading, so that what is made once has been made.
const WARM_UP: usize = 20;

/// Busy connections that many are compared with.
const FEW: usize = 50;

/// Messages that each of them sends at least in a round, and before it.
const LAPS: u64 = 2;

/// Fewer than in `echo`, because each connects them all.
const CROWD_ROUNDS: u32 = 7;

pub fn run(report: &mut Report) -> Outcome<()> {
    let wanted: usize = report.pick(15_000, 2000);
    // At 2,000 whole pages and doubled vectors weigh more on each than at 15,000.
    let bytes_max = report.pick(140.5, 400.0);
    let most = wanted.min(connections_max());
    if most < wanted {
        println!("The descriptor limit allows {most} connections only.\n");
    }
    let mut table = Table::new(&[
        "server",
        "connections",
        "bytes/connection",
        "before, KiB",
        "with them, KiB",
    ]);
    let mut promised = None;
    for kind in WITH_PEERS {
        let connections = match kind {
            Kind::Threads => most.min(report.pick(2000, 200)),
            _ => most,
        };
        let (before, with) =
            measure(kind, connections).map_err(|error| format!("{kind}: {error}"))?;
        let each = (with as f64 - before as f64) / connections as f64;
        table.row(vec![
            kind.to_string(),
            whole(connections as f64),
            whole(each),
            whole(before as f64 / 1024.0),
            whole(with as f64 / 1024.0),
        ]);
        if kind == Kind::Switchboard {
            promised = Some((each, connections));
        }
    }
    println!("{table}");
    if let Some((each, connections)) = promised {
        let promise = format!(
            "{each:.0} bytes for an idle connection, of {connections}; at most 140 (400 in a short run)"
        );
        report.check(each < bytes_max, &promise);
    }
    println!();
    crowd(report, most)
}

/// What a message costs where very many connections are busy, beside what it costs with few: of the
/// server, and of the bare loop, where next to all is the kernel's.
fn crowd(report: &mut Report, most: usize) -> Outcome<()> {
    let mut all = Vec::new();
    for kind in [Kind::Switchboard, Kind::Bare] {
        let server = Server::start(kind).map_err(|error| format!("{kind}: {error}"))?;
        let series = [FEW, most].map(|connections| Series {
            name: whole(connections as f64),
            rounds: Vec::new(),
        });
        all.push((server, series));
    }
    for _ in 0..report.pick(CROWD_ROUNDS, 1) {
        for (server, series) in &mut all {
            let address = server.address("echo", Transport::Unix)?;
            for (series, connections) in series.iter_mut().zip([FEW, most]) {
                let load = Load::new(address, connections, 1)?;
                let round = round_of(server, load, LAPS * connections as u64);
                series
                    .rounds
                    .push(round.map_err(|error| format!("{}: {error}", server.kind))?);
            }
        }
    }
    println!("{}", crowds(&all));
    let grown = all
        .iter()
        .map(|(_, [few, many])| many.ratio(few, Round::cpu_us));
    let grown: Vec<f64> = grown.collect();
    let [ours, bare] = grown[..] else {
        return Ok(());
    };
    let goal = format!(
        "CPU for a message with {} connections {ours:.2} of that with {FEW}, at most 1.10; {bare:.2} of the \
         bare loop's",
        whole(most as f64)
    );
    report.goal(ours <= 1.1, &goal);
    Ok(())
}

/// A row for each server and each number of connections; switchboard's come first.
fn crowds(all: &[(Server, [Series; 2])]) -> Table {
    let mut table = Table::new(&[
        "server",
        "connections",
        "messages/s",
        "p50 µs",
        "server CPU µs/message",
        "CPU ÷ that with 50",
        "switchboard's CPU ÷ this",
    ]);
    let ours = &all[0].1;
    for (number, (server, series)) in all.iter().enumerate() {
        for (ours, series) in ours.iter().zip(series.each_ref()) {
            let few = &all[number].1[0];
            let grown = (series.name != few.name).then(|| series.ratio(few, Round::cpu_us));
            let compared = (number > 0).then(|| ours.ratio(series, Round::cpu_us));
            let two = |ratio: Option<f64>| ratio.map(|ratio| format!("{ratio:.2}"));
            table.row(vec![
                server.kind.to_string(),
                series.name.clone(),
                whole(series.middle(Round::rate)),
                micros(series.middle(|round| round.quantile_us(0.5))),
                format!("{:.2}", series.middle(Round::cpu_us)),
                two(grown).unwrap_or_default(),
                two(compared).unwrap_or_default(),
            ]);
        }
    }
    table
}

/// Anonymous bytes of a server without and with so many connections.
fn measure(kind: Kind, connections: usize) -> Outcome<(u64, u64)> {
    let server = Server::start(kind)?;
    drop(open(&server, WARM_UP)?);
    // The echo of one more connection comes after the ends of those before it were seen.
    let mut links = open(&server, 1)?;
    let before = server.anonymous_bytes()?;
    links.extend(open(&server, connections - 1)?);
    let with = server.anonymous_bytes()?;
    // All of them must still be served, or the figure is that of something else.
    for link in &mut links {
        link.echo(&MESSAGE)?;
    }
    Ok((before, with))
}

fn open(server: &Server, connections: usize) -> Outcome<Vec<Link>> {
    let address = server.address("echo", Transport::Unix)?;
    let mut links = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut link = address.connect()?;
        link.echo(&MESSAGE)?;
        links.push(link);
    }
    Ok(links)
}
