//! Flows that have a socket of their own: a fresh port of the address that was asked, connected to
//! the peer. TFTP wants that (RFC 1350, section 4): the two ports together name a transfer, so what
//! is late of one never meets the next.
//!
//! Such a socket takes a descriptor, and a source is easily forged. So there may be few, and the
//! oldest whose peer has not proved itself, or has all it came for, gives way. It is closed as soon
//! as its flow has ended.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use log::debug;
use mio::Interest;
use nix::errno::Errno;

use super::flows::{FlowKey, Room};
use super::socket::{Arrival, Socket};
use super::{BATCH_FIRST, DatagramSocket, Loops, Rates};
use crate::config::limits::TRANSFERS_MAX;
use crate::reactor::Reactor;
use crate::reactor::sources::{Source, token};
use crate::service::{CloseReason, Datagrams, SourceId};

/// Whether a flow gets a socket of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    /// It does not; it answers from the socket that it came by, and holds no descriptor.
    No,
    /// Nor does this one, but it is a transfer, and holds a file.
    Shared,
    /// It has this one.
    Socket(SourceId),
    /// It should, but there is no room for one, or the system has refused it.
    Refused,
}

impl Reactor {
    /// Makes the socket of a flow that is about to be made, if it is to have one.
    pub(super) fn own_socket(&mut self, key: &FlowKey) -> Own {
        let socket = self.sources.datagram(key.socket);
        let Some(socket) = socket.filter(|socket| socket.mode == Datagrams::Transfers) else {
            return Own::No;
        };
        let is_shared = socket.single_port;
        if !self.makes_room_for_transfer() {
            return Own::Refused;
        }
        if is_shared {
            return Own::Shared;
        }
        match self.connect_own_socket(key) {
            Ok(id) => Own::Socket(id),
            Err(error) => {
                debug!(target: "switchboard", "{}: no port of its own: {error}", key.peer);
                Own::Refused
            }
        }
    }

    /// Whether one more transfer may take descriptors, now or because another gives its own back.
    fn makes_room_for_transfer(&mut self) -> bool {
        let (flows, settings) = (&self.udp.flows, &self.settings);
        let most = TRANSFERS_MAX.min(settings.connections_max / 4).max(1);
        let taken = self.live + flows.descriptors() + self.programs.descriptors();
        if flows.transfers() < most && taken < settings.descriptors_max {
            return true;
        }
        match flows.room_for_transfer() {
            Room::Evict(oldest) => {
                self.evict(oldest);
                true
            }
            Room::Free | Room::Full => false,
        }
    }

    fn connect_own_socket(&mut self, key: &FlowKey) -> std::io::Result<SourceId> {
        let gone = || std::io::Error::from(std::io::ErrorKind::NotConnected);
        let asked = self.sources.datagram(key.socket).ok_or_else(gone)?;
        let local = match key.local {
            None => SocketAddr::new(asked.socket.inner.local_addr()?.ip(), 0),
            Some(at) => match at.ip {
                IpAddr::V6(ip) => SocketAddrV6::new(ip, 0, 0, at.interface).into(),
                ip @ IpAddr::V4(_) => SocketAddr::new(ip, 0),
            },
        };
        let mut source = DatagramSocket {
            socket: Socket::connected(local, &key.peer)?,
            endpoint: asked.endpoint.clone(),
            service: asked.service,
            place: asked.place,
            mode: asked.mode,
            single_port: true,
            flow: None,
            asked: Some(key.socket),
            is_refused: false,
            readable: false,
            writable: true,
            queued: false,
            asks_writable: false,
            batch: BATCH_FIRST,
            rest: None,
            outgoing: super::Outgoing::default(),
            rates: Rates::new(Some(0), 0),
            loops: Loops::new(),
            counts: super::Counts::default(),
            errors: 0,
            said_at: asked.said_at,
        };
        let id = self.sources.next_id();
        let inner = &mut source.socket.inner;
        self.poll
            .registry()
            .register(inner, token(id), Interest::READABLE)?;
        Ok(self.sources.insert(Source::Datagram(Box::new(source))))
    }

    /// A datagram at the socket of that flow.
    pub(super) fn arrive_at_own(&mut self, number: u32, arrival: &Arrival, payload: &[u8]) {
        let Some(flow) = self.udp.flows.get_mut(number) else {
            return;
        };
        // It may have come before the socket was connected.
        if arrival.from == flow.key.peer {
            flow.credit.received(&arrival.from, payload.len());
            let connection = flow.id;
            self.give_to_flow(connection, payload);
        }
    }

    /// Notes an error of a flow's own socket. That the peer's port is closed ends the flow; whatever
    /// else the network says may pass, and is like a lost datagram.
    pub(super) fn end_refused_flow(&mut self, id: SourceId) {
        let Some(socket) = self.sources.datagram(id) else {
            return;
        };
        if !std::mem::take(&mut socket.is_refused) {
            return;
        }
        let number = socket.flow;
        let flow = number.and_then(|number| self.udp.flows.get_mut(number));
        let Some(connection) = flow.map(|flow| flow.id) else {
            return;
        };
        if let Some(c) = self.sources.connection(connection) {
            c.fail(CloseReason::from_errno(Some(Errno::ECONNREFUSED as i32)));
            self.conclude(connection, 0);
        }
    }

    /// Sends what waits at the socket of a flow that has ended, and closes it.
    pub(in crate::reactor) fn close_own_socket(&mut self, id: SourceId) {
        self.flush_datagrams(id);
        let Some(Source::Datagram(mut own)) = self.sources.remove(id) else {
            return;
        };
        // Dropping the socket ends its registration too; a failure here changes nothing.
        let _ = self.poll.registry().deregister(&mut own.socket.inner);
        if let Some(asked) = own.asked.and_then(|asked| self.sources.datagram(asked)) {
            asked.counts.add(&own.counts);
        }
    }
}

#[cfg(test)]
mod tests;
