//! What /proc says of a process.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::wait_until;

fn read(pid: Pid, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default()
}

/// The descendant of `parent` whose command has this name; waits until it is there.
pub fn named(parent: Pid, name: &str) -> Pid {
    let mut found = None;
    wait_until(&format!("a process {name}"), || {
        found = find(parent, name);
        found.is_some()
    });
    found.unwrap()
}

/// The descendant of `parent` whose command has this name, if it is there now.
pub fn find(parent: Pid, name: &str) -> Option<Pid> {
    let mut all = descendants(parent).into_iter();
    all.find(|pid| read(*pid, "comm").trim_end() == name)
}

/// `parent` and all processes below it.
pub fn descendants(parent: Pid) -> Vec<Pid> {
    let mut all = vec![parent];
    let mut next = 0;
    while let Some(pid) = all.get(next).copied() {
        all.extend(children(pid));
        next += 1;
    }
    all
}

/// The children of a process, whichever of its threads started them; the dead ones that nobody has
/// reaped are among them.
pub fn children(pid: Pid) -> Vec<Pid> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let lists = threads
        .map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    let lists: Vec<_> = lists.collect();
    lists
        .iter()
        .flat_map(|list| list.split_whitespace())
        .filter_map(|word| word.parse().ok().and_then(Pid::from_raw))
        .collect()
}

/// Whether it runs: it is there, and not only waiting to be reaped by whoever inherited it.
pub fn runs(pid: Pid) -> bool {
    let stat = read(pid, "stat");
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.trim().chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// A line of `/proc/PID/status`, without its name.
pub fn status(pid: Pid, name: &str) -> String {
    let status = read(pid, "status");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_default()
        .trim_start_matches(':')
        .trim()
        .to_owned()
}

/// Processor time used by all threads, user and system (`/proc/PID/stat`, in ticks of 10 ms).
pub fn cpu_time(pid: Pid) -> Duration {
    let stat = read(pid, "stat");
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    // Fields 14 and 15 of proc(5), counted from the one behind the name.
    let ticks: u64 = fields[11..=12]
        .iter()
        .map(|field| field.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 10)
}

/// How often the main thread gave up the processor: once for each time that the loop slept.
pub fn sleeps(pid: Pid) -> u64 {
    let status = read(pid, &format!("task/{pid}/status"));
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}

/// How often all threads together gave up the processor.
pub fn switches(pid: Pid) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let tasks = tasks.map(|task| task.unwrap().file_name().into_string().unwrap());
    let lines = tasks.map(|task| {
        let status = read(pid, &format!("task/{task}/status"));
        let lines = status.lines();
        lines
            .filter(|line| line.contains("ctxt_switches"))
            .collect()
    });
    lines.collect()
}

/// The field of that number in proc(5) `stat`, of those behind the name; empty once it has ended.
fn stat(pid: Pid, field: usize) -> String {
    let stat = read(pid, "stat");
    let behind = stat.rsplit(')').next().unwrap_or("");
    let mut fields = behind.split_whitespace();
    fields.nth(field - 3).unwrap_or("").to_owned()
}

/// The state of the process, `T` where it was stopped; a blank once it has ended.
pub fn state(pid: Pid) -> char {
    match stat(pid, 3).chars().next() {
        None | Some('Z' | 'X') => ' ',
        Some(state) => state,
    }
}

/// The process group that has the process's terminal.
pub fn foreground_group(pid: Pid) -> Option<Pid> {
    Pid::from_raw(stat(pid, 8).parse().ok()?)
}

/// Anonymous memory in bytes: what the process itself allocated and touched.
pub fn anonymous_bytes(pid: Pid) -> u64 {
    let rollup = read(pid, "smaps_rollup");
    let line = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB").trim();
    kib.parse::<u64>().unwrap() * 1024
}

/// Open descriptors.
pub fn descriptors(pid: Pid) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Descriptors that its poller watches (`tfd` in `/proc/PID/fdinfo`, proc(5)).
pub fn watched(pid: Pid) -> usize {
    let infos = fs::read_dir(format!("/proc/{pid}/fdinfo"))
        .into_iter()
        .flatten();
    let texts = infos.filter_map(|info| fs::read_to_string(info.ok()?.path()).ok());
    texts.map(|text| text.matches("tfd:").count()).sum()
}

/// Whether a mask of signals (`SigIgn`, `SigCgt` in `/proc/PID/status`) has this one.
pub fn has_signal(pid: Pid, mask: &str, signal: Signal) -> bool {
    let status = read(pid, "status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(mask)?.strip_prefix(':'));
    let bits = u64::from_str_radix(line.unwrap().trim(), 16).unwrap();
    bits >> (signal.as_raw() - 1) & 1 == 1
}

/// Processor time used by all threads so far, in nanoseconds (`schedstat`, proc(5)).
pub fn run_time(pid: Pid) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let nanos = tasks.map(|task| {
        let text = fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap_or_default();
        let first = text.split_whitespace().next().unwrap_or("0");
        first.parse::<u64>().unwrap()
    });
    Duration::from_nanos(nanos.sum())
}

/// Whether a descriptor of the process is this file.
pub fn has_open(pid: Pid, path: &Path) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    let mut files = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    files.any(|file| file == path)
}
