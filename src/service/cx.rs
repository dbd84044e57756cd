//! What a callback may ask for.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::effects::{Item, Mail, Program};
use super::{
    CloseReason, DeadlineChange, Effects, Ending, Lane, Moment, Peer, ReceiveFile, SendFile,
    Service, SourceId, Transfer,
};

/// The surroundings of one callback: who calls, when, and a way to ask for effects.
///
/// Nothing happens while the callback runs; the effects take place after it, in one place.
pub struct Cx<'a, S: Service> {
    pub(super) id: SourceId,
    pub(super) number: u32,
    pub(super) now: Moment,
    pub(super) peer: &'a Peer,
    pub(super) datagram: bool,
    pub(super) operator: bool,
    pub(super) listeners: &'a [S::Options],
    /// Which of them this connection came by.
    pub(super) listener: u16,
    pub(super) effects: &'a mut Effects,
}

impl<S: Service> Cx<'_, S> {
    /// The connection's id in the reactor.
    pub fn id(&self) -> SourceId {
        self.id
    }

    /// The connection's number in the log; counted up from 1 over all services.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        self.peer
    }

    /// The options of the listener that this connection came by.
    pub fn options(&self) -> &S::Options {
        &self.listeners[usize::from(self.listener)]
    }

    /// Whether the peer speaks in datagrams: each input is one, and each `send` is one.
    pub fn is_datagram(&self) -> bool {
        self.datagram
    }

    /// Whether somebody is at the server's console.
    pub fn operator_present(&self) -> bool {
        self.operator
    }

    /// A way to other sessions of this service and to the operator's terminal.
    pub fn service(&mut self) -> ServiceCx<'_> {
        ServiceCx {
            now: self.now,
            effects: self.effects,
        }
    }

    /// The moment of this iteration; the same for all its callbacks.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// A random number within `range`, each as likely as any other. Not for secrets.
    ///
    /// The numbers of a server follow from its seed and from the order in which they are drawn.
    pub fn random(&mut self, range: RangeInclusive<u64>) -> u64 {
        self.effects.random.within(range)
    }

    /// Sends bytes to the peer, behind all that was sent before. Ignored once closed.
    pub fn send(&mut self, bytes: &[u8]) {
        debug_assert!(
            self.effects.ending.is_none(),
            "nothing is sent after close or abort"
        );
        if self.effects.ending.is_none() {
            match self.datagram {
                true => self.effects.push_datagram(bytes),
                false => self.effects.output.extend_from_slice(bytes),
            }
        }
    }

    /// Sends formatted text to the peer, behind all that was sent before. Ignored once closed.
    pub fn send_text(&mut self, text: fmt::Arguments<'_>) {
        use std::io::Write as _;
        debug_assert!(
            self.effects.ending.is_none(),
            "nothing is sent after close or abort"
        );
        if self.effects.ending.is_none() {
            // Writing to a vector cannot fail.
            let _ = self.effects.output.write_fmt(text);
            if self.datagram {
                self.effects.push_datagram(&[]);
            }
        }
    }

    /// Says that the peer has shown that it receives what it is sent: it has named something that
    /// only its reader could know. Until then an address that speaks in datagrams, which may be
    /// forged, is sent at most three times the bytes that came from it, and gives way to others.
    pub fn peer_is_proved(&mut self) {
        self.effects.proved = true;
    }

    /// Says that the session has done what it was for, and stays only to say so again to a peer that
    /// has not heard it: from now on it gives way to others, proved or not. Of no effect on streams.
    pub fn work_is_done(&mut self) {
        self.effects.done = true;
    }

    /// Gives the connection's socket to a program, as its standard input and output. From then on
    /// the session gets `closed` and nothing else, once the program has ended or could not start;
    /// the peer is told where it could not. Nothing is sent before, and nothing was read:
    /// [`Service::READS`] is false.
    pub fn hand_over(&mut self, program: Program) {
        debug_assert!(!S::READS, "what was read would be lost to the program");
        debug_assert!(self.effects.output.is_empty(), "nothing is sent before");
        self.effects.program.get_or_insert(program);
    }

    /// Sends a range of a file, behind all that was sent before; `transferred` says when it has gone
    /// out. Streams only, and one transfer at a time.
    pub fn send_file(&mut self, range: SendFile) {
        debug_assert!(!self.datagram, "datagrams have blocks of their own");
        self.effects.transfer.get_or_insert(Transfer::Send(range));
    }

    /// Has what the peer sends next written into a file: what this callback leaves unused, and what
    /// follows. `transferred` says when it is written.
    pub fn receive_file(&mut self, range: ReceiveFile) {
        debug_assert!(!self.datagram, "datagrams have blocks of their own");
        self.effects
            .transfer
            .get_or_insert(Transfer::Receive(range));
    }

    /// Hands a job to a lane; what comes of it arrives as [`Service::done`].
    ///
    /// # Errors
    /// Gives the job back where the lane is full.
    pub fn offload<J>(&mut self, lane: &Lane<J>, job: J) -> Result<(), J> {
        lane.push(self.id, job)
    }

    /// Has no input given to this session until it says [`Cx::resume`]: it waits for a job, or
    /// lets the peer wait. What was left unused is kept, the rest stays with the kernel, and so
    /// does the end of the peer's writing. Everything else is delivered. Streams only.
    pub fn pause(&mut self) {
        debug_assert!(!self.datagram, "datagrams can't be kept waiting");
        self.effects.pause = Some(true);
    }

    /// Takes a pause back; what was left unused is offered again at once.
    pub fn resume(&mut self) {
        self.effects.pause = Some(false);
    }

    /// Takes no more of what was offered for now: what this callback leaves unused is offered again
    /// once what was sent has gone out. For a session whose answers are longer than its input.
    pub fn yield_turn(&mut self) {
        self.effects.pause = Some(false);
    }

    /// Bytes that this callback has sent so far.
    pub fn sent(&self) -> usize {
        self.effects.output.len()
    }

    /// Sets the session's one deadline to `after` from now, in place of any earlier one.
    pub fn set_deadline(&mut self, after: Duration) {
        self.effects.deadline = DeadlineChange::Set(self.now.after(after));
    }

    /// Takes the session's deadline back.
    pub fn clear_deadline(&mut self) {
        self.effects.deadline = DeadlineChange::Set(Moment::NEVER);
    }

    /// Sends what is left, ends the writing, and waits a bounded time for the peer to end its own,
    /// so that no reply is lost to a reset. The first close or abort of a callback counts.
    pub fn close(&mut self, reason: CloseReason) {
        self.effects.ending.get_or_insert(Ending::Close(reason));
    }

    /// Ends the connection at once; what has not gone out is lost.
    pub fn abort(&mut self, reason: CloseReason) {
        self.effects.ending.get_or_insert(Ending::Abort(reason));
    }

    /// Ends the connection at once, so that the peer can't take what it has got for all of it: over
    /// TCP by a reset. A Unix socket only ends.
    pub fn reset(&mut self, reason: CloseReason) {
        self.effects.ending.get_or_insert(Ending::Reset(reason));
    }

    /// Whether this callback has closed or aborted already.
    pub fn is_closing(&self) -> bool {
        self.effects.ending.is_some()
    }

    /// Writes a line to the log, at `info`, behind the connection's number and peer.
    ///
    /// Bytes of a peer have to be escaped by the caller ([`Escaped`](crate::wire::Escaped)).
    pub fn note(&mut self, text: fmt::Arguments<'_>) {
        if self.effects.notes_wanted {
            self.effects.notes.push(text.to_string());
        }
    }
}

/// What a service may ask for outside any one session, and for other sessions than the one called.
pub struct ServiceCx<'a> {
    pub(super) now: Moment,
    pub(super) effects: &'a mut Effects,
}

impl ServiceCx<'_> {
    /// The moment of this iteration.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Sends bytes to another session's peer. Whoever has gone gets nothing.
    pub fn send_to(&mut self, other: SourceId, bytes: &[u8]) {
        self.effects.mail.push(Mail {
            to: other,
            item: Item::Bytes(bytes.to_vec()),
        });
    }

    /// Closes another session, behind what it was sent.
    pub fn close_other(&mut self, other: SourceId, reason: CloseReason) {
        self.effects.mail.push(Mail {
            to: other,
            item: Item::Close(reason),
        });
    }

    /// Has `notified` called for another session.
    pub fn notify(&mut self, other: SourceId) {
        self.effects.mail.push(Mail {
            to: other,
            item: Item::Notify,
        });
    }

    /// Hands a job to a lane, for the connection of that id.
    ///
    /// # Errors
    /// Gives the job back where the lane is full.
    pub fn offload<J>(&mut self, lane: &Lane<J>, id: SourceId, job: J) -> Result<(), J> {
        lane.push(id, job)
    }

    /// Prints a line on the operator's terminal. Bytes of a peer have to be escaped by the caller.
    pub fn print(&mut self, line: fmt::Arguments<'_>) {
        self.effects.prints.push(line.to_string());
    }

    /// Writes a line to the log, at `info`.
    pub fn note(&mut self, text: fmt::Arguments<'_>) {
        if self.effects.notes_wanted {
            self.effects.notes.push(text.to_string());
        }
    }
}
