//! A database of an older layout: what was in it is there afterwards, and a copy of it stays, also where
//! the migration is killed at any call.

use std::fs;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use sha2::{Digest, Sha256};

use crate::support::can_inject;
use crate::support::lockers::{Data, Held, Kiosk, Known};
use crate::support::refusal::refused;
use crate::support::scenario::Scenario;

/// A database as a program of version 1 left it, with hashes that no password has.
const VERSION_1: &str = include_str!("../../src/services/locker/store/schema/version_1.sql");

/// The same of version 2. Its lockers 1 and 3 have the passwords `one` and `0000`.
const VERSION_2: &str = include_str!("../../src/services/locker/store/schema/version_2.sql");

/// What lies in locker 1 of each version, as the text wire shows it.
const ITEMS: [[&str; 2]; 2] = [
    ["책 한 권", "\\xff\\u{0}\\u{1}"],
    ["책 한 권", "\\xff\\u{1}"],
];

const LEAVES: [[&str; 3]; 2] = [
    ["lockers.db", "lockers.db.v1", "lockers.lock"],
    ["lockers.db", "lockers.db.v2", "lockers.lock"],
];

/// The hash of a password, made by a server.
fn hash_of(password: &str) -> String {
    let data = Data::new();
    let server = data.server("").start();
    let mut kiosk = Kiosk::unix(&server).unwrap();
    kiosk.last(&format!("register 0 {password}"));
    drop(kiosk);
    server.stop();
    let query = "SELECT hash FROM lockers WHERE number = 0";
    data.read().query_row(query, (), |row| row.get(0)).unwrap()
}

/// A folder with such a database, whose server was killed, so a part of it is in the log alone.
fn written(sql: &str, then: impl FnOnce(&Connection)) -> Data {
    let data = Data::new();
    fs::create_dir(data.folder()).unwrap();
    let db = Connection::open(data.database()).unwrap();
    db.execute_batch(sql).unwrap();
    db.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .unwrap();
    then(&db);
    db.close().unwrap();
    fs::remove_file(data.file("lockers.db-shm")).unwrap();
    assert_eq!(data.names(), ["lockers.db", "lockers.db-wal"]);
    data
}

/// One of this version, whose lockers 1 and 3 have the passwords `one` and `0000`.
pub fn old(version: usize) -> (Data, Known) {
    let mut known = Known::default();
    for (locker, password, items) in [(1, "one", &ITEMS[version - 1][..]), (3, "0000", &[])] {
        let held = Held {
            password: Some(password.to_owned()),
            items: items.iter().map(ToString::to_string).collect(),
        };
        known.lockers.insert(locker, held);
    }
    let data = match version {
        1 => written(VERSION_1, give_passwords),
        _ => written(VERSION_2, |db| {
            let sql = "UPDATE lockers SET checksum = checksum WHERE number = 1";
            db.execute_batch(sql).unwrap();
        }),
    };
    (data, known)
}

fn give_passwords(db: &Connection) {
    for (locker, epoch, password, items) in [(1, 1, "one", 2), (3, 2, "0000", 0)] {
        let hash = hash_of(password);
        let line = format!("locker|{locker}|1|{epoch}|{hash}|{items}||");
        let checksum = Sha256::digest(line.as_bytes());
        let checksum: String = checksum.iter().map(|byte| format!("{byte:02x}")).collect();
        let update = "UPDATE lockers SET hash = ?1, checksum = ?2 WHERE number = ?3";
        db.execute(update, (&hash, &checksum, locker)).unwrap();
    }
}

#[test]
fn an_older_version_keeps_everything_and_leaves_a_copy() {
    for version in [1, 2] {
        migrated(version);
    }
}

fn migrated(version: usize) {
    let (data, mut known) = old(version);
    let server = data.server("").start();
    let mut kiosk = Kiosk::unix(&server).unwrap();
    let shown = kiosk.ask("show").unwrap();
    assert_eq!(shown, ["0 free", "1 in use", "2 free", "3 in use", "ok"]);
    known.do_it(&mut kiosk, "store 1 one a third");
    known.do_it(&mut kiosk, "store 3 0000 a coat");
    drop(kiosk);
    server.stop();
    assert_eq!(data.names(), LEAVES[version - 1]);
    let db = data.read();
    let number = |query: &str| -> i64 { db.query_row(query, (), |row| row.get(0)).unwrap() };
    assert_eq!(number("PRAGMA user_version"), 3);
    assert_eq!(number("SELECT count(*) FROM trail WHERE id <= 9"), 9);
    assert_eq!(
        number("SELECT count(*) FROM trail WHERE action = 'migrate'"),
        3 - version as i64
    );
    assert_eq!(
        number("SELECT count(*) FROM taken WHERE item = 'a red umbrella'"),
        1
    );
    drop(db);
    assert_copy(&data, version);
    let server = data.server("").start();
    known.check(&server, "after the migration");
    server.stop();
}

/// The copy has all that was in the file of the older version, its log included.
fn assert_copy(data: &Data, version: usize) {
    let copy = Connection::open(data.file(LEAVES[version - 1][1])).unwrap();
    let check = "SELECT integrity_check FROM pragma_integrity_check";
    let check: String = copy.query_row(check, (), |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let all = "SELECT (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM trail),
        (SELECT count(*) FROM items), (SELECT length(hash) > 40 FROM lockers WHERE number = 1)";
    let found: [i64; 4] = copy
        .query_row(all, (), |row| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
        })
        .unwrap();
    assert_eq!(found, [version as i64, 9, 2, 1]);
}

fn migration(version: usize) -> Scenario<'static> {
    let (data, known) = old(version);
    Scenario {
        data,
        known,
        options: "",
        only: |_| true,
        commands: &["store 3 0000 a coat"],
        leaves: &LEAVES[version - 1],
        after: match version {
            1 => |data| assert_copy(data, 1),
            _ => |data| assert_copy(data, 2),
        },
    }
}

#[test]
fn a_kill_at_any_call_of_a_migration_leaves_the_old_or_the_new() {
    if can_inject() {
        migration(1).kill_everywhere("migration of version 1");
        migration(2).kill_everywhere("migration of version 2");
    }
}

#[test]
fn an_error_at_any_call_of_a_migration_leaves_the_old_or_the_new() {
    if can_inject() {
        migration(1).fail_everywhere("migration of version 1", "EIO");
        migration(2).fail_everywhere("migration of version 2", "EIO");
    }
}

#[test]
fn a_damaged_file_of_an_older_version_is_not_migrated() {
    for version in [1, 2] {
        let (data, _) = old(version);
        let db = Connection::open(data.database()).unwrap();
        db.execute_batch("UPDATE items SET item = 'stolen' WHERE place = 0; PRAGMA wal_checkpoint")
            .unwrap();
        db.close().unwrap();
        let before = fs::read(data.database()).unwrap();
        let words = ["lockers.db: is damaged: row (1, 0) of items does not have its checksum"];
        refused(&data.server("")).expect(1, &words);
        assert_eq!(fs::read(data.database()).unwrap(), before);
        assert_eq!(
            data.names(),
            ["lockers.db", "lockers.db-wal", "lockers.lock"]
        );
    }
}
