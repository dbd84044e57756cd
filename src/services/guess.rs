//! `guess`: a number, or a person by a hint, is drawn for each client, who has so many tries.
//!
//! A session begins with its draw. On a stream the prompt follows at once and each line is a guess;
//! over datagrams the first one only asks for the prompt, and the next ones are guesses.

mod fold;
mod names;

use std::time::Duration;

use self::fold::folded;
use self::names::Person;
use crate::config::limits::{GUESS_MAX, GUESS_TRIES_MAX, LINE_BYTES_MAX};
use crate::config::options::{FromValues, Opt, OptionError, Values};
use crate::service::{BYE, CloseReason, Cx, Datagrams, Entry, Host, Never, Service};
use crate::wire::Escaped;
use crate::wire::line::{Lines, Next};

/// How `guess` is listed.
pub const ENTRY: Entry = Entry {
    name: "guess",
    summary: "a number to guess, or a person by a hint",
    about: "\
Draws a number from 1 to 6, or a person, and says 'Guess a number between 1 and 6.' or a hint.
Each line is a guess. 'Correct, you win: it was 4.' or 'Wrong, you lose: it was 4.' ends the game
and the connection; 'Wrong, try again.' leaves a try.
Names are compared without regard to case, spacing, accents and punctuation; any name is a guess.
Datagrams: any first one starts a game for that address, the next ones are guesses; a game that is
not finished after a minute is forgotten.
Limits: what is no number in the range gets one line 'error: ...' and costs no try (over datagrams
one such line a game, then silence); a line has at most 4096 bytes, a longer one gets one line
'error: ...' and is skipped. A line of names= is HINT | NAME | OTHER SPELLING ...; at most 10000
lines and 1 MiB, 200 bytes for a hint or a name.
Netcat stays when the game is over, until Ctrl-D.
Try it:  nc 127.0.0.1 8889",
    options: &[
        Opt {
            key: "game",
            default: "number",
            help: "number or name",
        },
        Opt {
            key: "max",
            default: "6",
            help: "the largest number, 2 to 1000000000; game=number only",
        },
        Opt {
            key: "tries",
            default: "1",
            help: "guesses in a game, 1 to 1000",
        },
        Opt {
            key: "names",
            default: "a built-in list",
            help: "a file of people, read at the start; game=name only",
        },
    ],
    datagrams: Some(Datagrams::Flows),
    console: &[],
    transfers: false,
    secret: false,
    takes_lines: false,
    board: &["tcp://127.0.0.1:8889", "udp://127.0.0.1:8889"],
    build: |listeners| Host::build(listeners, |_| Ok(Guess)),
};

/// How long a game over datagrams may take.
const DATAGRAM_GAME: Duration = Duration::from_secs(60);

/// Bytes of a reply over datagrams, newline included: with its headers at most three times the
/// smallest datagram, the empty one, which has 28 bytes over IPv4.
const DATAGRAM_BYTES: usize = 56;

const NUMBER_MAX: u64 = 6;
const TRIES: u64 = 1;

/// Typed options of one listener.
pub struct Options {
    game: Game,
    tries: u64,
}

/// What is guessed.
enum Game {
    /// A number from 1 to this one.
    Number(u64),
    /// One of these; there is at least one.
    Name(Vec<Person>),
}

impl FromValues for Options {
    fn from_values(values: &Values) -> Result<Self, OptionError> {
        let by_name = values.choice("game", &[("number", false), ("name", true)], false)?;
        let max = values.number("max", 2..=GUESS_MAX)?;
        let tries = values.number("tries", 1..=GUESS_TRIES_MAX)?;
        let file = values.text("names");
        let game = match (by_name, max, file) {
            (false, _, Some(_)) => return Err(OptionError::new("names", "is for game=name")),
            (true, Some(_), _) => return Err(OptionError::new("max", "is for game=number")),
            (false, max, None) => Game::Number(max.unwrap_or(NUMBER_MAX)),
            (true, None, file) => {
                let people = file.map_or_else(|| names::parse(names::BUILT_IN), names::read);
                Game::Name(people.map_err(|problem| OptionError::new("names", problem))?)
            }
        };
        Ok(Self {
            game,
            tries: tries.unwrap_or(TRIES),
        })
    }
}

impl Game {
    /// How many things there are to be guessed.
    fn size(&self) -> u64 {
        match self {
            Self::Number(max) => *max,
            Self::Name(people) => people.len() as u64,
        }
    }

    /// What the player is told at first.
    fn prompt(&self, drawn: u64) -> String {
        match self {
            Self::Number(max) => format!("Guess a number between 1 and {max}.\n"),
            Self::Name(people) => format!("Guess who: {}\n", people[at(drawn)].hint),
        }
    }

    /// What was drawn, in words.
    fn answer(&self, drawn: u64) -> String {
        match self {
            Self::Number(_) => drawn.to_string(),
            Self::Name(people) => people[at(drawn)].name.to_string(),
        }
    }

    /// Whether a guess is right; the error says why it is none.
    fn is_right(&self, drawn: u64, guess: &[u8]) -> Result<bool, String> {
        match self {
            Self::Number(max) => match number(guess).filter(|number| (1..=*max).contains(number)) {
                Some(number) => Ok(number == drawn),
                None => Err(format!("that is no number from 1 to {max}")),
            },
            Self::Name(people) => match folded(guess) {
                guess if guess.is_empty() => Err("that is no name".to_owned()),
                guess => Ok(people[at(drawn)].is(&guess)),
            },
        }
    }
}

/// The place of the drawn person; draws count from 1 and end with the list's length.
fn at(drawn: u64) -> usize {
    usize::try_from(drawn - 1).unwrap_or(0)
}

/// A decimal number, blanks and a plus sign before it allowed.
fn number(guess: &[u8]) -> Option<u64> {
    std::str::from_utf8(guess.trim_ascii()).ok()?.parse().ok()
}

/// The service; its sessions share nothing but the sequence of random numbers.
pub struct Guess;

/// One game.
pub struct Session {
    /// From 1 to the size of the game.
    drawn: u64,
    /// Guesses left; none once the game is over.
    tries: u64,
    wire: Wire,
}

/// How guesses come.
enum Wire {
    /// As lines of a stream.
    Lines(Lines),
    /// As datagrams, none of which has been answered.
    Fresh,
    /// As datagrams. After one error there is silence until a guess comes: a peer that answers
    /// errors with errors would otherwise be answered for ever.
    Datagrams { complained: bool },
}

impl Service for Guess {
    type Options = Options;
    type Session = Session;
    type Done = Never;
    const KNOWS_PEERS: bool = false;

    fn open(&mut self, cx: &mut Cx<'_, Self>) -> Session {
        let size = cx.options().game.size();
        let session = Session {
            drawn: cx.random(1..=size),
            tries: cx.options().tries,
            wire: match cx.is_datagram() {
                true => Wire::Fresh,
                false => Wire::Lines(Lines::default()),
            },
        };
        if cx.is_datagram() {
            cx.set_deadline(DATAGRAM_GAME);
        } else {
            session.say_prompt(cx);
        }
        session
    }

    fn receive(&mut self, s: &mut Session, input: &[u8], cx: &mut Cx<'_, Self>) -> usize {
        match &mut s.wire {
            Wire::Lines(lines) => {
                let mut lines = *lines;
                let used = s.lines(&mut lines, input, cx);
                s.wire = Wire::Lines(lines);
                used
            }
            Wire::Fresh => {
                if is_ours(input) {
                    cx.close(CloseReason::NotAnswered);
                } else {
                    s.wire = Wire::Datagrams { complained: false };
                    s.say_prompt(cx);
                }
                input.len()
            }
            Wire::Datagrams { .. } => {
                s.datagram(input, cx);
                input.len()
            }
        }
    }

    fn end_of_input(&mut self, s: &mut Session, rest: &[u8], cx: &mut Cx<'_, Self>) {
        if let Wire::Lines(mut lines) = s.wire
            && let Some(guess) = lines.last(rest)
        {
            s.line(guess, cx);
        }
        if !cx.is_closing() {
            cx.close(CloseReason::ClientEnded);
        }
    }

    fn deadline(&mut self, _: &mut Session, cx: &mut Cx<'_, Self>) {
        cx.close(CloseReason::NotAnswered);
    }

    fn shutting_down(&mut self, _: &mut Session, cx: &mut Cx<'_, Self>) {
        if !cx.is_datagram() {
            cx.send(BYE);
        }
        cx.close(CloseReason::Shutdown);
    }
}

impl Session {
    fn say_prompt(&self, cx: &mut Cx<'_, Guess>) {
        let shown = cut(cx.options().game.prompt(self.drawn).trim_end(), cx);
        cx.send_text(format_args!("{shown}\n"));
    }

    fn lines(&mut self, lines: &mut Lines, mut input: &[u8], cx: &mut Cx<'_, Guess>) -> usize {
        let offered = input.len();
        loop {
            match lines.next(&mut input) {
                Next::Line(guess) => {
                    self.line(guess, cx);
                    if cx.is_closing() {
                        // What follows the last guess is nobody's.
                        return offered;
                    }
                }
                Next::TooLong => {
                    cx.send(b"error: a line has at most 4096 bytes; this one is skipped\n");
                }
                Next::Incomplete => return offered - input.len(),
            }
        }
    }

    fn line(&mut self, guess: &[u8], cx: &mut Cx<'_, Guess>) {
        if let Err(problem) = self.guess(guess, cx) {
            cx.send_text(format_args!("error: {problem}\n"));
        }
    }

    fn datagram(&mut self, input: &[u8], cx: &mut Cx<'_, Guess>) {
        if is_ours(input) {
            return;
        }
        let guess = match input.len() > LINE_BYTES_MAX {
            true => Err("that is too long".to_owned()),
            false => self.guess(input.trim_ascii_end(), cx),
        };
        let Wire::Datagrams { complained } = &mut self.wire else {
            return;
        };
        let complained_before = std::mem::replace(complained, guess.is_err());
        if let Err(problem) = guess
            && !complained_before
        {
            cx.send_text(format_args!("error: {problem}\n"));
        }
    }

    /// Takes one guess and says how it was; the error says why it is none, and costs no try.
    fn guess(&mut self, guess: &[u8], cx: &mut Cx<'_, Guess>) -> Result<(), String> {
        let game = &cx.options().game;
        let right = game.is_right(self.drawn, guess)?;
        self.tries = self.tries.saturating_sub(1);
        if !right && self.tries > 0 {
            cx.send(b"Wrong, try again.\n");
            return Ok(());
        }
        let answer = game.answer(self.drawn);
        let (outcome, in_log) = match right {
            true => ("Correct, you win", "wins"),
            false => ("Wrong, you lose", "loses"),
        };
        let shown = cut(&format!("{outcome}: it was {answer}."), cx);
        cx.send_text(format_args!("{shown}\n"));
        cx.note(format_args!(
            "{in_log} with {}: it was {answer}",
            Escaped(guess)
        ));
        cx.close(CloseReason::Answered);
        Ok(())
    }
}

/// Whether a datagram is one of our own texts come back: from an echo, or from another game that a
/// forged address has set on this one. Answering would go on for ever.
fn is_ours(datagram: &[u8]) -> bool {
    const OURS: [&[u8]; 5] = [
        b"Guess ",
        b"Correct, you ",
        b"Wrong, ",
        b"error: ",
        b"bye: ",
    ];
    OURS.iter().any(|text| datagram.starts_with(text))
}

/// A reply as long as it may be: over datagrams an address that has sent one byte is owed no more
/// than a short one (see the reactor's credit), and half a hint is more than silence.
fn cut(reply: &str, cx: &Cx<'_, Guess>) -> String {
    const MARK: &str = "...";
    if !cx.is_datagram() || reply.len() < DATAGRAM_BYTES {
        return reply.to_owned();
    }
    let room = (0..DATAGRAM_BYTES - MARK.len()).rev();
    let end = room.into_iter().find(|end| reply.is_char_boundary(*end));
    let end = end.unwrap_or(0);
    format!("{}{MARK}", &reply[..end])
}

#[cfg(test)]
mod tests;
