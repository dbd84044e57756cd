//! Which state of a file is meant: one word for clients, and a closer look for a file that is open.
//!
//! On kernels before 6.13 two writes within some milliseconds may leave one time of change, so a
//! version can miss a change: whoever resumes compares the hash of what it has as well.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

/// A file's size, time of its last change and inode, written `SIZE-TIME-INODE`.
///
/// TIME is in nanoseconds since 1970 and, as INODE, hexadecimal; a time before 1970 is written as
/// two's complement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// In bytes.
    pub size: u64,
    modified_ns: u64,
    inode: u64,
}

impl Version {
    /// The version of what was looked up.
    pub fn of(metadata: &Metadata) -> Self {
        let ns = metadata.mtime().wrapping_mul(1_000_000_000);
        Self {
            size: metadata.len(),
            modified_ns: ns.wrapping_add(metadata.mtime_nsec()).cast_unsigned(),
            inode: metadata.ino(),
        }
    }

    /// Reads the word that [`fmt::Display`] writes; `None` for anything else.
    pub fn parse(word: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(word).ok()?;
        let mut parts = text.split('-');
        let version = Self {
            size: parts.next()?.parse().ok()?,
            modified_ns: u64::from_str_radix(parts.next()?, 16).ok()?,
            inode: u64::from_str_radix(parts.next()?, 16).ok()?,
        };
        // One version is one word: no plus signs, no zeros in front, nothing behind.
        (version.to_string() == text).then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:x}-{:x}", self.size, self.modified_ns, self.inode)
    }
}

/// All that tells whether an open file is still what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// What clients are told.
    pub version: Version,
    /// When content, name or rights last changed; no program can set it.
    changed: (i64, i64),
    /// How many names it has.
    links: u64,
}

impl State {
    /// The state of what was looked up.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            version: Version::of(metadata),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            links: metadata.nlink(),
        }
    }

    /// Whether the content is, as far as can be known, that of `before`.
    ///
    /// A file that lost a name has another time of change and the same content: it was removed or
    /// replaced while it was being read, and who has it open reads it to its end.
    pub fn same_content(&self, before: &Self) -> bool {
        let lost_name = self.links < before.links;
        self.version == before.version && (self.changed == before.changed || lost_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_one_word_and_back() {
        let version = Version {
            size: 1024,
            modified_ns: u64::MAX,
            inode: 0xabc,
        };
        assert_eq!(version.to_string(), "1024-ffffffffffffffff-abc");
        assert_eq!(Version::parse(b"1024-ffffffffffffffff-abc"), Some(version));
        let other = Version {
            inode: 0xabd,
            ..version
        };
        assert_ne!(version, other);
    }

    #[test]
    fn other_words_are_no_version() {
        let words: &[&[u8]] = &[
            b"",
            b"-",
            b"--",
            b"1-2",
            b"1-2-3-4",
            b"1-2-3-",
            b"+1-2-3",
            b"01-2-3",
            b"1-A-3",
            b"1- 2-3",
            b"1-10000000000000000-3",
            b"\xff",
        ];
        for word in words {
            assert_eq!(Version::parse(word), None, "{}", word.escape_ascii());
        }
        assert!(Version::parse(b"0-0-0").is_some());
    }
}
