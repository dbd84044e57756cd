//! System calls that one echo takes, counted by strace.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use crate::link::Transport;
use crate::report::{Outcome, Report, Table};
use crate::server::{Kind, Server, WITH_PEERS};

pub const ABOUT: &str = "\
One connection, the next message of 64 bytes sent when the last is back. Counted by
`strace -f -c` in the server: waiting, reading, writing are three.";

/// What switchboard promises: one wait, one read, one write, and something for strace's own coming
/// and going.
const CALLS_MAX: f64 = 3.05;

const MESSAGE: [u8; 64] = [b'm'; 64];

pub fn run(report: &mut Report) -> Outcome<()> {
    let messages = report.pick(5000, 500);
    let mut table = Table::new(&["transport", "server", "calls/message", "which"]);
    let mut promised = Vec::new();
    for transport in [Transport::Tcp, Transport::Unix] {
        for kind in WITH_PEERS {
            let server = Server::start(kind).map_err(|error| format!("{kind}: {error}"))?;
            let count = match count(&server, transport, messages) {
                Ok(count) => count,
                Err(Failure::Strace(why)) => {
                    println!("Not counted: strace can't watch the server here ({why}).");
                    return Ok(());
                }
                Err(Failure::Load(error)) => return Err(format!("{kind}: {error}").into()),
            };
            let each = |calls: u64| calls as f64 / f64::from(messages);
            let total = each(count.iter().map(|(_, calls)| calls).sum());
            table.row(vec![
                transport.to_string(),
                kind.to_string(),
                format!("{total:.3}"),
                which(&count, f64::from(messages)),
            ]);
            if kind == Kind::Switchboard {
                promised.push((transport, total));
            }
        }
    }
    println!("{table}");
    for (transport, total) in promised {
        let promise =
            format!("{total:.3} system calls per echo over {transport}, at most {CALLS_MAX}");
        report.check(total <= CALLS_MAX, &promise);
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

/// Calls by name, most frequent first.
fn count(
    server: &Server,
    transport: Transport,
    messages: u32,
) -> Result<Vec<(String, u64)>, Failure> {
    let address = server.address("echo", transport).map_err(Failure::Load)?;
    let mut link = address.connect().map_err(Failure::Load)?;
    link.echo(&MESSAGE).map_err(Failure::Load)?;
    let strace = Strace::attach(server.pid()).map_err(Failure::Strace)?;
    for _ in 0..messages {
        link.echo(&MESSAGE).map_err(Failure::Load)?;
    }
    strace.detach().map_err(Failure::Strace)
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
