//! A client of TFTP that fetches a file: the same for all servers, and as lean as a client can be.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};

use super::servers::Server;
use crate::report::Outcome;

/// After such a silence the last acknowledgement is sent again.
const PATIENCE: Duration = Duration::from_millis(200);

/// So many such silences in a row, and the server is given up.
const SILENCES_MAX: u32 = 50;

/// Bytes of a block without an option.
const PLAIN_BLOCK: usize = 512;

/// Bytes in front of a block.
const HEAD_BYTES: usize = 4;

/// Packets that one call takes.
const PACKETS_PER_CALL: usize = 64;

/// How a file is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    pub block: usize,
    pub window: u64,
}

impl Terms {
    /// Those of RFC 1350, which need no option.
    pub const PLAIN: Self = Self {
        block: PLAIN_BLOCK,
        window: 1,
    };
}

/// What a fetch came to.
pub struct Fetched {
    pub bytes: usize,
    pub elapsed: Duration,
    /// Processor time of the server.
    pub cpu: Duration,
    /// Silences that an acknowledgement had to be repeated for.
    pub repeats: u32,
    /// Blocks of a window that the server has granted.
    pub window: u64,
}

/// A request for a file.
pub fn request(name: &str, terms: Terms) -> Vec<u8> {
    let mut packet = format!("\0\x01{name}\0octet\0");
    if terms.block != PLAIN_BLOCK {
        packet += &format!("blksize\0{}\0", terms.block);
    }
    if terms.window != 1 {
        packet += &format!("windowsize\0{}\0", terms.window);
    }
    packet.into_bytes()
}

/// The acknowledgement of a block; its number has 16 bits on the wire.
pub fn ack(block: u64) -> [u8; 4] {
    let [.., high, low] = block.to_be_bytes();
    [0, 4, high, low]
}

/// Fetches the file, and compares it; `None` where the server does not grant the terms.
///
/// The time is that from the request until the last block is there, before it is acknowledged.
pub fn fetch(
    server: &Server,
    (name, file): (&str, &[u8]),
    terms: Terms,
) -> Outcome<Option<Fetched>> {
    server.wait_until_idle()?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let (cpu, start) = (server.cpu_time()?, Instant::now());
    socket.send_to(&request(name, terms), server.at)?;
    let mut first = vec![0; HEAD_BYTES + terms.block.max(PLAIN_BLOCK)];
    let (len, from) = socket.recv_from(&mut first)?;
    socket.connect(from)?;
    let mut fetch = Fetch {
        socket,
        file,
        terms,
        next: 1,
        repeats: 0,
        told: 0,
        inbox: vec![0; PACKETS_PER_CALL * (HEAD_BYTES + terms.block)],
    };
    let is_plain = terms == Terms::PLAIN;
    if is_plain {
        fetch.take(&first[..len])?;
    } else {
        match granted(&first[..len], terms) {
            Some(window) => fetch.terms.window = window,
            None => {
                fetch.break_off()?;
                return Ok(None);
            }
        }
        fetch.tell(0)?;
    }
    while !fetch.is_whole() {
        fetch.receive()?;
    }
    let (elapsed, cpu) = (start.elapsed(), server.cpu_time()?.saturating_sub(cpu));
    fetch.tell(fetch.next - 1)?;
    Ok(Some(Fetched {
        bytes: file.len(),
        elapsed,
        cpu,
        repeats: fetch.repeats,
        window: fetch.terms.window,
    }))
}

/// The window that an answer grants, with the size of blocks that was asked for. A server may grant a
/// shorter window; none at all is refused here, because it would be another measurement.
fn granted(answer: &[u8], asked: Terms) -> Option<u64> {
    let options = answer.strip_prefix(&[0, 6])?;
    let mut words = options.split(|byte| *byte == 0);
    let (mut block, mut window) = (PLAIN_BLOCK, 1);
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        let value = std::str::from_utf8(value).ok()?;
        match name.to_ascii_lowercase().as_slice() {
            b"blksize" => block = value.parse().ok()?,
            b"windowsize" => window = value.parse().ok()?,
            _ => {}
        }
    }
    let is_as_asked = block == asked.block && (window > 1) == (asked.window > 1);
    (is_as_asked && window <= asked.window).then_some(window)
}

/// A fetch under way.
struct Fetch<'a> {
    socket: UdpSocket,
    file: &'a [u8],
    terms: Terms,
    /// The block that is to come next, from 1 on without an end.
    next: u64,
    repeats: u32,
    /// The last block that was acknowledged.
    told: u64,
    inbox: Vec<u8>,
}

impl Fetch<'_> {
    /// The last block, which is shorter than the others.
    fn last(&self) -> u64 {
        (self.file.len() / self.terms.block) as u64 + 1
    }

    fn is_whole(&self) -> bool {
        self.next > self.last()
    }

    fn tell(&mut self, block: u64) -> io::Result<()> {
        self.told = block;
        self.socket.send(&ack(block)).map(drop)
    }

    /// Waits for packets and takes all that are there.
    fn receive(&mut self) -> Outcome<()> {
        let place = HEAD_BYTES + self.terms.block;
        let mut inbox = std::mem::take(&mut self.inbox);
        let count = PACKETS_PER_CALL.min(self.terms.window as usize);
        let places = inbox.chunks_mut(place).take(count);
        let mut slices: Vec<_> = places.map(|place| [IoSliceMut::new(place)]).collect();
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(count, None);
        let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_WAITFORONE);
        let taken = recvmmsg(fd, &mut headers, slices.iter_mut(), flags, None);
        let lengths = taken.map(|messages| messages.map(|m| m.bytes).collect::<Vec<_>>());
        match lengths {
            Ok(lengths) => {
                for (packet, len) in inbox.chunks(place).zip(lengths) {
                    self.take(&packet[..len])?;
                }
            }
            Err(Errno::EAGAIN) => self.repeat()?,
            Err(errno) => return Err(io::Error::from(errno).into()),
        }
        self.inbox = inbox;
        Ok(())
    }

    /// Nothing has come: what is missing is asked for again.
    fn repeat(&mut self) -> Outcome<()> {
        self.repeats += 1;
        if self.repeats > SILENCES_MAX {
            return Err("the server has fallen silent".into());
        }
        Ok(self.tell(self.next - 1)?)
    }

    /// A packet: the block that is to come next counts; another says that some were lost, which is
    /// told once (RFC 7440, section 4).
    fn take(&mut self, packet: &[u8]) -> Outcome<()> {
        let [0, 3, high, low, bytes @ ..] = packet else {
            return Err(format!("no block came: {}", packet.escape_ascii()).into());
        };
        if [*high, *low] != ack(self.next)[2..] {
            let behind = self.next - 1;
            let is_known = self.told == behind;
            return if is_known {
                Ok(())
            } else {
                Ok(self.tell(behind)?)
            };
        }
        let start = (self.next - 1) as usize * self.terms.block;
        let end = self.file.len().min(start + self.terms.block);
        if self.file.get(start..end) != Some(bytes) {
            return Err("a block differs from the file".into());
        }
        self.next += 1;
        // The last is acknowledged by the caller, once the time is taken.
        let is_due = self.next - 1 - self.told == self.terms.window;
        match is_due && !self.is_whole() {
            true => Ok(self.tell(self.next - 1)?),
            false => Ok(()),
        }
    }

    /// Ends a transfer that is not wanted.
    fn break_off(&self) -> io::Result<()> {
        match self.socket.send(b"\0\x05\0\0not wanted\0") {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
            other => other.map(drop),
        }
    }
}

impl Drop for Fetch<'_> {
    fn drop(&mut self) {
        // A server that waits for more of a fetch that has failed should not.
        if !self.is_whole() {
            drop(self.break_off());
        }
    }
}
