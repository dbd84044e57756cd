//! The common turn of a connection: one read, one answer, one write, and nothing left.
//!
//! It does what `turn`, `settle` and `conclude` would do, for a connection that keeps nothing and an
//! answer that is nothing but bytes, with the connection looked up once. Whatever else comes up is
//! left to them at the point where it came up. What it saves is in docs/PERFORMANCE.md.

use std::time::Duration;

use log::trace;

use super::Reactor;
use super::connection::{Connection, Intake, Phase};
use super::hex::Said;
use super::sources::Source;
use super::timers::Timers;
use super::turn::Got;
use crate::config::limits::{READ_BYTES_MAX, WRITE_BYTES_MAX};
use crate::service::{Entry, SourceId};

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

impl Reactor {
    /// Tries the common turn.
    pub(super) fn turn_plainly(&mut self, id: SourceId) -> Plain {
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
        if !c.is_plain() {
            return Plain::No;
        }
        c.queued = false;
        let served = &mut services[usize::from(c.service)];
        let got = c.read_into(&mut inbox[..READ_BYTES_MAX]);
        let call = c.call(id, *now, *operator, effects);
        let count = match got {
            Got::Bytes(count) => count,
            Got::Nothing => return Plain::Read,
            Got::End => {
                served.host.end_of_input(c.session, &[], call);
                self.settle(id);
                return Plain::Read;
            }
        };
        let input = &inbox[..count];
        let (entry, number) = (served.entry, c.number);
        let (name, secret) = (entry.name, entry.secret);
        let said = Said {
            bytes: input,
            secret,
        };
        trace!(target: "switchboard", "{name} #{number} receives{said}");
        let used = served.host.receive(c.session, input, call);
        if used > 0 {
            c.active_at = *now;
        }
        let plain =
            used == count && effects.is_output_only() && effects.output.len() <= WRITE_BYTES_MAX;
        let sent = match plain {
            true => c.send_plainly(entry, &effects.output),
            false => 0,
        };
        if !plain || sent < effects.output.len() {
            effects.output.drain(..sent);
            c.keep(&input[used..]);
            self.settle(id);
            return Plain::Read;
        }
        effects.clear_output();
        if c.readable {
            self.run_queue.push(id, &mut c.queued);
        }
        c.arm_again(id, &mut self.timers, self.settings.idle_timeout);
        Plain::Whole
    }
}

impl Connection {
    /// One write of an answer; returns how much of it was taken.
    #[inline]
    fn send_plainly(&mut self, entry: &Entry, output: &[u8]) -> usize {
        if output.is_empty() {
            return 0;
        }
        let taken = self.write_some(output);
        trace!(
            target: "switchboard",
            "{} #{} sends{}",
            entry.name,
            self.number,
            Said { bytes: &output[..taken], secret: entry.secret }
        );
        taken
    }

    /// Sees that a deadline will come up. What the heap holds comes early enough, if it holds anything.
    #[inline]
    fn arm_again(&mut self, id: SourceId, timers: &mut Timers, idle: Option<Duration>) {
        if !self.armed.is_some() {
            let deadline = self.next_deadline(idle);
            timers.arm(id, deadline, &mut self.armed);
        }
    }

    /// Whether nothing but a read is to be done: its session takes input, and nothing is kept.
    fn is_plain(&self) -> bool {
        // Without a branch for each: they stand side by side.
        let open = (self.phase == Phase::Open) & (self.intake == Intake::Flowing);
        let ready = self.readable & self.writable & self.reads & !self.input_ended;
        (open & ready)
            && self.inbound.is_none()
            && self.outbound.is_none()
            && !self.deadline.is_some()
    }
}
