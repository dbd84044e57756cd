//! The folder of unfinished uploads: what is in it, and who may change it just now.
//!
//! It is `.partial` in the root: on the root's file system, so that a file is moved out of it in
//! one step, and under a name that no client can write.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, RenameFlags, Timespec, Timestamps,
    UTIME_NOW, flock, fstat, fstatvfs, fsync, futimens, mkdirat, openat, renameat_with, statat,
    unlinkat,
};
use rustix::io::Errno;

use super::super::refusal::Refusal;
use super::super::root::Root;
use super::partial::Partial;
use super::room::Room;

const PARTIALS: &str = ".partial";

/// Held by whoever looks at the partials in order to change them.
const LOCK: &str = "lock";

/// The folder, open.
#[derive(Debug)]
pub(super) struct Folder {
    folder: OwnedFd,
    /// The file system, by number.
    pub device: u64,
}

/// The right to begin, keep or sweep uploads; one thread of one server has it at a time.
pub(super) struct Turn(OwnedFd);

/// One unfinished upload as it was found.
pub(super) struct Found {
    pub partial: Partial,
    /// Bytes that it has.
    pub length: u64,
    /// Seconds since 1970.
    pub modified: i64,
    /// Somebody sends it just now.
    pub runs: bool,
}

impl Folder {
    /// Opens the folder, makes it where it is missing, and tries what uploads will need.
    pub fn open(root: &Root) -> Result<Self, Refusal> {
        match mkdirat(root, PARTIALS, Mode::RWXU) {
            Err(Errno::EXIST) => {}
            made => {
                made?;
                fsync(root)?;
            }
        }
        let folder = root.hidden(PARTIALS)?;
        let device = fstat(&folder)?.st_dev;
        if device != fstat(root)?.st_dev {
            return Err(Refusal::OtherFileSystem);
        }
        let folder = Self { folder, device };
        folder.try_rename()?;
        Ok(folder)
    }

    /// Whether a file can be moved only to where nothing is: not every file system can.
    fn try_rename(&self) -> Result<(), Refusal> {
        let _turn = self.turn()?;
        let names = ["try", "tried"];
        let clean = || names.iter().try_for_each(|name| self.remove(name));
        clean()?;
        drop(openat(
            &self.folder,
            names[0],
            OFlags::CREATE | OFlags::CLOEXEC,
            Mode::RUSR,
        )?);
        let moved = self.rename(names[0], &self.folder, OsStr::new(names[1]), false);
        clean()?;
        match moved {
            Err(Errno::INVAL | Errno::NOSYS) => Err(Refusal::Other(
                "this file system cannot move a file only to where nothing is".to_owned(),
            )),
            moved => Ok(moved?),
        }
    }

    /// Waits for the others to be done; each is for milliseconds.
    pub fn turn(&self) -> Result<Turn, Refusal> {
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let lock = openat(&self.folder, LOCK, flags, Mode::RUSR | Mode::WUSR).map_err(gone)?;
        loop {
            match flock(&lock, FlockOperation::LockExclusive) {
                Err(Errno::INTR) => {}
                done => return Ok(done.map(|()| Turn(lock))?),
            }
        }
    }

    /// All unfinished uploads.
    pub fn found(&self, _turn: &Turn) -> Result<Vec<Found>, Refusal> {
        let mut all = Vec::new();
        for entry in Dir::read_from(&self.folder)? {
            let entry = entry?;
            let Some(partial) = Partial::parse(entry.file_name().to_bytes()) else {
                continue;
            };
            match self.look(partial) {
                // It was published just now.
                Err(Errno::NOENT) => {}
                found => all.extend(found?),
            }
        }
        Ok(all)
    }

    fn look(&self, partial: Partial) -> Result<Option<Found>, Errno> {
        let name = partial.to_string();
        let stat = statat(&self.folder, &*name, AtFlags::SYMLINK_NOFOLLOW)?;
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return Ok(None);
        }
        // With a second name it is a file that was published, and a crash brought this name back.
        if stat.st_nlink > 1 {
            unlinkat(&self.folder, &*name, AtFlags::empty())?;
            return Ok(None);
        }
        let runs = match self.lock(&name, OFlags::RDONLY) {
            Err(Errno::WOULDBLOCK) => true,
            opened => opened.map(|_| false)?,
        };
        Ok(Some(Found {
            partial,
            length: u64::try_from(stat.st_size).unwrap_or(0),
            modified: stat.st_mtime,
            runs,
        }))
    }

    /// Makes a file that was not there, locked.
    pub fn create(&self, partial: &Partial) -> Result<File, Errno> {
        self.lock(
            &partial.to_string(),
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        )
    }

    /// Opens a file that is there, locked; `WOULDBLOCK` where another has it.
    pub fn reopen(&self, partial: &Partial) -> Result<File, Errno> {
        self.lock(&partial.to_string(), OFlags::RDWR)
    }

    fn lock(&self, name: &str, flags: OFlags) -> Result<File, Errno> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        // What is published keeps these rights, less the umask.
        let file = openat(&self.folder, name, flags, Mode::from_raw_mode(0o666))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(file.into())
    }

    /// Gives another name to what has one here; with `over`, whatever has it loses it.
    pub fn rename(&self, old: &str, to: &OwnedFd, new: &OsStr, over: bool) -> Result<(), Errno> {
        let flags = match over {
            true => RenameFlags::empty(),
            false => RenameFlags::NOREPLACE,
        };
        renameat_with(&self.folder, old, to, new, flags)
    }

    /// Writes anew what a file's name says about it.
    pub fn describe(&self, old: &Partial, new: &Partial) -> Result<(), Errno> {
        match old == new {
            true => Ok(()),
            false => {
                let name = new.to_string();
                let name = OsStr::from_bytes(name.as_bytes());
                self.rename(&old.to_string(), &self.folder, name, true)
            }
        }
    }

    /// Removes a file; it may be gone already.
    pub fn remove(&self, name: &str) -> Result<(), Errno> {
        match unlinkat(&self.folder, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            done => done,
        }
    }

    /// Has the names in it written to the disk.
    pub fn sync(&self) -> Result<(), Errno> {
        fsync(&self.folder)
    }

    /// What there is beside the upload of that key.
    pub fn room(&self, found: &[Found], but: &str) -> Result<Room, Errno> {
        let disk = fstatvfs(&self.folder)?;
        let mut room = Room {
            free: disk.f_bavail.saturating_mul(disk.f_frsize),
            ..Room::default()
        };
        for other in found.iter().filter(|found| found.partial.key != but) {
            room.add(other.length, other.partial.size, other.runs);
        }
        Ok(room)
    }
}

/// A file that is made anew is missing only where its folder is: somebody has removed that.
fn gone(errno: Errno) -> Refusal {
    match errno {
        Errno::NOENT => Refusal::Other(
            "the folder of unfinished uploads was removed; start the server again".to_owned(),
        ),
        other => other.into(),
    }
}

impl Turn {
    /// The time in seconds since 1970, of the clock that stamps the files here.
    pub fn now(&self) -> Result<i64, Errno> {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        };
        let times = Timestamps {
            last_access: now,
            last_modification: now,
        };
        futimens(&self.0, &times)?;
        Ok(fstat(&self.0)?.st_mtime)
    }
}

impl Found {
    /// Whether it is a leftover: nobody sends it, and its time is further from `now` than `age`.
    ///
    /// A time in the future comes from a clock that was wrong; that must not keep it for ever.
    pub fn is_left(&self, now: i64, age_s: u64) -> bool {
        !self.runs && now.abs_diff(self.modified) > age_s
    }
}
