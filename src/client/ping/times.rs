//! How long answers took, in bounded memory however many there are.

use std::time::Duration;

/// Least, mean and greatest exactly; a percentile to within two percent.
#[derive(Debug)]
pub struct Times {
    /// How many fell into each range of nanoseconds.
    ranges: Vec<u64>,
    count: u64,
    sum_ns: u128,
    min_ns: u64,
    max_ns: u64,
}

/// Every power of two is cut into this many ranges.
const PARTS: u64 = 64;

/// Powers of two below [`PARTS`].
const PARTS_BITS: u32 = PARTS.trailing_zeros();

/// Ranges that 64 bits need.
const RANGES: usize = (u64::BITS - PARTS_BITS + 1) as usize * PARTS as usize;

impl Times {
    pub fn new() -> Self {
        Self {
            ranges: vec![0; RANGES],
            count: 0,
            sum_ns: 0,
            min_ns: u64::MAX,
            max_ns: 0,
        }
    }

    pub fn add(&mut self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.ranges[range_of(ns)] += 1;
        self.count += 1;
        self.sum_ns += u128::from(ns);
        self.min_ns = self.min_ns.min(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    /// `min/avg/max/p99` in milliseconds; `None` where nothing was added.
    pub fn summary(&self) -> Option<String> {
        let mean = self.sum_ns.checked_div(u128::from(self.count))?;
        let mean = u64::try_from(mean).unwrap_or(u64::MAX);
        let [min, avg, max, p99] = [self.min_ns, mean, self.max_ns, self.percentile(99)]
            .map(|ns| ms(Duration::from_nanos(ns)));
        Some(format!("{min}/{avg}/{max}/{p99} ms"))
    }

    /// The time within which that share of the answers came.
    fn percentile(&self, percent: u64) -> u64 {
        // Rounded up: of 100 answers the 99th.
        let rank = (u128::from(self.count) * u128::from(percent)).div_ceil(100);
        let mut seen = 0;
        for (range, count) in self.ranges.iter().enumerate() {
            seen += u128::from(*count);
            if seen >= rank {
                return last_of(range).clamp(self.min_ns, self.max_ns);
            }
        }
        self.max_ns
    }
}

/// A time as it is shown: milliseconds to the microsecond.
pub fn ms(time: Duration) -> String {
    let us = time.as_nanos().saturating_add(500) / 1000;
    format!("{}.{:03}", us / 1000, us % 1000)
}

fn range_of(ns: u64) -> usize {
    if ns < PARTS {
        return ns as usize;
    }
    let shift = ns.ilog2() - PARTS_BITS;
    (u64::from(shift + 1) * PARTS + ((ns >> shift) - PARTS)) as usize
}

/// The greatest time that falls into a range.
fn last_of(range: usize) -> u64 {
    let (power, part) = (range as u64 / PARTS, range as u64 % PARTS);
    match power.checked_sub(1) {
        None => part,
        Some(shift) => ((u128::from(PARTS + part + 1) << shift) - 1) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_every_time_and_lie_side_by_side() {
        for range in 0..RANGES - 1 {
            let last = last_of(range);
            assert_eq!(range_of(last), range, "{last}");
            assert_eq!(range_of(last + 1), range + 1, "{last}");
        }
        assert_eq!(range_of(u64::MAX), RANGES - 1);
        assert_eq!(last_of(RANGES - 1), u64::MAX);
    }

    #[test]
    fn the_summary_is_exact_but_for_the_percentile() {
        let mut times = Times::new();
        assert_eq!(times.summary(), None);
        for us in 1..=1000 {
            times.add(Duration::from_micros(us));
        }
        let summary = times.summary().unwrap();
        let (exact, p99) = summary.trim_end_matches(" ms").rsplit_once('/').unwrap();
        assert_eq!(exact, "0.001/0.501/1.000");
        let p99: f64 = p99.parse().unwrap();
        assert!((0.990..=1.0).contains(&p99), "{p99}");
    }

    #[test]
    fn times_are_shown_to_the_microsecond() {
        assert_eq!(ms(Duration::from_nanos(123_499)), "0.123");
        assert_eq!(ms(Duration::from_millis(12_345)), "12345.000");
    }
}
