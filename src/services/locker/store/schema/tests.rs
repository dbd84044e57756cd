//! Layouts: older ones are migrated, newer ones refused.

use std::fs;

use rusqlite::Connection;

use super::super::rows::tests::{filled, refused_untouched};
use super::super::tests::{Bench, mode, one, put, retrieve};
use super::super::{Job, Outcome};

/// Versions 1 and 2 with some rows, as programs of those versions wrote them.
const OLD: [&str; 2] = [include_str!("version_1.sql"), include_str!("version_2.sql")];

/// A folder with such a database, after some SQL more.
fn old(version: usize, sql: &str) -> Bench {
    let bench = Bench::new();
    let db = Connection::open(bench.path()).expect("new");
    db.execute_batch(OLD[version - 1]).expect("a database");
    db.execute_batch(sql).expect("works");
    bench
}

#[test]
fn a_newer_file_is_refused_and_left() {
    let bench = filled();
    let db = Connection::open(bench.path()).expect("ours");
    db.execute_batch("PRAGMA user_version = 4").expect("works");
    drop(db);
    refused_untouched(
        &bench,
        "was written by a newer switchboard (version 4, this one knows 3)",
    );
}

#[test]
fn version_1_is_migrated_and_kept_beside() {
    let at = 1_700_000_006;
    migrated(1, ["$argon2id$one", "$argon2id$two", "$argon2id$0000"], at);
}

#[test]
fn version_2_is_migrated_and_kept_beside() {
    let hash = "$argon2id$v=19$m=8,t=1,p=1$";
    migrated(2, [hash; 3], 1_795_292_458);
}

/// `hashes` is what those of lockers 1 to 3 begin with; locker 2 was retrieved then.
fn migrated(version: usize, hashes: [&str; 3], at: u64) {
    let bench = old(version, "");
    let (mut store, lockers) = bench.open();
    let shown: Vec<_> = lockers
        .iter()
        .map(|l| (l.in_use, l.epoch, l.is_default, l.items))
        .collect();
    let expected = [
        (false, 0, false, 0),
        (true, 1, false, 2),
        (false, 1, false, 0),
        (true, 2, version == 2, 0),
    ];
    assert_eq!(shown, expected);
    assert_eq!(lockers[0].hash, None);
    for (locker, begins) in lockers[1..].iter().zip(hashes) {
        let hash = locker.hash.as_deref().unwrap_or_default();
        assert!(hash.starts_with(begins), "{hash}");
    }
    let items = vec![b"a red umbrella".to_vec()];
    let taken = Outcome::Taken { at, items };
    assert_eq!(one(&mut store, Job::Taken { locker: 2 }), taken);
    let mut items = vec!["책 한 권".as_bytes().to_vec(), vec![0xff, 0, 1]];
    if version == 2 {
        items[1] = vec![0xff, 1];
    }
    assert_eq!(
        one(&mut store, put(1, 1, b"more")),
        Outcome::Stored { items: 3 }
    );
    items.push(b"more".to_vec());
    assert_eq!(
        one(&mut store, retrieve(1, 1)),
        Outcome::Retrieved { items }
    );
    drop(store);
    let copy = bench.beside(&format!("lockers.db.v{version}"));
    assert_eq!(mode(&copy), 0o600);
    assert_eq!(bench.beside("lockers.db.v2").exists(), version == 2);
    let kept = Connection::open(&copy).expect("a database");
    let query = "SELECT user_version, (SELECT count(*) FROM trail) FROM pragma_user_version";
    let found: (i64, i64) = kept
        .query_row(query, (), |r| Ok((r.get(0)?, r.get(1)?)))
        .expect("reads");
    assert_eq!(found, (version as i64, 9));
    // The layout is that of a new database, to the word.
    let (migrated, fresh) = (Connection::open(bench.path()).expect("ours"), Bench::new());
    drop(fresh.open());
    let new = Connection::open(fresh.path()).expect("ours");
    assert_eq!(tables(&migrated), tables(&new));
    drop((migrated, new));
    // Going back by hand: the copy is migrated once more, and kept as it is.
    let before = fs::read(&copy).expect("there");
    fs::copy(&copy, bench.path()).expect("copied");
    assert!(bench.open().1[1].in_use);
    assert_eq!(fs::read(&copy).expect("there"), before);
}

/// The text of all that a schema has.
fn tables(db: &Connection) -> Vec<(String, Option<String>)> {
    let mut all = db
        .prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")
        .expect("a query");
    let rows = all.query_map((), |row| Ok((row.get(0)?, row.get(1)?)));
    rows.expect("rows").map(|row| row.expect("a row")).collect()
}

#[test]
fn the_hashes_of_version_2_stay_true() {
    let bench = old(2, "");
    let db = Connection::open(bench.path()).expect("ours");
    let hashes = "SELECT group_concat(own) FROM trail WHERE id <= 9";
    let before: String = db.query_row(hashes, (), |row| row.get(0)).expect("reads");
    drop(db);
    drop(bench.open());
    let db = Connection::open(bench.path()).expect("ours");
    let hashes = "SELECT group_concat(lower(hex(own))), max(stored) FROM trail WHERE id <= 9";
    let after: (String, Option<i64>) = db
        .query_row(hashes, (), |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("reads");
    assert_eq!(after, (before, None));
}

/// What somebody does to a file of a version, and what is said of it.
const DAMAGES: &[(usize, &str, &str)] = &[
    (
        1,
        "UPDATE lockers SET epoch = 7 WHERE number = 1",
        "row 1 of lockers",
    ),
    (1, "DELETE FROM items", "row 1 of lockers says 2 items"),
    (1, "DELETE FROM lockers", "there are no lockers"),
    (
        1,
        "DROP TRIGGER trail_grows; DELETE FROM trail",
        "the trail is empty",
    ),
    (
        2,
        "UPDATE lockers SET is_default = 0 WHERE number = 3",
        "row 3 of lockers does not",
    ),
    (
        2,
        "DELETE FROM lockers WHERE number = 0",
        "row 0 of lockers is gone",
    ),
    (
        2,
        "UPDATE items SET item = 'x' WHERE place = 1",
        "row (1, 1) of items does not",
    ),
    (
        2,
        "DELETE FROM items WHERE place = 1",
        "row 1 of lockers says 2 items",
    ),
    (
        2,
        "UPDATE items SET checksum = 'x'",
        "row (1, 0) of items does not",
    ),
    (
        2,
        "DROP TRIGGER trail_stays; UPDATE trail SET actor = 'x' WHERE id = 4",
        "row 4 of trail does not",
    ),
    (
        2,
        "DROP TRIGGER trail_stays; UPDATE trail SET previous = own WHERE id = 1",
        "row 1 of trail does not",
    ),
    (
        2,
        "DROP TRIGGER trail_stays; UPDATE trail SET result = 'lost' WHERE id = 9",
        "row 9 of trail does not",
    ),
    (
        2,
        "DROP TRIGGER trail_stays; UPDATE trail SET own = 'x' WHERE id = 3",
        "row 3 of trail does not",
    ),
    (
        2,
        "DROP TRIGGER trail_grows; DELETE FROM trail WHERE id = 4",
        "row 4 of trail is gone",
    ),
    (
        2,
        "DROP TRIGGER trail_stays; UPDATE trail SET id = id - 0x7fffffffffffffff - 1",
        "row 1 of trail is gone",
    ),
    (
        2,
        "DROP TRIGGER trail_grows; DELETE FROM trail WHERE id = 1",
        "row 1 of trail is gone",
    ),
    (
        2,
        "DROP TRIGGER trail_items_grow; DELETE FROM trail_items",
        "row 7 of trail does not",
    ),
];

#[test]
fn a_damaged_file_of_an_older_version_is_not_migrated() {
    for (version, sql, words) in DAMAGES {
        let bench = old(*version, &format!("PRAGMA foreign_keys = OFF; {sql}"));
        refused_untouched(&bench, words);
        assert!(!bench.beside(&format!("lockers.db.v{version}")).exists());
    }
}

/// No checksum of version 1 covers its trail, so these are met in the new rows alone.
#[test]
fn what_the_new_layout_refuses_is_met_before_the_migration_is_committed() {
    for set in ["actor = CAST(x'ff' AS TEXT)", "locker = -1"] {
        let bench = old(1, "PRAGMA journal_mode = WAL");
        let db = Connection::open(bench.path()).expect("ours");
        let query = "SELECT sql FROM sqlite_schema WHERE name = 'trail_stays'";
        let trigger: String = db.query_row(query, (), |row| row.get(0)).expect("there");
        db.execute_batch(&format!(
            "DROP TRIGGER trail_stays; UPDATE trail SET {set} WHERE id = 4; {trigger}"
        ))
        .expect("works");
        drop(db);
        refused_untouched(&bench, "row 4 of trail does not have its checksum");
        // Nor is a new layout in the log.
        let db = Connection::open(bench.path()).expect("ours");
        let version = db.query_row("PRAGMA user_version", (), |row| row.get(0));
        assert_eq!(version, Ok(1));
    }
}

#[test]
fn the_trail_takes_its_actions_and_no_other() {
    let bench = filled();
    let db = Connection::open(bench.path()).expect("ours");
    let add = |action: &str| {
        let sql = "INSERT INTO trail (at, actor, action, detail, own)
            VALUES (0, 'server', ?1, '', x'')";
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
