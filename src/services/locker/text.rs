//! The text wire: a command a line, answers of lines that end with `ok ...` or `error: ...`.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::ask::{Answer, Ask, Purpose, Refusal};
use super::password::Secret;
use crate::wire::{Escaped, Readable};

/// What a line says.
#[derive(Debug)]
pub(super) enum Said {
    Ask(Ask),
    Help,
    Quit,
    /// No command, or a wrong one; what to answer.
    Wrong(String),
}

/// What `help` shows, without the closing `ok`.
pub(super) const HELP: &str = "\
show                       which lockers are free
register N PASSWORD        take locker N
store N PASSWORD ITEM      put an item in; it is the rest of the line
retrieve N PASSWORD        take all items out and give the locker back
reset N                    call the administrator: the password becomes 0000
backup PATH                copy the database (the server's own user, on a Unix socket)
help                       these lines
quit                       leave
";

/// Reads a line. Commands may be in any case; words are separated by blanks.
pub(super) fn read(line: &[u8]) -> Said {
    let (command, rest) = word(line);
    if command.is_empty() {
        return wrong("an empty line is no command; 'help' lists them");
    }
    let lower = command.to_ascii_lowercase();
    match &lower[..] {
        b"show" => alone(rest, Said::Ask(Ask::Show), "show"),
        b"help" => alone(rest, Said::Help, "help"),
        b"quit" => alone(rest, Said::Quit, "quit"),
        b"register" => match number(rest).map(|(locker, rest)| (locker, word(rest))) {
            Some((locker, (password, b""))) if !password.is_empty() => ask(Ask::Register {
                locker,
                password: secret(password),
            }),
            _ => wrong("write register N PASSWORD"),
        },
        b"store" => match number(rest).map(|(locker, rest)| (locker, word(rest))) {
            Some((locker, (password, item))) if !item.is_empty() => {
                open(locker, password, Purpose::Store(item.to_vec()))
            }
            _ => wrong("write store N PASSWORD ITEM"),
        },
        b"retrieve" => match number(rest).map(|(locker, rest)| (locker, word(rest))) {
            Some((locker, (password, b""))) if !password.is_empty() => {
                open(locker, password, Purpose::Retrieve)
            }
            _ => wrong("write retrieve N PASSWORD"),
        },
        b"reset" => match number(rest) {
            Some((locker, b"")) => ask(Ask::Reset { locker }),
            _ => wrong("write reset N"),
        },
        b"backup" => match std::str::from_utf8(rest.trim_ascii_end()) {
            Ok(path) if !path.is_empty() => ask(Ask::Backup {
                path: PathBuf::from(path),
            }),
            _ => wrong("write backup PATH"),
        },
        // It may be anything, a password that was typed too early even: it is not repeated.
        _ if command.len() > COMMAND_BYTES_SHOWN || !command.is_ascii() => {
            wrong("that is no command; 'help' lists them")
        }
        _ => {
            let shown = Escaped(command).to_string();
            wrong(&format!(
                "'{}' is no command; 'help' lists them",
                shown.trim_matches('"')
            ))
        }
    }
}

/// Bytes of an unknown command that its error repeats.
const COMMAND_BYTES_SHOWN: usize = 32;

fn ask(ask: Ask) -> Said {
    Said::Ask(ask)
}

fn open(locker: u32, password: &[u8], purpose: Purpose) -> Said {
    let password = secret(password);
    ask(Ask::Open {
        locker,
        password,
        purpose,
    })
}

fn wrong(words: &str) -> Said {
    Said::Wrong(words.to_owned())
}

fn alone(rest: &[u8], said: Said, command: &str) -> Said {
    match rest.is_empty() {
        true => said,
        false => wrong(&format!("write {command}, and nothing behind it")),
    }
}

fn secret(password: &[u8]) -> Secret {
    Secret::new(password)
}

/// The first word and what stands behind the blanks that follow it.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let text = text.trim_ascii_start();
    let end = text.iter().position(|byte| matches!(byte, b' ' | b'\t'));
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    (word, rest.trim_ascii_start())
}

/// A locker's number in front, and the rest.
fn number(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = word(text);
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| plain)?;
    // One that no number of 32 bits holds is a locker that there is not, as well.
    Some((digits.parse().unwrap_or(u32::MAX), rest))
}

/// Writes an answer.
pub(super) fn write(answer: &Answer) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = match answer {
        Answer::Lockers(free) => {
            for (locker, free) in free.iter().enumerate() {
                let state = if *free { "free" } else { "in use" };
                let _ = writeln!(text, "{locker} {state}");
            }
            writeln!(text, "ok")
        }
        Answer::Registered(locker) => writeln!(text, "ok locker {locker} is yours"),
        Answer::Stored(items) => writeln!(text, "ok {items} items"),
        Answer::Retrieved(items) => {
            for item in items {
                let _ = writeln!(text, "item {}", Readable(item));
            }
            writeln!(text, "ok {} items", items.len())
        }
        Answer::Right | Answer::Reset => writeln!(text, "ok"),
        Answer::Waiting => writeln!(text, "ok waiting for the administrator"),
        Answer::BackedUp(bytes) => writeln!(text, "ok {bytes} bytes"),
        Answer::No(Refusal::Failed(words)) => {
            writeln!(text, "error: {}", Readable(words.as_bytes()))
        }
        Answer::No(refusal) => writeln!(text, "error: {refusal}"),
        Answer::Unknown => writeln!(text, "error: outcome unknown"),
    };
    text
}
