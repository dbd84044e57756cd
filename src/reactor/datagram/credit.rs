//! How much an address may be sent: the rule against amplification.
//!
//! The source of a datagram is easily forged. Whoever sends us one in somebody else's name must not
//! get more onto that victim's line than goes onto ours, so an address that has not proved that it
//! receives what it is sent gets at most three times the bytes that came from it (RFC 9000, 8.1,
//! has the same rule). Bytes are counted as they fill a line: whole IP packets, headers included.
//! So the answer to an empty datagram may have 56 bytes over IPv4 and 96 over IPv6.
//!
//! A transfer is let off: a request of TFTP without options has some 20 bytes and its answer 516, and
//! nothing smaller would tell whether the client is there. It may be sent three of those.

use std::net::SocketAddr;

use crate::config::limits::TRANSFER_ANSWER_BYTES;

/// Bytes out for each byte in, to an address that has not proved itself.
const FACTOR: u64 = 3;

/// An IPv4 header without options, and the UDP header (RFC 791, RFC 768).
const HEADERS_V4: u64 = 20 + 8;

/// An IPv6 header and the UDP header (RFC 8200, RFC 768).
const HEADERS_V6: u64 = 40 + 8;

/// What went to and fro between us and one address.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::reactor) struct Credit {
    packet_bytes_in: u64,
    packet_bytes_out: u64,
    /// What may go out whatever came in.
    free: u64,
    proved: bool,
}

impl Credit {
    /// That of a transfer to that address.
    pub(super) fn of_transfer(to: &SocketAddr) -> Self {
        Self {
            free: packet_bytes(to, TRANSFER_ANSWER_BYTES).saturating_mul(FACTOR),
            ..Self::default()
        }
    }

    /// The address has sent a datagram of `len` bytes.
    pub(super) fn received(&mut self, from: &SocketAddr, len: usize) {
        self.packet_bytes_in = self.packet_bytes_in.saturating_add(packet_bytes(from, len));
    }

    /// The address has shown that it gets what it is sent.
    pub(super) fn prove(&mut self) {
        self.proved = true;
    }

    /// Whether it may be sent one more datagram of `len` bytes; counts it if so.
    pub(super) fn spend(&mut self, to: &SocketAddr, len: usize) -> bool {
        let out = self.packet_bytes_out.saturating_add(packet_bytes(to, len));
        let earned = self.packet_bytes_in.saturating_mul(FACTOR);
        let within = out <= earned.max(self.free);
        if within || self.proved {
            self.packet_bytes_out = out;
        }
        within || self.proved
    }
}

/// The bytes of a datagram on the line: what it carries and its headers, fragments reckoned as one.
fn packet_bytes(address: &SocketAddr, len: usize) -> u64 {
    let headers = if address.is_ipv4() {
        HEADERS_V4
    } else {
        HEADERS_V6
    };
    headers.saturating_add(len as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_datagram_allows_two_empty_ones_more_or_56_bytes() {
        let v4: SocketAddr = "192.0.2.1:1".parse().unwrap();
        let v6: SocketAddr = "[2001:db8::1]:1".parse().unwrap();
        for (address, largest) in [(v4, 56), (v6, 96)] {
            let mut credit = Credit::default();
            assert!(!credit.spend(&address, 0), "nothing came, nothing goes");
            credit.received(&address, 0);
            assert!(!credit.spend(&address, largest + 1));
            assert!(credit.spend(&address, largest));
            assert!(!credit.spend(&address, 0));
            let mut credit = Credit::default();
            credit.received(&address, 0);
            assert_eq!((0..9).filter(|_| credit.spend(&address, 0)).count(), 3);
        }
    }

    #[test]
    fn an_address_that_has_proved_itself_is_sent_anything() {
        let address: SocketAddr = "192.0.2.1:1".parse().unwrap();
        let mut credit = Credit::default();
        credit.received(&address, 0);
        assert!(!credit.spend(&address, 512));
        credit.prove();
        assert!(credit.spend(&address, 512) && credit.spend(&address, 65_507));
    }

    #[test]
    fn a_transfer_may_be_sent_three_blocks_for_a_short_request() {
        let address: SocketAddr = "192.0.2.1:1".parse().unwrap();
        let mut credit = Credit::of_transfer(&address);
        credit.received(&address, 20);
        assert_eq!((0..9).filter(|_| credit.spend(&address, 516)).count(), 3);
        assert!(!credit.spend(&address, 0));
    }

    proptest! {
        /// Whatever comes and is to go: no more than three times as much goes out as came in, and
        /// what is sent back at its own size always may.
        #[test]
        fn never_more_than_three_times_what_came(
            steps in prop::collection::vec((any::<bool>(), 0_usize..2_000), 1..200),
        ) {
            let address: SocketAddr = "192.0.2.1:1".parse().unwrap();
            let (mut credit, mut came, mut went) = (Credit::default(), 0, 0);
            for (comes, len) in steps {
                if comes {
                    credit.received(&address, len);
                    came += len + 28;
                } else {
                    let before = went;
                    if credit.spend(&address, len) {
                        went += len + 28;
                    }
                    prop_assert_eq!(went > before, before + len + 28 <= 3 * came);
                }
                prop_assert!(went <= 3 * came);
            }
        }
    }
}
