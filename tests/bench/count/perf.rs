//! Calls counted by `perf stat` and the kernel's tracepoint `raw_syscalls:sys_enter`: the server is
//! never stopped.
//!
//! The same tracepoint is counted once as it is and once for each kind of call, with a filter by its
//! number. There is a tracepoint for each kind too (`syscalls:sys_enter_*`), but to leave one takes the
//! kernel some 40 ms, and of all 360 that is 15 seconds.
//!
//! perf begins and ends to count when it is told (`--control`, since Linux 5.9) and confirms that, so
//! what is counted is what happens between, and nothing of its coming and going.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use nix::libc;
use tempfile::NamedTempFile;

use super::{Watcher, in_order};

const TRACEPOINT: &str = "raw_syscalls:sys_enter";

/// The kinds that are told apart: what the servers of this bench call while they are measured.
const KINDS: &[(&str, libc::c_long)] = &[
    ("read", libc::SYS_read),
    ("write", libc::SYS_write),
    ("readv", libc::SYS_readv),
    ("writev", libc::SYS_writev),
    ("pread64", libc::SYS_pread64),
    ("preadv2", libc::SYS_preadv2),
    ("pwrite64", libc::SYS_pwrite64),
    ("fsync", libc::SYS_fsync),
    ("fdatasync", libc::SYS_fdatasync),
    ("openat", libc::SYS_openat),
    ("close", libc::SYS_close),
    ("sendto", libc::SYS_sendto),
    ("recvfrom", libc::SYS_recvfrom),
    ("sendmsg", libc::SYS_sendmsg),
    ("recvmsg", libc::SYS_recvmsg),
    ("sendmmsg", libc::SYS_sendmmsg),
    ("recvmmsg", libc::SYS_recvmmsg),
    ("sendfile", libc::SYS_sendfile),
    ("accept4", libc::SYS_accept4),
    ("shutdown", libc::SYS_shutdown),
    ("fcntl", libc::SYS_fcntl),
    ("ppoll", libc::SYS_ppoll),
    ("setsockopt", libc::SYS_setsockopt),
    ("getsockopt", libc::SYS_getsockopt),
    ("epoll_ctl", libc::SYS_epoll_ctl),
    ("epoll_pwait", libc::SYS_epoll_pwait),
    #[cfg(target_arch = "x86_64")]
    ("epoll_wait", libc::SYS_epoll_wait),
    ("timerfd_settime", libc::SYS_timerfd_settime),
    ("clock_gettime", libc::SYS_clock_gettime),
    ("futex", libc::SYS_futex),
    ("sched_yield", libc::SYS_sched_yield),
    ("mmap", libc::SYS_mmap),
    ("munmap", libc::SYS_munmap),
    ("mprotect", libc::SYS_mprotect),
    ("madvise", libc::SYS_madvise),
    ("clone3", libc::SYS_clone3),
    ("prctl", libc::SYS_prctl),
    ("sigaltstack", libc::SYS_sigaltstack),
    ("rt_sigprocmask", libc::SYS_rt_sigprocmask),
    ("rseq", libc::SYS_rseq),
    ("set_robust_list", libc::SYS_set_robust_list),
    ("sched_getaffinity", libc::SYS_sched_getaffinity),
    ("exit", libc::SYS_exit),
];

/// A running perf.
pub struct Perf {
    watcher: Watcher,
    orders: ChildStdin,
    confirmed: BufReader<ChildStdout>,
    summary: NamedTempFile,
}

impl Perf {
    /// Returns when it counts, or why it can't.
    pub fn attach(pid: u32) -> Result<Self, String> {
        let failed = |error: io::Error| format!("perf: {error}");
        let summary = NamedTempFile::new().map_err(failed)?;
        let mut command = Command::new("perf");
        // Fields are separated by commas, as a C locale has none in its numbers.
        command.env("LC_ALL", "C").args(["stat", "-x", ","]);
        // It waits for its orders on its standard input, and confirms them on its standard output.
        command.args(["--delay=-1", "--control=fd:0,1", "-o"]);
        command.arg(summary.path());
        command.args(["-p", &pid.to_string(), "-e", TRACEPOINT]);
        for (_, number) in KINDS {
            command.args(["-e", TRACEPOINT, "--filter", &format!("id=={number}")]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::null());
        let mut watcher = Watcher(command.spawn().map_err(failed)?);
        let (Some(orders), Some(confirmed)) = (watcher.0.stdin.take(), watcher.0.stdout.take())
        else {
            return Err("perf has no standard input or output".to_owned());
        };
        let mut perf = Self {
            watcher,
            orders,
            confirmed: BufReader::new(confirmed),
            summary,
        };
        perf.order("enable")?;
        Ok(perf)
    }

    /// Calls by name, most frequent first.
    pub fn detach(mut self) -> Result<Vec<(String, u64)>, String> {
        self.order("disable")?;
        self.watcher.end()?;
        let text = fs::read_to_string(self.summary.path()).map_err(|error| error.to_string())?;
        parse(&text).ok_or_else(|| format!("perf told something else: {text}"))
    }

    /// Tells it to do something, and waits until it has; where it may not watch it has ended.
    fn order(&mut self, order: &str) -> Result<(), String> {
        let mut answer = String::new();
        let told = writeln!(self.orders, "{order}");
        let told = told.and_then(|()| self.confirmed.read_line(&mut answer));
        match told {
            Ok(_) if answer.contains("ack") => Ok(()),
            _ => Err("perf is not allowed to count system calls here, or can't".to_owned()),
        }
    }
}

/// Lines are `count,unit,event,...`, in the order in which the events were asked for. What nobody
/// called may be `<not counted>`, where no thread ran.
fn parse(summary: &str) -> Option<Vec<(String, u64)>> {
    let lines = summary.lines().filter(|line| line.contains(TRACEPOINT));
    let counts: Option<Vec<u64>> = lines
        .map(|line| match line.split(',').next()? {
            "<not counted>" => Some(0),
            count => count.parse().ok(),
        })
        .collect();
    let (total, kinds) = counts.as_deref()?.split_first()?;
    if kinds.len() != KINDS.len() {
        return None;
    }
    let names = KINDS.iter().map(|(name, _)| *name);
    let mut calls: Vec<(String, u64)> = names
        .zip(kinds)
        .map(|(name, calls)| (name.to_owned(), *calls))
        .collect();
    let others = total.saturating_sub(kinds.iter().sum());
    calls.push(("others".to_owned(), others));
    Some(in_order(calls))
}
