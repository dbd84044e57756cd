//! `serve`: its flags, and their check against the registry of services.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{complain, usage_error};
use crate::config::board;
use crate::config::endpoint::{Endpoint, ListenerSpec};
use crate::config::limits::{LISTENER_PATH_BYTES_MAX, POLL_US, POLL_US_MAX};
use crate::config::options::{self, OptionError, parse_duration};
use crate::exit::Exit;
use crate::serve::data;
use crate::service::Entry;
use crate::services;

/// What the server is asked to do; every listener names a service that exists and options that
/// it knows. Their values are for the services to check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeArgs {
    /// What to serve; the default board where none was given. Never empty.
    pub listeners: Vec<ListenerSpec>,
    /// Stream connections to serve in all before the end; at least 1. `None` is without end.
    pub accepts: Option<u64>,
    /// How long a shutdown waits for replies that are owed.
    pub grace: Duration,
    /// Connections at a time, at least 1; `None` is what the descriptor limit allows.
    pub max_connections: Option<usize>,
    /// How long a silent connection is kept; zero is for ever.
    pub idle_timeout: Duration,
    /// Where services keep what must survive a restart, if it was given.
    pub data: Option<PathBuf>,
    /// How long the loop polls before it sleeps; zero is never.
    pub poll_for: Duration,
    /// Where the random numbers of services begin, if that was given.
    pub seed: Option<u64>,
}

/// Serve the listeners given, or the default board
///
/// Serves until SIGINT, SIGTERM or SIGHUP. Standard output gets a line 'SERVICE ENDPOINT' for each
/// listener, with the port that it has, then 'ready'. The log is on standard error.
///
/// 'switchboard serve SERVICE --help' shows the page of one service.
#[derive(Debug, Args)]
#[command(
    after_help = "'switchboard serve --help' shows every service, its options and its limits."
)]
pub struct Flags {
    /// What to serve and where: SERVICE=ENDPOINT[?KEY=VALUE[&KEY=VALUE]...]
    ///
    /// ENDPOINT is tcp://HOST:PORT (port 0: any free one), unix:PATH, unix:@NAME (the abstract
    /// namespace), or udp://HOST:PORT where the service takes datagrams. Listeners of the same
    /// service share its state. In a VALUE, %XX stands for the byte with that hexadecimal number.
    /// Example: 'slot=tcp://0.0.0.0:1050?delay=500ms'
    #[arg(value_name = "LISTENER")]
    listeners: Vec<ListenerSpec>,

    /// Serve N stream connections in all, then end; 1 or more
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    accepts: Option<u64>,

    /// How long a shutdown waits for replies that are owed
    #[arg(long, value_name = "D", default_value = "5s", value_parser = parse_duration)]
    grace: Duration,

    /// Connections at a time, 1 or more [default: what the descriptor limit allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_connections: Option<u64>,

    /// How long a silent connection is kept; 0: for ever
    #[arg(long, value_name = "D", default_value = "10m", value_parser = parse_duration)]
    idle_timeout: Duration,

    /// Where services keep what must survive a restart; made with mode 0700 [default:
    /// $XDG_STATE_HOME/switchboard, else ~/.local/state/switchboard]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Microseconds for which the server, under load, polls before it sleeps, 0 to 1000; 0: never
    ///
    /// It answers sooner by that. With nothing to do it always sleeps.
    #[arg(long, value_name = "N", default_value_t = POLL_US,
        value_parser = clap::value_parser!(u64).range(..=POLL_US_MAX))]
    poll_us: u64,

    /// Draw the same random numbers at each start: games can be played again [default: new ones]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// Checks the flags, and serves.
pub(super) fn run(flags: Flags) -> Exit {
    let args = match flags.checked() {
        Ok(args) => args,
        Err(problem) => return usage_error(&problem),
    };
    if let Err(problem) = args.data.as_deref().map_or(Ok(()), data::prepare) {
        complain(problem);
        return Exit::Failure;
    }
    crate::serve::run(&args)
}

impl Flags {
    /// The error names the listener.
    pub(super) fn checked(self) -> Result<ServeArgs, String> {
        let listeners = match self.listeners.is_empty() {
            true => default_board()?,
            false => self.listeners,
        };
        listeners.iter().try_for_each(check)?;
        Ok(ServeArgs {
            listeners,
            accepts: self.accepts,
            grace: self.grace,
            max_connections: self
                .max_connections
                .map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
            idle_timeout: self.idle_timeout,
            data: self.data,
            poll_for: Duration::from_micros(self.poll_us),
            seed: self.seed,
        })
    }
}

fn default_board() -> Result<Vec<ListenerSpec>, String> {
    let board = services::ALL.iter().map(|entry| (entry.name, entry.board));
    board::listeners(board).map_err(|error| format!("the default board: {error}"))
}

/// Whether the service exists, serves such an endpoint, and knows the options.
fn check(spec: &ListenerSpec) -> Result<(), String> {
    let Some(entry) = services::find(&spec.service) else {
        let names: Vec<_> = services::ALL.iter().map(|entry| entry.name).collect();
        let (unknown, known) = (&spec.service, names.join(", "));
        return Err(format!(
            "{spec}: there is no service '{unknown}'; there are {known}"
        ));
    };
    check_entry(spec, entry)
}

/// Whether that service serves such an endpoint, and knows the options.
fn check_entry(spec: &ListenerSpec, entry: &Entry) -> Result<(), String> {
    let common = match &spec.endpoint {
        Endpoint::Udp(_) if entry.datagrams.is_none() => {
            return Err(format!("{spec}: {} does not serve datagrams", entry.name));
        }
        Endpoint::Udp(_) => options::UDP,
        Endpoint::Tcp(_) => &[],
        Endpoint::Unix(_) | Endpoint::Abstract(_) => options::UNIX,
    };
    if let Endpoint::Unix(path) = &spec.endpoint {
        let (len, max) = (path.as_os_str().len(), LISTENER_PATH_BYTES_MAX);
        if len > max {
            return Err(format!(
                "{spec}: the path has {len} bytes; a listener's may have {max}"
            ));
        }
    }
    check_place(spec)
        .and_then(|()| spec.values.check_keys(&[entry.options, common]))
        .map_err(|error| format!("{spec}: {error}"))
}

/// Refuses an option that belongs to another kind of endpoint.
fn check_place(spec: &ListenerSpec) -> Result<(), OptionError> {
    let unix = ["mode", "group", "notify"];
    let (unix, problem) = match &spec.endpoint {
        Endpoint::Unix(_) => (&unix[..0], ""),
        Endpoint::Abstract(_) => (&unix[..2], "needs a socket with a path"),
        Endpoint::Tcp(_) | Endpoint::Udp(_) => (&unix[..], "is for Unix sockets only"),
    };
    let given = |key: &&&str| spec.values.text(key).is_some();
    if let Some(key) = unix.iter().find(given) {
        return Err(OptionError::new(key, problem));
    }
    match &spec.endpoint {
        Endpoint::Udp(_) => Ok(()),
        _ if spec.values.text("rate").is_none() => Ok(()),
        _ => Err(OptionError::new("rate", "is for UDP sockets only")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Datagrams;

    #[test]
    fn a_service_that_takes_datagrams_has_udp_listeners_with_their_options() {
        let echo = services::find("echo").unwrap();
        let entry = Entry {
            datagrams: Some(Datagrams::OneShot),
            ..*echo
        };
        let checked = |text: &str| check_entry(&text.parse().unwrap(), &entry);
        assert_eq!(checked("echo=udp://127.0.0.1:0"), Ok(()));
        assert_eq!(checked("echo=udp://127.0.0.1:0?rate=0"), Ok(()));
        for (wrong, part) in [
            ("echo=udp://h:1?mode=0600", "option mode: is for Unix"),
            (
                "echo=udp://h:1?x=1",
                "option x: is unknown; this listener takes rate",
            ),
            (
                "echo=tcp://h:1?rate=1",
                "option rate: is for UDP sockets only",
            ),
            (
                "echo=unix:@h?rate=1",
                "option rate: is for UDP sockets only",
            ),
        ] {
            let error = checked(wrong).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
