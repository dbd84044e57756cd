//! From a datagram to its session and back: those of one call, and flows.

use std::net::SocketAddr;

use log::{debug, info, trace};

use super::credit::Credit;
use super::flows::{FlowKey, Room};
use super::own::Own;
use super::socket::Arrival;
use super::{DatagramSocket, Local, debugging};
use crate::config::limits::TRANSFERS_BEGUN_PER_SECOND;
use crate::reactor::Reactor;
use crate::reactor::connection::{Connection, Phase};
use crate::reactor::hex::{Dump, Said};
use crate::reactor::settle::log_opening;
use crate::reactor::sources::Source;
use crate::reactor::stream::Stream;
use crate::service::{Call, CloseReason, Datagrams, Effects, Peer, SourceId};

impl Reactor {
    /// A datagram whose session lives for this call only. It has no place in the slab and no
    /// number: what others want to send it comes too late.
    pub(super) fn one_shot(&mut self, id: SourceId, arrival: &Arrival, payload: &[u8]) {
        let Some(socket) = self.sources.datagram(id) else {
            return;
        };
        let (service, place) = (socket.service, socket.place);
        let peer = Peer::from(arrival.from);
        let mut credit = Credit::default();
        credit.received(&arrival.from, payload.len());
        let name = self.services[usize::from(service)].entry.name;
        let secret = self.services[usize::from(service)].entry.secret;
        trace!(target: "switchboard", "{name} {peer} receives{}", Said { bytes: payload, secret });
        let call = one_call(id, &peer, self.now, self.operator, &mut self.effects);
        let session = self.services[usize::from(service)].host.open(place, call);
        let mut open = self.effects.ending.is_none();
        self.settle_one_shot(id, arrival, &mut credit);
        if open {
            let call = one_call(id, &peer, self.now, self.operator, &mut self.effects);
            let host = &mut self.services[usize::from(service)].host;
            let _ = host.receive(session, payload, call);
            open = self.effects.ending.is_none();
            self.settle_one_shot(id, arrival, &mut credit);
        }
        if debugging() {
            let end = if open {
                "answered"
            } else {
                "closed by the service"
            };
            debug!(target: "switchboard", "{name} {peer}: {} bytes in, {end}", payload.len());
        }
        let host = &mut self.services[usize::from(service)].host;
        host.closed(session, self.now, &mut self.effects);
        self.post_of(service);
    }

    fn settle_one_shot(&mut self, id: SourceId, arrival: &Arrival, credit: &mut Credit) {
        let Self {
            sources,
            services,
            effects,
            ..
        } = self;
        let Some(socket) = sources.datagram(id) else {
            return;
        };
        let service = socket.service;
        let name = services[usize::from(service)].entry.name;
        for note in &effects.notes {
            info!(target: "switchboard", "{name} {}: {note}", arrival.from);
        }
        socket.queue(name, effects, credit, arrival.from, arrival.at);
        self.post_of(service);
    }

    /// A datagram of a flow, or the first of one.
    pub(super) fn deliver_to_flow(&mut self, id: SourceId, arrival: &Arrival, payload: &[u8]) {
        let key = FlowKey {
            socket: id,
            peer: arrival.from,
            local: arrival.at,
        };
        if let Some((number, connection)) = self.udp.flows.find(&key) {
            if let Some(flow) = self.udp.flows.get_mut(number) {
                flow.credit.received(&arrival.from, payload.len());
            }
            let is_taken = self.give_to_flow(connection, payload);
            let socket = self.sources.datagram(id);
            // A client that begins another transfer from the same port.
            let begins = !is_taken && socket.is_some_and(|s| s.mode == Datagrams::Transfers);
            if !begins || self.udp.flows.find(&key).is_some() {
                return;
            }
        }
        // Whoever comes while the server goes down finds it gone.
        if !self.is_draining()
            && let Some(connection) = self.open_flow(key, payload.len())
        {
            self.give_to_flow(connection, payload);
        }
    }

    /// Gives a datagram to the session of a flow; false if it has closed and used nothing of it.
    pub(super) fn give_to_flow(&mut self, connection: SourceId, payload: &[u8]) -> bool {
        let Self {
            sources,
            services,
            effects,
            now,
            operator,
            ..
        } = self;
        let Some(c) = sources.connection(connection) else {
            return true;
        };
        c.bytes_in += payload.len() as u64;
        c.active_at = *now;
        if c.phase != Phase::Open {
            return true;
        }
        let served = &mut services[usize::from(c.service)];
        let secret = served.entry.secret;
        trace!(
            target: "switchboard",
            "{} #{} receives{}", served.entry.name, c.number, Said { bytes: payload, secret }
        );
        let call = c.call(connection, *now, *operator, effects);
        let used = served.host.receive(c.session, payload, call);
        let is_taken = used > 0 || effects.ending.is_none();
        self.settle(connection);
        self.conclude(connection, 0);
        is_taken
    }

    /// Makes a flow and opens its session; `None` if there is no room for it, or if the session
    /// closed at once.
    fn open_flow(&mut self, key: FlowKey, len: usize) -> Option<SourceId> {
        if !self.may_begin(&key) {
            self.sources.datagram(key.socket)?.counts.over_rate += 1;
            debug!(target: "switchboard", "{}: too many transfers begin", key.peer);
            return None;
        }
        match self.udp.flows.room(&key.peer) {
            Room::Free => {}
            Room::Evict(oldest) => self.evict(oldest),
            Room::Full => {
                let socket = self.sources.datagram(key.socket)?;
                socket.counts.no_room += 1;
                debug!(target: "switchboard", "{}: no room for another flow", key.peer);
                return None;
            }
        }
        let own_or_not = self.own_socket(&key);
        let own = match own_or_not {
            Own::No | Own::Shared => None,
            Own::Socket(own) => Some(own),
            Own::Refused => {
                self.sources.datagram(key.socket)?.counts.no_room += 1;
                return None;
            }
        };
        let socket = self.sources.datagram(key.socket)?;
        let (service, place, mode) = (socket.service, socket.place, socket.mode);
        let mut credit = match mode {
            Datagrams::Transfers => Credit::of_transfer(&key.peer),
            Datagrams::Flows | Datagrams::OneShot => Credit::default(),
        };
        credit.received(&key.peer, len);
        let id = self.sources.next_id();
        let number = self.udp.flows.insert(key, credit, id, own);
        if own_or_not != Own::No {
            self.udp.flows.note_transfer(number);
        }
        if let Some(own) = own.and_then(|own| self.sources.datagram(own)) {
            own.flow = Some(number);
        }
        self.numbers = self.numbers.wrapping_add(1);
        let ends_itself = mode == Datagrams::Transfers;
        let stream = Stream::Flow {
            number,
            ends_itself,
        };
        let peer = Peer::from(key.peer);
        let mut c = Connection::new(stream, peer, self.numbers, service, self.now);
        // It has no stream whose end could be waited for: it is gone as soon as it has closed.
        c.input_ended = true;
        let served = &mut self.services[usize::from(service)];
        log_opening(served.entry.name, &c);
        let call = c.call(id, self.now, self.operator, &mut self.effects);
        c.session = served.host.open(place, call);
        self.sources.insert(Source::Connection(c));
        self.settle(id);
        self.conclude(id, 0);
        Some(id)
    }

    /// Whether a flow may begin now. A transfer is sent more than three times what came for it, so
    /// forged sources may not begin any number of them.
    fn may_begin(&mut self, key: &FlowKey) -> bool {
        let socket = self.sources.datagram(key.socket);
        let is_transfer = socket.is_some_and(|socket| socket.mode == Datagrams::Transfers);
        !is_transfer
            || key.peer.ip().is_loopback()
            || self.udp.begun.take(TRANSFERS_BEGUN_PER_SECOND, self.now)
    }

    /// Ends a flow to make room for another.
    pub(super) fn evict(&mut self, id: SourceId) {
        if let Some(c) = self.sources.connection(id) {
            let is_done = match c.stream {
                Stream::Flow { number, .. } => self.udp.flows.is_done(number),
                _ => false,
            };
            c.abort(match is_done {
                true => CloseReason::Answered,
                false => CloseReason::Crowded,
            });
            self.conclude(id, 0);
        }
    }

    /// What the last callback of a flow's session sent goes into its socket's queue.
    pub(in crate::reactor) fn settle_flow(&mut self, id: SourceId) {
        let Self {
            sources,
            services,
            effects,
            udp,
            run_queue,
            ..
        } = self;
        let Some(Stream::Flow { number, .. }) = sources.connection(id).map(|c| &c.stream) else {
            return;
        };
        let number = *number;
        if effects.proved {
            udp.flows.prove(number);
        }
        if effects.done {
            udp.flows.let_go(number);
        }
        let Some(flow) = udp.flows.get_mut(number) else {
            return;
        };
        let key = flow.key;
        let (from, leaves_by) = match flow.own {
            // It is bound to the address that was asked.
            Some(own) => (None, own),
            None => (key.local, key.socket),
        };
        let mut queued = 0;
        if let Some(socket) = sources.datagram(leaves_by) {
            let name = services[usize::from(socket.service)].entry.name;
            queued = socket.queue(name, effects, &mut flow.credit, key.peer, from);
            if queued > 0 || !socket.outgoing.is_empty() {
                run_queue.push(leaves_by, &mut socket.queued);
            }
        }
        effects.output.clear();
        if let Some(c) = sources.connection(id) {
            c.bytes_out += queued;
        }
    }
}

impl DatagramSocket {
    /// Queues each datagram of a callback as far as the peer's credit and the queue's bound go;
    /// returns the bytes that were queued.
    fn queue(
        &mut self,
        name: &str,
        effects: &Effects,
        credit: &mut Credit,
        to: SocketAddr,
        from: Option<Local>,
    ) -> u64 {
        let (mut start, mut queued) = (0, 0);
        for end in &effects.datagrams {
            let bytes = &effects.output[start..*end];
            start = *end;
            trace!(target: "switchboard", "{name} {to} is sent{}", Dump(bytes));
            if !credit.spend(&to, bytes.len()) {
                self.counts.over_credit += 1;
                debug!(target: "switchboard", "{name} {to}: not sent: three times what came");
            } else if self.outgoing.push(bytes, to, from) {
                queued += bytes.len() as u64;
            } else {
                self.counts.unsent += 1;
            }
        }
        queued
    }
}

fn one_call<'a>(
    id: SourceId,
    peer: &'a Peer,
    now: crate::service::Moment,
    operator: bool,
    effects: &'a mut Effects,
) -> Call<'a> {
    Call {
        id,
        number: 0,
        now,
        peer,
        datagram: true,
        operator,
        effects,
    }
}
