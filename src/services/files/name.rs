//! Names of files as a type, and the words of a text line.
//!
//! A name that parsed cannot lead out of a folder by itself and cannot name anything hidden. Links
//! and races are the business of `root.rs`.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::config::limits::{NAME_BYTES_MAX, NAME_PART_BYTES_MAX};

/// The name of a file or folder below the root: parts with `/` between them.
///
/// Bytes are kept as they are: upper and lower case differ, and so do two ways to write one letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// Takes a name as a client wrote it.
    ///
    /// # Errors
    /// What is wrong with it: the first thing that is found.
    pub fn parse(bytes: &[u8]) -> Result<Self, NameError> {
        if bytes.is_empty() {
            return Err(NameError::Empty);
        }
        if bytes.len() > NAME_BYTES_MAX {
            return Err(NameError::Long);
        }
        if bytes[0] == b'/' {
            return Err(NameError::Absolute);
        }
        bytes.split(|byte| *byte == b'/').try_for_each(check_part)?;
        Ok(Self(bytes.into()))
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As the path of a file, relative to the root.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// The folder that it is in, `None` for the root itself, and its last part.
    pub fn split(&self) -> (Option<Self>, &OsStr) {
        match self.0.iter().rposition(|byte| *byte == b'/') {
            None => (None, OsStr::from_bytes(&self.0)),
            Some(at) => {
                let folder = Self(self.0[..at].into());
                (Some(folder), OsStr::from_bytes(&self.0[at + 1..]))
            }
        }
    }
}

/// Whether a client could write this as one part of a name: what can't be written is not listed.
///
/// # Errors
/// What is wrong with it.
pub fn check_part(part: &[u8]) -> Result<(), NameError> {
    if has_controls(part) {
        return Err(NameError::Control);
    }
    match part {
        [] => Err(NameError::EmptyPart),
        b"." | b".." => Err(NameError::Dots),
        [b'.', ..] => Err(NameError::Hidden),
        [b'-', ..] => Err(NameError::Dash),
        _ if part.contains(&b'/') => Err(NameError::EmptyPart),
        _ if part.len() > NAME_PART_BYTES_MAX => Err(NameError::LongPart),
        _ => Ok(()),
    }
}

/// Whether a control character is in it: of ASCII, or, in UTF-8, one of the 32 beyond it.
fn has_controls(part: &[u8]) -> bool {
    let chunks = &mut part.utf8_chunks();
    chunks.any(|chunk| chunk.valid().chars().any(char::is_control))
}

/// What is wrong with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// There is none.
    Empty,
    /// It has too many bytes.
    Long,
    /// It begins with `/`.
    Absolute,
    /// Nothing stands before, between or behind some `/`.
    EmptyPart,
    /// A part is `.` or `..`.
    Dots,
    /// A part begins with `.`.
    Hidden,
    /// A part begins with `-`.
    Dash,
    /// A byte or character that moves cursors or ends lines, or a NUL.
    Control,
    /// A part has too many bytes.
    LongPart,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the name is empty"),
            Self::Long => write!(f, "a name has at most {NAME_BYTES_MAX} bytes"),
            Self::Absolute => f.write_str("a name does not begin with '/'"),
            Self::EmptyPart => f.write_str("a name has no '/' at its end and no two together"),
            Self::Dots => f.write_str("no part of a name is '.' or '..'"),
            Self::Hidden => f.write_str("no part of a name begins with '.'"),
            Self::Dash => f.write_str("no part of a name begins with '-'"),
            Self::Control => f.write_str("a name has no control characters"),
            Self::LongPart => write!(
                f,
                "a part of a name has at most {NAME_PART_BYTES_MAX} bytes"
            ),
        }
    }
}

/// Takes the next word from the front of a line; `None` where only blanks are left.
///
/// Blanks and tabs part words. A word that begins with `"` goes to the next `"`, and may hold
/// blanks. There are no escapes: a `"` in another place is a byte like any other, so a name that
/// begins with `"`, or that holds both a blank and a `"`, cannot be written on a text line.
///
/// # Errors
/// Where a quote is not closed, or is not the end of its word.
pub fn next_word<'a>(line: &mut &'a [u8]) -> Result<Option<&'a [u8]>, WordError> {
    let rest = line.trim_ascii_start();
    let (word, behind) = match rest {
        [] => (None, rest),
        [b'"', quoted @ ..] => {
            let end = quoted.iter().position(|byte| *byte == b'"');
            let (word, behind) = quoted.split_at(end.ok_or(WordError::Open)?);
            let behind = &behind[1..];
            if behind.first().is_some_and(|byte| !is_blank(*byte)) {
                return Err(WordError::Joined);
            }
            (Some(word), behind)
        }
        _ => {
            let end = rest.iter().position(|byte| is_blank(*byte));
            let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
            (Some(word), behind)
        }
    };
    *line = behind;
    Ok(word)
}

/// What may part words: `trim_ascii_start` takes the same away. A line holds no line ends, and the
/// others are no part of a name either.
fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace()
}

/// A name as a text line takes it, in quotes where it needs them; `None` where no way is left.
pub fn written(name: &[u8]) -> Option<Vec<u8>> {
    let quotes = name.contains(&b'"');
    let blanks = name.iter().any(|byte| is_blank(*byte));
    match (blanks || name.is_empty(), quotes) {
        (true, true) => None,
        (true, false) => Some([b"\"", name, b"\""].concat()),
        (false, _) if name.starts_with(b"\"") => None,
        (false, _) => Some(name.to_vec()),
    }
}

/// What is wrong with the words of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordError {
    /// A word begins with a quote and has no other.
    Open,
    /// Something follows a closing quote without a blank.
    Joined,
}

impl fmt::Display for WordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "a name begins with '\"' and does not end with it",
            Self::Joined => "a blank is missing behind '\"'; a name in quotes can hold none itself",
        })
    }
}

#[cfg(test)]
mod tests;
