//! Whether there is room for an upload. Pure: numbers in, a decision out.

use super::super::refusal::Refusal;
use crate::config::limits::{
    PARTIALS_BYTES_MAX, PARTIALS_MAX, UPLOAD_BYTES_MAX, UPLOAD_FREE_BYTES_MIN,
};

/// How much uploads may take, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// One upload.
    pub upload_max: u64,
    /// All unfinished ones together.
    pub partials_max: u64,
    /// What is left free on the file system.
    pub free_min: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            upload_max: UPLOAD_BYTES_MAX,
            partials_max: PARTIALS_BYTES_MAX,
            free_min: UPLOAD_FREE_BYTES_MIN,
        }
    }
}

impl Limits {
    /// These limits where the system lets no file of this process grow beyond `fsize`, if so.
    pub(super) fn beside(self, fsize: Option<u64>) -> Self {
        let upload_max = self.upload_max.min(fsize.unwrap_or(u64::MAX));
        Self { upload_max, ..self }
    }

    /// The most bytes that an upload may have at all.
    pub(super) fn most(&self) -> u64 {
        self.upload_max.min(self.partials_max)
    }
}

/// What there is, in bytes, the upload in question left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Room {
    /// Free on the file system.
    pub free: u64,
    /// Held by other unfinished uploads; of those that run, all that they announced.
    pub held: u64,
    /// Announced by those that run and not written yet.
    pub owed: u64,
    /// How many other unfinished uploads there are.
    pub count: usize,
}

impl Room {
    /// Counts one more unfinished upload.
    pub fn add(&mut self, length: u64, size: Option<u64>, runs: bool) {
        let announced = match runs {
            true => size.unwrap_or(length).max(length),
            false => length,
        };
        self.held = self.held.saturating_add(announced);
        self.owed = self.owed.saturating_add(announced - length);
        self.count += 1;
    }

    /// Whether an upload that has `have` bytes may go on until it has `size`, or, where that was
    /// not said, at all.
    pub fn check(&self, limits: &Limits, have: u64, size: Option<u64>) -> Result<(), Refusal> {
        let size = size.unwrap_or(have).max(have);
        let max = limits.most();
        if size > max {
            return Err(Refusal::TooLarge { max });
        }
        if self.count >= PARTIALS_MAX || self.held.saturating_add(size) > limits.partials_max {
            return Err(Refusal::TooManyPartials);
        }
        let to_come = (size - have).saturating_add(self.owed);
        match to_come.checked_add(limits.free_min) {
            Some(needed) if needed <= self.free => Ok(()),
            _ => Err(Refusal::NoRoom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        upload_max: 100,
        partials_max: 150,
        free_min: 1000,
    };

    #[test]
    fn an_upload_fits_up_to_each_limit_and_no_further() {
        let empty = Room {
            free: 1100,
            ..Room::default()
        };
        assert_eq!(empty.check(&LIMITS, 0, Some(100)), Ok(()));
        let large = Err(Refusal::TooLarge { max: 100 });
        assert_eq!(empty.check(&LIMITS, 0, Some(101)), large);
        assert_eq!(empty.check(&LIMITS, 101, None), large);
        assert_eq!(empty.check(&LIMITS, 0, Some(u64::MAX)), large);
        let small = LIMITS.beside(Some(7));
        assert_eq!(
            empty.check(&small, 0, Some(8)),
            Err(Refusal::TooLarge { max: 7 })
        );
        assert_eq!(LIMITS.beside(None), LIMITS);

        let tight = Room {
            free: 1099,
            ..empty
        };
        assert_eq!(tight.check(&LIMITS, 0, Some(100)), Err(Refusal::NoRoom));
        // What is there already takes no more room.
        assert_eq!(tight.check(&LIMITS, 1, Some(100)), Ok(()));
        let full = Room { free: 999, ..empty };
        assert_eq!(full.check(&LIMITS, 100, Some(100)), Err(Refusal::NoRoom));

        let held = Room { held: 51, ..empty };
        assert_eq!(
            held.check(&LIMITS, 0, Some(100)),
            Err(Refusal::TooManyPartials)
        );
        assert_eq!(held.check(&LIMITS, 0, Some(99)), Ok(()));
        let many = Room {
            count: PARTIALS_MAX,
            ..empty
        };
        assert_eq!(
            many.check(&LIMITS, 0, Some(0)),
            Err(Refusal::TooManyPartials)
        );
    }

    #[test]
    fn those_that_run_count_with_all_they_announced() {
        let mut room = Room {
            free: 1100,
            ..Room::default()
        };
        room.add(10, Some(50), false);
        assert_eq!((room.held, room.owed), (10, 0));
        room.add(10, Some(50), true);
        room.add(7, None, true);
        room.add(u64::MAX, Some(3), true);
        assert_eq!((room.held, room.owed, room.count), (u64::MAX, 40, 4));
        let other = Room { held: 0, ..room };
        assert_eq!(other.check(&LIMITS, 0, Some(61)), Err(Refusal::NoRoom));
        assert_eq!(other.check(&LIMITS, 0, Some(60)), Ok(()));
    }
}
