//! Files in the place of the database that are not what they should be: the server ends with status
//! 1 and a sentence that names the file, which stays as it is.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use rusqlite::Connection;

use crate::support::have;
use crate::support::lockers::{Data, Kiosk, filled};
use crate::support::refusal::refused;
use crate::support::server::Builder;

/// What of a file must not change.
fn seen(path: &Path) -> (Vec<u8>, u64, u32, i64) {
    let metadata = fs::symlink_metadata(path).unwrap();
    let bytes = if metadata.is_file() {
        fs::read(path).unwrap()
    } else {
        Vec::new()
    };
    (
        bytes,
        metadata.ino(),
        metadata.mode(),
        metadata.mtime_nsec(),
    )
}

/// The database is refused in these words, twice, and nothing but the lock is new.
#[track_caller]
fn assert_refused(data: &Data, words: &str) {
    assert_refused_by(|| data.server(""), data, words);
}

#[track_caller]
fn assert_refused_by(server: impl Fn() -> Builder, data: &Data, words: &str) {
    let (before, mut names) = (seen(&data.database()), data.names());
    names.push("lockers.lock".to_owned());
    names.sort();
    names.dedup();
    for _ in 0..2 {
        let refusal = refused(&server());
        refusal.expect(1, &["error: locker: ", "lockers.db: ", words]);
        let errors = refusal.stderr.lines().filter(|line| line.contains("rror"));
        assert_eq!(errors.count(), 1, "{refusal:?}");
        assert_eq!(seen(&data.database()), before, "{words}");
        // SQLite looks for changes in the log, and makes an empty one where there is none.
        let log = fs::metadata(data.file("lockers.db-wal"));
        assert_eq!(log.map_or(0, |log| log.len()), 0, "{words}");
        let mut left = data.names();
        left.retain(|name| name != "lockers.db-wal");
        assert_eq!(left, names, "{words}");
    }
}

/// Lockers with something in them, then changed by this SQL as no program of ours does it.
fn tampered(sql: &str) -> Data {
    let (data, _) = filled();
    let db = Connection::open(data.database()).unwrap();
    db.execute_batch(sql).unwrap();
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    db.close().unwrap();
    data
}

/// Lockers with something in them, and a bit of the byte behind this text turned over in the file.
fn flipped(text: &[u8]) -> Data {
    let (data, _) = filled();
    let mut bytes = fs::read(data.database()).unwrap();
    let places: Vec<_> = (0..bytes.len())
        .filter(|at| bytes[*at..].starts_with(text))
        .collect();
    assert!(!places.is_empty(), "{text:?}");
    for at in places {
        bytes[at + text.len() - 1] ^= 1;
    }
    fs::write(data.database(), bytes).unwrap();
    data
}

#[test]
fn a_flipped_bit_is_found_and_named() {
    assert_refused(&flipped(b"a lamp"), "is damaged: row 3 of items");
    assert_refused(
        &flipped(b"$argon2id$v=19$m=8"),
        "is damaged: row 0 of lockers",
    );
    // An action of the trail.
    assert_refused(&flipped(b"register"), "is damaged: ");
    assert_refused(&flipped(b"4 lockers"), "is damaged: row 1 of trail");
    // The name of a table.
    assert_refused(&flipped(b"CREATE TABLE items"), "is damaged");
}

#[test]
fn a_changed_row_is_found_and_named() {
    let free = "UPDATE lockers SET in_use = 0 WHERE number = 0";
    assert_refused(
        &tampered(free),
        "row 0 of lockers does not have its checksum",
    );
    let gone = "DELETE FROM items WHERE locker = 3 AND place = 1";
    assert_refused(&tampered(gone), "the trail says 3 items, and 2 are there");
    let gone = "DELETE FROM items WHERE locker = 3 AND place = 0";
    let words = "row 6 of items does not follow what was in locker 3";
    assert_refused(&tampered(gone), words);
    let less = "DELETE FROM lockers WHERE number = 2";
    assert_refused(&tampered(less), "is damaged");
    let trail = "DROP TRIGGER trail_stays; UPDATE trail SET actor = 'nobody' WHERE id = 3";
    assert_refused(&tampered(trail), "row 3 of trail");
    let trail = "DROP TRIGGER trail_grows; DELETE FROM trail WHERE id = 4";
    assert_refused(&tampered(trail), "is damaged");
}

#[test]
fn a_file_of_another_kind_is_refused_and_left() {
    let newer = tampered("PRAGMA user_version = 4");
    assert_refused(
        &newer,
        "was written by a newer switchboard (version 4, this one knows 3)",
    );
    let foreign = Data::new();
    fs::create_dir(foreign.folder()).unwrap();
    let db = Connection::open(foreign.database()).unwrap();
    db.execute_batch("CREATE TABLE cats (name TEXT); INSERT INTO cats VALUES ('Tom')")
        .unwrap();
    db.close().unwrap();
    assert_refused(&foreign, "is the database of another program");
    for garbage in [&b"x"[..], &[0xff; 20_000]] {
        fs::write(foreign.database(), garbage).unwrap();
        assert_refused(&foreign, "is not a database");
    }
    let (cut, _) = filled();
    let bytes = fs::read(cut.database()).unwrap();
    fs::write(cut.database(), &bytes[..bytes.len() / 2]).unwrap();
    assert_refused(&cut, "is damaged");
    fs::remove_file(foreign.database()).unwrap();
    fs::create_dir(foreign.database()).unwrap();
    assert_refused(&foreign, "is a folder, not a file");
    fs::remove_dir(foreign.database()).unwrap();
    symlink(cut.database(), foreign.database()).unwrap();
    assert_refused(&foreign, "is a link, which is not followed");
    assert_eq!(fs::read(cut.database()).unwrap(), &bytes[..bytes.len() / 2]);
}

#[test]
fn what_the_log_of_a_lost_database_holds_is_not_put_into_a_new_one() {
    let (data, _) = filled();
    let mut server = data.server("").start();
    let mut kiosk = Kiosk::unix(&server).unwrap();
    assert_eq!(kiosk.last("register 1 pw"), "ok locker 1 is yours");
    server.signal(rustix::process::Signal::KILL);
    server.wait();
    fs::remove_file(data.database()).unwrap();
    let log = seen(&data.file("lockers.db-wal"));
    let words = [
        "error: locker: ",
        "lockers.db-wal is there without its database",
    ];
    refused(&data.server("")).expect(1, &words);
    assert_eq!(seen(&data.file("lockers.db-wal")), log);
    assert!(!data.database().exists());
}

#[test]
fn a_read_only_file_or_folder_is_refused() {
    if !have("setpriv") {
        return;
    }
    let (data, _) = filled();
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    // No mode keeps root from writing, unless it gives up what makes it more than a user.
    let root = fs::metadata(data.folder()).unwrap().uid() == 0;
    let without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
    let server = || {
        let server = data.server("");
        if root {
            server.wrapped(&without)
        } else {
            server
        }
    };
    mode(&data.database(), 0o400);
    assert_refused_by(server, &data, "no permission to read and write it");
    mode(&data.database(), 0o600);
    mode(&data.folder(), 0o500);
    let before = seen(&data.database());
    let words = format!("error: {}: permission denied", data.folder().display());
    refused(&server()).expect(1, &[&words]);
    assert_eq!(seen(&data.database()), before);
    mode(&data.folder(), 0o700);
    server().start().stop();
}

#[test]
fn a_second_server_on_the_same_folder_says_who_has_it() {
    let (data, mut known) = filled();
    let server = data.server("").start();
    let mut kiosk = Kiosk::unix(&server).unwrap();
    for round in 0..5 {
        let second = Builder::new(&[
            "--data",
            data.folder().to_str().unwrap(),
            "locker=tcp://127.0.0.1:0",
        ]);
        let words = ["error: locker: ", "lockers.db: another server uses it"];
        refused(&second).expect(1, &words);
        known.do_it(&mut kiosk, &format!("store 0 old {round}"));
    }
    // Neither may another program; the lock of SQLite has outlived all those tries.
    let other = Connection::open(data.database()).unwrap();
    let read = other.query_row("SELECT count(*) FROM lockers", (), |row| {
        row.get::<_, i64>(0)
    });
    assert!(read.is_err(), "{read:?}");
    drop((other, kiosk));
    server.stop();
    let server = data.server("").start();
    known.check(&server, "after other servers");
    server.stop();
}

/// The lockers are opened before the ports: where a port is taken they are closed in order again.
#[test]
fn a_start_that_fails_later_leaves_the_database_in_order() {
    let (data, _) = filled();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = data.database().parent().unwrap().display().to_string();
    let busy = format!("echo=tcp://{}", taken.local_addr().unwrap());
    let words = ["--data", &folder, "locker=unix:DIR/l.sock", &busy];
    let refusal = refused(&Builder::new(&words));
    refusal.expect(1, &["error: echo=tcp://", "address already in use"]);
    assert!(
        !data.names().contains(&"lockers.db-wal".to_owned()),
        "{:?}",
        data.names()
    );
}
