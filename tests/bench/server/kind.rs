//! Which servers there are, what they are called, and how each is started.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::{env, fmt, io};

use tempfile::TempDir;

use crate::peers;

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
    /// Redis, one thread for its connections.
    Redis,
    /// memcached on TCP, one thread for its connections.
    Memcached,
    /// The same on a Unix socket.
    MemcachedUnix,
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
            Self::Redis => "Redis, PING",
            Self::Memcached | Self::MemcachedUnix => "memcached, mg",
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

    /// Whether it is announced before it listens, because it does not say when it does.
    pub(super) fn is_silent(self) -> bool {
        matches!(
            self,
            Self::Nginx | Self::Redis | Self::Memcached | Self::MemcachedUnix
        )
    }

    /// The command that starts it, behind the words of `wrapper`, if there are any.
    pub(super) fn command(self, wrapper: &[OsString], directory: &TempDir) -> io::Result<Command> {
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
            Self::Redis => peers::REDIS,
            Self::Memcached => peers::MEMCACHED,
            Self::MemcachedUnix => peers::MEMCACHED_UNIX,
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
