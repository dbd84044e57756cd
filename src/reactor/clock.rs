//! The only reader of the clock in the server.

use std::time::Instant;

use crate::service::Moment;

/// Moments since the loop began, on the monotonic clock.
pub(super) struct Clock {
    began: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    /// Moves the clock.
    #[cfg(test)]
    pub(super) fn skip(&mut self, by: std::time::Duration) {
        self.began -= by;
    }

    pub(super) fn now(&self) -> Moment {
        Moment::ZERO.after(self.began.elapsed())
    }
}
