//! Copies the database while it is in use.
//!
//! `VACUUM INTO` and not a copy of the file: opening and closing the file drops the locks of SQLite,
//! and what is in the log would be missing.

use std::fs::File;
use std::path::Path;

use rusqlite::Connection;

use super::files;
use super::trouble::Trouble;

/// As [`write`], but not under a name that SQLite or the store would take for a part of the database.
pub(super) fn write_elsewhere(db: &Connection, path: &Path) -> Result<u64, String> {
    let resolved = files::resolved(path)?;
    let own = db.path().filter(|own| !own.is_empty());
    let name = resolved.to_string_lossy();
    if own.is_some_and(|own| name.starts_with(own)) {
        return Err(format!("{name}: is a name of the database's own files"));
    }
    write(db, path)
}

/// Writes a copy into a new file, synced, and says how many bytes it has. On an error nothing is left.
///
/// Errors are sentences that name the new file; a file that is there already is one.
pub(super) fn write(db: &Connection, path: &Path) -> Result<u64, String> {
    let path = &files::resolved(path)?;
    let Some(name) = path.to_str() else {
        return Err(format!("{}: the name must be UTF-8", path.display()));
    };
    // SQLite takes an empty file for a new one; so it has its mode before it has its contents.
    files::create_new(path).map_err(|error| files::said(path, &error))?;
    let copied = copy(db, path, name);
    if copied.is_err() {
        // The error that matters is the first.
        let _ = files::remove(path);
        let _ = files::remove(&files::beside(path, "-journal"));
    }
    copied
}

fn copy(db: &Connection, path: &Path, name: &str) -> Result<u64, String> {
    db.execute("VACUUM INTO ?1", [name])
        .map_err(|error| format!("{}: {}", path.display(), Trouble::from(error)))?;
    // VACUUM INTO leaves it to the kernel when the copy is written.
    let sync = || {
        let file = File::open(path)?;
        file.sync_all()?;
        files::sync_folder(path)?;
        Ok(file.metadata()?.len())
    };
    sync().map_err(|error: std::io::Error| files::said(path, &error))
}

#[cfg(test)]
mod tests;
