//! `kiosk`: the lockers for whoever stands before them, by a menu of six items.
//!
//! `menu` knows the choices, `grid` draws the lockers, `words` has all that is said, in each
//! language. What is typed comes a line at a time, from a terminal or a pipe.

use std::io::{self, IsTerminal};
use std::time::Duration;

use super::locker::conversation::{Answer, Conversation, Prompts};
use super::locker::keyboard::Typed;
use super::password::Password;
use super::{Failure, output};
use crate::config::endpoint::Endpoint;
use crate::config::limits::LINE_BYTES_MAX;
use crate::wire::Readable;
use crate::wire::locker as wire;
pub use grid::Grid;
use menu::Choice;
pub use words::Lang;
use words::{Words, filled};

mod grid;
mod menu;
mod words;

/// Shows the menu and does what is chosen, until somebody leaves: by the menu, Ctrl-D, the end of
/// a pipe, or where nobody reads standard output any more.
///
/// A line `error: ...` of the server is shown, and the menu goes on. Only one that comes unasked
/// (the server is full) is [`Failure::Refused`].
pub fn kiosk(endpoint: &Endpoint, lang: Lang, timeout: Duration) -> Result<(), Failure> {
    let mut kiosk = Kiosk {
        conversation: Conversation::dial(endpoint, Prompts::Stdout, timeout)?,
        words: lang.words(),
        is_terminal: io::stdin().is_terminal(),
    };
    kiosk.conversation.stay();
    let stop = match kiosk.serve() {
        Ok(never) => match never {},
        Err(stop) => stop,
    };
    match stop {
        Stop::Left => {
            // Nobody reads the last word, perhaps, or the terminal has gone: that is no failure.
            let _ = output::write_all(format!("{}\n", kiosk.words.bye).as_bytes());
            Ok(())
        }
        Stop::Failed(failure) => {
            if matches!(failure, Failure::Lost(_)) {
                let _ = output::write_all(format!("{}\n", kiosk.words.lost).as_bytes());
            }
            Err(failure)
        }
    }
}

/// Why the menu is not shown again.
enum Stop {
    Left,
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// What there is none of: the menu ends by a [`Stop`].
enum Never {}

struct Kiosk {
    conversation: Conversation,
    words: &'static Words,
    /// What is typed is shown by a terminal, with its line ends.
    is_terminal: bool,
}

impl Kiosk {
    fn serve(&mut self) -> Result<Never, Stop> {
        self.say(self.words.title)?;
        loop {
            self.say("")?;
            self.say(&menu::shown(self.words))?;
            let line = self.line(self.words.choose)?;
            if line.trim().is_empty() {
                continue;
            }
            match menu::chosen(self.words, &line) {
                Some(Choice::Show) => self.show()?,
                Some(Choice::Register) => self.register()?,
                Some(Choice::Store) => self.store()?,
                Some(Choice::Retrieve) => self.retrieve()?,
                Some(Choice::Call) => self.call()?,
                Some(Choice::Leave) => return Err(Stop::Left),
                None => self.say(self.words.no_choice)?,
            }
        }
    }

    fn show(&mut self) -> Result<(), Stop> {
        let Some(answer) = self.ask(&wire::show())? else {
            return Ok(());
        };
        let grid = Grid::for_stdout(self.words.free, self.words.in_use);
        self.write(&grid.drawn(&answer.lockers))
    }

    fn register(&mut self) -> Result<(), Stop> {
        let Some(locker) = self.locker()? else {
            return Ok(());
        };
        let Some(password) = self.password(self.words.password)? else {
            return Ok(());
        };
        // A password that nobody saw is typed twice; one from a pipe stands there once.
        if self.is_terminal {
            match self.password(self.words.password_again)? {
                Some(again) if again == password => {}
                Some(_) => return self.say(self.words.differ),
                None => return Ok(()),
            }
        }
        match self.ask(&wire::register(locker, &password))? {
            Some(_) => self.say(&filled(self.words.registered, &[&locker.to_string()])),
            None => Ok(()),
        }
    }

    fn store(&mut self) -> Result<(), Stop> {
        let Some(locker) = self.locker()? else {
            return Ok(());
        };
        let Some(password) = self.password(self.words.password)? else {
            return Ok(());
        };
        let item = self.line(self.words.item)?;
        if let Err(why) = wire::check_item(item.as_bytes()) {
            return self.say(self.words.unsendable(why));
        }
        let request = wire::store(locker, &password, item.as_bytes());
        let Some(answer) = self.ask(&request)? else {
            return Ok(());
        };
        let count = count(&answer);
        self.say(&filled(self.words.stored, &[&locker.to_string(), &count]))
    }

    fn retrieve(&mut self) -> Result<(), Stop> {
        let Some(locker) = self.locker()? else {
            return Ok(());
        };
        let Some(password) = self.password(self.words.password)? else {
            return Ok(());
        };
        let Some(answer) = self.ask(&wire::retrieve(locker, &password))? else {
            return Ok(());
        };
        for item in &answer.items {
            self.say(&format!("- {}", Readable(item)))?;
        }
        let count = answer.items.len().to_string();
        self.say(&filled(
            self.words.retrieved,
            &[&locker.to_string(), &count],
        ))
    }

    fn call(&mut self) -> Result<(), Stop> {
        let Some(locker) = self.locker()? else {
            return Ok(());
        };
        let Some(answer) = self.ask(&wire::reset(locker))? else {
            return Ok(());
        };
        let text = match answer.ok.is_empty() {
            true => self.words.was_reset,
            false => {
                self.conversation.is_waited_for();
                self.words.called
            }
        };
        self.say(&filled(text, &[&locker.to_string()]))
    }

    /// The answer; where the server said no, that is shown instead.
    fn ask(&mut self, request: &[u8]) -> Result<Option<Answer>, Stop> {
        match self.conversation.ask(request) {
            Ok(answer) => Ok(Some(answer)),
            Err(Failure::Refused(line)) => {
                let said = self.words.translated(&line);
                self.say(&said.unwrap_or(line))?;
                Ok(None)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// A locker's number; where none was typed, that is said.
    fn locker(&mut self) -> Result<Option<u32>, Stop> {
        let line = self.line(self.words.number)?;
        let number = line.trim().parse().ok();
        if number.is_none() {
            self.say(self.words.no_number)?;
        }
        Ok(number)
    }

    /// A password that can be sent; where it can't, that is said.
    fn password(&mut self, prompt: &str) -> Result<Option<Password>, Stop> {
        let typed = self.conversation.typed_password(prompt);
        let Some(password) = self.typed(typed)? else {
            return Ok(None);
        };
        match wire::check_password(&password) {
            Ok(()) => Ok(Some(password)),
            Err(why) => {
                self.say(self.words.unsendable(why))?;
                Ok(None)
            }
        }
    }

    /// A line of text; empty where it was too long, which is said.
    fn line(&mut self, prompt: &str) -> Result<String, Stop> {
        let typed = self.conversation.typed_line(prompt);
        let line = self.typed(typed)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// What was typed; `None` where it was too long, which is said.
    fn typed(&mut self, typed: Result<Typed, Failure>) -> Result<Option<Password>, Stop> {
        // A terminal that echoes, or echoes the line end only, has ended the line of the prompt.
        let has_line_end = self.is_terminal && matches!(typed, Ok(Typed::Line(_) | Typed::TooLong));
        if !has_line_end && !matches!(typed, Ok(Typed::OutputClosed)) {
            self.say("")?;
        }
        match typed? {
            Typed::Line(line) => Ok(Some(line)),
            Typed::TooLong => {
                let limit = LINE_BYTES_MAX.to_string();
                self.say(&filled(self.words.line_too_long, &[&limit]))?;
                Ok(None)
            }
            Typed::Ended | Typed::OutputClosed => Err(Stop::Left),
        }
    }

    fn say(&self, text: &str) -> Result<(), Stop> {
        self.write(&format!("{text}\n"))
    }

    fn write(&self, text: &str) -> Result<(), Stop> {
        match output::write_while_read(text.as_bytes())? {
            true => Ok(()),
            false => Err(Stop::Left),
        }
    }
}

/// The number in `ok 3 items`.
fn count(answer: &Answer) -> String {
    let word = answer.ok.split(|byte| *byte == b' ').next();
    Readable(word.unwrap_or_default()).to_string()
}
