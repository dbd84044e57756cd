//! Redis with one thread for its connections: this very process becomes it.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use super::{announce, installed};

/// What it is called.
pub const PROGRAM: &str = "redis-server";

/// Settings of a start, which may be missing; without them nothing is kept on the disk.
const SETTINGS: &str = "redis.conf";

/// Leaves settings in the directory for the server that is started in it.
pub fn set(directory: &Path, settings: &str) -> io::Result<()> {
    fs::write(directory.join(SETTINGS), settings)
}

/// Announced before it listens, as it has no word for that: who connects waits for it.
pub fn serve(directory: &Path) -> io::Result<()> {
    let program = installed(PROGRAM).ok_or(io::ErrorKind::NotFound)?;
    // A port that is free now, as Redis does not choose one.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let socket = directory.join("redis.sock");
    announce(&[
        ("echo", &format_args!("tcp://{address}")),
        ("echo", &format_args!("unix:{}", socket.display())),
    ])?;
    let mut redis = Command::new(program);
    let settings = directory.join(SETTINGS);
    if settings.exists() {
        redis.arg(settings);
    }
    redis.args(["--bind", "127.0.0.1", "--save", "", "--io-threads", "1"]);
    redis.args(["--tcp-backlog", "1024", "--maxclients", "2000"]);
    redis.args(["--port", &address.port().to_string()]);
    redis.arg("--unixsocket").arg(socket);
    redis.args(["--loglevel", "warning", "--logfile", "/dev/null"]);
    // Files that it may want to write are in its own folder, unless the settings name another.
    Err(redis.current_dir(directory).exec())
}
