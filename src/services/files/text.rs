//! The text wire: commands.

use super::name::{Name, next_word};
use super::options::Upload;
use super::task::Task;
use super::version::Version;
use super::work::{Wish, Work};
use super::{Files, Session, owner_of};
use crate::service::{CloseReason, Cx};
use crate::wire::Escaped;

/// What `help` shows, without the closing `ok`.
const HELP: &str = "\
list [FOLDER]                    files and folders: SIZE TIME NAME
size NAME                        how many bytes it has
hash NAME [LENGTH]               the SHA-256 of it, or of its first LENGTH bytes
get NAME [OFFSET [VERSION]]      its bytes, from OFFSET on
put NAME SIZE [OFFSET [SHA256]]  store a file
help                             these lines
quit                             leave
";

/// The words of a line; more than any command has are not looked at.
fn words(mut line: &[u8]) -> Result<Vec<&[u8]>, String> {
    let mut words = Vec::new();
    while words.len() < 6 {
        match next_word(&mut line).map_err(|error| error.to_string())? {
            Some(word) => words.push(word),
            None => break,
        }
    }
    Ok(words)
}

impl Files {
    /// Does what a line says, or begins it.
    pub(super) fn command(&mut self, s: &mut Session, line: &[u8], cx: &mut Cx<'_, Self>) {
        match self.read_command(line, cx) {
            Ok(Said::Work(task, work)) => self.begin(s, task, work, cx),
            Ok(Said::Help) => cx.send_text(format_args!("{HELP}ok\n")),
            Ok(Said::Quit) => {
                cx.send(b"ok bye\n");
                cx.close(CloseReason::ClientLeft);
            }
            Err(why) => self.refuse(s, &why, cx),
        }
    }

    fn read_command(&self, line: &[u8], cx: &Cx<'_, Self>) -> Result<Said, String> {
        let words = words(line)?;
        let Some((command, arguments)) = words.split_first() else {
            return Err("an empty line is no command; 'help' lists them".to_owned());
        };
        let lower = command.to_ascii_lowercase();
        match (&lower[..], arguments) {
            (b"help", []) => Ok(Said::Help),
            (b"quit", []) => Ok(Said::Quit),
            (b"list", []) => Ok(Said::Work(Task::List, Work::List(None))),
            (b"list", [folder]) => {
                let folder = folder.strip_suffix(b"/").unwrap_or(folder);
                Ok(Said::Work(Task::List, Work::List(Some(name(folder)?))))
            }
            (b"size", [file]) => Ok(Said::Work(Task::Size, Work::Open(name(file)?))),
            (b"hash", [file]) => Ok(Said::Work(Task::OpenToHash(None), Work::Open(name(file)?))),
            (b"hash", [file, length]) => {
                let task = Task::OpenToHash(Some(number("LENGTH", length)?));
                Ok(Said::Work(task, Work::Open(name(file)?)))
            }
            (b"get", [file, more @ ..]) if more.len() <= 2 => get(file, more),
            (b"put", [file, size, more @ ..]) if more.len() <= 2 => put(file, size, more, cx),
            (b"list", _) => Err("write list [FOLDER]".to_owned()),
            (b"size", _) => Err("write size NAME".to_owned()),
            (b"hash", _) => Err("write hash NAME [LENGTH]".to_owned()),
            (b"get", _) => Err("write get NAME [OFFSET [VERSION]]".to_owned()),
            (b"put", _) => Err("write put NAME SIZE [OFFSET [SHA256]]".to_owned()),
            (b"help" | b"quit", _) => Err("write that word alone".to_owned()),
            _ => {
                let shown = Escaped(command).to_string();
                let shown = shown.trim_matches('"');
                Err(format!("'{shown}' is no command; 'help' lists them"))
            }
        }
    }
}

/// What a line says.
enum Said {
    Work(Task, Work),
    Help,
    Quit,
}

fn get(file: &[u8], more: &[&[u8]]) -> Result<Said, String> {
    let offset = more.first().map_or(Ok(0), |word| number("OFFSET", word))?;
    let version = match more.get(1) {
        None => None,
        Some(word) => Some(Version::parse(word).ok_or("VERSION is none that this server gave")?),
    };
    let task = Task::Get { offset, version };
    Ok(Said::Work(task, Work::Open(name(file)?)))
}

fn put(file: &[u8], size: &[u8], more: &[&[u8]], cx: &Cx<'_, Files>) -> Result<Said, String> {
    let upload = cx.options().upload;
    if upload == Upload::No {
        return Err("nothing is uploaded here".to_owned());
    }
    let size = number("SIZE", size)?;
    let offset = more.first().map_or(Ok(0), |word| number("OFFSET", word))?;
    let hash = match more.get(1) {
        None => None,
        Some(word) => Some(sha256(word)?),
    };
    let work = Work::Begin(Wish {
        name: name(file)?,
        size: Some(size),
        offset: offset.min(size),
        owner: owner_of(cx.peer()),
        replace: upload == Upload::Replace,
    });
    Ok(Said::Work(Task::Begin(hash), work))
}

fn name(word: &[u8]) -> Result<Name, String> {
    Name::parse(word).map_err(|error| error.to_string())
}

fn number(what: &str, word: &[u8]) -> Result<u64, String> {
    let digits = !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(word).ok().filter(|_| digits);
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("{what} is a number of bytes"))
}

fn sha256(word: &[u8]) -> Result<String, String> {
    let plain = word.len() == 64 && word.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(word).ok().filter(|_| plain);
    text.map(str::to_ascii_lowercase)
        .ok_or_else(|| "SHA256 has 64 hexadecimal digits".to_owned())
}
