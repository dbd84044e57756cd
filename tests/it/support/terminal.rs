//! A program on a pseudo-terminal: typed to, read from, hung up. `terminal.py` holds the terminal.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use rustix::process::Pid;

use super::server::Builder;
use super::{LIMIT, process, wait_until};

/// The program that holds the terminal, to be put before the one that runs on it.
pub const HOLDER: [&str; 2] = [
    "python3",
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/terminal.py"),
];

/// A program whose terminal is ours.
pub struct Terminal {
    child: Child,
    commands: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
    /// Reads what is shown, to its end.
    reader: JoinHandle<()>,
    /// The server's folder, its log in it, goes when this goes.
    _builder: Option<Builder>,
}

impl Terminal {
    /// A server with these arguments, once it is ready.
    pub fn serve(arguments: &[&str]) -> Self {
        Self::server(Builder::new(arguments).wrapped(&HOLDER))
    }

    /// A server that ignores SIGHUP from its start, as `nohup` has it.
    pub fn serve_without_hup(arguments: &[&str]) -> Self {
        let shell = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"];
        let words: Vec<_> = HOLDER.into_iter().chain(shell).collect();
        Self::server(Builder::new(arguments).wrapped(&words))
    }

    fn server(builder: Builder) -> Self {
        let mut terminal = Self::start(&mut builder.command());
        terminal._builder = Some(builder);
        terminal.wait_for("ready\n");
        terminal
    }

    /// Any program; the command's first words are [`HOLDER`].
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut from, to) = (child.stdout.take().unwrap(), Arc::clone(&shown));
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                to.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self {
            commands: child.stdin.take().unwrap(),
            child,
            shown,
            reader,
            _builder: None,
        }
    }

    /// Types text; escapes are Python's, so `\n` is Return and `\x04` is Ctrl-D.
    pub fn types(&mut self, text: &str) {
        writeln!(self.commands, "type {text}").unwrap();
    }

    /// Closes the terminal.
    pub fn hang_up(&mut self) {
        writeln!(self.commands, "hangup").unwrap();
    }

    /// All that was shown so far.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// Waits until this text was shown.
    pub fn wait_for(&self, text: &str) {
        let end = Instant::now() + LIMIT;
        while !self.shown().contains(text) {
            assert!(Instant::now() < end, "no {text:?} in: {}", self.shown());
            std::thread::park_timeout(std::time::Duration::from_millis(2));
        }
    }

    /// The server on the terminal.
    pub fn server_pid(&self) -> Pid {
        process::named(Pid::from_child(&self.child), "switchboard")
    }

    /// A connection to the first TCP endpoint of a service that was shown.
    pub fn connect(&self, service: &str) -> TcpStream {
        let shown = self.shown();
        let start = format!("{service} tcp://");
        let line = shown.lines().find_map(|line| line.strip_prefix(&start));
        let stream = TcpStream::connect(line.unwrap().trim_end()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    /// Waits for the end of the program and returns its status; then all that it wrote was shown.
    pub fn ended(&mut self) -> Option<i32> {
        let mut status = None;
        wait_until("the end of what is shown", || self.reader.is_finished());
        wait_until("the end of the program", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let pid = Pid::from_child(&self.child);
        for below in process::descendants(pid).into_iter().rev() {
            let _ = rustix::process::kill_process(below, rustix::process::Signal::KILL);
        }
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the terminal ---\n{}", self.shown());
        }
    }
}
