//! Keyboard and server at once: whichever has something is served, and either may end first.
//!
//! One loop around poll(2) over standard input, the server and standard output. No side ever
//! waits for another: what the server can't take now, or standard output can't, is kept (at most
//! one read of each), and the side it came from is not read until it is gone.

use std::io;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};

use super::Failure;
use super::dial::Server;
use super::output::{self, Written};
use super::patience::Patience;
use crate::exit::words;

/// What one subcommand does with what is typed and what is heard.
pub trait Rules {
    /// Bytes were typed: puts what the server is to get behind `send`; false where no more typing
    /// is wanted.
    fn typed(&mut self, bytes: &[u8], send: &mut Vec<u8>) -> bool;

    /// Typing has ended (Ctrl-D, the end of a file or pipe), unless [`Rules::typed`] ended it.
    fn typing_ended(&mut self, send: &mut Vec<u8>);

    /// The server has sent bytes: puts what is to be printed at once behind `print`.
    fn heard(&mut self, bytes: &[u8], print: &mut Vec<u8>);

    /// After [`Rules::heard`]: puts what the server is to get next behind `send`.
    fn goes_on(&mut self, send: &mut Vec<u8>) {
        let _ = send;
    }

    /// Whether the server is due to send something even if nothing more is typed.
    fn is_owed(&self) -> bool;

    /// Whether nothing more is wanted from the server.
    fn is_done(&self) -> bool;
}

/// What standard input is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keyboard {
    /// It is read, and its end ends our writing.
    Read,
    /// It is not read, and our writing ends at once behind what is sent first.
    Unused,
    /// It is not read, and our writing stays open until the answer is here.
    KeptOpen,
}

/// How a conversation ended that no [`Failure`] broke off.
#[derive(Debug)]
pub enum End {
    /// By [`Rules::is_done`].
    Done,
    /// Nobody reads standard output any more.
    OutputClosed,
    /// The server ended it, or the connection broke, for this reason.
    Server(Option<io::Error>),
}

/// Sends `first`, then talks until one side ends it. What was to be printed is printed then.
///
/// Fails where the server is silent for its timeout although something is outstanding, and where
/// standard input or output can't be used.
pub fn run(
    server: &Server,
    keyboard: Keyboard,
    first: Vec<u8>,
    rules: &mut impl Rules,
) -> Result<End, Failure> {
    let mut dialog = Dialog {
        server,
        rules,
        keyboard,
        send: Pending {
            bytes: first,
            start: 0,
        },
        print: Pending::default(),
        is_writing: true,
        broken: None,
        patience: Patience::new(server.timeout()),
        buffer: vec![0; READ_BYTES],
    };
    let end = loop {
        if dialog.rules.is_done() {
            break End::Done;
        }
        dialog.end_writing_if_due();
        if let Some(end) = dialog.turn()? {
            break end;
        }
    };
    if !matches!(end, End::OutputClosed) {
        output::write_all(dialog.print.rest())?;
    }
    Ok(end)
}

/// Bytes taken by one read of the keyboard or the server.
const READ_BYTES: usize = 64 * 1024;

struct Dialog<'a, R> {
    server: &'a Server,
    rules: &'a mut R,
    keyboard: Keyboard,
    /// What the server has not taken yet.
    send: Pending,
    /// What standard output has not taken yet.
    print: Pending,
    /// Our write side is not shut down.
    is_writing: bool,
    /// Why the server takes nothing more; what it had sent before is still read.
    broken: Option<io::Error>,
    patience: Patience,
    buffer: Vec<u8>,
}

/// Which of the three poll(2) has something to say about.
struct Ready {
    keyboard: bool,
    server: bool,
    output: PollFlags,
}

impl<R: Rules> Dialog<'_, R> {
    fn end_writing_if_due(&mut self) {
        let due = self.keyboard == Keyboard::Unused && self.send.is_empty();
        if due && self.is_writing {
            self.is_writing = false;
            // Where the connection is broken, reading says so.
            let _ = rustix::net::shutdown(self.server, Shutdown::Write);
        }
    }

    /// Waits until a side has something, and serves it.
    fn turn(&mut self) -> Result<Option<End>, Failure> {
        // The server's time runs only while it is its turn; it is not while we read nothing of it.
        let is_awaited = self.print.is_empty()
            && (!self.send.is_empty() || !self.is_writing || self.rules.is_owed());
        if !is_awaited {
            self.patience.renew();
        }
        let Some(ready) = self.wait(is_awaited)? else {
            return Ok(None);
        };
        if !ready.output.is_empty() && !self.print_some(ready.output)? {
            return Ok(Some(End::OutputClosed));
        }
        if ready.server {
            if let Some(end) = self.hear() {
                return Ok(Some(end));
            }
            self.send_some();
        }
        if ready.keyboard {
            self.read_keyboard()?;
            self.send_some();
        }
        Ok(None)
    }

    /// `None` where a signal came between.
    fn wait(&mut self, is_awaited: bool) -> Result<Option<Ready>, Failure> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        // No flags still report that its reader has gone.
        let output = match self.print.is_empty() {
            true => PollFlags::empty(),
            false => PollFlags::OUT,
        };
        let mut server = PollFlags::empty();
        server.set(PollFlags::IN, self.print.is_empty());
        server.set(PollFlags::OUT, !self.send.is_empty());
        let mut watched = vec![PollFd::new(&stdout, output)];
        let server_at = (!server.is_empty()).then(|| {
            watched.push(PollFd::new(self.server, server));
            watched.len() - 1
        });
        let keyboard_at = (self.keyboard == Keyboard::Read && self.send.is_empty()).then(|| {
            watched.push(PollFd::new(&stdin, PollFlags::IN));
            watched.len() - 1
        });
        let left = is_awaited.then(|| self.patience.left()).flatten();
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut watched, timeout.as_ref()) {
            Ok(0) if left.is_some() => return Err(self.server.silent()),
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(None),
            Err(errno) => return Err(Failure::Lost(format!("poll: {}", words(&errno.into())))),
        }
        let is_ready = |at: Option<usize>| at.is_some_and(|at| !watched[at].revents().is_empty());
        Ok(Some(Ready {
            keyboard: is_ready(keyboard_at),
            server: is_ready(server_at),
            output: watched[0].revents(),
        }))
    }

    /// False where nobody reads it any more.
    fn print_some(&mut self, ready: PollFlags) -> Result<bool, Failure> {
        if self.print.is_empty() {
            // Of a pipe, a socket and a terminal.
            return Ok(!ready.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL));
        }
        match output::write_some(self.print.rest())? {
            Written::Taken(taken) => self.print.take(taken),
            Written::Closed => return Ok(false),
        }
        Ok(true)
    }

    fn hear(&mut self) -> Option<End> {
        if !self.print.is_empty() {
            return None;
        }
        match rustix::net::recv(self.server, &mut self.buffer[..], RecvFlags::empty()) {
            Ok((_, 0)) => Some(End::Server(self.broken.take())),
            Ok((_, count)) => {
                self.patience.renew();
                self.rules
                    .heard(&self.buffer[..count], &mut self.print.bytes);
                self.rules.goes_on(&mut self.send.bytes);
                None
            }
            Err(Errno::AGAIN | Errno::INTR) => None,
            Err(errno) => Some(End::Server(Some(errno.into()))),
        }
    }

    fn send_some(&mut self) {
        if self.send.is_empty() {
            return;
        }
        match rustix::net::send(self.server, self.send.rest(), SendFlags::NOSIGNAL) {
            Ok(taken) => {
                self.patience.renew();
                self.send.take(taken);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => {
                self.broken = Some(errno.into());
                self.send = Pending::default();
                self.keyboard = Keyboard::Unused;
            }
        }
    }

    fn read_keyboard(&mut self) -> Result<(), Failure> {
        match rustix::io::read(io::stdin(), &mut self.buffer[..]) {
            // A terminal that has gone says EIO.
            Ok(0) | Err(Errno::IO) => {
                self.keyboard = Keyboard::Unused;
                self.rules.typing_ended(&mut self.send.bytes);
            }
            Ok(count) => {
                let typed = &self.buffer[..count];
                if !self.rules.typed(typed, &mut self.send.bytes) {
                    self.keyboard = Keyboard::Unused;
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => {
                return Err(Failure::Lost(format!(
                    "standard input: {}",
                    words(&errno.into())
                )));
            }
        }
        Ok(())
    }
}

/// Bytes on their way to a side that takes them piece by piece.
#[derive(Debug, Default)]
pub struct Pending {
    /// With those that were taken, at the front, until all are.
    pub bytes: Vec<u8>,
    start: usize,
}

impl Pending {
    /// What was not taken yet.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Whether all was taken.
    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// So many more were taken.
    pub fn take(&mut self, count: usize) {
        self.start += count;
        if self.is_empty() || self.start >= READ_BYTES {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }
}
