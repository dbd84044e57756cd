//! Names for things that come and go: sources, and moments of the loop's clock.

use std::fmt;
use std::time::Duration;

/// A source of the reactor: a slab key and the generation of that key.
///
/// An id outlives its source harmlessly: the key may be used again, but never with the same
/// generation, so a late event or timer finds nothing instead of a stranger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId {
    /// The place in the slab.
    pub key: u32,
    /// How often that place had been given up when this source took it.
    pub generation: u32,
}

impl SourceId {
    /// No source ever: what is reported to it is for the service as a whole.
    pub const NOBODY: Self = Self {
        key: u32::MAX,
        generation: u32::MAX,
    };
}

/// A moment of the loop's monotonic clock: nanoseconds since the loop began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// When the loop began.
    pub const ZERO: Self = Self(0);
    /// Later than every moment: no deadline.
    pub const NEVER: Self = Self(u64::MAX);

    /// Nanoseconds since the loop began; `u64::MAX` for [`Moment::NEVER`].
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The moment `nanos` nanoseconds after the beginning.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// This moment and `later`; [`Moment::NEVER`] where that is out of range (584 years).
    #[must_use]
    pub fn after(self, later: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(later.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// How long from `earlier` to this moment; zero if `earlier` is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Whether this is a deadline at all.
    pub fn is_some(self) -> bool {
        self != Self::NEVER
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_some() {
            true => write!(f, "{:?}", Duration::from_nanos(self.0)),
            false => f.write_str("never"),
        }
    }
}
