//! The SHA-256 of the beginning of a file, in steps, so that a lane is not held by a large one.

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use sha2::{Digest as _, Sha256};

use super::refusal::Refusal;
use super::root::Opened;
use crate::config::limits::{FILE_READ_BYTES, HASH_STEP_BYTES};

/// What a wire calls the hash; `sha256sum` computes the same.
pub const ALGORITHM: &str = "sha256";

/// A hash that is being computed. It goes to a lane and back until it is done.
pub struct Hashing {
    opened: Opened,
    length: u64,
    done: u64,
    hash: Sha256,
}

/// What one step came to.
pub enum Step {
    /// There is more to be read: give it back to a lane, behind what else waits there.
    More(Box<Hashing>),
    /// The hash, 64 hexadecimal digits.
    Done(String),
}

impl Hashing {
    /// Begins to hash the first `length` bytes of a file, or all of it.
    ///
    /// # Errors
    /// [`Refusal::Beyond`] where it has fewer.
    pub fn new(opened: Opened, length: Option<u64>) -> Result<Self, Refusal> {
        let size = opened.version.size;
        let length = length.unwrap_or(size);
        if length > size {
            return Err(Refusal::Beyond { size });
        }
        Ok(Self {
            opened,
            length,
            done: 0,
            hash: Sha256::new(),
        })
    }

    /// How many bytes have been read, and how many there are to read.
    pub fn progress(&self) -> (u64, u64) {
        (self.done, self.length)
    }

    /// Reads at most [`HASH_STEP_BYTES`] more. `buffer` is the worker's, kept between steps.
    ///
    /// # Errors
    /// [`Refusal::Changed`] where the file is not what it was, or what reading failed with.
    pub fn step(mut self, buffer: &mut Vec<u8>) -> Result<Step, Refusal> {
        buffer.resize(FILE_READ_BYTES, 0);
        let until = self.length.min(self.done.saturating_add(HASH_STEP_BYTES));
        while self.done < until {
            let wanted = usize::try_from(until - self.done).unwrap_or(usize::MAX);
            let room = wanted.min(buffer.len());
            match self.opened.file.read_at(&mut buffer[..room], self.done) {
                // It ended before the size that it had: somebody cut it.
                Ok(0) => return Err(Refusal::Changed),
                Ok(read) => {
                    self.hash.update(&buffer[..read]);
                    self.done += read as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.opened.still_same()?;
        if self.done < self.length {
            return Ok(Step::More(Box::new(self)));
        }
        Ok(Step::Done(hex(&self.hash.finalize())))
    }
}

/// The hash of an upload that is being compared with the one that was announced. It goes to a lane and
/// back, too, beside the upload.
pub struct Comparing {
    expected: String,
    done: u64,
    hash: Sha256,
}

/// What one step of that came to.
pub enum Compared {
    /// There is more to be read.
    More(Box<Comparing>),
    /// The file has that hash.
    Same,
    /// It has another.
    Different,
}

impl Comparing {
    /// Begins; `expected` is 64 digits in lower case.
    pub fn new(expected: String) -> Self {
        Self {
            expected,
            done: 0,
            hash: Sha256::new(),
        }
    }

    /// Reads at most [`HASH_STEP_BYTES`] more of what has come. `buffer` is the worker's.
    ///
    /// # Errors
    /// What reading failed with.
    pub fn step(mut self, file: &File, buffer: &mut Vec<u8>) -> Result<Compared, Refusal> {
        buffer.resize(FILE_READ_BYTES, 0);
        let until = self.done.saturating_add(HASH_STEP_BYTES);
        while self.done < until {
            match file.read_at(buffer, self.done) {
                Ok(0) => {
                    return Ok(match hex(&self.hash.finalize()) == self.expected {
                        true => Compared::Same,
                        false => Compared::Different,
                    });
                }
                Ok(read) => {
                    self.hash.update(&buffer[..read]);
                    self.done += read as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Compared::More(Box::new(self)))
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // A String takes everything.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests;
