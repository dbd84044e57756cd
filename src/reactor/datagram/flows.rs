//! Which session the datagrams of an address belong to, and how many such sessions there may be.
//!
//! Sources are easily forged, so flows are cheap to make and must be few: a cap in all, a cap for
//! each network, and the oldest of those that have not proved themselves, or have nothing left to
//! do, gives way first.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

use slab::Slab;

use super::Local;
use super::credit::Credit;
use crate::config::limits::{FLOWS_MAX, FLOWS_PER_NETWORK_MAX};
use crate::service::SourceId;

/// What names a flow: our socket, the peer's address, and which of our addresses it speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::reactor) struct FlowKey {
    pub socket: SourceId,
    pub peer: SocketAddr,
    pub local: Option<Local>,
}

/// The datagrams of one peer, treated as a connection.
#[derive(Debug)]
pub(in crate::reactor) struct Flow {
    pub key: FlowKey,
    pub credit: Credit,
    /// Its connection.
    pub id: SourceId,
    /// The socket of its own, if it has one.
    pub own: Option<SourceId>,
    /// Its place in the order of coming.
    age: u64,
    /// It stays only in case the peer has not heard that all is done.
    done: bool,
    /// It holds a file, and perhaps a socket.
    is_transfer: bool,
    /// It has given up its name; its place in the slab goes when its connection is buried.
    retired: bool,
}

/// All flows of the server.
#[derive(Debug, Default)]
pub(in crate::reactor) struct Flows {
    slab: Slab<Flow>,
    by_key: HashMap<FlowKey, u32>,
    /// Those that give way, the oldest first: they have not proved themselves, or are done.
    yielding: BTreeMap<u64, u32>,
    /// Of these those that are transfers.
    yielding_transfers: BTreeMap<u64, u32>,
    transfers: usize,
    /// Sockets that belong to one flow each.
    sockets: usize,
    networks: HashMap<u64, u32>,
    ages: u64,
}

/// What is to happen before one more flow is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// Nothing.
    Free,
    /// This connection gives way.
    Evict(SourceId),
    /// There is no room for it.
    Full,
}

impl Flows {
    /// The number and the connection of the flow of that name.
    pub(super) fn find(&self, key: &FlowKey) -> Option<(u32, SourceId)> {
        let number = *self.by_key.get(key)?;
        Some((number, self.slab.get(number as usize)?.id))
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Flow> {
        self.slab.get_mut(number as usize)
    }

    /// How many there are.
    pub(in crate::reactor) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// How many are transfers.
    pub(in crate::reactor) fn transfers(&self) -> usize {
        self.transfers
    }

    /// How many descriptors those take: a file each, and their own sockets.
    pub(in crate::reactor) fn descriptors(&self) -> usize {
        self.transfers + self.sockets
    }

    /// Where there is no room for another transfer: which one gives way.
    pub(super) fn room_for_transfer(&self) -> Room {
        self.oldest(&self.yielding_transfers)
    }

    fn oldest(&self, yielding: &BTreeMap<u64, u32>) -> Room {
        let oldest = yielding.first_key_value();
        let oldest = oldest.and_then(|(_, number)| self.slab.get(*number as usize));
        oldest.map_or(Room::Full, |flow| Room::Evict(flow.id))
    }

    /// Whether one more may come from that peer.
    pub(super) fn room(&self, peer: &SocketAddr) -> Room {
        if let Some(network) = network(peer.ip())
            && self.networks.get(&network).copied().unwrap_or(0) >= FLOWS_PER_NETWORK_MAX
        {
            return Room::Full;
        }
        if self.len() < FLOWS_MAX {
            return Room::Free;
        }
        self.oldest(&self.yielding)
    }

    /// Adds a flow whose connection will be `id`, perhaps with a socket of its own; returns its number.
    pub(super) fn insert(
        &mut self,
        key: FlowKey,
        credit: Credit,
        id: SourceId,
        own: Option<SourceId>,
    ) -> u32 {
        debug_assert!(!self.by_key.contains_key(&key), "a flow of each name");
        self.ages += 1;
        let flow = Flow {
            key,
            credit,
            id,
            own,
            age: self.ages,
            done: false,
            is_transfer: false,
            retired: false,
        };
        // There are at most FLOWS_MAX and those that are buried in this iteration.
        let number = u32::try_from(self.slab.insert(flow)).unwrap_or(u32::MAX);
        self.by_key.insert(key, number);
        self.yielding.insert(self.ages, number);
        self.sockets += usize::from(own.is_some());
        if let Some(network) = network(key.peer.ip()) {
            *self.networks.entry(network).or_insert(0) += 1;
        }
        number
    }

    /// It is a transfer, which takes descriptors.
    pub(super) fn note_transfer(&mut self, number: u32) {
        if let Some(flow) = self.slab.get_mut(number as usize)
            && !std::mem::replace(&mut flow.is_transfer, true)
        {
            self.transfers += 1;
            self.yielding_transfers.insert(flow.age, number);
        }
    }

    /// The peer has shown that it gets what it is sent: it no longer gives way to others.
    pub(super) fn prove(&mut self, number: u32) {
        if let Some(flow) = self.slab.get_mut(number as usize) {
            flow.credit.prove();
            self.yielding.remove(&flow.age);
            self.yielding_transfers.remove(&flow.age);
        }
    }

    /// It has done what it was for: it gives way to others from now on.
    pub(super) fn let_go(&mut self, number: u32) {
        let Some(flow) = self.slab.get_mut(number as usize) else {
            return;
        };
        flow.done = true;
        if !flow.retired {
            self.yielding.insert(flow.age, number);
            if flow.is_transfer {
                self.yielding_transfers.insert(flow.age, number);
            }
        }
    }

    /// Whether it was let go.
    pub(super) fn is_done(&self, number: u32) -> bool {
        self.slab.get(number as usize).is_some_and(|flow| flow.done)
    }

    /// The session has ended: the next datagram of that address begins a new flow. Returns the
    /// socket of its own, which is to be closed.
    pub(in crate::reactor) fn retire(&mut self, number: u32) -> Option<SourceId> {
        let flow = self.slab.get_mut(number as usize)?;
        if std::mem::replace(&mut flow.retired, true) {
            return None;
        }
        self.by_key.remove(&flow.key);
        self.yielding.remove(&flow.age);
        self.yielding_transfers.remove(&flow.age);
        let own = flow.own.take();
        self.sockets -= usize::from(own.is_some());
        self.transfers -= usize::from(flow.is_transfer);
        if let Some(network) = network(flow.key.peer.ip())
            && let Some(count) = self.networks.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                self.networks.remove(&network);
            }
        }
        debug_assert!(self.yielding.len() <= self.by_key.len());
        own
    }

    /// The connection is buried: the number is free. Returns what [`Flows::retire`] does.
    pub(in crate::reactor) fn remove(&mut self, number: u32) -> Option<SourceId> {
        let own = self.retire(number);
        let _ = self.slab.try_remove(number as usize);
        own
    }
}

/// The network that an address is counted with: a /24 of IPv4, a /64 of IPv6. Loopback is counted
/// only in all: nobody else gets a datagram in from there.
fn network(address: IpAddr) -> Option<u64> {
    match address {
        _ if address.is_loopback() => None,
        IpAddr::V4(v4) => Some(u64::from(v4.to_bits() >> 8)),
        IpAddr::V6(_) => Some(super::rate::prefix(address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(host: u32, port: u16) -> FlowKey {
        FlowKey {
            socket: id(0),
            peer: SocketAddr::from((std::net::Ipv4Addr::from_bits(host), port)),
            local: None,
        }
    }

    fn id(key: u32) -> SourceId {
        SourceId { key, generation: 0 }
    }

    const LOOPBACK: u32 = 0x7f00_0001;

    #[test]
    fn the_oldest_that_has_not_proved_itself_gives_way() {
        let mut flows = Flows::default();
        let count = u32::try_from(FLOWS_MAX).unwrap();
        let numbers: Vec<_> = (0..count)
            .map(|n| {
                flows.insert(
                    key(LOOPBACK + n / 60_000, (n % 60_000) as u16),
                    Credit::default(),
                    id(n),
                    None,
                )
            })
            .collect();
        let peer = key(LOOPBACK, 65_000).peer;
        assert_eq!(flows.room(&peer), Room::Evict(id(0)));
        flows.prove(numbers[0]);
        assert_eq!(flows.retire(numbers[1]), None);
        assert_eq!(flows.room(&peer), Room::Free);
        flows.insert(key(LOOPBACK, 65_001), Credit::default(), id(count), None);
        assert_eq!(flows.room(&peer), Room::Evict(id(2)));
        for number in numbers {
            flows.prove(number);
        }
        assert_eq!(flows.room(&peer), Room::Evict(id(count)));
    }

    #[test]
    fn a_network_can_not_take_all_the_room_and_loopback_can() {
        let mut flows = Flows::default();
        for n in 0..FLOWS_PER_NETWORK_MAX {
            let port = u16::try_from(n / 256 + 1).unwrap();
            flows.insert(
                key(0xc000_0200 + n % 256, port),
                Credit::default(),
                id(n),
                None,
            );
        }
        assert_eq!(flows.room(&key(0xc000_0201, 60_000).peer), Room::Full);
        assert_eq!(flows.room(&key(0xc000_0301, 60_000).peer), Room::Free);
        for n in 0..FLOWS_PER_NETWORK_MAX {
            flows.insert(key(LOOPBACK, n as u16), Credit::default(), id(n), None);
        }
        assert_eq!(flows.room(&key(LOOPBACK, 60_000).peer), Room::Free);
    }

    #[test]
    fn a_socket_of_its_own_is_given_back_once() {
        let mut flows = Flows::default();
        let plain = flows.insert(key(LOOPBACK, 1), Credit::default(), id(1), None);
        let own = |n: u32| Some(id(100 + n));
        let first = flows.insert(key(LOOPBACK, 2), Credit::default(), id(2), own(2));
        let second = flows.insert(key(LOOPBACK, 3), Credit::default(), id(3), own(3));
        flows.note_transfer(first);
        flows.note_transfer(second);
        assert_eq!((flows.transfers(), flows.descriptors()), (2, 4));
        assert_eq!(flows.room_for_transfer(), Room::Evict(id(2)));
        flows.prove(first);
        assert_eq!(flows.room_for_transfer(), Room::Evict(id(3)));
        assert_eq!(flows.retire(second), own(3));
        assert_eq!(flows.remove(second), None);
        assert_eq!((flows.remove(plain), flows.descriptors()), (None, 2));
        assert_eq!(flows.room_for_transfer(), Room::Full);
        flows.let_go(first);
        assert_eq!(flows.room_for_transfer(), Room::Evict(id(2)));
        assert!(flows.is_done(first));
        assert_eq!((flows.remove(first), flows.descriptors()), (own(2), 0));
        assert_eq!(flows.room_for_transfer(), Room::Full);
    }

    proptest! {
        /// Against a map: a name finds its flow until it is retired, also while its place in the
        /// slab is still held and the name is used again.
        #[test]
        fn a_name_finds_its_flow_until_it_is_retired(
            steps in prop::collection::vec((0_u8..4, 0_u16..6), 1..300),
        ) {
            let mut flows = Flows::default();
            let (mut model, mut held) = (HashMap::new(), Vec::new());
            for (at, (step, port)) in (0_u32..).zip(steps) {
                let name = key(LOOPBACK, port);
                let found = flows.find(&name);
                prop_assert_eq!(found, model.get(&name).copied());
                match (step, found) {
                    (0 | 1, None) => {
                        let number = flows.insert(name, Credit::default(), id(at), None);
                        model.insert(name, (number, id(at)));
                    }
                    (1, Some((number, _))) => flows.prove(number),
                    (2, Some((number, _))) => {
                        flows.retire(number);
                        model.remove(&name);
                        held.push(number);
                    }
                    _ => held.drain(..).for_each(|number| assert_eq!(flows.remove(number), None)),
                }
                prop_assert_eq!(flows.len(), model.len());
                prop_assert_eq!(flows.slab.len(), model.len() + held.len());
            }
        }
    }
}
