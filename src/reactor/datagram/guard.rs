//! Who is never answered, and how a loop is cut.
//!
//! A forged datagram can set two servers on each other that both answer whatever comes
//! (CVE-1999-0103, CVE-2024-2169). So nothing goes to a port where a server listens that answers by
//! itself, nor to a port of our own, at whatever address. Another server of this kind is known by the
//! mark of what it sends, and any other server that answers by what it does: it sends what it was
//! sent, and nothing else, for ever.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::socket::Arrival;
use crate::config::limits::{LOOP_GAP, LOOP_RUN};
use crate::service::Moment;

/// Why a datagram gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Port 0 can't be sent to.
    PortZero,
    /// A server that answers by itself listens there.
    ServerPort,
    /// One of our own sockets has that port, or another server of this kind elsewhere.
    OwnPort,
    /// Another server of this kind has sent it.
    Marked,
    /// The source is no single host: multicast, broadcast or unspecified.
    Source,
    /// It was sent to many: multicast or broadcast.
    Destination,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PortZero => "it came from port 0",
            Self::ServerPort => "a server listens at its port that would answer",
            Self::OwnPort => "it came from a port of ours",
            Self::Marked => "a server of this kind has sent it",
            Self::Source => "it came from no single host",
            Self::Destination => "it was sent to many",
        })
    }
}

/// Ports where servers listen that answer what comes by itself, or that pass on what they are sent.
/// No client should send from them: Linux, Windows and macOS choose client ports from 32768 up, so
/// none of those stands here, or one client in some thousands would never be answered.
const SERVER_PORTS: &[u16] = &[
    7,     // echo
    11,    // active users
    13,    // daytime
    17,    // quote of the day
    19,    // character generator
    37,    // time
    53,    // DNS
    67,    // DHCP server
    68,    // DHCP client
    69,    // TFTP, which answers an error with an error
    111,   // portmapper
    123,   // NTP
    137,   // NetBIOS names
    138,   // NetBIOS datagrams
    161,   // SNMP
    177,   // XDMCP
    389,   // LDAP over UDP
    427,   // service location
    464,   // Kerberos passwords
    520,   // RIP
    623,   // IPMI
    1434,  // SQL server browser
    1900,  // SSDP
    3283,  // remote desktop of Apple
    3702,  // WS-Discovery
    5060,  // SIP
    5093,  // licence manager
    5353,  // multicast DNS
    5683,  // CoAP
    10001, // discovery of Ubiquiti
    11211, // memcached
    17185, // VxWorks debugger
    27960, // Quake 3
];

/// Whether a datagram is one that must not be answered, whatever it says; `own` has the ports of
/// all our UDP sockets.
pub(super) fn refusal(arrival: &Arrival, own: &[u16]) -> Option<Refusal> {
    let from = arrival.from;
    let many = match from.ip() {
        IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_multicast() || ip.is_unspecified(),
    };
    if many {
        return Some(Refusal::Source);
    }
    if arrival.at.is_some_and(|at| at.many) {
        return Some(Refusal::Destination);
    }
    if arrival.marked {
        return Some(Refusal::Marked);
    }
    match from.port() {
        0 => Some(Refusal::PortZero),
        port if SERVER_PORTS.contains(&port) => Some(Refusal::ServerPort),
        port if own.contains(&port) => Some(Refusal::OwnPort),
        _ => None,
    }
}

/// Finds loops by what they do. Each source has a place in a table of fixed size (sources whose
/// hashes meet push each other out, and begin anew). Its run grows while it sends nothing but what
/// it has sent just before; a long run is cut by dropping one datagram, which ends a loop for good,
/// and for a client that does send the same a thousand times without a pause is a lost packet.
#[derive(Debug)]
pub(super) struct Loops {
    hasher: RandomState,
    places: Vec<Place>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    source: u64,
    /// What it sent last, as hashes; more than one, since several datagrams may go round at once.
    sent: [u32; PAYLOADS],
    next: u8,
    run: u16,
    last: Moment,
}

const PAYLOADS: usize = 8;
const PLACES: usize = 1024;

/// Of a long datagram its length and this much of either end are compared.
const COMPARED_BYTES: usize = 64;

impl Loops {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            places: Vec::new(),
        }
    }

    /// Notes a datagram; true if it is to be dropped, because its source seems to send back what it
    /// is sent.
    pub(super) fn cuts(&mut self, from: &SocketAddr, payload: &[u8], now: Moment) -> bool {
        if self.places.is_empty() {
            self.places = vec![Place::default(); PLACES];
        }
        let source = self.hasher.hash_one(from);
        let head = &payload[..payload.len().min(COMPARED_BYTES)];
        let tail = &payload[payload.len().saturating_sub(COMPARED_BYTES)..];
        // The lower half; never 0, which stands for none.
        let hash = (self.hasher.hash_one((payload.len(), head, tail)) as u32).max(1);
        let Some(place) = self.places.get_mut((source % PLACES as u64) as usize) else {
            return false;
        };
        let pause: Duration = now.since(place.last);
        if place.source != source || pause > LOOP_GAP {
            *place = Place {
                source,
                ..Place::default()
            };
        }
        place.last = now;
        if !place.sent.contains(&hash) {
            place.sent[usize::from(place.next) % PAYLOADS] = hash;
            place.next = place.next.wrapping_add(1);
            place.run = 0;
            return false;
        }
        place.run += 1;
        let cut = place.run >= LOOP_RUN;
        if cut {
            place.run = 0;
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::datagram::Local;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ports_and_sources_that_must_not_be_answered_are_refused() {
        let own = [8888, 40_000];
        for (from, refused) in [
            ("127.0.0.1:0", Some(Refusal::PortZero)),
            ("192.0.2.1:7", Some(Refusal::ServerPort)),
            ("192.0.2.1:19", Some(Refusal::ServerPort)),
            ("[2001:db8::1]:53", Some(Refusal::ServerPort)),
            ("192.0.2.1:69", Some(Refusal::ServerPort)),
            ("192.0.2.1:11211", Some(Refusal::ServerPort)),
            ("127.0.0.1:8888", Some(Refusal::OwnPort)),
            ("192.0.2.1:40000", Some(Refusal::OwnPort)),
            ("224.0.0.1:5000", Some(Refusal::Source)),
            ("255.255.255.255:5000", Some(Refusal::Source)),
            ("0.0.0.0:5000", Some(Refusal::Source)),
            ("[ff02::1]:5000", Some(Refusal::Source)),
            ("[::]:5000", Some(Refusal::Source)),
            ("127.0.0.1:40001", None),
            ("192.0.2.1:1024", None),
            ("[fe80::1]:5000", None),
        ] {
            let arrival = Arrival::forged(address(from));
            assert_eq!(refusal(&arrival, &own), refused, "{from}");
        }
        let mut arrival = Arrival::forged(address("127.0.0.1:5000"));
        arrival.at = Some(Local {
            ip: address("127.0.0.1:1").ip(),
            interface: 0,
            many: false,
        });
        assert_eq!(refusal(&arrival, &own), None);
        arrival.marked = true;
        assert_eq!(refusal(&arrival, &own), Some(Refusal::Marked));
        arrival.at = arrival.at.map(|at| Local { many: true, ..at });
        assert_eq!(refusal(&arrival, &own), Some(Refusal::Destination));
    }

    #[test]
    fn each_port_stands_in_the_list_once_and_in_order() {
        assert!(SERVER_PORTS.is_sorted_by(|a, b| a < b));
        let first_of_clients = 32_768;
        assert!(SERVER_PORTS.iter().all(|port| *port < first_of_clients));
    }

    /// Datagrams that are taken of `rounds` that come a millisecond apart.
    fn taken(loops: &mut Loops, rounds: u64, payload: impl Fn(u64) -> Vec<u8>) -> u64 {
        let from = address("192.0.2.1:5000");
        let round = |round: &u64| {
            let now = Moment::from_nanos(round * 1_000_000);
            !loops.cuts(&from, &payload(*round), now)
        };
        (1..=rounds).filter(round).count() as u64
    }

    #[test]
    fn datagrams_that_go_round_are_cut() {
        let run = u64::from(LOOP_RUN);
        for going_round in 1..=PAYLOADS as u64 {
            let payload = |round: u64| vec![u8::try_from(round % going_round).unwrap(); 100];
            let taken = taken(&mut Loops::new(), run + going_round, payload);
            assert_eq!(taken, run + going_round - 1, "{going_round}");
        }
    }

    #[test]
    fn what_differs_is_never_cut() {
        let rounds = 4 * u64::from(LOOP_RUN);
        let counted = |round: u64| round.to_le_bytes().to_vec();
        assert_eq!(taken(&mut Loops::new(), rounds, counted), rounds);
        // Nor what differs only in its length, or once in a while.
        let long = |round: u64| vec![0; usize::try_from(round).unwrap()];
        assert_eq!(taken(&mut Loops::new(), rounds, long), rounds);
        let often = |round: u64| (round / 5_000).to_le_bytes().to_vec();
        assert_eq!(taken(&mut Loops::new(), rounds, often), rounds);
    }

    #[test]
    fn the_same_with_pauses_is_never_cut() {
        let mut loops = Loops::new();
        let from = address("192.0.2.1:5000");
        let mut now = Moment::ZERO;
        for _ in 0..2 * LOOP_RUN {
            now = now.after(LOOP_GAP + Duration::from_millis(1));
            assert!(!loops.cuts(&from, b"ping", now));
        }
    }
}
