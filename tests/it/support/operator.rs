//! A server at whose console somebody is: what it prints, and what is typed there.

use std::io::{BufRead as _, Write as _};
use std::process::{ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver};

use super::LIMIT;
use super::server::{Builder, Server};

/// The server, and its console on pipes.
pub struct Operated {
    pub server: Server,
    keyboard: ChildStdin,
    lines: Receiver<String>,
}

impl Operated {
    /// Starts a server with these arguments; see [`Builder::new`].
    pub fn start(arguments: &[&str]) -> Self {
        let builder = Builder::new(arguments);
        let mut command = builder.command();
        let mut server = builder.start_as(command.stdin(Stdio::piped()));
        let (keyboard, console) = (server.stdin(), server.stdout());
        let (give, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in console.lines().map_while(Result::ok) {
                let _ = give.send(line);
            }
        });
        Self {
            server,
            keyboard,
            lines,
        }
    }

    /// Types a line.
    pub fn types(&mut self, line: &str) {
        writeln!(self.keyboard, "{line}").unwrap();
    }

    /// Expects this in the next line of the console.
    #[track_caller]
    pub fn says(&self, part: &str) {
        match self.lines.recv_timeout(LIMIT) {
            Ok(line) => assert!(line.contains(part), "{line:?} and not {part:?}"),
            Err(_) => panic!("the console is silent, without {part:?}"),
        }
    }
}
