//! What the store does with its files by itself, before SQLite opens them: the lock file, the
//! header, modes, the write-ahead log after an unclean end.
//!
//! The locks of SQLite are POSIX locks: they go when *any* descriptor of the database file is
//! closed in this process. So nothing here opens the database file while SQLite has it, and the lock
//! file comes first, which keeps a second store of this process away too.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock, statfs};
use rustix::io::Errno;

use super::schema::{APPLICATION_ID, VERSION};

/// What stands where the database belongs.
pub(super) enum Found {
    /// Nothing, or an empty file.
    Nothing,
    /// A database of ours, as far as its header says.
    Ours,
    /// A database of SQLite that belongs to no program and has no version; it may hold nothing.
    Nobodys,
}

/// The path, its folder resolved: SQLite takes no links in a path, and in the folder's they may be.
pub(super) fn resolved(path: &Path) -> Result<PathBuf, String> {
    let Some(name) = path.file_name() else {
        return Err(format!("{}: is not the name of a file", path.display()));
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let resolved = fs::canonicalize(folder).map_err(|error| said(folder, &error))?;
    Ok(resolved.join(name))
}

/// The path with this behind its name.
pub(super) fn beside(path: &Path, behind: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(behind);
    PathBuf::from(name)
}

/// Keeps other servers away for as long as the file is open. It is never removed: a lock on a
/// removed file keeps nobody away.
pub(super) fn lock(database: &Path) -> Result<File, String> {
    let path = database.with_extension("lock");
    let file = options()
        .create(true)
        .open(&path)
        .map_err(|error| said(&path, &error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(format!("{}: another server uses it", database.display())),
        Err(errno) => Err(said(&path, &errno.into())),
    }
}

/// Looks at the header, which has been whole since the file got its name (see `open.rs`).
pub(super) fn look(path: &Path) -> Result<Found, String> {
    let refuse = |problem: &str| {
        Err(format!(
            "{}: {problem}; it was left as it is",
            path.display()
        ))
    };
    match kind_of(path)? {
        None => return no_leftovers(path).map(|()| Found::Nothing),
        Some(metadata) if metadata.len() == 0 => {
            return no_leftovers(path).map(|()| Found::Nothing);
        }
        Some(_) => {}
    }
    let mut file = options().open(path).map_err(|error| said(path, &error))?;
    let mut header = [0; 100];
    let mut have = 0;
    while have < header.len() {
        match file
            .read(&mut header[have..])
            .map_err(|error| said(path, &error))?
        {
            0 => return refuse("is not a database"),
            count => have += count,
        }
    }
    if !header.starts_with(b"SQLite format 3\0") {
        return refuse("is not a database");
    }
    let number = |at: usize| i64::from(u32::from_be_bytes([0, 1, 2, 3].map(|by| header[at + by])));
    match (number(68), number(60)) {
        (APPLICATION_ID, version) if version > VERSION => refuse(&newer(version)),
        (APPLICATION_ID, _) => Ok(Found::Ours),
        (0, 0) => Ok(Found::Nobodys),
        _ => refuse("is the database of another program"),
    }
}

/// What is said of a layout that this program does not know yet.
pub(super) fn newer(version: i64) -> String {
    format!("was written by a newer switchboard (version {version}, this one knows {VERSION})")
}

/// A write-ahead log, or a journal, whose database is gone would be played into the new one.
fn no_leftovers(path: &Path) -> Result<(), String> {
    for behind in ["-wal", "-journal"] {
        let left = beside(path, behind);
        if fs::symlink_metadata(&left).is_ok_and(|metadata| metadata.len() > 0) {
            return Err(format!(
                "{} is there without its database {}; put the database back, or move that away",
                left.display(),
                path.display()
            ));
        }
    }
    Ok(())
}

/// What is there, if it is a file.
fn kind_of(path: &Path) -> Result<Option<Metadata>, String> {
    let problem = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => return Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(said(path, &error)),
        Ok(metadata) if metadata.is_dir() => "is a folder, not a file",
        Ok(metadata) if metadata.is_symlink() => "is a link, which is not followed",
        Ok(_) => "is not a regular file",
    };
    Err(format!("{}: {problem}", path.display()))
}

/// Rewrites the write-ahead log of an unclean end, so that the disk has what is read from it.
///
/// Where a sync failed, the kernel takes the pages for written though they are not: they are read
/// as if they were there, a second sync succeeds without having written anything, and after a power
/// cut they are gone. A checkpoint of such pages that is cut off in the middle would leave a
/// database that no log can mend. Pages that were written anew are really written by the sync.
pub(super) fn settle_log(database: &Path) -> Result<(), String> {
    let log = beside(database, "-wal");
    let length = match kind_of(&log)? {
        Some(metadata) if metadata.len() > 0 => metadata.len(),
        _ => return Ok(()),
    };
    let fresh = beside(database, "-wal.new");
    let copy = || {
        let from = options().open(&log)?;
        remove(&fresh)?;
        let mut to = create_new(&fresh)?;
        // Not until the end is met: a log that has reached a limit on the size of files ends there,
        // and behind it not even nothing can be written.
        io::copy(&mut from.take(length), &mut to)?;
        to.sync_all()?;
        fs::rename(&fresh, &log)?;
        sync_folder(&log)
    };
    copy().map_err(|error| said(&log, &error))
}

/// A new empty file for the server's user alone; an error where the name is taken.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    options().create_new(true).open(path)
}

/// Takes away what others may do with the file; whoever has it may guess the passwords in peace.
pub(super) fn make_private(path: &Path) -> Result<(), String> {
    let metadata = fs::symlink_metadata(path).map_err(|error| said(path, &error))?;
    if metadata.mode() & 0o077 != 0 {
        let mode = metadata.mode() & 0o7777;
        log::warn!("{}: had mode {mode:o}, set to 600", path.display());
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(path, private).map_err(|error| said(path, &error))?;
    }
    Ok(())
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes a new or changed name last.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder)?.sync_all()
}

/// Warns where syncs and locks can't be relied on.
pub(super) fn warn_of_network(path: &Path) {
    // NFS, SMB, CIFS, SMB2, 9P, Ceph, AFS, Coda, NCP: linux/magic.h.
    const NETWORK: [u32; 9] = [
        0x6969,
        0x517b,
        0xff53_4d42,
        0xfe53_4d42,
        0x0102_1997,
        0x00c3_6400,
        0x5346_414f,
        0x7375_7245,
        0x564c,
    ];
    // The low half holds the number; on some machines the field is signed.
    let kind = statfs(path).map(|found| found.f_type as u32);
    if kind.is_ok_and(|kind| NETWORK.contains(&kind)) {
        log::warn!(
            "{}: is on a network file system, where a power cut may take what was acknowledged",
            path.display()
        );
    }
}

/// An error of the system, in words.
pub(super) fn said(path: &Path, error: &io::Error) -> String {
    let why = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::ACCESS | Errno::PERM) => "no permission to read and write it".to_owned(),
        Some(Errno::ROFS) => "is on a read-only file system".to_owned(),
        Some(Errno::NOENT) => "is not there".to_owned(),
        Some(Errno::NOSPC | Errno::DQUOT) => "the disk is full".to_owned(),
        Some(Errno::LOOP) => "is a link, which is not followed".to_owned(),
        Some(Errno::EXIST) => "is there already; it was left as it is".to_owned(),
        _ => {
            let text = error.to_string();
            // Without the system's number.
            let words = text.split(" (os error").next();
            words.unwrap_or_default().to_lowercase()
        }
    };
    format!("{}: {why}", path.display())
}

/// To read and write, never through a link, never waiting for a pipe.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options
        .read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed());
    options
}
