//! `slot`: the message server. One message for all; each writer gets back, some time later, what
//! the slot holds then.
//!
//! A session first gathers a message, then waits for its reply to be due. While it waits it counts
//! what still comes, because a 20-byte block may be cut anywhere and is answered with a block.

use std::time::Duration;

use crate::config::limits::SLOT_SIZE_MAX;
use crate::config::options::{FromValues, Opt, OptionError, Values};
use crate::service::{BYE, BuildError, CloseReason, Cx, Entry, Host, Never, Peer, Service};
use crate::wire::Escaped;

/// How `slot` is listed.
pub const ENTRY: Entry = Entry {
    name: "slot",
    summary: "one message for all; each writer gets back what it holds 2 s later",
    about: "\
A message of at most 19 bytes replaces what the one slot holds. 2 s later the writer is sent what
the slot holds then, perhaps somebody else's message, and the connection ends.
A message ends at a newline, at a NUL, at the end of the client's writing, or when nothing has
followed for 50 ms. The reply ends as the message ended: a line as a line; a block of 20 bytes,
the last a NUL, as such a block; all others with a NUL behind.
Limits: a message of no bytes or more than size-1 gets one line 'error: ...', is not stored, and
ends the connection. A shutdown waits for replies that are due within its grace.
Try it:  printf 'hello\\n' | nc -N 127.0.0.1 1050",
    options: &[
        Opt {
            key: "delay",
            default: "2s",
            help: "from the end of the message to the reply",
        },
        Opt {
            key: "gap",
            default: "50ms",
            help: "how long a message without an end may pause before it counts as ended",
        },
        Opt {
            key: "size",
            default: "20",
            help: "bytes of a block, one more than a message may have; 2 to 4194304, \
                   the same on all listeners of the slot",
        },
    ],
    datagrams: None,
    console: &[],
    transfers: false,
    secret: false,
    takes_lines: false,
    board: &["tcp://127.0.0.1:1050"],
    build: |listeners| Host::build(listeners, Slot::new),
};

const DELAY: Duration = Duration::from_secs(2);
const GAP: Duration = Duration::from_millis(50);
const SIZE: usize = 20;

/// Typed options of one listener.
pub struct Options {
    delay: Duration,
    gap: Duration,
    size: Option<usize>,
}

impl FromValues for Options {
    fn from_values(values: &Values) -> Result<Self, OptionError> {
        let size = values.number("size", 2..=SLOT_SIZE_MAX as u64)?;
        Ok(Self {
            delay: values.duration("delay", DELAY)?,
            gap: values.duration("gap", GAP)?,
            size: size.and_then(|size| usize::try_from(size).ok()),
        })
    }
}

/// The service: the one message, and who wrote it.
pub struct Slot {
    /// Bytes of a block; a message has fewer.
    size: usize,
    message: Vec<u8>,
    author: Option<(u32, Peer)>,
}

impl Slot {
    fn new(listeners: &[Options]) -> Result<Self, BuildError> {
        let mut size = None;
        for (listener, options) in listeners.iter().enumerate() {
            match (size, options.size) {
                (Some(first), Some(second)) if first != second => {
                    let problem = format!(
                        "is {second} here and {first} on another listener; one slot has one size"
                    );
                    return Err(BuildError {
                        listener,
                        error: OptionError::new("size", problem),
                    });
                }
                _ => size = size.or(options.size),
            }
        }
        let size = size.unwrap_or(SIZE);
        Ok(Self {
            size,
            message: Vec::new(),
            author: None,
        })
    }
}

/// One writer.
pub struct Session {
    /// The first bytes that came, at most one block and a CR; given up when the reply is sent.
    bytes: Vec<u8>,
    phase: Phase,
}

/// Where a writer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The message may still grow; a deadline runs (the gap) once it has a byte.
    Gathering,
    /// The message is stored and the deadline is that of the reply.
    Waiting(Framing),
}

/// How a message ended, which is how its reply ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// With a newline.
    Line,
    /// With a NUL, or with the end of the writing.
    Nul,
    /// With a pause: no end was seen, and a block may still complete the message.
    Pause,
    /// The first of these, and then a whole block came.
    Block,
}

/// What the first bytes amount to.
#[derive(Debug, PartialEq, Eq)]
enum Shape {
    /// A message of this length that ends with a newline or a NUL.
    Ended(usize, Framing),
    /// Longer than a message may be.
    TooLong,
    /// Not yet known.
    Open,
}

impl Session {
    /// Looks at the bytes gathered; `from` is how many were looked at before.
    fn shape(&self, from: usize, size: usize) -> Shape {
        let new = self.bytes.get(from..).unwrap_or_default();
        let end = new
            .iter()
            .position(|byte| matches!(byte, b'\n' | 0))
            .map(|at| from + at);
        let (len, framing) = match end {
            Some(end) if self.bytes[end] == b'\n' => {
                let line = &self.bytes[..end];
                (
                    line.strip_suffix(b"\r").unwrap_or(line).len(),
                    Framing::Line,
                )
            }
            Some(end) => (end, Framing::Nul),
            // A last CR may turn out to belong to the line's end.
            None => {
                let len = self.bytes.strip_suffix(b"\r").unwrap_or(&self.bytes).len();
                return if len < size {
                    Shape::Open
                } else {
                    Shape::TooLong
                };
            }
        };
        if len < size {
            Shape::Ended(len, framing)
        } else {
            Shape::TooLong
        }
    }

    /// Whether what came first is a whole block: `size` bytes of which the last is a NUL.
    fn is_block(&self, size: usize) -> bool {
        self.bytes.len() >= size && self.bytes[size - 1] == 0
    }
}

impl Service for Slot {
    type Options = Options;
    type Session = Session;
    type Done = Never;

    fn open(&mut self, _: &mut Cx<'_, Self>) -> Session {
        Session {
            bytes: Vec::new(),
            phase: Phase::Gathering,
        }
    }

    fn receive(&mut self, s: &mut Session, input: &[u8], cx: &mut Cx<'_, Self>) -> usize {
        // One byte more than a block, for the CR LF of the longest line; the rest can't matter.
        let before = s.bytes.len();
        let room = (self.size + 1).saturating_sub(before);
        s.bytes.extend_from_slice(&input[..input.len().min(room)]);
        match s.phase {
            Phase::Waiting(framing) => self.complete_block(s, framing, cx),
            Phase::Gathering => match s.shape(before, self.size) {
                Shape::Ended(len, framing) => self.store(s, len, framing, cx),
                Shape::TooLong => self.refuse_long(cx),
                Shape::Open => cx.set_deadline(cx.options().gap),
            },
        }
        input.len()
    }

    fn end_of_input(&mut self, s: &mut Session, _: &[u8], cx: &mut Cx<'_, Self>) {
        if s.phase == Phase::Gathering {
            self.end_message(s, Framing::Nul, cx);
        }
    }

    fn deadline(&mut self, s: &mut Session, cx: &mut Cx<'_, Self>) {
        match s.phase {
            Phase::Gathering => self.end_message(s, Framing::Pause, cx),
            Phase::Waiting(framing) => self.reply(framing, cx),
        }
    }

    fn shutting_down(&mut self, s: &mut Session, cx: &mut Cx<'_, Self>) {
        // Whoever has written something is owed a reply: it comes by the deadline that runs.
        if s.phase == Phase::Gathering && s.bytes.is_empty() {
            cx.send(BYE);
            cx.close(CloseReason::Shutdown);
        }
    }
}

impl Slot {
    /// The message ends where it stands: the writing ended, or paused for the gap.
    fn end_message(&mut self, s: &mut Session, framing: Framing, cx: &mut Cx<'_, Self>) {
        match s.bytes.len() {
            len if len < self.size => self.store(s, len, framing, cx),
            // A CR was waited for that no newline followed.
            _ => self.refuse_long(cx),
        }
    }

    fn store(&mut self, s: &mut Session, len: usize, framing: Framing, cx: &mut Cx<'_, Self>) {
        if len == 0 {
            cx.send(b"error: the message is empty\n");
            cx.close(CloseReason::MessageEmpty);
            return;
        }
        self.keep(&s.bytes[..len], cx);
        s.phase = Phase::Waiting(framing);
        cx.set_deadline(cx.options().delay);
        self.complete_block(s, framing, cx);
    }

    fn keep(&mut self, message: &[u8], cx: &mut Cx<'_, Self>) {
        self.message.clear();
        self.message.extend_from_slice(message);
        self.author = Some((cx.number(), cx.peer().clone()));
        cx.note(format_args!("stored {}", Escaped(message)));
    }

    /// Marks the session if a whole block has come; where only a pause had ended the message, it
    /// is after all what it would have been without the pause.
    fn complete_block(&mut self, s: &mut Session, framing: Framing, cx: &mut Cx<'_, Self>) {
        if framing == Framing::Block || !s.is_block(self.size) {
            return;
        }
        s.phase = Phase::Waiting(Framing::Block);
        if framing == Framing::Pause
            && let Shape::Ended(len @ 1.., _) = s.shape(0, self.size)
        {
            self.keep(&s.bytes[..len], cx);
        }
    }

    fn reply(&mut self, framing: Framing, cx: &mut Cx<'_, Self>) {
        cx.send(&self.message);
        match framing {
            Framing::Line => cx.send(b"\n"),
            Framing::Nul | Framing::Pause => cx.send(b"\0"),
            Framing::Block => {
                const NULS: [u8; 64] = [0; 64];
                let mut left = self.size - self.message.len();
                while left > 0 {
                    let part = left.min(NULS.len());
                    cx.send(&NULS[..part]);
                    left -= part;
                }
            }
        }
        match &self.author {
            Some((number, _)) if *number == cx.number() => cx.note(format_args!(
                "gets back its own message {}",
                Escaped(&self.message)
            )),
            Some((number, peer)) => cx.note(format_args!(
                "gets back {}, the message of #{number} {peer}",
                Escaped(&self.message)
            )),
            // Nobody waits before somebody has stored.
            None => {}
        }
        cx.close(CloseReason::Answered);
    }

    fn refuse_long(&self, cx: &mut Cx<'_, Self>) {
        let max = self.size - 1;
        cx.send_text(format_args!("error: a message has at most {max} bytes\n"));
        cx.close(CloseReason::MessageTooLong);
    }
}

#[cfg(test)]
mod tests;
