//! Numbers of a connection in as few bytes as they need: there may be very many connections.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use crate::service::Moment;

/// A count of bytes, up to 281 TB; it stays there. The lower half counts alone as long as it can: two
/// instructions, where one of three parts took fourteen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    low: [u8; 4],
    high: [u8; 2],
}

impl Count {
    const MAX: u64 = (1 << 48) - 1;

    fn get(self) -> u64 {
        let high = u64::from(u16::from_ne_bytes(self.high));
        high << 32 | u64::from(u32::from_ne_bytes(self.low))
    }

    /// The lower half has begun anew.
    #[cold]
    fn carry(&mut self) {
        match u16::from_ne_bytes(self.high).checked_add(1) {
            Some(high) => self.high = high.to_ne_bytes(),
            None => self.low = [u8::MAX; 4],
        }
    }

    #[cold]
    fn add_much(&mut self, more: u64) {
        let sum = self.get().saturating_add(more).min(Self::MAX);
        self.low = (sum as u32).to_ne_bytes();
        self.high = ((sum >> 32) as u16).to_ne_bytes();
    }
}

impl AddAssign<u64> for Count {
    #[inline]
    fn add_assign(&mut self, more: u64) {
        let Ok(few) = u32::try_from(more) else {
            return self.add_much(more);
        };
        let (low, carries) = u32::from_ne_bytes(self.low).overflowing_add(few);
        self.low = low.to_ne_bytes();
        if carries {
            self.carry();
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// A moment to the millisecond, up to 34 years after the loop began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Began([u8; 5]);

impl Began {
    pub(super) fn at(moment: Moment) -> Self {
        let [a, b, c, d, e, ..] = (moment.as_nanos() / 1_000_000).to_le_bytes();
        Self([a, b, c, d, e])
    }

    /// How long ago it was, at most a millisecond more.
    pub(super) fn lasted(self, now: Moment) -> Duration {
        let [a, b, c, d, e] = self.0;
        let millis = u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]);
        now.since(Moment::ZERO.after(Duration::from_millis(millis)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_adds_and_stays_at_its_most() {
        let mut count = Count::default();
        let mut sum = 0;
        for more in [1, 65_535, 65_536, u32::MAX.into(), 1 << 33, 0] {
            count += more;
            sum += more;
            assert_eq!(count.to_string(), sum.to_string());
        }
        count += Count::MAX;
        assert_eq!(count.get(), Count::MAX);
        count += 1;
        assert_eq!(count.get(), Count::MAX);
        count += u64::MAX;
        assert_eq!(count.get(), Count::MAX);
    }

    #[test]
    fn a_beginning_is_kept_to_the_millisecond() {
        for nanos in [0, 1, 999_999, 1_000_000, 86_400_000_000_001, 1 << 59] {
            let began = Began::at(Moment::from_nanos(nanos));
            let lasted = began.lasted(Moment::from_nanos(nanos + 5_000_000));
            let error = lasted.saturating_sub(Duration::from_millis(5));
            assert!(error < Duration::from_millis(1), "{nanos}: {lasted:?}");
        }
    }
}
