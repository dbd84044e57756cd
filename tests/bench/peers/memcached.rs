//! memcached with one thread for its connections: this very process becomes it. It listens on TCP or on
//! a Unix socket, never on both.

use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::geteuid;

use super::{announce, installed};

/// What it is called.
pub const PROGRAM: &str = "memcached";

pub fn serve_tcp(directory: &Path) -> io::Result<()> {
    // A port that is free now: it would choose one itself, but says it in no simple way.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    announce(&[("echo", &format_args!("tcp://{address}"))])?;
    let port = address.port().to_string();
    Err(command(directory)?
        .args(["-l", "127.0.0.1", "-U", "0", "-p", &port])
        .exec())
}

pub fn serve_unix(directory: &Path) -> io::Result<()> {
    let socket = directory.join("memcached.sock");
    announce(&[("echo", &format_args!("unix:{}", socket.display()))])?;
    Err(command(directory)?.arg("-s").arg(socket).exec())
}

fn command(directory: &Path) -> io::Result<Command> {
    let program = installed(PROGRAM).ok_or(io::ErrorKind::NotFound)?;
    let mut memcached = Command::new(program);
    memcached.args(["-t", "1"]).current_dir(directory);
    if geteuid().is_root() {
        // It wants to be told as whom it runs then.
        memcached.args(["-u", "root"]);
    }
    Ok(memcached)
}
