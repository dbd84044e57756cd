//! Uploads: received under a hidden name, resumable, and published whole or not at all.
//!
//! The order of publishing is what keeps an acknowledged file through a loss of power: the file is
//! synced, then moved, then its folder is synced, and only then anybody is told. A crash before
//! the move leaves the old file and a partial, one behind it the new file. All of this blocks, so
//! it is for a lane; any number of threads may use one [`Uploads`].
//!
//! One upload of a name runs at a time: its file is locked (flock) as long as [`Upload::file`] or a
//! copy of it is open, which also holds against another server with the same root. A partial goes
//! on only for the owner that began it, with the size that it announced then; for anybody else the
//! upload starts over. So nobody's file is completed by another, and nobody can block a name by
//! beginning an upload and going away.

mod begin;
mod folder;
mod own;
mod partial;
mod room;

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{
    Access, AtFlags, FileType, FlockOperation, accessat, flock, fstat, fsync, statat,
};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use self::folder::Folder;
use self::partial::Partial;
use super::name::Name;
use super::refusal::Refusal;
use super::root::Root;
use super::version::Version;

pub use begin::Prospect;
pub use room::Limits;

/// The uploads below one root.
#[derive(Debug)]
pub struct Uploads {
    root: Arc<Root>,
    folder: Folder,
    limits: Limits,
    /// Which start of the machine this is; empty where nobody says.
    boot: String,
}

/// What a client asks for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The name under which the file is to appear.
    pub name: &'a Name,
    /// Its size in bytes; `None` where only the end of the transfer tells.
    pub size: Option<u64>,
    /// How much of it the client would not send again; 0 starts over.
    pub offset: u64,
    /// Who sends it: an address without its port, or a user. Only the same may resume.
    pub owner: &'a [u8],
    /// Whether a file of that name may be replaced.
    pub replace: bool,
}

/// An upload that runs. Dropped, it leaves what it has to be resumed, unsynced.
#[derive(Debug)]
pub struct Upload {
    /// Where the bytes go, by position, from `kept` on. Copies of it share its lock, so they must
    /// not outlive this.
    pub file: File,
    /// How many bytes are there already: the client sends what comes behind them.
    pub kept: u64,
    /// How many bytes it may have at most: those that were announced, or as many as any upload.
    /// Nothing may be written behind them; a limit of the system would end the server (SIGXFSZ).
    pub most: u64,
    name: Name,
    replace: bool,
    partial: Partial,
}

/// What [`Uploads::sweep`] found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Leftovers that were removed.
    pub removed: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Unfinished uploads that stay.
    pub left: usize,
}

/// The steps of publishing, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// All that was announced is there.
    Count,
    /// The content is on the disk.
    SyncFile,
    /// The file has its name.
    Move,
    /// The name is on the disk.
    SyncFolder,
}

const STEPS: [Step; 4] = [Step::Count, Step::SyncFile, Step::Move, Step::SyncFolder];

impl Upload {
    /// The name under which it is to appear.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The size that was announced, in bytes.
    pub fn size(&self) -> Option<u64> {
        self.partial.size
    }

    /// Ends the lock at once, whatever copies of the descriptor are left.
    fn unlock(&self) {
        // There is nothing that could be done about a failure; the lock ends with the descriptor.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

impl Uploads {
    /// Makes ready to receive: makes the hidden folder, and tries what will be needed.
    ///
    /// # Errors
    /// A sentence that names the root.
    pub fn open(root: Arc<Root>, limits: Limits) -> Result<Self, String> {
        let folder = Folder::open(&root).map_err(|refusal| {
            let path = root.path().display().to_string();
            format!("{}: cannot take uploads: {refusal}", path.escape_debug())
        })?;
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let boot = boot.chars().filter(char::is_ascii_hexdigit).collect();
        let fsize = getrlimit(Resource::Fsize).current;
        Ok(Self {
            root,
            folder,
            limits: limits.beside(fsize),
            boot,
        })
    }

    /// Whether an upload may go on; to be asked each
    /// [`UPLOAD_CHECK_BYTES`](crate::config::limits::UPLOAD_CHECK_BYTES).
    ///
    /// # Errors
    /// Which limit it has reached.
    pub fn check_room(&self, upload: &Upload) -> Result<(), Refusal> {
        let have = upload.file.metadata()?.len();
        let turn = self.folder.turn()?;
        let found = self.folder.found(&turn)?;
        let room = self.folder.room(&found, &upload.partial.key)?;
        room.check(&self.limits, have, upload.partial.size)
    }

    /// Gives a whole upload its name. With `Ok` the file survives a loss of power.
    ///
    /// # Errors
    /// Why not. The partial is then left to be resumed, if that is of any use
    /// ([`Refusal::keeps_partial`]). With [`Refusal::NotSafe`] the file has its name.
    pub fn publish(&self, upload: Upload) -> Result<Version, Refusal> {
        let published = self.try_publish(&upload);
        let stays = published
            .as_ref()
            .map_or_else(Refusal::keeps_partial, |_| true);
        self.end(&upload, stays);
        published
    }

    fn try_publish(&self, upload: &Upload) -> Result<Version, Refusal> {
        // A move changes neither size nor time, and nothing may fail behind it but its sync.
        let version = Version::of(&upload.file.metadata()?);
        let mut moved_to = None;
        for step in STEPS {
            self.step(upload, &mut moved_to, step)?;
        }
        Ok(version)
    }

    /// `moved_to` is the folder from the third step to the fourth.
    fn step(
        &self,
        upload: &Upload,
        moved_to: &mut Option<OwnedFd>,
        step: Step,
    ) -> Result<(), Refusal> {
        match step {
            Step::Count => {
                let have = upload.file.metadata()?.len();
                match upload.partial.size {
                    Some(declared) if declared != have => {
                        Err(Refusal::WrongSize { have, declared })
                    }
                    _ => Ok(()),
                }
            }
            Step::SyncFile => Ok(upload.file.sync_all()?),
            Step::Move => {
                let (parent, last) = self.parent(&upload.name)?;
                check_target(&parent, last, upload.replace)?;
                let name = upload.partial.to_string();
                let parent = moved_to.insert(parent);
                Ok(self.folder.rename(&name, parent, last, upload.replace)?)
            }
            Step::SyncFolder => {
                let synced = moved_to.as_ref().map_or(Ok(()), fsync);
                synced.map_err(|errno| Refusal::NotSafe(Box::new(errno.into())))
            }
        }
    }

    /// Leaves an upload whose client has gone to be resumed, and gives how much of it will be
    /// there whatever happens.
    ///
    /// # Errors
    /// Why nothing can be promised; where the disk failed, nothing is left either.
    pub fn keep(&self, mut upload: Upload) -> Result<u64, Refusal> {
        let kept = self.try_keep(&mut upload);
        let stays = match &kept {
            Ok(length) => *length > 0,
            Err(refusal) => refusal.keeps_partial(),
        };
        self.end(&upload, stays);
        kept
    }

    fn try_keep(&self, upload: &mut Upload) -> Result<u64, Refusal> {
        let synced = upload.file.metadata()?.len();
        if synced == 0 {
            return Ok(0);
        }
        upload.file.sync_all()?;
        let new = Partial {
            synced,
            ..upload.partial.clone()
        };
        let _turn = self.folder.turn()?;
        self.folder.describe(&upload.partial, &new)?;
        upload.partial = new;
        self.folder.sync()?;
        Ok(synced)
    }

    /// Forgets an upload: nothing of it is left.
    pub fn discard(&self, upload: Upload) {
        self.end(&upload, false);
    }

    fn end(&self, upload: &Upload, stays: bool) {
        if !stays {
            // What cannot be removed now is removed by age.
            let _ = self.folder.remove(&upload.partial.to_string());
        }
        upload.unlock();
    }

    /// Removes what was left behind: partials that nobody has touched for `age`.
    ///
    /// # Errors
    /// Why the folder can't be looked into.
    pub fn sweep(&self, age: Duration) -> Result<Swept, Refusal> {
        let turn = self.folder.turn()?;
        let now = turn.now()?;
        let mut swept = Swept::default();
        for found in self.folder.found(&turn)? {
            if !found.is_left(now, age.as_secs()) {
                swept.left += 1;
                continue;
            }
            self.folder.remove(&found.partial.to_string())?;
            swept.removed += 1;
            swept.bytes += found.length;
        }
        Ok(swept)
    }

    /// The folder in which a name is, and its last part.
    fn parent<'a>(&self, name: &'a Name) -> Result<(OwnedFd, &'a OsStr), Refusal> {
        let (parent, last) = name.split();
        let parent = self.root.folder(parent.as_ref())?;
        match fstat(&parent)?.st_dev == self.folder.device {
            true => Ok((parent, last)),
            false => Err(Refusal::OtherFileSystem),
        }
    }
}

/// Whether a file may be put there.
fn check_target(parent: &OwnedFd, last: &OsStr, replace: bool) -> Result<(), Refusal> {
    let stat = match statat(parent, last, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        found => found?,
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if replace => Ok(()),
        FileType::RegularFile => Err(Refusal::Exists),
        FileType::Directory => Err(Refusal::IsFolder),
        FileType::Symlink => Err(Refusal::Link),
        _ => Err(Refusal::NotRegular),
    }
}

/// Whether files can be moved into it: said before the bytes come. A system that can't say is not
/// believed, since it will be tried in the end.
fn check_rights(parent: &OwnedFd) -> Result<(), Refusal> {
    let wanted = Access::WRITE_OK | Access::EXEC_OK;
    match accessat(parent, ".", wanted, AtFlags::EACCESS) {
        Err(errno @ (Errno::ACCESS | Errno::ROFS)) => Err(errno.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
