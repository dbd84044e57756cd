//! System calls that an echo and a short connection take, counted from outside.

use std::error::Error;
use std::io::{self, Read as _, Write as _};

use crate::count::{self, Counter, Counts, Failure, METHODS};
use crate::link::{Address, Link, Transport};
use crate::report::{Outcome, Report, Table};
use crate::server::{Kind, Server};
use crate::{echo, short};

pub const ABOUT: &str = "\
Counted in the server while the load runs, by perf with the kernel's tracepoints or by strace, which slows
the server down; the line below the table says which. *1 connection* sends the next message of 64 bytes when
the last is back: waiting, reading, writing are three, where nothing polls. *50 connections* do the same, and
one wait tells of several. *short* connections send 6 bytes, read them back and close, 16 at a time; what
such a one takes depends on whether the message, and later the end, is there when the server looks: under
strace, which makes the server slow, it always is. *short, sent before* has both there: 16 connect, send and
end their side while the server is stopped (SIGSTOP). Then both methods count the same loads, one after the
other.";

/// What switchboard promises for a quiet connection: one wait, one read, one write, and something for
/// strace's own coming and going.
const CALLS_MAX: f64 = 3.05;

/// For a message where others are under way.
const CALLS_MAX_SHARED: f64 = 2.15;

/// For a whole connection of one message; promised where that and the end were sent before it was accepted.
const CALLS_MAX_SHORT: f64 = 7.0;

const MESSAGE: [u8; 64] = [b'm'; 64];

/// Connections that share a wait.
const CONNECTIONS: usize = 50;

/// Short connections that are there together.
const SHORT: u32 = 16;

const SHORT_MESSAGE: &[u8] = b"hello\n";

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    One,
    Shared,
    Short,
    /// All of them send and end before they are accepted.
    SentBefore,
}

impl Load {
    /// What it is counted of; the first has promised something. Polling is for moments with nothing to do,
    /// so how often that is called depends on how fast the load is.
    fn servers(self) -> &'static [Kind] {
        use Kind::{Bare, Switchboard, SwitchboardAsleep, Threads, Tokio};
        match self {
            Self::One => &[SwitchboardAsleep, Bare, Tokio, Threads],
            Self::Shared => &[SwitchboardAsleep, Switchboard, Bare, Tokio, Threads],
            Self::Short => &[Switchboard, Bare, Tokio, Threads],
            // The bare loop does not see an end that came with the message: it takes the poller's word.
            Self::SentBefore => &[SwitchboardAsleep, Tokio, Threads],
        }
    }
}

/// With what they may take.
const LOADS: [(Load, &str, f64); 4] = [
    (Load::One, "1 connection", CALLS_MAX),
    (Load::Shared, "50 connections", CALLS_MAX_SHARED),
    (Load::Short, "short", CALLS_MAX_SHORT),
    (Load::SentBefore, "short, sent before", CALLS_MAX_SHORT),
];

pub fn run(report: &mut Report) -> Outcome<()> {
    let units = report.pick(5000, 500);
    let mut table = Table::new(&["load", "server", "calls/unit", "which"]);
    let (mut by, mut promised) = (None, Vec::new());
    for transport in [Transport::Tcp, Transport::Unix] {
        for (load, name, most) in LOADS {
            let name = format!("{transport}, {name}");
            let servers = load.servers();
            for kind in servers {
                let server = Server::start(*kind).map_err(|error| format!("{kind}: {error}"))?;
                let attach = || Counter::attach(server.pid());
                let (count, units) = match count(&server, transport, load, units, attach) {
                    Ok(count) => count,
                    Err(Failure::Counter(why)) => {
                        count::say_none(&why);
                        return Ok(());
                    }
                    Err(Failure::Load(error)) => return Err(format!("{kind}: {error}").into()),
                };
                by = Some(count.by);
                let total = count.each(units);
                table.row(vec![
                    name.clone(),
                    kind.to_string(),
                    format!("{total:.3}"),
                    count.which(units),
                ]);
                if *kind == servers[0] {
                    promised.push((load, name.clone(), total, most));
                }
            }
        }
    }
    println!("{table}");
    count::say(by);
    compare(report.pick(5000, 500))?;
    for (load, name, total, most) in promised {
        let promise = format!("{total:.3} system calls over {name}, at most {most}");
        match load {
            // It depends on who is faster.
            Load::Short => report.goal(total <= most, &promise),
            _ => report.check(total <= most, &promise),
        }
    }
    Ok(())
}

/// Counts one load by each method, so that it can be seen that they find the same.
fn compare(units: u32) -> Outcome<()> {
    let mut table = Table::new(&["load", "counted by", "calls/unit", "which"]);
    for (load, name, _) in LOADS {
        let server = Server::start(Kind::SwitchboardAsleep)?;
        for method in METHODS {
            let attach = || Counter::attach_by(method, server.pid());
            let row = match count(&server, Transport::Unix, load, units, attach) {
                Ok((count, units)) => [format!("{:.3}", count.each(units)), count.which(units)],
                Err(Failure::Counter(why)) => ["not counted".to_owned(), why],
                Err(Failure::Load(error)) => return Err(error.into()),
            };
            let [each, which] = row;
            table.row(vec![
                format!("Unix, {name}"),
                method.to_string(),
                each,
                which,
            ]);
        }
    }
    println!("\n{table}");
    Ok(())
}

/// What was called, and for how many messages or connections.
fn count(
    server: &Server,
    transport: Transport,
    load: Load,
    units: u32,
    attach: impl Fn() -> Result<Counter, String>,
) -> Result<(Counts, f64), Failure> {
    let failed = |error: Box<dyn Error>| Failure::Load(io::Error::other(error.to_string()));
    let address = server.address("echo", transport).map_err(Failure::Load)?;
    let attach = || attach().map_err(Failure::Counter);
    let detach = |counter: Counter| counter.detach().map_err(Failure::Counter);
    // What is counted begins and ends with nothing under way, and connections that stay are not ended
    // in it.
    match load {
        Load::One => {
            let mut link = address.connect().map_err(Failure::Load)?;
            link.echo(&MESSAGE).map_err(Failure::Load)?;
            let counter = attach()?;
            for _ in 0..units {
                link.echo(&MESSAGE).map_err(Failure::Load)?;
            }
            Ok((detach(counter)?, f64::from(units)))
        }
        Load::Shared => {
            let mut load = echo::Load::new(address, CONNECTIONS, 1).map_err(failed)?;
            load.pause().map_err(failed)?;
            let counter = attach()?;
            load.resume().map_err(failed)?;
            let more = |done| done < u64::from(units);
            let mut done = load.drive(more, None).map_err(failed)?;
            done += load.pause().map_err(failed)?;
            Ok((detach(counter)?, done as f64))
        }
        Load::Short => {
            let counter = attach()?;
            let more = |done, _| done < u64::from(units);
            let round = short::drive(address, server, more).map_err(failed)?;
            // And the one that comes last.
            Ok((detach(counter)?, (round.done + 1) as f64))
        }
        Load::SentBefore => {
            let counter = attach()?;
            let done = sent_before(server, address, units).map_err(Failure::Load)?;
            Ok((detach(counter)?, f64::from(done)))
        }
    }
}

/// At least so many connections that have sent all before they are accepted; returns how many.
fn sent_before(server: &Server, address: &Address, least: u32) -> io::Result<u32> {
    let mut done = 0;
    while done < least {
        let begin = |_| {
            let mut link = address.connect()?;
            link.write_all(SHORT_MESSAGE)?;
            link.end_writing()?;
            Ok(link)
        };
        let links = server.halted(|| (0..SHORT).map(begin).collect::<io::Result<Vec<Link>>>())?;
        for mut link in links {
            let mut reply = Vec::new();
            link.read_to_end(&mut reply)?;
            if reply != SHORT_MESSAGE {
                return Err(io::Error::other("the echo differs from what was sent"));
            }
        }
        done += SHORT;
    }
    // One that is served after them, so that the ends of all of them were.
    let mut last = address.connect()?;
    last.echo(SHORT_MESSAGE)?;
    Ok(done + 1)
}
