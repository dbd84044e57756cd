//! Opening: first starts, files of all kinds that are refused, modes, an unclean end.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use rusqlite::Connection;

use super::super::rows::tests::{filled, refused_untouched};
use super::super::tests::{Bench, mode, one, register};
use super::super::{Job, Place, Store};
use std::path::Path;

#[test]
fn all_files_are_the_servers_own() {
    let bench = Bench::new();
    let (mut store, _) = bench.open();
    one(&mut store, register(0));
    for name in ["lockers.db", "lockers.db-wal", "lockers.lock"] {
        assert_eq!(mode(&bench.beside(name)), 0o600, "{name}");
    }
    assert!(!bench.beside("lockers.db-shm").exists());
    let copy = bench.beside("copy.db");
    one(&mut store, Job::Backup { path: copy.clone() });
    assert_eq!(mode(&copy), 0o600);
    drop(store);
    fs::set_permissions(bench.path(), fs::Permissions::from_mode(0o644)).expect("ours");
    drop(bench.open());
    assert_eq!(mode(&bench.path()), 0o600);
    let mut names: Vec<_> = fs::read_dir(bench.folder.path())
        .expect("readable")
        .map(|entry| {
            entry
                .expect("named")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    names.sort();
    assert_eq!(names, ["copy.db", "lockers.db", "lockers.lock"]);
}

#[test]
fn a_database_is_opened_once() {
    let bench = Bench::new();
    let (mut store, _) = bench.open();
    assert!(bench.refused().ends_with("another server uses it"));
    one(&mut store, register(0));
    // Another program is kept away by SQLite's own lock, also after the second start above.
    let other = Connection::open(bench.path()).expect("the file opens");
    let read = other.query_row("SELECT count(*) FROM lockers", (), |row| {
        row.get::<_, i64>(0)
    });
    assert!(read.is_err(), "{read:?}");
    drop((other, store));
    let other = Connection::open(bench.path()).expect("opens");
    other.execute_batch("BEGIN EXCLUSIVE").expect("free");
    assert!(bench.refused().ends_with("another program uses it"));
    other.execute_batch("ROLLBACK").expect("open");
    drop(other);
    assert!(bench.open().1[0].in_use);
}

#[test]
fn what_is_no_database_of_ours_is_refused_and_left() {
    let bench = Bench::new();
    fs::create_dir(bench.path()).expect("new");
    assert!(bench.refused().ends_with("is a folder, not a file"));
    fs::remove_dir(bench.path()).expect("empty");
    symlink("elsewhere.db", bench.path()).expect("new");
    assert!(
        bench
            .refused()
            .ends_with("is a link, which is not followed")
    );
    assert!(!bench.beside("elsewhere.db").exists());
    fs::remove_file(bench.path()).expect("there");
    for garbage in [
        &b"x"[..],
        &[0; 5000],
        b"SQLite format 3\0 and then something else",
    ] {
        fs::write(bench.path(), garbage).expect("written");
        refused_untouched(&bench, "is not a database");
    }
    fs::remove_file(bench.path()).expect("there");
    let other = Connection::open(bench.path()).expect("new");
    other
        .execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)")
        .expect("works");
    refused_untouched(&bench, "is the database of another program");
    other
        .execute_batch("PRAGMA application_id = 7")
        .expect("works");
    drop(other);
    refused_untouched(&bench, "is the database of another program");
}

#[test]
fn a_file_without_contents_is_a_new_database() {
    let bench = Bench::new();
    File::create(bench.path()).expect("new");
    let empty = Connection::open(bench.beside("empty.db")).expect("new");
    empty.execute_batch("VACUUM").expect("works");
    drop(empty);
    assert_eq!(bench.open().1.len(), 16);
    fs::rename(bench.beside("empty.db"), bench.path()).expect("there");
    assert_eq!(bench.open().1.len(), 16);
}

#[test]
fn what_a_killed_first_start_left_is_no_hindrance() {
    let bench = Bench::new();
    for left in ["", "-journal", "-wal"] {
        let path = bench.beside(&format!("lockers.db.new{left}"));
        fs::write(path, b"half of it").expect("new");
    }
    assert_eq!(bench.open().1.len(), 16);
    fs::remove_file(bench.path()).expect("there");
    fs::write(
        bench.beside("lockers.db-wal"),
        b"of a database that is gone",
    )
    .expect("new");
    assert!(bench.refused().contains("is there without its database"));
    assert!(!bench.path().exists());
}

#[test]
fn a_folder_that_is_not_there_or_not_ours_is_said() {
    let bench = Bench::new();
    let place = Place::File(bench.beside("nowhere").join("lockers.db"));
    let said = Store::open(place, None, &mut || None)
        .map(|_| ())
        .expect_err("no folder");
    assert!(said.ends_with("nowhere: is not there"), "{said}");
    drop(bench.open());
    let (folder, path) = (bench.folder.path().to_owned(), bench.path());
    let may = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    may(&folder, 0o755).expect("ours");
    // A user without privileges, on a thread of its own where the tests run as root.
    let said = std::thread::spawn(move || {
        if rustix::process::geteuid().is_root() {
            let nobody = rustix::process::Uid::from_raw(65_534);
            rustix::thread::set_thread_uid(nobody).expect("root may");
        } else {
            may(&folder.join("lockers.lock"), 0o400).expect("ours");
        }
        Store::open(Place::File(path), None, &mut || None).map(|_| ())
    });
    let said = said.join().expect("no panic").expect_err("no permission");
    assert!(
        said.contains("no permission to read and write it"),
        "{said}"
    );
}

#[test]
fn the_log_of_an_unclean_end_is_read() {
    let bench = filled();
    let (mut store, _) = bench.open();
    one(&mut store, register(3));
    let log = fs::read(bench.beside("lockers.db-wal")).expect("there while it is open");
    let file = fs::read(bench.path()).expect("readable");
    drop(store);
    // As a kill leaves it; and once more with a last transaction that is not whole.
    for cut in [0, 100] {
        fs::write(bench.path(), &file).expect("written");
        fs::write(bench.beside("lockers.db-wal"), &log[..log.len() - cut]).expect("written");
        let (store, lockers) = bench.open();
        assert_eq!(lockers[3].in_use, cut == 0);
        drop(store);
    }
}

#[test]
fn no_database_is_opened_for_temporary_tables() {
    let bench = Bench::new();
    drop(bench.open());
    let (base, _) = super::open(&bench.path(), 0).expect("ours");
    let query = "SELECT group_concat(name) FROM pragma_database_list";
    let open: String = base
        .db
        .query_row(query, (), |row| row.get(0))
        .expect("answered");
    assert_eq!(open, "main");
}
