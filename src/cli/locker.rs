//! The flags of `kiosk` and `locker`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::clients::Patience;
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
    #[command(after_long_help = LOCKER_ENDS, allow_missing_positional = true)]
    Register {
        #[command(flatten)]
        place: Place,
        /// The locker's number
        number: u32,
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
    #[command(after_long_help = LOCKER_ENDS, allow_missing_positional = true)]
    Retrieve {
        #[command(flatten)]
        place: Place,
        /// The locker's number
        number: u32,
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
    #[command(after_long_help = LOCKER_ENDS, allow_missing_positional = true)]
    Reset {
        #[command(flatten)]
        place: Place,
        /// The locker's number
        number: u32,
        #[command(flatten)]
        patience: Patience,
    },

    /// Register what a lab server's lock_information file holds
    ///
    /// For each record in use the locker is registered with its password, which the server
    /// hashes, and its item is stored. Records that are refused are said on standard error, and
    /// the status is 3.
    #[command(after_long_help = LOCKER_ENDS, allow_missing_positional = true)]
    Import {
        #[command(flatten)]
        place: Place,
        /// Records of 116 bytes, as the lab's C program wrote them on a machine like this one
        file: PathBuf,
        #[command(flatten)]
        patience: Patience,
    },

    /// Let the server write a copy of its database, while it runs
    ///
    /// For the server's own user and root, on a Unix socket.
    #[command(after_long_help = LOCKER_ENDS, allow_missing_positional = true)]
    Backup {
        #[command(flatten)]
        place: Place,
        /// The file, on the server's machine; it must not exist
        file: PathBuf,
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
                place,
                number,
                secret,
                patience,
            } => place.with(Some(secret), &patience, |lockers| lockers.register(number)),
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
                place,
                number,
                secret,
                patience,
            } => place.with(Some(secret), &patience, |lockers| lockers.retrieve(number)),
            Action::Reset {
                place,
                number,
                patience,
            } => place.with(None, &patience, |lockers| lockers.reset(number)),
            Action::Import {
                place,
                file,
                patience,
            } => place.with(None, &patience, |lockers| lockers.import(&file)),
            Action::Backup {
                place,
                file,
                patience,
            } => {
                // Nobody means a file of that name: it was left out.
                if place.endpoint.is_none() && Endpoint::looks_like(&file.to_string_lossy()) {
                    return Err(Failure::Usage("no file was given".to_owned()));
                }
                place.with(None, &patience, |lockers| lockers.backup(&file))
            }
        }
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

fn place_number_and_items(words: Vec<OsString>) -> Result<(Place, u32, Vec<Vec<u8>>), Failure> {
    let mut words = words.into_iter().peekable();
    let text = |word: &OsString| word.to_string_lossy().into_owned();
    let endpoint = words
        .next_if(|word| Endpoint::looks_like(&text(word)))
        .map(|word| text(&word).parse::<Endpoint>())
        .transpose()
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let Some(word) = words.next() else {
        return Err(Failure::Usage("no locker was given".to_owned()));
    };
    let shown = text(&word);
    let number = shown
        .parse()
        .map_err(|_| Failure::Usage(format!("'{shown}' is no number of a locker")))?;
    let items: Vec<_> = words.map(OsString::into_vec).collect();
    if items.is_empty() {
        return Err(Failure::Usage("no item was given".to_owned()));
    }
    Ok((Place { endpoint }, number, items))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Command, parse};

    fn action(arguments: &[&str]) -> Action {
        let all = ["switchboard", "locker"].iter().chain(arguments);
        match parse(all.map(OsString::from).collect()).unwrap() {
            Command::Locker(locker) => locker.action,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_endpoint_left_out_is_the_default_boards_unix_socket() {
        let path = crate::config::board::runtime_directory().join("locker.sock");
        assert_eq!(given_or_board(None), Ok(Endpoint::Unix(path)));
    }

    #[test]
    fn an_endpoint_comes_first_and_may_be_left_out() {
        let given: Endpoint = "unix:@x".parse().unwrap();
        for (arguments, expected) in [
            (&["register", "3"][..], None),
            (&["register", "unix:@x", "3"], Some(&given)),
        ] {
            let Action::Register { place, number, .. } = action(arguments) else {
                panic!("{arguments:?}")
            };
            assert_eq!((place.endpoint.as_ref(), number), (expected, 3));
        }
        let Action::Backup { place, file, .. } = action(&["backup", "x.db"]) else {
            panic!("no backup")
        };
        assert_eq!((place.endpoint, file), (None, PathBuf::from("x.db")));
    }

    #[test]
    fn a_store_has_a_locker_and_items() {
        let taken = |words: &[&str]| {
            let words = words.iter().map(OsString::from).collect();
            let found = place_number_and_items(words);
            found.map(|(place, number, items)| (place.endpoint, number, items))
        };
        let given: Endpoint = "unix:@x".parse().unwrap();
        let items = vec![b"a b".to_vec(), b"unix:@y".to_vec()];
        assert_eq!(
            taken(&["unix:@x", "3", "a b", "unix:@y"]),
            Ok((Some(given), 3, items))
        );
        for (words, part) in [
            (&["3"][..], "no item"),
            (&["unix:@x"], "no locker"),
            (&["-1", "x"], "'-1' is no number"),
            (&["tcp:x", "3", "y"], "'tcp:x'"),
        ] {
            let Err(Failure::Usage(text)) = taken(words) else {
                panic!("{words:?} was taken")
            };
            assert!(text.contains(part), "{text}");
        }
    }
}
