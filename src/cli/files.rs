//! The flags of `ls`, `get` and `put`.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use clap::Args;

use super::clients::{Patience, endpoint_first};
use crate::client::{Failure, Files};
use crate::config::endpoint::{Endpoint, Host, HostPort};
use crate::config::limits::TRANSFER_BLOCK_BYTES;
use crate::wire::tftp::BlockBytes;

/// List the files of a server
///
/// A line for each: its bytes, when it last changed (UTC), its name; a folder has a / behind it.
#[derive(Debug, Args)]
#[command(after_long_help = ENDS, override_usage = "switchboard ls [OPTIONS] [ENDPOINT] [FOLDER]")]
pub struct Ls {
    /// The server, if the first begins with tcp: or unix: [default: tcp://127.0.0.1:5001]; then a
    /// folder
    #[arg(value_name = "ENDPOINT|FOLDER", num_args = 0..=2)]
    words: Vec<OsString>,

    /// Print a line of JSON for each file
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    patience: Patience,
}

/// Fetch files from a server
///
/// A file appears under its name once it is whole and checked. Until then its part is beside it,
/// as .NAME.partial, and the next call goes on from there.
#[derive(Debug, Args)]
#[command(after_long_help = ENDS, override_usage = "switchboard get [OPTIONS] [ENDPOINT] NAME...")]
pub struct Get {
    /// The server, if the first begins with tcp:, unix: or udp: [default: tcp://127.0.0.1:5001];
    /// then names of files
    #[arg(value_name = "ENDPOINT|NAME", required = true)]
    words: Vec<OsString>,

    /// Where to put it: a folder, or for one file its name [default: the current folder]
    #[arg(short, long, value_name = "FILE|DIR")]
    output: Option<PathBuf>,

    #[command(flatten)]
    transfer: Transfer,
}

/// Send files to a server
///
/// The server has to allow uploads. A file appears there once it is whole and safe. Until then the
/// server keeps what has come, and the next call goes on from there.
#[derive(Debug, Args)]
#[command(after_long_help = ENDS, override_usage = "switchboard put [OPTIONS] [ENDPOINT] FILE...")]
pub struct Put {
    /// The server, if the first begins with tcp:, unix: or udp: [default: tcp://127.0.0.1:5001];
    /// then files
    #[arg(value_name = "ENDPOINT|FILE", required = true)]
    words: Vec<OsString>,

    /// Its name at the server, for one file [default: the last part of FILE]
    #[arg(long = "as", value_name = "NAME")]
    name: Option<OsString>,

    #[command(flatten)]
    transfer: Transfer,
}

#[derive(Debug, Args)]
struct Transfer {
    /// Print a line of JSON for each file
    #[arg(long)]
    json: bool,

    /// Bytes of a datagram that are asked for over udp:// (8 to 65464)
    #[arg(long, value_name = "BYTES", default_value_t = TRANSFER_BLOCK_BYTES, value_parser = block)]
    block: u16,

    #[command(flatten)]
    patience: Patience,
}

const ENDS: &str = "\
Ctrl-C ends it, with the status that the shell gives to SIGINT (130); what has come is kept.
Exit status: 0 done; 1 no connection, or it was lost, or a file here can't be used; 2 usage;
3 the server said no. Of several files all are tried; 1 comes before 3.";

fn block(text: &str) -> Result<u16, String> {
    let bytes = text
        .parse()
        .ok()
        .filter(|bytes| BlockBytes::new(*bytes).is_some());
    bytes.ok_or_else(|| "a block has 8 to 65464 bytes".to_owned())
}

impl Ls {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (endpoint, rest) = endpoint_and_rest(self.words)?;
        let folder = match &rest[..] {
            [] => None,
            [folder] => Some(folder.as_bytes()),
            [_, second, ..] => {
                let shown = second.to_string_lossy();
                return Err(Failure::Usage(format!(
                    "'{shown}': one folder is listed at a time"
                )));
            }
        };
        Files {
            endpoint: &endpoint,
            timeout: self.patience.timeout,
            is_json: self.json,
            block: BlockBytes::default(),
        }
        .ls(folder)
    }
}

impl Get {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (endpoint, rest) = endpoint_and_rest(self.words)?;
        if rest.is_empty() {
            return Err(Failure::Usage("no name was given".to_owned()));
        }
        let names: Vec<_> = rest.into_iter().map(OsString::into_vec).collect();
        let files = self.transfer.files(&endpoint);
        files.get(&names, self.output.as_deref())
    }
}

impl Put {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (endpoint, rest) = endpoint_and_rest(self.words)?;
        if rest.is_empty() {
            return Err(Failure::Usage("no file was given".to_owned()));
        }
        let paths: Vec<_> = rest.into_iter().map(PathBuf::from).collect();
        let name = self.name.as_ref().map(|name| name.as_bytes());
        self.transfer.files(&endpoint).put(&paths, name)
    }
}

impl Transfer {
    fn files<'a>(&self, endpoint: &'a Endpoint) -> Files<'a> {
        Files {
            endpoint,
            timeout: self.patience.timeout,
            is_json: self.json,
            block: BlockBytes::new(self.block).unwrap_or_default(),
        }
    }
}

/// An endpoint comes first; without one it is that of the default board.
fn endpoint_and_rest(words: Vec<OsString>) -> Result<(Endpoint, Vec<OsString>), Failure> {
    let (given, rest) = endpoint_first(words)?;
    let board = Endpoint::Tcp(HostPort {
        host: Host::V4(Ipv4Addr::LOCALHOST),
        port: 5001,
    });
    Ok((given.unwrap_or(board), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Command, parse};

    fn taken(arguments: &[&str]) -> Command {
        let all = ["switchboard"].iter().chain(arguments);
        parse(all.map(OsString::from).collect()).unwrap()
    }

    #[test]
    fn an_endpoint_comes_first_and_may_be_left_out() {
        let rest = |words: &[&str]| {
            let words = words.iter().map(OsString::from).collect();
            endpoint_and_rest(words).map(|(endpoint, rest)| (endpoint.to_string(), rest))
        };
        let board = "tcp://127.0.0.1:5001".to_owned();
        assert_eq!(rest(&[]), Ok((board.clone(), vec![])));
        assert_eq!(
            rest(&["a", "unix:b"]),
            Ok((board, vec!["a".into(), "unix:b".into()]))
        );
        let given = ("udp://h:1".to_owned(), vec!["a".into()]);
        assert_eq!(rest(&["udp://h:1", "a"]), Ok(given));
        assert!(matches!(rest(&["tcp:x"]), Err(Failure::Usage(_))));
    }

    #[test]
    fn flags_may_stand_anywhere() {
        let Command::Get(get) = taken(&["get", "a", "-o", "x", "b", "--json"]) else {
            panic!("no get")
        };
        assert_eq!((get.words.len(), get.output), (2, Some("x".into())));
        assert!(get.transfer.json && get.transfer.block == 1428);
        let Command::Put(put) = taken(&["put", "--as", "n", "a", "--block=512"]) else {
            panic!("no put")
        };
        assert_eq!((put.name, put.transfer.block), (Some("n".into()), 512));
        assert!(block("7").is_err() && block("65465").is_err() && block("x").is_err());
    }
}
