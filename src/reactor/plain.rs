//! The common turn of a connection: one read, one answer, one write, and nothing left.
//!
//! It does what `turn`, `settle` and `conclude` would do, for a connection that keeps nothing and an
//! answer that is nothing but bytes, with the connection looked up once. Whatever else comes up is
//! left to them at the point where it came up. What it saves is in docs/PERFORMANCE.md.
//!
//! **In place.** Where nobody stands in the queue, an event of such a connection is its turn at once,
//! without a place in the queue. It is the turn that it would have had, in the order that it would
//! have had it in:
//!
//! - Who is served in place is at the head of an empty queue. The first event that can't be is marked
//!   and stands in the queue, and from then on all are; so nobody is overtaken.
//! - It is one turn, as bounded as any. What it puts into the queue, most of all itself where it has
//!   not read all, stands behind everybody who had an event or a deadline in this iteration.
//! - What had arrived when a deadline passed counts as in time: it is read before the deadlines are
//!   looked at. In place that is so by itself. The turn has no deadline to deliver: a session that has
//!   one is not plain, and the idle limit begins anew where something was used.
//! - What it does to others it does by mail, which is delivered after all turns; and the dead are
//!   buried after them, so no event can find its source replaced.

use std::ops::Range;
use std::time::Duration;

use log::{Level, log_enabled};
use mio::Events;
use mio::event::Event;

use super::Reactor;
use super::connection::{Connection, Intake, Phase};
use super::sources::{self, Source};
use super::timers::Timers;
use super::turn::Got;
use crate::config::limits::{
    EVENTS_PER_POLL, READ_BYTES_MAX, TURNS_PER_ITERATION, WRITE_BYTES_MAX,
};
use crate::service::SourceId;

// Turns in place are no more than events, so they are within what one iteration gives.
const _: () = assert!(EVENTS_PER_POLL <= TURNS_PER_ITERATION);

/// How far the common turn came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    /// It is not such a connection: nothing was done.
    No,
    /// The read was done, and what it caused is settled; the end of the turn is left.
    Read,
    /// That was the turn.
    Whole,
}

/// What became of the events of one poll.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Taken {
    /// Turns that were given in place.
    pub turns: usize,
    /// Sources at the head of the queue that have had their turn, and wait for the next one.
    pub served: usize,
}

impl Reactor {
    /// Takes the events of one poll: in place as long as that can be, then by marking them.
    pub(super) fn take_events(&mut self, events: &Events) -> Taken {
        let mut taken = Taken::default();
        let mut events = events.iter();
        if self.run_queue.is_empty() && !shows_bytes() {
            for event in events.by_ref() {
                let id = sources::id(event.token());
                let turn = match is_input(event) {
                    true => self.exchange::<true>(id),
                    false => Plain::No,
                };
                match turn {
                    Plain::Whole => {
                        taken.turns += 1;
                        continue;
                    }
                    Plain::Read => {
                        taken.turns += 1;
                        self.end_plainly(id);
                        taken.served = self.run_queue.len();
                    }
                    Plain::No => self.mark(event),
                }
                if !self.run_queue.is_empty() {
                    break;
                }
            }
        }
        for event in events {
            self.mark(event);
        }
        taken
    }

    /// Gives those in the queue their turns, up to what is left of this iteration's.
    pub(super) fn give_turns(&mut self, taken: Taken) {
        self.run_queue.yield_heads(taken.served);
        let waiting = self.run_queue.len() - taken.served;
        for _ in 0..waiting.min(TURNS_PER_ITERATION - taken.turns) {
            if let Some(id) = self.run_queue.pop() {
                self.turn(id);
            }
        }
    }

    /// Tries the common turn of a source that has left the queue. True if that was its turn.
    pub(super) fn turn_plainly(&mut self, id: SourceId) -> bool {
        if shows_bytes() {
            return false;
        }
        match self.exchange::<false>(id) {
            Plain::No => return false,
            Plain::Read => self.end_plainly(id),
            Plain::Whole => {}
        }
        true
    }

    /// Reads, calls the session and writes, where that is all that there is to do.
    #[inline(always)]
    fn exchange<const IN_PLACE: bool>(&mut self, id: SourceId) -> Plain {
        let Self {
            sources,
            inbox,
            services,
            effects,
            now,
            operator,
            timers,
            settings,
            ..
        } = self;
        let Some(Source::Connection(c)) = sources.get_mut(id) else {
            return Plain::No;
        };
        if !c.is_plain() || !(IN_PLACE || c.readable) {
            return Plain::No;
        }
        debug_assert!(!IN_PLACE || !c.queued, "the queue was empty");
        c.readable = true;
        c.queued = false;
        let host = &mut services[usize::from(c.service)].host;
        let Got::Bytes(count) = c.read_into(&mut inbox[..READ_BYTES_MAX]) else {
            return self.end_of_plain_input(id);
        };
        let (session, call) = (c.session, c.call(id, *now, *operator, effects));
        let used = host.receive(session, &inbox[..count], call);
        if used < count || !effects.is_output_only() || effects.output.len() > WRITE_BYTES_MAX {
            return self.leave_plain(id, 0, used..count);
        }
        c.active_at = *now;
        if !effects.output.is_empty() {
            let sent = c.write_some(&effects.output);
            if sent < effects.output.len() {
                return self.leave_plain(id, sent, used..count);
            }
            effects.clear_output();
        }
        if c.readable {
            return Plain::Read;
        }
        // In place it is armed: only a deadline that has come disarms, and that puts it into the queue.
        if !IN_PLACE {
            c.arm_again(id, timers, settings.idle_timeout);
        }
        Plain::Whole
    }

    /// Goes on in the usual way where `sent` bytes of the answer are written, and that part of the input
    /// was not used.
    #[inline(never)]
    fn leave_plain(&mut self, id: SourceId, sent: usize, unused: Range<usize>) -> Plain {
        let Self {
            sources,
            inbox,
            effects,
            now,
            ..
        } = self;
        if let Some(c) = sources.connection(id) {
            if unused.start > 0 {
                c.active_at = *now;
            }
            effects.output.drain(..sent);
            c.keep(&inbox[unused]);
        }
        self.settle(id);
        Plain::Read
    }

    /// The read found nothing, or the end.
    #[cold]
    fn end_of_plain_input(&mut self, id: SourceId) -> Plain {
        if self.sources.connection(id).is_some_and(|c| c.input_ended) {
            self.call_session(id, |host, session, call| {
                host.end_of_input(session, &[], call)
            });
        }
        Plain::Read
    }

    /// The end of a turn that was not whole: as of any other.
    fn end_plainly(&mut self, id: SourceId) {
        self.end_turn(id);
        // It kept nothing when its turn began.
        self.conclude(id, 0);
    }
}

impl Connection {
    /// Sees that a deadline will come up. What the heap holds comes early enough, if it holds anything.
    #[inline]
    fn arm_again(&mut self, id: SourceId, timers: &mut Timers, idle: Option<Duration>) {
        if !self.armed.is_some() {
            let deadline = self.next_deadline(idle);
            timers.arm(id, deadline, &mut self.armed);
        }
    }

    /// Whether nothing but a read is to be done, once something has come: its session takes input, and
    /// nothing is kept.
    #[inline]
    fn is_plain(&self) -> bool {
        // One load and one comparison for all of these: they stand side by side in this order.
        let flags = [
            u8::from(self.writable),
            u8::from(self.queued),
            u8::from(self.exhaust),
            u8::from(self.input_ended),
            u8::from(self.reads),
            self.watched as u8,
            self.intake as u8,
            self.phase as u8,
        ];
        let all = [0xff, 0, 0xff, 0xff, 0xff, 0, 0xff, 0xff];
        let plain = [1, 0, 0, 0, 1, 0, Intake::Flowing as u8, Phase::Open as u8];
        u64::from_le_bytes(flags) & u64::from_le_bytes(all) == u64::from_le_bytes(plain)
            && self.inbound.is_none()
            && self.outbound.is_none()
            && !self.deadline.is_some()
    }
}

/// Whether the log shows what is sent and received: the common turn does not.
fn shows_bytes() -> bool {
    log_enabled!(target: "switchboard", Level::Trace)
}

/// Whether an event tells of input and of nothing else but room for output.
fn is_input(event: &Event) -> bool {
    event.is_readable() && !(event.is_read_closed() || event.is_error() || event.is_priority())
}
