//! What one callback asked for. Whoever runs the service applies it and clears it.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

use super::{CloseReason, Moment, Random, SourceId, Transfer};

/// Collected by [`super::Cx`] in one callback; reused for every callback, so the common one
/// allocates nothing.
///
/// Most callbacks ask for nothing but output, so that alone stands apart. Everything else is reached
/// through `Deref` as if it stood here too, and whoever changes it passes `deref_mut`, which notes
/// that there is more than output: one flag to be looked at, and none to be forgotten. That is 20 of
/// the instructions of an echo less than to look at each.
#[derive(Debug, Default)]
pub struct Effects {
    /// Bytes for the peer of this session.
    pub output: Vec<u8>,
    /// Whether anybody reads the notes; without it none are made.
    pub notes_wanted: bool,
    /// No effect, but what goes the other way and is kept from callback to callback as well:
    /// where services draw their random numbers.
    pub random: Random,
    more: More,
    /// `more` may hold something.
    has_more: bool,
}

/// What a callback asks for beside output.
#[derive(Debug, Default)]
pub struct More {
    /// Where each datagram ends in `output`; filled only for a peer that speaks in datagrams.
    pub datagrams: Vec<usize>,
    /// What other sessions of the same service are to get.
    pub mail: Vec<Mail>,
    /// Lines for the operator's terminal.
    pub prints: Vec<String>,
    /// A program that is to have the connection's socket.
    pub program: Option<Program>,
    /// The peer of this session has shown that it receives what it is sent.
    pub proved: bool,
    /// The session has done what it was for, and stays only in case the peer has not heard so.
    pub done: bool,
    /// Bulk data, behind the output.
    pub transfer: Option<Transfer>,
    /// Whether the session stops or goes on being given input; as it was where `None`.
    pub pause: Option<bool>,
    /// Whether the connection ends, and how.
    pub ending: Option<Ending>,
    /// What becomes of the session's deadline.
    pub deadline: DeadlineChange,
    /// Lines for the log, without the peer, which the runner puts in front.
    pub notes: Vec<String>,
}

impl Deref for Effects {
    type Target = More;

    #[inline]
    fn deref(&self) -> &More {
        &self.more
    }
}

impl DerefMut for Effects {
    #[inline]
    fn deref_mut(&mut self) -> &mut More {
        self.has_more = true;
        &mut self.more
    }
}

/// Something for another session of the same service. One that has gone gets nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Who gets it.
    pub to: SourceId,
    /// What it is.
    pub item: Item,
}

/// What mail can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Bytes for that session's peer.
    Bytes(Vec<u8>),
    /// The end of that session: after everything that was sent has gone out.
    Close(CloseReason),
    /// A nudge: its `notified` is called.
    Notify,
}

/// A program that gets a connection's socket as its standard input and output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Which; no shell is involved and nothing of the client's goes into it.
    pub path: PathBuf,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// After everything that was sent has gone out, and so that the peer gets all of it.
    Close(CloseReason),
    /// At once; what has not gone out is lost.
    Abort(CloseReason),
    /// At once, and so that the peer can't take what it has got for all of it.
    Reset(CloseReason),
}

/// What becomes of a session's deadline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeadlineChange {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is this moment from now on; [`Moment::NEVER`] clears it.
    Set(Moment),
}

/// The outbox keeps its memory from call to call up to this many bytes.
const OUTPUT_KEPT_BYTES: usize = 256 * 1024;

impl Effects {
    /// None yet; services draw their random numbers there.
    pub fn new(random: Random, notes_wanted: bool) -> Self {
        Self {
            random,
            notes_wanted,
            ..Self::default()
        }
    }

    /// Puts bytes behind the output, and ends a datagram there. A call of its own, so that a stream's
    /// bytes need no registers for it.
    #[inline(never)]
    pub(super) fn push_datagram(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
        self.more.datagrams.push(self.output.len());
        self.has_more = true;
    }

    /// Forgets everything; keeps the memory for the next callback.
    pub fn clear(&mut self) {
        self.clear_output();
        if std::mem::take(&mut self.has_more) {
            self.more.clear();
        }
    }

    /// Forgets the output, where there is nothing else.
    #[inline]
    pub fn clear_output(&mut self) {
        self.output.clear();
        if self.output.capacity() > OUTPUT_KEPT_BYTES {
            self.shrink_output();
        }
    }

    #[cold]
    fn shrink_output(&mut self) {
        self.output.shrink_to(OUTPUT_KEPT_BYTES);
    }

    /// Whether nothing was asked for but bytes for a peer that does not speak in datagrams.
    #[inline]
    pub fn is_output_only(&self) -> bool {
        !self.has_more
    }

    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        self.output.is_empty() && self.is_output_only()
    }
}

impl More {
    /// Forgets everything; keeps the memory.
    fn clear(&mut self) {
        self.datagrams.clear();
        self.proved = false;
        self.done = false;
        self.mail.clear();
        self.prints.clear();
        self.program = None;
        self.transfer = None;
        self.pause = None;
        self.ending = None;
        self.deadline = DeadlineChange::Keep;
        self.notes.clear();
    }
}
