//! The part of a file that is kept beside its place until it is whole: `.NAME.partial`, and a label
//! `.NAME.partial.version` of what it is a part of.
//!
//! One process at a time has it. The file under its own name is replaced only as a whole, by a
//! rename. What stands in a part is never believed: whoever goes on checks it first.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use sha2::{Digest as _, Sha256};

use super::{Failure, hex, local, problem};
use crate::config::limits::TRANSFER_LABEL_BYTES_MAX;

/// Bytes that a file's name may have (NAME_MAX of Linux).
const NAME_BYTES_MAX: usize = 255;

/// What a part is a part of, as far as a wire tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Of this version, by the text wire.
    Version(String),
    /// Of a file of so many bytes, by TFTP, which knows no versions.
    Size(u64),
}

impl Origin {
    fn parse(line: &str) -> Option<Self> {
        match line.trim_end().split_once(' ')? {
            ("version", word) if !word.is_empty() => Some(Self::Version(word.to_owned())),
            ("size", digits) => digits.parse().ok().map(Self::Size),
            _ => None,
        }
    }

    fn line(&self) -> String {
        match self {
            Self::Version(word) => format!("version {word}\n"),
            Self::Size(bytes) => format!("size {bytes}\n"),
        }
    }
}

/// A part that is open and ours; left where it is when dropped, unless it is empty.
#[derive(Debug)]
pub struct Partial {
    target: PathBuf,
    path: PathBuf,
    label: PathBuf,
    file: File,
    len: u64,
    origin: Option<Origin>,
    /// It has its own name now, and what has the others is somebody else's.
    is_placed: bool,
}

impl Partial {
    /// Opens the part of `target`, or begins one.
    ///
    /// # Errors
    /// Where it can't be written, another process has it, or what is under `target` is no file.
    pub fn open(target: &Path) -> Result<Self, Failure> {
        let target = followed(target)?;
        let path = beside(&target);
        let mut label = path.clone().into_os_string();
        label.push(".version");
        let file = new_file(&path).map_err(|error| local(&path, &error))?;
        let failed = |error: &io::Error| local(&path, error);
        let metadata = file.metadata().map_err(|error| failed(&error))?;
        if !metadata.is_file() {
            return Err(problem(&path, "is no regular file"));
        }
        let is_locked = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        // Another process may have renamed it after we opened it.
        let is_there = fs::symlink_metadata(&path)
            .is_ok_and(|there| (there.dev(), there.ino()) == (metadata.dev(), metadata.ino()));
        if !is_locked || !is_there {
            return Err(problem(&target, "another process is fetching it"));
        }
        let label = PathBuf::from(label);
        // Taken again behind the lock.
        let len = file.metadata().map_err(|error| failed(&error))?.len();
        let origin = read_label(&label).filter(|_| len > 0);
        Ok(Self {
            target,
            path,
            label,
            file,
            len,
            origin,
            is_placed: false,
        })
    }

    /// Bytes that are there.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// What its label says.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// To read from its beginning.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Forgets everything behind `len`.
    pub fn cut(&mut self, len: u64) -> Result<(), Failure> {
        if len < self.len {
            self.file
                .set_len(len)
                .map_err(|error| local(&self.path, &error))?;
            self.len = len;
        }
        Ok(())
    }

    /// Says what it is a part of from now on.
    pub fn set_origin(&mut self, origin: Option<Origin>) -> Result<(), Failure> {
        if self.origin == origin {
            return Ok(());
        }
        let written = match &origin {
            None => fs::remove_file(&self.label).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            }),
            Some(origin) => new_file(&self.label).and_then(|mut file| {
                file.set_len(0)?;
                file.write_all(origin.line().as_bytes())
            }),
        };
        written.map_err(|error| local(&self.label, &error))?;
        self.origin = origin;
        Ok(())
    }

    /// Puts bytes behind those that are there.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file
            .write_all_at(bytes, self.len)
            .map_err(|error| local(&self.path, &error))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Whether these bytes are there.
    pub fn holds(&self, bytes: &[u8], offset: u64) -> Result<bool, Failure> {
        let mut there = vec![0; bytes.len()];
        self.file
            .read_exact_at(&mut there, offset)
            .map_err(|error| local(&self.path, &error))?;
        Ok(there == bytes)
    }

    fn place(&mut self) -> Result<(), Failure> {
        let synced = self.file.sync_all();
        synced.map_err(|error| local(&self.target, &error))?;
        // Before the rename: behind it another process may begin a part with a label of its own.
        // A label that stays is checked like any other.
        let _ = fs::remove_file(&self.label);
        fs::rename(&self.path, &self.target).map_err(|error| local(&self.target, &error))?;
        self.is_placed = true;
        Ok(())
    }

    /// It is whole: makes it safe, and puts it under its name.
    pub fn publish(mut self) -> Result<(), Failure> {
        self.place()?;
        let folder = match self.target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // A folder that can't be opened or synced is no reason to call the file missing.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.len == 0 && !self.is_placed {
            let _ = fs::remove_file(&self.path);
            let _ = fs::remove_file(&self.label);
        }
    }
}

/// The file behind a link, so that the link stays; nothing but a file is replaced.
fn followed(target: &Path) -> Result<PathBuf, Failure> {
    let metadata = match fs::symlink_metadata(target) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(target.to_owned()),
        Err(error) => return Err(local(target, &error)),
    };
    let target = match metadata.is_symlink() {
        true => fs::canonicalize(target).map_err(|error| local(target, &error))?,
        false => target.to_owned(),
    };
    let metadata = fs::metadata(&target).map_err(|error| local(&target, &error))?;
    match metadata.is_file() {
        true => Ok(target),
        false => Err(problem(&target, "is no regular file")),
    }
}

/// `.NAME.partial` beside a file; a name that would be too long so is replaced by its hash.
fn beside(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().as_bytes();
    let whole = [b".", name, b".partial"].concat();
    let is_long = whole.len() + ".version".len() > NAME_BYTES_MAX;
    target.with_file_name(match is_long {
        true => format!(".{}.partial", hex(Sha256::new_with_prefix(name))).into(),
        false => std::ffi::OsString::from_vec(whole),
    })
}

/// Opens or makes a file of our own, with the mode that new files have; never one behind a link.
fn new_file(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

/// What can't be read says nothing.
fn read_label(path: &Path) -> Option<Origin> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .ok()?;
    let mut text = String::new();
    file.take(TRANSFER_LABEL_BYTES_MAX)
        .read_to_string(&mut text)
        .ok()?;
    Origin::parse(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_kept_with_its_note_until_it_is_published() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        let origin = Some(Origin::Version("3-a-b".to_owned()));
        let mut partial = Partial::open(&target).unwrap();
        partial.set_origin(origin.clone()).unwrap();
        partial.append(b"abc").unwrap();
        let again = Partial::open(&target).unwrap_err();
        assert!(
            again
                .to_string()
                .ends_with("x: another process is fetching it")
        );
        drop(partial);
        let label = folder.path().join(".x.partial.version");
        assert_eq!(fs::read(&label).unwrap(), b"version 3-a-b\n");
        let mut partial = Partial::open(&target).unwrap();
        assert_eq!((partial.len(), partial.origin()), (3, origin.as_ref()));
        partial.cut(2).unwrap();
        partial.append(b"C").unwrap();
        assert!(partial.holds(b"bC", 1).unwrap() && !partial.holds(b"bc", 1).unwrap());
        assert!(!target.exists());
        partial.publish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"abC");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_empty_part_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let mut partial = Partial::open(&folder.path().join("x")).unwrap();
        partial.set_origin(Some(Origin::Size(9))).unwrap();
        drop(partial);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_part_that_has_its_place_takes_nothing_from_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        for bytes in [&b""[..], b"abc"] {
            let mut first = Partial::open(&target).unwrap();
            first.set_origin(Some(Origin::Size(3))).unwrap();
            first.append(bytes).unwrap();
            first.place().unwrap();
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
            let mut next = Partial::open(&target).unwrap();
            next.set_origin(Some(Origin::Size(9))).unwrap();
            drop(first);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
        }
        // A label that says nothing goes too.
        fs::write(folder.path().join(".x.partial.version"), b"nonsense").unwrap();
        let mut third = Partial::open(&target).unwrap();
        third.append(b"abc").unwrap();
        third.publish().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_files_are_replaced_and_links_stay() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for target in [folder.path(), Path::new("/dev/null")] {
            let failure = Partial::open(target).unwrap_err();
            assert!(failure.to_string().ends_with(": is no regular file"));
        }
        fs::write(at("real"), b"old").unwrap();
        std::os::unix::fs::symlink("real", at("link")).unwrap();
        let mut partial = Partial::open(&at("link")).unwrap();
        partial.append(b"new").unwrap();
        partial.publish().unwrap();
        assert_eq!(fs::read(at("real")).unwrap(), b"new");
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        // A part that somebody has prepared as a link is not written through.
        std::os::unix::fs::symlink("real", at(".y.partial")).unwrap();
        assert!(Partial::open(&at("y")).is_err());
    }

    #[test]
    fn names_and_notes_are_written_so_that_they_can_be_read() {
        assert_eq!(beside(Path::new("a/x")), Path::new("a/.x.partial"));
        let long = beside(Path::new(&"x".repeat(240)));
        assert_eq!(long.as_os_str().len(), 1 + 64 + 8);
        for origin in [Origin::Size(1 << 40), Origin::Version("v".to_owned())] {
            assert_eq!(Origin::parse(&origin.line()), Some(origin));
        }
        for bad in ["", "version ", "size x", "sizes 4", "version"] {
            assert_eq!(Origin::parse(bad), None, "{bad:?}");
        }
    }
}
