//! Unix, TCP and flows of datagrams behind one read and write.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd as _, BorrowedFd};

use std::time::Duration;

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{self, RecvFlags, SendFlags, recv};

/// The socket of one connection.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// A flow of datagrams. It is never ready: datagrams are given to it by a UDP socket, and what it
    /// is sent goes into that socket's queue.
    Flow {
        /// Its place among the flows.
        number: u32,
        /// Silence does not end it: its service does.
        ends_itself: bool,
    },
}

impl Stream {
    /// The socket itself.
    ///
    /// # Errors
    /// `NOTCONN` for a flow, which has none of its own.
    #[inline]
    pub(super) fn socket(&self) -> Result<BorrowedFd<'_>, Errno> {
        match self {
            Self::Tcp(stream) => Ok(stream.as_fd()),
            Self::Unix(stream) => Ok(stream.as_fd()),
            Self::Flow { .. } => Err(Errno::NOTCONN),
        }
    }

    /// Ends the writing; the peer reads the end of the stream after all that was sent.
    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
            Self::Flow { .. } => Ok(()),
        }
    }

    /// Ends both directions, for every copy of the socket.
    pub(super) fn shutdown(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
            Self::Flow { .. } => Ok(()),
        }
    }

    /// Has closing reset the connection instead of ending it in order. A Unix socket knows no reset.
    pub(super) fn break_off(&self) {
        if let Self::Tcp(stream) = self {
            // It is to be closed in any case; a socket that is dead already refuses.
            let _ = set_socket_linger(stream, Some(Duration::ZERO));
        }
    }

    /// What is asked of the poller: always readability; writability only while output waits,
    /// because a Unix socket reports it for each message that the peer takes.
    ///
    /// On TCP also priority: after urgent data a short read does not mean that all was read, and
    /// only this flag tells.
    pub(super) fn interest(&self, writable: bool) -> Interest {
        let mut interest = Interest::READABLE;
        if matches!(self, Self::Tcp(_)) {
            interest = interest.add(Interest::PRIORITY);
        }
        if writable {
            interest = interest.add(Interest::WRITABLE);
        }
        interest
    }
}

/// Reads what has come, once. Zero is the end.
///
/// The kernel is asked directly: the C library's calls look whether the thread is to be cancelled,
/// before and after, as soon as there is more than one.
#[inline]
pub(super) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    recv(socket, buffer, RecvFlags::empty()).map(|(count, _)| count)
}

/// Writes once; returns how much was taken.
#[inline]
pub(super) fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    net::send(socket, bytes, SendFlags::NOSIGNAL)
}

impl Source for Stream {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.register(registry, token, interest),
            Self::Unix(stream) => stream.register(registry, token, interest),
            Self::Flow { .. } => Ok(()),
        }
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.reregister(registry, token, interest),
            Self::Unix(stream) => stream.reregister(registry, token, interest),
            Self::Flow { .. } => Ok(()),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.deregister(registry),
            Self::Unix(stream) => stream.deregister(registry),
            Self::Flow { .. } => Ok(()),
        }
    }
}
