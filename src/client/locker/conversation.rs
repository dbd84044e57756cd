//! A connection to the lockers: one request and its answer after the other, and the keyboard.
//!
//! Whatever is waited for, the server is watched too, so that its end is noticed at once, and so
//! are the signals that would leave a terminal without echo.

use std::io::{self, IsTerminal, Write as _};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};

use super::keyboard::{Keyboard, Typed};
use crate::client::dial::Server;
use crate::client::password::Quiet;
use crate::client::patience::Patience;
use crate::client::{BYE, ERROR, Failure, output};
use crate::config::endpoint::Endpoint;
use crate::config::limits::{LINE_BYTES_MAX, LOCKER_ANSWER_LINES_MAX};
use crate::exit::words;
use crate::wire::Readable;
use crate::wire::line::{Lines, Next};
use crate::wire::locker::{Said, help, said};

/// A refusal that is none: the change was made or not.
const OUTCOME_UNKNOWN: &str = "error: outcome unknown";

/// What the server said to one request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Lockers, and whether each is in use.
    pub lockers: Vec<(u32, bool)>,
    /// Items that were taken out.
    pub items: Vec<Vec<u8>>,
    /// Other lines.
    pub others: Vec<Vec<u8>>,
    /// What stands behind its `ok`.
    pub ok: Vec<u8>,
}

/// Where prompts go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompts {
    /// With all else, and whoever waits there leaves where nobody reads it.
    Stdout,
    /// Beside the results, which standard output is for.
    Stderr,
}

/// The connection and what was read ahead of both sides.
pub struct Conversation {
    server: Server,
    prompts: Prompts,
    heard: Vec<u8>,
    heard_lines: Lines,
    keyboard: Keyboard,
    quiet: Option<Quiet>,
    /// Where nothing is typed for so long, the server is asked whether it is there.
    sign_of_life: Option<Duration>,
}

/// Which side has something.
#[derive(Debug, Default)]
struct Ready {
    server: bool,
    keyboard: bool,
    output_closed: bool,
    timed_out: bool,
}

/// What is waited for, beside the end of the server's sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    Keyboard,
    Server,
    RoomToSend,
}

impl Conversation {
    /// Connects; see [`Server::dial`].
    pub fn dial(endpoint: &Endpoint, prompts: Prompts, timeout: Duration) -> Result<Self, Failure> {
        Ok(Self {
            server: Server::dial(endpoint, timeout)?,
            prompts,
            heard: Vec::new(),
            heard_lines: Lines::default(),
            keyboard: Keyboard::default(),
            quiet: None,
            sign_of_life: None,
        })
    }

    /// From now on asks the server for a sign of life whenever nothing is typed for as long as its
    /// timeout: then it does not take us for idle, and one that hangs is noticed.
    pub fn stay(&mut self) {
        let timeout = self.server.timeout();
        self.sign_of_life = (!timeout.is_zero()).then_some(timeout);
    }

    /// Any answer is one.
    fn ask_for_sign_of_life(&mut self) -> Result<(), Failure> {
        match self.ask(&help()) {
            Ok(_) | Err(Failure::Refused(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Sends a request and waits for the end of its answer; `error: ...` is
    /// [`Failure::Refused`], and the conversation can go on after it.
    pub fn ask(&mut self, request: &[u8]) -> Result<Answer, Failure> {
        let mut patience = Patience::new(self.server.timeout());
        self.send(request, &mut patience)?;
        let mut answer = Answer::default();
        let mut count = 0;
        loop {
            while let Some(line) = self.next_heard()? {
                count += 1;
                match said(&line) {
                    Said::Locker { number, in_use } => answer.lockers.push((number, in_use)),
                    Said::Item(item) => answer.items.push(item.to_vec()),
                    Said::Ok(text) => {
                        answer.ok = text.to_vec();
                        return Ok(answer);
                    }
                    Said::Error(line) => {
                        return Err(Failure::Refused(Readable(line).to_string()));
                    }
                    Said::Other(line) if line == BYE => {
                        return Err(self.server.lost(Readable(line)));
                    }
                    Said::Other(line) => answer.others.push(line.to_vec()),
                }
                if count > LOCKER_ANSWER_LINES_MAX {
                    return Err(self.server.lost("its answer has no end"));
                }
            }
            if self.wait(For::Server, patience.left())?.timed_out {
                return Err(self.server.silent());
            }
            if self.hear("the server ended the connection without an answer")? {
                patience.renew();
            }
        }
    }

    /// The same for a change and a script: where its outcome is unknown that is [`Failure::Lost`],
    /// as it is where the answer does not come, and not a no.
    pub fn change(&mut self, request: &[u8]) -> Result<Answer, Failure> {
        match self.ask(request) {
            Err(Failure::Refused(line)) if line == OUTCOME_UNKNOWN => {
                Err(self.server.lost(&line["error: ".len()..]))
            }
            answer => answer,
        }
    }

    fn send(&mut self, mut request: &[u8], patience: &mut Patience) -> Result<(), Failure> {
        while !request.is_empty() {
            match rustix::net::send(&self.server, request, SendFlags::NOSIGNAL) {
                Ok(taken) => {
                    request = &request[taken..];
                    patience.renew();
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if self.wait(For::RoomToSend, patience.left())?.timed_out {
                        return Err(self.server.silent());
                    }
                }
                // What the server said before it went is still to be read.
                Err(Errno::PIPE) => return Ok(()),
                Err(errno) => return Err(self.server.lost(words(&errno.into()))),
            }
        }
        Ok(())
    }

    /// Asks for a line at the keyboard and waits for it, as long as it takes.
    pub fn typed_line(&mut self, prompt: &str) -> Result<Typed, Failure> {
        if !self.show_prompt(prompt)? {
            return Ok(Typed::OutputClosed);
        }
        loop {
            if let Some(typed) = self.keyboard.next() {
                return Ok(typed);
            }
            let ready = self.wait(For::Keyboard, self.sign_of_life)?;
            if ready.timed_out {
                self.ask_for_sign_of_life()?;
            }
            if ready.output_closed {
                return Ok(Typed::OutputClosed);
            }
            if ready.server {
                self.hear_unasked()?;
            }
            if ready.keyboard
                && let Some(typed) = self.keyboard.read()?
            {
                return Ok(typed);
            }
        }
    }

    /// The same, without echo where standard input is a terminal.
    pub fn typed_password(&mut self, prompt: &str) -> Result<Typed, Failure> {
        if !io::stdin().is_terminal() {
            return self.typed_line(prompt);
        }
        let failed = |error: io::Error| Failure::Lost(format!("the terminal: {}", words(&error)));
        if self.quiet.is_none() {
            self.quiet = Some(Quiet::install().map_err(failed)?);
        }
        if let Some(quiet) = &mut self.quiet {
            quiet.begin().map_err(failed)?;
        }
        let typed = self.typed_line(prompt);
        if let Some(quiet) = &mut self.quiet {
            quiet.end(matches!(typed, Ok(Typed::Line(_) | Typed::TooLong)));
        }
        typed
    }

    /// Lets that much time pass, unless the server ends before.
    pub fn pause(&mut self, time: Duration) -> Result<(), Failure> {
        let patience = Patience::new(time);
        loop {
            let ready = self.wait(For::Server, patience.left())?;
            if ready.timed_out {
                return Ok(());
            }
            self.hear_unasked()?;
        }
    }

    /// The server waits for somebody on our behalf, and must learn at once when we have gone.
    pub fn is_waited_for(&self) {
        self.server.break_off_at_end();
    }

    /// Ends our writing and waits until the server ends the connection, as long as it takes.
    pub fn wait_for_end(mut self) -> Result<(), Failure> {
        // Where the connection is broken, reading says so.
        let _ = rustix::net::shutdown(&self.server, Shutdown::Write);
        loop {
            self.wait(For::Server, None)?;
            let mut buffer = [0; 4096];
            match rustix::net::recv(&self.server, &mut buffer[..], RecvFlags::empty()) {
                Ok((_, 0)) => break,
                Ok((_, count)) => self.heard.extend_from_slice(&buffer[..count]),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(self.server.lost(words(&errno.into()))),
            }
            while let Some(line) = self.next_heard()? {
                if line == BYE {
                    return Err(self.server.lost(Readable(&line)));
                }
            }
        }
        Ok(())
    }

    /// A line that was heard whole.
    fn next_heard(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let heard = std::mem::take(&mut self.heard);
        let mut rest = &heard[..];
        let line = match self.heard_lines.next(&mut rest) {
            Next::Line(line) => Some(line.to_vec()),
            Next::Incomplete => None,
            Next::TooLong => {
                let limit =
                    format_args!("the server sent a line of more than {LINE_BYTES_MAX} bytes");
                return Err(self.server.lost(limit));
            }
        };
        let used = heard.len() - rest.len();
        self.heard = heard;
        self.heard.drain(..used);
        Ok(line)
    }

    /// Reads what the server has sent; its end is a failure, for this reason. True if there was
    /// something.
    fn hear(&mut self, end: &str) -> Result<bool, Failure> {
        let mut buffer = [0; 16 * 1024];
        match rustix::net::recv(&self.server, &mut buffer[..], RecvFlags::empty()) {
            Ok((_, 0)) => Err(self.server.lost(end)),
            Ok((_, count)) => {
                self.heard.extend_from_slice(&buffer[..count]);
                Ok(true)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(errno) => Err(self.server.lost(words(&errno.into()))),
        }
    }

    /// What it sends while it owes nothing is its last word, or its end.
    fn hear_unasked(&mut self) -> Result<(), Failure> {
        self.hear("the server ended the connection")?;
        match self.next_heard()? {
            None => Ok(()),
            // It is full, or has waited too long.
            Some(line) if line.starts_with(ERROR) => {
                Err(Failure::Refused(Readable(&line).to_string()))
            }
            Some(line) => Err(self.server.lost(Readable(&line))),
        }
    }

    /// False where nobody reads it.
    fn show_prompt(&self, prompt: &str) -> Result<bool, Failure> {
        match self.prompts {
            Prompts::Stdout => output::write_while_read(prompt.as_bytes()),
            Prompts::Stderr => {
                let _ = io::stderr().write_all(prompt.as_bytes());
                Ok(true)
            }
        }
    }

    fn wait(&mut self, waited_for: For, limit: Option<Duration>) -> Result<Ready, Failure> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let server = match waited_for {
            For::RoomToSend => PollFlags::OUT,
            For::Keyboard | For::Server => PollFlags::IN,
        };
        let mut watched = vec![PollFd::new(&self.server, server)];
        let mut watch = |fd| {
            watched.push(fd);
            watched.len() - 1
        };
        let is_typing = waited_for == For::Keyboard;
        let keyboard_at = is_typing.then(|| watch(PollFd::new(&stdin, PollFlags::IN)));
        // No flags still report that its reader has gone.
        let output_at = (is_typing && self.prompts == Prompts::Stdout)
            .then(|| watch(PollFd::new(&stdout, PollFlags::empty())));
        let signals = self.quiet.as_ref();
        let signal_at = signals.map(|quiet| watch(PollFd::new(quiet, PollFlags::IN)));
        let timeout = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let found = match poll(&mut watched, timeout.as_ref()) {
            Ok(count) => count,
            Err(Errno::INTR) => return Ok(Ready::default()),
            Err(errno) => return Err(Failure::Lost(format!("poll: {}", words(&errno.into())))),
        };
        let is_ready = |at: Option<usize>| at.is_some_and(|at| !watched[at].revents().is_empty());
        let has_signal = is_ready(signal_at);
        let closed = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
        let ready = Ready {
            server: is_ready(Some(0)),
            keyboard: is_ready(keyboard_at),
            output_closed: output_at.is_some_and(|at| watched[at].revents().intersects(closed)),
            timed_out: found == 0,
        };
        if has_signal && let Some(quiet) = &mut self.quiet {
            quiet.attend();
        }
        Ok(ready)
    }
}
