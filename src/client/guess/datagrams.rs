//! The game over datagrams: each guess is one, and so is each answer.
//!
//! It is opened with blanks, which are a guess in no game: where they are lost they can be sent
//! again, and where only the answer was late, the second ones cost no try but a line `error: ...`,
//! which is passed over. A guess is never sent twice, for it might cost a second try.

use std::io;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::{Game, State};
use crate::client::datagram;
use crate::client::patience::Patience;
use crate::client::{ERROR, Failure, Server, output};
use crate::config::endpoint::Endpoint;
use crate::exit::words;
use crate::wire::line::{Lines, Next};

/// The opening. A careful server sends an address that has proved nothing no more than three times
/// the bytes it has had from there; these are enough for a hint and an outcome of 200 bytes each.
const OPENING: [u8; 256] = [b' '; 256];

/// How often the opening is sent at most.
const OPENINGS_MAX: u32 = 3;

/// How long an answer is waited for where none may come: a server that has complained once is
/// quiet about the next thing that is no guess.
const QUIET: Duration = Duration::from_millis(500);

/// Bytes taken by one read of the keyboard or the server.
const READ_BYTES: usize = 64 * 1024;

/// Plays one game, as [`super::guess`] says.
pub(super) fn play(endpoint: &Endpoint, game: Game, timeout: Duration) -> Result<(), Failure> {
    let mut server = Server::dial_any(endpoint, timeout)?;
    let (prompt, openings) = datagram::ask(&mut server, &OPENING, OPENINGS_MAX, |_| true)?;
    let mut play = Play {
        server,
        game,
        typed: Vec::new(),
        typed_lines: Lines::default(),
        typing_ended: false,
        awaited: None,
        is_unanswered: false,
        complaints: openings - 1,
        has_complained: openings > 1,
        buffer: vec![0; READ_BYTES],
        is_read: true,
    };
    play.hear(&prompt)?;
    while play.is_read && play.game.state == State::Playing {
        match play.awaited {
            None => play.go_on()?,
            Some(patience) => play.wait(patience)?,
        }
    }
    match play.game.state {
        _ if !play.is_read => Ok(()),
        State::Over => Ok(()),
        state => Err(state.failure(&play.server)),
    }
}

struct Play {
    server: Server,
    game: Game,
    /// What was typed and not sent yet.
    typed: Vec<u8>,
    typed_lines: Lines,
    typing_ended: bool,
    /// A guess is out, and its answer is waited for that long.
    awaited: Option<Patience>,
    /// Nothing has come since the last guess.
    is_unanswered: bool,
    /// Lines `error: ...` that openings which were sent again may still bring.
    complaints: u32,
    /// The server may be quiet about what is no guess.
    has_complained: bool,
    buffer: Vec<u8>,
    /// Standard output has a reader.
    is_read: bool,
}

impl Play {
    /// Sends the next guess, or waits for one to be typed.
    fn go_on(&mut self) -> Result<(), Failure> {
        if !self.game.is_typed {
            return match self.game.next() {
                Some(guess) => self.guess(&guess),
                None => Ok(()),
            };
        }
        let typed = std::mem::take(&mut self.typed);
        let mut rest = &typed[..];
        let next = self.typed_lines.next(&mut rest);
        let (line, is_last) = match next {
            Next::Line(line) => (Some(line), false),
            Next::TooLong => (None, false),
            Next::Incomplete if self.typing_ended => (self.typed_lines.last(rest), true),
            Next::Incomplete => {
                self.typed = rest.to_vec();
                return self.wait_for_keyboard();
            }
        };
        if !is_last {
            self.typed = rest.to_vec();
        }
        match line {
            // Blanks are no guess.
            Some(line) if !line.trim_ascii().is_empty() => self.guess(line),
            _ if !is_last => Ok(()),
            _ => {
                // The last word may still come.
                match std::mem::take(&mut self.is_unanswered) {
                    true => self.awaited = Some(Patience::new(self.server.timeout())),
                    false => self.game.state = State::OutOfGuesses,
                }
                Ok(())
            }
        }
    }

    fn guess(&mut self, guess: &[u8]) -> Result<(), Failure> {
        self.is_unanswered = true;
        datagram::send(&mut self.server, guess)?;
        let timeout = self.server.timeout();
        let whole = Patience::new(timeout);
        let may_be_quiet = self.has_complained && self.game.is_typed;
        self.awaited = Some(match may_be_quiet {
            true => whole.part(QUIET),
            false => whole,
        });
        Ok(())
    }

    /// Waits for the answer; what comes is printed.
    fn wait(&mut self, patience: Patience) -> Result<(), Failure> {
        if self.poll(false, patience.left())? {
            return self.receive();
        }
        let is_over = patience.left() == Some(Duration::ZERO);
        match is_over {
            false => Ok(()),
            true if self.has_complained && self.game.is_typed => {
                self.awaited = None;
                Ok(())
            }
            true => Err(self.server.silent()),
        }
    }

    fn wait_for_keyboard(&mut self) -> Result<(), Failure> {
        if self.poll(true, None)? {
            self.receive()?;
        }
        Ok(())
    }

    /// Waits for the server, for as long as `left` says, or for the keyboard, which is then read;
    /// true where the server may have something.
    fn poll(&mut self, with_keyboard: bool, left: Option<Duration>) -> Result<bool, Failure> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        // No flags still report that its reader has gone.
        let mut watched = vec![
            PollFd::new(&stdout, PollFlags::empty()),
            PollFd::new(&self.server, PollFlags::IN),
        ];
        if with_keyboard {
            watched.push(PollFd::new(&stdin, PollFlags::IN));
        }
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut watched, timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(false),
            Err(errno) => return Err(Failure::Lost(format!("poll: {}", words(&errno.into())))),
        }
        let told = |at: usize| watched.get(at).is_some_and(|fd| !fd.revents().is_empty());
        let (has_left, server, keyboard) = (told(0), told(1), told(2));
        self.is_read = !has_left;
        if keyboard {
            self.read_keyboard()?;
        }
        Ok(server)
    }

    fn read_keyboard(&mut self) -> Result<(), Failure> {
        match rustix::io::read(io::stdin(), &mut self.buffer[..]) {
            // A terminal that has gone says EIO.
            Ok(0) | Err(Errno::IO) => self.typing_ended = true,
            Ok(count) => self.typed.extend_from_slice(&self.buffer[..count]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => {
                let why = words(&errno.into());
                return Err(Failure::Lost(format!("standard input: {why}")));
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<(), Failure> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let received = datagram::receive(&self.server, &mut buffer);
        let heard = match received {
            Ok(Some(count)) => self.hear(&buffer[..count]),
            Ok(None) => Ok(()),
            Err(errno) => Err(self.server.lost(words(&errno.into()))),
        };
        self.buffer = buffer;
        heard
    }

    /// An answer has come.
    fn hear(&mut self, datagram: &[u8]) -> Result<(), Failure> {
        let line = datagram.trim_ascii_end();
        let is_error = line.starts_with(ERROR);
        if is_error && self.complaints > 0 {
            self.complaints -= 1;
            // The game has begun, though its first line may be lost.
            self.game.is_prompted = true;
            return Ok(());
        }
        self.awaited = None;
        self.is_unanswered = false;
        self.has_complained = is_error || self.complaints > 0;
        if self.game.line(line) {
            self.is_read &= output::write_while_read(&output::shown(&[line, b"\n"].concat()))?;
        }
        Ok(())
    }
}
