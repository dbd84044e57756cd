//! The path of a Unix socket, taken and given back without harm to anybody else's file.
//!
//! A lock file beside the path, held for life and released by the kernel whatever happens, decides
//! between two servers that start at once. Only a socket that nobody answers on is replaced, and
//! only the very file that was made here is removed. The permissions are in force before the
//! socket listens, so before anybody can connect.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Gid, Mode, OFlags, RenameFlags, Stat, chmodat, chownat,
    fchmod, flock, lstat, open, rename, renameat_with, unlink,
};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, bind, connect, listen};

use super::bind::stream_socket;
use crate::config::limits::{BACKLOG, LOCK_TRIES_MAX, SOCKET_PATH_BYTES_MAX};
use crate::exit::words;

/// Who may connect.
pub(super) struct Permissions {
    /// Exactly this mode; the default is 0666 less the umask.
    pub mode: Option<u32>,
    /// This group.
    pub group: Option<u32>,
}

/// What is wrong with a path, in words that follow the listener's name.
#[derive(Debug)]
pub(super) struct PathProblem(String);

impl fmt::Display for PathProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Errno> for PathProblem {
    fn from(errno: Errno) -> Self {
        Self(words(&errno.into()))
    }
}

impl From<io::Error> for PathProblem {
    fn from(error: io::Error) -> Self {
        Self(words(&error))
    }
}

fn problem<T>(text: impl Into<String>) -> Result<T, PathProblem> {
    Err(PathProblem(text.into()))
}

/// Keeps the path while the server lives; gives it back when dropped, at the latest.
#[derive(Debug)]
pub(super) struct PathGuard {
    path: PathBuf,
    lock_path: PathBuf,
    /// Device and inode of the socket's file.
    made: (u64, u64),
    /// Held for its lock; `None` once given back.
    lock: Option<File>,
}

impl PathGuard {
    /// Removes the path if it is still the file that was made, and the lock file.
    pub(super) fn unlink(&mut self) {
        let Some(lock) = self.lock.take() else { return };
        if lstat(&self.path).is_ok_and(|now| identity(&now) == self.made) {
            // Whoever removed it first did our work.
            let _ = unlink(&self.path);
        }
        // The lock is still held: a starter that opened this file finds, once it gets the lock,
        // that the path names another one or none, and tries again.
        let _ = unlink(&self.lock_path);
        drop(lock);
    }
}

impl Drop for PathGuard {
    fn drop(&mut self) {
        self.unlink();
    }
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(OsStr::new(suffix));
    PathBuf::from(name)
}

/// Binds a listening socket to `path`.
///
/// # Errors
/// A live server there, a file that is no socket, a directory that can't be written, in words.
pub(super) fn bind_path(
    path: &Path,
    permissions: &Permissions,
) -> Result<(std::os::unix::net::UnixListener, PathGuard), PathProblem> {
    let lock_path = with_suffix(path, ".lock");
    let lock = take_lock(&lock_path)?;
    let mut guard = PathGuard {
        path: path.to_owned(),
        lock_path,
        made: (0, 0),
        lock: Some(lock),
    };
    let stale = probe(path)?;
    let new_path = with_suffix(path, ".new");
    let socket = match bind_new(path, &new_path, permissions) {
        Ok(socket) => socket,
        Err(problem) => {
            remove_socket(&new_path);
            return Err(problem);
        }
    };
    // A stale socket is replaced in one step; where there was nothing, nothing may be replaced.
    let published = match stale {
        true => rename(&new_path, path),
        false => renameat_with(CWD, &new_path, CWD, path, RenameFlags::NOREPLACE),
    };
    if let Err(errno) = published {
        remove_socket(&new_path);
        return Err(errno.into());
    }
    guard.made = identity(&lstat(path)?);
    Ok((socket, guard))
}

/// Opens and locks the lock file, and makes sure that the path still names it.
fn take_lock(lock_path: &Path) -> Result<File, PathProblem> {
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for _ in 0..LOCK_TRIES_MAX {
        let shown = lock_path.display();
        let lock = match open(lock_path, flags | OFlags::NONBLOCK, Mode::RUSR | Mode::WUSR) {
            Ok(lock) => File::from(lock),
            Err(Errno::LOOP) => return problem(format!("{shown} is a symbolic link")),
            Err(errno) => return problem(format!("{shown}: {}", words(&errno.into()))),
        };
        let opened = lock.metadata()?;
        if !opened.is_file() || opened.len() > 0 {
            return problem(format!("{shown} is somebody's file, not a lock"));
        }
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::AGAIN) => return problem("address already in use: a server holds its lock"),
            Err(errno) => return problem(format!("{shown}: {}", words(&errno.into()))),
        }
        let same = lstat(lock_path).is_ok_and(|now| identity(&now) == (opened.dev(), opened.ino()));
        if same {
            return Ok(lock);
        }
        // Its last holder removed it between our open and our lock.
    }
    problem(format!(
        "{}: the lock file is replaced all the time",
        lock_path.display()
    ))
}

/// Whether a stale socket is at `path`: false if nothing is there, an error for anything else.
fn probe(path: &Path) -> Result<bool, PathProblem> {
    let stat = match lstat(path) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(false),
        Err(errno) => return Err(errno.into()),
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Socket => {}
        FileType::Symlink => return problem("is a symbolic link; it is left alone"),
        _ => return problem("is a file that is no socket; it is left alone"),
    }
    let socket = stream_socket(AddressFamily::UNIX)?;
    match connect(&socket, &SocketAddrUnix::new(path)?) {
        // Nobody listens: its server is dead.
        Err(Errno::CONNREFUSED) => Ok(true),
        // AGAIN: it listens and its backlog is full. PROTOTYPE: it takes datagrams.
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => {
            problem("address already in use: a server answers there")
        }
        Err(errno) => problem(format!(
            "can't tell whether it is in use: {}",
            words(&errno.into())
        )),
    }
}

/// Binds to a new name beside the path, sets owner and mode, and only then listens.
fn bind_new(
    path: &Path,
    new_path: &Path,
    permissions: &Permissions,
) -> Result<std::os::unix::net::UnixListener, PathProblem> {
    let max = SOCKET_PATH_BYTES_MAX - ".new".len();
    if path.as_os_str().len() > max {
        let len = path.as_os_str().len();
        return problem(format!(
            "the path has {len} bytes; a listener's may have {max}"
        ));
    }
    remove_socket(new_path);
    let socket = stream_socket(AddressFamily::UNIX)?;
    // The mode of a socket's file is that of the socket, less the umask, from the start.
    fchmod(
        &socket,
        Mode::from_raw_mode(permissions.mode.unwrap_or(0o666)),
    )?;
    bind(&socket, &SocketAddrUnix::new(new_path)?)?;
    if let Some(group) = permissions.group {
        chownat(
            CWD,
            new_path,
            None,
            Some(Gid::from_raw(group)),
            AtFlags::SYMLINK_NOFOLLOW,
        )?;
    }
    if let Some(mode) = permissions.mode {
        // Exactly that, whatever the umask took away.
        chmodat(CWD, new_path, Mode::from_raw_mode(mode), AtFlags::empty())?;
    }
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Removes what a server that was killed in the middle of its start left; nothing but a socket.
fn remove_socket(path: &Path) {
    let is_socket =
        lstat(path).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket);
    if is_socket {
        // Should it stay, the bind that follows says so.
        let _ = unlink(path);
    }
}

/// Makes the directory with mode 0700, or checks that the one which is there is ours and closed to
/// others: whoever could write into it could put a socket of his own in our place.
pub(super) fn prepare_directory(directory: &Path) -> io::Result<()> {
    match rustix::fs::mkdir(directory, Mode::RWXU) {
        Ok(()) => return Ok(()),
        Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    let stat = lstat(directory)?;
    let problem = if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        "is no directory"
    } else if stat.st_uid != rustix::process::geteuid().as_raw() {
        "belongs to another user"
    } else if stat.st_mode & 0o077 != 0 {
        "is open to other users; its mode should be 0700"
    } else {
        return Ok(());
    };
    Err(io::Error::other(problem))
}
