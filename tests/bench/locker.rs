//! Locker: changes that are on the disk when they are answered, beside SQLite alone and Redis.

mod disk;
mod kiosks;
mod plain;
mod redis;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use rusqlite::Connection;

use self::kiosks::{Kiosks, Wire};
use self::plain::Plain;
use self::redis::Redis;
use crate::count::{self, Counter, Method};
use crate::link::{Address, Transport};
use crate::load::{Round, Series, add_rows, latencies, nanos, table};
use crate::machine::{self, Used, connections_max};
use crate::report::{Outcome, Report, Table, as_micros, micros};
use crate::server::Server;

pub const ABOUT: &str = "\
Kiosks, each with a connection and a locker of its own, put items of 40 bytes into it, the next when
the last is answered; every answer is checked. All were authenticated when they registered. Beside
them, in turns and on the same disk: SQLite alone (WAL, synchronous = FULL) in a loop without
sockets, that writes an item beside those of its locker, its locker's row and a row of a trail: what
the server wrote before its items shared pages, without hashes and rules; its latency is that of a
transaction. And Redis (appendonly yes,
appendfsync always) with as many clients of the same load, that push the items to lists; it keeps
no count in another place, no trail and no checksum. Meanwhile a client of `echo` on the same server
sends 64 bytes, and the next 1 ms after they are back. How many changes one commit takes is what the
trail says; system calls are counted in a short round more.";

/// An item.
const ITEM: &str = "a book of forty characters, with a title";

/// Lockers of the server: enough for each of 1,000 kiosks to fill several.
const LOCKERS: u32 = 5000;

/// Rounds of a load in a full run.
const ROUNDS: u32 = 7;

/// How long a round is; a locker that is full ends it earlier.
const ROUND: Duration = Duration::from_millis(500);

/// Before a round counts.
const WARM_UP: Duration = Duration::from_millis(100);

/// Between two messages of the echo client.
const ECHO_PAUSE: Duration = Duration::from_millis(1);

/// The rate of a single kiosk, at least, in that of SQLite with one commit a change.
const GOAL_ALONE: f64 = 0.9;

/// The rate of many kiosks, at least, in that of Redis.
const GOAL_MANY: f64 = 1.0;

/// Kiosks from which on Redis is what counts: below that nobody shares a sync.
const MANY: usize = 50;

/// Changes that a transaction of SQLite takes where it takes many.
const PER_COMMIT: i64 = 50;

pub fn run(report: &mut Report) -> Outcome<()> {
    let folder = disk::folder()?;
    let (disk, in_memory) = disk::described(folder.path())?;
    println!("The databases are on {disk}.\n");
    if in_memory && !report.smoke {
        return Err("that is in memory, where nothing is durable".into());
    }
    let counts = report.pick([1, MANY, 1000], [1, 8, MANY]);
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
    let (mut by, mut reached) = (None, Vec::new());
    for transport in [Transport::Unix, Transport::Tcp] {
        for count in counts {
            let count = count.min(connections_max());
            let load = format!("{transport}, {count}");
            let folder = tempfile::tempdir_in(folder.path())?;
            let mut stand = Stand::new(folder.path(), transport, count)?;
            let series = stand.rounds(report.pick(ROUNDS, 1), report.pick(ROUND, ROUND / 5))?;
            add_rows(&mut rates, &load, &series);
            reached.extend(reached_of(count, &load, &series));
            stand.add_echoes(&mut echoes, &load);
            stand.add_threads(&mut threads, &load, &series[0]);
            let until = SystemTime::now();
            let calls = stand.count_calls(report.pick(ROUND, WARM_UP))?;
            let together = stand.changes_per_commit(folder.path(), until)?;
            by = by.or(calls.2);
            commits.row(vec![load, format!("{together:.1}"), calls.0, calls.1]);
        }
    }
    println!("{rates}\n{threads}\n{commits}\n{echoes}");
    count::say(by);
    for (load, ratio, goal, of) in reached {
        let met = match ratio >= goal {
            true => "goal met",
            false => "goal MISSED",
        };
        println!("- {met}: {ratio:.2} of {of}, {load}; at least {goal}");
    }
    Ok(())
}

/// The load, the ratio of rates, what it is to be, and of whom; nothing where nothing is asked.
type Reached = (String, f64, f64, String);

fn reached_of(count: usize, load: &str, series: &[Series]) -> Option<Reached> {
    let (goal, other) = match count {
        1 => (GOAL_ALONE, series.get(1)?),
        MANY.. => (GOAL_MANY, series.get(3)?),
        _ => return None,
    };
    let ratio = series[0].ratio(other, Round::rate);
    Some((load.to_owned(), ratio, goal, other.name.clone()))
}

/// A server with its kiosks, and the databases that it is held against.
struct Stand {
    server: Server,
    kiosks: Kiosks,
    plain: [Plain; 2],
    /// Where it is installed.
    redis: Option<Redis>,
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
        let redis = Redis::new(folder, transport, kiosks);
        if let Err(error) = &redis {
            println!("Redis has no row over {transport}: redis-server: {error}.\n");
        }
        let address = server.address("locker", transport)?;
        Ok(Self {
            kiosks: Kiosks::connect(Wire::Locker, address, kiosks, LOCKERS)?,
            redis: redis.ok(),
            plain: [
                Plain::new(&folder.join("each.db"), kiosks as i64, 1)?,
                Plain::new(&folder.join("many.db"), kiosks as i64, PER_COMMIT)?,
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
        all.extend(
            self.redis
                .iter()
                .map(|_| series("Redis, synced always".to_owned())),
        );
        for _ in 0..count {
            all[0].rounds.push(self.round(length)?);
            for (plain, series) in self.plain.iter_mut().zip(&mut all[1..]) {
                series.rounds.push(plain.round(length, ITEM)?);
            }
            if let (Some(redis), Some(series)) = (&mut self.redis, all.get_mut(3)) {
                series.rounds.push(redis.round(WARM_UP, length)?);
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

    /// System calls for each change, and which, in a short round more: to be counted makes a call
    /// slower, so nothing else is taken from that round. The method is `None` where nothing counts.
    fn count_calls(&mut self, length: Duration) -> Outcome<(String, String, Option<Method>)> {
        self.kiosks.register()?;
        let not_counted = |why: String| ("not counted".to_owned(), why, None);
        let counter = match Counter::attach(self.server.pid()) {
            Ok(counter) => counter,
            Err(why) => return Ok(not_counted(why)),
        };
        let changes = (self.kiosks.drive(length, None)? + self.kiosks.finish()?) as f64;
        let calls = match counter.detach() {
            Ok(calls) => calls,
            Err(why) => return Ok(not_counted(why)),
        };
        let each = format!("{:.2}", calls.each(changes));
        Ok((each, calls.which(changes), Some(calls.by)))
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
