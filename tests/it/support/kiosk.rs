//! A client of the lockers' text wire: it says a command and reads the answer to its last line.

use std::io::{self, BufRead, BufReader, Read, Write};

use super::server::{Builder, Server};
use super::socket::{Kind, Socket};

/// Hashes that cost next to nothing, for tests that are about something else.
pub const CHEAP: &str = "hash=8,1";

/// A server of so many lockers with cheap hashes: text over TCP and Unix, and the binary wire.
pub fn serving(count: u32, more: &[&str]) -> Builder {
    let tcp = format!("locker=tcp://127.0.0.1:0?count={count}&{CHEAP}");
    let mut arguments = vec![
        tcp.as_str(),
        "locker=unix:DIR/locker.sock",
        "locker=unix:DIR/binary.sock?wire=binary",
    ];
    arguments.extend(more);
    Builder::new(&arguments).log("info")
}

/// One connection.
pub struct Kiosk {
    stream: BufReader<Socket>,
}

impl Kiosk {
    /// Connects to the first listener of this kind.
    pub fn new(kind: Kind, server: &Server) -> Self {
        let stream = BufReader::new(kind.connect(server, "locker"));
        Self { stream }
    }

    pub fn tcp(server: &Server) -> Self {
        Self::new(Kind::Tcp, server)
    }

    pub fn unix(server: &Server) -> Self {
        Self::new(Kind::Unix, server)
    }

    /// Says this and waits for nothing.
    pub fn say(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// One answer, to its last line; each line without its end. An error where the server has gone.
    pub fn try_answer(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 || !line.ends_with('\n') {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            line.pop();
            let is_last = line == "ok" || line.starts_with("ok ") || line.starts_with("error: ");
            lines.push(line);
            if is_last {
                return Ok(lines);
            }
        }
    }

    /// Says a command and waits for its answer; an error where the server has gone.
    pub fn try_ask(&mut self, command: &str) -> io::Result<Vec<String>> {
        let line = format!("{command}\n");
        self.stream.get_mut().write_all(line.as_bytes())?;
        self.try_answer()
    }

    /// All lines of the answer to a command.
    #[track_caller]
    pub fn ask(&mut self, command: &str) -> Vec<String> {
        self.try_ask(command).unwrap()
    }

    /// The last line of the next answer.
    #[track_caller]
    pub fn last(&mut self) -> String {
        self.try_answer().unwrap().pop().unwrap()
    }

    /// Says a command; the last line of its answer.
    #[track_caller]
    pub fn asks(&mut self, command: &str) -> String {
        self.ask(command).pop().unwrap()
    }

    /// Says a command and sees that the answer ends so.
    #[track_caller]
    pub fn expect(&mut self, command: &str, last: &str) {
        assert_eq!(self.asks(command), last, "{command}");
    }

    /// All that comes until the server closes.
    pub fn rest(&mut self) -> String {
        let mut text = String::new();
        self.stream.read_to_string(&mut text).unwrap();
        text
    }
}
