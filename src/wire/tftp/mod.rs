//! TFTP: packets, options, netascii, and the two ends of a transfer as machines.
//!
//! RFC 1350 (the protocol), 1123 section 4.2.3 (its repair), 2347 (options), 2348 (`blksize`), 2349
//! (`timeout`, `tsize`), 7440 (`windowsize`), and an option of our own, `offset`, that resumes.
//!
//! [`Sender`] has the file: a server that is read from, a client that writes. [`Receiver`] gets it:
//! a server that is written to, a client that reads. Both are pure: datagrams and moments come in;
//! what they ask for goes out by [`Effects`]. They know neither sockets nor files, so the caller
//!
//! - gives them each datagram of their peer, and of nobody else: what comes from another port is
//!   answered with [`Code::UNKNOWN_TRANSFER`] by whoever has the socket (RFC 1350, section 4);
//! - calls `expired` at their `deadline`, or later. Moments are durations since any fixed point;
//! - reads and writes the file as they ask, and says what came of it.
//!
//! Only the clock makes them send anything again. A duplicate acknowledgement never does: that
//! would double every packet behind it, the Sorcerer's Apprentice (RFC 1123, section 4.2.3.1).

mod effects;
mod netascii;
mod options;
mod pace;
mod packet;
mod receiver;
mod sender;

pub use effects::{Effect, Effects, End};
pub use netascii::{Decoder, Encoder};
pub use options::{BlockBytes, Options, Terms};
pub use packet::{Code, Fault, Mode, Packet, Refusal, Request};
pub use receiver::{Receiver, Room};
pub use sender::Sender;

/// The message of the error of a server that is busy: a refusal that passes.
pub const BUSY: &str = "the server is busy; try again";

/// The message of the error of a server that goes down, in the middle of a transfer or before.
pub const LEAVING: &str = "the server is shutting down";

/// The message of the error in a file that changes while it is sent: what came may be of two files.
pub const CHANGED: &str = "the file has changed; fetch it again";
