//! TCP and Unix behind one type, so that one test shows both.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::server::Server;

/// The two kinds of stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Tcp,
    Unix,
}

impl Kind {
    pub const BOTH: [Self; 2] = [Self::Tcp, Self::Unix];

    /// A connection to a service's first listener of this kind, with a limit on its time.
    pub fn connect(self, server: &Server, service: &str) -> Socket {
        match self {
            Self::Tcp => {
                let stream = server.connect(service);
                stream.set_nodelay(true).unwrap();
                Socket::Tcp(stream)
            }
            Self::Unix => Socket::Unix(server.connect_unix(service)),
        }
    }
}

/// A client's socket.
pub enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Ends the writing.
    pub fn end_writing(&self) {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write).unwrap(),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write).unwrap(),
        }
    }

    /// The same socket a second time, for a thread of its own.
    pub fn twin(&self) -> Self {
        match self {
            Self::Tcp(stream) => Self::Tcp(stream.try_clone().unwrap()),
            Self::Unix(stream) => Self::Unix(stream.try_clone().unwrap()),
        }
    }

    /// How the server's log names this client.
    pub fn name_in_log(&self) -> String {
        match self {
            Self::Tcp(stream) => stream.local_addr().unwrap().to_string(),
            Self::Unix(_) => {
                let user = rustix::process::getuid().as_raw();
                format!("process {} of user {user}", std::process::id())
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
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

/// Raises this process's own limit on descriptors as far as it goes; true if it allows `wanted`.
pub fn allow_descriptors(wanted: u64) -> bool {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let enough = limit.maximum.is_none_or(|maximum| maximum >= wanted);
    if !enough {
        eprintln!("skipped: {wanted} descriptors are needed; the hard limit is lower");
    }
    enough
}
