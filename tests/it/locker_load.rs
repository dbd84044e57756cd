//! Kills under load, and copies of the database while it is written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use rustix::process::Signal;

use crate::support::lockers::{Data, Kiosk, items};
use crate::support::server::Server;
use crate::support::stream::one_at_a_time;
use crate::support::wait_until;

/// Clients, each with a locker of its own.
const CLIENTS: usize = 12;

/// Kills.
const ROUNDS: usize = 20;

/// Stores numbered items until the server has gone; how many were acknowledged from the first on.
fn store_until_killed(server: &Server, locker: usize, from: usize, stored: &AtomicUsize) -> usize {
    let mut next = from;
    // Half of them by each kind of socket.
    let connect = [Kiosk::tcp, Kiosk::unix][locker % 2];
    let Some(mut kiosk) = connect(server) else {
        return next;
    };
    // More than the locker holds is never stored in so short a time; if it is, that is enough.
    while next < 900 {
        match kiosk.ask(&format!("store {locker} pw item {next}")) {
            Some(answer) => assert_eq!(answer, [format!("ok {} items", next + 1)]),
            None => break,
        }
        next += 1;
        stored.fetch_add(1, Ordering::Relaxed);
    }
    next
}

#[test]
fn kills_under_load_lose_nothing_that_was_acknowledged() {
    let _turn = one_at_a_time();
    let data = Data::new();
    let server = data.server("&count=12").start();
    let mut kiosk = Kiosk::unix(&server).unwrap();
    for locker in 0..CLIENTS {
        assert!(
            kiosk
                .last(&format!("register {locker} pw"))
                .starts_with("ok")
        );
    }
    drop(kiosk);
    server.stop();
    let mut have = [0; CLIENTS];
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        let mut server = data.server("").start();
        let stored = AtomicUsize::new(0);
        // A moment that nobody has chosen: after so many answers, and a little.
        let (enough, little) = (round * 7, Duration::from_micros(fastrand::u64(0..3000)));
        let known: Vec<_> = thread::scope(|scope| {
            let clients = have.iter().enumerate().map(|(locker, from)| {
                let (server, stored) = (&server, &stored);
                scope.spawn(move || store_until_killed(server, locker, *from, stored))
            });
            let clients: Vec<_> = clients.collect();
            wait_until("some answers", || stored.load(Ordering::Relaxed) >= enough);
            thread::park_timeout(little);
            server.signal(Signal::KILL);
            clients
                .into_iter()
                .map(|client| client.join().unwrap())
                .collect()
        });
        server.wait();
        acknowledged += stored.load(Ordering::Relaxed);
        have = read_back(&data, &known, round);
    }
    eprintln!("{acknowledged} items acknowledged in {ROUNDS} rounds");
}

/// What is in the lockers after a restart: what was acknowledged, and at most the one behind it.
fn read_back(data: &Data, known: &[usize], round: usize) -> [usize; CLIENTS] {
    data.server("").start().stop();
    let db = data.read();
    let mut have = [0; CLIENTS];
    for (locker, have) in have.iter_mut().enumerate() {
        let mut rows = db
            .prepare("SELECT item FROM items WHERE locker = ?1 ORDER BY place")
            .unwrap();
        let found = rows.query_map([locker as i64], |row| row.get::<_, String>(0));
        let found: Vec<_> = found.unwrap().map(Result::unwrap).collect();
        let expected: Vec<_> = (0..found.len()).map(|n| format!("item {n}")).collect();
        assert_eq!(found, expected, "round {round}, locker {locker}");
        let fits = [known[locker], known[locker] + 1].contains(&found.len());
        assert!(
            fits,
            "round {round}, locker {locker}: {} of {}",
            found.len(),
            known[locker]
        );
        *have = found.len();
    }
    have
}

#[test]
fn a_locker_that_many_want_goes_to_one_also_across_a_kill() {
    const LOCKERS: usize = 3;
    let _turn = one_at_a_time();
    let data = Data::new();
    data.server("&count=3").start().stop();
    for round in 0..ROUNDS {
        let mut server = data.server("").start();
        let answers: Vec<_> = thread::scope(|scope| {
            let clients = (0..CLIENTS).map(|client| {
                let server = &server;
                scope.spawn(move || {
                    let line = format!("register {} pw{client}", client % LOCKERS);
                    Kiosk::tcp(server)?.ask(&line)?.pop()
                })
            });
            let clients: Vec<_> = clients.collect();
            thread::park_timeout(Duration::from_micros(fastrand::u64(0..6000)));
            server.signal(Signal::KILL);
            let answers = clients.into_iter().map(|client| client.join().unwrap());
            answers.collect()
        });
        server.wait();
        let server = data.server("").start();
        let mut kiosk = Kiosk::unix(&server).unwrap();
        for locker in 0..LOCKERS {
            let owners = (locker..CLIENTS).step_by(LOCKERS);
            let told = format!("ok locker {locker} is yours");
            let acknowledged = owners.filter(|o| answers[*o].as_ref() == Some(&told));
            let acknowledged: Vec<_> = acknowledged.collect();
            assert!(acknowledged.len() <= 1, "round {round}: {answers:?}");
            let before = kiosk.ask("show").unwrap()[locker].ends_with("in use");
            for owner in &acknowledged {
                let answer = kiosk.last(&format!("retrieve {locker} pw{owner}"));
                assert_eq!(answer, "ok 0 items", "round {round}: {answers:?}");
            }
            // One that nobody was told of belongs to whoever asks for the reset first.
            if before && acknowledged.is_empty() {
                assert_eq!(kiosk.last(&format!("reset {locker}")), "ok");
                assert_eq!(kiosk.last(&format!("retrieve {locker} 0000")), "ok 0 items");
            }
        }
        drop(kiosk);
        server.stop();
        data.read();
    }
}

#[test]
fn a_copy_made_while_clients_write_is_whole_and_has_all_that_was_acknowledged() {
    const WRITERS: usize = 4;
    const COPIES: usize = 8;
    let data = Data::new();
    let server = data.server("&count=4").start();
    let mut admin = Kiosk::unix(&server).unwrap();
    for locker in 0..WRITERS {
        assert!(
            admin
                .last(&format!("register {locker} pw"))
                .starts_with("ok")
        );
    }
    let (stored, done) = (
        [const { AtomicUsize::new(0) }; WRITERS],
        AtomicUsize::new(0),
    );
    thread::scope(|scope| {
        for (locker, stored) in stored.iter().enumerate() {
            let (server, done) = (&server, &done);
            scope.spawn(move || {
                let mut kiosk = Kiosk::tcp(server).unwrap();
                for number in 0..900 {
                    if done.load(Ordering::Relaxed) == COPIES {
                        break;
                    }
                    let answer = kiosk.last(&format!("store {locker} pw item {number}"));
                    assert!(answer.starts_with("ok"), "{answer}");
                    stored.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // Each copy then has something of every writer.
        wait_until("a first item of each", || {
            stored.iter().all(|count| count.load(Ordering::Relaxed) > 0)
        });
        for number in 0..COPIES {
            let path = data.beside(&format!("copy {number}.db"));
            let before = stored.each_ref().map(|count| count.load(Ordering::Relaxed));
            let answer = admin.last(&format!("backup {}", path.display()));
            let bytes = fs::metadata(&path).unwrap().len();
            assert_eq!(answer, format!("ok {bytes} bytes"));
            assert_whole(&path, &before);
            done.fetch_add(1, Ordering::Relaxed);
        }
    });
    drop(admin);
    server.stop();
    // The copy is a database that a server takes.
    let restored = Data::new();
    fs::create_dir(restored.folder()).unwrap();
    fs::copy(data.beside("copy 7.db"), restored.database()).unwrap();
    let server = restored.server("").start();
    let answer = Kiosk::unix(&server).unwrap().ask("retrieve 0 pw").unwrap();
    assert_eq!(items(&answer)[0], "item 0");
    server.stop();
}

fn assert_whole(path: &std::path::Path, at_least: &[usize]) {
    assert_eq!(
        fs::metadata(path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let copy = Connection::open(path).unwrap();
    let check: String = copy
        .query_row("PRAGMA integrity_check", (), |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    for (locker, at_least) in at_least.iter().enumerate() {
        let count: i64 = copy
            .query_row(
                "SELECT count(*) FROM items WHERE locker = ?1",
                [locker as i64],
                |row| row.get(0),
            )
            .unwrap();
        assert!(count as usize >= *at_least, "{count} of {at_least}");
    }
}

#[test]
fn a_copy_replaces_nothing_and_is_for_the_servers_user() {
    let data = Data::new();
    let server = data.server("").start();
    let (mut admin, mut tcp) = (Kiosk::unix(&server).unwrap(), Kiosk::tcp(&server).unwrap());
    let path = data.beside("copy.db");
    fs::write(&path, "mine").unwrap();
    let backup = format!("backup {}", path.display());
    let answer = admin.last(&backup);
    assert!(
        answer.ends_with("copy.db: is there already; it was left as it is"),
        "{answer}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    fs::remove_file(&path).unwrap();
    let refused = "error: a copy is for the server's own user, on a Unix socket";
    assert_eq!(tcp.last(&backup), refused);
    assert_eq!(
        admin.last("backup copy.db"),
        "error: the path of a copy begins with a '/'"
    );
    let database = format!("backup {}", data.database().display());
    assert!(admin.last(&database).starts_with("error: "));
    let nowhere = format!("backup {}", data.beside("nowhere/copy.db").display());
    let answer = admin.last(&nowhere);
    assert!(
        answer.starts_with("error: ") && answer.contains("nowhere"),
        "{answer}"
    );
    let link = data.beside("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let answer = admin.last(&format!("backup {}", link.display()));
    assert!(answer.contains("is there already"), "{answer}");
    assert!(!path.exists());
    assert!(admin.last(&backup).starts_with("ok "));
    server.stop();
}
