//! Locker: changes that are on the disk when they are answered, beside SQLite alone.

mod disk;
mod kiosks;
mod plain;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use rusqlite::Connection;

use self::kiosks::Kiosks;
use self::plain::Plain;
use crate::calls::{Strace, which};
use crate::link::{Address, Transport};
use crate::load::{Round, Series, add_rows, latencies, nanos, table};
use crate::machine::{self, Used, connections_max};
use crate::report::{Outcome, Report, Table, as_micros, micros, whole};
use crate::server::Server;

pub const ABOUT: &str = "\
Kiosks, each with a connection and a locker of its own, put items of 40 bytes into it, the next when
the last is answered; every answer is checked. All were authenticated when they registered. Beside
them, in turns and on the same disk: SQLite alone (WAL, synchronous = FULL) in a loop without
sockets, that writes an item, its locker's row and a row of a trail, all narrower than the server's
and without their checksums; its latency is that of a transaction. Meanwhile a client of `echo` on
the same server sends 64 bytes, and the next 1 ms after they are back. How many changes one commit
takes is what the trail says; system calls are counted by `strace -f -c` in a short round more.";

/// An item.
const ITEM: &str = "a book of forty characters, with a title";

/// Lockers of the server: as many as there are kiosks at most.
const LOCKERS: u32 = 1000;

/// Rounds of a load in a full run.
const ROUNDS: u32 = 7;

/// How long a round is; a locker that is full ends it earlier.
const ROUND: Duration = Duration::from_millis(500);

/// Before a round counts.
const WARM_UP: Duration = Duration::from_millis(100);

/// Between two messages of the echo client.
const ECHO_PAUSE: Duration = Duration::from_millis(1);

/// Changes a second that 1,000 kiosks are to be answered, at least.
const GOAL: f64 = 5000.0;

pub fn run(report: &mut Report) -> Outcome<()> {
    let folder = disk::folder()?;
    let (disk, in_memory) = disk::described(folder.path())?;
    println!("The databases are on {disk}.\n");
    if in_memory && !report.smoke {
        return Err("that is in memory, where nothing is durable".into());
    }
    let counts = report.pick([1, 64, 1000], [1, 8, 64]);
    let mut rates = table("change");
    let mut echoes = Table::new(&["load", "echo", "p50 µs", "p99 µs", "max µs"]);
    let mut threads = Table::new(&[
        "load",
        "thread",
        "CPU µs/change",
        "of a core",
        "waits/change",
    ]);
    let mut commits = Table::new(&["load", "changes/commit", "calls/change", "which"]);
    let mut reached = Vec::new();
    for transport in [Transport::Unix, Transport::Tcp] {
        for count in counts {
            let count = count.min(connections_max());
            let load = format!("{transport}, {count}");
            let folder = tempfile::tempdir_in(folder.path())?;
            let mut stand = Stand::new(folder.path(), transport, count)?;
            let series = stand.rounds(report.pick(ROUNDS, 1), report.pick(ROUND, ROUND / 5))?;
            add_rows(&mut rates, &load, &series);
            reached.push((count, load.clone(), series[0].middle(Round::rate)));
            stand.add_echoes(&mut echoes, &load);
            stand.add_threads(&mut threads, &load, &series[0]);
            let until = SystemTime::now();
            let calls = stand.count_calls(report.pick(ROUND, WARM_UP))?;
            let together = stand.changes_per_commit(folder.path(), until)?;
            commits.row(vec![load, format!("{together:.1}"), calls.0, calls.1]);
        }
    }
    println!("{rates}\n{threads}\n{commits}\n{echoes}");
    for (_, load, rate) in reached.iter().filter(|(count, ..)| *count == 1000) {
        let met = match *rate >= GOAL {
            true => "goal met",
            false => "goal MISSED",
        };
        let (rate, goal) = (whole(*rate), whole(GOAL));
        println!("- {met}: {rate} changes/s, {load} kiosks; at least {goal}");
    }
    Ok(())
}

/// A server with its kiosks, and the databases that it is held against.
struct Stand {
    server: Server,
    kiosks: Kiosks,
    plain: [Plain; 2],
    echo: Address,
    quiet: Histogram<u64>,
    meanwhile: Histogram<u64>,
    /// What the server's threads used in all rounds.
    used: BTreeMap<String, Used>,
}

impl Stand {
    fn new(folder: &Path, transport: Transport, kiosks: usize) -> Outcome<Self> {
        let server = Server::with_lockers(LOCKERS, &folder.join("data"))?;
        let echo = server.address("echo", transport)?.clone();
        let quiet = echoes(&echo, &after(WARM_UP))?;
        Ok(Self {
            kiosks: Kiosks::connect(server.address("locker", transport)?, kiosks, LOCKERS)?,
            plain: [
                Plain::new(&folder.join("each.db"), kiosks as i64, 1)?,
                Plain::new(&folder.join("many.db"), kiosks as i64, 64)?,
            ],
            server,
            echo,
            quiet,
            meanwhile: latencies()?,
            used: BTreeMap::new(),
        })
    }

    /// Rounds in turns; the server's series is the first.
    fn rounds(&mut self, count: u32, length: Duration) -> Outcome<Vec<Series>> {
        let series = |name: String| Series {
            name,
            rounds: Vec::new(),
        };
        let mut all = vec![series(self.server.kind.to_string())];
        all.extend(self.plain.iter().map(|plain| series(plain.name())));
        for _ in 0..count {
            all[0].rounds.push(self.round(length)?);
            for (plain, series) in self.plain.iter_mut().zip(&mut all[1..]) {
                series.rounds.push(plain.round(length, ITEM)?);
            }
        }
        Ok(all)
    }

    fn round(&mut self, length: Duration) -> Outcome<Round> {
        self.kiosks.register()?;
        self.kiosks.drive(WARM_UP, None)?;
        let over = AtomicBool::new(false);
        let (echo, pid) = (&self.echo, self.server.pid());
        let kiosks = &mut self.kiosks;
        let (round, echoed) = thread::scope(|scope| {
            let watch = scope.spawn(|| {
                let until = || over.load(Ordering::Relaxed);
                echoes(echo, &until).map_err(|error| error.to_string())
            });
            let round = measure(kiosks, length, pid);
            over.store(true, Ordering::Relaxed);
            (round, watch.join())
        });
        self.meanwhile
            .add(echoed.map_err(|_| "the echo's thread died")??)?;
        let (round, used) = round?;
        for (name, used) in used {
            let sum = self.used.entry(name).or_default();
            sum.cpu += used.cpu;
            sum.waits += used.waits;
        }
        self.kiosks.finish()?;
        Ok(round)
    }

    fn add_echoes(&self, table: &mut Table, load: &str) {
        for (when, latency) in [("before", &self.quiet), ("meanwhile", &self.meanwhile)] {
            let at = |quantile| micros(latency.value_at_quantile(quantile) as f64 / 1000.0);
            table.row(vec![
                load.to_owned(),
                when.to_owned(),
                at(0.5),
                at(0.99),
                at(1.0),
            ]);
        }
    }

    fn add_threads(&self, table: &mut Table, load: &str, series: &Series) {
        let done: u64 = series.rounds.iter().map(|round| round.done).sum();
        let elapsed: Duration = series.rounds.iter().map(|round| round.elapsed).sum();
        for (name, used) in self.used.iter().filter(|(_, used)| !used.cpu.is_zero()) {
            let part = used.cpu.as_secs_f64() / elapsed.as_secs_f64();
            table.row(vec![
                load.to_owned(),
                name.clone(),
                format!("{:.2}", as_micros(used.cpu) / done as f64),
                format!("{:.0} %", part * 100.0),
                format!("{:.3}", used.waits as f64 / done as f64),
            ]);
        }
    }

    /// System calls for each change, and which, in a short round under strace: it makes every call
    /// slower, so nothing else is taken from that round.
    fn count_calls(&mut self, length: Duration) -> Outcome<(String, String)> {
        self.kiosks.register()?;
        let not_counted = |why: String| ("not counted".to_owned(), why);
        let strace = match Strace::attach(self.server.pid()) {
            Ok(strace) => strace,
            Err(why) => return Ok(not_counted(why)),
        };
        let changes = (self.kiosks.drive(length, None)? + self.kiosks.finish()?) as f64;
        let calls = match strace.detach() {
            Ok(calls) => calls,
            Err(why) => return Ok(not_counted(why)),
        };
        let total: u64 = calls.iter().map(|(_, calls)| calls).sum();
        let each = format!("{:.2}", total as f64 / changes);
        Ok((each, which(&calls, changes)))
    }

    /// Ends the server and asks its database how many items one commit took, up to that moment.
    ///
    /// All rows of the trail that one transaction writes have the same time, in milliseconds, and
    /// a kiosk has one change in each at most. So two commits within a millisecond are told apart
    /// where a kiosk has a part in both.
    fn changes_per_commit(self, folder: &Path, until: SystemTime) -> Outcome<f64> {
        drop(self);
        let until = until.duration_since(UNIX_EPOCH)?.as_millis();
        let db = Connection::open(folder.join("data/lockers.db"))?;
        let query = "SELECT sum(changes) * 1.0 / sum(commits) FROM (
            SELECT sum(mine) AS changes, max(mine) AS commits FROM (
                SELECT at, count(*) AS mine FROM trail
                WHERE action = 'store' AND at < ?1 GROUP BY at, locker
            ) GROUP BY at)";
        Ok(db.query_row(query, [i64::try_from(until)?], |row| row.get(0))?)
    }
}

/// What the kiosks did in that time, and the server's threads.
fn measure(
    kiosks: &mut Kiosks,
    length: Duration,
    pid: u32,
) -> Outcome<(Round, BTreeMap<String, Used>)> {
    let mut latency = latencies()?;
    let before = machine::threads(pid)?;
    let cpu = machine::cpu_time(pid)?;
    let start = Instant::now();
    let done = kiosks.drive(length, Some(&mut latency))?;
    let elapsed = start.elapsed();
    let cpu = machine::cpu_time(pid)?.saturating_sub(cpu);
    let mut used = machine::threads(pid)?;
    for (name, used) in &mut used {
        let before = before.get(name).copied().unwrap_or_default();
        used.cpu = used.cpu.saturating_sub(before.cpu);
        used.waits = used.waits.saturating_sub(before.waits);
    }
    let round = Round {
        done,
        elapsed,
        cpu,
        latency,
    };
    Ok((round, used))
}

/// Echoes with a pause between until it is over.
fn echoes(address: &Address, over: &dyn Fn() -> bool) -> Outcome<Histogram<u64>> {
    let mut latency = latencies()?;
    let mut link = address.connect()?;
    while !over() {
        let sent = Instant::now();
        link.echo(&[b'e'; 64])?;
        latency.saturating_record(nanos(sent.elapsed()));
        // Nobody wakes it: this is a pause.
        thread::park_timeout(ECHO_PAUSE);
    }
    Ok(latency)
}

/// Whether so much time has gone by from now on.
fn after(length: Duration) -> impl Fn() -> bool {
    let start = Instant::now();
    move || start.elapsed() >= length
}
