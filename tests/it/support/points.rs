//! Crash points: the system calls of a server that write, and a kill at each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::lockers::Data;
use super::server::Builder;

/// All system calls that change a file or a name, or tell somebody that it was done. A question
/// mark is for those that not every machine has.
pub const WRITING: &str = "?write,?writev,?pwrite64,?pwritev,?pwritev2,?fsync,?fdatasync,?syncfs,\
    ?sync_file_range,?msync,?open,?openat,?openat2,?creat,?ftruncate,?truncate,?fallocate,?unlink,\
    ?unlinkat,?rename,?renameat,?renameat2,?mkdir,?mkdirat,?link,?linkat,?symlink,?symlinkat,\
    ?copy_file_range,?sendfile,?splice,?chmod,?fchmod,?fchmodat,?chown,?fchown,?fchownat,?flock,\
    ?sendto,?sendmsg";

/// A call by its name and its number; strace counts for each thread, and takes the first thread
/// that comes so far.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    pub call: String,
    /// The file of the lockers that is opened, empty for other calls: a program opens many others,
    /// in whichever thread.
    pub file: String,
    pub number: usize,
    /// Whether it is behind the last that was seen, and so should be reached no more.
    pub beyond: bool,
}

impl Point {
    /// Whether a run came to it as often as it should. The log and the bells between threads are
    /// written as it happens, the signals' by `sendto`.
    pub fn fits(&self, reached: bool) -> bool {
        ["write", "sendto"].contains(&self.call.as_str()) || reached != self.beyond
    }
}

/// How many servers are tried at once.
const AT_ONCE: usize = 3;

/// The builder's server under strace, which is given these `words` and writes to `trace`.
pub fn traced(builder: Builder, trace: &Path, words: &[&str]) -> Builder {
    // With -y it names the files.
    let mut all = vec!["strace", "-f", "-y", "-o", trace.to_str().unwrap()];
    all.extend(words);
    builder.wrapped(&all)
}

/// A server of which that call is not made, but has this `effect`, such as `error=EIO`.
pub fn injected(data: &Data, options: &str, point: &Point, effect: &str) -> Builder {
    let Point { call, number, .. } = point;
    let only = format!("trace={call}");
    let inject = format!("inject={call}:{effect}:when={number}");
    let file = data.file(&point.file);
    let mut words = vec!["-e", &only, "-e", &inject];
    if effect.starts_with("error") {
        // Under it the other calls cost nothing, but it sends no signals.
        words.push("--seccomp-bpf");
    }
    if !point.file.is_empty() {
        words.extend(["-P", file.to_str().unwrap()]);
    }
    traced(data.server(options), &data.beside("trace"), &words)
}

/// Whether the server, or strace in its place, was killed.
pub fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(9)
}

/// Whether the trace of a server shows that something was injected.
pub fn was_injected(trace: &Path) -> bool {
    let trace = fs::read_to_string(trace).unwrap();
    trace.contains("(INJECTED)")
}

/// The points of a trace of [`WRITING`] calls whose lines fit, and one behind the last of each of them,
/// which should be reached no more. Of the calls that open a file, only those that may make one in
/// this folder are points.
pub fn points(trace: &str, folder: &Path, fits: fn(&str) -> bool) -> BTreeSet<Point> {
    let inside = format!("\"{}/", folder.display());
    let mut counts: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    let mut last: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut points = BTreeSet::new();
    let point = |call: &str, file: &str, number, beyond| {
        let (call, file) = (call.to_owned(), file.to_owned());
        Point {
            call,
            file,
            number,
            beyond,
        }
    };
    for line in trace.lines() {
        let (thread, line) = line.split_once(' ').unwrap_or_default();
        let line = line.trim_start();
        let Some((call, arguments)) = line.split_once('(') else {
            continue;
        };
        // Not the second halves of calls that were cut in two, signals and ends.
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !call.bytes().all(is_name) {
            continue;
        }
        let mut file = "";
        if call.starts_with("open") {
            let Some((_, behind)) = arguments.split_once(&inside) else {
                continue;
            };
            file = behind.split('"').next().unwrap();
        }
        let count = counts.entry((thread, call, file)).or_default();
        *count += 1;
        let most = last.entry((call, file)).or_default();
        *most = (*most).max(*count);
        let may_write = file.is_empty() || arguments.contains("O_CREAT");
        if may_write && fits(line) {
            points.insert(point(call, file, *count, false));
        }
    }
    let of = |call, file| {
        points
            .iter()
            .any(|p: &Point| p.call == call && p.file == file)
    };
    let last = last
        .into_iter()
        .filter(|((call, file), _)| of(*call, *file));
    let beyond: Vec<_> = last
        .map(|((call, file), most)| point(call, file, most + 1, true))
        .collect();
    points.extend(beyond);
    points
}

/// Does `each` for all points, some at once; it gives the part of the run in which the point lay,
/// or `None` where it was not reached. How many points lay in each part.
pub fn for_all(
    points: &BTreeSet<Point>,
    each: impl Fn(&Point) -> Option<String> + Sync,
) -> BTreeMap<String, usize> {
    let points: Vec<_> = points.iter().collect();
    let next = AtomicUsize::new(0);
    let parts = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(part) = each(point) {
                        *parts.lock().unwrap().entry(part).or_default() += 1;
                    }
                }
            });
        }
    });
    parts.into_inner().unwrap()
}
