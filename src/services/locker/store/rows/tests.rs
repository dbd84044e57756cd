//! Damage of every kind, which is named and left.

use std::fs::{self, File};

use rusqlite::Connection;

use super::super::tests::{Bench, put, register, retrieve};

/// A database with something in every table, closed.
pub(in super::super) fn filled() -> Bench {
    let bench = Bench::new();
    let (mut store, _) = bench.try_open(Some(4)).expect("opens");
    store.run(&[
        register(1),
        put(1, 1, b"an umbrella of mine"),
        put(1, 1, b"\xff\xfe"),
        register(2),
        put(2, 1, b"a hat that is gone"),
        retrieve(2, 1),
    ]);
    drop(store);
    bench
}

/// Does something to the closed file by SQL, without the triggers' leave.
pub(in super::super) fn tamper(bench: &Bench, sql: &str) {
    let db = Connection::open(bench.path()).expect("closed before");
    db.execute_batch("DROP TRIGGER trail_stays; DROP TRIGGER trail_grows;")
        .expect("our tables");
    db.execute_batch("DROP TRIGGER trail_items_stay; PRAGMA foreign_keys = OFF;")
        .expect("our tables");
    db.execute_batch("PRAGMA ignore_check_constraints = ON")
        .expect("a pragma");
    db.execute_batch(sql).expect(sql);
}

/// It is refused with these words, and the file stays byte for byte.
pub(in super::super) fn refused_untouched(bench: &Bench, words: &str) {
    let before = fs::read(bench.path()).expect("readable");
    let said = bench.refused();
    assert!(said.contains(words), "{said:?} does not say {words:?}");
    assert!(
        said.starts_with(&bench.path().display().to_string()),
        "{said:?}"
    );
    assert_eq!(fs::read(bench.path()).expect("readable"), before, "{said}");
}

/// What somebody does to the file, and what is said of it.
const DAMAGES: &[(&str, &str)] = &[
    (
        "UPDATE lockers SET epoch = 9 WHERE number = 1",
        "row 1 of lockers does not have",
    ),
    (
        "UPDATE lockers SET hash = '$x' WHERE number = 2",
        "row 2 of lockers does not have",
    ),
    (
        "UPDATE lockers SET in_use = 0 WHERE number = 1",
        "row 1 of lockers",
    ),
    (
        "UPDATE lockers SET is_default = 1 WHERE number = 1",
        "row 1 of lockers",
    ),
    (
        "UPDATE lockers SET freed_at = freed_at + 1 WHERE number = 2",
        "row 2 of lockers",
    ),
    (
        "UPDATE lockers SET checksum = x'' WHERE number = 0",
        "row 0 of lockers",
    ),
    (
        "DELETE FROM lockers WHERE number = 0",
        "row 0 of lockers is gone",
    ),
    ("DELETE FROM lockers", "there are no lockers"),
    (
        "UPDATE items SET item = 'another' WHERE place = 0",
        "row 3 of items does not have",
    ),
    (
        "UPDATE items SET place = 2 WHERE place = 1",
        "row 4 of items",
    ),
    (
        "UPDATE items SET before = 2 WHERE place = 1",
        "row 4 of items",
    ),
    ("UPDATE items SET locker = 0", "row 3 of items"),
    ("UPDATE items SET id = 9 WHERE id = 4", "row 9 of items"),
    (
        "DELETE FROM items WHERE place = 1",
        "the trail says 2 items, and 1 are there",
    ),
    (
        "DELETE FROM items WHERE place = 0",
        "row 4 of items does not follow what was in locker 1",
    ),
    (
        "DELETE FROM items",
        "the trail says 2 items, and 0 are there",
    ),
    (
        "INSERT INTO items SELECT 99, locker, place, before, item, checksum FROM items WHERE id = 3",
        "row 99 of items does not have",
    ),
    (
        "UPDATE trail SET actor = 'nobody' WHERE id = 2",
        "row 2 of trail does not have",
    ),
    (
        "UPDATE trail SET stored = 1 WHERE id = 7",
        "row 7 of trail does not have",
    ),
    (
        "UPDATE trail SET stored = NULL WHERE id = 7",
        "row 7 of trail does not have",
    ),
    (
        "UPDATE trail SET own = x'00' WHERE id = 1",
        "row 1 of trail does not have",
    ),
    (
        "DELETE FROM trail WHERE id = 7",
        "the trail says 3 items, and 2 are there",
    ),
    (
        "UPDATE trail SET at = 0 WHERE id = 1",
        "row 1 of trail does not have",
    ),
    ("DELETE FROM trail WHERE id = 3", "row 3 of trail is gone"),
    ("DELETE FROM trail WHERE id = 1", "row 1 of trail is gone"),
    (
        "UPDATE trail SET id = id - 0x7fffffffffffffff - 1",
        "row 1 of trail is gone",
    ),
    (
        "UPDATE trail_items SET item = 'a cap'",
        "row 7 of trail does not have",
    ),
    ("DROP TABLE items", "no such table"),
];

#[test]
fn a_damaged_value_is_named_by_table_and_row() {
    for (sql, words) in DAMAGES {
        let bench = filled();
        tamper(&bench, sql);
        refused_untouched(&bench, words);
    }
}

#[test]
fn a_flipped_bit_in_any_table_is_found() {
    for value in [
        "an umbrella of mine",
        "a hat that is gone",
        "$argon2id$1",
        "192.0.2.1:4000",
    ] {
        let bench = filled();
        let mut bytes = fs::read(bench.path()).expect("readable");
        let found = bytes
            .windows(value.len())
            .rposition(|part| part == value.as_bytes());
        bytes[found.expect("stands there as it is")] ^= 0x04;
        fs::write(bench.path(), bytes).expect("written");
        refused_untouched(&bench, "does not have its checksum; it was left as it is");
    }
}

#[test]
fn a_file_that_was_cut_off_or_overwritten_is_refused() {
    let len = fs::metadata(filled().path()).expect("there").len();
    for cut in [1, 4095, 4096, 2 * 4096, len - 4096] {
        let bench = filled();
        let file = File::options()
            .write(true)
            .open(bench.path())
            .expect("there");
        file.set_len(len - cut).expect("cut");
        refused_untouched(&bench, "is damaged");
    }
    for page in 1..usize::try_from(len / 4096).expect("small") {
        let bench = filled();
        let mut bytes = fs::read(bench.path()).expect("readable");
        bytes[page * 4096..(page + 1) * 4096].fill(0xaa);
        fs::write(bench.path(), bytes).expect("written");
        refused_untouched(&bench, "is damaged");
    }
}
