//! One bounded turn of a source: flush waiting output, read once, deliver an expired deadline.
//!
//! Reading comes before the deadline: what had arrived when the deadline passed counts as having
//! come in time, also after the process was stopped for a while.

use log::trace;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::Reactor;
use super::buffer::Inbound;
use super::connection::{Connection, Intake, Phase};
use super::hex::Said;
use super::sources::Source;
use super::stream;
use crate::config::limits::{KEPT_BYTES_MAX, LINGER_BYTES_MAX, LINGER_DRAINING, READ_BYTES_MAX};
use crate::service::{Call, CloseReason, Hosted, Moment, SourceId};

/// What one read gave.
pub(super) enum Got {
    /// Nothing: it would have blocked, or the connection failed.
    Nothing,
    /// The end of the stream.
    End,
    /// That many bytes, behind those kept.
    Bytes(usize),
}

impl Reactor {
    /// Gives one source its turn.
    pub(super) fn turn(&mut self, id: SourceId) {
        if self.turn_plainly(id) {
            return;
        }
        match self.sources.get_mut(id) {
            None | Some(Source::Timer) => {}
            Some(Source::Signals(signals)) => {
                let pending = signals.pending().collect();
                self.take_signals(pending);
            }
            Some(Source::Console(console)) => {
                console.queued = false;
                self.turn_console(id);
            }
            Some(Source::Waker) => {
                self.take_started();
                if self.take_results() | self.take_file_results() {
                    self.run_queue.push(id, &mut false);
                }
                if let Some(console) = self.console {
                    self.turn_console(console);
                }
            }
            Some(Source::Program(program)) => {
                program.queued = false;
                self.reap(id);
            }
            Some(Source::ProgramLog(log)) => {
                log.queued = false;
                self.read_stderr(id);
            }
            Some(Source::Listener(listener)) => {
                listener.queued = false;
                self.accept(id);
            }
            Some(Source::Datagram(_)) => self.turn_datagrams(id),
            Some(Source::Connection(c)) => {
                c.queued = false;
                let kept_before = c.kept();
                self.turn_connection(id);
                self.conclude(id, kept_before);
            }
        }
    }

    fn turn_connection(&mut self, id: SourceId) {
        let crowded = self.kept > KEPT_BYTES_MAX;
        let Some(c) = self.sources.connection(id) else {
            return;
        };
        if c.wants_write() {
            self.flush(id);
        }
        self.turn_receiving(id);
        let Some(c) = self.sources.connection(id) else {
            return;
        };
        if c.wants_offer() {
            self.offer_again(id);
        }
        let Some(c) = self.sources.connection(id) else {
            return;
        };
        if c.wants_read(crowded) {
            match c.phase {
                Phase::Open if c.receives() => self.read_for_file(id),
                Phase::Open => self.read(id),
                Phase::Flushing | Phase::Lingering => self.discard(id),
                Phase::HandedOver | Phase::Dead => {}
            }
        }
        self.end_turn(id);
    }

    /// What comes behind the read: the peer may have gone altogether, or a deadline may have come.
    pub(super) fn end_turn(&mut self, id: SourceId) {
        if let Some(c) = self.sources.connection(id)
            && (!c.reads || c.input_ended)
            && c.phase == Phase::Open
        {
            c.look_for_end();
        }
        self.expire(id);
    }

    /// Reads once and offers what came, behind what was kept.
    fn read(&mut self, id: SourceId) {
        let inbox = &mut self.inbox;
        let Some(c) = self.sources.connection(id) else {
            return;
        };
        let kept = c.inbound.take().map_or(0, |inbound| {
            inbox[..inbound.bytes.len()].copy_from_slice(&inbound.bytes);
            inbound.bytes.len()
        });
        let got = c.read_into(&mut inbox[kept..kept + READ_BYTES_MAX]);
        self.offer(id, kept, got);
    }

    /// Offers what one read gave, behind what was kept.
    pub(super) fn offer(&mut self, id: SourceId, kept: usize, got: Got) {
        let Self {
            sources,
            inbox,
            services,
            effects,
            now,
            operator,
            ..
        } = self;
        let Some(c) = sources.connection(id) else {
            return;
        };
        let served = &mut services[usize::from(c.service)];
        let call = c.call(id, *now, *operator, effects);
        match got {
            Got::Nothing => {
                c.keep(&inbox[..kept]);
                return;
            }
            Got::End => served.host.end_of_input(c.session, &inbox[..kept], call),
            Got::Bytes(count) => {
                trace!(
                    target: "switchboard",
                    "{} #{} receives{}",
                    served.entry.name,
                    c.number,
                    Said { bytes: &inbox[kept..kept + count], secret: served.entry.secret }
                );
                let input = &inbox[..kept + count];
                let used = served.host.receive(c.session, input, call);
                if used > 0 {
                    c.active_at = *now;
                }
                c.keep(&input[used..]);
            }
        }
        self.settle(id);
    }

    /// Reads once, for the file that takes what comes.
    fn read_for_file(&mut self, id: SourceId) {
        let Self {
            sources,
            inbox,
            now,
            ..
        } = self;
        let Some(c) = sources.connection(id) else {
            return;
        };
        let missing = c.receiving().map_or(0, |file| file.missing());
        let want = usize::try_from(missing)
            .unwrap_or(usize::MAX)
            .min(READ_BYTES_MAX);
        let got = c.read_into(&mut inbox[..want]);
        let Some(file) = c.receiving() else {
            return;
        };
        match got {
            Got::Nothing => {}
            Got::End => file.cut(),
            Got::Bytes(count) => {
                file.take(&inbox[..count]);
                c.active_at = *now;
            }
        }
        self.turn_receiving(id);
    }

    /// Throws away what a closing connection's peer still sends.
    fn discard(&mut self, id: SourceId) {
        let draining = self.is_draining();
        let now = self.now;
        let Self { sources, inbox, .. } = self;
        let Some(c) = sources.connection(id) else {
            return;
        };
        match c.read_into(&mut inbox[..READ_BYTES_MAX]) {
            Got::Nothing => {}
            // Once all is sent, and the peer has ended too, nothing is left to wait for.
            Got::End if c.outbound.is_none() => c.phase = Phase::Dead,
            Got::End => {}
            Got::Bytes(count) => {
                c.discarded = c
                    .discarded
                    .saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
                if c.phase == Phase::Lingering {
                    if c.discarded >= LINGER_BYTES_MAX {
                        c.phase = Phase::Dead;
                    } else if draining {
                        // The peer is not quiet: it gets a little more, within the grace.
                        c.deadline = now.after(LINGER_DRAINING);
                    }
                }
            }
        }
    }

    /// Delivers a deadline that has come: the session's, the idle limit's, or the linger's.
    fn expire(&mut self, id: SourceId) {
        let (idle, now) = (self.settings.idle_timeout, self.now);
        let Some(c) = self.sources.connection(id) else {
            return;
        };
        // What was closed in this turn, perhaps after a long wait for us, owes its peer nothing.
        let ends = c.phase == Phase::Flushing && c.outbound.is_none();
        if ends || c.next_deadline(idle) > now {
            return;
        }
        match c.phase {
            Phase::Open if c.deadline <= now => {
                c.deadline = Moment::NEVER;
                self.call_session(id, |host, session, call| host.deadline(session, call));
                self.offer_again(id);
            }
            // Output that makes no progress will not make any more of it.
            Phase::Open if c.outbound.is_some() => c.abort(CloseReason::NotRead),
            Phase::Open => c.close(CloseReason::IdleTimeout),
            Phase::Flushing => {
                c.reason = Some(CloseReason::NotRead);
                c.phase = Phase::Dead;
            }
            Phase::Lingering => c.phase = Phase::Dead,
            Phase::HandedOver | Phase::Dead => {}
        }
    }

    /// Offers what a session had left unused: after a deadline it may read it differently, and once
    /// it has resumed it goes on there.
    fn offer_again(&mut self, id: SourceId) {
        let Self {
            sources,
            services,
            effects,
            now,
            operator,
            ..
        } = self;
        let Some(c) = sources.connection(id) else {
            return;
        };
        if c.phase != Phase::Open || c.input_ended || c.intake == Intake::Paused {
            return;
        }
        c.intake = Intake::Flowing;
        let Some(inbound) = c.inbound.take() else {
            return;
        };
        let host = &mut services[usize::from(c.service)].host;
        let call = c.call(id, *now, *operator, effects);
        let used = host.receive(c.session, &inbound.bytes, call);
        if used > 0 {
            c.active_at = *now;
        }
        c.keep(&inbound.bytes[used..]);
        self.settle(id);
    }

    /// Tells a session that the server is going down.
    pub(super) fn tell(&mut self, id: SourceId) {
        let Some(c) = self.sources.connection(id) else {
            return;
        };
        if c.phase != Phase::Open {
            return;
        }
        let kept_before = c.kept();
        self.call_session(id, |host, session, call| host.shutting_down(session, call));
        self.conclude(id, kept_before);
    }

    /// Calls the session of a connection, and settles what it asks for.
    pub(super) fn call_session(
        &mut self,
        id: SourceId,
        callback: impl FnOnce(&mut dyn Hosted, u32, Call<'_>),
    ) {
        let Self {
            sources,
            services,
            effects,
            now,
            operator,
            ..
        } = self;
        let Some(c) = sources.connection(id) else {
            return;
        };
        let host = &mut *services[usize::from(c.service)].host;
        callback(host, c.session, c.call(id, *now, *operator, effects));
        self.settle(id);
    }
}

impl Connection {
    /// One read.
    fn read_into(&mut self, buffer: &mut [u8]) -> Got {
        let got = self
            .stream
            .socket()
            .and_then(|it| stream::receive(it, buffer));
        self.note_read(got, buffer.len())
    }

    /// Notes what a read of at most `size` came to. Keeps the rules of edge-triggered readiness:
    /// `readable` is cleared only where nothing can be left, and after a hint that the stream ends a
    /// short read is no such sign.
    pub(super) fn note_read(&mut self, got: Result<usize, Errno>, size: usize) -> Got {
        match got {
            Ok(0) => {
                (self.input_ended, self.readable) = (true, false);
                return Got::End;
            }
            Ok(count) => {
                self.bytes_in += count as u64;
                self.readable = count == size || self.exhaust;
                return Got::Bytes(count);
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => (self.readable, self.exhaust) = (false, false),
            Err(errno) => self.fail(CloseReason::from_errno(Some(errno.raw_os_error()))),
        }
        Got::Nothing
    }

    /// Ends a connection that is not read, or no longer, where its peer is gone altogether: it broke
    /// off, or on a Unix socket closed without leaving anything to read. On TCP a close looks like
    /// the end of the writing, and whoever ended only that may still be waiting for an answer.
    fn look_for_end(&mut self) {
        if !std::mem::take(&mut self.exhaust) {
            return;
        }
        let Ok(socket) = self.stream.socket() else {
            return;
        };
        let mut state = [PollFd::new(&socket, PollFlags::empty())];
        let gone = PollFlags::HUP | PollFlags::ERR;
        if poll(&mut state, Some(&Timespec::default())).is_err()
            || !state[0].revents().intersects(gone)
        {
            return;
        }
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let broke_off = self.input_ended && state[0].revents().contains(PollFlags::ERR);
        match recv(socket, &mut [0_u8; 1], flags) {
            // Behind the end of the writing the kernel goes on to say that, and no error.
            Ok((_, 0)) if broke_off => {
                self.fail(CloseReason::from_errno(Some(
                    Errno::CONNRESET.raw_os_error(),
                )));
            }
            Ok((_, 0)) => self.close(CloseReason::ClientEnded),
            // Something is left: that is for whoever will read it, and so is what follows.
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => self.fail(CloseReason::from_errno(Some(errno.raw_os_error()))),
        }
    }

    /// Keeps input that the session has not used; `settle` looks whether it is too much.
    pub(super) fn keep(&mut self, rest: &[u8]) {
        if !rest.is_empty() && self.phase == Phase::Open {
            self.inbound = Some(Box::new(Inbound {
                bytes: rest.to_vec(),
                file: None,
            }));
        }
    }
}
