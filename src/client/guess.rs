//! `guess`: a game to its end, with guesses from the command line, the keyboard or a pipe.
//!
//! What holds on both kinds of socket is here, with the rules over a stream; `datagrams` has a
//! loop of its own, since a datagram may be lost.

mod datagrams;

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write as _};
use std::time::Duration;

use super::dialog::{self, End, Keyboard, Rules};
use super::{BYE, ERROR, Failure, Server, output};
use crate::config::endpoint::Endpoint;
use crate::exit::words;
use crate::wire::Readable;
use crate::wire::line::{Lines, Next};

/// Plays one game and prints what the server says; won or lost, it was played.
///
/// Without `guesses` they are the lines of standard input. With them it is not read, and an answer
/// `error: ...` is [`Failure::Refused`]; so is one before any guess. A game that has no end is
/// [`Failure::Lost`].
pub fn guess(endpoint: &Endpoint, guesses: &[Vec<u8>], timeout: Duration) -> Result<(), Failure> {
    if let Some(wrong) = guesses
        .iter()
        .find(|guess| guess.contains(&b'\n') || guess.is_empty())
    {
        let shown = Readable(wrong);
        return Err(Failure::Usage(format!(
            "'{shown}' is no guess: one line, not empty"
        )));
    }
    if guesses.is_empty() && io::stdin().is_terminal() {
        let _ = writeln!(io::stderr(), "one guess a line, Ctrl-D ends");
    }
    let game = Game::new(guesses);
    match endpoint {
        Endpoint::Udp(_) => datagrams::play(endpoint, game, timeout),
        _ => play(endpoint, game, timeout),
    }
}

fn play(endpoint: &Endpoint, game: Game, timeout: Duration) -> Result<(), Failure> {
    let server = &Server::dial(endpoint, timeout)?;
    let keyboard = match game.is_typed {
        true => Keyboard::Read,
        false => Keyboard::KeptOpen,
    };
    let mut stream = Stream {
        game,
        heard: Vec::new(),
        heard_lines: Lines::default(),
        is_owed: true,
    };
    let end = dialog::run(server, keyboard, Vec::new(), &mut stream);
    output::write_all(&output::shown(&stream.heard))?;
    let Stream { game, .. } = stream;
    if game.state == State::Over {
        // However the connection ended, and if it stays: the game did.
        return Ok(());
    }
    let why = match (end?, game.state) {
        (End::OutputClosed, _) => return Ok(()),
        (End::Server(Some(error)), State::Playing) => words(&error),
        (End::Server(None), State::Playing) => "the server ended the connection".to_owned(),
        (_, state) => return Err(state.failure(server)),
    };
    Err(server.lost(format_args!("{why} before the game was over")))
}

/// What is left to be guessed, and how the game stands.
struct Game {
    /// Guesses of the command line that were not sent yet.
    guesses: VecDeque<Vec<u8>>,
    /// Guesses come from standard input.
    is_typed: bool,
    /// The server has begun the game.
    is_prompted: bool,
    state: State,
}

/// How the game stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Playing,
    /// The outcome was said.
    Over,
    /// No guess is left, and the game is not over.
    OutOfGuesses,
    /// The server said no, in this line.
    Refused(Vec<u8>),
    /// The server shuts down.
    Bye,
}

impl State {
    fn failure(&self, server: &Server) -> Failure {
        match self {
            Self::Refused(line) => Failure::Refused(Readable(line).to_string()),
            Self::Bye => server.lost(Readable(BYE)),
            Self::Playing | Self::Over | Self::OutOfGuesses => {
                server.lost("no guess is left, and the game is not over")
            }
        }
    }
}

impl Game {
    fn new(guesses: &[Vec<u8>]) -> Self {
        Self {
            guesses: guesses.iter().cloned().collect(),
            is_typed: guesses.is_empty(),
            is_prompted: false,
            state: State::Playing,
        }
    }

    /// The server said a line; true if it is to be printed.
    fn line(&mut self, line: &[u8]) -> bool {
        let is_outcome = line.starts_with(b"Correct, ")
            || (line.starts_with(b"Wrong, ") && !line.starts_with(b"Wrong, try again"));
        if is_outcome {
            self.state = State::Over;
        } else if line == BYE {
            self.state = State::Bye;
            return false;
        } else if line.starts_with(ERROR) && !(self.is_typed && self.is_prompted) {
            self.state = State::Refused(line.to_vec());
            return false;
        }
        self.is_prompted = true;
        true
    }

    /// The next guess of the command line, now that the server has answered.
    fn next(&mut self) -> Option<Vec<u8>> {
        if self.is_typed || self.state != State::Playing {
            return None;
        }
        let next = self.guesses.pop_front();
        if next.is_none() {
            self.state = State::OutOfGuesses;
        }
        next
    }
}

/// The rules over a stream: it ends when the server ends it.
struct Stream {
    game: Game,
    /// The beginning of a line of the server.
    heard: Vec<u8>,
    heard_lines: Lines,
    /// The server has not said anything since it was asked.
    is_owed: bool,
}

impl Stream {
    fn hear_line(&mut self, line: &[u8], print: &mut Vec<u8>) {
        if self.game.line(line) {
            print.extend(output::shown(&[line, b"\n"].concat()));
        }
    }
}

impl Rules for Stream {
    fn typed(&mut self, bytes: &[u8], send: &mut Vec<u8>) -> bool {
        send.extend_from_slice(bytes);
        self.is_owed |= bytes.contains(&b'\n');
        true
    }

    fn typing_ended(&mut self, _: &mut Vec<u8>) {}

    fn heard(&mut self, bytes: &[u8], print: &mut Vec<u8>) {
        self.heard.extend_from_slice(bytes);
        let heard = std::mem::take(&mut self.heard);
        let mut rest = &heard[..];
        loop {
            match self.heard_lines.next(&mut rest) {
                Next::Line(line) => {
                    self.is_owed = false;
                    self.hear_line(line, print);
                }
                // No line of this game, nor of one like it.
                Next::TooLong => {}
                Next::Incomplete => break,
            }
        }
        self.heard = rest.to_vec();
    }

    fn goes_on(&mut self, send: &mut Vec<u8>) {
        if self.is_owed {
            return;
        }
        if let Some(guess) = self.game.next() {
            send.extend(guess);
            send.push(b'\n');
            self.is_owed = true;
        }
    }

    fn is_owed(&self) -> bool {
        // Its outcome said, the server owes the end.
        self.is_owed || self.game.state == State::Over
    }

    fn is_done(&self) -> bool {
        !matches!(self.game.state, State::Playing | State::Over)
    }
}
