//! A server under measurement: a child process that is killed when it is let go.

mod kind;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Error, ErrorKind, Read};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

pub use self::kind::{Kind, WITH_PEERS};
use crate::link::{Address, Transport};
use crate::{machine, peers};

/// How long a server may take to say that it is ready.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two tries to connect to a server that does not say when it is ready.
const CONNECT_PAUSE: Duration = Duration::from_millis(5);

/// Bytes of a server's listener table, far more than it has.
const TABLE_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a server's log that an error shows.
const LOG_TAIL_BYTES: usize = 2000;

/// A running server.
pub struct Server {
    pub kind: Kind,
    child: Child,
    /// Held, or what the server prints later would have nobody to take it.
    output: ChildStdout,
    addresses: Vec<(String, Address)>,
    directory: TempDir,
    /// From before it was started until it said `ready`.
    pub ready_after: Duration,
}

impl Server {
    /// Starts one and waits until it listens.
    pub fn start(kind: Kind) -> io::Result<Self> {
        Self::start_under(&[], kind)
    }

    /// As [`Server::start`], by a program that is told with `wrapper` how to start it.
    pub fn start_under(wrapper: &[OsString], kind: Kind) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let command = kind.command(wrapper, &directory)?;
        Self::launch(kind, command, directory)
    }

    /// Starts the binary with that many lockers, whose database is in the folder `data`, and an
    /// `echo`. Passwords are hashed as cheaply as possible, so that there are soon many kiosks.
    pub fn with_lockers(count: u32, data: &Path) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().display();
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
        command
            .arg("serve")
            .arg(format!("locker=tcp://127.0.0.1:0?count={count}&hash=8,1"))
            .arg(format!("locker=unix:{path}/locker.sock"))
            .arg("echo=tcp://127.0.0.1:0")
            .arg(format!("echo=unix:{path}/echo.sock"))
            .arg("--data")
            .arg(data)
            .env("RUST_LOG", "warn");
        Self::launch(Kind::Switchboard, command, directory)
    }

    /// Starts the binary, or nginx, with the files of the folder `root`. It takes uploads too.
    pub fn with_files(kind: Kind, root: &Path) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().display();
        if kind == Kind::Nginx {
            symlink(root, directory.path().join("root"))?;
            let command = kind.command(&[], &directory)?;
            return Self::launch(kind, command, directory);
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
        let root = root.display();
        command
            .arg("serve")
            .arg(format!(
                "files=tcp://127.0.0.1:0?root={root}&upload=replace"
            ))
            .arg(format!("files=unix:{path}/files.sock?upload=replace"))
            .arg("--data")
            .arg(directory.path())
            .env("RUST_LOG", "warn");
        Self::launch(kind, command, directory)
    }

    /// Starts Redis with settings as they stand in its `redis.conf`.
    pub fn with_redis(settings: &str) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        peers::redis::set(directory.path(), settings)?;
        let command = Kind::Redis.command(&[], &directory)?;
        Self::launch(Kind::Redis, command, directory)
    }

    /// Starts the binary with the services of the default board, each on a port or path of its own.
    pub fn with_board(data: &Path) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().display();
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
        command.arg("serve").arg("--data").arg(data);
        for service in ["slot", "sum", "locker", "talk", "echo", "guess", "files"] {
            command.arg(format!("{service}=tcp://127.0.0.1:0"));
        }
        for service in ["echo", "guess", "files"] {
            command.arg(format!("{service}=udp://127.0.0.1:0"));
        }
        command
            .arg(format!("sum=unix:{path}/sum.sock"))
            .arg(format!("locker=unix:{path}/locker.sock"))
            .arg(format!("locker=unix:{path}/binary.sock?wire=binary"));
        Self::launch(Kind::SwitchboardLogging, command, directory)
    }

    fn launch(kind: Kind, mut command: Command, directory: TempDir) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(File::create(directory.path().join("log"))?);
        let begun = Instant::now();
        let mut child = machine::on_server_core(|| command.spawn())?;
        let Some(output) = child.stdout.take() else {
            return Err(Error::other("the server has no standard output"));
        };
        // From here on the guard ends the process, whatever happens.
        let mut server = Self {
            kind,
            child,
            output,
            addresses: Vec::new(),
            directory,
            ready_after: Duration::ZERO,
        };
        let read = match server.read_table() {
            Ok(()) if kind.is_silent() => server.wait_for_listeners(),
            read => read,
        };
        server.ready_after = begun.elapsed();
        match read {
            Ok(()) => Ok(server),
            Err(error) => Err(Error::new(
                error.kind(),
                format!("{error}{}", server.log_tail()),
            )),
        }
    }

    /// Asks it to end in order, as its database needs it, and waits until it has.
    pub fn end(mut self) -> io::Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        self.child.wait().map(drop)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn cpu_time(&self) -> io::Result<Duration> {
        machine::cpu_time(self.pid())
    }

    pub fn anonymous_bytes(&self) -> io::Result<u64> {
        machine::memory(self.pid(), "Anonymous:")
    }

    /// Bytes of its memory, as `smaps_rollup` calls them (proc_pid_smaps(5)).
    pub fn memory(&self, which: &str) -> io::Result<u64> {
        machine::memory(self.pid(), which)
    }

    /// Does something while no thread of it runs (signal(7), SIGSTOP).
    pub fn halted<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::STOP)?;
        // An end is seen too, and left for who waits for it.
        let seen = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let worked = waitid(WaitId::Pid(pid), seen)
            .map_err(Error::from)
            .and_then(|_| work());
        kill_process(pid, Signal::CONT)?;
        worked
    }

    /// Where a service listens.
    pub fn address(&self, service: &str, transport: Transport) -> io::Result<&Address> {
        let wanted =
            |entry: &&(String, Address)| entry.0 == service && entry.1.transport() == transport;
        let missing = || {
            Error::new(
                ErrorKind::NotFound,
                format!("no {service} over {transport}"),
            )
        };
        self.addresses
            .iter()
            .find(wanted)
            .map(|(_, address)| address)
            .ok_or_else(missing)
    }

    /// Waits until all that was announced takes connections.
    fn wait_for_listeners(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        for (_, address) in &self.addresses {
            while let Err(error) = address.connect() {
                if Instant::now() > deadline || self.child.try_wait()?.is_some() {
                    let error = format!("it does not listen: {error}");
                    return Err(Error::new(ErrorKind::TimedOut, error));
                }
                // Nobody wakes it: this is a pause.
                thread::park_timeout(CONNECT_PAUSE);
            }
        }
        Ok(())
    }

    /// Reads lines `SERVICE ENDPOINT` until `ready`.
    fn read_table(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        let mut table = String::new();
        while !table.ends_with("ready\n") {
            let timeout = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(timeout).map_err(Error::other)?;
            if poll(
                &mut [PollFd::new(&self.output, PollFlags::IN)],
                Some(&timeout),
            )? == 0
            {
                return Err(Error::new(ErrorKind::TimedOut, "not ready in time"));
            }
            let mut bytes = [0; 1024];
            match self.output.read(&mut bytes)? {
                len if len > 0 && table.len() < TABLE_BYTES_MAX => {
                    table.push_str(&String::from_utf8_lossy(&bytes[..len]));
                }
                _ => {
                    return Err(Error::new(
                        ErrorKind::UnexpectedEof,
                        "ended before it was ready",
                    ));
                }
            }
        }
        for line in table.lines() {
            if let Some((service, endpoint)) = line.split_once(' ')
                && let Some(address) = Address::parse(endpoint)
            {
                self.addresses.push((service.to_owned(), address));
            }
        }
        Ok(())
    }

    /// The end of what it wrote to standard error, for an error message.
    fn log_tail(&self) -> String {
        let log = fs::read(self.directory.path().join("log")).unwrap_or_default();
        let tail = &log[log.len().saturating_sub(LOG_TAIL_BYTES)..];
        match tail {
            [] => String::new(),
            tail => format!("; its log ends with:\n{}", String::from_utf8_lossy(tail)),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
