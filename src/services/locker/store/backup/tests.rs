//! Copies of a database in use.

use std::fs;

use super::super::rows::tests::filled;
use super::super::tests::{Bench, one};
use super::super::{Job, Outcome};
use super::*;

#[test]
fn a_backup_is_whole_and_never_replaces_a_file() {
    let bench = filled();
    let (mut store, lockers) = bench.open();
    let path = bench.beside("copy.db");
    let back_up = |path: &Path| Job::Backup {
        path: path.to_owned(),
    };
    let Outcome::BackedUp { bytes } = one(&mut store, back_up(&path)) else {
        panic!("no backup");
    };
    assert_eq!(fs::metadata(&path).expect("there").len(), bytes);
    let before = fs::read(&path).expect("there");
    let folder = bench.folder.path();
    for (taken, words) in [
        (&path, "is there already"),
        (&bench.path(), "is a name of the database's own files"),
        (
            &bench.beside("lockers.db-shm"),
            "is a name of the database's own files",
        ),
        (&folder.join("x".repeat(300)), "file name too long"),
        (&folder.join("nowhere/copy.db"), "is not there"),
        (&folder.join(".."), "is not the name of a file"),
    ] {
        match one(&mut store, back_up(taken)) {
            Outcome::Failed(said) => assert!(said.contains(words), "{said}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fs::read(&path).expect("there"), before);
    drop(store);
    let restored = Bench::new();
    fs::copy(&path, restored.path()).expect("copied");
    assert_eq!(restored.open().1, lockers);
}
