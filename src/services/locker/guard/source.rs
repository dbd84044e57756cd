//! Where tries come from: what one attacker has many of counts as one.

use std::net::Ipv6Addr;

use crate::service::Peer;

/// Where tries come from, as far as one can be held to account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// An IPv4 address, as a number.
    V4(u32),
    /// The upper half of an IPv6 address: one host is given all of a /64.
    V6(u64),
    /// A user of this machine, at a Unix socket.
    User(u32),
    /// This machine over TCP, whichever of its loopback addresses: anybody here can use them all.
    Loopback,
    /// A peer that the kernel no longer knew.
    Gone,
}

impl Source {
    /// The source that this peer counts to.
    pub fn of(peer: &Peer) -> Self {
        match peer {
            Peer::V4(address) if address.ip().is_loopback() => Self::Loopback,
            Peer::V4(address) => Self::V4(address.ip().to_bits()),
            Peer::V6(address) if *address.ip() == Ipv6Addr::LOCALHOST => Self::Loopback,
            Peer::V6(address) => Self::V6((address.ip().to_bits() >> 64) as u64),
            Peer::Unix { uid, .. } => Self::User(*uid),
            Peer::Gone => Self::Gone,
        }
    }

    /// Whether it is on this machine, where one source may be many honest people, and where the
    /// operator can see who it is. Limits over all lockers do not hold for it.
    pub fn is_here(self) -> bool {
        matches!(self, Self::Loopback | Self::User(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn an_attacker_with_many_addresses_is_one_source() {
        let of = |text: &str| Source::of(&Peer::from(text.parse::<SocketAddr>().unwrap()));
        assert_eq!(of("192.0.2.1:1"), of("192.0.2.1:65535"));
        assert_ne!(of("192.0.2.1:1"), of("192.0.2.2:1"));
        assert_eq!(of("[2001:db8::1]:1"), of("[2001:db8::ffff:0:0:1]:2"));
        assert_ne!(of("[2001:db8::1]:1"), of("[2001:db8:0:1::1]:1"));
        assert_eq!(of("[::ffff:192.0.2.1]:1"), of("192.0.2.1:1"));
        for here in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1"] {
            assert_eq!(of(here), Source::Loopback, "{here}");
        }
        let user = |pid, uid| Source::of(&Peer::Unix { pid, uid });
        assert_eq!(user(1, 1000), user(2, 1000));
        assert_ne!(user(1, 1000), user(1, 1001));
        assert_eq!(Source::of(&Peer::Gone), Source::Gone);
        assert!(user(1, 0).is_here() && Source::Loopback.is_here());
        assert!(!of("192.0.2.1:1").is_here() && !Source::Gone.is_here());
    }
}
