//! Lockers as a client sees them: a folder that outlives its servers, a client on the text wire, and
//! what the client knows of the lockers.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::PathBuf;

use rusqlite::Connection;
use tempfile::TempDir;

use super::LIMIT;
use super::server::{Builder, Server};
use super::socket::Socket;

/// The folder of a server's database, for one server after the other.
pub struct Data {
    around: TempDir,
}

impl Data {
    /// One that the first server makes.
    pub fn new() -> Self {
        let around = tempfile::tempdir().unwrap();
        Self { around }
    }

    /// One with the same files.
    pub fn copy(&self) -> Self {
        let copy = Self::new();
        if self.folder().exists() {
            fs::create_dir(copy.folder()).unwrap();
            for name in self.names() {
                fs::copy(self.file(&name), copy.file(&name)).unwrap();
            }
        }
        copy
    }

    pub fn folder(&self) -> PathBuf {
        self.around.path().join("data")
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.file("lockers.db")
    }

    /// A file beside the folder.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.around.path().join(name)
    }

    /// The names of the files in it, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// A server of lockers on it, and an echo beside them. `options` stand behind those of all
    /// listeners, each with its `&`. The Unix socket has an abstract name, which makes no file.
    pub fn server(&self, options: &str) -> Builder {
        let name = self.around.path().file_name().unwrap().to_str().unwrap();
        Builder::new(&[
            "--data",
            self.folder().to_str().unwrap(),
            &format!("locker=tcp://127.0.0.1:0?hash=8,1{options}"),
            &format!("locker=unix:@switchboard-locker-{name}"),
            "echo=tcp://127.0.0.1:0",
        ])
    }

    /// The database, once no server has it: whole, as far as SQLite can tell.
    pub fn read(&self) -> Connection {
        let db = Connection::open(self.database()).unwrap();
        let check: String = db
            .query_row("PRAGMA integrity_check", (), |row| row.get(0))
            .unwrap();
        assert_eq!(check, "ok", "{}", self.database().display());
        db
    }
}

/// A client on the text wire. Where its server has gone, it has no answers any more.
pub struct Kiosk {
    stream: BufReader<Socket>,
}

impl Kiosk {
    /// Over TCP.
    pub fn tcp(server: &Server) -> Option<Self> {
        let stream = std::net::TcpStream::connect(server.tcp("locker")).ok()?;
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let stream = BufReader::new(Socket::Tcp(stream));
        Some(Self { stream })
    }

    /// Over the Unix socket of [`Data::server`]: as an administrator.
    pub fn unix(server: &Server) -> Option<Self> {
        let endpoints = server.endpoints("locker");
        let name = endpoints.iter().find_map(|e| e.strip_prefix("unix:@"));
        let address = SocketAddr::from_abstract_name(name.unwrap()).unwrap();
        let stream = UnixStream::connect_addr(&address).ok()?;
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let stream = BufReader::new(Socket::Unix(stream));
        Some(Self { stream })
    }

    /// The lines of the answer; the last is the `ok` or the error.
    pub fn ask(&mut self, line: &str) -> Option<Vec<String>> {
        let sent = self
            .stream
            .get_mut()
            .write_all(format!("{line}\n").as_bytes());
        sent.ok()?;
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            // A reset is the end as well: the server was killed.
            let count = self.stream.read_line(&mut line).unwrap_or(0);
            if count == 0 || !line.ends_with('\n') {
                return None;
            }
            lines.push(line.trim_end().to_owned());
            let last = lines.last().unwrap();
            if last == "ok" || last.starts_with("ok ") || last.starts_with("error: ") {
                return Some(lines);
            }
        }
    }

    /// The answer's last line, from a server that is there.
    #[track_caller]
    pub fn last(&mut self, line: &str) -> String {
        let lines = self
            .ask(line)
            .unwrap_or_else(|| panic!("no answer to {line}"));
        lines.last().unwrap().clone()
    }
}

/// Lockers with something in them, their server ended cleanly.
pub fn filled() -> (Data, Known) {
    let (data, mut known) = (Data::new(), Known::default());
    let server = data.server("&count=4").start();
    let mut kiosk = Kiosk::unix(&server).unwrap();
    for line in [
        "register 0 old",
        "store 0 old a lamp",
        "register 3 other",
        "store 3 other one",
        "store 3 other two",
    ] {
        known.do_it(&mut kiosk, line);
    }
    drop(kiosk);
    server.stop();
    (data, known)
}

/// What lies in one locker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held {
    /// None where it is free.
    pub password: Option<String>,
    pub items: Vec<String>,
}

/// What a client knows of the lockers.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pub lockers: BTreeMap<u32, Held>,
    /// A command that got no answer, or none that says what it did: what there is if it was done.
    pub pending: Option<(u32, Held)>,
}

impl Known {
    /// What a command makes of its locker.
    fn after(&self, line: &str) -> (u32, Held) {
        let words: Vec<_> = line.splitn(4, ' ').collect();
        let locker = words[1].parse().unwrap();
        let mut held = self.lockers.get(&locker).cloned().unwrap_or_default();
        match words[0] {
            "register" => held.password = Some(words[2].to_owned()),
            "store" => held.items.push(words[3].to_owned()),
            "retrieve" => held = Held::default(),
            "reset" => held.password = Some("0000".to_owned()),
            _ => panic!("{line}"),
        }
        (locker, held)
    }

    /// Says one command and keeps what its answer tells. `None` where there was no answer.
    pub fn say(&mut self, kiosk: &mut Kiosk, line: &str) -> Option<String> {
        if line.starts_with("backup ") {
            return kiosk.ask(line)?.pop();
        }
        self.pending = Some(self.after(line));
        let answer = kiosk.ask(line)?.pop().unwrap();
        if answer.starts_with("ok") {
            let (locker, held) = self.pending.take().unwrap();
            self.lockers.insert(locker, held);
        } else if answer != "error: outcome unknown" {
            self.pending = None;
        }
        Some(answer)
    }

    /// Says a command that has to be done.
    #[track_caller]
    pub fn do_it(&mut self, kiosk: &mut Kiosk, line: &str) {
        let answer = self.say(kiosk, line).unwrap_or_default();
        assert!(answer.starts_with("ok"), "{line}: {answer}");
    }

    /// Takes everything out of the lockers of a server that was started again: each holds what is
    /// known of it, or all of what the pending command made of it. `free` is what `show` has.
    pub fn check(&self, server: &Server, what: &str) {
        let mut kiosk = Kiosk::unix(server).unwrap();
        let shown = kiosk.ask("show").unwrap();
        let count = u32::try_from(shown.len()).unwrap() - 1;
        for locker in 0..count {
            let mut possible = vec![self.lockers.get(&locker).cloned().unwrap_or_default()];
            possible.extend(
                self.pending
                    .iter()
                    .filter(|p| p.0 == locker)
                    .map(|p| p.1.clone()),
            );
            let free = shown[locker as usize] == format!("{locker} free");
            possible.retain(|held| held.password.is_none() == free);
            assert!(!possible.is_empty(), "{what}: {shown:?}, but {self:?}");
            let taken = if free {
                self.taken_before(&mut kiosk, locker, what);
                Vec::new()
            } else {
                take(&mut kiosk, locker, &possible, what)
            };
            let holds = possible.iter().any(|held| held.items == taken);
            assert!(
                holds,
                "{what}: locker {locker} held {taken:?}, but {self:?}"
            );
        }
    }

    /// A retrieve that was done but not answered loses nothing: it is answered once more.
    fn taken_before(&self, kiosk: &mut Kiosk, locker: u32, what: &str) {
        let before = self.lockers.get(&locker).cloned().unwrap_or_default();
        if let Some(password) = before.password {
            let answer = kiosk.ask(&format!("retrieve {locker} {password}")).unwrap();
            let items = items(&answer);
            assert_eq!(items, before.items, "{what}: {answer:?}, but {self:?}");
        }
    }
}

/// Takes the items out by the first of the passwords that is right.
fn take(kiosk: &mut Kiosk, locker: u32, possible: &[Held], what: &str) -> Vec<String> {
    let mut passwords: Vec<_> = possible.iter().filter_map(|h| h.password.clone()).collect();
    passwords.dedup();
    let mut answer = Vec::new();
    for password in passwords {
        answer = kiosk.ask(&format!("retrieve {locker} {password}")).unwrap();
        if answer.last().unwrap().starts_with("ok") {
            return items(&answer);
        }
    }
    panic!("{what}: {answer:?}, but {possible:?}");
}

/// The items of an answer to `retrieve`.
pub fn items(answer: &[String]) -> Vec<String> {
    let items = answer.iter().filter_map(|line| line.strip_prefix("item "));
    items.map(ToOwned::to_owned).collect()
}
