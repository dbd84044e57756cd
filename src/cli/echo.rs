//! The flags of `echo`: a copy of standard input, or numbered payloads with times.

use std::time::Duration;

use clap::Args;

use super::clients::TIMEOUT;
use crate::client::{self, Failure, Ping};
use crate::config::endpoint::Endpoint;
use crate::config::options::parse_duration;

/// Send standard input and print what comes back, or measure how long that takes
///
/// Ends when all of it is back; a server that ends before is a failure. Over udp:// each read of a
/// pipe or file, at most 65507 bytes, is one datagram, and the next is read when it is back.
///
/// With --count, --size or --interval, and over udp:// where standard input is no pipe or file, it
/// sends numbered payloads, prints how long each took, and statistics at the end or at Ctrl-C.
/// Every byte of an answer is checked.
#[derive(Debug, Args)]
#[command(after_long_help = PING_ENDS)]
pub struct Echo {
    /// The server: tcp://HOST:PORT, unix:PATH, unix:@NAME or udp://HOST:PORT
    #[arg(default_value = "tcp://127.0.0.1:8888")]
    endpoint: Endpoint,

    /// Payloads to send; 1 or more [default: until Ctrl-C]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Bytes of a payload, at most 65507; 0 over udp:// only [default: 56]
    ///
    /// A payload of less than 8 bytes holds the low end of its number only.
    #[arg(
        long, value_name = "BYTES",
        value_parser = clap::value_parser!(u64).range(..=Ping::SIZE_MAX as u64)
    )]
    size: Option<u64>,

    /// From one payload to the next; 0: as soon as the answer is back [default: 1s]
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    interval: Option<Duration>,

    /// How long to wait for the connection and for what is outstanding; 0: for ever
    /// [default: 30s, 5s over udp://]
    ///
    /// What has no answer after that is lost, and stays so if one comes late.
    #[arg(long, value_name = "D", value_parser = parse_duration, verbatim_doc_comment)]
    timeout: Option<Duration>,
}

const PING_ENDS: &str = "\
Ctrl-C ends a copy at once, with the status that the shell gives to SIGINT (130); where times are
measured it prints the statistics, and the status is theirs. A second one ends that too.
Exit status: 0 all came back (what is awaited at Ctrl-C is not lost); 1 no connection, it was lost,
or an answer was late, wrong or missing; 2 usage.";

/// How long a datagram is waited for: it may be lost, which a stream's bytes never are.
pub(super) const DATAGRAM_TIMEOUT: Duration = Duration::from_secs(5);

/// The timeout that was given, else what fits the endpoint.
pub(super) fn timeout(given: Option<Duration>, endpoint: &Endpoint) -> Duration {
    given.unwrap_or(match endpoint {
        Endpoint::Udp(_) => DATAGRAM_TIMEOUT,
        _ => TIMEOUT,
    })
}

impl Echo {
    pub(super) fn run(self) -> Result<(), Failure> {
        let timeout = timeout(self.timeout, &self.endpoint);
        match self.ping() {
            Some(ping) => client::ping(&self.endpoint, &ping, timeout),
            None => client::echo(&self.endpoint, timeout),
        }
    }

    /// `None` where standard input is to be copied.
    fn ping(&self) -> Option<Ping> {
        let is_asked_for = self.count.is_some() || self.size.is_some() || self.interval.is_some();
        let is_datagram = matches!(self.endpoint, Endpoint::Udp(_));
        if !is_asked_for && (!is_datagram || client::input_is_piped()) {
            return None;
        }
        Some(Ping {
            count: self.count,
            size: self
                .size
                .map_or(SIZE, |size| usize::try_from(size).unwrap_or(SIZE)),
            interval: self.interval.unwrap_or(INTERVAL),
        })
    }
}

/// As ping has it.
const SIZE: usize = 56;

/// As ping has it.
const INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Command, parse};

    fn echo(arguments: &[&str]) -> Echo {
        let all = ["switchboard", "echo"].iter().chain(arguments);
        match parse(all.map(std::ffi::OsString::from).collect()).unwrap() {
            Command::Echo(echo) => echo,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_endpoint_left_out_is_the_default_boards() {
        let board = crate::services::find("echo").unwrap().board[0];
        assert_eq!(echo(&[]).endpoint, board.parse().unwrap());
    }

    #[test]
    fn any_of_the_three_options_measures() {
        assert_eq!(echo(&[]).ping(), None);
        let ping = |count, size, interval| {
            Some(Ping {
                count,
                size,
                interval,
            })
        };
        assert_eq!(echo(&["--count=3"]).ping(), ping(Some(3), 56, INTERVAL));
        assert_eq!(echo(&["--size=0"]).ping(), ping(None, 0, INTERVAL));
        let at_once = echo(&["--interval=0", "udp://h:1"]).ping();
        assert_eq!(at_once, ping(None, 56, Duration::ZERO));
    }

    #[test]
    fn a_datagram_is_waited_for_less_long() {
        let of = |arguments: &[&str]| {
            let echo = echo(arguments);
            timeout(echo.timeout, &echo.endpoint).as_secs()
        };
        assert_eq!(of(&[]), 30);
        assert_eq!(of(&["udp://h:1"]), 5);
        assert_eq!(of(&["udp://h:1", "--timeout=0"]), 0);
    }
}
