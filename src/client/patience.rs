//! How long a client still waits for its server. The only clock of the clients.

use std::time::{Duration, Instant};

/// A timeout that starts anew whenever the server does something.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    timeout: Duration,
    since: Instant,
}

impl Patience {
    /// Waits for `timeout` from now; zero waits without end.
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            since: Instant::now(),
        }
    }

    /// Starts anew.
    pub fn renew(&mut self) {
        self.since = Instant::now();
    }

    /// That much of it at most.
    pub fn part(self, timeout: Duration) -> Self {
        let bounded = !self.timeout.is_zero();
        let left = self.left().map_or(timeout, |left| left.min(timeout));
        Self::new(match bounded && left.is_zero() {
            // Zero would be without end.
            true => Duration::from_nanos(1),
            false => left,
        })
    }

    /// What is left of it; `None` waits without end, zero is its end.
    pub fn left(&self) -> Option<Duration> {
        let bounded = !self.timeout.is_zero();
        bounded.then(|| self.timeout.saturating_sub(self.since.elapsed()))
    }
}

/// A moment, and how long ago it is.
#[derive(Debug, Clone, Copy)]
pub struct Since(Instant);

impl Since {
    /// This moment.
    pub fn now() -> Self {
        Self(Instant::now())
    }

    /// How long ago it is.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
