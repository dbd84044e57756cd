//! From an endpoint to bound, listening sockets.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;

use mio::net::{TcpListener, UnixListener};
use rustix::net::sockopt::{
    set_ipv6_v6only, set_socket_keepalive, set_socket_reuseaddr, set_tcp_keepidle,
    set_tcp_keepintvl, set_tcp_nodelay, set_tcp_user_timeout,
};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, ipproto, listen};

use super::listener::Socket;
use super::socket_path::{self, Permissions};
use crate::config::endpoint::{Endpoint, Host, HostPort, ListenerSpec};
use crate::config::limits::{
    BACKLOG, TCP_KEEPALIVE_IDLE, TCP_KEEPALIVE_INTERVAL, TCP_USER_TIMEOUT_MS,
};
use crate::config::options::{OptionError, Values};
use crate::exit::words;

/// Why the server did not start: what it is about, and what is wrong.
///
/// `Display` gives `slot=tcp://127.0.0.1:1050: address already in use`.
#[derive(Debug)]
pub struct StartError {
    about: String,
    problem: String,
}

impl StartError {
    /// An error about `about`.
    pub fn new(about: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self {
            about: about.to_string(),
            problem: problem.to_string(),
        }
    }

    /// An error of the system, without its number.
    pub fn io(about: impl fmt::Display, error: &io::Error) -> Self {
        Self::new(about, words(error))
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.about, self.problem)
    }
}

impl std::error::Error for StartError {}

/// What `?mode=`, `?group=` and `?notify=` say, on Unix listeners.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct UnixOptions {
    /// Exactly these permissions; the default is 0666 less the umask.
    pub mode: Option<u32>,
    /// This group, by number.
    pub group: Option<u32>,
    /// SIGUSR1 to each connected process at shutdown.
    pub notify: bool,
}

impl UnixOptions {
    /// Reads the three keys; others are not its business.
    ///
    /// # Errors
    /// Names the key and what is wrong: no octal number up to 0777, no such group, not `usr1`.
    pub fn from_values(values: &Values) -> Result<Self, OptionError> {
        let mode = values.text("mode").map(octal).transpose()?;
        let group = values.text("group").map(group_id).transpose()?;
        let notify = values.choice("notify", &[("usr1", true)], false)?;
        Ok(Self {
            mode,
            group,
            notify,
        })
    }
}

fn octal(text: &str) -> Result<u32, OptionError> {
    let digits = (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    match u32::from_str_radix(text, 8) {
        Ok(mode) if digits && mode <= 0o777 => Ok(mode),
        _ => {
            let problem = format!("'{}' is no mode; write one like 0660", text.escape_debug());
            Err(OptionError::new("mode", problem))
        }
    }
}

fn group_id(name: &str) -> Result<u32, OptionError> {
    match nix::unistd::Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        _ => {
            let problem = format!("there is no group '{}'", name.escape_debug());
            Err(OptionError::new("group", problem))
        }
    }
}

/// Binds and listens. Returns each socket with the endpoint as it is shown: a name may have several
/// addresses, and port 0 has become a real one.
pub(super) fn bind_all(
    spec: &ListenerSpec,
    options: &UnixOptions,
) -> Result<Vec<(Socket, String)>, StartError> {
    match &spec.endpoint {
        Endpoint::Tcp(at) => {
            let addresses = resolve(at).map_err(|error| StartError::io(spec, &error))?;
            let bound = addresses.into_iter().map(|address| {
                let socket = bind_tcp(address).map_err(|error| StartError::io(spec, &error))?;
                let real = socket
                    .local_addr()
                    .map_err(|error| StartError::io(spec, &error))?;
                Ok((Socket::Tcp(socket), format!("tcp://{real}")))
            });
            bound.collect()
        }
        Endpoint::Unix(path) => {
            let permissions = Permissions {
                mode: options.mode,
                group: options.group,
            };
            let (socket, guard) = socket_path::bind_path(path, &permissions)
                .map_err(|problem| StartError::new(spec, problem))?;
            let socket = UnixListener::from_std(socket);
            Ok(vec![(
                Socket::Unix(socket, Some(guard)),
                spec.endpoint.to_string(),
            )])
        }
        Endpoint::Abstract(name) => {
            let socket = bind_abstract(name).map_err(|error| StartError::io(spec, &error))?;
            Ok(vec![(
                Socket::Unix(socket, None),
                spec.endpoint.to_string(),
            )])
        }
        Endpoint::Udp(_) => Err(StartError::new(spec, "this is no stream")),
    }
}

/// Every address of the host, each once. Names are resolved here, at start, and never in the loop.
pub(super) fn resolve(at: &HostPort) -> io::Result<Vec<SocketAddr>> {
    match &at.host {
        Host::V4(address) => Ok(vec![SocketAddr::from((*address, at.port))]),
        Host::V6(address) => Ok(vec![SocketAddr::from((*address, at.port))]),
        Host::Name(name) => {
            let mut addresses: Vec<_> = (name.as_str(), at.port).to_socket_addrs()?.collect();
            addresses.sort_unstable();
            addresses.dedup();
            match addresses.is_empty() {
                true => Err(io::Error::other("the name has no address")),
                false => Ok(addresses),
            }
        }
    }
}

/// A listening TCP socket. What accepted sockets need is set here, because they inherit it on
/// Linux (tcp(7)): no system call for each connection.
fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let socket = stream_socket(family)?;
    // Restarting must not wait for old connections; two live servers still collide.
    set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // Else [::] would take IPv4 too, and 0.0.0.0 on the same port would be refused.
        set_ipv6_v6only(&socket, true)?;
    }
    set_tcp_nodelay(&socket, true)?;
    set_socket_keepalive(&socket, true)?;
    set_tcp_keepidle(&socket, TCP_KEEPALIVE_IDLE)?;
    set_tcp_keepintvl(&socket, TCP_KEEPALIVE_INTERVAL)?;
    set_tcp_user_timeout(&socket, TCP_USER_TIMEOUT_MS)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(TcpListener::from_std(std::net::TcpListener::from(socket)))
}

fn bind_abstract(name: &str) -> io::Result<UnixListener> {
    let socket = stream_socket(AddressFamily::UNIX)?;
    bind(
        &socket,
        &SocketAddrUnix::new_abstract_name(name.as_bytes())?,
    )?;
    listen(&socket, BACKLOG)?;
    Ok(UnixListener::from_std(
        std::os::unix::net::UnixListener::from(socket),
    ))
}

/// A stream socket that no child inherits and no call blocks on.
pub(super) fn stream_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let protocol = (family != AddressFamily::UNIX).then_some(ipproto::TCP);
    Ok(rustix::net::socket_with(
        family,
        SocketType::STREAM,
        flags,
        protocol,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_options_name_what_is_wrong() {
        let read = |text: &str| UnixOptions::from_values(&Values::parse(text).unwrap());
        let all = read("mode=0660&group=root&notify=usr1").unwrap();
        assert_eq!(
            all,
            UnixOptions {
                mode: Some(0o660),
                group: Some(0),
                notify: true
            }
        );
        for (text, part) in [
            ("mode=9", "is no mode"),
            ("mode=1777", "is no mode"),
            ("mode=rw", "is no mode"),
            ("mode=+77", "is no mode"),
            ("group=no such group", "there is no group"),
            ("notify=hup", "is none of usr1"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
