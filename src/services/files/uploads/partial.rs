//! What is known about an unfinished upload, kept in the name of its file.
//!
//! A rename changes such a name as a whole or not at all, so a crash can leave nothing half written
//! and no second file that could contradict the first. Pure.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::super::hash::hex;
use super::super::name::Name;

/// How many of a hash's bytes tell owners apart.
const OWNER_BYTES: usize = 8;

/// One unfinished upload, written `NAME-OWNER-SIZE-SYNCED-BOOT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Partial {
    /// The hash of the name that it will have.
    pub key: String,
    /// The hash of who sends it.
    pub owner: String,
    /// Its size when it is whole, in bytes; `None` where only the sender's end will tell.
    pub size: Option<u64>,
    /// So many bytes at its beginning were on disk when it was last kept.
    pub synced: u64,
    /// Since which start of the machine it has been written to.
    pub boot: String,
}

/// Names are hashed, since a name of 1,024 bytes does not fit into one part of a path.
pub(super) fn key_of(name: &Name) -> String {
    hex(&Sha256::digest(name.as_bytes()))
}

/// Owners are hashed, since they may hold any bytes.
pub(super) fn owner_of(owner: &[u8]) -> String {
    hex(&Sha256::digest(owner)[..OWNER_BYTES])
}

impl Partial {
    /// Reads a file name; `None` where it is not one of ours.
    pub fn parse(name: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(name).ok()?;
        let mut parts = text.split('-');
        let [key, owner, size, synced, boot] = std::array::from_fn(|_| parts.next());
        let partial = Self {
            key: key?.to_owned(),
            owner: owner?.to_owned(),
            size: match size? {
                "any" => None,
                digits => Some(digits.parse().ok()?),
            },
            synced: synced?.parse().ok()?,
            boot: boot?.to_owned(),
        };
        let is_hash = |text: &str, bytes: usize| {
            text.len() == 2 * bytes && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let hashes = is_hash(&partial.key, 32) && is_hash(&partial.owner, OWNER_BYTES);
        (hashes && partial.to_string() == text).then_some(partial)
    }

    /// How many bytes of a file of `length` bytes are surely what its sender sent.
    ///
    /// While the machine runs, what a killed server wrote is there. After a loss of power only
    /// what had been synced is; behind it a file may hold zeros.
    pub fn sure(&self, length: u64, boot: &str) -> u64 {
        let sure = match !boot.is_empty() && self.boot == boot {
            true => length,
            false => length.min(self.synced),
        };
        sure.min(self.size.unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Partial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-", self.key, self.owner)?;
        match self.size {
            None => f.write_str("any")?,
            Some(size) => write!(f, "{size}")?,
        }
        write!(f, "-{}-{}", self.synced, self.boot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partial() -> Partial {
        Partial {
            key: key_of(&Name::parse(&b"part/".repeat(200)[..999]).expect("a name")),
            owner: owner_of(b"tcp 127.0.0.1"),
            size: Some(u64::MAX),
            synced: 100,
            boot: "f".repeat(32),
        }
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let whole = partial();
        let text = whole.to_string();
        assert!(text.len() < 255, "{} bytes", text.len());
        assert_eq!(Partial::parse(text.as_bytes()), Some(whole.clone()));
        let open = Partial {
            size: None,
            boot: String::new(),
            ..whole
        };
        assert_eq!(Partial::parse(open.to_string().as_bytes()), Some(open));
        for other in [
            "lock",
            "",
            "----",
            "a-b-1-2-c",
            &format!("{text}-"),
            &text[1..],
        ] {
            assert_eq!(Partial::parse(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn after_a_loss_of_power_only_synced_bytes_are_sure() {
        let partial = Partial {
            size: Some(500),
            ..partial()
        };
        let same = "f".repeat(32);
        assert_eq!(partial.sure(300, &same), 300);
        assert_eq!(partial.sure(300, "another"), 100);
        assert_eq!(partial.sure(50, "another"), 50);
        assert_eq!(partial.sure(600, &same), 500);
        let unknown = Partial {
            boot: String::new(),
            ..partial
        };
        assert_eq!(unknown.sure(300, ""), 100);
    }
}
