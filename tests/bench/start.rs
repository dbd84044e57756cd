//! Start: from `exec` to `ready`, and what memory the server has then.

use std::path::Path;
use std::time::Duration;

use crate::report::{Outcome, Report, Table, median, whole};
use crate::server::Server;

pub const ABOUT: &str = "\
The services of the default board, on ports of the system's choice, with the usual log into a file:
the time from before the process is started until `ready` is read, and its memory then (smaps_rollup:
all that is resident, the share of it where others map the same files, and what is its alone). Once
with a `--data` folder that was not there, in which the lockers' database is made and synced, and
once with one that was.";

/// Starts of each kind.
const STARTS: u32 = 21;

/// What the median start in a folder that was there may take.
const GOAL: Duration = Duration::from_millis(15);

/// KiB that may be resident then.
const RESIDENT_KIB_MAX: f64 = 6.0 * 1024.0;

pub fn run(report: &mut Report) -> Outcome<()> {
    let starts = report.pick(STARTS, 3);
    let mut table = Table::new(&[
        "folder",
        "median ms",
        "fastest ms",
        "slowest ms",
        "resident KiB",
        "its share KiB",
        "its alone KiB",
    ]);
    // Beside the databases of `locker`: on a disk, where the syncs are real.
    let top = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut all = [Vec::new(), Vec::new()];
    for number in 0..starts {
        let folder = top.path().join(number.to_string());
        // The first makes the folder, the second finds it.
        for found in &mut all {
            found.push(start(&folder)?);
        }
    }
    for (name, found) in ["new", "there before"].into_iter().zip(&all) {
        let times = || found.iter().map(|start| start.ms);
        let kib = |which: fn(&Start) -> f64| whole(median(found.iter().map(which).collect()));
        table.row(vec![
            name.to_owned(),
            format!("{:.1}", median(times().collect())),
            format!("{:.1}", times().fold(f64::INFINITY, f64::min)),
            format!("{:.1}", times().fold(0.0, f64::max)),
            kib(|start| start.resident),
            kib(|start| start.share),
            kib(|start| start.alone),
        ]);
    }
    println!("{table}");
    for (name, found) in ["new", "there before"].into_iter().zip(&all) {
        let ms = median(found.iter().map(|start| start.ms).collect());
        let met = if ms <= GOAL.as_secs_f64() * 1e3 {
            "goal met"
        } else {
            "goal MISSED"
        };
        println!(
            "- {met}: ready after {ms:.1} ms, folder {name}; at most {}",
            GOAL.as_millis()
        );
    }
    let resident = median(all[1].iter().map(|start| start.resident).collect());
    let met = if resident <= RESIDENT_KIB_MAX {
        "goal met"
    } else {
        "goal MISSED"
    };
    println!("- {met}: {resident:.0} KiB resident; at most {RESIDENT_KIB_MAX:.0}");
    Ok(())
}

/// One start, memory in KiB.
struct Start {
    ms: f64,
    resident: f64,
    share: f64,
    alone: f64,
}

fn start(data: &Path) -> Outcome<Start> {
    let server = Server::with_board(data)?;
    let kib = |which: &str| server.memory(which).map(|bytes| bytes as f64 / 1024.0);
    let start = Start {
        ms: server.ready_after.as_secs_f64() * 1e3,
        resident: kib("Rss:")?,
        share: kib("Pss:")?,
        alone: kib("Anonymous:")?,
    };
    server.end()?;
    Ok(start)
}
