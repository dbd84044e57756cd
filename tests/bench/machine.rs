//! The machine: what it is, who runs on which core, and what the kernel tells of a server.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::sync::OnceLock;
use std::time::Duration;

use nix::time::ClockId;
use nix::unistd::Pid;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::system::uname;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The head of a run's output.
pub fn description(smoke: bool) -> String {
    let kernel = uname();
    let cores = cores().len();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let build = if cfg!(debug_assertions) {
        "debug build, times mean nothing"
    } else {
        "release build"
    };
    let busy = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let busy = busy.split_whitespace().next().unwrap_or("unknown");
    format!(
        "# Switchboard bench{}\n\n{cores} cores ({model}), {} {} {}, {build}, {}; load \
         average before the run {busy}",
        if smoke { ", short run" } else { "" },
        kernel.sysname().to_string_lossy(),
        kernel.release().to_string_lossy(),
        kernel.machine().to_string_lossy(),
        match cores {
            0 | 1 => "load and server share the core",
            _ => "the load pinned to one core, the server to another",
        }
    )
}

/// As many descriptors as the hard limit allows; the servers inherit it.
pub fn raise_descriptor_limit() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )?)
}

/// How many connections one process may hold, with some descriptors to spare.
pub fn connections_max() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit)
        .unwrap_or(usize::MAX)
        .saturating_sub(128)
}

/// Puts this process on the load's core.
pub fn pin_load() -> Result<()> {
    match cores() {
        [load, _, ..] => Ok(sched_setaffinity(None, &one(*load))?),
        _ => Ok(()),
    }
}

/// Runs `spawn` on the server's core; what it starts inherits that.
pub fn on_server_core<T>(spawn: impl FnOnce() -> Result<T>) -> Result<T> {
    let [load, server, ..] = cores() else {
        return spawn();
    };
    sched_setaffinity(None, &one(*server))?;
    let spawned = spawn();
    sched_setaffinity(None, &one(*load))?;
    spawned
}

/// The cores that this process was given at its start.
fn cores() -> &'static [usize] {
    static CORES: OnceLock<Vec<usize>> = OnceLock::new();
    CORES.get_or_init(|| match sched_getaffinity(None) {
        Ok(allowed) => (0..CpuSet::MAX_CPU)
            .filter(|core| allowed.is_set(*core))
            .collect(),
        Err(_) => Vec::new(),
    })
}

fn one(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}

/// Processor time of a process so far, all its threads and those that ended, in nanoseconds;
/// `/proc/PID/stat` would tell it in ticks of ten milliseconds.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let pid = i32::try_from(pid).map_err(Error::other)?;
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid))?;
    Ok(clock.now()?.into())
}

/// What the threads of one name have used so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Used {
    pub cpu: Duration,
    /// How often they have waited for something, and so had to be woken.
    pub waits: u64,
}

/// What the threads of a process have used, by their names.
pub fn threads(pid: u32) -> Result<BTreeMap<String, Used>> {
    let mut threads = BTreeMap::<String, Used>::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        let read = |file: &str| fs::read_to_string(task.join(file));
        let name = read("comm")?.trim_end().to_owned();
        let used = threads.entry(name).or_default();
        // Nanoseconds on a processor come first.
        let (schedstat, status) = (read("schedstat")?, read("status")?);
        used.cpu += Duration::from_nanos(number(schedstat.split(' ').next())?);
        let waits = |line: &'static str| status.lines().find_map(|found| found.strip_prefix(line));
        used.waits += number(waits("voluntary_ctxt_switches:"))?;
    }
    Ok(threads)
}

fn number(text: Option<&str>) -> Result<u64> {
    let number = text.and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| Error::new(ErrorKind::InvalidData, "/proc without a number"))
}

/// Bytes of a process's memory of one kind: `Rss:` for all that is resident, `Pss:` with pages of
/// files shared out among those that map them, `Anonymous:` for what belongs to it alone (heap,
/// stacks, changed data).
pub fn memory(pid: u32, which: &str) -> Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix(which));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| {
        let missing = format!("smaps_rollup without {which}");
        Error::new(ErrorKind::InvalidData, missing)
    })
}
