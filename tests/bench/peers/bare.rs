//! The limit of a loop on mio: one slab, read, write. It checks nothing.
//!
//! No idle limit, no cap, no log, no partial write, no fairness, no orderly close: what is left is
//! what the kernel and the poller take.

use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use mio::event::Source;
use mio::net::{TcpListener, UnixListener};
use mio::{Events, Interest, Poll, Token};
use rustix::net::sockopt::set_tcp_nodelay;
use slab::Slab;

use super::{BUFFER_BYTES, announce};

const TCP: Token = Token(usize::MAX - 1);
const UNIX: Token = Token(usize::MAX - 2);

/// Events taken by one poll, as the server takes.
const EVENTS: usize = 1024;

/// What the slab holds: a stream of either kind.
trait Stream: Read + Write + Source {}
impl<T: Read + Write + Source> Stream for T {}

/// The connections of one listener; two slabs, so that no call goes through a table.
struct Connections<S> {
    slab: Slab<S>,
    /// What tells their tokens from those of the other listener.
    bit: usize,
}

pub fn serve(directory: &Path) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let path = directory.join("echo.sock");
    let mut tcp = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    let mut unix = UnixListener::bind(&path)?;
    // Accepted sockets inherit it.
    set_tcp_nodelay(&tcp, true)?;
    poll.registry()
        .register(&mut tcp, TCP, Interest::READABLE)?;
    poll.registry()
        .register(&mut unix, UNIX, Interest::READABLE)?;
    announce(&[
        ("echo", &format_args!("tcp://{}", tcp.local_addr()?)),
        ("echo", &format_args!("unix:{}", path.display())),
    ])?;
    let mut tcp_connections = Connections::new(0);
    let mut unix_connections = Connections::new(1);
    let mut events = Events::with_capacity(EVENTS);
    let mut buffer = [0; BUFFER_BYTES];
    loop {
        match poll.poll(&mut events, None) {
            // Somebody has attached to the process, to count.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            match event.token() {
                TCP => tcp_connections.take(&poll, || Ok(tcp.accept()?.0))?,
                UNIX => unix_connections.take(&poll, || Ok(unix.accept()?.0))?,
                Token(token) if token & 1 == 0 => tcp_connections.echo(token, &mut buffer),
                Token(token) => unix_connections.echo(token, &mut buffer),
            }
        }
    }
}

impl<S: Stream> Connections<S> {
    fn new(bit: usize) -> Self {
        Self {
            slab: Slab::new(),
            bit,
        }
    }

    /// Accepts all that wait.
    fn take(&mut self, poll: &Poll, accept: impl Fn() -> io::Result<S>) -> io::Result<()> {
        loop {
            match accept() {
                Ok(mut stream) => {
                    let token = Token(self.slab.vacant_key() << 1 | self.bit);
                    poll.registry()
                        .register(&mut stream, token, Interest::READABLE)?;
                    self.slab.insert(stream);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads until less came than there was room for, and sends it back.
    fn echo(&mut self, token: usize, buffer: &mut [u8]) {
        let Some(stream) = self.slab.get_mut(token >> 1) else {
            return;
        };
        loop {
            match stream.read(buffer) {
                Ok(len)
                    if len > 0 && stream.write(&buffer[..len]).is_ok_and(|sent| sent == len) =>
                {
                    if len < buffer.len() {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // Its end, or a failure: closing it is all.
                _ => {
                    self.slab.remove(token >> 1);
                    return;
                }
            }
        }
    }
}
