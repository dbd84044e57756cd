//! Random numbers for services: seeded by whoever runs them, so that a run can be had again.

use std::ops::RangeInclusive;

/// A sequence of random numbers that its seed determines. Not for secrets.
#[derive(Debug)]
pub struct Random(fastrand::Rng);

impl Random {
    /// The sequence of this seed.
    pub fn seeded(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// The next number within `range`, each as likely as any other.
    ///
    /// An empty range gives its start.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        match range.is_empty() {
            true => *range.start(),
            // Rejects what a plain remainder would make more likely.
            false => self.0.u64(range),
        }
    }
}

/// The sequence of seed 0, for tests that do not care.
impl Default for Random {
    fn default() -> Self {
        Self::seeded(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_again_and_another_seed_others() {
        let draw = |seed| {
            let mut random = Random::seeded(seed);
            (0..100)
                .map(|_| random.within(1..=1_000_000))
                .collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn every_number_of_the_range_comes_and_no_other() {
        let mut random = Random::seeded(1);
        let mut seen = [false; 6];
        for _ in 0..1_000 {
            let drawn = usize::try_from(random.within(1..=6)).unwrap();
            seen[drawn - 1] = true;
        }
        assert_eq!(seen, [true; 6]);
        assert_eq!(random.within(5..=5), 5);
        #[allow(clippy::reversed_empty_ranges)]
        let empty = 5..=4;
        assert_eq!(random.within(empty), 5);
        random.within(0..=u64::MAX);
    }
}
