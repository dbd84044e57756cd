//! When something is sent again, and when the peer is given up. The only thing here that resends.

use std::time::Duration;

use crate::config::limits::{
    TFTP_REPEAT_FIRST, TFTP_REPEAT_LONGEST, TFTP_REPEATS_MAX, TFTP_SILENCE_MAX, TFTP_UNPROVED_MAX,
    TFTP_UNPROVED_REPEATS_MAX,
};

/// The clock of one end of a transfer; all moments are those of the caller.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// As agreed with the peer (RFC 2349): exactly that, without back-off.
    timeout: Option<Duration>,
    /// How often in a row the same was sent again.
    repeats: u32,
    /// When the peer last brought the transfer further.
    advanced: Duration,
    /// When something is due; `None` while the file is waited for, not the peer.
    due: Option<Duration>,
    is_proved: bool,
}

/// What a deadline brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// It was not time.
    Nothing,
    /// What was sent last is to be sent again.
    Repeat,
    /// The peer is given up.
    GiveUp,
}

impl Pace {
    /// Begins; whoever is called has to prove itself, whoever was asked by us has not.
    pub(super) fn new(timeout: Option<Duration>, is_proved: bool, now: Duration) -> Self {
        Self {
            timeout,
            repeats: 0,
            advanced: now,
            due: None,
            is_proved,
        }
    }

    /// A client learns what was agreed on.
    pub(super) fn agree(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.due
    }

    /// The peer has brought the transfer further; says whether it has proved itself by that.
    pub(super) fn advance(&mut self, now: Duration) -> bool {
        self.repeats = 0;
        self.advanced = now;
        !std::mem::replace(&mut self.is_proved, true)
    }

    /// Something was sent that the peer has to answer.
    pub(super) fn wait(&mut self, now: Duration) {
        let doubled = TFTP_REPEAT_FIRST.saturating_mul(1 << self.repeats.min(16));
        let pause = self.timeout.unwrap_or(doubled.min(TFTP_REPEAT_LONGEST));
        self.due = Some(now.saturating_add(pause).min(self.end()));
    }

    /// Only the file is waited for; however long that takes, it is not the peer's silence.
    pub(super) fn rest(&mut self) {
        self.due = None;
    }

    /// The file is there again.
    pub(super) fn rested(&mut self, now: Duration) {
        self.advanced = now;
    }

    /// Whether a peer that has proved itself has said nothing new since, for so long that something
    /// went out again.
    pub(super) fn is_stalled(&self) -> bool {
        self.is_proved && self.repeats > 0
    }

    /// Stays until then.
    pub(super) fn dally(&mut self, until: Duration) {
        self.due = Some(until);
    }

    /// The moment has come, or not; a repeat is counted.
    pub(super) fn expire(&mut self, now: Duration) -> Due {
        if self.due.is_none_or(|due| now < due) {
            return Due::Nothing;
        }
        let most = match self.is_proved {
            true => TFTP_REPEATS_MAX,
            false => TFTP_UNPROVED_REPEATS_MAX,
        };
        if self.repeats >= most || now >= self.end() {
            self.due = None;
            return Due::GiveUp;
        }
        self.repeats += 1;
        Due::Repeat
    }

    /// When the peer's silence has lasted too long.
    fn end(&self) -> Duration {
        let agreed = self.timeout.unwrap_or_default().saturating_mul(3);
        let most = match self.is_proved {
            true => TFTP_SILENCE_MAX.max(agreed),
            false => TFTP_UNPROVED_MAX,
        };
        self.advanced.saturating_add(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds at which something is sent again, and at which the peer is given up.
    fn played(timeout_s: Option<u64>, is_proved: bool) -> (Vec<u64>, u64) {
        let timeout = timeout_s.map(Duration::from_secs);
        let mut pace = Pace::new(timeout, is_proved, Duration::ZERO);
        let mut repeats = Vec::new();
        pace.wait(Duration::ZERO);
        loop {
            let due = pace.deadline().expect("something is due");
            assert_eq!(pace.expire(due - Duration::from_nanos(1)), Due::Nothing);
            match pace.expire(due) {
                Due::Nothing => unreachable!("it is due"),
                Due::Repeat => repeats.push(due.as_secs()),
                Due::GiveUp => return (repeats, due.as_secs()),
            }
            pace.wait(due);
        }
    }

    #[test]
    fn repeats_back_off_until_the_peer_is_given_up() {
        assert_eq!(
            played(None, true),
            (vec![1, 3, 7, 15, 23, 31, 39, 47, 55], 60)
        );
        assert_eq!(played(None, false), (vec![1, 3], 7));
    }

    #[test]
    fn an_agreed_timeout_is_kept_exactly() {
        assert_eq!(played(Some(1), true), ((1..=10).collect(), 11));
        assert_eq!(
            played(Some(6), true),
            ((1..=9).map(|n| 6 * n).collect(), 60)
        );
        assert_eq!(played(Some(255), true), (vec![255, 510], 765));
        assert_eq!(played(Some(6), false), (vec![6, 12], 18));
        assert_eq!(played(Some(255), false), (vec![], 30));
    }

    #[test]
    fn progress_and_the_file_start_the_silence_anew() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(None, false, Duration::ZERO);
        pace.wait(Duration::ZERO);
        assert_eq!(pace.expire(second), Due::Repeat);
        assert!(pace.advance(2 * second), "it has proved itself");
        assert!(!pace.advance(3 * second), "that is said once");
        pace.rest();
        assert_eq!(pace.expire(500 * second), Due::Nothing);
        pace.rested(500 * second);
        pace.wait(500 * second);
        assert_eq!(pace.deadline(), Some(501 * second));
    }
}
