//! The command line: what was asked for, checked, and handed to the server or to a client.
//!
//! It knows flags, endpoints and the texts of the registry; it knows no protocol and no socket.
//! [`run`] is the whole program. Everything is printed with errors ignored: a reader that has
//! left, or a full disk, must not turn help into a crash.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write as _};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::exit::Exit;
use crate::wire::Readable;

mod clients;
mod echo;
mod files;
mod guess;
mod help;
mod locker;
mod serve;

pub use serve::ServeArgs;

/// The classic services of socket programming, to any client, from one readiness loop.
#[derive(Debug, Parser)]
#[command(name = "switchboard", version, propagate_version = false)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The flags of one are built when it is the one that was asked for: of all together they are a
/// tenth of a megabyte, which the server would never give back.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Command {
    Serve(serve::Flags),
    Write(clients::Write),
    Sum(clients::Sum),
    Echo(echo::Echo),
    Guess(guess::Guess),
    Talk(clients::Talk),
    Kiosk(locker::Kiosk),
    Locker(locker::Locker),
    Ls(files::Ls),
    Get(files::Get),
    Put(files::Put),
}

/// Reads the command line of this process, does what it asks for, and says how it ended.
pub fn run() -> Exit {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(pages) = help::pages_asked_for(&arguments) {
        return print(&pages);
    }
    let foreign = arguments
        .iter()
        .find(|word| word.to_str().is_none())
        .cloned();
    match parse(arguments) {
        Ok(Command::Serve(flags)) => serve::run(flags),
        Ok(Command::Write(write)) => clients::finish(write.run()),
        Ok(Command::Sum(sum)) => clients::finish(sum.run()),
        Ok(Command::Echo(echo)) => clients::finish(echo.run()),
        Ok(Command::Guess(guess)) => clients::finish(guess.run()),
        Ok(Command::Talk(talk)) => clients::finish(talk.run()),
        Ok(Command::Kiosk(kiosk)) => clients::finish(kiosk.run()),
        Ok(Command::Locker(locker)) => clients::finish(locker.run()),
        Ok(Command::Ls(ls)) => clients::finish(ls.run()),
        Ok(Command::Get(get)) => clients::finish(get.run()),
        Ok(Command::Put(put)) => clients::finish(put.run()),
        // Of this error alone clap doesn't say which argument it is about.
        Err(error) if error.kind() == ErrorKind::InvalidUtf8 => {
            let word = foreign.unwrap_or_default();
            let shown = Readable(word.as_encoded_bytes());
            usage_error(&format!("'{shown}' is not valid UTF-8"))
        }
        Err(mut error) => {
            make_readable(&mut error);
            // Help and the version go to standard output, and are a success.
            let _ = error.print();
            match error.exit_code() {
                0 => Exit::Success,
                _ => Exit::Usage,
            }
        }
    }
}

/// Says what is wrong with the command line, as clap does, on standard error.
///
/// `message` names the argument; control characters in it are escaped.
pub fn usage_error(message: &str) -> Exit {
    complain(message);
    let _ = writeln!(io::stderr(), "\nFor more information, try '--help'.");
    Exit::Usage
}

/// `error: MESSAGE` on standard error.
fn complain(message: impl fmt::Display) {
    say(format_args!("error: {message}"));
}

/// A line on standard error, in one write so that it stays whole beside other processes' lines.
fn say(message: impl fmt::Display) {
    let text = message.to_string();
    let line = format!("{}\n", Readable(text.as_bytes()));
    let _ = io::stderr().write_all(line.as_bytes());
}

fn print(text: &str) -> Exit {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
    Exit::Success
}

fn parse(arguments: Vec<OsString>) -> Result<Command, clap::Error> {
    let matches = match Cli::command().try_get_matches_from(&arguments) {
        Err(error) if shows_help(&error) => with_all_texts().try_get_matches_from(&arguments),
        other => other,
    }?;
    Ok(Cli::from_arg_matches(&matches)?.command)
}

/// Whether what clap says is a page of help, asked for or not.
fn shows_help(error: &clap::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    )
}

/// The commands with all that a page of help says, whichever it is: the list of the commands tells
/// what each is about before it is built.
fn with_all_texts() -> clap::Command {
    let mut built = Cli::command();
    built.build();
    let services = help::services();
    let all = Cli::command().mut_subcommands(|command| {
        let built = built.find_subcommand(command.get_name());
        match built.and_then(clap::Command::get_about) {
            Some(about) => command.about(about.clone()),
            None => command,
        }
    });
    all.mut_subcommand("serve", |serve| serve.after_long_help(services))
}

/// Escapes what an argument that is echoed by an error might do to the terminal.
fn make_readable(error: &mut clap::Error) {
    let forged: Vec<(ContextKind, String)> = error
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(text) if text.chars().any(char::is_control) => {
                Some((kind, Readable(text.as_bytes()).to_string()))
            }
            _ => None,
        })
        .collect();
    if forged.is_empty() {
        return;
    }
    // Suggestions repeat the argument.
    error.remove(ContextKind::Suggested);
    for (kind, text) in forged {
        error.insert(kind, ContextValue::String(text));
    }
}

#[cfg(test)]
mod tests;
