//! A client as the job of a shell on a pseudo-terminal: what it shows, what is typed, and whether
//! the terminal echoes. `terminal.py` holds the terminal and is the shell.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::support::PATIENCE;

/// A client whose terminal is ours; ended with it when dropped.
pub struct Terminal {
    child: Child,
    commands: Option<ChildStdin>,
    shown: Arc<(Mutex<Vec<u8>>, Condvar)>,
    reports: Receiver<String>,
    /// Nothing comes here; its other side goes when all that was ever shown has been read.
    all_shown: Receiver<()>,
}

impl Terminal {
    /// Starts the program with these arguments on a terminal of so many columns, in English and
    /// without colours unless `variables` say otherwise.
    pub fn start(columns: u32, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/terminal.py");
        let mut child = Command::new("python3")
            .args([script, &columns.to_string()])
            .arg(env!("CARGO_BIN_EXE_switchboard"))
            .args(arguments)
            .env_remove("COLUMNS")
            .env_remove("LC_MESSAGES")
            .envs([("LC_ALL", "C.UTF-8"), ("NO_COLOR", "1"), ("TERM", "xterm")])
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let shown = Arc::new((Mutex::default(), Condvar::new()));
        let (mut from, to) = (child.stdout.take().unwrap(), Arc::clone(&shown));
        let (until_the_end, all_shown) = mpsc::channel();
        thread::spawn(move || {
            let _until_the_end = until_the_end;
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                let (text, changed): &(Mutex<Vec<u8>>, _) = &to;
                text.lock().unwrap().extend_from_slice(&buffer[..count]);
                changed.notify_all();
            }
        });
        let (give, reports) = mpsc::channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = give.send(line);
            }
        });
        Self {
            commands: child.stdin.take(),
            child,
            shown,
            reports,
            all_shown,
        }
    }

    /// Types text; `\n` is Return, `\x04` Ctrl-D.
    pub fn types(&mut self, text: &str) {
        let escaped: String = text
            .chars()
            .map(|c| match c.is_ascii_control() {
                true => format!("\\x{:02x}", u32::from(c)),
                false => c.to_string(),
            })
            .collect();
        self.command(&format!("type {escaped}"));
    }

    /// Sends a signal to the program.
    pub fn signal(&mut self, signal: rustix::process::Signal) {
        self.command(&format!("signal {}", signal.as_raw()));
    }

    /// Closes the terminal.
    pub fn hang_up(&mut self) {
        self.command("hangup");
    }

    /// Whether what is typed now is shown.
    pub fn echoes(&mut self) -> bool {
        self.command("echo");
        self.report() == "echo on"
    }

    /// What the terminal was like when the program stopped, or how both ended; then all that the
    /// program wrote has been shown, too.
    pub fn report(&self) -> String {
        let report = self.reports.recv_timeout(PATIENCE);
        let report = report.unwrap_or_else(|error| panic!("{error}; shown: {}", self.shown()));
        if report.starts_with("ended ") {
            // The report came on a way of its own, and may be first.
            let end = self.all_shown.recv_timeout(PATIENCE);
            assert_eq!(end, Err(RecvTimeoutError::Disconnected), "{}", self.shown());
        }
        report
    }

    /// All that was shown so far.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.0.lock().unwrap()).into_owned()
    }

    /// Waits until this text was shown so often.
    pub fn wait_for(&self, text: &str, times: usize) {
        let count = |shown: &Vec<u8>| String::from_utf8_lossy(shown).matches(text).count();
        let (shown, changed) = (&self.shown.0, &self.shown.1);
        let waited = changed.wait_timeout_while(shown.lock().unwrap(), PATIENCE, |shown| {
            count(shown) < times
        });
        let (shown, timeout) = waited.unwrap();
        let text_shown = String::from_utf8_lossy(&shown).into_owned();
        drop(shown);
        assert!(!timeout.timed_out(), "no {text:?} in: {text_shown}");
    }

    fn command(&mut self, line: &str) {
        writeln!(self.commands.as_mut().unwrap(), "{line}").unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Its end closes the terminal, which ends the program.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
