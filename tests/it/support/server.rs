//! A running server: started with port 0 and a folder of its own, killed on drop, its log shown
//! where the test fails.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{LIMIT, process, wait_until};

/// How a server is to be started.
pub struct Builder {
    folder: TempDir,
    wrapper: Vec<String>,
    arguments: Vec<String>,
    log: String,
}

/// A server that has said `ready`.
pub struct Server {
    folder: TempDir,
    child: Child,
    /// The server itself, where a wrapper (strace, prlimit) is its parent.
    pid: Pid,
    stdout: Option<BufReader<ChildStdout>>,
    table: Vec<(String, String)>,
}

impl Builder {
    /// `DIR` in an argument stands for the server's own fresh folder, which is also its
    /// `XDG_RUNTIME_DIR`.
    pub fn new(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().display().to_string();
        let arguments = arguments.iter().map(|a| a.replace("DIR", &here)).collect();
        Self {
            folder,
            wrapper: Vec::new(),
            arguments,
            log: "debug".to_owned(),
        }
    }

    /// Runs the server under another program, e.g. `["prlimit", "--nofile=256"]`.
    pub fn wrapped(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Sets `RUST_LOG`.
    pub fn log(mut self, level: &str) -> Self {
        level.clone_into(&mut self.log);
        self
    }

    /// The folder that `DIR` stands for.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The command, for tests that need its streams differently.
    pub fn command(&self) -> Command {
        let binary = env!("CARGO_BIN_EXE_switchboard").to_owned();
        let mut words = self.wrapper.clone();
        words.extend([binary, "serve".to_owned()]);
        words.extend(self.arguments.clone());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .env("RUST_LOG", &self.log)
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("XDG_STATE_HOME", self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(self.folder.path().join("log")).unwrap());
        command
    }

    /// Starts the server and reads its table until `ready`.
    pub fn start(self) -> Server {
        let mut command = self.command();
        self.start_as(&mut command)
    }

    /// As [`Builder::start`], by this form of the builder's command.
    pub fn start_as(self, command: &mut Command) -> Server {
        self.try_start_as(command)
            .unwrap_or_else(|(builder, status)| {
                let log = fs::read_to_string(builder.folder().join("log")).unwrap_or_default();
                panic!("the server ended before it was ready: {status}\n{log}")
            })
    }

    /// As [`Builder::start_as`]; where the server ends before it is ready, the status of what was
    /// started.
    pub fn try_start_as(self, command: &mut Command) -> Result<Server, (Self, ExitStatus)> {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut table = Vec::new();
        loop {
            let mut line = String::new();
            if stdout.read_line(&mut line).unwrap() == 0 {
                return Err((self, child.wait().unwrap()));
            }
            match line.trim_end().split_once(' ') {
                Some((service, endpoint)) => table.push((service.into(), endpoint.into())),
                None => break assert_eq!(line, "ready\n"),
            }
        }
        let own = Pid::from_child(&child);
        let mut pid = Some(own);
        if !self.wrapper.is_empty() {
            let mut ended = None;
            wait_until("a process switchboard", || {
                pid = process::find(own, "switchboard");
                ended = child.try_wait().unwrap();
                pid.is_some() || ended.is_some()
            });
            if let Some(status) = ended {
                return Err((self, status));
            }
        }
        Ok(Server {
            folder: self.folder,
            child,
            pid: pid.unwrap(),
            stdout: Some(stdout),
            table,
        })
    }
}

impl Server {
    /// Starts a server with these arguments behind `serve`; see [`Builder::new`].
    pub fn start(arguments: &[&str]) -> Self {
        Builder::new(arguments).start()
    }

    /// The process id of the server.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The server's own folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The endpoints of a service, in the order of the table.
    pub fn endpoints(&self, service: &str) -> Vec<String> {
        let of = self.table.iter().filter(|(name, _)| name == service);
        of.map(|(_, endpoint)| endpoint.clone()).collect()
    }

    /// The address of a service's first TCP listener.
    pub fn tcp(&self, service: &str) -> SocketAddr {
        let endpoints = self.endpoints(service);
        let address = endpoints
            .iter()
            .find_map(|endpoint| endpoint.strip_prefix("tcp://"));
        address
            .unwrap_or_else(|| panic!("no TCP listener of {service}"))
            .parse()
            .unwrap()
    }

    /// The path of a service's first Unix listener.
    pub fn unix(&self, service: &str) -> PathBuf {
        let endpoints = self.endpoints(service);
        let path = endpoints
            .iter()
            .find_map(|endpoint| endpoint.strip_prefix("unix:"));
        path.unwrap_or_else(|| panic!("no Unix listener of {service}"))
            .into()
    }

    /// A TCP connection to a service, with a limit on its reads and writes.
    pub fn connect(&self, service: &str) -> TcpStream {
        let stream = TcpStream::connect(self.tcp(service)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream
    }

    /// A Unix connection to a service, with a limit on its reads and writes.
    pub fn connect_unix(&self, service: &str) -> UnixStream {
        let stream = UnixStream::connect(self.unix(service)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream
    }

    /// Sends a signal to the server.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// What the server has written to standard error so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Fails the test where the server has warned of something, or complained. That an iteration was
    /// slow is left out: it says so too where the machine gave it no processor.
    #[track_caller]
    pub fn expect_no_warning(&self) {
        let log = self.log();
        let said = |line: &&str| line.contains("WARN") || line.contains("ERROR");
        let stalled = |line: &&str| line.contains("slow: one iteration");
        let warnings: Vec<_> = log
            .lines()
            .filter(said)
            .filter(|line| !stalled(line))
            .collect();
        assert!(warnings.is_empty(), "{warnings:#?}");
    }

    /// Waits until the log has this text.
    pub fn wait_for_log(&self, text: &str) {
        wait_until(&format!("{text:?} in the log"), || {
            self.log().contains(text)
        });
    }

    /// The server's standard output behind `ready`.
    pub fn stdout(&mut self) -> BufReader<ChildStdout> {
        self.stdout.take().unwrap()
    }

    /// The other end of the server's standard input, where that was piped.
    pub fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    /// Waits for the end of the process.
    pub fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < end,
                "the server did not end\n{}",
                self.log()
            );
            std::thread::park_timeout(std::time::Duration::from_millis(2));
        }
    }

    /// Interrupts the server and expects a clean end.
    pub fn stop(mut self) {
        self.signal(Signal::INT);
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            // The server first: a wrapper may leave it behind when it is killed itself.
            let _ = kill_process(self.pid, Signal::KILL);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(60).collect();
            let tail: Vec<_> = tail.into_iter().rev().collect();
            eprintln!("--- the end of the server's log ---\n{}", tail.join("\n"));
        }
    }
}
