//! From an endpoint to a connected, non-blocking socket, within a timeout.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_linger, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::patience::Patience;
use super::{Failure, written};
use crate::config::endpoint::{Endpoint, Host, HostPort};
use crate::exit::words;

/// A connected server: its socket, and what is needed to speak about it.
#[derive(Debug)]
pub struct Server {
    endpoint: Endpoint,
    timeout: Duration,
    socket: OwnedFd,
    /// Addresses of a name that were not tried yet. Of a stream there are none: it was answered.
    untried: Vec<SocketAddr>,
}

impl Server {
    /// Connects a stream to `endpoint` within `timeout` (zero: without end). A name is resolved,
    /// and each of its addresses is tried for its share of the time that is left.
    ///
    /// A `udp://` endpoint is a usage failure; all else that goes wrong is a lost connection.
    pub fn dial(endpoint: &Endpoint, timeout: Duration) -> Result<Self, Failure> {
        match endpoint {
            Endpoint::Udp(_) => Err(Failure::Usage(format!(
                "{endpoint}: this command speaks over a stream; give a tcp:// or unix: endpoint"
            ))),
            _ => Self::dial_any(endpoint, timeout),
        }
    }

    /// The same, and for a `udp://` endpoint a socket that speaks with its first address only.
    ///
    /// Whether anybody is there shows with the first datagram: see [`Server::dial_next`].
    pub fn dial_any(endpoint: &Endpoint, timeout: Duration) -> Result<Self, Failure> {
        let patience = Patience::new(timeout);
        let connected = match endpoint {
            Endpoint::Tcp(at) => tcp(at, patience).map(|socket| (socket, Vec::new())),
            Endpoint::Udp(at) => udp(at, patience),
            Endpoint::Unix(path) => SocketAddrUnix::new(path.as_path())
                .map_err(io::Error::from)
                .and_then(|address| unix(&address, timeout)),
            Endpoint::Abstract(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())
                .map_err(io::Error::from)
                .and_then(|address| unix(&address, timeout)),
        };
        let ready = connected.and_then(|(socket, untried)| {
            rustix::io::ioctl_fionbio(&socket, true)?;
            Ok((socket, untried))
        });
        match ready {
            Ok((socket, untried)) => Ok(Self {
                endpoint: endpoint.clone(),
                timeout,
                socket,
                untried,
            }),
            Err(error) => Err(failed(endpoint, timeout, &error)),
        }
    }

    /// Goes on to the next address of a name, for datagrams that the last one refused; false where
    /// there is none.
    pub fn dial_next(&mut self) -> bool {
        while let Some(address) = self.untried.pop() {
            let next = connect_udp(address).and_then(|socket| {
                rustix::io::ioctl_fionbio(&socket, true)?;
                Ok(socket)
            });
            if let Ok(socket) = next {
                self.socket = socket;
                return true;
            }
        }
        false
    }

    /// Whether it is spoken to in datagrams.
    pub fn is_datagram(&self) -> bool {
        matches!(self.endpoint, Endpoint::Udp(_))
    }

    /// As it was written.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// How long it may take to take or send something; zero is without end.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// From now on the connection is broken off when this process ends, however it ends.
    ///
    /// Over TCP a peer that closes in order looks like one that only ends its writing and waits on;
    /// a reset can't be taken for that. Where it can't be set, the server finds out later.
    pub fn break_off_at_end(&self) {
        let _ = set_socket_linger(&self.socket, Some(Duration::ZERO));
    }

    /// The connection is of no more use, and why.
    pub fn lost(&self, why: impl fmt::Display) -> Failure {
        Failure::Lost(format!("{}: {why}", self.endpoint))
    }

    /// The timeout has passed.
    pub fn silent(&self) -> Failure {
        self.lost(no_answer(self.timeout))
    }
}

impl AsFd for Server {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The addresses of a host and port, for whoever has a socket of their own; of a name all of them,
/// found within `timeout` (zero: without end).
///
/// # Errors
/// Where the name is unknown, as a lost connection with `endpoint`.
pub fn resolved(
    endpoint: &Endpoint,
    at: &HostPort,
    timeout: Duration,
) -> Result<Vec<SocketAddr>, Failure> {
    addresses(at, Patience::new(timeout)).map_err(|error| failed(endpoint, timeout, &error))
}

fn failed(endpoint: &Endpoint, timeout: Duration, error: &io::Error) -> Failure {
    let why = match is_ours(error) {
        true => no_answer(timeout),
        false => words(error),
    };
    Failure::Lost(format!("{endpoint}: {why}"))
}

/// What is said of a server that was silent for so long.
pub fn no_answer(timeout: Duration) -> String {
    format!("no answer within {}", written(timeout))
}

/// The end of our own timeout, told from the kernel's by having no number.
fn timed_out() -> io::Error {
    io::ErrorKind::TimedOut.into()
}

fn is_ours(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none()
}

fn addresses(at: &HostPort, patience: Patience) -> io::Result<Vec<SocketAddr>> {
    match &at.host {
        Host::V4(address) => Ok(vec![SocketAddr::from((*address, at.port))]),
        Host::V6(address) => Ok(vec![SocketAddr::from((*address, at.port))]),
        Host::Name(name) => resolve(name, at.port, patience),
    }
}

/// A socket, and the addresses that were not tried, the next one last.
fn udp(at: &HostPort, patience: Patience) -> io::Result<(OwnedFd, Vec<SocketAddr>)> {
    let mut untried = addresses(at, patience)?;
    untried.reverse();
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    while let Some(address) = untried.pop() {
        match connect_udp(address) {
            Ok(socket) => return Ok((socket, untried)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A connected socket takes datagrams from that address only, and hears that it refused one.
fn connect_udp(address: SocketAddr) -> io::Result<OwnedFd> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    Ok(socket.into())
}

fn tcp(at: &HostPort, patience: Patience) -> io::Result<OwnedFd> {
    let addresses = addresses(at, patience)?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for (tried, address) in addresses.iter().enumerate() {
        let untried = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let connected = match patience.left() {
            None => TcpStream::connect(address),
            Some(left) if left.is_zero() => return Err(timed_out()),
            // A share of at least a millisecond, for zero is refused.
            Some(left) => {
                TcpStream::connect_timeout(address, (left / untried).max(Duration::from_millis(1)))
            }
        };
        match connected {
            Ok(stream) => {
                // A typed line should leave at once; where it can't, it leaves a little later.
                let _ = stream.set_nodelay(true);
                return Ok(stream.into());
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Resolves on a thread of its own, for the resolver knows no timeout.
fn resolve(name: &str, port: u16, patience: Patience) -> io::Result<Vec<SocketAddr>> {
    let (give, take) = mpsc::channel();
    let question = (name.to_owned(), port);
    thread::Builder::new().spawn(move || {
        let answer = question.to_socket_addrs().map(Vec::from_iter);
        // Nobody waits for it any more where the timeout has passed.
        let _ = give.send(answer);
    })?;
    let answer = match patience.left() {
        None => take.recv().map_err(|_| RecvTimeoutError::Disconnected),
        Some(left) => take.recv_timeout(left),
    };
    let addresses = match answer {
        Ok(answer) => answer.map_err(|_| io::Error::other("the host name is unknown"))?,
        Err(_) => return Err(timed_out()),
    };
    match addresses.is_empty() {
        true => Err(io::Error::other("the host name has no address")),
        false => Ok(addresses),
    }
}

/// A full backlog blocks this connect; the timeout of sending bounds it (unix(7)).
fn unix(address: &SocketAddrUnix, timeout: Duration) -> io::Result<(OwnedFd, Vec<SocketAddr>)> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    if !timeout.is_zero() {
        set_socket_timeout(&socket, Timeout::Send, Some(timeout))?;
    }
    loop {
        match rustix::net::connect(&socket, address) {
            Ok(()) => return Ok((socket, Vec::new())),
            // Stopped and continued by job control.
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Err(timed_out()),
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(200);
    /// Only a fault waits for it.
    const LONG: Duration = Duration::from_secs(60);

    fn failure(endpoint: &str) -> Failure {
        Server::dial(&endpoint.parse().unwrap(), LONG).unwrap_err()
    }

    #[test]
    fn what_is_not_there_is_named_in_words() {
        let lost = |text: &str| Failure::Lost(text.to_owned());
        assert_eq!(
            failure("tcp://127.0.0.1:1"),
            lost("tcp://127.0.0.1:1: connection refused")
        );
        assert_eq!(
            failure("unix:/nonexistent/x"),
            lost("unix:/nonexistent/x: no such file or directory")
        );
        assert_eq!(
            failure("unix:@switchboard-nobody"),
            lost("unix:@switchboard-nobody: connection refused")
        );
        let usage = failure("udp://127.0.0.1:1");
        assert!(matches!(&usage, Failure::Usage(text) if text.starts_with("udp://127.0.0.1:1: ")));
    }

    #[test]
    fn a_full_backlog_is_waited_for_no_longer_than_the_timeout() {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::{SocketAddr, UnixListener};
        let name = format!("switchboard-backlog-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let endpoint = Endpoint::Abstract(name.clone());
        let _first = Server::dial(&endpoint, LONG).unwrap();
        let error = Server::dial(&endpoint, SHORT).unwrap_err();
        let text = format!("unix:@{name}: no answer within 200ms");
        assert_eq!(error, Failure::Lost(text));
    }
}
