//! UDP: datagrams in, sessions, datagrams out, in batches both ways.
//!
//! A datagram passes, in this order: the rules about who is never answered (`guard`), the rate of
//! its source (`rate`), and then its session: one that lives for the call, or the connection of its
//! flow (`flows`), which may have a socket of its own (`own`). What is sent goes through the rule
//! against amplification (`credit`) into the socket's queue (`outgoing`), which leaves at the end of
//! the socket's turn.

mod address;
mod counts;
mod credit;
mod flows;
mod guard;
mod outgoing;
mod own;
mod rate;
mod sessions;
mod socket;
mod take;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use log::{debug, log_enabled};
use mio::Interest;
use mio::event::Source as _;
use nix::errno::Errno;

use self::counts::Counts;
use self::flows::Flows;
use self::guard::Loops;
use self::outgoing::Outgoing;
use self::rate::{Bucket, Rates};
use self::socket::{Arrival, Inbox, Socket};
use super::sources::{Source, token};
use super::{Reactor, StartError, bind};
use crate::config::endpoint::{HostPort, ListenerSpec};
use crate::config::limits::{DATAGRAM_RATE, DATAGRAM_RATE_MAX};
use crate::config::options::{OptionError, Values};
use crate::service::{Datagrams, Moment, SourceId};

/// What `?rate=` says on UDP listeners, and `?port=` where the service has transfers.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct UdpOptions {
    /// Datagrams a second from each source; 0 for no limit.
    pub rate: Option<u32>,
    /// Transfers answer from the listener's own port.
    pub single_port: bool,
}

impl UdpOptions {
    /// Reads the keys; others are not its business.
    ///
    /// # Errors
    /// Where the rate is no whole number in its range, or the port is neither fresh nor single.
    pub fn from_values(values: &Values) -> Result<Self, OptionError> {
        let rate = values.number("rate", 0..=u64::from(DATAGRAM_RATE_MAX))?;
        let ports = [("fresh", false), ("single", true)];
        Ok(Self {
            single_port: values.choice("port", &ports, false)?,
            rate: rate.and_then(|rate| u32::try_from(rate).ok()),
        })
    }
}

/// What all UDP sockets share.
#[derive(Default)]
pub(super) struct Udp {
    /// The sessions of addresses that speak in datagrams.
    pub flows: Flows,
    /// How many transfers others may begin.
    begun: Bucket,
    /// The ports of our UDP sockets.
    own_ports: Vec<u16>,
    /// Every batch of datagrams goes here; made with the first UDP socket, and anew where one keeps
    /// the rest of its batch.
    inbox: Option<Inbox>,
}

/// One of our addresses, as a datagram named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Local {
    ip: IpAddr,
    /// The interface, where the address means nothing without it; else 0.
    interface: u32,
    /// The datagram was sent to many: by multicast or broadcast.
    many: bool,
}

/// A bound UDP socket, whose service its datagrams get, and what became of them.
pub(super) struct DatagramSocket {
    socket: Socket,
    /// How it is written in the table and in the log.
    pub endpoint: String,
    /// The place of its service in the reactor's list.
    pub service: u8,
    /// Its place among the listeners of its service, which names its options.
    place: u16,
    mode: Datagrams,
    /// Its transfers answer from here.
    single_port: bool,
    /// The number of the one flow whose own socket it is.
    pub flow: Option<u32>,
    /// The listener that this flow came by.
    asked: Option<SourceId>,
    /// The network has said that the port of its one peer is closed.
    is_refused: bool,
    /// Datagrams may be waiting: set by events, cleared when a call took all there were.
    pub readable: bool,
    /// The socket may take datagrams: cleared when it was full.
    pub writable: bool,
    /// It stands in the run queue.
    pub queued: bool,
    /// The poller was asked for writability.
    asks_writable: bool,
    /// How many datagrams the next call asks for: twice what the last one got.
    batch: usize,
    /// What its turn had no time for of the last batch.
    rest: Option<Inbox>,
    outgoing: Outgoing,
    rates: Rates,
    loops: Loops,
    pub counts: Counts,
    /// Errors of the receiving call in a row.
    errors: u32,
    /// When losses were last warned of.
    said_at: Moment,
}

/// The first call asks for this many datagrams.
const BATCH_FIRST: usize = 8;

impl Reactor {
    /// Binds a UDP listener of that service, the `place`th of its listeners; returns each endpoint
    /// that is bound, with its real port.
    ///
    /// # Errors
    /// Names the listener and what is wrong: in use, no permission, no such host, no datagrams.
    pub fn listen_datagrams(
        &mut self,
        service: u8,
        place: u16,
        (spec, at): (&ListenerSpec, &HostPort),
        options: UdpOptions,
    ) -> Result<Vec<String>, StartError> {
        let fail = |error: std::io::Error| StartError::io(spec, &error);
        let Some(mode) = self.services[usize::from(service)].entry.datagrams else {
            return Err(StartError::new(
                spec,
                "this service does not serve datagrams",
            ));
        };
        let mut endpoints = Vec::new();
        for address in bind::resolve(at).map_err(fail)? {
            let mut socket = Socket::bind(address).map_err(fail)?;
            let id = self.sources.next_id();
            let registry = self.poll.registry();
            let inner = &mut socket.inner;
            registry
                .register(inner, token(id), Interest::READABLE)
                .map_err(fail)?;
            let address = inner.local_addr().map_err(fail)?;
            let endpoint = format!("udp://{address}");
            self.udp.own_ports.push(address.port());
            let source = DatagramSocket {
                socket,
                endpoint: endpoint.clone(),
                service,
                place,
                mode,
                single_port: options.single_port,
                flow: None,
                asked: None,
                is_refused: false,
                readable: false,
                writable: true,
                queued: false,
                asks_writable: false,
                batch: BATCH_FIRST,
                rest: None,
                outgoing: Outgoing::default(),
                rates: Rates::new(options.rate, DATAGRAM_RATE),
                loops: Loops::new(),
                counts: Counts::default(),
                errors: 0,
                said_at: Moment::ZERO,
            };
            self.sources.insert(Source::Datagram(Box::new(source)));
            self.udp.inbox.get_or_insert_with(Inbox::new);
            endpoints.push(endpoint);
        }
        Ok(endpoints)
    }

    /// Puts one datagram through the rules, and gives it to its session.
    fn arrive(&mut self, id: SourceId, arrival: &Arrival, payload: &[u8]) {
        let (now, draining) = (self.now, self.is_draining());
        let Self {
            sources,
            services,
            udp,
            ..
        } = self;
        let Some(socket) = sources.datagram(id) else {
            return;
        };
        if let Some(number) = socket.flow {
            return self.arrive_at_own(number, arrival, payload);
        }
        let name = services[usize::from(socket.service)].entry.name;
        let from = &arrival.from;
        if let Some(refusal) = guard::refusal(arrival, &udp.own_ports) {
            socket.counts.refused += 1;
            debug!(target: "switchboard", "{name} {from}: not answered: {refusal}");
            return;
        }
        if !socket.rates.take(from.ip(), now) {
            socket.counts.over_rate += 1;
            debug!(target: "switchboard", "{name} {from}: not answered: over its rate");
            return;
        }
        if socket.loops.cuts(from, payload, now) {
            socket.counts.refused += 1;
            debug!(target: "switchboard", "{name} {from}: not answered: it seems to go round");
            return;
        }
        match socket.mode {
            // Whoever comes while the server goes down finds it gone.
            Datagrams::OneShot if draining => {}
            Datagrams::OneShot => self.one_shot(id, arrival, payload),
            Datagrams::Flows | Datagrams::Transfers => self.deliver_to_flow(id, arrival, payload),
        }
    }

    /// Sends what waits at one socket, and asks for writability while the socket is full.
    pub(super) fn flush_datagrams(&mut self, id: SourceId) {
        let Self {
            sources,
            services,
            poll,
            ..
        } = self;
        let Some(socket) = sources.datagram(id) else {
            return;
        };
        if socket.writable && !socket.outgoing.is_empty() {
            let flushed = socket.outgoing.flush(&socket.socket);
            socket.counts.sent += flushed.sent;
            socket.counts.bytes_out += flushed.sent_bytes;
            socket.counts.unsent += flushed.lost;
            socket.writable = !flushed.full;
            if let Some(error) = flushed.error {
                socket.is_refused |= socket.flow.is_some() && error == Errno::ECONNREFUSED;
                let name = services[usize::from(socket.service)].entry.name;
                let (lost, text) = (flushed.lost, error.desc());
                debug!(target: "switchboard", "{name}: {lost} datagrams not sent: {text}");
            }
        }
        let needed = !socket.outgoing.is_empty();
        if needed != socket.asks_writable {
            let interest = match needed {
                true => Interest::READABLE | Interest::WRITABLE,
                false => Interest::READABLE,
            };
            let inner = &mut socket.socket.inner;
            match inner.reregister(poll.registry(), token(id), interest) {
                Ok(()) => socket.asks_writable = needed,
                // Out of memory (epoll_ctl(2)): what waits is tried again with the next batch.
                Err(_) => socket.writable = true,
            }
        }
    }

    /// Sends what waits at every socket.
    pub(super) fn flush_all_datagrams(&mut self) {
        let ids: Vec<_> = self.sources.datagrams().map(|(id, _)| id).collect();
        for id in ids {
            self.flush_datagrams(id);
        }
    }
}

impl DatagramSocket {
    fn wants_read(&self) -> bool {
        (self.readable || self.rest.is_some()) && self.outgoing.is_empty()
    }

    /// How many of its datagrams wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.outgoing.len()
    }
}

/// Whether openings and the like are logged at all.
fn debugging() -> bool {
    log_enabled!(target: "switchboard", log::Level::Debug)
}
