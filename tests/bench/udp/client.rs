//! The load of the datagrams' bench: one client with a window.

use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Result as IoResult};
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg, sendmsg,
    setsockopt, sockopt,
};

use crate::link::Transport;
use crate::load::nanos;
use crate::server::Server;

/// How the load sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sends {
    /// Each datagram for itself.
    Single,
    /// All that there is room for as one, which the kernel cuts.
    AsOne,
}

/// Datagrams that may go out as one, and the bytes of these.
const TOGETHER_MAX: usize = 64;
const TOGETHER_BYTES: usize = 65_000;

/// Places for what comes as one, each for the most that can.
const PLACES_AS_ONE: usize = 4;
const PLACE_AS_ONE_BYTES: usize = 65_536;

/// What has not come back by then is lost.
const PATIENCE: Duration = Duration::from_secs(2);

/// A datagram begins with its number.
const NUMBER_BYTES: usize = 8;

/// One client with a window.
pub struct Load {
    socket: UdpSocket,
    sends: Sends,
    size: usize,
    window: usize,
    /// The number of the next datagram; all before `back` are back or lost.
    pub next: u64,
    back: u64,
    pub lost: u64,
    /// When each was sent, by its number modulo the window.
    sent: Vec<Instant>,
    outbox: Vec<u8>,
    inbox: Vec<u8>,
}

impl Load {
    pub fn new(server: &Server, size: usize, window: usize, sends: Sends) -> IoResult<Self> {
        let address = server.address("echo", Transport::Udp)?;
        let socket = address.datagrams()?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let room = match sends {
            // One byte more for each, which none may fill.
            Sends::Single => window * (size + 1),
            Sends::AsOne => {
                setsockopt(&socket, sockopt::UdpGroSegment, &true)?;
                PLACES_AS_ONE * PLACE_AS_ONE_BYTES
            }
        };
        Ok(Self {
            socket,
            sends,
            size,
            window,
            next: 0,
            back: 0,
            lost: 0,
            sent: vec![Instant::now(); window],
            outbox: vec![b'm'; window * size],
            inbox: vec![0; room],
        })
    }

    /// Keeps the window full for so long; returns how many came back.
    pub fn drive(
        &mut self,
        length: Duration,
        mut latency: Option<&mut Histogram<u64>>,
    ) -> IoResult<u64> {
        let start = Instant::now();
        let mut done = 0;
        while start.elapsed() < length {
            self.top_up()?;
            done += self.take(latency.as_deref_mut())?;
        }
        Ok(done)
    }

    /// Waits until all are back or lost, so that no round leaves work to the next.
    pub fn finish(&mut self) -> IoResult<()> {
        while self.back < self.next {
            self.take(None)?;
        }
        Ok(())
    }

    /// Sends as many as the window has room for.
    pub fn top_up(&mut self) -> IoResult<()> {
        let room = self.window - (self.next - self.back) as usize;
        let now = Instant::now();
        for (datagram, number) in self
            .outbox
            .chunks_mut(self.size)
            .zip(self.next..)
            .take(room)
        {
            datagram[..NUMBER_BYTES].copy_from_slice(&number.to_le_bytes());
            self.sent[(number % self.window as u64) as usize] = now;
        }
        match self.sends {
            Sends::Single => self.send_singly(room)?,
            Sends::AsOne => self.send_as_one(room)?,
        }
        self.next += room as u64;
        Ok(())
    }

    fn send_as_one(&self, room: usize) -> IoResult<()> {
        let segment = u16::try_from(self.size).map_err(Error::other)?;
        let together = TOGETHER_MAX.min(TOGETHER_BYTES / self.size) * self.size;
        for bytes in self.outbox[..room * self.size].chunks(together) {
            let nowhere: Option<&SockaddrStorage> = None;
            let (slices, cut) = (
                [IoSlice::new(bytes)],
                [ControlMessage::UdpGsoSegments(&segment)],
            );
            sendmsg(
                self.socket.as_raw_fd(),
                &slices,
                &cut,
                MsgFlags::empty(),
                nowhere,
            )?;
        }
        Ok(())
    }

    fn send_singly(&self, room: usize) -> IoResult<()> {
        let datagrams = self.outbox.chunks(self.size).take(room);
        let slices: Vec<_> = datagrams.map(|bytes| [IoSlice::new(bytes)]).collect();
        let nowhere: Vec<Option<SockaddrStorage>> = vec![None; room];
        let mut from = 0;
        while from < room {
            let mut headers = MultiHeaders::preallocate(room - from, None);
            from += sendmmsg(
                self.socket.as_raw_fd(),
                &mut headers,
                &slices[from..],
                &nowhere[from..],
                [],
                MsgFlags::empty(),
            )?
            .count();
        }
        Ok(())
    }

    /// Waits for one and takes all that are there; returns how many.
    pub fn take(&mut self, mut latency: Option<&mut Histogram<u64>>) -> IoResult<u64> {
        let (places, place) = match self.sends {
            Sends::Single => (self.window, self.size + 1),
            Sends::AsOne => (PLACES_AS_ONE, PLACE_AS_ONE_BYTES),
        };
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(places, None);
        let mut slices: Vec<_> = self
            .inbox
            .chunks_mut(place)
            .map(|place| [IoSliceMut::new(place)])
            .collect();
        let flags = MsgFlags::MSG_WAITFORONE;
        let fd = self.socket.as_raw_fd();
        let lengths: Vec<usize> = match recvmmsg(fd, &mut headers, slices.iter_mut(), flags, None) {
            Ok(messages) => messages.map(|message| message.bytes).collect(),
            Err(Errno::EAGAIN) => {
                self.lost += self.next - self.back;
                self.back = self.next;
                return Ok(0);
            }
            Err(errno) => return Err(errno.into()),
        };
        let (now, mut count) = (Instant::now(), 0);
        let came = self.inbox.chunks(place).zip(&lengths);
        for datagram in came.flat_map(|(bytes, len)| bytes[..*len].chunks(self.size)) {
            count += 1;
            let number = number(datagram, self.size)?;
            // One path, so they come in order: what is passed over is lost.
            if !(self.back..self.next).contains(&number) {
                return Err(Error::new(
                    ErrorKind::InvalidData,
                    "it came back out of order",
                ));
            }
            self.lost += number - self.back;
            self.back = number + 1;
            if let Some(latency) = latency.as_deref_mut() {
                let sent = self.sent[(number % self.window as u64) as usize];
                latency.saturating_record(nanos(now - sent));
            }
        }
        Ok(count)
    }
}

/// The number of a datagram that came back as it was sent.
fn number(datagram: &[u8], size: usize) -> IoResult<u64> {
    match datagram.split_first_chunk::<NUMBER_BYTES>() {
        Some((number, rest)) if datagram.len() == size && rest.iter().all(|byte| *byte == b'm') => {
            Ok(u64::from_le_bytes(*number))
        }
        _ => Err(Error::new(
            ErrorKind::InvalidData,
            "the echo differs from what was sent",
        )),
    }
}
