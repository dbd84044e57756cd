//! Limits reached, leftovers swept, disks that are full.

use super::*;
use crate::config::limits::PARTIAL_AGE_MAX;

#[test]
fn limits_hold_when_an_upload_begins_and_while_it_runs() {
    let place = place();
    let large = Refusal::TooLarge { max: 1000 };
    assert_eq!(place.begin("a", 1001, 0).unwrap_err(), large);
    let running: Vec<_> = ["a", "b", "c"]
        .map(|name| place.begin(name, 900, 0).unwrap())
        .into();
    // What runs counts with all that it announced, what was left with what it has.
    assert_eq!(
        place.begin("d", 301, 0).unwrap_err(),
        Refusal::TooManyPartials
    );
    for upload in running {
        write(&upload, b"x");
        assert_eq!(place.uploads.check_room(&upload), Ok(()));
        assert_eq!(place.uploads.keep(upload), Ok(1));
    }
    let upload = place.begin("d", 1000, 0).unwrap();
    place.uploads.discard(upload);

    let target = name("any");
    let wanted = Wanted {
        name: &target,
        size: None,
        offset: 0,
        owner: b"",
        replace: false,
    };
    let upload = place.begin_as(&wanted).unwrap();
    upload.file.set_len(1000).unwrap();
    assert_eq!(place.uploads.check_room(&upload), Ok(()));
    upload.file.set_len(1001).unwrap();
    assert_eq!(place.uploads.check_room(&upload), Err(large));
    place.uploads.discard(upload);
}

#[test]
fn so_much_of_the_disk_stays_free() {
    let limits = Limits {
        free_min: u64::MAX / 2,
        ..LIMITS
    };
    let place = place_in(tempfile::tempdir().unwrap(), limits);
    assert_eq!(place.begin("a", 1, 0).unwrap_err(), Refusal::NoRoom);
    assert!(place.partials().is_empty());
    // It became less while the upload was running.
    let mut place = super::place();
    let upload = place.begin("a", 1, 0).unwrap();
    place.uploads.limits = limits;
    assert_eq!(place.uploads.check_room(&upload), Err(Refusal::NoRoom));
}

#[test]
fn leftovers_are_swept_by_age_and_nothing_else_is() {
    let place = place();
    for (name, age) in [("old", 2 * 86_400), ("young", 60)] {
        let upload = place.begin(name, 9, 0).unwrap();
        write(&upload, b"some");
        let now = upload.file.metadata().unwrap().modified().unwrap();
        upload
            .file
            .set_modified(now - Duration::from_secs(age))
            .unwrap();
        place.uploads.keep(upload).unwrap();
    }
    let runs = place.begin("runs", 9, 0).unwrap();
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    runs.file.set_modified(long_ago).unwrap();
    fs::write(place.path(".partial/notes"), "not ours").unwrap();
    fs::write(place.path("file"), "published").unwrap();
    let file = File::options()
        .write(true)
        .open(place.path("file"))
        .unwrap();
    file.set_modified(long_ago).unwrap();

    let swept = place.uploads.sweep(PARTIAL_AGE_MAX).unwrap();
    let expected = Swept {
        removed: 1,
        bytes: 4,
        left: 2,
    };
    assert_eq!(swept, expected);
    assert!(place.path("file").exists() && place.path(".partial/notes").exists());
    assert_eq!(place.begin("young", 9, 9).unwrap().kept, 4);
    assert_eq!(place.begin("old", 9, 9).unwrap().kept, 0);
    drop(runs);
}

#[test]
fn a_leftover_from_the_future_is_swept_too() {
    let place = place();
    let upload = place.begin("future", 9, 0).unwrap();
    write(&upload, b"some");
    let now = upload.file.metadata().unwrap().modified().unwrap();
    upload.file.set_modified(now + 2 * PARTIAL_AGE_MAX).unwrap();
    place.uploads.keep(upload).unwrap();
    assert_eq!(place.uploads.sweep(PARTIAL_AGE_MAX).unwrap().removed, 1);
}

#[test]
fn a_name_that_a_crash_brought_back_damages_no_published_file() {
    let place = place();
    let upload = place.begin("new", 5, 0).unwrap();
    write(&upload, b"whole");
    let partial = place.partials().remove(0);
    place.uploads.publish(upload).unwrap();
    // As after a loss of power where only the new name had reached the disk.
    fs::hard_link(place.path("new"), place.path(".partial").join(partial)).unwrap();
    fs::rename(place.path("new"), place.path("other")).unwrap();
    let upload = place.begin("new", 5, 2).unwrap();
    assert_eq!(upload.kept, 0);
    assert_eq!(fs::read(place.path("other")).unwrap(), b"whole");
}

/// Writes until it fails.
fn fill(upload: &Upload) -> Refusal {
    let (mut at, block) = (upload.kept, [7; 4096]);
    loop {
        match upload.file.write_at(&block, at) {
            Ok(written) => at += written as u64,
            Err(error) => return error.into(),
        }
    }
}

#[test]
fn a_full_disk_is_named_and_the_rest_is_kept() {
    let place = place_in(tempfile::tempdir().unwrap(), LIMITS);
    let folder = place.path("disk");
    fs::create_dir(&folder).unwrap();
    let Some(disk) = small_disk(&folder) else {
        log::warn!("skipped: mounting a small disk needs root");
        return;
    };
    // A file below the root on another file system can't be published, so it is refused at once.
    assert_eq!(
        place.begin("disk/new", 5, 0).unwrap_err(),
        Refusal::OtherFileSystem
    );

    let root = Arc::new(Root::at(&folder).unwrap());
    let limits = Limits {
        upload_max: u64::MAX,
        partials_max: u64::MAX,
        free_min: 0,
    };
    let uploads = Uploads::open(root, limits).unwrap();
    let target = name("new");
    let wanted = Wanted {
        name: &target,
        size: None,
        offset: u64::MAX,
        owner: b"",
        replace: false,
    };
    let upload = uploads.begin(&wanted).unwrap();
    let full = fill(&upload);
    assert!(full == Refusal::DiskFull && full.keeps_partial());
    let kept = uploads.keep(upload).unwrap();
    assert!(kept > 0);
    let sized = Wanted {
        size: Some(1 << 20),
        ..wanted
    };
    assert_eq!(uploads.begin(&sized).unwrap_err(), Refusal::NoRoom);
    drop(uploads);

    assert!(mount(&["-o", "remount,ro"], &folder));
    let root = Arc::new(Root::at(&folder).unwrap());
    let error = Uploads::open(root, LIMITS).unwrap_err();
    assert!(
        error.ends_with("cannot take uploads: the disk is read-only"),
        "{error}"
    );
    drop(disk);
}

fn mount(options: &[&str], folder: &Path) -> bool {
    let done = std::process::Command::new("mount")
        .args(options)
        .arg(folder)
        .output();
    done.is_ok_and(|done| done.status.success())
}

fn small_disk(folder: &Path) -> Option<Disk> {
    let mounted = mount(&["-t", "tmpfs", "-o", "size=64k", "none"], folder);
    mounted.then(|| Disk(folder.to_owned()))
}

/// Given back when it is dropped.
struct Disk(PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
    }
}
