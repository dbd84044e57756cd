//! The only place where effects become I/O.
//!
//! `settle` runs after every callback: it writes what was sent, keeps what the peer did not take,
//! and applies the deadline and the ending. `conclude` runs at the end of every turn: it gives the
//! session back when it has closed, moves a closing connection on, and sees that whoever has work
//! left is queued and whoever has a deadline is armed.

use log::{debug, info, log, log_enabled, trace};
use mio::Registry;
use rustix::io::Errno;

use super::Reactor;
use super::buffer::Outbound;
use super::connection::{Connection, Intake, NO_SESSION, Phase};
use super::fresh::Watched;
use super::hex::Said;
use super::sources::token;
use super::stream::{self, Stream};
use crate::config::limits::{KEPT_BYTES_MAX, LINGER, WRITE_BYTES_MAX};
use crate::service::{CloseReason, DeadlineChange, Ending, SourceId, Transfer};

impl Reactor {
    /// Applies what the last callback asked for.
    pub(super) fn settle(&mut self, id: SourceId) {
        self.settle_flow(id);
        let Self {
            sources,
            effects,
            poll,
            services,
            now,
            ..
        } = self;
        if let Some(c) = sources.connection(id) {
            let entry = services[usize::from(c.service)].entry;
            let (name, secret) = (entry.name, entry.secret);
            for note in &effects.notes {
                info!(target: "switchboard", "{name} #{} {}: {note}", c.number, c.peer);
            }
            if !effects.output.is_empty() {
                let said = Said {
                    bytes: &effects.output,
                    secret,
                };
                trace!(target: "switchboard", "{name} #{} sends{said}", c.number);
                if c.send(&effects.output) {
                    c.active_at = *now;
                }
                c.ask(id, poll.registry());
            }
            if let DeadlineChange::Set(deadline) = effects.deadline {
                c.deadline = deadline;
            }
            if let Some(pause) = effects.pause {
                if c.intake == Intake::Paused && !pause {
                    // Its peer had to wait for us until now.
                    c.active_at = *now;
                }
                c.intake = match pause {
                    true => Intake::Paused,
                    false => Intake::Resumed,
                };
            }
            match effects.transfer.take() {
                Some(Transfer::Send(range)) => c.send_file(range),
                Some(Transfer::Receive(range)) => c.receive_file(range),
                None => {}
            }
            c.bound_input();
            match effects.ending {
                Some(Ending::Close(reason)) => c.close(reason),
                Some(Ending::Abort(reason)) => c.abort(reason),
                Some(Ending::Reset(reason)) => c.reset(reason),
                None => {}
            }
        }
        let program = effects.program.take();
        self.post(id);
        if let Some(program) = program {
            self.hand_over(id, &program);
        }
    }

    /// Ends a turn of the connection; `kept_before` is what it kept when the turn began.
    pub(super) fn conclude(&mut self, id: SourceId, kept_before: usize) {
        self.give_back(id);
        let draining = self.is_draining();
        let idle = self.settings.idle_timeout;
        let Self {
            sources,
            now,
            run_queue,
            timers,
            dead,
            kept,
            udp,
            ..
        } = self;
        let Some(c) = sources.connection(id) else {
            return;
        };
        if c.phase == Phase::Flushing && c.outbound.is_none() {
            // Whoever has read the end of the peer's stream has left nothing unread behind.
            if c.input_ended {
                c.phase = Phase::Dead;
            } else if let Err(error) = c.stream.shutdown_write() {
                c.fail(CloseReason::from_errno(error.raw_os_error()));
            } else {
                c.phase = Phase::Lingering;
                c.deadline = now.after(Reactor::linger(draining, LINGER));
            }
        }
        *kept = kept.saturating_sub(kept_before).saturating_add(c.kept());
        if c.phase == Phase::Dead {
            if c.is_writing_file() {
                return;
            }
            let own = match c.stream {
                Stream::Flow { number, .. } => udp.flows.retire(number),
                Stream::Tcp(_) | Stream::Unix(_) => None,
            };
            dead.push(id);
            if let Some(own) = own {
                self.close_own_socket(own);
            }
            return;
        }
        let crowded = *kept > KEPT_BYTES_MAX;
        if c.wants_write() || c.wants_read(crowded) || c.wants_offer() || c.wants_file_turn() {
            run_queue.push(id, &mut c.queued);
        }
        let deadline = c.next_deadline(idle);
        timers.arm(id, deadline, &mut c.armed);
    }

    /// Gives the session back to its service once the connection is no longer open.
    fn give_back(&mut self, id: SourceId) {
        let Self {
            sources,
            services,
            effects,
            now,
            ..
        } = self;
        let Some(c) = sources.connection(id) else {
            return;
        };
        let ended = !matches!(c.phase, Phase::Open | Phase::HandedOver) && !c.is_writing_file();
        if ended && c.session != NO_SESSION {
            // What it lent to a transfer is the session's alone again.
            c.inbound = None;
            c.drop_file();
            let session = std::mem::replace(&mut c.session, NO_SESSION);
            services[usize::from(c.service)]
                .host
                .closed(session, *now, effects);
            if !self.effects.is_empty() {
                self.post(id);
            }
        }
    }

    /// The only place that frees a connection: after the turns, so that no event of it can meet
    /// the next owner of its slot.
    pub(super) fn bury(&mut self) {
        let mut dead = std::mem::take(&mut self.dead);
        let mut buried = false;
        for id in dead.drain(..) {
            let Some(super::sources::Source::Connection(mut c)) = self.sources.remove(id) else {
                continue;
            };
            self.kept = self.kept.saturating_sub(c.kept());
            match c.stream {
                Stream::Flow { number, .. } => {
                    if let Some(own) = self.udp.flows.remove(number) {
                        self.close_own_socket(own);
                    }
                }
                Stream::Tcp(_) | Stream::Unix(_) => {
                    self.live -= 1;
                    self.files.closed(id);
                }
            }
            // Dropping the socket ends its registration too, unless somebody has a copy of it.
            if c.program.is_some() {
                // A failure changes nothing.
                let _ = self.poll.registry().deregister(&mut c.stream);
                // Whatever the program has left behind may hold the socket open for ever.
                let _ = c.stream.shutdown();
            }
            self.log_end(&c);
            buried = true;
        }
        self.dead = dead;
        if buried {
            self.resume_listeners();
        }
        let live = self.live + self.udp.flows.len();
        let Self {
            timers, sources, ..
        } = self;
        timers.sweep(live, |key| {
            sources
                .get(sources.id_at(key))
                .map(super::sources::Source::armed)
        });
    }

    fn log_end(&self, c: &Connection) {
        let Some(reason) = c.reason else { return };
        let name = self.services[usize::from(c.service)].entry.name;
        let lasted = c.opened_at.lasted(self.now).as_secs_f64();
        if c.program.is_some() {
            info!(
                target: "switchboard",
                "{name} #{} {}: closed after {lasted:.3} s, bytes not counted: {reason}",
                c.number, c.peer,
            );
            return;
        }
        // Whoever forges sources could fill the log with flows that gave way.
        let level = match reason {
            CloseReason::Crowded => log::Level::Debug,
            _ => log::Level::Info,
        };
        log!(
            target: "switchboard",
            level,
            "{name} #{} {}: closed after {lasted:.3} s, {} bytes in, {} bytes out: {reason}",
            c.number,
            c.peer,
            c.bytes_in,
            c.bytes_out,
        );
    }
}

impl Connection {
    /// Writes what it can of `bytes`, behind what is kept, and keeps the rest. True if the peer
    /// took any.
    pub(super) fn send(&mut self, bytes: &[u8]) -> bool {
        if self.phase == Phase::Dead {
            return false;
        }
        let mut taken = 0;
        if self.outbound.is_none() && self.writable {
            taken = self.write_some(&bytes[..bytes.len().min(WRITE_BYTES_MAX)]);
        }
        let rest = &bytes[taken..];
        if self.phase != Phase::Dead && !rest.is_empty() {
            match &mut self.outbound {
                Some(outbound) => outbound.push(rest),
                None => self.outbound = Some(Box::new(Outbound::new(rest))),
            }
            self.mark_water();
        }
        taken > 0
    }

    /// Writes one budget of what is kept. True if the peer took any.
    pub(super) fn flush(&mut self) -> bool {
        let Some(mut outbound) = self.outbound.take() else {
            return false;
        };
        let unsent = outbound.unsent();
        let taken = self.write_some(&unsent[..unsent.len().min(WRITE_BYTES_MAX)]);
        outbound.advance(taken);
        if !outbound.is_empty() {
            self.outbound = Some(outbound);
        }
        self.mark_water();
        taken > 0
    }

    /// One write; returns how much was taken.
    pub(super) fn write_some(&mut self, bytes: &[u8]) -> usize {
        loop {
            let sent = self.stream.socket().and_then(|it| stream::send(it, bytes));
            if sent != Err(Errno::INTR) {
                return self.note_write(sent, bytes.len());
            }
        }
    }

    /// Notes what a write of `size` bytes came to, and returns how much was taken: clears `writable`
    /// where it would have blocked, ends the connection where it failed.
    pub(super) fn note_write(&mut self, sent: Result<usize, Errno>, size: usize) -> usize {
        match sent {
            Ok(taken) => {
                self.bytes_out += taken as u64;
                // A stream takes less than it was given only when it is full.
                self.writable = taken == size;
                return taken;
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => self.writable = false,
            Err(errno) => {
                self.write_failed(CloseReason::from_errno(Some(errno.raw_os_error())));
            }
        }
        0
    }

    /// The socket takes no more, and what it had not taken is lost: that is why the connection ended.
    pub(super) fn write_failed(&mut self, reason: CloseReason) {
        self.reason = Some(reason);
        self.phase = Phase::Dead;
    }

    /// Asks the poller for writability while output waits, and no longer: one call each way.
    pub(super) fn ask(&mut self, id: SourceId, registry: &Registry) {
        let needed = self.outbound.is_some();
        let asks = self.watched == Watched::Both;
        if self.phase == Phase::Dead || self.watched == Watched::No || needed == asks {
            return;
        }
        // While a write may still be taken the run queue sees to it; no event is needed yet.
        if needed && self.writable {
            return;
        }
        let interest = self.stream.interest(needed);
        match registry.reregister(&mut self.stream, token(id), interest) {
            Ok(()) if needed => self.watched = Watched::Both,
            Ok(()) => self.watched = Watched::Reading,
            Err(error) => self.fail(CloseReason::from_errno(error.raw_os_error())),
        }
    }
}

/// Says at `debug` that a connection has come.
pub(super) fn log_opening(name: &str, c: &Connection) {
    if log_enabled!(target: "switchboard", log::Level::Debug) {
        debug!(target: "switchboard", "{name} #{} {}: opened", c.number, c.peer);
    }
}
