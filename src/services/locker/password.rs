//! Passwords: Argon2id hashes of them, as PHC strings, made on the hash threads; and proofs that a
//! password was right, with which the loop need not have it hashed again.
//!
//! No error and no `Debug` here has a byte of a password in it.

use std::fmt;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use rustix::rand::{GetRandomFlags, getrandom};
use zeroize::{Zeroize as _, Zeroizing};

use crate::config::limits::{LOCKER_HASH_KEPT_KIB, LOCKER_HASH_KIB_MAX, LOCKER_HASH_PASSES_MAX};

pub use self::proof::{Proof, Prover};

mod proof;
#[cfg(test)]
mod tests;

/// A password, overwritten when it is dropped. There is no way to compare two.
#[derive(Clone)]
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// A copy of these bytes; whose they are has to overwrite the original.
    pub fn new(bytes: &[u8]) -> Self {
        // A box never grows, so no copy is left behind in memory that was given back.
        Self(Zeroizing::new(bytes.into()))
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.len())
    }
}

/// What a hash costs. The lanes are always 1: more would only help an attacker who has more
/// processors than the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    kib: u32,
    passes: u32,
}

impl Default for Cost {
    fn default() -> Self {
        let [(kib, passes), ..] = EQUALS;
        Self { kib, passes }
    }
}

/// KiB and passes that the OWASP Password Storage Cheat Sheet holds to be as good as each other, and
/// the least that is good; the default first.
const EQUALS: [(u32, u32); 5] = [
    (19_456, 2),
    (47_104, 1),
    (12_288, 3),
    (9_216, 4),
    (7_168, 5),
];

/// The least memory of Argon2 with one lane.
const KIB_MIN: u32 = Params::MIN_M_COST;

impl Cost {
    /// Takes `KIB,PASSES` as in the option `hash=`. The error says what is wrong with the value.
    pub fn parse(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().unwrap_or(u32::MAX))
        };
        let pair = text.split_once(',');
        let numbers = pair.and_then(|(kib, passes)| Some((number(kib)?, number(passes)?)));
        let Some((kib, passes)) = numbers else {
            return Err("is not KIB,PASSES, as 19456,2 is".to_owned());
        };
        Self::new(kib, passes)
    }

    fn new(kib: u32, passes: u32) -> Result<Self, String> {
        if !(KIB_MIN..=LOCKER_HASH_KIB_MAX).contains(&kib) {
            return Err(format!(
                "wants {kib} KiB of memory; it may be {KIB_MIN} to {LOCKER_HASH_KIB_MAX}"
            ));
        }
        if !(1..=LOCKER_HASH_PASSES_MAX).contains(&passes) {
            return Err(format!(
                "wants {passes} passes; it may be 1 to {LOCKER_HASH_PASSES_MAX}"
            ));
        }
        Ok(Self { kib, passes })
    }

    /// Memory of one hash, in KiB.
    #[cfg(test)]
    pub fn kib(self) -> u32 {
        self.kib
    }

    /// Passes over that memory.
    #[cfg(test)]
    pub fn passes(self) -> u32 {
        self.passes
    }

    /// Whether it is less than every choice that OWASP calls good: it has to have as much memory
    /// and as many passes as one of them.
    pub fn is_weak(self) -> bool {
        let reaches = |(kib, passes): &(u32, u32)| self.kib >= *kib && self.passes >= *passes;
        !EQUALS.iter().any(reaches)
    }

    /// Whether `other` asks for more of one and for no less of the other.
    fn is_below(self, other: Self) -> bool {
        self != other && self.kib <= other.kib && self.passes <= other.passes
    }

    fn params(self, output_len: usize) -> Result<Params, String> {
        Params::new(self.kib, self.passes, 1, Some(output_len)).map_err(|error| error.to_string())
    }

    /// As it stands in a record.
    fn written(self) -> Result<ParamsString, String> {
        let params = self.params(OUTPUT_BYTES)?;
        ParamsString::try_from(params).map_err(|error| error.to_string())
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.kib, self.passes)
    }
}

/// Work for a hash thread.
#[derive(Debug)]
pub enum HashJob {
    /// A new password is to be hashed.
    Make {
        /// The new password.
        password: Secret,
    },
    /// A password is to be held against a record.
    Check {
        /// What somebody says is the password.
        password: Secret,
        /// The record, a PHC string.
        phc: String,
    },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashOutcome {
    /// The new record, or why there is none.
    Made(Result<String, String>),
    /// Whether the password was right, or in which way the record is damaged.
    Checked(Result<Checked, String>),
}

/// Of a password that was held against a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// It was wrong.
    Wrong,
    /// It was right.
    Right {
        /// A new record of the same password, where the old one costs less than new ones do.
        better: Option<String>,
    },
}

/// One hash thread's state: the cost of new hashes, and the memory that hashing takes.
pub struct Hasher {
    cost: Cost,
    blocks: Vec<Block>,
}

impl Hasher {
    /// Takes no memory until the first job.
    pub fn new(cost: Cost) -> Self {
        Self {
            cost,
            blocks: Vec::new(),
        }
    }

    /// Does one job. It takes as long as its cost says: 27 ms by default.
    pub fn run(&mut self, job: HashJob) -> HashOutcome {
        match job {
            HashJob::Make { password } => HashOutcome::Made(self.hash(&password)),
            HashJob::Check { password, phc } => HashOutcome::Checked(self.check(&password, &phc)),
        }
    }

    fn check(&mut self, password: &Secret, phc: &str) -> Result<Checked, String> {
        if !self.verify(password, phc)? {
            return Ok(Checked::Wrong);
        }
        // Where the better record cannot be made, the old one still does.
        let better = match is_weaker(phc, self.cost) {
            true => self.hash(password).ok(),
            false => None,
        };
        Ok(Checked::Right { better })
    }

    /// A new record of that password, with a salt of its own.
    pub fn hash(&mut self, password: &Secret) -> Result<String, String> {
        let mut bytes = [0; SALT_BYTES];
        fill_with_random(&mut bytes)?;
        let salt = Salt::new(&bytes).map_err(|error| error.to_string())?;
        let output = self.output(password, &salt, self.cost, OUTPUT_BYTES)?;
        let record = PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: self.cost.written()?,
            salt: Some(salt),
            hash: Some(output),
        };
        Ok(record.to_string())
    }

    /// Whether that password is the one of the record, which says itself what its hash costs.
    pub fn verify(&mut self, password: &Secret, phc: &str) -> Result<bool, String> {
        let record = Record::parse(phc)?;
        let Record { cost, salt, hash } = record;
        // Outputs are compared in constant time.
        Ok(self.output(password, &salt, cost, hash.len())? == hash)
    }

    fn output(
        &mut self,
        password: &Secret,
        salt: &[u8],
        cost: Cost,
        len: usize,
    ) -> Result<Output, String> {
        let params = cost.params(len)?;
        let count = params.block_count();
        self.make_room(count)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut out = Zeroizing::new(vec![0; len]);
        let blocks = self.blocks.as_mut_slice();
        let done = argon2.hash_password_into_with_memory(&password.0, salt, &mut out, blocks);
        // With what is left there a guess could be tested for nearly nothing.
        self.blocks.iter_mut().take(count).for_each(Block::zeroize);
        if self.blocks.len() > LOCKER_HASH_KEPT_KIB {
            self.blocks = Vec::new();
        }
        done.map_err(|error| error.to_string())?;
        Output::new(&out).map_err(|error| error.to_string())
    }

    fn make_room(&mut self, count: usize) -> Result<(), String> {
        let missing = count.saturating_sub(self.blocks.len());
        // A failed allocation would end the server.
        let reserved = self.blocks.try_reserve_exact(missing);
        reserved.map_err(|_| format!("there is no memory for a hash of {count} KiB"))?;
        self.blocks
            .resize(self.blocks.len() + missing, Block::new());
        Ok(())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hasher({}, {} KiB)", self.cost, self.blocks.len())
    }
}

/// Whether that record costs less than `cost`: no more memory, no more passes, and less of one. So a
/// record is only ever made anew when the cost is raised. A damaged record is not weaker.
pub fn is_weaker(phc: &str, cost: Cost) -> bool {
    Record::parse(phc).is_ok_and(|record| record.cost.is_below(cost))
}

/// The least salt that is enough for ever, by RFC 9106.
const SALT_BYTES: usize = 16;

/// Of the hash in a record: 128 bits would do; 256 is what everybody takes.
const OUTPUT_BYTES: usize = 32;

/// Shorter hashes than this are no proof of a password.
const OUTPUT_BYTES_MIN: usize = 16;

/// A PHC string, taken apart and bounded.
struct Record {
    cost: Cost,
    salt: Salt,
    hash: Output,
}

impl Record {
    fn parse(phc: &str) -> Result<Self, String> {
        let damaged = |what: &str| format!("the record of the password is damaged: it {what}");
        let parsed = PasswordHash::new(phc).map_err(|_| damaged("is no PHC string"))?;
        let version = Version::V0x13.into();
        if parsed.algorithm != ARGON2ID_IDENT || parsed.version != Some(version) {
            return Err(damaged("is not of Argon2id, version 19"));
        }
        let params = Params::try_from(&parsed.params)
            .map_err(|_| damaged("has other parameters than Argon2id"))?;
        let cost = Cost::new(params.m_cost(), params.t_cost()).map_err(|what| damaged(&what))?;
        // More lanes, a parameter twice, or in another order.
        if cost.written()? != parsed.params {
            return Err(damaged("has parameters that are never written here"));
        }
        let (Some(salt), Some(hash)) = (parsed.salt, parsed.hash) else {
            return Err(damaged("has no salt or no hash"));
        };
        match hash.len() < OUTPUT_BYTES_MIN {
            true => Err(damaged("has too short a hash")),
            false => Ok(Self { cost, salt, hash }),
        }
    }
}

/// Fills the bytes from the kernel's source, which never runs dry.
fn fill_with_random(bytes: &mut [u8]) -> Result<(), String> {
    let mut filled = 0;
    while filled < bytes.len() {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(more) => filled += more,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(format!("cannot get random bytes: {error}")),
        }
    }
    Ok(())
}
