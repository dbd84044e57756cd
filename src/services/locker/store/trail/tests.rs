//! The trail is append-only, and its chain shows what was changed all the same.

use rusqlite::Connection;

use super::super::Job;
use super::super::rows::tests::{filled, refused_untouched, tamper};
use super::super::tests::{Bench, register, reset};
use super::*;

#[test]
fn nothing_can_be_changed_in_the_trail() {
    let bench = filled();
    let db = Connection::open(bench.path()).expect("ours");
    for sql in [
        "UPDATE trail SET actor = 'x'",
        "DELETE FROM trail WHERE id = 7",
        "UPDATE trail_items SET item = 'x'",
        "DELETE FROM trail_items",
    ] {
        let said = db.execute_batch(sql).expect_err(sql).to_string();
        assert!(said.contains("the trail is append-only"), "{said}");
    }
}

#[test]
fn the_chain_is_verified_from_the_last_rows_on() {
    let bench = Bench::new();
    let (mut store, _) = bench.open();
    store.run(&[register(0)]);
    let limit = usize::try_from(LOCKER_TRAIL_CHECKED).expect("small");
    for _ in 0..2 {
        let resets: Vec<Job> = (0..limit).map(|_| reset(0)).collect();
        store.run(&resets);
    }
    drop(store);
    // Rows 1 to 2,002 are there; from 1,003 on they are verified.
    tamper(&bench, "UPDATE trail SET actor = 'x' WHERE id = 1002");
    drop(bench.open());
    let db = Connection::open(bench.path()).expect("ours");
    db.execute_batch("UPDATE trail SET actor = 'x' WHERE id = 1003")
        .expect("works");
    drop(db);
    refused_untouched(&bench, "row 1003 of trail does not have its checksum");
}
