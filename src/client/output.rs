//! Standard output, whose reader may leave at any moment, as a terminal may: that is an end, not a
//! failure.

use std::io::{self, IsTerminal};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::Failure;
use crate::exit::words;
use crate::wire::Readable;

/// What became of bytes for standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// So many were taken; perhaps none, where it has no room.
    Taken(usize),
    /// Nobody reads it any more, or the terminal has gone.
    Closed,
}

/// Bytes that a pipe which poll(2) called writable takes without blocking (PIPE_BUF of Linux).
const CHUNK_BYTES: usize = 4096;

/// Writes the front of `bytes`; does not block where poll(2) said that there is room.
pub fn write_some(bytes: &[u8]) -> Result<Written, Failure> {
    let front = &bytes[..bytes.len().min(CHUNK_BYTES)];
    match rustix::io::write(io::stdout(), front) {
        Ok(taken) => Ok(Written::Taken(taken)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(Written::Taken(0)),
        Err(Errno::PIPE) => Ok(Written::Closed),
        Err(Errno::IO) if has_hung_up() => Ok(Written::Closed),
        Err(errno) => Err(failed(errno)),
    }
}

/// Writes all of `bytes`, however long it takes; a reader that has left is success.
pub fn write_all(bytes: &[u8]) -> Result<(), Failure> {
    write_while_read(bytes).map(|_| ())
}

/// The same; false where the reader has left.
pub fn write_while_read(mut bytes: &[u8]) -> Result<bool, Failure> {
    let stdout = io::stdout();
    while !bytes.is_empty() {
        match poll(&mut [PollFd::new(&stdout, PollFlags::OUT)], None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failed(errno)),
        }
        match write_some(bytes)? {
            Written::Taken(taken) => bytes = &bytes[taken..],
            Written::Closed => return Ok(false),
        }
    }
    Ok(true)
}

/// Writes a server's line: as it is into a file or pipe, harmless to a terminal.
pub fn write_text(line: &[u8]) -> Result<(), Failure> {
    write_all(&shown(line))
}

/// What [`write_text`] writes of a line.
pub fn shown(line: &[u8]) -> Vec<u8> {
    if !io::stdout().is_terminal() {
        return line.to_vec();
    }
    let (text, end) = match line.strip_suffix(b"\n") {
        Some(text) => (text, "\n"),
        None => (line, ""),
    };
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    format!("{}{end}", Readable(text)).into_bytes()
}

/// Whether it was a terminal that has gone (HUP): a disk that failed says EIO, too.
fn has_hung_up() -> bool {
    let stdout = io::stdout();
    let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
    matches!(poll(&mut watched, Some(&Timespec::default())), Ok(1..))
        && watched[0].revents().intersects(PollFlags::HUP)
}

fn failed(errno: Errno) -> Failure {
    Failure::Lost(format!("standard output: {}", words(&errno.into())))
}
