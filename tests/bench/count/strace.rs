//! Calls counted by `strace -f -c`, which stops the server at each: the way where there is no perf.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use tempfile::NamedTempFile;

use super::{Watcher, in_order};

/// A running strace.
pub struct Strace {
    watcher: Watcher,
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
        let mut watcher = Watcher(child);
        let Some(words) = watcher.0.stderr.take() else {
            return Err("strace has no standard error".to_owned());
        };
        let mut said = String::new();
        // It says one or the other at once, and ends where it can't attach.
        for line in BufReader::new(words).lines().map_while(Result::ok) {
            if line.contains("attached") {
                return Ok(Self { watcher, summary });
            }
            said.push_str(&line);
        }
        Err(said)
    }

    /// Calls by name, most frequent first.
    pub fn detach(mut self) -> Result<Vec<(String, u64)>, String> {
        self.watcher.end()?;
        let text = fs::read_to_string(self.summary.path()).map_err(|error| error.to_string())?;
        match parse(&text) {
            calls if calls.is_empty() => Err(format!("no summary: {text}")),
            calls => Ok(in_order(calls)),
        }
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
    summary.lines().filter_map(row).collect()
}
