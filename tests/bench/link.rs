//! A client's end of a connection, over TCP or a Unix socket alike, or of a UDP socket.

use std::fmt;
use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use mio::event::Source;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

/// How long a blocking read waits before the workload gives up.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// What a server listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Unix,
    Udp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Unix => "Unix",
            Self::Udp => "UDP",
        })
    }
}

/// Where a server listens.
#[derive(Debug, Clone)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
    Udp(SocketAddr),
}

impl Address {
    /// Reads an endpoint as the server prints it.
    pub fn parse(endpoint: &str) -> Option<Self> {
        if let Some(path) = endpoint.strip_prefix("unix:") {
            return Some(Self::Unix(path.into()));
        }
        match endpoint.split_once("://")? {
            ("tcp", address) => address.parse().ok().map(Self::Tcp),
            ("udp", address) => address.parse().ok().map(Self::Udp),
            _ => None,
        }
    }

    pub fn transport(&self) -> Transport {
        match self {
            Self::Tcp(_) => Transport::Tcp,
            Self::Unix(_) => Transport::Unix,
            Self::Udp(_) => Transport::Udp,
        }
    }

    /// Connects. On one machine this takes no turn of the server, only room in its backlog.
    pub fn connect(&self) -> io::Result<Link> {
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(READ_TIMEOUT))?;
                Ok(Link::Tcp(stream))
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(READ_TIMEOUT))?;
                Ok(Link::Unix(stream))
            }
            Self::Udp(_) => Err(Error::new(ErrorKind::Unsupported, "UDP has no connections")),
        }
    }

    /// A socket that sends to a UDP address and takes only what comes from there.
    pub fn datagrams(&self) -> io::Result<UdpSocket> {
        let Self::Udp(address) = self else {
            return Err(Error::new(ErrorKind::Unsupported, "only UDP has datagrams"));
        };
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(address)?;
        Ok(socket)
    }
}

/// A blocking connection.
pub enum Link {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Link {
    /// Sends `request` and waits for as many bytes to come back.
    pub fn echo(&mut self, request: &[u8]) -> io::Result<()> {
        let mut reply = [0; 256];
        let reply = &mut reply[..request.len()];
        self.write_all(request)?;
        self.read_exact(reply)?;
        match reply == request {
            true => Ok(()),
            false => Err(Error::new(
                ErrorKind::InvalidData,
                "the echo differs from what was sent",
            )),
        }
    }

    /// Ends the writing; what is read goes on.
    pub fn end_writing(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Hands it to a poller; it no longer blocks.
    pub fn register(self, registry: &Registry, token: Token) -> io::Result<PolledLink> {
        let mut polled = match self {
            Self::Tcp(stream) => {
                stream.set_nonblocking(true)?;
                PolledLink::Tcp(mio::net::TcpStream::from_std(stream))
            }
            Self::Unix(stream) => {
                stream.set_nonblocking(true)?;
                PolledLink::Unix(mio::net::UnixStream::from_std(stream))
            }
        };
        registry.register(polled.source(), token, Interest::READABLE)?;
        Ok(polled)
    }
}

impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection that a poller watches for reading.
pub enum PolledLink {
    Tcp(mio::net::TcpStream),
    Unix(mio::net::UnixStream),
}

impl PolledLink {
    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
        }
    }

    /// What has come; `None` where nothing has.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let read = match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        };
        match read {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            other => other.map(Some),
        }
    }

    /// What has come, thrown away by the kernel without a copy where it can (`MSG_TRUNC` on TCP,
    /// tcp(7)).
    pub fn discard(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let Self::Tcp(stream) = self else {
            return self.read(buffer);
        };
        match recv(stream, buffer, RecvFlags::TRUNC) {
            Err(Errno::AGAIN) => Ok(None),
            other => Ok(Some(other?.1)),
        }
    }

    /// Sends all of it: a workload never has more under way than a socket takes.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }?;
        match sent == bytes.len() {
            true => Ok(()),
            false => Err(Error::new(
                ErrorKind::WriteZero,
                "the socket took a part of a message",
            )),
        }
    }
}
