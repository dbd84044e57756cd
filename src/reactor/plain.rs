//! The common turn of a connection: one read, one answer, one write, and nothing left.
//!
//! It does what `turn`, `settle` and `conclude` would do, for a connection that keeps nothing and an
//! answer that is nothing but bytes, with the connection looked up once. Whatever else comes up is
//! left to them at the point where it came up. An echo takes 190 instructions so, and took 1,325
//! (docs/PERFORMANCE.md, "Echo").
//!
//! **In place.** Where nobody stands in the queue, an event of such a connection is its turn at once,
//! without a place in the queue, which saves 80 of them. It is the turn that it would have had, in the
//! order that it would have had it in:
//!
//! - Who is served in place is at the head of an empty queue. The first event that can't be is marked
//!   and stands in the queue, and from then on all are; so nobody is overtaken.
//! - It is one turn, as bounded as any. Who has more to do after it, because it has not read all,
//!   stands behind everybody who had an event or a deadline in this iteration.
//! - What had arrived when a deadline passed counts as in time: it is read before the deadlines are
//!   looked at. In place that is so by itself. The turn has no deadline to deliver: a session that has
//!   one is not plain, and the idle limit begins anew where something was used.
//! - What it does to others it does by mail, which is delivered after all turns; and the dead are
//!   buried after them, so no event can find its source replaced.

use std::ops::Range;

use log::{Level, log_enabled};
use mio::Events;
use mio::event::Event;
use rustix::io::Errno;

use super::Reactor;
use super::connection::{Connection, Intake, Phase};
use super::fresh::Watched;
use super::sources::{self, Source};
use super::stream;
use crate::config::limits::{
    EVENTS_PER_POLL, READ_BYTES_MAX, TURNS_PER_ITERATION, WRITE_BYTES_MAX,
};
use crate::service::{Call, SourceId};

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
    #[inline(never)]
    pub(super) fn take_events(&mut self, events: &Events) -> Taken {
        let (mut marked, mut served) = (0, 0);
        let mut rest = events.iter();
        if self.run_queue.is_empty() && !shows_bytes() {
            for event in rest.by_ref() {
                let turn = match is_input(event) {
                    true => self.exchange::<true>(sources::id(event.token())),
                    false => Plain::No,
                };
                match turn {
                    Plain::Whole => continue,
                    Plain::Read => {
                        self.end_in_place(sources::id(event.token()));
                        served = self.run_queue.len();
                    }
                    Plain::No => {
                        self.mark(event);
                        marked += 1;
                    }
                }
                if !self.run_queue.is_empty() {
                    break;
                }
            }
        }
        for event in rest {
            self.mark(event);
            marked += 1;
        }
        // Those in place are not counted one by one: that would be 10 instructions of an echo more.
        let turns = events.iter().count() - marked;
        Taken { turns, served }
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
            Plain::Whole => self.arm_again(id),
        }
        true
    }

    /// Sees that the idle limit will come up, where the timer heap holds nothing for the connection: the
    /// limit had come when something was read in time. In place that is left to `mark_due`, which
    /// comes behind it.
    fn arm_again(&mut self, id: SourceId) {
        if let Some(c) = self.sources.connection(id)
            && !c.armed.is_some()
        {
            let deadline = c.next_deadline(self.settings.idle_timeout);
            self.timers.arm(id, deadline, &mut c.armed);
        }
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
            ..
        } = self;
        let Some(Source::Connection(c)) = sources.get_mut(id) else {
            return Plain::No;
        };
        let (true, Ok(socket)) = (c.is_plain::<IN_PLACE>(), c.stream.socket()) else {
            return Plain::No;
        };
        if !IN_PLACE {
            (c.queued, c.readable) = (false, false);
        }
        let host = &mut services[usize::from(c.service)].host;
        let count = match stream::receive(socket, &mut inbox[..READ_BYTES_MAX]) {
            Ok(count @ 1..READ_BYTES_MAX) => count,
            Ok(count) => return self.take_seldom(id, count, None),
            Err(errno) => return self.take_seldom(id, 0, Some(errno)),
        };
        c.bytes_in += count as u64;
        let call = Call {
            id,
            number: c.number,
            now: *now,
            peer: &c.peer,
            datagram: false,
            operator: *operator,
            effects,
        };
        let used = host.receive(c.session, &inbox[..count], call);
        if used != count || !effects.is_output_only() {
            return self.leave(id, used..count);
        }
        c.active_at = *now;
        match effects.output.len() {
            0 => Plain::Whole,
            len @ 1..=WRITE_BYTES_MAX => match stream::send(socket, &effects.output) {
                Ok(sent) if sent == len => {
                    c.bytes_out += len as u64;
                    effects.clear_output();
                    Plain::Whole
                }
                sent => {
                    let taken = c.note_write(sent, len);
                    effects.output.drain(..taken);
                    self.leave(id, count..count)
                }
            },
            _ => self.leave(id, count..count),
        }
    }

    /// Goes on as any turn does, with output that is not sent and a part of the input that may not be
    /// used.
    #[inline(never)]
    fn leave(&mut self, id: SourceId, unused: Range<usize>) -> Plain {
        if let Some(c) = self.sources.connection(id) {
            if unused.start > 0 {
                c.active_at = self.now;
            }
            c.keep(&self.inbox[unused]);
        }
        self.settle(id);
        Plain::Read
    }

    /// A read that gave nothing, the end, or as much as there was room for.
    #[cold]
    fn take_seldom(&mut self, id: SourceId, count: usize, error: Option<Errno>) -> Plain {
        let got = error.map_or(Ok(count), Err);
        if let Some(c) = self.sources.connection(id) {
            // Until now it was taken for read.
            c.readable = true;
            let got = c.note_read(got, READ_BYTES_MAX);
            self.offer(id, 0, got);
        }
        Plain::Read
    }

    /// The end of such a turn in place. A deadline of this very moment would come up in this iteration
    /// again: it waits for the next one in the queue, as it does where the turn comes from there.
    #[inline(never)]
    fn end_in_place(&mut self, id: SourceId) {
        self.end_plainly(id);
        if let Some(c) = self.sources.connection(id)
            && c.armed <= self.now
        {
            self.run_queue.push(id, &mut c.queued);
        }
    }

    /// The end of a turn that was not whole: as of any other.
    fn end_plainly(&mut self, id: SourceId) {
        self.end_turn(id);
        // It kept nothing when its turn began.
        self.conclude(id, 0);
    }
}

impl Connection {
    /// Whether nothing but a read is to be done: its session takes input, and nothing is kept. In
    /// place an event has told of the input, else `readable` does.
    #[inline]
    fn is_plain<const IN_PLACE: bool>(&self) -> bool {
        let watched = match IN_PLACE {
            true => self.watched,
            false => Watched::Reading,
        };
        // They stand side by side, so in place they are one word: that saves 11 instructions.
        let flags = [
            u8::from(self.queued & IN_PLACE),
            u8::from(self.writable),
            u8::from(self.exhaust),
            u8::from(self.input_ended),
            u8::from(self.reads),
            watched as u8,
            self.intake as u8,
            self.phase as u8,
        ];
        let (reading, flowing, open) = (Watched::Reading, Intake::Flowing, Phase::Open);
        flags == [0, 1, 0, 0, 1, reading as u8, flowing as u8, open as u8]
            && (IN_PLACE || self.readable)
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

#[cfg(test)]
mod tests;
