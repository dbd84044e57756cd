//! One client socket, TCP or Unix, with what tests do to it: half-close, reset, wait for silence.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::set_socket_linger;

use super::LIMIT;
use super::server::Server;

/// A connected client of either kind; its reads and writes have a limit on their time.
pub enum Client {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Tests that need thousands of descriptors, or measure time, run one after the other: the limit
/// and the processor are shared by all threads of this process.
pub fn one_at_a_time() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Client {
    /// To the first TCP listener of a service.
    pub fn tcp(server: &Server, service: &str) -> Self {
        Self::Tcp(server.connect(service))
    }

    /// To the first Unix listener of a service.
    pub fn unix(server: &Server, service: &str) -> Self {
        Self::Unix(server.connect_unix(service))
    }

    /// One of each kind, for a service that listens on both.
    pub fn both(server: &Server, service: &str) -> [Self; 2] {
        [Self::tcp(server, service), Self::unix(server, service)]
    }

    /// Ends the writing.
    pub fn half_close(&self) {
        self.shutdown(Shutdown::Write);
    }

    /// Shuts one side or both; a server that has gone already is no error.
    pub fn shutdown(&self, how: Shutdown) {
        let result = match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        };
        if let Err(error) = result {
            assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
        }
    }

    /// Closes at once: TCP sends a reset; a Unix socket does so where something is unread.
    pub fn reset(self) {
        set_socket_linger(self.as_fd(), Some(Duration::ZERO)).unwrap();
    }

    /// Reads exactly `count` bytes.
    pub fn receive(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Waits until there is something to read, or the end, at most this long; false if nothing came.
    pub fn wait_readable(&self, at_most: Duration) -> bool {
        ready(self.as_fd(), PollFlags::IN, at_most)
    }

    /// Writes `block` again and again until the server has taken nothing for `pause`; returns how
    /// many bytes it took.
    pub fn write_until_stuck(&mut self, block: &[u8], pause: Duration) -> u64 {
        self.set_nonblocking(true);
        let mut taken = 0;
        while ready(self.as_fd(), PollFlags::OUT, pause) {
            match self.write(block) {
                Ok(count) => taken += count as u64,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
        }
        self.set_nonblocking(false);
        taken
    }

    pub fn set_nonblocking(&self, on: bool) {
        let result = match self {
            Self::Tcp(stream) => stream.set_nonblocking(on),
            Self::Unix(stream) => stream.set_nonblocking(on),
        };
        result.unwrap();
    }
}

/// Polls one descriptor.
pub fn ready(fd: BorrowedFd<'_>, flags: PollFlags, at_most: Duration) -> bool {
    let timeout = Timespec::try_from(at_most.min(LIMIT)).unwrap();
    poll(&mut [PollFd::from_borrowed_fd(fd, flags)], Some(&timeout)).unwrap() > 0
}

/// Polls many clients at once: whether any of them is ready.
pub fn any_ready(clients: &[Client], flags: PollFlags, at_most: Duration) -> bool {
    let timeout = Timespec::try_from(at_most.min(LIMIT)).unwrap();
    let mut fds: Vec<_> = clients
        .iter()
        .map(|client| PollFd::new(client, flags))
        .collect();
    poll(&mut fds, Some(&timeout)).unwrap() > 0
}

impl Read for Client {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Client {
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

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}
