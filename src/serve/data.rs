//! The directory for what must survive a restart.

use std::env;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;

use crate::exit::words;

/// The directory that was given, else the usual one of this user; it is there afterwards.
///
/// # Errors
/// Names the directory and what is wrong with it.
pub fn directory(given: Option<&Path>) -> Result<PathBuf, String> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => usual(env::var_os("XDG_STATE_HOME"), env::var_os("HOME"))?,
    };
    prepare(&path)?;
    Ok(path)
}

/// `$XDG_STATE_HOME/switchboard`, else `~/.local/state/switchboard`; a relative path there does
/// not count (XDG Base Directory Specification).
fn usual(
    state: Option<std::ffi::OsString>,
    home: Option<std::ffi::OsString>,
) -> Result<PathBuf, String> {
    let absolute = |path: Option<std::ffi::OsString>| {
        path.map(PathBuf::from).filter(|path| path.is_absolute())
    };
    absolute(state)
        .or_else(|| absolute(home).map(|home| home.join(".local/state")))
        .map(|state| state.join("switchboard"))
        .ok_or_else(|| "neither XDG_STATE_HOME nor HOME is set: give --data DIR".to_owned())
}

/// Makes the directory and what is missing above it, with mode 0700; one that is there is left as
/// it is, and must be a directory that can be read and written.
///
/// # Errors
/// Names the directory and what is wrong with it.
pub fn prepare(path: &Path) -> Result<(), String> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    let made = made.map_err(|error| match error.kind() {
        // What is there is something else.
        io::ErrorKind::AlreadyExists => Errno::NOTDIR.into(),
        _ => error,
    });
    made.and_then(|()| {
        access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)?;
        Ok(())
    })
    .map_err(|error| format!("{}: {}", path.display(), words(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_home_comes_first_and_relative_paths_do_not_count() {
        let find = |state: &str, home: &str| usual(Some(state.into()), Some(home.into()));
        assert_eq!(find("/s", "/h"), Ok(PathBuf::from("/s/switchboard")));
        let home = PathBuf::from("/h/.local/state/switchboard");
        assert_eq!(find("s", "/h"), Ok(home));
        assert!(find("", "").unwrap_err().contains("--data"));
    }
}
