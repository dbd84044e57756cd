//! Pages of the cache on their way to a peer as they are: sendfile(2), and when it may be used.
//!
//! It makes no copy: what waits in a socket's buffer, and on one machine in the peer's too, are the
//! pages of the file themselves. Who writes into the file changes what the peer will read (sendfile(2),
//! "Notes"). So the end of every range is copied: as much as both buffers hold, the **margin**. When
//! the last bytes are held back to look whether the file is what it was, the peer has read all that
//! was not copied, and a change after that look reaches nothing.
//!
//! Nor can it be told not to wait for a disk. So the cache is asked at some places of the piece first.

use std::fs::{self, File};
use std::io::IoSliceMut;
use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::sendfile;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use rustix::net::sockopt::set_socket_send_buffer_size;

use super::send::{Pumped, Sending};
use crate::config::limits::{
    PAGES_BYTES_MAX, PAGES_MARGIN_EXTRA, PAGES_PROBE_EVERY, SEND_BUFFER_TCP, SEND_BUFFER_UNIX,
    SEND_BUFFERS_MAX,
};
use crate::reactor::connection::Connection;
use crate::reactor::stream::Stream;
use crate::service::{CloseReason, SourceId, TransferEnd};

/// What a buffer may hold where the kernel does not say: as much as a window of TCP can be.
const UNKNOWN: u64 = 1 << 30;

/// What the kernel's settings say about transfers.
pub(super) struct Pages {
    /// Bytes at the end of a range that are copied, over TCP.
    margin_tcp: u64,
    /// The same over Unix sockets.
    margin_unix: u64,
    /// The send buffer for TCP; `None` where the kernel's own choice may become larger.
    buffer_tcp: Option<usize>,
    /// Those that have large buffers: until they are closed, since what a peer has not read stays there
    /// when the transfer has long ended.
    large: Vec<SourceId>,
}

impl Default for Pages {
    /// For a kernel that says nothing.
    fn default() -> Self {
        Self::with(None, None, None)
    }
}

impl Pages {
    /// Asks the kernel for its settings.
    pub(super) fn of_this_kernel() -> Self {
        let number = |name: &str| {
            let text = fs::read_to_string(format!("/proc/sys/net/{name}")).ok()?;
            // A range has three, of which the last is the most.
            text.split_whitespace().last()?.parse::<u64>().ok()
        };
        Self::with(
            number("ipv4/tcp_rmem").zip(number("core/rmem_max")),
            number("ipv4/tcp_wmem").zip(number("core/wmem_max")),
            number("core/wmem_default"),
        )
    }

    /// With the most that TCP gives a buffer by itself and that a program may ask for, of which the
    /// kernel gives twice as much (socket(7)), for receiving and for sending; and with what it gives
    /// a Unix socket.
    fn with(receive: Option<(u64, u64)>, send: Option<(u64, u64)>, unix: Option<u64>) -> Self {
        let wanted = SEND_BUFFER_TCP as u64;
        let given = |asked: u64| asked.min(wanted) * 2;
        let unread = receive.map_or(UNKNOWN, |(own, asked)| own.max(asked * 2));
        let unsent = send.map_or(UNKNOWN, |(own, asked)| own.max(given(asked)));
        let helps = |(own, asked): &(u64, u64)| given(*asked) > *own;
        let unix = unix.unwrap_or(UNKNOWN).max(2 * SEND_BUFFER_UNIX as u64);
        Self {
            margin_tcp: unread + unsent + PAGES_MARGIN_EXTRA,
            // What a peer has not read counts in our buffer.
            margin_unix: unix + PAGES_MARGIN_EXTRA,
            buffer_tcp: send.filter(helps).map(|_| SEND_BUFFER_TCP),
            large: Vec::new(),
        }
    }

    /// How many bytes at the end of a range are copied; `None` if all are.
    fn margin(&self, stream: &Stream) -> Option<u64> {
        match stream {
            Stream::Tcp(_) => Some(self.margin_tcp),
            Stream::Unix(_) => Some(self.margin_unix),
            Stream::Flow { .. } => None,
        }
    }

    /// How many bytes of a range of which `left` are left can go without a copy in this turn.
    fn piece(&self, stream: &Stream, left: u64) -> usize {
        let margin = self.margin(stream).unwrap_or(u64::MAX);
        let piece = left.saturating_sub(margin).min(PAGES_BYTES_MAX as u64);
        usize::try_from(piece).unwrap_or(0)
    }

    /// Gives the socket of that connection a large send buffer, if there are not too many of them.
    fn enlarge(&mut self, id: SourceId, stream: &Stream) {
        let bytes = match stream {
            Stream::Tcp(_) => self.buffer_tcp,
            Stream::Unix(_) => Some(SEND_BUFFER_UNIX),
            Stream::Flow { .. } => None,
        };
        if let Some(bytes) = bytes
            && self.large.len() < SEND_BUFFERS_MAX
            && !self.large.contains(&id)
            && let Ok(socket) = stream.socket()
            && set_socket_send_buffer_size(socket, bytes).is_ok()
        {
            self.large.push(id);
        }
    }

    /// That connection is closed.
    pub(super) fn closed(&mut self, id: SourceId) {
        self.large.retain(|large| *large != id);
    }
}

/// Whether a piece of a file is in the cache, as far as a few places of it tell.
fn is_cached(file: &File, at: u64, len: usize) -> bool {
    let last = at + (len as u64).saturating_sub(1);
    let mut places = (at..last).step_by(PAGES_PROBE_EVERY).chain([last]);
    places.all(|place| {
        let mut byte = [0];
        let mut slices = [IoSliceMut::new(&mut byte)];
        preadv2(file, &mut slices, place, ReadWriteFlags::NOWAIT) == Ok(1)
    })
}

impl Sending {
    /// How many of the next `len` bytes are in the cache, as far as is known.
    fn cached(&mut self, len: usize) -> usize {
        let known = self.warm_to.max(self.probed_to);
        if known <= self.at {
            if !is_cached(self.range.file.file(), self.at, len) {
                return 0;
            }
            self.probed_to = self.at + len as u64;
            return len;
        }
        usize::try_from(known - self.at).map_or(len, |known| known.min(len))
    }
}

impl Connection {
    /// Sends a piece of a file without a copy; `None` where it has to be copied.
    pub(super) fn pump_pages(
        &mut self,
        id: SourceId,
        sending: &mut Sending,
        pages: &mut Pages,
    ) -> Option<Pumped> {
        let len = pages.piece(&self.stream, sending.end - sending.at);
        if len == 0 || sending.copies || sending.failed.is_some() {
            return None;
        }
        if !sending.begun {
            sending.begun = true;
            pages.enlarge(id, &self.stream);
        }
        let len = sending.cached(len);
        if len == 0 {
            return None;
        }
        let socket = self.stream.socket().ok()?;
        let mut offset = sending.at;
        match sendfile(socket, sending.range.file.file(), Some(&mut offset), len) {
            Ok(0) => Some(Pumped::Ended(TransferEnd::Changed)),
            Ok(taken) => {
                // The socket is full, or the file ends there, or a signal came: only the first is
                // followed by an event.
                self.writable = taken == len || is_writable(socket);
                self.bytes_out += taken as u64;
                sending.at += taken as u64;
                Some(Pumped::Moved)
            }
            Err(Errno::AGAIN) => {
                self.writable = false;
                Some(Pumped::Blocked)
            }
            // A signal came first: this turn copies, so each brings the transfer further.
            Err(Errno::INTR) => None,
            Err(errno) => match CloseReason::from_errno(Some(errno.raw_os_error())) {
                // The socket says it once: the next call would be told something else.
                reason @ (CloseReason::Reset | CloseReason::Vanished) => {
                    self.write_failed(reason);
                    Some(Pumped::Blocked)
                }
                // The file system can't do it, or something is wrong with the file or the socket.
                // Which, copying tells.
                _ => {
                    sending.copies = true;
                    None
                }
            },
        }
    }
}

/// Whether a write would take anything, or fail.
fn is_writable(socket: BorrowedFd<'_>) -> bool {
    let mut state = [PollFd::from_borrowed_fd(socket, PollFlags::OUT)];
    poll(&mut state, Some(&Timespec::default())) != Ok(0)
}

#[cfg(test)]
mod tests;
