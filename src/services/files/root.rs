//! The root: the one folder below which files are served, and the only way to open one.
//!
//! Every path is resolved by the kernel in one call (openat2), from the root's descriptor, and the
//! kernel refuses whatever would leave it: no check here can be overtaken by a rename. Links are
//! not followed at all, so what a name means is only decided by folders. All of this may block.

mod list;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, fcntl_setfl, openat2};
use rustix::io::Errno;

use super::name::Name;
use super::refusal::{Refusal, words};
use super::version::{State, Version};
use crate::config::limits::OPEN_TRIES_MAX;

pub use list::{Entry, Kind, Listing};

/// How the kernel resolves each path.
const WAY: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_SYMLINKS);

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// The folder that is served. It stays the same one where its path is moved.
#[derive(Debug)]
pub struct Root {
    folder: OwnedFd,
    path: PathBuf,
}

impl Root {
    /// Opens the folder at `path`; the path itself may hold links, as its owner likes.
    ///
    /// # Errors
    /// A sentence that names the path: there is no such folder, or this system can't open files
    /// beneath a folder only.
    pub fn at(path: &Path) -> Result<Self, String> {
        let named = |what: &str| format!("{}: {what}", path.display().to_string().escape_debug());
        let opened = rustix::fs::open(path, FOLDER, Mode::empty());
        let folder = opened.map_err(|errno| named(&words(&errno.into())))?;
        let probe = openat2(&folder, ".", FOLDER, Mode::empty(), WAY);
        probe.map_err(|errno| named(&without_openat2(errno)))?;
        let path = path.to_owned();
        Ok(Self { folder, path })
    }

    /// The path by which it was opened, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// Why not. Nothing but regular files is opened for longer than it takes to see what it is.
    pub fn open(&self, name: &Name) -> Result<Opened, Refusal> {
        // A pipe or a terminal must neither make us wait nor become ours.
        let flags =
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = File::from(self.resolve(name.as_path(), flags)?);
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(Refusal::IsFolder);
        }
        if !metadata.is_file() {
            return Err(Refusal::NotRegular);
        }
        // Most file systems do not care, but some pass the flag on to who serves the file.
        fcntl_setfl(&file, OFlags::empty())?;
        let state = State::of(&metadata);
        Ok(Opened {
            file,
            version: state.version,
            state,
        })
    }

    /// Opens a folder, the root itself where there is no name.
    pub(super) fn folder(&self, name: Option<&Name>) -> Result<OwnedFd, Refusal> {
        let path = name.map_or(Path::new("."), Name::as_path);
        // With NOFOLLOW a link would be called "not a directory".
        self.resolve(path, FOLDER)
    }

    /// Looks a folder's contents up, the root's where there is no name.
    ///
    /// # Errors
    /// Why not.
    pub fn list(&self, name: Option<&Name>) -> Result<Listing, Refusal> {
        Listing::of(self.folder(name)?)
    }

    /// Opens a folder in the root that no [`Name`] can name.
    pub(super) fn hidden(&self, part: &str) -> Result<OwnedFd, Refusal> {
        self.resolve(Path::new(part), FOLDER)
    }

    fn resolve(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Refusal> {
        for _ in 1..OPEN_TRIES_MAX {
            match openat2(&self.folder, path, flags, Mode::empty(), WAY) {
                // A name was moved while the kernel followed it, or a signal came.
                Err(Errno::AGAIN | Errno::INTR) => {}
                done => return Ok(done?),
            }
        }
        Ok(openat2(&self.folder, path, flags, Mode::empty(), WAY)?)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

/// Why the first openat2 failed, in words.
fn without_openat2(errno: Errno) -> String {
    match errno {
        Errno::NOSYS | Errno::INVAL | Errno::TOOBIG => {
            "this kernel cannot open files beneath a folder only (openat2 needs Linux 5.6), and \
             nothing else is safe"
                .to_owned()
        }
        Errno::PERM => "this system does not let the server call openat2, as a container made for \
                        an old kernel does, and nothing else is safe"
            .to_owned(),
        other => words(&other.into()),
    }
}

/// A regular file that is open for reading.
#[derive(Debug)]
pub struct Opened {
    /// The file; read it by position only, since copies of the descriptor share the other one.
    pub file: File,
    /// Its version when it was opened, with its size.
    pub version: Version,
    state: State,
}

impl Opened {
    /// Whether its content is still what it was when it was opened, as far as times and size tell.
    ///
    /// A file that was replaced or removed meanwhile is the same: the open one does not change.
    ///
    /// # Errors
    /// [`Refusal::Changed`], or why it can't be known.
    pub fn still_same(&self) -> Result<(), Refusal> {
        match State::of(&self.file.metadata()?).same_content(&self.state) {
            true => Ok(()),
            false => Err(Refusal::Changed),
        }
    }
}

#[cfg(test)]
mod tests;
