//! `locker`: one request to the lockers for a script or a person, and its answer.
//!
//! `conversation` is shared with the kiosk; `import` reads a lab server's file.

use std::io::{self, IsTerminal, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use super::kiosk::Grid;
use super::password::{self, Password};
use super::{Failure, output};
use crate::config::board::runtime_directory;
use crate::config::endpoint::Endpoint;
use crate::exit::words;
use crate::wire::Readable;
use crate::wire::locker as wire;
use conversation::{Conversation, Prompts};
use keyboard::Typed;

pub mod conversation;
mod import;
pub mod keyboard;

/// The lockers of the default board, on its Unix socket: there the server knows the user.
///
/// A usage failure where the runtime directory's name is too long for a socket.
pub fn board_endpoint() -> Result<Endpoint, Failure> {
    let path = runtime_directory().join("locker.sock");
    Endpoint::unix(path).map_err(|error| Failure::Usage(error.to_string()))
}

/// Where the lockers are, and what every request needs to know.
///
/// Every request connects anew. A line `error: ...` of the server is [`Failure::Refused`].
#[derive(Debug)]
pub struct Lockers<'a> {
    /// The server: a stream.
    pub endpoint: &'a Endpoint,
    /// Holds the password in its first line; else it is typed, or the first line that is piped.
    pub password_file: Option<&'a Path>,
    /// How long the server may take.
    pub timeout: Duration,
}

impl Lockers<'_> {
    /// Prints the lockers: a grid on a terminal, else `N free` or `N in use`, a line each.
    pub fn show(&self) -> Result<(), Failure> {
        let answer = self.dial()?.ask(&wire::show())?;
        if io::stdout().is_terminal() {
            let grid = Grid::for_stdout("free", "in use");
            return output::write_all(grid.drawn(&answer.lockers).as_bytes());
        }
        let line = |(number, in_use): &(u32, bool)| match in_use {
            true => format!("{number} in use\n"),
            false => format!("{number} free\n"),
        };
        let text: String = answer.lockers.iter().map(line).collect();
        output::write_all(text.as_bytes())
    }

    /// Takes a free locker; a password that is typed is asked for twice.
    pub fn register(&self, locker: u32) -> Result<(), Failure> {
        let (mut conversation, password) = self.with_password(locker, typed_twice)?;
        let answer = conversation.change(&wire::register(locker, &password))?;
        print(&answer.ok)
    }

    /// Puts items into a locker, one after the other.
    ///
    /// Where one is refused, how many were stored before it is said on standard error.
    pub fn store(&self, locker: u32, items: &[Vec<u8>]) -> Result<(), Failure> {
        for item in items {
            let shown = Readable(item);
            wire::check_item(item)
                .map_err(|why| Failure::Usage(format!("'{shown}': the {why}")))?;
        }
        let (mut conversation, password) = self.with_password(locker, typed_once)?;
        let mut held = Vec::new();
        for (at, item) in items.iter().enumerate() {
            match conversation.change(&wire::store(locker, &password, item)) {
                Ok(answer) => held = answer.ok,
                Err(failure) => {
                    if items.len() > 1 {
                        say(format_args!("{at} of {} items were stored", items.len()));
                    }
                    return Err(failure);
                }
            }
        }
        print(&held)
    }

    /// Prints the items of a locker, a line each; it is free then.
    pub fn retrieve(&self, locker: u32) -> Result<(), Failure> {
        let (mut conversation, password) = self.with_password(locker, typed_once)?;
        let answer = conversation.change(&wire::retrieve(locker, &password))?;
        for item in &answer.items {
            output::write_text(&[&item[..], b"\n"].concat())?;
        }
        if io::stdout().is_terminal() {
            say(Readable(&answer.ok));
        }
        Ok(())
    }

    /// Calls the administrator. A call that has to be approved is waited for until the server
    /// ends the connection; what was decided it does not say.
    pub fn reset(&self, locker: u32) -> Result<(), Failure> {
        let mut conversation = self.dial()?;
        let answer = conversation.change(&wire::reset(locker))?;
        if answer.ok.is_empty() {
            return print(format!("the password of locker {locker} is 0000 now").as_bytes());
        }
        // First: whoever reads the words may leave at once.
        conversation.is_waited_for();
        say(format_args!(
            "{}; Ctrl-C takes the call back",
            Readable(&answer.ok)
        ));
        conversation.wait_for_end()?;
        say("the call has ended: it was decided, or nobody came in time");
        Ok(())
    }

    /// Lets the server write a copy of its database to a file of its machine, which must not exist.
    ///
    /// A path that is not absolute is taken from where this process is.
    pub fn backup(&self, file: &Path) -> Result<(), Failure> {
        let path = std::path::absolute(file)
            .map_err(|error| Failure::Usage(format!("{}: {}", file.display(), words(&error))))?;
        let path = path.as_os_str().as_bytes();
        let has_line_end = path.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
        if has_line_end || path.ends_with(b" ") || path.ends_with(b"\t") {
            let why = "a name with a line end in it, or a blank at its end, can't be sent";
            return Err(Failure::Usage(format!("{}: {why}", Readable(path))));
        }
        let answer = self.dial()?.ask(&wire::backup(path))?;
        print(&answer.ok)
    }

    /// Registers what a lab server's `lock_information` file holds: a locker for each record in
    /// use, and its item.
    ///
    /// A file that is none is a usage failure. Records that were refused are said on standard
    /// error, and [`Failure::Refused`] in the end.
    pub fn import(&self, file: &Path) -> Result<(), Failure> {
        let records = import::read(file)?;
        import::run(&mut self.dial()?, &records)
    }

    fn dial(&self) -> Result<Conversation, Failure> {
        Conversation::dial(self.endpoint, Prompts::Stderr, self.timeout)
    }

    /// Reads a password file before it connects, so that a wrong one costs no connection; without
    /// one it asks when it is connected, so that nobody types for nothing.
    fn with_password(
        &self,
        locker: u32,
        ask: fn(&mut Conversation, u32) -> Result<Password, Failure>,
    ) -> Result<(Conversation, Password), Failure> {
        let password = self.password_file.map(password::from_file).transpose()?;
        let mut conversation = self.dial()?;
        let password = match password {
            Some(password) => password,
            None => ask(&mut conversation, locker)?,
        };
        Ok((conversation, password))
    }
}

/// A line on standard error, in one write.
fn say(text: impl std::fmt::Display) {
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// A line of the server as a result.
fn print(text: &[u8]) -> Result<(), Failure> {
    output::write_text(&[text, b"\n"].concat())
}

/// A password from the keyboard, which may be a pipe: then nobody is asked.
fn typed(conversation: &mut Conversation, prompt: &str) -> Result<Password, Failure> {
    let is_terminal = io::stdin().is_terminal();
    let typed = match is_terminal {
        true => conversation.typed_password(prompt),
        false => conversation.typed_line(""),
    };
    if is_terminal && !matches!(typed, Ok(Typed::Line(_) | Typed::TooLong)) {
        // The line of the prompt is still open.
        say("");
    }
    let usage = |why: &str| Failure::Usage(why.to_owned());
    match typed? {
        Typed::Line(password) => {
            wire::check_password(&password).map_err(|why| usage(&format!("the {why}")))?;
            Ok(password)
        }
        Typed::TooLong => Err(usage(&format!("the {}", wire::Unsendable::LongPassword))),
        Typed::Ended | Typed::OutputClosed => Err(usage("no password was given")),
    }
}

fn typed_once(conversation: &mut Conversation, locker: u32) -> Result<Password, Failure> {
    typed(conversation, &format!("Password of locker {locker}: "))
}

/// A password that nobody saw is typed twice; one from a pipe stands there once.
fn typed_twice(conversation: &mut Conversation, locker: u32) -> Result<Password, Failure> {
    let password = typed_once(conversation, locker)?;
    if io::stdin().is_terminal() && typed(conversation, "The same once more: ")? != password {
        return Err(Failure::Usage("the two passwords differ".to_owned()));
    }
    Ok(password)
}
