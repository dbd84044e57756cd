//! The flags of `kiosk` and `locker`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::clients::{Patience, endpoint_first};
use crate::client::{self, Failure, Lang, Lockers};
use crate::config::endpoint::Endpoint;

/// Show the lockers' menu on a terminal
///
/// See which lockers are free, register one, store an item, retrieve everything, call the
/// administrator, leave. A choice is its number or a word. Passwords are typed without echo. With
/// a pipe as standard input each line answers the next question.
#[derive(Debug, Args)]
#[command(after_long_help = KIOSK_ENDS)]
pub struct Kiosk {
    /// The server: tcp://HOST:PORT, unix:PATH or unix:@NAME [default: unix:RUNTIME/locker.sock]
    endpoint: Option<Endpoint>,

    /// The language [default: that of LC_ALL, LC_MESSAGES or LANG, else en]
    #[arg(long, value_name = "LANG")]
    lang: Option<Language>,

    #[command(flatten)]
    patience: Patience,
}

const KIOSK_ENDS: &str = "\
RUNTIME is $XDG_RUNTIME_DIR/switchboard, else /tmp/switchboard-UID.
Ctrl-D leaves, as the last item of the menu does. Ctrl-C ends it at once, with the status that the
shell gives to SIGINT (130).
Exit status: 0 left; 1 no connection, or it was lost; 2 usage; 3 the server took no more kiosks.";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Language {
    /// English
    En,
    /// Korean
    Ko,
}

/// Use lockers by commands, for scripts
///
/// A password is never an argument: it is typed without echo, or it is the first line that is
/// piped to standard input, or of --password-file.
#[derive(Debug, Args)]
#[command(after_long_help = LOCKER_ENDS)]
pub struct Locker {
    #[command(subcommand)]
    action: Action,
}

const LOCKER_ENDS: &str = "\
An ENDPOINT that is left out is unix:RUNTIME/locker.sock, where RUNTIME is
$XDG_RUNTIME_DIR/switchboard, else /tmp/switchboard-UID.
Ctrl-C ends it at once, with the status that the shell gives to SIGINT (130).
Exit status: 0 done; 1 no connection, or it was lost; 2 usage; 3 the server said no.";

/// Where the server is.
#[derive(Debug, Args)]
struct Place {
    /// The server: tcp://HOST:PORT, unix:PATH or unix:@NAME [default: unix:RUNTIME/locker.sock]
    endpoint: Option<Endpoint>,
}

/// A locker of a server.
#[derive(Debug, Args)]
struct Which {
    /// The server, if the first begins with tcp: or unix: [default: unix:RUNTIME/locker.sock];
    /// then the locker's number
    #[arg(value_name = "ENDPOINT|NUMBER", required = true)]
    words: Vec<OsString>,
}

/// Where a password comes from that is not typed.
#[derive(Debug, Args)]
struct Secret {
    /// Take the password from the first line of FILE
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show which lockers are free and which are in use
    #[command(after_long_help = LOCKER_ENDS)]
    Show {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        patience: Patience,
    },

    /// Take a free locker
    #[command(
        after_long_help = LOCKER_ENDS,
        override_usage = "switchboard locker register [OPTIONS] [ENDPOINT] NUMBER"
    )]
    Register {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        secret: Secret,
        #[command(flatten)]
        patience: Patience,
    },

    /// Put items into a locker, one after the other
    #[command(
        after_long_help = LOCKER_ENDS,
        override_usage = "switchboard locker store [OPTIONS] [ENDPOINT] NUMBER ITEM..."
    )]
    Store {
        /// The server, if the first begins with tcp: or unix: [default: unix:RUNTIME/locker.sock];
        /// then the locker's number, and items, each a line of at most 256 bytes
        #[arg(value_name = "ENDPOINT|NUMBER|ITEM", required = true)]
        words: Vec<OsString>,
        #[command(flatten)]
        secret: Secret,
        #[command(flatten)]
        patience: Patience,
    },

    /// Print all items of a locker, a line each, and free it
    ///
    /// Where the answer is lost, the same password gives it again within 60 s.
    #[command(
        after_long_help = LOCKER_ENDS,
        override_usage = "switchboard locker retrieve [OPTIONS] [ENDPOINT] NUMBER"
    )]
    Retrieve {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        secret: Secret,
        #[command(flatten)]
        patience: Patience,
    },

    /// Set a locker's password to 0000, or call the administrator to do so
    ///
    /// It is done at once for an administrator, on a Unix socket. Anybody else's call is waited
    /// for until it was decided or nobody came in time; which of them it was, the server does not
    /// say.
    #[command(
        after_long_help = LOCKER_ENDS,
        override_usage = "switchboard locker reset [OPTIONS] [ENDPOINT] NUMBER"
    )]
    Reset {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        patience: Patience,
    },

    /// Register what a lab server's lock_information file holds
    ///
    /// For each record in use the locker is registered with its password, which the server
    /// hashes, and its item is stored. Records that are refused are said on standard error, and
    /// the status is 3.
    #[command(
        after_long_help = LOCKER_ENDS,
        override_usage = "switchboard locker import [OPTIONS] [ENDPOINT] FILE"
    )]
    Import {
        /// The server, if the first begins with tcp: or unix: [default: unix:RUNTIME/locker.sock];
        /// then records of 116 bytes, as the lab's C program wrote them on a machine like this one
        #[arg(value_name = "ENDPOINT|FILE", required = true)]
        words: Vec<OsString>,
        #[command(flatten)]
        patience: Patience,
    },

    /// Let the server write a copy of its database, while it runs
    ///
    /// For the server's own user and root, on a Unix socket.
    #[command(
        after_long_help = LOCKER_ENDS,
        override_usage = "switchboard locker backup [OPTIONS] [ENDPOINT] FILE"
    )]
    Backup {
        /// The server, if the first begins with tcp: or unix: [default: unix:RUNTIME/locker.sock];
        /// then the file, on the server's machine; it must not exist
        #[arg(value_name = "ENDPOINT|FILE", required = true)]
        words: Vec<OsString>,
        #[command(flatten)]
        patience: Patience,
    },
}

impl Kiosk {
    pub(super) fn run(self) -> Result<(), Failure> {
        let lang = match self.lang {
            Some(Language::En) => Lang::En,
            Some(Language::Ko) => Lang::Ko,
            None => Lang::of_environment(|name| std::env::var(name).ok()),
        };
        client::kiosk(&given_or_board(self.endpoint)?, lang, self.patience.timeout)
    }
}

impl Locker {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Show { place, patience } => {
                place.with(None, &patience, |lockers| lockers.show())
            }
            Action::Register {
                which,
                secret,
                patience,
            } => which.with(Some(secret), &patience, |lockers, number| {
                lockers.register(number)
            }),
            Action::Store {
                words,
                secret,
                patience,
            } => {
                let (place, number, items) = place_number_and_items(words)?;
                place.with(Some(secret), &patience, |lockers| {
                    lockers.store(number, &items)
                })
            }
            Action::Retrieve {
                which,
                secret,
                patience,
            } => which.with(Some(secret), &patience, |lockers, number| {
                lockers.retrieve(number)
            }),
            Action::Reset { which, patience } => {
                which.with(None, &patience, |lockers, number| lockers.reset(number))
            }
            Action::Import { words, patience } => {
                let (place, file) = place_and_file(words)?;
                place.with(None, &patience, |lockers| lockers.import(&file))
            }
            Action::Backup { words, patience } => {
                let (place, file) = place_and_file(words)?;
                place.with(None, &patience, |lockers| lockers.backup(&file))
            }
        }
    }
}

impl Which {
    fn with(
        self,
        secret: Option<Secret>,
        patience: &Patience,
        act: impl FnOnce(&Lockers<'_>, u32) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let (place, number, rest) = place_number_and_rest(self.words)?;
        none_left(&rest)?;
        place.with(secret, patience, |lockers| act(lockers, number))
    }
}

impl Place {
    fn with(
        self,
        secret: Option<Secret>,
        patience: &Patience,
        act: impl FnOnce(&Lockers<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let password_file = secret.and_then(|secret| secret.password_file);
        act(&Lockers {
            endpoint: &given_or_board(self.endpoint)?,
            password_file: password_file.as_deref(),
            timeout: patience.timeout,
        })
    }
}

fn given_or_board(given: Option<Endpoint>) -> Result<Endpoint, Failure> {
    given.map_or_else(client::board_endpoint, Ok)
}

fn place_number_and_rest(words: Vec<OsString>) -> Result<(Place, u32, Vec<OsString>), Failure> {
    let (endpoint, rest) = endpoint_first(words)?;
    let mut rest = rest.into_iter();
    let Some(word) = rest.next() else {
        return Err(Failure::Usage("no locker was given".to_owned()));
    };
    let shown = word.to_string_lossy();
    let number = shown
        .parse()
        .map_err(|_| Failure::Usage(format!("'{shown}' is no number of a locker")))?;
    Ok((Place { endpoint }, number, rest.collect()))
}

fn place_number_and_items(words: Vec<OsString>) -> Result<(Place, u32, Vec<Vec<u8>>), Failure> {
    let (place, number, items) = place_number_and_rest(words)?;
    if items.is_empty() {
        return Err(Failure::Usage("no item was given".to_owned()));
    }
    let items = items.into_iter().map(OsString::into_vec).collect();
    Ok((place, number, items))
}

fn place_and_file(words: Vec<OsString>) -> Result<(Place, PathBuf), Failure> {
    let (endpoint, rest) = endpoint_first(words)?;
    let Some((file, rest)) = rest.split_first() else {
        return Err(Failure::Usage("no file was given".to_owned()));
    };
    none_left(rest)?;
    Ok((Place { endpoint }, PathBuf::from(file)))
}

fn none_left(words: &[OsString]) -> Result<(), Failure> {
    words.first().map_or(Ok(()), |word| {
        let text = format!("'{}' is more than is asked for", word.to_string_lossy());
        Err(Failure::Usage(text))
    })
}

#[cfg(test)]
mod tests;
