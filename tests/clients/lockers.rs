//! Lockers that say what a test wants, on a Unix socket, to one client after the other.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use crate::support::PATIENCE;

/// The server; its connections end when it is dropped.
pub struct Lockers {
    pub endpoint: String,
    folder: tempfile::TempDir,
    requests: Receiver<String>,
    connections: Receiver<UnixStream>,
}

/// What it does with a request.
pub enum Then {
    /// Answers.
    Say(String),
    /// Answers, and ends the connection.
    SayAndEnd(String),
}

impl Lockers {
    /// Greets each client with `greeting`, then gives each of its lines to `serve`.
    pub fn start(greeting: &'static str, serve: impl FnMut(&str) -> Then + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("locker.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let (give_request, requests) = mpsc::channel();
        let (give_connection, connections) = mpsc::channel();
        thread::spawn(move || {
            let mut serve = serve;
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let _ = give_connection.send(stream.try_clone().unwrap());
                let _ = stream.write_all(greeting.as_bytes());
                for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                    let Ok(line) = line else { break };
                    let then = serve(&line);
                    if give_request.send(line).is_err() {
                        return;
                    }
                    match then {
                        Then::Say(text) => drop(stream.write_all(text.as_bytes())),
                        Then::SayAndEnd(text) => {
                            let _ = stream.write_all(text.as_bytes());
                            let _ = stream.shutdown(Shutdown::Both);
                            break;
                        }
                    }
                }
                // The end of the client's writing.
                let _ = give_request.send("END".to_owned());
            }
        });
        Self {
            endpoint: format!("unix:{}", path.display()),
            folder,
            requests,
            connections,
        }
    }

    /// Answers every request with this text.
    pub fn that_say(text: &'static str) -> Self {
        Self::start("", move |_| Then::Say(text.to_owned()))
    }

    /// Four lockers, of which the last is in use, as the service answers for them; every password
    /// but `wrong` is right.
    pub fn four() -> Self {
        Self::start("", |line| {
            let words: Vec<_> = line.split(' ').collect();
            Then::Say(match words[..] {
                ["show"] => "0 free\n1 free\n2 free\n3 in use\nok\n".to_owned(),
                [_, locker, "wrong", ..] => {
                    format!("error: wrong password for locker {locker}\n")
                }
                ["register", "3", _] => "error: locker 3 is in use\n".to_owned(),
                ["register", locker, _] => format!("ok locker {locker} is yours\n"),
                ["store", _, _, _, ..] => "ok 2 items\n".to_owned(),
                ["retrieve", _, _] => "item a book\nitem 우산\nok 2 items\n".to_owned(),
                ["reset", _] => "ok waiting for the administrator\n".to_owned(),
                _ => "error: that is no command\n".to_owned(),
            })
        })
    }

    /// The next request; `END` is the end of the client's writing.
    pub fn request(&self) -> String {
        self.requests.recv_timeout(PATIENCE).unwrap()
    }

    /// The next client, to be spoken to and ended.
    pub fn connection(&self) -> UnixStream {
        self.connections.recv_timeout(PATIENCE).unwrap()
    }

    /// A file beside the socket.
    pub fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// Ends a connection as a server that is gone does.
pub fn end(connection: &UnixStream) {
    connection.shutdown(Shutdown::Both).unwrap();
}
