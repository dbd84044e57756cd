//! Where the databases of the bench are: in a folder that the disk keeps, not the memory.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::statfs;
use tempfile::TempDir;

use crate::report::Outcome;

/// What statfs(2) calls the file systems that live in memory: tmpfs and ramfs.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// A folder under the build's, removed in the end.
pub fn folder() -> io::Result<TempDir> {
    tempfile::Builder::new()
        .prefix("lockers-")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
}

/// What the folder is on, in words, and whether that is in memory: a sync there costs nothing.
pub fn described(folder: &Path) -> Outcome<(String, bool)> {
    let magic = statfs(folder)?.f_type as u64;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let folder = folder.canonicalize()?;
    let mut found = None;
    for line in mounts.lines() {
        let mut fields = line.split(' ');
        if let (Some(device), Some(place), Some(kind)) =
            (fields.next(), fields.next(), fields.next())
            && folder.starts_with(place)
        {
            // The last that fits is the one that lies on top.
            found = Some(format!("{kind} on {device}"));
        }
    }
    let found = found.unwrap_or_else(|| "an unknown file system".to_owned());
    let in_memory = IN_MEMORY.contains(&magic);
    Ok((format!("{found} (statfs: {magic:#x})"), in_memory))
}
