//! The flags of the subcommands that talk to a server.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use clap::Args;

use super::{complain, usage_error};
use crate::client::{self, Failure};
use crate::config::endpoint::{Endpoint, Host, HostPort};
use crate::config::options::parse_duration;
use crate::exit::Exit;

/// What every client takes.
#[derive(Debug, Args)]
pub(super) struct Patience {
    /// How long to wait for the connection, and for the server to take or send what is
    /// outstanding; 0: for ever
    #[arg(long, value_name = "D", default_value = "30s", value_parser = parse_duration)]
    pub(super) timeout: Duration,
}

/// The default of `--timeout`.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// Send a message to the slot and print what it holds when its delay is over
#[derive(Debug, Args)]
#[command(
    allow_missing_positional = true,
    after_long_help = ENDS,
    override_usage = "switchboard write [OPTIONS] [ENDPOINT] MESSAGE"
)]
pub struct Write {
    /// The server: tcp://HOST:PORT, unix:PATH or unix:@NAME
    #[arg(default_value = "tcp://127.0.0.1:1050")]
    endpoint: Endpoint,

    /// One line, without its newline; the slot takes 19 bytes unless the server says otherwise
    #[arg(required = true)]
    message: OsString,

    #[command(flatten)]
    patience: Patience,
}

/// Send integers and print their sum
///
/// Without integers they are read from standard input, one a line, until a 0, its end or Ctrl-D.
#[derive(Debug, Args)]
#[command(
    after_long_help = ENDS,
    override_usage = "switchboard sum [OPTIONS] [ENDPOINT] [INTEGER]..."
)]
pub struct Sum {
    /// The server, if the first begins with tcp: or unix: [default: tcp://127.0.0.1:1051]; then
    /// integers of 64 bits, of which only the last may be 0
    #[arg(value_name = "ENDPOINT|INTEGER", allow_negative_numbers = true, value_parser = word)]
    words: Vec<Word>,

    #[command(flatten)]
    patience: Patience,
}

/// Send a message to the operator and print the answer
///
/// A person may take long: --timeout is how long they have.
#[derive(Debug, Args)]
#[command(
    allow_missing_positional = true,
    after_long_help = ENDS,
    override_usage = "switchboard talk [OPTIONS] [ENDPOINT] MESSAGE"
)]
pub struct Talk {
    /// The server: tcp://HOST:PORT, unix:PATH or unix:@NAME
    #[arg(default_value = "tcp://127.0.0.1:12345")]
    endpoint: Endpoint,

    /// One line, without its newline; how long it may be is for the server to say
    #[arg(required = true)]
    message: OsString,

    #[command(flatten)]
    patience: Patience,
}

/// How every client ends.
pub(super) const ENDS: &str = "\
Ctrl-C ends it at once, with the status that the shell gives to SIGINT (130).
Exit status: 0 done; 1 no connection, or it was lost; 2 usage; 3 the server said no.";

/// What may stand on the command line of `sum`.
#[derive(Debug, Clone)]
enum Word {
    Endpoint(Endpoint),
    Integer(i64),
}

fn word(text: &str) -> Result<Word, String> {
    if Endpoint::looks_like(text) {
        let endpoint = text.parse::<Endpoint>();
        return endpoint
            .map(Word::Endpoint)
            .map_err(|error| error.to_string());
    }
    let integer = text.parse().map(Word::Integer);
    integer.map_err(|_| "it is no integer of 64 bits".to_owned())
}

impl Write {
    pub(super) fn run(self) -> Result<(), Failure> {
        let message = self.message.as_bytes();
        client::write(&self.endpoint, message, self.patience.timeout)
    }
}

impl Talk {
    pub(super) fn run(self) -> Result<(), Failure> {
        let message = self.message.as_bytes();
        client::talk(&self.endpoint, message, self.patience.timeout)
    }
}

impl Sum {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (endpoint, integers) = endpoint_and_integers(self.words)?;
        client::sum(&endpoint, &integers, self.patience.timeout)
    }
}

/// The endpoint, if the first word is one, and the other words.
pub(super) fn endpoint_first(
    words: Vec<OsString>,
) -> Result<(Option<Endpoint>, Vec<OsString>), Failure> {
    let mut words = words.into_iter().peekable();
    let text = |word: &OsString| word.to_string_lossy().into_owned();
    let endpoint = words
        .next_if(|word| Endpoint::looks_like(&text(word)))
        .map(|word| text(&word).parse::<Endpoint>())
        .transpose()
        .map_err(|error| Failure::Usage(error.to_string()))?;
    Ok((endpoint, words.collect()))
}

fn endpoint_and_integers(words: Vec<Word>) -> Result<(Endpoint, Vec<i64>), Failure> {
    // The sum of the default board.
    let mut endpoint = Endpoint::Tcp(HostPort {
        host: Host::V4(Ipv4Addr::LOCALHOST),
        port: 1051,
    });
    let mut integers = Vec::new();
    for (at, word) in words.into_iter().enumerate() {
        match word {
            Word::Endpoint(given) if at == 0 => endpoint = given,
            Word::Endpoint(given) => {
                let problem = format!("'{given}': an endpoint comes before the integers");
                return Err(Failure::Usage(problem));
            }
            Word::Integer(integer) if integers.last() == Some(&0) => {
                let problem = format!("'{integer}' comes after a 0, which ends the sum");
                return Err(Failure::Usage(problem));
            }
            Word::Integer(integer) => integers.push(integer),
        }
    }
    Ok((endpoint, integers))
}

/// Says what went wrong, and with which exit status.
pub(super) fn finish(result: Result<(), Failure>) -> Exit {
    match result {
        Ok(()) => Exit::Success,
        Err(Failure::Usage(message)) => usage_error(&message),
        Err(Failure::Lost(message)) => {
            complain(message);
            Exit::Failure
        }
        Err(Failure::Refused(line)) => {
            // The line begins with "error: " itself.
            super::say(line);
            Exit::Refused
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Command, parse};
    use crate::services;

    fn command(arguments: &[&str]) -> Command {
        let all = ["switchboard"].iter().chain(arguments);
        parse(all.map(OsString::from).collect()).unwrap()
    }

    fn sum(arguments: &[&str]) -> Result<(Endpoint, Vec<i64>), Failure> {
        match command(arguments) {
            Command::Sum(sum) => endpoint_and_integers(sum.words),
            other => panic!("{other:?}"),
        }
    }

    fn board(service: &str) -> Endpoint {
        services::find(service).unwrap().board[0].parse().unwrap()
    }

    #[test]
    fn the_endpoint_left_out_is_the_default_boards() {
        let Command::Write(write) = command(&["write", "tcp://h:1"]) else {
            panic!("no write")
        };
        assert_eq!(write.endpoint, board("slot"));
        assert_eq!(write.message, "tcp://h:1");
        assert_eq!(write.patience.timeout, TIMEOUT);
        let Command::Talk(talk) = command(&["talk", "hi"]) else {
            panic!("no talk")
        };
        assert_eq!(talk.endpoint.to_string(), "tcp://127.0.0.1:12345");
        assert_eq!(talk.message, "hi");
        assert_eq!(sum(&["sum"]), Ok((board("sum"), vec![])));
    }

    #[test]
    fn an_endpoint_comes_first() {
        let given: Endpoint = "unix:@x".parse().unwrap();
        let Command::Write(write) = command(&["write", "unix:@x", "hi"]) else {
            panic!("no write")
        };
        assert_eq!(
            (write.endpoint, write.message),
            (given.clone(), "hi".into())
        );
        assert_eq!(
            sum(&["sum", "unix:@x", "-7", "+5"]),
            Ok((given, vec![-7, 5]))
        );
        let late = sum(&["sum", "1", "unix:@x"]);
        assert!(matches!(late, Err(Failure::Usage(text)) if text.contains("'unix:@x'")));
    }

    #[test]
    fn only_the_last_integer_may_be_0() {
        let min = "-9223372036854775808";
        assert_eq!(sum(&["sum", min, "0"]).unwrap().1, [i64::MIN, 0]);
        let Err(Failure::Usage(text)) = sum(&["sum", "5", "0", "-7"]) else {
            panic!("taken")
        };
        assert!(text.contains("'-7'"), "{text}");
    }
}
