//! What one callback asked for. Whoever runs the service applies it and clears it.

use super::{CloseReason, Moment};

/// Collected by [`super::Cx`] in one callback; reused for every callback, so the common one
/// allocates nothing.
#[derive(Debug, Default)]
pub struct Effects {
    /// Bytes for the peer of this session.
    pub output: Vec<u8>,
    /// Whether the connection ends, and how.
    pub ending: Option<Ending>,
    /// What becomes of the session's deadline.
    pub deadline: DeadlineChange,
    /// Lines for the log, without the peer, which the runner puts in front.
    pub notes: Vec<String>,
    /// Whether anybody reads the notes; without it none are made.
    pub notes_wanted: bool,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// After everything that was sent has gone out, and so that the peer gets all of it.
    Close(CloseReason),
    /// At once; what has not gone out is lost.
    Abort(CloseReason),
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
    /// Forgets everything; keeps the memory for the next callback.
    pub fn clear(&mut self) {
        self.output.clear();
        if self.output.capacity() > OUTPUT_KEPT_BYTES {
            self.output.shrink_to(OUTPUT_KEPT_BYTES);
        }
        self.ending = None;
        self.deadline = DeadlineChange::Keep;
        self.notes.clear();
    }

    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        self.output.is_empty()
            && self.ending.is_none()
            && self.deadline == DeadlineChange::Keep
            && self.notes.is_empty()
    }
}
