//! Uploads begun, resumed, published, refused and swept, in real folders.

#[path = "crash/tests.rs"]
mod crash;
#[path = "faults/tests.rs"]
mod faults;

use std::fs;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use tempfile::TempDir;

use super::*;

/// A root that takes uploads.
pub(super) struct Place {
    folder: TempDir,
    pub(super) uploads: Uploads,
}

pub(super) const LIMITS: Limits = Limits {
    upload_max: 1000,
    partials_max: 3000,
    free_min: 0,
};

#[test]
fn the_folder_of_unfinished_uploads_is_not_taken_for_the_name() {
    let place = place();
    fs::remove_dir_all(place.path(".partial")).unwrap();
    let refusal = place.begin("x", 3, 0).unwrap_err().to_string();
    assert!(refusal.contains("start the server again"), "{refusal}");
}

fn place() -> Place {
    place_in(tempfile::tempdir().unwrap(), LIMITS)
}

pub(super) fn place_in(folder: TempDir, limits: Limits) -> Place {
    let root = Arc::new(Root::at(folder.path()).unwrap());
    let uploads = Uploads::open(root, limits).unwrap();
    Place { folder, uploads }
}

pub(super) fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}

impl Place {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Opens the root anew, as a server that starts.
    fn restart(self) -> Self {
        let limits = self.uploads.limits;
        drop(self.uploads);
        place_in(self.folder, limits)
    }

    pub(super) fn begin(&self, target: &str, size: u64, offset: u64) -> Result<Upload, Refusal> {
        let name = name(target);
        let wanted = Wanted {
            name: &name,
            size: Some(size),
            offset,
            owner: b"somebody",
            replace: false,
        };
        self.begin_as(&wanted)
    }

    /// Begins; a lock may outlive its file for a moment, where another test starts a process.
    fn begin_as(&self, wanted: &Wanted<'_>) -> Result<Upload, Refusal> {
        let limit = Instant::now() + Duration::from_secs(60);
        loop {
            match self.uploads.begin(wanted) {
                Err(Refusal::Uploading) if Instant::now() < limit => thread::yield_now(),
                done => return done,
            }
        }
    }

    /// The names in the folder of partials.
    fn partials(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path(".partial")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name != "lock").collect();
        names.sort();
        names
    }

    /// What is visible in the root.
    fn visible(&self) -> Vec<String> {
        let mut listing = self.uploads.root.list(None).unwrap();
        let entries = listing.next_batch().unwrap().into_iter();
        let names = entries.map(|entry| String::from_utf8(entry.name.into_vec()).unwrap());
        names.collect()
    }
}

fn write(upload: &Upload, bytes: &[u8]) {
    upload.file.write_all_at(bytes, upload.kept).unwrap();
}

#[test]
fn an_upload_is_invisible_until_it_is_published() {
    let place = place();
    let upload = place.begin("new", 5, 0).unwrap();
    assert_eq!(
        (upload.kept, upload.size(), upload.name()),
        (0, Some(5), &name("new"))
    );
    assert_eq!(upload.most, 5);
    write(&upload, b"whole");
    assert_eq!(place.visible(), Vec::<String>::new());
    assert_eq!(place.partials().len(), 1);
    let version = place.uploads.publish(upload).unwrap();
    assert_eq!(fs::read(place.path("new")).unwrap(), b"whole");
    assert_eq!(
        place.uploads.root.open(&name("new")).unwrap().version,
        version
    );
    assert_eq!(
        (place.visible(), place.partials()),
        (vec!["new".to_owned()], vec![])
    );
}

#[test]
fn an_empty_file_and_one_of_unknown_size_are_published() {
    let place = place();
    let upload = place.begin("empty", 0, 0).unwrap();
    place.uploads.publish(upload).unwrap();
    let target = name("any");
    let wanted = Wanted {
        name: &target,
        size: None,
        offset: 0,
        owner: b"",
        replace: false,
    };
    let upload = place.begin_as(&wanted).unwrap();
    assert_eq!((upload.most, upload.size()), (1000, None));
    write(&upload, b"some");
    place.uploads.publish(upload).unwrap();
    assert_eq!(place.visible(), ["any", "empty"]);
    assert_eq!(fs::read(place.path("any")).unwrap(), b"some");
}

#[test]
fn an_upload_goes_on_where_it_was_interrupted() {
    let place = place();
    let upload = place.begin("new", 6, 0).unwrap();
    write(&upload, b"abcd");
    assert_eq!(place.uploads.keep(upload), Ok(4));
    let place = place.restart();
    // No more than is there, and no more than was asked.
    let upload = place.begin("new", 6, 6).unwrap();
    assert_eq!(upload.kept, 4);
    drop(upload);
    let upload = place.begin("new", 6, 3).unwrap();
    assert_eq!(upload.kept, 3);
    assert_eq!(upload.file.metadata().unwrap().len(), 3);
    write(&upload, b"DEF");
    place.uploads.publish(upload).unwrap();
    assert_eq!(fs::read(place.path("new")).unwrap(), b"abcDEF");
}

#[test]
fn asking_for_nothing_of_it_starts_over() {
    let place = place();
    let upload = place.begin("new", 6, 0).unwrap();
    write(&upload, b"abcd");
    place.uploads.keep(upload).unwrap();
    let upload = place.begin("new", 6, 0).unwrap();
    assert_eq!(upload.kept, 0);
    assert_eq!(upload.file.metadata().unwrap().len(), 0);
    assert_eq!(place.partials().len(), 1);
    assert_eq!(place.uploads.keep(upload), Ok(0));
    assert_eq!(place.partials().len(), 0);
}

#[test]
fn only_the_same_owner_with_the_same_size_goes_on() {
    let place = place();
    let target = name("new");
    let wanted = Wanted {
        name: &target,
        size: Some(6),
        offset: 6,
        owner: b"somebody",
        replace: false,
    };
    let others = [
        Wanted {
            owner: b"another",
            ..wanted
        },
        Wanted {
            size: Some(7),
            ..wanted
        },
        Wanted {
            size: None,
            ..wanted
        },
    ];
    for other in others {
        let upload = place.begin_as(&wanted).unwrap();
        write(&upload, b"abcd");
        place.uploads.keep(upload).unwrap();
        let upload = place.begin_as(&other).unwrap();
        assert_eq!(upload.kept, 0);
        place.uploads.discard(upload);
        assert_eq!(place.partials().len(), 0);
    }
}

#[test]
fn after_a_loss_of_power_only_what_was_kept_is_trusted() {
    let mut place = place();
    let upload = place.begin("new", 10, 0).unwrap();
    write(&upload, b"abcd");
    place.uploads.keep(upload).unwrap();
    let upload = place.begin("new", 10, 10).unwrap();
    write(&upload, b"ef");
    drop(upload);
    // The server was killed, the machine was not: all is there.
    let upload = place.begin("new", 10, 10).unwrap();
    assert_eq!(upload.kept, 6);
    drop(upload);
    // The machine started anew.
    place.uploads.boot = "0".repeat(32);
    let upload = place.begin("new", 10, 10).unwrap();
    assert_eq!(upload.kept, 4);
    drop(upload);
    // What is taken back is no longer promised.
    drop(place.begin("new", 10, 2).unwrap());
    let upload = place.begin("new", 10, 10).unwrap();
    write(&upload, b"xyz");
    drop(upload);
    place.uploads.boot = "1".repeat(32);
    assert_eq!(place.begin("new", 10, 10).unwrap().kept, 2);
}

#[test]
fn one_upload_of_a_name_runs_at_a_time() {
    let place = place();
    let first = place.begin("new", 5, 0).unwrap();
    let again = || {
        let target = name("new");
        let wanted = Wanted {
            name: &target,
            size: Some(5),
            offset: 5,
            owner: b"somebody",
            replace: false,
        };
        place.uploads.begin(&wanted).map(|_| ())
    };
    assert_eq!(again(), Err(Refusal::Uploading));
    let other = place.begin("other", 5, 0).unwrap();
    // Another server with the same root sees it as well.
    let root = Arc::new(Root::at(place.folder.path()).unwrap());
    let another = Uploads::open(root, LIMITS).unwrap();
    assert_eq!(another.sweep(Duration::ZERO).unwrap().left, 2);
    write(&first, b"whole");
    place.uploads.publish(first).unwrap();
    assert_eq!(again(), Err(Refusal::Exists));
    place.uploads.discard(other);
}

#[test]
fn of_many_that_begin_at_once_one_wins() {
    let place = place();
    for round in 0..50 {
        let target = name(&format!("new{round}"));
        let wanted = Wanted {
            name: &target,
            size: Some(5),
            offset: 0,
            owner: b"",
            replace: false,
        };
        let begun: Vec<_> = thread::scope(|scope| {
            let tries: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| place.uploads.begin(&wanted)))
                .collect();
            tries.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(begun.iter().filter(|begun| begun.is_ok()).count(), 1);
        let refused = begun.iter().filter_map(|begun| begun.as_ref().err());
        assert!(refused.into_iter().all(|why| *why == Refusal::Uploading));
        begun
            .into_iter()
            .flatten()
            .for_each(|upload| place.uploads.discard(upload));
    }
}

#[test]
fn a_file_is_replaced_only_where_that_is_asked() {
    let place = place();
    fs::write(place.path("old"), "old").unwrap();
    assert_eq!(place.begin("old", 3, 0).unwrap_err(), Refusal::Exists);
    let target = name("old");
    let wanted = Wanted {
        name: &target,
        size: Some(3),
        offset: 0,
        owner: b"",
        replace: true,
    };
    let upload = place.begin_as(&wanted).unwrap();
    write(&upload, b"new");
    assert_eq!(fs::read(place.path("old")).unwrap(), b"old");
    place.uploads.publish(upload).unwrap();
    assert_eq!(fs::read(place.path("old")).unwrap(), b"new");

    // Somebody else puts a file there meanwhile.
    let upload = place.begin("late", 3, 0).unwrap();
    write(&upload, b"new");
    fs::write(place.path("late"), "mine").unwrap();
    assert_eq!(place.uploads.publish(upload), Err(Refusal::Exists));
    assert_eq!(fs::read(place.path("late")).unwrap(), b"mine");
    assert_eq!(place.partials().len(), 0);
}

#[test]
fn nothing_is_put_where_it_does_not_belong() {
    let place = place();
    fs::create_dir(place.path("folder")).unwrap();
    fs::write(place.path("file"), "x").unwrap();
    symlink("/tmp", place.path("out")).unwrap();
    symlink("file", place.path("link")).unwrap();
    let table = [
        ("folder", Refusal::IsFolder),
        ("none/new", Refusal::NoSuchFile),
        ("file/new", Refusal::NoFolder),
        ("out/new", Refusal::Link),
        ("link", Refusal::Link),
    ];
    for (target, why) in table {
        assert_eq!(place.begin(target, 3, 0).unwrap_err(), why, "{target}");
    }
    let upload = place.begin("folder/new", 3, 0).unwrap();
    write(&upload, b"new");
    // The folder becomes a link behind our back.
    fs::rename(place.path("folder"), place.path("moved")).unwrap();
    symlink("/tmp", place.path("folder")).unwrap();
    assert_eq!(place.uploads.publish(upload), Err(Refusal::Link));
    fs::remove_file(place.path("folder")).unwrap();
    fs::rename(place.path("moved"), place.path("folder")).unwrap();
    let upload = place.begin("folder/new", 3, 3).unwrap();
    assert_eq!(upload.kept, 3);
    place.uploads.publish(upload).unwrap();
    assert_eq!(fs::read(place.path("folder/new")).unwrap(), b"new");
}

#[test]
fn a_folder_of_partials_that_leads_elsewhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), folder.path().join(".partial")).unwrap();
    let root = Arc::new(Root::at(folder.path()).unwrap());
    let error = Uploads::open(root, LIMITS).unwrap_err();
    assert!(
        error.contains("cannot take uploads: a part of this name is a link"),
        "{error}"
    );
}

#[test]
fn more_or_less_than_announced_is_not_published() {
    let place = place();
    for (bytes, have) in [(&b"abc"[..], 3), (b"abcdef", 6)] {
        let upload = place.begin("new", 5, 5).unwrap();
        upload.file.write_all_at(bytes, 0).unwrap();
        let wrong = Refusal::WrongSize { have, declared: 5 };
        assert_eq!(place.uploads.publish(upload), Err(wrong));
        assert!(place.visible().is_empty());
    }
    // What came too much is not kept.
    assert_eq!(place.begin("new", 5, 5).unwrap().kept, 5);
}
