//! A server under measurement: a child process that is killed when it is let go.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Error, ErrorKind, Read};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

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

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The binary, logging warnings and errors only, as the peers would.
    Switchboard,
    /// As the first, but it never polls before it sleeps: what is counted does not depend on how long
    /// the waits are.
    SwitchboardAsleep,
    /// The binary with its usual log, a line and more for each connection, into a file.
    SwitchboardLogging,
    /// A loop on mio that checks nothing; `echo` only.
    Bare,
    /// tokio on one thread.
    Tokio,
    /// A thread for each connection.
    Threads,
    /// One loop of recvfrom and sendto; it has no streams.
    Datagrams,
    /// nginx with sendfile, for files only.
    Nginx,
    /// Sums of long streams, byte by byte and word by word.
    Sums,
    /// The same program, asked for what only reads.
    Sink,
}

/// The one that is measured, and what it is measured against.
pub const WITH_PEERS: [Kind; 4] = [Kind::Switchboard, Kind::Bare, Kind::Tokio, Kind::Threads];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Switchboard => "switchboard",
            Self::SwitchboardAsleep => "switchboard, --poll-us=0",
            Self::SwitchboardLogging => "switchboard, logging",
            Self::Bare => "bare loop",
            Self::Tokio => "tokio, one thread",
            Self::Threads => "thread per connection",
            Self::Datagrams => "recvfrom and sendto",
            Self::Nginx => "nginx, sendfile",
            Self::Sums => "plain loop",
            Self::Sink => "reads only",
        })
    }
}

impl Kind {
    /// The server whose calls or instructions are counted in the place of this one.
    pub fn counted(self) -> Self {
        match self {
            Self::Switchboard => Self::SwitchboardAsleep,
            other => other,
        }
    }

    /// The command that starts it, behind the words of `wrapper`, if there are any.
    fn command(self, wrapper: &[OsString], directory: &TempDir) -> io::Result<Command> {
        let path = directory.path();
        let level = match self {
            Self::SwitchboardLogging => "info",
            _ => "warn",
        };
        let peer = match self {
            Self::Switchboard | Self::SwitchboardAsleep | Self::SwitchboardLogging => {
                let mut command = wrapped(wrapper, env!("CARGO_BIN_EXE_switchboard").as_ref());
                command.arg("serve");
                if self == Self::SwitchboardAsleep {
                    command.arg("--poll-us=0");
                }
                for service in ["echo", "sum", "slot"] {
                    command.arg(format!("{service}=tcp://127.0.0.1:0"));
                    let socket = path.join(format!("{service}.sock"));
                    command.arg(format!("{service}=unix:{}", socket.display()));
                }
                command.arg("echo=udp://127.0.0.1:0");
                command.env("RUST_LOG", level);
                command
                    .env("XDG_RUNTIME_DIR", path)
                    .env("XDG_STATE_HOME", path);
                return Ok(command);
            }
            Self::Bare => peers::BARE,
            Self::Tokio => peers::TOKIO,
            Self::Threads => peers::THREADS,
            Self::Datagrams => peers::UDP,
            Self::Nginx => peers::NGINX,
            Self::Sums | Self::Sink => peers::SUMS,
        };
        let mut command = wrapped(wrapper, &env::current_exe()?);
        command.arg(peer).arg(path);
        Ok(command)
    }
}

fn wrapped(wrapper: &[OsString], program: &Path) -> Command {
    let Some((first, rest)) = wrapper.split_first() else {
        return Command::new(program);
    };
    let mut command = Command::new(first);
    command.args(rest).arg(program);
    command
}

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
            let mut server = Self::launch(kind, command, directory)?;
            server.wait_for_listeners()?;
            return Ok(server);
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
        let read = server.read_table();
        server.ready_after = begun.elapsed();
        match read {
            Ok(()) => Ok(server),
            Err(error) => Err(Error::new(
                error.kind(),
                format!("{error}{}", server.log_tail()),
            )),
        }
    }

    /// Asks it to end and waits until it has.
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

    /// Ends it in order, so that its database is closed.
    pub fn stop(mut self) -> io::Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        self.child.wait().map(drop)
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
                    let error = format!("{error}{}", self.log_tail());
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
