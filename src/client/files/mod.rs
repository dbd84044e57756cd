//! `ls`, `get`, `put`: files from and to a server, which resume.
//!
//! Here: several files in one call, one after the other, and what is said of each. `channel` is a
//! connection that speaks the text wire, `get`, `put` and `ls` are the commands over it, `tftp` the
//! same two over datagrams, `partial` the part of a file that is kept until the next call.

mod channel;
mod get;
mod ls;
mod partial;
mod progress;
mod put;
mod report;
mod tftp;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use self::channel::Channel;
use self::progress::Progress;
use self::report::{Report, Reports};
use super::interrupt::Interrupt;
use super::{Failure, output};
use crate::config::endpoint::Endpoint;
use crate::config::limits::TRANSFER_BYTES;
use crate::exit::words;
use crate::wire::Readable;
use crate::wire::files as wire;
use crate::wire::tftp::BlockBytes;

/// Where the files are, and what every command needs to know.
#[derive(Debug)]
pub struct Files<'a> {
    /// The server; `udp://` speaks TFTP.
    pub endpoint: &'a Endpoint,
    /// How long the server may take; zero is without end.
    pub timeout: Duration,
    /// Prints a line of JSON for each file.
    pub is_json: bool,
    /// Bytes of a TFTP block that are asked for.
    pub block: BlockBytes,
}

/// Why a file was not done.
#[derive(Debug)]
enum Stop {
    /// For this reason.
    Failed(Failure),
    /// Ctrl-C.
    Interrupted,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// One file of a call.
#[derive(Debug)]
struct Transfer {
    /// Its name at the server.
    name: Vec<u8>,
    /// Where it is here.
    path: PathBuf,
}

impl Files<'_> {
    /// Prints what is in a folder of the server, or in its root: a line each.
    ///
    /// # Errors
    /// A usage failure over `udp://`: TFTP has no lists.
    pub fn ls(&self, folder: Option<&[u8]>) -> Result<(), Failure> {
        if let Endpoint::Udp(_) = self.endpoint {
            let problem = "TFTP has no lists; give a tcp:// or unix: endpoint";
            return Err(Failure::Usage(format!("{}: {problem}", self.endpoint)));
        }
        let mut run = Run::new(self)?;
        match ls::ls(&mut run, folder) {
            Ok(()) => Ok(()),
            Err(Stop::Failed(failure)) => Err(failure),
            Err(Stop::Interrupted) => {
                Interrupt::end_process();
                Ok(())
            }
        }
    }

    /// Fetches files into the current folder, or to `output`: a folder, or the name of one file.
    ///
    /// Each goes on where an earlier call has left off, and appears under its name once it is whole.
    ///
    /// # Errors
    /// Of one file what went wrong with it; of several how many were not fetched, when all were tried.
    pub fn get(&self, names: &[Vec<u8>], output: Option<&Path>) -> Result<(), Failure> {
        let is_datagram = matches!(self.endpoint, Endpoint::Udp(_));
        let transfers = get::transfers(names, output, is_datagram)?;
        self.each(
            transfers,
            "fetched",
            |run, transfer, report| match is_datagram {
                true => tftp::get(run, transfer, report),
                false => get::get(run, transfer, report),
            },
        )
    }

    /// Sends files, under their own names or one under `name`.
    ///
    /// Each goes on where an earlier call has left off, as far as the server has kept it.
    ///
    /// # Errors
    /// As of [`Files::get`].
    pub fn put(&self, paths: &[PathBuf], name: Option<&[u8]>) -> Result<(), Failure> {
        let is_datagram = matches!(self.endpoint, Endpoint::Udp(_));
        let transfers = put::transfers(paths, name, is_datagram)?;
        self.each(
            transfers,
            "sent",
            |run, transfer, report| match is_datagram {
                true => tftp::put(run, transfer, report),
                false => put::put(run, transfer, report),
            },
        )
    }

    /// Does one file after the other, whatever becomes of those before, until Ctrl-C.
    fn each(
        &self,
        transfers: Vec<Transfer>,
        done: &str,
        work: impl Fn(&mut Run<'_>, &Transfer, &mut Report) -> Result<(), Stop>,
    ) -> Result<(), Failure> {
        let mut run = Run::new(self)?;
        let mut reports = Reports::new(transfers.len(), done, self.is_json);
        for transfer in &transfers {
            let mut report = Report::begin(&transfer.name);
            run.progress = Progress::new(&transfer.name);
            let result = work(&mut run, transfer, &mut report);
            run.progress.end(result.is_ok());
            let is_interrupted = matches!(result, Err(Stop::Interrupted));
            reports.add(&report, result)?;
            if is_interrupted {
                run.progress.interrupted(report.bytes);
                Interrupt::end_process();
            }
        }
        reports.finish()
    }
}

/// What the files of one call share.
#[derive(Debug)]
struct Run<'a> {
    files: &'a Files<'a>,
    interrupt: Interrupt,
    channel: Option<Channel>,
    /// Nobody was there: it is not tried again for each of a hundred files.
    unreachable: Option<Failure>,
    progress: Progress,
}

impl<'a> Run<'a> {
    fn new(files: &'a Files<'a>) -> Result<Self, Failure> {
        let interrupt = Interrupt::install()
            .map_err(|error| Failure::Lost(format!("SIGINT: {}", words(&error))))?;
        Ok(Self {
            files,
            interrupt,
            channel: None,
            unreachable: None,
            progress: Progress::hidden(),
        })
    }

    /// The connection that is left of the file before, or a new one. Whoever takes it gives it back
    /// by [`Run::keep`] once it owes nothing; else it ends.
    fn channel(&mut self) -> Result<Channel, Stop> {
        if let Some(channel) = self.channel.take().filter(Channel::is_quiet) {
            return Ok(channel);
        }
        if let Some(failure) = &self.unreachable {
            return Err(failure.clone().into());
        }
        let (endpoint, timeout) = (self.files.endpoint, self.files.timeout);
        // Nothing is begun yet that would need a last word.
        let dialed = self
            .interrupt
            .unwatched(|| Channel::dial(endpoint, timeout));
        dialed.map_err(|failure| {
            self.unreachable = Some(failure.clone());
            failure.into()
        })
    }

    fn keep(&mut self, channel: Channel) {
        self.channel = Some(channel);
    }

    /// Takes the first `length` bytes of the file at `path` into a hash, until Ctrl-C; fails where there
    /// are fewer.
    fn hash(&self, file: &File, length: u64, path: &Path) -> Result<Sha256, Stop> {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; TRANSFER_BYTES];
        let mut rest = file.take(length);
        let mut left = length;
        while left > 0 {
            if self.interrupt.comes_within(Duration::ZERO) {
                return Err(Stop::Interrupted);
            }
            match rest.read(&mut buffer) {
                Ok(0) => {
                    let why = "has become shorter while it was read";
                    return Err(problem(path, why).into());
                }
                Ok(count) => {
                    hash.update(&buffer[..count]);
                    left = left.saturating_sub(count as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(local(path, &error).into()),
            }
        }
        Ok(hash)
    }
}

/// A hash as it is written.
fn hex(hash: Sha256) -> String {
    let digits = hash.finalize();
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Something of this machine failed, with this file.
fn local(path: &Path, error: &io::Error) -> Failure {
    problem(path, &words(error))
}

/// The same in words of our own.
fn problem(path: &Path, why: &str) -> Failure {
    let shown = Readable(path.as_os_str().as_encoded_bytes()).to_string();
    Failure::Lost(format!("{shown}: {why}"))
}

/// Whether a server can be asked for that name. On a text line some quotes can't be written; a packet
/// of TFTP takes them.
fn check_name(name: &[u8], is_datagram: bool) -> Result<(), Failure> {
    match wire::written(name) {
        Err(wire::Unwritable::Quote) if is_datagram => Ok(()),
        written => written.map(|_| ()).map_err(|why| unusable(name, why)),
    }
}

/// A name on the command line is none for this.
fn unusable(name: &[u8], why: impl std::fmt::Display) -> Failure {
    Failure::Usage(format!("'{}': {why}", Readable(name)))
}
