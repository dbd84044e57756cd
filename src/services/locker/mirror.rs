//! The lockers as the store has acknowledged them, in memory, so that most questions need no disk.
//!
//! It is changed by what the store reports and by nothing else, in the order of the commits.

use crate::config::limits::LOCKER_REPEAT;
use crate::service::Moment;

use super::store::{self, Change, Outcome};

/// One locker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Locker {
    pub in_use: bool,
    /// Counts up each time the password is set.
    pub epoch: u64,
    /// The password's hash, of a free locker that of its last owner.
    pub hash: Option<String>,
    /// The password is `0000` since a reset.
    pub is_default: bool,
    pub items: u32,
    /// Until when a repeated retrieve of a free locker is answered.
    pub repeat_until: Moment,
}

impl Locker {
    /// The locker as the store has read it.
    pub(super) fn read(locker: store::Locker, now: Moment) -> Self {
        Self {
            in_use: locker.in_use,
            epoch: locker.epoch,
            hash: locker.hash,
            is_default: locker.is_default,
            items: locker.items,
            repeat_until: match locker.repeat.is_zero() {
                true => Moment::ZERO,
                false => now.after(locker.repeat),
            },
        }
    }

    /// The hash that a password has to fit: that of the owner, or shortly after a retrieve that of
    /// the last one, if it is to take the same items again.
    pub(super) fn lock(&self, retrieves: bool, now: Moment) -> Option<&str> {
        let open = self.in_use || (retrieves && now < self.repeat_until);
        self.hash.as_deref().filter(|_| open)
    }

    /// Takes in what the store has done.
    pub(super) fn apply(&mut self, change: &Change, outcome: &Outcome, now: Moment) {
        match (change, outcome) {
            (Change::Register { hash }, Outcome::Registered { epoch }) => {
                *self = Self {
                    in_use: true,
                    epoch: *epoch,
                    hash: Some(hash.clone()),
                    is_default: false,
                    items: 0,
                    repeat_until: Moment::ZERO,
                };
            }
            (Change::Store { .. }, Outcome::Stored { items }) => self.items = *items,
            (Change::Retrieve { .. }, Outcome::Retrieved { .. }) => {
                self.in_use = false;
                self.items = 0;
                self.is_default = false;
                self.repeat_until = now.after(LOCKER_REPEAT);
            }
            (Change::Reset { hash }, Outcome::Reset { epoch }) => {
                self.epoch = *epoch;
                self.hash = Some(hash.clone());
                self.is_default = true;
            }
            (Change::Rehash { epoch, hash }, Outcome::Rehashed) if *epoch == self.epoch => {
                self.hash = Some(hash.clone());
            }
            _ => {}
        }
    }
}
