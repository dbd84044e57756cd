//! The servers of TFTP under measurement: the binary, and those that the system has.

use std::env;
use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, Error, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use super::client;
use crate::link::Address;
use crate::machine;

/// How long a server may take until it answers.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a server that is asked whether it is there may take to answer.
const ASK_TIMEOUT: Duration = Duration::from_millis(50);

/// Where to find tftpd-hpa, whose package is not installed beside that of atftpd.
const HPA_VARIABLE: &str = "TFTPD_HPA";

/// A small file that tells whether a server answers.
const READY: &str = "ready";

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The binary, logging warnings and errors only.
    Switchboard,
    /// One process, a thread for each transfer; it knows windows.
    Atftpd,
    /// A process for each transfer; it knows no windows.
    Hpa,
}

pub const ALL: [Kind; 3] = [Kind::Switchboard, Kind::Atftpd, Kind::Hpa];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Switchboard => "switchboard",
            Self::Atftpd => "atftpd",
            Self::Hpa => "tftpd-hpa",
        })
    }
}

/// The folder that all servers serve.
pub struct Folder {
    folder: TempDir,
}

impl Folder {
    /// One that holds a file of that name, and is open to the users that servers change to.
    pub fn with(name: &str, bytes: &[u8]) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        for (name, bytes) in [(name, bytes), (READY, b"yes")] {
            fs::write(folder.path().join(name), bytes)?;
        }
        Ok(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// A running server, ended with all that it started when it is let go.
pub struct Server {
    pub kind: Kind,
    pub at: SocketAddr,
    child: Child,
    /// What it writes; held, so that it has somewhere to write to.
    _private: TempDir,
}

impl Server {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// In words for the reader of the table: it is not installed, may not run, does not answer.
    pub fn start(kind: Kind, folder: &Folder) -> Result<Self, String> {
        let said = |error: io::Error| error.to_string();
        let private = tempfile::tempdir().map_err(said)?;
        let port = free_port().map_err(said)?;
        let mut command = match kind {
            Kind::Switchboard => switchboard(folder.path(), private.path()),
            Kind::Atftpd => atftpd(folder.path(), port)?,
            Kind::Hpa => hpa(folder.path(), port)?,
        };
        let log = File::create(private.path().join("log")).map_err(said)?;
        command.stdin(Stdio::null()).stderr(log);
        command.stdout(match kind {
            Kind::Switchboard => Stdio::piped(),
            Kind::Atftpd | Kind::Hpa => Stdio::null(),
        });
        let child = machine::on_server_core(|| command.spawn()).map_err(said)?;
        // From here on the guard ends the process, whatever happens.
        let mut server = Self {
            kind,
            at: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            child,
            _private: private,
        };
        if kind == Kind::Switchboard {
            server.at = server.printed().map_err(said)?;
        }
        server.wait_until_it_answers().map_err(said)?;
        Ok(server)
    }

    /// The address that the binary prints.
    fn printed(&mut self) -> io::Result<SocketAddr> {
        let missing = || Error::new(ErrorKind::NotFound, "no address of files was printed");
        let output = self.child.stdout.take().ok_or_else(missing)?;
        let mut output = BufReader::new(output);
        let (mut at, mut line) = (None, String::new());
        while line != "ready\n" {
            line.clear();
            if output.read_line(&mut line)? == 0 {
                return Err(missing());
            }
            let endpoint = line.trim_end().strip_prefix("files ");
            if let Some(Address::Udp(found)) = endpoint.and_then(Address::parse) {
                at = Some(found);
            }
        }
        self.child.stdout = Some(output.into_inner());
        at.ok_or_else(missing)
    }

    fn wait_until_it_answers(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(ASK_TIMEOUT))?;
        let mut answer = [0; 600];
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Err(Error::other(format!("it ended by itself: {status}")));
            }
            socket.send_to(&client::request(READY, client::Terms::PLAIN), self.at)?;
            match socket.recv_from(&mut answer) {
                Ok((_, from)) => {
                    socket.send_to(&client::ack(1), from)?;
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(ErrorKind::TimedOut, "it does not answer"))
    }

    /// Processor time so far, that of processes that it started and that still live included.
    pub fn cpu_time(&self) -> io::Result<Duration> {
        let mut total = machine::cpu_time(self.child.id())?;
        for child in children(self.child.id()) {
            // It may have ended since it was listed.
            total += machine::cpu_time(child).unwrap_or_default();
        }
        Ok(total)
    }

    /// Waits until no process is left that serves a transfer.
    pub fn wait_until_idle(&self) -> io::Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while !children(self.child.id()).is_empty() {
            if Instant::now() > deadline {
                return Err(Error::new(ErrorKind::TimedOut, "a transfer does not end"));
            }
            std::thread::yield_now();
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // All of these fail only where it has ended already.
        for child in children(self.child.id()) {
            let pid = i32::try_from(child).ok().and_then(Pid::from_raw);
            let _ = pid.map(|pid| kill_process(pid, Signal::KILL));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The processes that one has started and that live, as the kernel lists them.
fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|child| child.parse().ok())
        .collect()
}

/// A port that nobody has at the moment.
fn free_port() -> io::Result<u16> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(socket.local_addr()?.port())
}

fn switchboard(root: &Path, private: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command
        .arg("serve")
        .arg(format!("files=udp://127.0.0.1:0?root={}", root.display()))
        .env("RUST_LOG", "warn")
        .env("XDG_RUNTIME_DIR", private)
        .env("XDG_STATE_HOME", private);
    command
}

fn atftpd(root: &Path, port: u16) -> Result<Command, String> {
    let program = installed("atftpd", "atftp-")?;
    only_root()?;
    let mut command = Command::new(program);
    command
        .args(["--daemon", "--no-fork", "--bind-address", "127.0.0.1"])
        .args(["--port", &port.to_string(), "--logfile", "/dev/null"])
        .args(["--verbose=3", "--user", "root", "--group", "root"])
        .arg(root);
    Ok(command)
}

fn hpa(root: &Path, port: u16) -> Result<Command, String> {
    let program = match env::var_os(HPA_VARIABLE) {
        Some(program) => checked(Path::new(&program), "tftp-hpa")?,
        None => installed("in.tftpd", "tftp-hpa")?,
    };
    only_root()?;
    let mut command = Command::new(program);
    command
        .args(["--listen", "--foreground", "--secure", "--user", "root"])
        .args(["--address", &format!("127.0.0.1:{port}")])
        .arg(root);
    Ok(command)
}

/// Both change the user that they run as, if only to the same.
fn only_root() -> Result<(), String> {
    match geteuid().is_root() {
        true => Ok(()),
        false => Err("only root may start it".to_owned()),
    }
}

/// Where a program is installed that says this at the beginning of its version.
fn installed(name: &str, version: &str) -> Result<PathBuf, String> {
    let folders = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(Path::new);
    let found = folders.iter().map(|folder| folder.join(name));
    match found.into_iter().find(|path| path.exists()) {
        Some(path) => checked(&path, version),
        None => Err("not installed".to_owned()),
    }
}

/// One name may be that of another program: `in.tftpd` belongs to whichever was installed last.
fn checked(program: &Path, version: &str) -> Result<PathBuf, String> {
    let told = Command::new(program).arg("--version").output();
    let told = told.map_err(|error| error.to_string())?;
    match told.stdout.starts_with(version.as_bytes()) {
        true => Ok(program.to_owned()),
        false => {
            let first = told.stdout.split(|byte| *byte == b'\n').next();
            let first = String::from_utf8_lossy(first.unwrap_or_default()).into_owned();
            Err(format!("not installed: {} is {first}", program.display()))
        }
    }
}
