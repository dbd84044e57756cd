//! Layouts: older ones are migrated, newer ones refused.

use std::fs;

use rusqlite::Connection;

use super::super::rows::tests::{filled, refused_untouched};
use super::super::tests::{Bench, mode, one, retrieve};
use super::super::{Job, Outcome};

/// The layout of version 1 with some rows, as a program of that version wrote it.
const VERSION_1: &str = include_str!("version_1.sql");

#[test]
fn a_newer_file_is_refused_and_left() {
    let bench = filled();
    let db = Connection::open(bench.path()).expect("ours");
    db.execute_batch("PRAGMA user_version = 3").expect("works");
    drop(db);
    refused_untouched(
        &bench,
        "was written by a newer switchboard (version 3, this one knows 2)",
    );
}

#[test]
fn version_1_is_migrated_and_kept_beside() {
    let bench = Bench::new();
    let old = Connection::open(bench.path()).expect("new");
    old.execute_batch(VERSION_1).expect("a database");
    drop(old);
    let (mut store, lockers) = bench.open();
    let shown: Vec<_> = lockers
        .iter()
        .map(|l| (l.in_use, l.epoch, l.hash.as_deref(), l.is_default, l.items))
        .collect();
    let expected = [
        (false, 0, None, false, 0),
        (true, 1, Some("$argon2id$one"), false, 2),
        (false, 1, Some("$argon2id$two"), false, 0),
        (true, 2, Some("$argon2id$0000"), false, 0),
    ];
    assert_eq!(shown, expected);
    let items = vec![b"a red umbrella".to_vec()];
    let taken = Outcome::Taken {
        at: 1_700_000_006,
        items,
    };
    assert_eq!(one(&mut store, Job::Taken { locker: 2 }), taken);
    let items = vec!["책 한 권".as_bytes().to_vec(), vec![0xff, 0, 1]];
    assert_eq!(
        one(&mut store, retrieve(1, 1)),
        Outcome::Retrieved { items }
    );
    drop(store);
    let copy = bench.beside("lockers.db.v1");
    assert_eq!(mode(&copy), 0o600);
    let kept = Connection::open(&copy).expect("a database");
    let version: i64 = kept
        .query_row("PRAGMA user_version", (), |r| r.get(0))
        .expect("reads");
    let rows: i64 = kept
        .query_row("SELECT count(*) FROM trail", (), |r| r.get(0))
        .expect("reads");
    assert_eq!((version, rows), (1, 9));
    // The layout is that of a new database.
    let (migrated, fresh) = (Connection::open(bench.path()).expect("ours"), Bench::new());
    drop(fresh.open());
    let new = Connection::open(fresh.path()).expect("ours");
    assert_eq!(columns(&migrated), columns(&new));
    drop((migrated, new));
    // Going back by hand: the copy is migrated once more, and kept as it is.
    let before = fs::read(&copy).expect("there");
    fs::copy(&copy, bench.path()).expect("copied");
    assert!(bench.open().1[1].in_use);
    assert_eq!(fs::read(&copy).expect("there"), before);
}

fn columns(db: &Connection) -> Vec<(String, String)> {
    let mut all = db
        .prepare(
            "SELECT m.name, coalesce(group_concat(p.name || p.type || p.[notnull]), '')
                FROM sqlite_schema m LEFT JOIN pragma_table_info(m.name) p
                GROUP BY m.name ORDER BY m.name",
        )
        .expect("a query");
    let rows = all.query_map((), |row| Ok((row.get(0)?, row.get(1)?)));
    rows.expect("rows").map(|row| row.expect("a row")).collect()
}

#[test]
fn a_damaged_file_of_version_1_is_not_migrated() {
    for sql in [
        "UPDATE lockers SET epoch = 7 WHERE number = 1",
        "DELETE FROM items",
    ] {
        let bench = Bench::new();
        let old = Connection::open(bench.path()).expect("new");
        old.execute_batch(VERSION_1).expect("a database");
        old.execute_batch(sql).expect("works");
        drop(old);
        refused_untouched(&bench, "row 1 of lockers");
        assert!(!bench.beside("lockers.db.v1").exists());
    }
}

#[test]
fn the_trail_takes_its_actions_and_no_other() {
    let bench = filled();
    let db = Connection::open(bench.path()).expect("ours");
    let add = |action: &str| {
        let sql = "INSERT INTO trail (at, actor, action, result, detail)
            VALUES (0, 'server', ?1, 'done', '')";
        db.execute(sql, [action])
    };
    let all = [
        "create", "grow", "shrink", "migrate", "register", "store", "retrieve", "reset", "rehash",
    ];
    for action in all {
        add(action).expect(action);
    }
    for action in ["steal", "", "STORE"] {
        let error = add(action).expect_err("a rule");
        assert!(error.to_string().contains("CHECK"), "{error}");
    }
}
