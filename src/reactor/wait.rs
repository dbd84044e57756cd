//! How the loop waits: where events come closely it polls for a moment, then it sleeps, and it wakes
//! when the next deadline comes, not up to a millisecond later.
//!
//! **Polling.** Going to sleep and being woken takes longer than a small request. Where the last waits
//! were short, the loop therefore asks the poller again and again for [`Settings::poll_for`] before
//! it sleeps. It learns from what the waits come to: with nothing to do it never polls. Between two
//! questions it gives way to whoever wants the processor; if somebody takes it for long, it leaves
//! polling alone for a while. It does the same for a few waits after a connection was accepted.
//!
//! **Waking in time.** A timeout of the poller is in whole milliseconds, and the kernel adds a slack
//! of a thousandth and more to it (select(2), prctl(2)). A near deadline is therefore the matter of a
//! timer with a descriptor (timerfd_create(2)); to a far one the loop sleeps by a timeout that is too
//! short by more than the slack, so a common request, with none near, has no call for it.
//!
//! [`Settings::poll_for`]: super::Settings::poll_for

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use mio::Events;
use nix::sched::sched_yield;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::Reactor;
use crate::config::limits::{
    ACCEPT_RESTS, NEAR_DEADLINE, POLL_RESTS_MAX, POLL_RESTS_MIN, POLLED_WAIT, POLLED_WAIT_COUNTED,
};
use crate::service::Moment;

/// What the loop has learnt of its waits, and its timer.
#[derive(Debug)]
pub(super) struct Waiting {
    /// How long it polls before it sleeps; zero for never.
    poll_for: Duration,
    /// A moving average of the last waits, each counted as [`POLLED_WAIT_COUNTED`] at most.
    recent: Duration,
    /// Waits that are left without polling, since somebody else wanted the processor.
    rests: u32,
    /// How many that will be the next time.
    rests_next: u32,
    /// Registered by whoever made it.
    timer: OwnedFd,
    /// What the timer is set to.
    timer_at: Moment,
}

/// What polling came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Polled {
    /// An event, or the deadline.
    Done,
    /// Nothing in all the time.
    Nothing,
    /// Somebody else had the processor meanwhile.
    Crowded,
}

/// A timer that is not set; to be registered as [`Source::Timer`](super::sources::Source::Timer).
pub(super) fn timer() -> io::Result<OwnedFd> {
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    Ok(timerfd_create(TimerfdClockId::Monotonic, flags)?)
}

impl Waiting {
    pub(super) fn new(poll_for: Duration, timer: OwnedFd) -> Self {
        Self {
            poll_for,
            recent: POLLED_WAIT_COUNTED,
            rests: 0,
            rests_next: POLL_RESTS_MIN,
            timer,
            timer_at: Moment::NEVER,
        }
    }

    /// Whether the next wait is to begin with polling.
    fn polls(&mut self) -> bool {
        if self.poll_for.is_zero() || self.recent > POLLED_WAIT {
            return false;
        }
        let rests = self.rests > 0;
        self.rests = self.rests.saturating_sub(1);
        !rests
    }

    /// Leaves the next waits without polling, since a connection was accepted: what is saved by polling
    /// is the time of who waits for an answer, and many connections end without another request.
    pub(super) fn rest_after_accept(&mut self) {
        self.rests = self.rests.max(ACCEPT_RESTS);
    }

    /// Learns from a wait that took so long, and from what polling came to before it, if there was
    /// any.
    fn learn(&mut self, took: Duration, polled: Option<Polled>) {
        let counted = match polled {
            // It was for nothing: that weighs twice.
            Some(Polled::Nothing) => took * 2,
            _ => took,
        };
        // In nanoseconds: what a Duration checks takes 50 instructions.
        let nanos = |time: Duration| time.as_nanos() as u64;
        let counted = nanos(counted.min(POLLED_WAIT_COUNTED));
        self.recent = Duration::from_nanos((nanos(self.recent) * 7 + counted) / 8);
        match polled {
            Some(Polled::Crowded) => {
                self.rests = self.rests_next;
                self.rests_next = (self.rests_next * 2).min(POLL_RESTS_MAX);
            }
            // One hit says little: it takes some hundred to forget.
            Some(Polled::Done) => {
                let less = self.rests_next - self.rests_next.div_ceil(64);
                self.rests_next = less.max(POLL_RESTS_MIN);
            }
            Some(Polled::Nothing) | None => {}
        }
    }
}

impl Reactor {
    /// Waits for events, until `until` at most; `began` is now. Returns whether a signal interrupted
    /// it, and the moment of its end.
    pub(super) fn wait(
        &mut self,
        events: &mut Events,
        began: Moment,
        until: Moment,
    ) -> io::Result<(bool, Moment)> {
        if until <= began {
            let interrupted = self.ask_poller(events, began, Some(Duration::ZERO))?;
            return Ok((interrupted, self.clock.now()));
        }
        let mut now = began;
        let mut polled = None;
        let mut interrupted = false;
        if self.waiting.polls() {
            let outcome;
            (outcome, interrupted) = self.poll_for_a_moment(events, began, until)?;
            polled = Some(outcome);
            now = self.clock.now();
        }
        if !interrupted && polled != Some(Polled::Done) {
            let timeout = self.timeout(now, until);
            interrupted = self.ask_poller(events, now, timeout)?;
            now = self.clock.now();
        }
        self.waiting.learn(now.since(began), polled);
        Ok((interrupted, now))
    }

    /// Asks the poller again and again; also says whether a signal came between.
    fn poll_for_a_moment(
        &mut self,
        events: &mut Events,
        began: Moment,
        until: Moment,
    ) -> io::Result<(Polled, bool)> {
        let end = began.after(self.waiting.poll_for);
        let mut asked = began;
        loop {
            let interrupted = self.ask_poller(events, asked, Some(Duration::ZERO))?;
            asked = self.clock.now();
            if interrupted || !events.is_empty() || self.has_fresh() || asked >= until {
                return Ok((Polled::Done, interrupted));
            }
            if asked >= end {
                return Ok((Polled::Nothing, false));
            }
            // It can't fail on Linux (sched_yield(2)).
            let _ = sched_yield();
            if self.clock.now().since(asked) > self.waiting.poll_for {
                return Ok((Polled::Crowded, false));
            }
        }
    }

    /// One call of the poller; `now` is when the clock was read last. True if a signal interrupted it,
    /// perhaps that of going on after a stop; what is ready comes with the next call then.
    fn ask_poller(
        &mut self,
        events: &mut Events,
        now: Moment,
        timeout: Option<Duration>,
    ) -> io::Result<bool> {
        let asked = match self.fresh.is_empty() {
            true => self.poll.poll(events, timeout),
            false => self.ask_all(events, now, timeout),
        };
        match asked {
            Ok(()) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                events.clear();
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// How long the poller may sleep until then; `None` where the timer or an event ends it.
    fn timeout(&mut self, now: Moment, until: Moment) -> Option<Duration> {
        if !until.is_some() {
            return None;
        }
        let left = until.since(now);
        if left > NEAR_DEADLINE {
            // The slack is half a hundredth at most; what is left then is near.
            let short = left - left / 128 - Duration::from_millis(1);
            return Some(Duration::from_millis(
                u64::try_from(short.as_millis()).unwrap_or(u64::MAX),
            ));
        }
        match self.set_timer(now, until) {
            true => None,
            false => Some(left),
        }
    }

    /// Sets the timer to that moment; false where the system does not.
    fn set_timer(&mut self, now: Moment, at: Moment) -> bool {
        if self.waiting.timer_at == at && at > now {
            return true;
        }
        let zero = Timespec::default();
        // Zero would stop it.
        let left = at.since(now).max(Duration::from_nanos(1));
        let Ok(left) = Timespec::try_from(left) else {
            return false;
        };
        let time = Itimerspec {
            it_interval: zero,
            it_value: left,
        };
        let set = timerfd_settime(&self.waiting.timer, TimerfdTimerFlags::empty(), &time).is_ok();
        self.waiting.timer_at = if set { at } else { Moment::NEVER };
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLL_FOR: Duration = Duration::from_micros(50);

    fn learnt(waits: &[(u64, Option<Polled>)]) -> Waiting {
        let mut waiting = Waiting::new(POLL_FOR, timer().unwrap());
        for (micros, polled) in waits {
            waiting.learn(Duration::from_micros(*micros), *polled);
        }
        waiting
    }

    #[test]
    fn it_polls_after_short_waits_and_stops_after_long_ones() {
        assert!(
            !Waiting::new(POLL_FOR, timer().unwrap()).polls(),
            "nothing is known yet"
        );
        let mut waiting = learnt(&[(60, None); 20]);
        assert!(waiting.polls());
        for _ in 0..2 {
            waiting.learn(Duration::from_secs(1), Some(Polled::Nothing));
        }
        assert!(!waiting.polls(), "two long waits are enough");
    }

    #[test]
    fn it_does_not_poll_for_what_comes_just_too_late() {
        let mut waiting = learnt(&[(20, None); 40]);
        assert!(waiting.polls());
        for _ in 0..40 {
            waiting.learn(Duration::from_micros(70), Some(Polled::Nothing));
        }
        assert!(!waiting.polls());
    }

    #[test]
    fn it_never_polls_where_it_is_turned_off() {
        let mut waiting = learnt(&[(1, None); 40]);
        waiting.poll_for = Duration::ZERO;
        assert!(!waiting.polls());
    }

    #[test]
    fn it_does_not_poll_between_short_connections() {
        let mut waiting = learnt(&[(20, None); 40]);
        for _ in 0..10 {
            waiting.rest_after_accept();
            for _ in 0..2 {
                assert!(!waiting.polls());
                waiting.learn(Duration::from_micros(20), None);
            }
        }
        for _ in 2..ACCEPT_RESTS {
            assert!(!waiting.polls());
        }
        assert!(waiting.polls(), "those who stay are polled for");
        waiting.learn(Duration::from_micros(10), Some(Polled::Crowded));
        waiting.rest_after_accept();
        for _ in 0..POLL_RESTS_MIN {
            assert!(!waiting.polls(), "the longer rest counts");
        }
        assert!(waiting.polls());
    }

    #[test]
    fn it_rests_longer_and_longer_where_others_want_the_processor() {
        let mut waiting = learnt(&[(10, None); 40]);
        let mut rests = Vec::new();
        for _ in 0..3 {
            assert!(waiting.polls());
            waiting.learn(Duration::from_micros(10), Some(Polled::Crowded));
            let mut count = 0;
            while !waiting.polls() {
                waiting.learn(Duration::from_micros(10), None);
                count += 1;
            }
            rests.push(count);
        }
        assert_eq!(
            rests,
            [POLL_RESTS_MIN, 2 * POLL_RESTS_MIN, 4 * POLL_RESTS_MIN]
        );
        assert!(waiting.polls());
        waiting.learn(Duration::from_micros(10), Some(Polled::Done));
        assert!(
            waiting.rests_next > 4 * POLL_RESTS_MIN,
            "one hit says little"
        );
        for _ in 0..400 {
            waiting.learn(Duration::from_micros(10), Some(Polled::Done));
        }
        assert_eq!(waiting.rests_next, POLL_RESTS_MIN);
    }
}
