//! Every refusal of opening, races against a folder that is swapped, listings.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, RenameFlags, mknodat, renameat_with};
use rustix::process::{Uid, geteuid};
use rustix::thread::set_thread_res_uid;
use tempfile::TempDir;

use super::*;
use crate::config::limits::LIST_BATCH;

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}

fn refusal(root: &Root, text: &str) -> Refusal {
    root.open(&name(text))
        .map(|opened| opened.version)
        .unwrap_err()
}

/// A folder with a root in it, and something beside the root.
fn place() -> (TempDir, PathBuf, Root) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("root");
    fs::create_dir_all(path.join("folder")).unwrap();
    fs::write(path.join("a"), "inside").unwrap();
    fs::write(path.join("folder/b"), "deeper").unwrap();
    fs::write(place.path().join("secret"), "outside").unwrap();
    let root = Root::at(&path).unwrap();
    (place, path, root)
}

fn content(opened: &Opened) -> Vec<u8> {
    let mut buffer = [0; 100];
    let read = opened.file.read_at(&mut buffer, 0).unwrap();
    buffer[..read].to_vec()
}

#[test]
fn regular_files_are_opened_with_their_version() {
    let (_place, path, root) = place();
    let opened = root.open(&name("a")).unwrap();
    assert_eq!(content(&opened), b"inside");
    assert_eq!(
        opened.version,
        Version::of(&fs::metadata(path.join("a")).unwrap())
    );
    assert_eq!(
        Version::parse(opened.version.to_string().as_bytes()),
        Some(opened.version)
    );
    assert_eq!(content(&root.open(&name("folder/b")).unwrap()), b"deeper");
    let flags = rustix::fs::fcntl_getfl(&opened.file).unwrap();
    assert!(!flags.intersects(OFlags::NONBLOCK | OFlags::WRONLY | OFlags::RDWR));
}

#[test]
fn a_root_that_cannot_be_served_is_named() {
    let (place, path, _root) = place();
    let missing = place.path().join("missing");
    let shown = missing.display();
    let error = Root::at(&missing).unwrap_err();
    assert_eq!(error, format!("{shown}: no such file or directory"));
    let error = Root::at(&path.join("a")).unwrap_err();
    assert!(error.ends_with("/a: not a directory"), "{error}");
    assert!(without_openat2(Errno::NOSYS).contains("Linux 5.6"));
    assert!(without_openat2(Errno::PERM).contains("openat2"));
}

#[test]
fn a_root_stays_the_same_folder_when_its_path_is_moved() {
    let (place, path, root) = place();
    fs::rename(&path, place.path().join("moved")).unwrap();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("a"), "another").unwrap();
    assert_eq!(content(&root.open(&name("a")).unwrap()), b"inside");
}

#[test]
fn what_is_not_there_or_no_file_is_refused() {
    let (_place, _path, root) = place();
    assert_eq!(refusal(&root, "b"), Refusal::NoSuchFile);
    assert_eq!(refusal(&root, "none/b"), Refusal::NoSuchFile);
    assert_eq!(refusal(&root, "A"), Refusal::NoSuchFile);
    assert_eq!(refusal(&root, "folder"), Refusal::IsFolder);
    assert_eq!(refusal(&root, "a/b"), Refusal::NoFolder);
}

#[test]
fn links_are_refused_wherever_they_lead() {
    let (place, path, root) = place();
    let secret = place.path().join("secret");
    let links = [
        ("inner", "a"),
        ("up", "../secret"),
        ("absolute", secret.to_str().unwrap()),
        ("magic", "/proc/self/root"),
        ("dot", "."),
        ("itself", "itself"),
        ("dangling", "nothing"),
    ];
    for (link, to) in links {
        symlink(to, path.join(link)).unwrap();
        assert_eq!(refusal(&root, link), Refusal::Link, "{link}");
    }
    assert_eq!(refusal(&root, "dot/a"), Refusal::Link);
    assert_eq!(refusal(&root, "magic/etc/passwd"), Refusal::Link);
    assert_eq!(refusal(&root, "itself/a"), Refusal::Link);
    symlink("..", path.join("folder/above")).unwrap();
    assert_eq!(refusal(&root, "folder/above/a"), Refusal::Link);
    assert_eq!(root.list(Some(&name("dot"))).unwrap_err(), Refusal::Link);
}

#[test]
fn magic_links_of_the_system_are_refused() {
    let root = Root::at(Path::new("/proc/self")).unwrap();
    for link in ["root/etc/passwd", "cwd/Cargo.toml", "exe", "fd/0"] {
        assert_eq!(refusal(&root, link), Refusal::Link, "{link}");
    }
}

#[test]
fn special_files_are_refused_at_once() {
    let (_place, path, root) = place();
    for (special, kind) in [("pipe", FileType::Fifo), ("socket", FileType::Socket)] {
        mknodat(CWD, path.join(special), kind, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let began = Instant::now();
        assert_eq!(refusal(&root, special), Refusal::NotRegular, "{special}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }
    let devices = Root::at(Path::new("/dev")).unwrap();
    for device in ["zero", "null", "tty"] {
        // Where there is no terminal, tty can't be opened at all.
        assert_eq!(refusal(&devices, device), Refusal::NotRegular, "{device}");
    }
}

#[test]
fn what_the_server_may_not_read_is_refused() {
    let (_place, path, root) = place();
    let rights = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    rights(&path, 0o755);
    rights(&path.join("a"), 0o000);
    rights(&path.join("folder"), 0o000);
    let refused = thread::spawn(move || {
        // Root may read everything, so this one thread becomes somebody else.
        if geteuid().is_root() {
            set_thread_res_uid(None, Uid::from_raw(65_534), None).unwrap();
        }
        let listed = root.list(Some(&name("folder"))).unwrap_err();
        [refusal(&root, "a"), refusal(&root, "folder/b"), listed]
    });
    let refused = refused.join().unwrap();
    assert!(
        refused.iter().all(|why| *why == Refusal::NoPermission),
        "{refused:?}"
    );
    rights(&path.join("folder"), 0o755);
}

#[test]
fn a_folder_swapped_with_a_link_never_leads_outside() {
    const SWAPS: u32 = 100_000;
    let (place, path, root) = place();
    let outside = place.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("b"), "outside").unwrap();
    symlink(&outside, path.join("link")).unwrap();
    let (both_seen, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let limit = Instant::now() + Duration::from_secs(120);
    let (opens, inside) = thread::scope(|scope| {
        scope.spawn(|| {
            let (one, other) = (path.join("folder"), path.join("link"));
            let mut swaps = 0;
            while (swaps < SWAPS || !both_seen.load(Ordering::Acquire)) && Instant::now() < limit {
                renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
                swaps += 1;
            }
            stop.store(swaps >= SWAPS, Ordering::Release);
        });
        let (mut opens, mut inside) = (0_u32, 0_u32);
        while !stop.load(Ordering::Acquire) && Instant::now() < limit {
            both_seen.store(inside > 0 && inside < opens, Ordering::Release);
            opens += 1;
            match root.open(&name("folder/b")) {
                Ok(opened) => {
                    assert_eq!(content(&opened), b"deeper");
                    inside += 1;
                }
                Err(why) => assert!(matches!(why, Refusal::Link | Refusal::Moving), "{why}"),
            }
            if let Ok(mut listing) = root.list(Some(&name("folder"))) {
                let entries = listing.next_batch().unwrap();
                assert!(
                    entries.iter().all(|entry| entry.size == 6),
                    "that of the inner one"
                );
            }
        }
        (opens, inside)
    });
    assert!(
        stop.load(Ordering::Acquire),
        "100,000 swaps took more than two minutes"
    );
    assert!(
        inside > 0 && inside < opens,
        "{inside} of {opens} found the folder"
    );
}

#[test]
fn a_change_while_a_file_is_read_is_noticed() {
    let (_place, path, root) = place();
    let at = path.join("a");
    let changes: [&dyn Fn(); 4] = [
        &|| fs::write(&at, "other!").unwrap(),
        &|| fs::write(&at, "longer than before").unwrap(),
        &|| {
            fs::OpenOptions::new()
                .write(true)
                .open(&at)
                .unwrap()
                .set_len(3)
                .unwrap()
        },
        &|| {
            // Rewritten, and the time set back: only the time of the last change of all tells.
            let file = fs::OpenOptions::new().write(true).open(&at).unwrap();
            let before = file.metadata().unwrap().modified().unwrap();
            file.write_all_at(b"forged", 0).unwrap();
            file.set_modified(before).unwrap();
        },
    ];
    for change in changes {
        fs::write(&at, "inside").unwrap();
        let opened = root.open(&name("a")).unwrap();
        assert_eq!(opened.still_same(), Ok(()));
        later_than(&opened.file);
        change();
        assert_eq!(opened.still_same(), Err(Refusal::Changed));
    }
}

/// Waits until the file system's clock has moved on, so that a change must show.
fn later_than(file: &File) {
    use std::os::unix::fs::MetadataExt as _;
    let (probe, before) = (tempfile::tempfile().unwrap(), file.metadata().unwrap());
    let time = |of: &fs::Metadata| (of.ctime(), of.ctime_nsec());
    while time(&probe.metadata().unwrap()) <= time(&before) {
        probe.set_len(0).unwrap();
        thread::yield_now();
    }
}

#[test]
fn a_file_replaced_while_it_is_read_is_read_to_its_end() {
    let (_place, path, root) = place();
    let opened = root.open(&name("a")).unwrap();
    later_than(&opened.file);
    fs::write(path.join("new"), "newest").unwrap();
    fs::rename(path.join("new"), path.join("a")).unwrap();
    assert_eq!(opened.still_same(), Ok(()));
    assert_eq!(content(&opened), b"inside");
    assert_ne!(root.open(&name("a")).unwrap().version, opened.version);
}

/// All entries: name with `/` behind a folder, and size.
fn listed(root: &Root, folder: Option<&str>) -> Vec<(String, u64)> {
    let folder = folder.map(name);
    let mut listing = root.list(folder.as_ref()).unwrap();
    let mut all = Vec::new();
    loop {
        let batch = listing.next_batch().unwrap();
        if batch.is_empty() {
            return all;
        }
        assert!(batch.len() <= LIST_BATCH);
        for entry in batch {
            let mark = if entry.kind == Kind::Folder { "/" } else { "" };
            let name = String::from_utf8_lossy(&entry.name).into_owned();
            all.push((name + mark, entry.size));
        }
    }
}

#[test]
fn a_folder_is_listed_in_order_without_what_nobody_could_fetch() {
    let (_place, path, root) = place();
    for other in [".hidden", "-dash", "new\nline", "B", "a b", "ä"] {
        fs::write(path.join(other), "x").unwrap();
    }
    symlink("a", path.join("link")).unwrap();
    mknodat(CWD, path.join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let expected = [("B", 1), ("a", 6), ("a b", 1), ("folder/", 0), ("ä", 1)];
    let expected = expected.map(|(name, size)| (name.to_owned(), size));
    assert_eq!(listed(&root, None), expected);
    assert_eq!(listed(&root, Some("folder")), [("b".to_owned(), 6)]);
    assert_eq!(root.list(Some(&name("a"))).unwrap_err(), Refusal::NoFolder);
    assert_eq!(
        root.list(Some(&name("no"))).unwrap_err(),
        Refusal::NoSuchFile
    );
}

#[test]
fn a_large_folder_comes_in_batches() {
    let (_place, path, root) = place();
    let folder = path.join("large");
    fs::create_dir(&folder).unwrap();
    let count = 2 * LIST_BATCH + 7;
    for number in 0..count {
        File::create(folder.join(format!("{number:05}"))).unwrap();
    }
    let mut listing = root.list(Some(&name("large"))).unwrap();
    assert_eq!(listing.next_batch().unwrap().len(), LIST_BATCH);
    // What vanishes before its batch is passed over.
    fs::remove_file(folder.join(format!("{:05}", count - 1))).unwrap();
    assert_eq!(listing.next_batch().unwrap().len(), LIST_BATCH);
    assert_eq!(listing.next_batch().unwrap().len(), 6);
    assert!(listing.next_batch().unwrap().is_empty() && !listing.more);
    assert_eq!(listed(&root, Some("large")).len(), count - 1);
}
