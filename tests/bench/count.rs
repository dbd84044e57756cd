//! System calls of a server, counted from outside while a load runs.
//!
//! Two methods do it: perf with the kernel's tracepoints, which leave the server alone (`perf`), or
//! strace, which stops it at each call (`strace`). The first that works is used, and what is printed
//! says which that was.

mod perf;
mod strace;

use std::process::Child;
use std::{fmt, io};

use rustix::process::{Pid, Signal, kill_process};

use self::perf::Perf;
use self::strace::Strace;

/// How calls are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Perf,
    Strace,
}

/// In the order in which they are tried.
pub const METHODS: [Method; 2] = [Method::Perf, Method::Strace];

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Perf => "perf, tracepoints",
            Self::Strace => "strace",
        })
    }
}

/// Something that counts the calls of all threads of a process, also of those that begin meanwhile;
/// it ends when it is let go.
pub enum Counter {
    Perf(Perf),
    Strace(Strace),
}

impl Counter {
    /// Returns when it counts, or why nothing can.
    pub fn attach(pid: u32) -> Result<Self, String> {
        let mut why = Vec::new();
        for method in METHODS {
            match Self::attach_by(method, pid) {
                Ok(counter) => return Ok(counter),
                Err(error) => why.push(error),
            }
        }
        Err(why.join("; "))
    }

    /// As [`Counter::attach`], by one method only.
    pub fn attach_by(method: Method, pid: u32) -> Result<Self, String> {
        match method {
            Method::Perf => Perf::attach(pid).map(Self::Perf),
            Method::Strace => Strace::attach(pid).map(Self::Strace),
        }
    }

    /// Stops counting; what was called since it was attached.
    pub fn detach(self) -> Result<Counts, String> {
        let (by, calls) = match self {
            Self::Perf(perf) => (Method::Perf, perf.detach()?),
            Self::Strace(strace) => (Method::Strace, strace.detach()?),
        };
        Ok(Counts { by, calls })
    }
}

/// What a server called.
pub struct Counts {
    pub by: Method,
    /// By name, most frequent first.
    calls: Vec<(String, u64)>,
}

impl Counts {
    /// Calls of all kinds for each of so many units.
    pub fn each(&self, units: f64) -> f64 {
        self.calls.iter().map(|(_, calls)| calls).sum::<u64>() as f64 / units
    }

    /// The kinds that are not rare, for each of so many units.
    pub fn which(&self, units: f64) -> String {
        let each = self
            .calls
            .iter()
            .map(|(name, calls)| (name, *calls as f64 / units));
        let which: Vec<String> = each
            .filter(|(_, calls)| *calls >= 0.005)
            .map(|(name, calls)| format!("{name} {calls:.2}"))
            .collect();
        which.join(", ")
    }
}

/// Why there is no count.
pub enum Failure {
    /// Nothing may or can watch the server: the machine's matter, told in words.
    Counter(String),
    /// The load went wrong.
    Load(std::io::Error),
}

/// Names the method below a table; nothing where nothing was counted.
pub fn say(by: Option<Method>) {
    if let Some(by) = by {
        println!("System calls were counted by {by}.");
    }
}

/// Says that there will be no table, and why.
pub fn say_none(why: &str) {
    println!("System calls are not counted: nothing can watch the server here ({why}).");
}

/// Most frequent first, and only what was called at all.
fn in_order(mut calls: Vec<(String, u64)>) -> Vec<(String, u64)> {
    calls.retain(|(_, calls)| *calls > 0);
    calls.sort_by_key(|(_, calls)| std::cmp::Reverse(*calls));
    calls
}

/// The process that counts; ended when it is let go.
struct Watcher(Child);

impl Watcher {
    /// Interrupts it, so that it tells what it has counted, and waits for its end.
    fn end(&mut self) -> Result<(), String> {
        kill_process(Pid::from_child(&self.0), Signal::INT)
            .map_err(io::Error::from)
            .and_then(|()| self.0.wait())
            .map(|_| ())
            .map_err(|error| error.to_string())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
