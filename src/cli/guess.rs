//! The flags of `guess`.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::time::Duration;

use clap::Args;

use super::echo::timeout;
use crate::client::{self, Failure};
use crate::config::endpoint::{Endpoint, Host, HostPort};
use crate::config::options::parse_duration;

/// Play the guessing game
///
/// Without guesses they are read from standard input, one a line. Over udp:// the first datagram
/// holds blanks and may be sent three times; a guess is sent once, so that it never costs two tries.
#[derive(Debug, Args)]
#[command(
    after_long_help = ENDS,
    override_usage = "switchboard guess [OPTIONS] [ENDPOINT] [GUESS]..."
)]
pub struct Guess {
    /// The server, if the first begins with tcp:, unix: or udp: [default: tcp://127.0.0.1:8889];
    /// then guesses, of which the next is sent when the last was wrong
    #[arg(value_name = "ENDPOINT|GUESS", allow_negative_numbers = true)]
    words: Vec<OsString>,

    /// How long to wait for the connection and for each answer; 0: for ever
    /// [default: 30s, 5s over udp://]
    #[arg(long, value_name = "D", value_parser = parse_duration, verbatim_doc_comment)]
    timeout: Option<Duration>,
}

const ENDS: &str = "\
Ctrl-C ends it at once, with the status that the shell gives to SIGINT (130).
Exit status: 0 the game was played to its end, won or lost; 1 no connection, it was lost, no answer,
or no guess left before the end; 2 usage; 3 the server said no, to begin with or to a guess of the
command line (what is typed may be wrong).";

impl Guess {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (endpoint, guesses) = endpoint_and_guesses(self.words)?;
        let timeout = timeout(self.timeout, &endpoint);
        client::guess(&endpoint, &guesses, timeout)
    }
}

fn endpoint_and_guesses(mut words: Vec<OsString>) -> Result<(Endpoint, Vec<Vec<u8>>), Failure> {
    let is_endpoint = |word: &OsString| {
        let text = String::from_utf8_lossy(word.as_bytes());
        Endpoint::looks_like(&text).then(|| text.into_owned())
    };
    let endpoint = match words.first().and_then(is_endpoint) {
        Some(text) => {
            words.remove(0);
            let endpoint = text.parse::<Endpoint>();
            endpoint.map_err(|error| Failure::Usage(error.to_string()))?
        }
        // The game of the default board.
        None => Endpoint::Tcp(HostPort {
            host: Host::V4(Ipv4Addr::LOCALHOST),
            port: 8889,
        }),
    };
    if let Some(late) = words.iter().find_map(is_endpoint) {
        let problem = format!("'{late}': an endpoint comes before the guesses");
        return Err(Failure::Usage(problem));
    }
    let guesses = words.into_iter().map(OsString::into_vec).collect();
    Ok((endpoint, guesses))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Command, parse};

    fn guess(arguments: &[&str]) -> Result<(String, Vec<Vec<u8>>), Failure> {
        let all = ["switchboard", "guess"].iter().chain(arguments);
        match parse(all.map(OsString::from).collect()).unwrap() {
            Command::Guess(guess) => endpoint_and_guesses(guess.words)
                .map(|(endpoint, guesses)| (endpoint.to_string(), guesses)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_endpoint_comes_first_and_the_rest_are_guesses() {
        let default = "tcp://127.0.0.1:8889".to_owned();
        assert_eq!(guess(&[]), Ok((default.clone(), vec![])));
        let guesses = vec![b"-3".to_vec(), b"Ada Lovelace".to_vec()];
        assert_eq!(guess(&["-3", "Ada Lovelace"]), Ok((default, guesses)));
        let given = Ok(("udp://h:1".to_owned(), vec![b"4".to_vec()]));
        assert_eq!(guess(&["udp://h:1", "4"]), given);
        for wrong in [&["4", "udp://h:1"][..], &["tcp://h"]] {
            assert!(matches!(guess(wrong), Err(Failure::Usage(_))), "{wrong:?}");
        }
    }
}
