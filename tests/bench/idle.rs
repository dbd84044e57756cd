//! Idle: what a server keeps for a connection on which nothing happens.

use crate::link::{Link, Transport};
use crate::machine::connections_max;
use crate::report::{Outcome, Report, Table, whole};
use crate::server::{Kind, Server, WITH_PEERS};

pub const ABOUT: &str = "\
Unix connections that stay open, each after one echo. Bytes are the server's anonymous memory
(smaps_rollup) with them less without them, for each; the kernel's own for a socket, several
hundred, is not in it. The peers keep a buffer of 4,096 bytes a connection. A thread for each is
more than some machines allow, so that peer holds fewer connections.";

const MESSAGE: [u8; 64] = [b'm'; 64];

/// Connections before the first reading, so that what is made once has been made.
const WARM_UP: usize = 20;

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
    Ok(())
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
