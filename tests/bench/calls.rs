//! System calls that an echo and a short connection take, counted by strace.

use std::error::Error;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use crate::link::Transport;
use crate::report::{Outcome, Report, Table};
use crate::server::{Kind, Server, WITH_PEERS};
use crate::{echo, short};

pub const ABOUT: &str = "\
Counted by `strace -f -c` in the server, which slows it down. *1 connection* sends the next message of
64 bytes when the last is back: waiting, reading, writing are three, where nothing polls. *50
connections* do the same, and one wait tells of several. *short* connections send 6 bytes, read them
back and close, 16 at a time.";

/// What switchboard promises for a quiet connection: one wait, one read, one write, and something for
/// strace's own coming and going.
const CALLS_MAX: f64 = 3.05;

/// For a message where others are under way.
const CALLS_MAX_SHARED: f64 = 2.15;

/// For a whole connection of one message.
const CALLS_MAX_SHORT: f64 = 7.0;

const MESSAGE: [u8; 64] = [b'm'; 64];

/// Connections that share a wait.
const CONNECTIONS: usize = 50;

/// What is counted.
#[derive(Clone, Copy)]
enum Load {
    One,
    Shared,
    Short,
}

const LOADS: [(Load, &str, f64); 3] = [
    (Load::One, "1 connection", CALLS_MAX),
    (Load::Shared, "50 connections", CALLS_MAX_SHARED),
    (Load::Short, "short", CALLS_MAX_SHORT),
];

pub fn run(report: &mut Report) -> Outcome<()> {
    let units = report.pick(5000, 500);
    let mut table = Table::new(&["load", "server", "calls/unit", "which"]);
    let mut promised = Vec::new();
    for transport in [Transport::Tcp, Transport::Unix] {
        for (load, name, most) in LOADS {
            let name = format!("{transport}, {name}");
            for kind in WITH_PEERS {
                let started = match load {
                    Load::One => kind.counted(),
                    Load::Shared | Load::Short => kind,
                };
                let server = Server::start(started).map_err(|error| format!("{kind}: {error}"))?;
                let (count, units) = match count(&server, transport, load, units) {
                    Ok(count) => count,
                    Err(Failure::Strace(why)) => {
                        println!("Not counted: strace can't watch the server here ({why}).");
                        return Ok(());
                    }
                    Err(Failure::Load(error)) => return Err(format!("{kind}: {error}").into()),
                };
                let total = count.iter().map(|(_, calls)| calls).sum::<u64>() as f64 / units;
                table.row(vec![
                    name.clone(),
                    started.to_string(),
                    format!("{total:.3}"),
                    which(&count, units),
                ]);
                if kind == Kind::Switchboard {
                    promised.push((name.clone(), total, most));
                }
            }
        }
    }
    println!("{table}");
    for (name, total, most) in promised {
        let promise = format!("{total:.3} system calls over {name}, at most {most}");
        report.check(total <= most, &promise);
    }
    Ok(())
}

/// The calls that are not rare, for each of so many messages.
pub fn which(count: &[(String, u64)], messages: f64) -> String {
    let each = count
        .iter()
        .map(|(name, calls)| (name, *calls as f64 / messages));
    let which: Vec<String> = each
        .filter(|(_, calls)| *calls >= 0.005)
        .map(|(name, calls)| format!("{name} {calls:.2}"))
        .collect();
    which.join(", ")
}

/// Why there is no count.
pub enum Failure {
    /// strace is missing or may not attach: the machine's matter, told in words.
    Strace(String),
    /// The echo went wrong.
    Load(io::Error),
}

/// Calls by name, most frequent first, and for how many messages or connections they were.
fn count(
    server: &Server,
    transport: Transport,
    load: Load,
    units: u32,
) -> Result<(Vec<(String, u64)>, f64), Failure> {
    let failed = |error: Box<dyn Error>| Failure::Load(io::Error::other(error.to_string()));
    let address = server.address("echo", transport).map_err(Failure::Load)?;
    let attach = || Strace::attach(server.pid()).map_err(Failure::Strace);
    let (strace, units) = match load {
        Load::One => {
            let mut link = address.connect().map_err(Failure::Load)?;
            link.echo(&MESSAGE).map_err(Failure::Load)?;
            let strace = attach()?;
            for _ in 0..units {
                link.echo(&MESSAGE).map_err(Failure::Load)?;
            }
            (strace, f64::from(units))
        }
        Load::Shared => {
            let mut load = echo::Load::new(address, CONNECTIONS, 1).map_err(failed)?;
            let few = |done| done < CONNECTIONS as u64;
            load.drive(few, None).map_err(failed)?;
            let strace = attach()?;
            let more = |done| done < u64::from(units);
            let done = load.drive(more, None).map_err(failed)?;
            (strace, done as f64)
        }
        Load::Short => {
            let strace = attach()?;
            let more = |done, _| done < u64::from(units);
            let round = short::drive(address, server, more).map_err(failed)?;
            // And the one that comes last.
            (strace, (round.done + 1) as f64)
        }
    };
    Ok((strace.detach().map_err(Failure::Strace)?, units))
}

/// A running strace; ended when it is let go.
pub struct Strace {
    child: Child,
    summary: NamedTempFile,
}

impl Strace {
    /// Returns when it counts, or why it can't.
    pub fn attach(pid: u32) -> Result<Self, String> {
        let summary = NamedTempFile::new().map_err(|error| error.to_string())?;
        let child = Command::new("strace")
            .args(["-f", "-c", "-o"])
            .arg(summary.path())
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("strace: {error}"))?;
        let mut strace = Self { child, summary };
        let Some(words) = strace.child.stderr.take() else {
            return Err("strace has no standard error".to_owned());
        };
        let mut said = String::new();
        // It says one or the other at once, and ends where it can't attach.
        for line in BufReader::new(words).lines().map_while(Result::ok) {
            if line.contains("attached") {
                return Ok(strace);
            }
            said.push_str(&line);
        }
        Err(said)
    }

    pub fn detach(mut self) -> Result<Vec<(String, u64)>, String> {
        let ended = kill_process(Pid::from_child(&self.child), Signal::INT)
            .map_err(io::Error::from)
            .and_then(|()| self.child.wait());
        ended.map_err(|error| error.to_string())?;
        let text = fs::read_to_string(self.summary.path()).map_err(|error| error.to_string())?;
        match parse(&text) {
            calls if calls.is_empty() => Err(format!("no summary: {text}")),
            calls => Ok(calls),
        }
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Rows are `% time, seconds, usecs/call, calls, [errors], name`; the last is the total.
fn parse(summary: &str) -> Vec<(String, u64)> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let name = *fields.last().filter(|name| **name != "total")?;
        fields.first()?.parse::<f64>().ok()?;
        Some((name.to_owned(), fields.get(3)?.parse().ok()?))
    };
    let mut calls: Vec<(String, u64)> = summary.lines().filter_map(row).collect();
    calls.sort_by_key(|(_, calls)| std::cmp::Reverse(*calls));
    calls
}
