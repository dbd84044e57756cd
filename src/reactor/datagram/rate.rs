//! How many datagrams a second one source may send: a token bucket for each, in a bounded table.
//!
//! A source is an IPv4 address, or the /64 of an IPv6 address, which is what one host is given.
//! When the table is full of sources that are all busy, the others are let through on one bucket
//! that they share: who comes late is not locked out by who came early.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::config::limits::{DATAGRAM_RATE_CROWD, DATAGRAM_SOURCES_MAX};
use crate::service::Moment;

/// The buckets of one socket.
#[derive(Debug)]
pub(super) struct Rates {
    /// Datagrams a second for each source; 0 for no limit.
    rate: u32,
    /// Whether loopback addresses are limited too.
    loopback: bool,
    buckets: HashMap<u64, Bucket>,
    /// For sources that have no place in the table.
    crowd: Bucket,
    swept_at: Moment,
}

/// Tokens as time: a full bucket has one second, a datagram costs its share of one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    /// When the bucket will be full again.
    full_at: Moment,
}

const SECOND_NANOS: u64 = 1_000_000_000;

impl Bucket {
    const FULL: Self = Self {
        full_at: Moment::ZERO,
    };

    /// Takes one token out, if there is one.
    pub(super) fn take(&mut self, rate: u32, now: Moment) -> bool {
        let missing = self.full_at.since(now);
        let cost = std::time::Duration::from_nanos(SECOND_NANOS / u64::from(rate.max(1)));
        let fits = missing + cost <= std::time::Duration::from_nanos(SECOND_NANOS);
        if fits {
            self.full_at = now.after(missing + cost);
        }
        fits
    }

    fn is_full(&self, now: Moment) -> bool {
        self.full_at <= now
    }
}

impl Rates {
    /// `given` is the listener's option; without it a default holds, from which loopback is exempt.
    pub(super) fn new(given: Option<u32>, default: u32) -> Self {
        Self {
            rate: given.unwrap_or(default),
            loopback: given.is_some(),
            buckets: HashMap::new(),
            crowd: Bucket::FULL,
            swept_at: Moment::ZERO,
        }
    }

    /// Whether one more datagram of that source is taken now; counts it if so.
    pub(super) fn take(&mut self, source: IpAddr, now: Moment) -> bool {
        if self.rate == 0 || (!self.loopback && source.is_loopback()) {
            return true;
        }
        let key = prefix(source);
        if !self.buckets.contains_key(&key) {
            if self.buckets.len() >= DATAGRAM_SOURCES_MAX {
                self.sweep(now);
            }
            if self.buckets.len() >= DATAGRAM_SOURCES_MAX {
                return self.crowd.take(DATAGRAM_RATE_CROWD, now);
            }
        }
        let bucket = self.buckets.entry(key).or_insert(Bucket::FULL);
        bucket.take(self.rate, now)
    }

    /// Forgets sources whose bucket is full again, which is what a new source gets; at most once a
    /// second, since it looks at all of them.
    fn sweep(&mut self, now: Moment) {
        if now.since(self.swept_at).as_nanos() >= u128::from(SECOND_NANOS) {
            self.swept_at = now;
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
        }
    }
}

/// The source as it is counted: an IPv4 address, or the upper half of an IPv6 address.
pub(super) fn prefix(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        // An upper half below 2^32 is ::/32, where no host's address lies but ::1.
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn at_ms(ms: u64) -> Moment {
        Moment::from_nanos(ms * 1_000_000)
    }

    fn host(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number))
    }

    fn taken(rates: &mut Rates, source: IpAddr, now: Moment, tries: u32) -> usize {
        (0..tries).filter(|_| rates.take(source, now)).count()
    }

    #[test]
    fn a_source_gets_a_second_at_once_and_then_its_rate() {
        let mut rates = Rates::new(Some(10), 0);
        assert_eq!(taken(&mut rates, host(1), at_ms(0), 50), 10);
        assert_eq!(taken(&mut rates, host(1), at_ms(99), 50), 0);
        assert_eq!(taken(&mut rates, host(1), at_ms(100), 50), 1);
        assert_eq!(taken(&mut rates, host(1), at_ms(600), 50), 5);
        assert_eq!(
            taken(&mut rates, host(2), at_ms(600), 50),
            10,
            "another's bucket"
        );
        assert_eq!(taken(&mut rates, host(1), at_ms(60_000), 50), 10);
    }

    #[test]
    fn loopback_is_exempt_unless_a_rate_is_given() {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(taken(&mut Rates::new(None, 3), loopback, at_ms(0), 50), 50);
        assert_eq!(taken(&mut Rates::new(None, 3), host(1), at_ms(0), 50), 3);
        assert_eq!(
            taken(&mut Rates::new(Some(3), 9), loopback, at_ms(0), 50),
            3
        );
        assert_eq!(
            taken(&mut Rates::new(Some(0), 9), host(1), at_ms(0), 50),
            50
        );
    }

    #[test]
    fn an_ipv6_source_is_its_64() {
        let mut rates = Rates::new(Some(2), 0);
        let (one, two): (IpAddr, IpAddr) = (
            "2001:db8::1".parse().unwrap(),
            "2001:db8::ffff:2".parse().unwrap(),
        );
        assert_eq!(taken(&mut rates, one, at_ms(0), 2), 2);
        assert_eq!(taken(&mut rates, two, at_ms(0), 2), 0);
        assert_eq!(
            taken(&mut rates, "2001:db8:0:1::1".parse().unwrap(), at_ms(0), 2),
            2
        );
    }

    #[test]
    fn a_full_table_lets_others_through_on_one_bucket_and_stays_bounded() {
        let mut rates = Rates::new(Some(1), 0);
        let sources = u32::try_from(DATAGRAM_SOURCES_MAX).unwrap();
        for number in 0..sources {
            assert!(rates.take(host(number), at_ms(1_000)));
        }
        let late = (0..DATAGRAM_RATE_CROWD + 5)
            .filter(|n| rates.take(host(sources + n), at_ms(1_000)))
            .count();
        assert_eq!(late, DATAGRAM_RATE_CROWD as usize);
        assert_eq!(rates.buckets.len(), DATAGRAM_SOURCES_MAX);
        // Two seconds on nobody's bucket says anything.
        assert!(rates.take(host(sources + 1), at_ms(3_000)));
        assert_eq!(rates.buckets.len(), 1);
    }
}
