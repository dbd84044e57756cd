//! The wall clock, which this file alone reads.
//!
//! The store runs on a lane and not on the loop, and what it keeps must mean something after a
//! restart. Nothing within a run is decided by it but how often a sick disk is tried again.

use std::time::{Duration, UNIX_EPOCH};

use crate::config::limits::LOCKER_REPEAT;

/// Says how many milliseconds have passed since 1970; tests say what they like.
pub(super) type Clock = Box<dyn FnMut() -> i64 + Send>;

/// The clock of the system.
pub(super) fn system() -> Clock {
    Box::new(|| {
        // A clock before 1970 stands at 0.
        let since = UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO);
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// What is left of the time in which a retrieve is repeated; nothing if the clock went back.
pub(super) fn repeat_left(freed_ms: Option<i64>, now_ms: i64) -> Duration {
    let age = freed_ms.and_then(|freed| u64::try_from(now_ms.checked_sub(freed)?).ok());
    match age {
        Some(age) => LOCKER_REPEAT.saturating_sub(Duration::from_millis(age)),
        None => Duration::ZERO,
    }
}
