//! What is under way between a question and its answer.

use super::ask::Purpose;
use super::guard::{Reservation, Source};
use super::password::{HashOutcome, Proof, Secret};
use super::store::{self, Job, Outcome};

/// What the lanes report.
pub enum Done {
    /// A password was hashed.
    Hashed(Hashing, HashOutcome),
    /// The store has done a job, or refused it.
    Kept(Source, Job, Outcome),
    /// The store has opened its database anew; these are the lockers in it.
    Reread(Vec<store::Locker>),
}

/// What a hash is made for.
pub enum Hashing {
    /// A locker is registered.
    Register { locker: u32, proof: Proof },
    /// A password is looked at.
    Open(Box<Try>),
    /// A locker's password becomes `0000`.
    Reset {
        locker: u32,
        /// The password that it is about: a locker with another one has changed hands.
        epoch: u64,
        actor: String,
    },
}

/// A password that is being looked at.
pub struct Try {
    pub(super) reservation: Reservation,
    pub(super) locker: u32,
    pub(super) epoch: u64,
    pub(super) purpose: Purpose,
    pub(super) proof: Proof,
}

/// A try that waits out a delay.
pub struct Delayed {
    pub(super) tried: Try,
    pub(super) password: Secret,
}

/// An epoch that no locker has.
pub(super) const NO_EPOCH: u64 = u64::MAX;

/// A password that a session has shown: as long as the locker has that epoch it is right.
pub struct Shown {
    pub(super) locker: u32,
    pub(super) epoch: u64,
    pub(super) proof: Proof,
}
