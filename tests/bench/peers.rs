//! The peers: the same `echo` and `sum` (and tokio's `slot`, an `echo` of datagrams, and sums of one
//! long stream) as plainly as one would write them first.
//!
//! They are not straw men: they are right, they send small replies at once, and each is what the
//! textbook or the tutorial of its library shows. They log nothing and bound nothing. One is the
//! limit rather than a peer: a bare loop that does `echo` and checks nothing (`bare`). Where they are
//! installed, nginx serves files, and Redis and memcached are asked for what is nearest to an echo.

mod bare;
pub mod memcached;
mod nginx;
pub mod redis;
mod sums;
mod threads;
mod tokio;
mod udp;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, io};

use rustix::process::{Signal, set_parent_process_death_signal};

/// Bytes of a peer's own buffer for each connection.
const BUFFER_BYTES: usize = 4096;

/// From a message to its reply.
const SLOT_DELAY: Duration = Duration::from_secs(2);

/// Serves until it is killed; its Unix sockets are in the directory.
type Serve = fn(&Path) -> io::Result<()>;

/// The hidden first arguments of this program.
pub const BARE: &str = "peer-bare";
/// See [`BARE`].
pub const TOKIO: &str = "peer-tokio";
/// See [`BARE`].
pub const THREADS: &str = "peer-threads";
/// See [`BARE`].
pub const UDP: &str = "peer-udp";
/// See [`BARE`].
pub const NGINX: &str = "peer-nginx";
/// See [`BARE`].
pub const SUMS: &str = "peer-sums";
/// See [`BARE`].
pub const REDIS: &str = "peer-redis";
/// See [`BARE`].
pub const MEMCACHED: &str = "peer-memcached";
/// See [`BARE`].
pub const MEMCACHED_UNIX: &str = "peer-memcached-unix";

/// The peer that a hidden argument asks for.
pub fn named(argument: &str) -> Option<Serve> {
    match argument {
        BARE => Some(bare::serve),
        TOKIO => Some(tokio::serve),
        THREADS => Some(threads::serve),
        UDP => Some(udp::serve),
        NGINX => Some(nginx::serve),
        SUMS => Some(sums::serve),
        REDIS => Some(redis::serve),
        MEMCACHED => Some(memcached::serve_tcp),
        MEMCACHED_UNIX => Some(memcached::serve_unix),
        _ => None,
    }
}

/// Where a program is installed, if it is: a user's PATH need not lead to servers.
pub fn installed(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let mut programs = folders.map(|folder| folder.join(program));
    programs.find(|program| program.is_file())
}

/// Tells where a peer listens, in the words of `switchboard serve`.
///
/// A peer must not outlive its bench, not even one that was killed.
fn announce(listeners: &[(&str, &dyn Display)]) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    for (service, endpoint) in listeners {
        println!("{service} {endpoint}");
    }
    println!("ready");
    Ok(())
}

/// Adds a line to the sum; `false` where it is the end.
fn add(sum: &mut i128, line: &str) -> bool {
    match line.trim().parse::<i64>() {
        Ok(0) => false,
        Ok(value) => {
            *sum += i128::from(value);
            true
        }
        Err(_) => true,
    }
}
