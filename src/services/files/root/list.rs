//! What is in a folder, sorted and bounded.
//!
//! Names are read at once, since sorting needs them all; sizes and times are looked up in batches,
//! so that a large folder is many short jobs.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{AtFlags, Dir, FileType, statat};

use super::super::name::check_part;
use super::super::refusal::Refusal;
use crate::config::limits::{LIST_BATCH, LIST_BYTES_MAX, LIST_ENTRIES_MAX, LIST_READ_MAX};

/// One file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name in its folder, which a client could ask for.
    pub name: Box<[u8]>,
    /// What it is.
    pub kind: Kind,
    /// In bytes; 0 for a folder.
    pub size: u64,
    /// The time of its last change in seconds since 1970; negative before.
    pub modified: i64,
}

/// What a listing shows; links, devices and the like are left out, since nobody can fetch them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
}

/// A folder of which entries are still to be looked up.
#[derive(Debug)]
pub struct Listing {
    folder: OwnedFd,
    names: std::vec::IntoIter<Box<[u8]>>,
    /// Whether the folder holds more than a listing may have; the first in order are in it, of the
    /// [`LIST_READ_MAX`] that the system names first.
    pub more: bool,
}

impl Listing {
    /// Reads the names in a folder.
    pub(super) fn of(folder: OwnedFd) -> Result<Self, Refusal> {
        let mut first = First::default();
        for (read, entry) in Dir::read_from(&folder)?.enumerate() {
            let entry = entry?;
            if read >= LIST_READ_MAX {
                first.more = true;
                break;
            }
            let name = entry.file_name().to_bytes();
            let kind = entry.file_type();
            let shown = matches!(
                kind,
                FileType::RegularFile | FileType::Directory | FileType::Unknown
            );
            if shown && check_part(name).is_ok() {
                first.add(name);
            }
        }
        let names: Vec<_> = first.names.into_iter().collect();
        Ok(Self {
            folder,
            names: names.into_iter(),
            more: first.more,
        })
    }

    /// Looks the next entries up, in the order of their names; none are left where it is empty.
    ///
    /// What has vanished meanwhile is passed over.
    ///
    /// # Errors
    /// Why the folder can't be looked into.
    pub fn next_batch(&mut self) -> Result<Vec<Entry>, Refusal> {
        let mut batch = Vec::new();
        for name in self.names.by_ref() {
            match statat(
                &self.folder,
                OsStr::from_bytes(&name),
                AtFlags::SYMLINK_NOFOLLOW,
            ) {
                Err(rustix::io::Errno::NOENT) => {}
                Err(errno) => return Err(errno.into()),
                Ok(stat) => {
                    let kind = match FileType::from_raw_mode(stat.st_mode) {
                        FileType::RegularFile => Kind::File,
                        FileType::Directory => Kind::Folder,
                        _ => continue,
                    };
                    let size = match kind {
                        Kind::File => u64::try_from(stat.st_size).unwrap_or(0),
                        Kind::Folder => 0,
                    };
                    batch.push(Entry {
                        name,
                        kind,
                        size,
                        modified: stat.st_mtime,
                    });
                }
            }
            if batch.len() == LIST_BATCH {
                break;
            }
        }
        Ok(batch)
    }
}

/// The names that come first, as many as may be.
#[derive(Default)]
struct First {
    names: BTreeSet<Box<[u8]>>,
    bytes: usize,
    more: bool,
}

impl First {
    fn add(&mut self, name: &[u8]) {
        let full = self.names.len() == LIST_ENTRIES_MAX;
        if full && self.names.last().is_some_and(|last| name >= &**last) {
            self.more = true;
            return;
        }
        if self.names.insert(name.into()) {
            self.bytes += name.len();
        }
        while self.names.len() > LIST_ENTRIES_MAX || self.bytes > LIST_BYTES_MAX {
            let Some(last) = self.names.pop_last() else {
                break;
            };
            self.bytes -= last.len();
            self.more = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_names_are_kept_however_they_come() {
        let mut first = First::default();
        let count = LIST_ENTRIES_MAX + 10;
        for number in (0..count).rev() {
            first.add(format!("{number:06}").as_bytes());
        }
        assert!(first.more && first.names.len() == LIST_ENTRIES_MAX);
        assert_eq!(first.names.first().map(AsRef::as_ref), Some(&b"000000"[..]));

        let mut first = First::default();
        for number in 0..LIST_BYTES_MAX / 250 + 10 {
            first.add(format!("{number:0250}").as_bytes());
        }
        assert!(first.more && first.bytes <= LIST_BYTES_MAX);
        let bytes: usize = first.names.iter().map(|name| name.len()).sum();
        assert_eq!(first.bytes, bytes);
    }
}
