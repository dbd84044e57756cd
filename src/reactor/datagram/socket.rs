//! The system calls of a UDP socket: bind, take a batch, send a batch.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};

use log::debug;
use mio::net::UdpSocket;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, getsockopt,
    recvmmsg, sendmmsg, sendmsg, setsockopt, sockopt,
};
use rustix::net::sockopt::set_ipv6_v6only;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, ipproto, socket_with};

use super::Local;
use super::address::{address, local_v4, local_v6, packet_info_v4, packet_info_v6};
use crate::config::limits::{DATAGRAM_BYTES_MAX, DATAGRAM_SOCKET_BYTES, DATAGRAMS_PER_CALL};

/// What we send bears this traffic class, and what bears it is not answered: it was sent by a server
/// of this kind, and two that answer each other would never end. Code point 3 is one of those for
/// local use (RFC 2474, section 6), which no system's clients use of themselves.
const MARK: i32 = 3 << 2;

/// A bound UDP socket.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) inner: UdpSocket,
    /// It was bound to every address, so each datagram has to tell which one was asked.
    wildcard: bool,
    ipv6: bool,
    /// It has one peer. To name that again would have the kernel look the way up for each datagram.
    connected: bool,
}

/// Where a batch is taken to; one for all sockets. Pages that no datagram needs are never touched.
pub(super) struct Inbox {
    bytes: Box<[u8]>,
    arrivals: Vec<Arrival>,
    /// The arrival that comes next, and how much of it has been given out.
    next: (usize, usize),
}

/// One datagram of a batch, or several of one size that the kernel has handed over as one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub from: SocketAddr,
    /// Which of our addresses it was sent to; `None` if that is the only one of the socket.
    pub at: Option<Local>,
    /// It bears the mark of what a server of this kind sends.
    pub marked: bool,
    slot: usize,
    len: usize,
    /// Bytes of each datagram in it, the last perhaps shorter.
    segment: usize,
}

#[cfg(test)]
impl Arrival {
    /// One that no socket took.
    pub(super) fn forged(from: SocketAddr) -> Self {
        Self {
            from,
            at: None,
            marked: false,
            slot: 0,
            len: 0,
            segment: usize::MAX,
        }
    }
}

/// What a call took.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Taken {
    /// What the kernel has handed over, that included which could not be used: datagrams, or several
    /// as one.
    pub count: usize,
    /// Datagrams in it.
    pub datagrams: u64,
    /// Bytes of those that can be used.
    pub bytes: usize,
    /// Datagrams that were longer than the buffer; none can be.
    pub truncated: u64,
    /// Datagrams that the kernel has dropped since the socket was made, if it says so.
    pub overflowed: Option<u32>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; DATAGRAMS_PER_CALL * DATAGRAM_BYTES_MAX].into_boxed_slice(),
            arrivals: Vec::with_capacity(DATAGRAMS_PER_CALL),
            next: (0, 0),
        }
    }

    /// Forgets the last batch.
    pub(super) fn forget(&mut self) {
        self.arrivals.clear();
        self.next = (0, 0);
    }

    /// Whether all datagrams of the last batch have been given out.
    pub(super) fn is_empty(&self) -> bool {
        self.next.0 == self.arrivals.len()
    }

    /// The next datagram of the last batch, with its own borders.
    pub(super) fn next(&mut self) -> Option<(&Arrival, &[u8])> {
        let (number, given) = self.next;
        let arrival = self.arrivals.get(number)?;
        let len = (arrival.len - given).min(arrival.segment);
        let is_last = given + len == arrival.len;
        self.next = match is_last {
            true => (number + 1, 0),
            false => (number, given + len),
        };
        let start = arrival.slot * DATAGRAM_BYTES_MAX + given;
        Some((arrival, &self.bytes[start..start + len]))
    }
}

impl Socket {
    /// Binds without SO_REUSEADDR and SO_REUSEPORT: with either a second server could take all
    /// datagrams without a word (socket(7)).
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let bound = Self::open(address, ask_about_datagrams)?;
        let got = |size: nix::Result<usize>| size.unwrap_or(0);
        let socket = &bound.inner;
        debug!(
            target: "switchboard",
            "udp://{address}: buffers of {} bytes in and {} bytes out; {} were asked for (the kernel \
             doubles what it grants)",
            got(getsockopt(socket, sockopt::RcvBuf)),
            got(getsockopt(socket, sockopt::SndBuf)),
            DATAGRAM_SOCKET_BYTES,
        );
        Ok(bound)
    }

    /// A socket at a new port of that address, for one peer: the kernel gives it nothing from others
    /// once it is connected, and says by ECONNREFUSED that the peer's port is closed.
    pub(super) fn connected(local: SocketAddr, peer: &SocketAddr) -> io::Result<Self> {
        let opened = Self::open(local, |_, _| Ok(()))?;
        connect(&opened.inner, peer)?;
        Ok(Self {
            connected: true,
            ..opened
        })
    }

    /// `prepare` has its part before the first datagram can come.
    fn open(
        address: SocketAddr,
        prepare: fn(&OwnedFd, bool) -> nix::Result<()>,
    ) -> io::Result<Self> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, SocketType::DGRAM, flags, Some(ipproto::UDP))?;
        let (wildcard, ipv6) = (address.ip().is_unspecified(), address.is_ipv6());
        if ipv6 {
            // Else [::] would take IPv4 too, and 0.0.0.0 on the same port would be refused.
            set_ipv6_v6only(&socket, true)?;
        }
        match ipv6 {
            true => setsockopt(&socket, sockopt::Ipv6TClass, &MARK)?,
            false => setsockopt(&socket, sockopt::Ipv4Tos, &MARK)?,
        }
        // The limit of net.core.rmem_max and wmem_max cuts these; less is no failure.
        let _ = setsockopt(&socket, sockopt::RcvBuf, &DATAGRAM_SOCKET_BYTES);
        let _ = setsockopt(&socket, sockopt::SndBuf, &DATAGRAM_SOCKET_BYTES);
        prepare(&socket, ipv6)?;
        bind(&socket, &address)?;
        Ok(Self {
            inner: UdpSocket::from_std(std::net::UdpSocket::from(socket)),
            wildcard,
            ipv6,
            connected: false,
        })
    }

    /// Takes at most `count` datagrams; several that were sent as one count as one.
    ///
    /// The headers are made anew for each call: the kernel writes into them how much control data
    /// there was, and nix does not write the room back, so the next call would have too little.
    pub(super) fn receive(&self, inbox: &mut Inbox, count: usize) -> nix::Result<Taken> {
        let control = || cmsg_space!(u32, in6_pktinfo, i32, i32);
        inbox.forget();
        let count = count.min(DATAGRAMS_PER_CALL);
        let control = (!self.connected).then(control);
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(count, control);
        let mut slices: Vec<_> = inbox
            .bytes
            .chunks_mut(DATAGRAM_BYTES_MAX)
            .take(count)
            .map(|slot| [IoSliceMut::new(slot)])
            .collect();
        let fd = self.inner.as_raw_fd();
        let results = recvmmsg(
            fd,
            &mut headers,
            slices.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        )?;
        let mut taken = Taken::default();
        for (slot, message) in results.enumerate() {
            taken.count += 1;
            if message.flags.contains(MsgFlags::MSG_TRUNC) {
                taken.truncated += 1;
                taken.datagrams += 1;
                continue;
            }
            let (mut at, mut marked, mut segment) = (None, false, usize::MAX);
            for control in message.cmsgs().into_iter().flatten() {
                match control {
                    ControlMessageOwned::RxqOvfl(count) => taken.overflowed = Some(count),
                    ControlMessageOwned::Ipv4PacketInfo(info) => at = Some(local_v4(&info)),
                    ControlMessageOwned::Ipv6PacketInfo(info) => at = Some(local_v6(&info)),
                    ControlMessageOwned::Ipv4Tos(class) => marked = i32::from(class) == MARK,
                    ControlMessageOwned::Ipv6TClass(class) => marked = class == MARK,
                    ControlMessageOwned::UdpGroSegments(bytes) => {
                        segment = usize::try_from(bytes).unwrap_or(0).max(1);
                    }
                    _ => {}
                }
            }
            let at = at.filter(|at| self.wildcard || at.many);
            taken.datagrams += message.bytes.div_ceil(segment).max(1) as u64;
            taken.bytes += message.bytes;
            if let Some(from) = message.address.as_ref().and_then(address) {
                inbox.arrivals.push(Arrival {
                    from,
                    at,
                    marked,
                    slot,
                    len: message.bytes,
                    segment,
                });
            }
        }
        Ok(taken)
    }

    /// Sends a batch from one of our addresses; returns how many were taken, which is at least one.
    ///
    /// # Errors
    /// What is wrong with the first of them.
    pub(super) fn send<'a>(
        &self,
        batch: impl Iterator<Item = (&'a [u8], SocketAddr)>,
        from: Option<Local>,
    ) -> nix::Result<usize> {
        let (slices, addresses): (Vec<_>, Vec<_>) = batch
            .take(DATAGRAMS_PER_CALL)
            .map(|(bytes, to)| ([IoSlice::new(bytes)], self.destination(to)))
            .unzip();
        let (fd, count, flags) = (self.inner.as_raw_fd(), slices.len(), MsgFlags::MSG_DONTWAIT);
        let sent = match from {
            None => {
                let mut headers = MultiHeaders::preallocate(count, None);
                sendmmsg(fd, &mut headers, &slices, &addresses, [], flags)?.count()
            }
            Some(from) if self.ipv6 => {
                let info = packet_info_v6(&from);
                let control = [ControlMessage::Ipv6PacketInfo(&info)];
                let mut headers = MultiHeaders::preallocate(count, Some(cmsg_space!(in6_pktinfo)));
                sendmmsg(fd, &mut headers, &slices, &addresses, control, flags)?.count()
            }
            Some(from) => {
                let info = packet_info_v4(&from);
                let control = [ControlMessage::Ipv4PacketInfo(&info)];
                let mut headers = MultiHeaders::preallocate(count, Some(cmsg_space!(in_pktinfo)));
                sendmmsg(fd, &mut headers, &slices, &addresses, control, flags)?.count()
            }
        };
        // sendmmsg(2) says an error or at least one.
        if sent == 0 && count > 0 {
            return Err(Errno::EAGAIN);
        }
        Ok(sent)
    }

    /// Sends datagrams of `segment` bytes each, the last perhaps shorter, that stand one behind the
    /// other in `bytes`: all of them or none. They pass the kernel as one (udp(7), UDP_SEGMENT), and
    /// leave it as what they are.
    ///
    /// # Errors
    /// As of [`Socket::send`]; EINVAL, EIO or EMSGSIZE also where the way to that peer does not take
    /// them as one: they are too large for it, or its device can't reckon checksums.
    pub(super) fn send_together(
        &self,
        bytes: &[u8],
        segment: u16,
        to: SocketAddr,
        from: Option<Local>,
    ) -> nix::Result<()> {
        let (fd, slices) = (self.inner.as_raw_fd(), [IoSlice::new(bytes)]);
        let (flags, to) = (MsgFlags::MSG_DONTWAIT, self.destination(to));
        let cut = ControlMessage::UdpGsoSegments(&segment);
        let send = |control: &[ControlMessage<'_>]| {
            sendmsg(fd, &slices, control, flags, to.as_ref()).map(drop)
        };
        match from {
            None => send(&[cut]),
            Some(from) if self.ipv6 => {
                send(&[cut, ControlMessage::Ipv6PacketInfo(&packet_info_v6(&from))])
            }
            Some(from) => send(&[cut, ControlMessage::Ipv4PacketInfo(&packet_info_v4(&from))]),
        }
    }

    fn destination(&self, to: SocketAddr) -> Option<SockaddrStorage> {
        (!self.connected).then(|| SockaddrStorage::from(to))
    }
}

/// Has the kernel tell what the rules about strangers want to know of each datagram. The socket of a
/// transfer has one peer and one address, and does without.
fn ask_about_datagrams(socket: &OwnedFd, ipv6: bool) -> nix::Result<()> {
    // Also on a socket of one address: that may be one of many (broadcast or multicast).
    if ipv6 {
        setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        setsockopt(socket, sockopt::Ipv6RecvTClass, &true)?;
    } else {
        setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
        setsockopt(socket, sockopt::IpRecvTos, &true)?;
    }
    // A counter of what did not fit; without it nothing is lost but the report of losses.
    let _ = setsockopt(socket, sockopt::RxqOvfl, &1);
    // Datagrams of a sender that sent them as one then come as one (udp(7)). Without it they come
    // one by one. Nothing is gained at the sockets of transfers, where one is under way at a time.
    let _ = setsockopt(socket, sockopt::UdpGroSegment, &true);
    Ok(())
}
