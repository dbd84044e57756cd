//! One peer's transport and its state: phases, readiness, what is kept, and its deadlines.
//!
//! No system call is made here. `turn` and `settle` do that; this file says what is true.

use std::time::Duration;

use rustix::process::Pid;

use super::buffer::{Inbound, Outbound};
use super::compact::{Began, Count};
use super::fresh::Watched;
use super::stream::Stream;
use super::transfer::Receiving;
use crate::config::limits::{FLOW_IDLE, INPUT_KEPT_BYTES_MAX, LINGER_BYTES_MAX};
use crate::service::{Call, CloseReason, Effects, Moment, Peer, SourceId};

/// Where a connection stands on its way from `accept` to `bury`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its session is open; input goes to it.
    Open,
    /// A program has its socket, or is being started to have it: the poller does not watch it, and
    /// its session only waits for the program's end.
    HandedOver,
    /// Its session has closed; output is left. Input is thrown away, so that a peer that writes
    /// before it reads can't hold itself and us for ever.
    Flushing,
    /// All is sent and the write side is shut; input is thrown away until the peer ends, so that
    /// no reset overtakes the reply.
    Lingering,
    /// Nothing more happens; it is buried at the end of the iteration.
    Dead,
}

/// Whether a session takes input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intake {
    /// It does.
    Flowing,
    /// Not at present.
    Paused,
    /// Again, and it has not been offered yet what was kept.
    Resumed,
}

/// The key of a session that has closed.
pub(super) const NO_SESSION: u32 = u32::MAX;

/// A peer's connection. Kept small: there may be as many as descriptors.
pub(super) struct Connection {
    pub stream: Stream,
    /// The key of its session in the service's host; [`NO_SESSION`] once that has closed.
    pub session: u32,
    /// Its number in the log.
    pub number: u32,
    /// The place of its service in the reactor's list.
    pub service: u8,
    pub phase: Phase,
    /// Its listener has `notify=usr1`.
    pub notify: bool,
    /// A read may give something: set by events, cleared when a read found nothing more.
    pub readable: bool,
    // The compiler lays these side by side, and `phase` behind them: `plain` compares one word.
    /// It stands in the run queue.
    pub queued: bool,
    /// A write may be taken: cleared when one would have blocked.
    pub writable: bool,
    /// An event said that the peer has ended its writing, an error, or urgent data: from then on a
    /// short read does not mean that nothing is left.
    pub exhaust: bool,
    /// The end of the stream was read.
    pub input_ended: bool,
    /// Its service reads its peers.
    pub reads: bool,
    pub watched: Watched,
    pub intake: Intake,
    /// The program that has, or had, its socket.
    pub program: Option<Pid>,
    /// Why it ended; the first reason counts.
    pub reason: Option<CloseReason>,
    /// Input thrown away since its session closed.
    pub discarded: u32,
    /// Input that the session has not used.
    pub inbound: Option<Box<Inbound>>,
    /// Output that the peer has not taken.
    pub outbound: Option<Box<Outbound>>,
    /// The session's deadline while open, that of the linger while lingering.
    pub deadline: Moment,
    /// What the timer heap holds for it.
    pub armed: Moment,
    /// When it last used input or was taken output, for the idle limit.
    pub active_at: Moment,
    pub opened_at: Began,
    pub bytes_in: Count,
    pub bytes_out: Count,
    pub peer: Peer,
}

// The size that the memory of an idle connection is reckoned with; mio adds an id in debug builds.
#[cfg(not(debug_assertions))]
const _: () = assert!(size_of::<Connection>() <= 112);

impl Connection {
    pub(super) fn new(stream: Stream, peer: Peer, number: u32, service: u8, now: Moment) -> Self {
        Self {
            stream,
            session: NO_SESSION,
            number,
            service,
            phase: Phase::Open,
            readable: false,
            writable: true,
            queued: false,
            exhaust: false,
            input_ended: false,
            watched: Watched::No,
            reads: true,
            intake: Intake::Flowing,
            program: None,
            notify: false,
            reason: None,
            discarded: 0,
            inbound: None,
            outbound: None,
            deadline: Moment::NEVER,
            armed: Moment::NEVER,
            active_at: now,
            opened_at: Began::at(now),
            bytes_in: Count::default(),
            bytes_out: Count::default(),
            peer,
        }
    }

    /// What a callback of this connection's session is told.
    pub(super) fn call<'a>(
        &'a self,
        id: SourceId,
        now: Moment,
        operator: bool,
        effects: &'a mut Effects,
    ) -> Call<'a> {
        Call {
            id,
            number: self.number,
            now,
            peer: &self.peer,
            datagram: self.is_flow(),
            operator,
            effects,
        }
    }

    /// Whether its peer speaks in datagrams.
    pub(super) fn is_flow(&self) -> bool {
        matches!(self.stream, Stream::Flow { .. })
    }

    /// Ends the session in order: what is kept is still sent.
    pub(super) fn close(&mut self, reason: CloseReason) {
        if self.phase == Phase::Open {
            self.phase = Phase::Flushing;
            self.deadline = Moment::NEVER;
            if !self.is_writing_file() {
                self.inbound = None;
            }
            self.reason.get_or_insert(reason);
        }
    }

    /// Ends the connection at once.
    pub(super) fn abort(&mut self, reason: CloseReason) {
        if self.phase != Phase::Dead {
            self.phase = Phase::Dead;
            self.reason.get_or_insert(reason);
        }
    }

    /// Ends the connection at once, so that the peer can't take what it has for all: over TCP by a
    /// reset (`SO_LINGER` of zero, socket(7)). That is why it ended, whatever the server had meant.
    pub(super) fn reset(&mut self, reason: CloseReason) {
        self.stream.break_off();
        self.reason = Some(reason);
        self.abort(reason);
    }

    /// The socket failed, or no more time is given to it. If output was lost by it, that is why the
    /// connection ended, whatever the server had meant to do.
    pub(super) fn fail(&mut self, reason: CloseReason) {
        if self.outbound.is_some() || self.phase == Phase::Open {
            self.reason = Some(reason);
        }
        self.abort(reason);
    }

    /// Bytes of output that the peer has not taken.
    pub(super) fn unsent(&self) -> usize {
        self.outbound
            .as_ref()
            .map_or(0, |outbound| outbound.unsent().len())
    }

    /// Bytes of memory held for this connection's input and output.
    pub(super) fn kept(&self) -> usize {
        self.outbound.as_ref().map_or(0, |outbound| outbound.held())
            + self.inbound.as_ref().map_or(0, |inbound| inbound.held())
    }

    /// Ends the session where it has left more unused than a message may have. One that takes no
    /// input at present has left it for later: that is bounded by what one read gives.
    pub(super) fn bound_input(&mut self) {
        let waits = self.intake != Intake::Flowing;
        let unused = self
            .inbound
            .as_ref()
            .map_or(0, |inbound| inbound.bytes.len());
        if !waits && unused > INPUT_KEPT_BYTES_MAX {
            self.close(CloseReason::InputTooLong);
        }
    }

    /// Applies the water marks to what is unsent now.
    pub(super) fn mark_water(&mut self) {
        if let Some(outbound) = &mut self.outbound {
            outbound.mark_water();
        }
    }

    /// Whether unsent output passed the high-water mark and has not come below the low-water mark.
    fn is_choked(&self) -> bool {
        self.outbound.as_ref().is_some_and(|o| o.choked)
    }

    /// Whether a read is to be tried: there may be something, and there is room for what it causes.
    ///
    /// `crowded` says that all connections together keep too much; then only those that keep no
    /// output are read.
    pub(super) fn wants_read(&self, crowded: bool) -> bool {
        let room = match self.phase {
            Phase::Open => self.reads && !(self.is_choked() || crowded && self.outbound.is_some()),
            Phase::Flushing => self.discarded < LINGER_BYTES_MAX,
            Phase::Lingering => true,
            Phase::HandedOver | Phase::Dead => false,
        };
        let waits = match self.file() {
            _ if self.phase != Phase::Open => false,
            Some(file) => !file.has_room(crowded),
            None => self.intake != Intake::Flowing,
        };
        room && self.readable && !self.input_ended && !waits
    }

    /// Whether its session is to be offered again what it had left unused.
    pub(super) fn wants_offer(&self) -> bool {
        self.phase == Phase::Open
            && self.intake == Intake::Resumed
            && !self.is_choked()
            && !self.receives()
    }

    /// Whether what its peer sends goes into a file.
    pub(super) fn receives(&self) -> bool {
        self.file().is_some()
    }

    fn file(&self) -> Option<&Receiving> {
        self.inbound.as_ref()?.file.as_ref()
    }

    /// Whether the lane is writing into such a file. Until it is done the session is not given back
    /// and the connection not buried, so that nothing is written behind their backs.
    pub(super) fn is_writing_file(&self) -> bool {
        self.file().is_some_and(Receiving::is_writing)
    }

    /// Whether such a file has something to be written, or has all that it will get.
    pub(super) fn wants_file_turn(&self) -> bool {
        self.phase == Phase::Open && self.file().is_some_and(Receiving::wants_turn)
    }

    /// Whether a write is to be tried.
    pub(super) fn wants_write(&self) -> bool {
        let ready = self
            .outbound
            .as_ref()
            .is_some_and(|outbound| outbound.is_ready());
        self.phase != Phase::Dead && ready && self.writable
    }

    /// The nearest of the session's deadline, the idle limit and the linger's.
    ///
    /// While a session has a deadline of its own the connection is not idle: somebody is owed
    /// something. Nor is one that is not read, or whose session pauses: it waits for us. Output that
    /// waits must make progress in any case. A flow whose peer is silent is forgotten in any case: its
    /// address may have been forged. A transfer is ended by its service, which may wait for a slow
    /// disk meanwhile.
    pub(super) fn next_deadline(&self, idle: Option<Duration>) -> Moment {
        if let Stream::Flow { ends_itself, .. } = self.stream
            && self.phase == Phase::Open
        {
            if ends_itself {
                return self.deadline;
            }
            let idle = idle.map_or(FLOW_IDLE, |idle| idle.min(FLOW_IDLE));
            return self.deadline.min(self.active_at.after(idle));
        }
        let idle = idle.map_or(Moment::NEVER, |idle| self.active_at.after(idle));
        let waits_for_us = self.deadline.is_some() || !self.reads || self.intake == Intake::Paused;
        match self.phase {
            Phase::Open if waits_for_us && self.outbound.is_none() => self.deadline,
            Phase::Open => self.deadline.min(idle),
            Phase::Flushing => idle,
            Phase::Lingering => self.deadline,
            Phase::HandedOver | Phase::Dead => Moment::NEVER,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::limits::{HIGH_WATER_BYTES, LOW_WATER_BYTES};
    use mio::net::UnixStream;

    fn connection() -> Connection {
        let (stream, _other) = UnixStream::pair().unwrap();
        let now = Moment::from_nanos(1_000);
        Connection::new(Stream::Unix(stream), Peer::Gone, 1, 0, now)
    }

    fn keep(c: &mut Connection, bytes: usize) {
        let choked = c.is_choked();
        c.outbound = (bytes > 0).then(|| Box::new(Outbound::new(&vec![0; bytes])));
        c.outbound.iter_mut().for_each(|o| o.choked = choked);
        c.mark_water();
    }

    #[test]
    fn reading_stops_at_the_high_water_mark_and_resumes_below_the_low_one() {
        let mut c = connection();
        c.readable = true;
        keep(&mut c, HIGH_WATER_BYTES);
        assert!(c.wants_read(false));
        assert!(
            !c.wants_read(true),
            "crowded: who has output waiting is not read"
        );
        keep(&mut c, HIGH_WATER_BYTES + 1);
        assert!(!c.wants_read(false));
        keep(&mut c, LOW_WATER_BYTES);
        assert!(!c.wants_read(false));
        keep(&mut c, LOW_WATER_BYTES - 1);
        assert!(c.wants_read(false));
        keep(&mut c, 0);
        assert!(c.wants_read(true));
    }

    #[test]
    fn a_session_that_waits_for_its_deadline_is_not_idle() {
        let mut c = connection();
        let idle = Some(Duration::from_nanos(500));
        assert_eq!(c.next_deadline(idle), Moment::from_nanos(1_500));
        assert_eq!(c.next_deadline(None), Moment::NEVER);
        c.deadline = Moment::from_nanos(9_000);
        assert_eq!(c.next_deadline(idle), Moment::from_nanos(9_000));
        keep(&mut c, 1);
        assert_eq!(
            c.next_deadline(idle),
            Moment::from_nanos(1_500),
            "output must make progress"
        );
    }

    #[test]
    fn a_session_that_pauses_is_not_idle() {
        let mut c = connection();
        let idle = Some(Duration::from_nanos(500));
        c.intake = Intake::Paused;
        assert_eq!(c.next_deadline(idle), Moment::NEVER);
        keep(&mut c, 1);
        assert_eq!(c.next_deadline(idle), Moment::from_nanos(1_500));
    }

    #[test]
    fn a_flushing_connection_throws_away_input_up_to_its_limit() {
        let mut c = connection();
        c.readable = true;
        keep(&mut c, HIGH_WATER_BYTES * 2);
        c.close(CloseReason::Answered);
        assert!(c.wants_read(true));
        c.discarded = LINGER_BYTES_MAX;
        assert!(!c.wants_read(false));
        c.fail(CloseReason::Reset);
        assert_eq!(
            c.reason,
            Some(CloseReason::Reset),
            "what was lost is the reason"
        );
    }
}
