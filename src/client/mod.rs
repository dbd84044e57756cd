//! The subcommands that talk to a server: blocking from outside, poll(2) inside.
//!
//! A client watches three things: its keyboard (which may be a pipe or a file), its server and its
//! standard output; either end may finish first. It knows wires and endpoints, and neither the
//! services nor the reactor. `dial` connects, `dialog` runs the conversation over a stream, and
//! most subcommands are a file of rules for it; `datagram` asks and waits for one answer, and
//! `ping` has a loop of its own. `kiosk` and `locker` ask and wait in turns: `locker::conversation`.
//! `ls`, `get` and `put` move files: `files`.

use std::fmt;
use std::time::Duration;

mod datagram;
mod dial;
mod dialog;
mod echo;
mod files;
mod guess;
mod interrupt;
mod kiosk;
mod locker;
mod output;
mod password;
mod patience;
mod ping;
mod sum;
mod talk;
mod write;

use dial::Server;
pub use echo::{echo, input_is_piped};
pub use files::Files;
pub use guess::guess;
pub use kiosk::{Lang, kiosk};
pub use locker::{Lockers, board_endpoint};
pub use ping::{Ping, ping};
pub use sum::sum;
pub use talk::talk;
pub use write::write;

/// Why a client did not do its job; the texts are for a person and hold no control characters
/// but what was on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The command line asks for what can't be.
    Usage(String),
    /// There was no connection, or it ended or stalled before the job was done.
    Lost(String),
    /// The server said no: its line `error: ...`.
    Refused(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(text) | Self::Lost(text) | Self::Refused(text)) = self;
        f.write_str(text)
    }
}

impl std::error::Error for Failure {}

/// The line that a server which shuts down sends to whom it owes nothing.
///
/// The whole line, since a message in the slot may begin like it.
const BYE: &[u8] = b"bye: the server is shutting down";

/// How a server's refusal begins.
const ERROR: &[u8] = b"error: ";

/// A duration as it is written: `30s`, `250ms`.
fn written(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}
