//! `get` over the text wire: what is missing of a file, then the check of the whole.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::channel::Channel;
use super::partial::{Origin, Partial};
use super::report::Report;
use super::{Failure, Run, Stop, Transfer, check_name, hex, unusable};
use crate::config::limits::TRANSFER_STARTS_MAX;
use crate::wire::files::{self as wire, Coming};

/// Where each file is put: never outside of the folder that was chosen.
pub fn transfers(
    names: &[Vec<u8>],
    output: Option<&Path>,
    is_datagram: bool,
) -> Result<Vec<Transfer>, Failure> {
    if output == Some(Path::new("-")) {
        let problem = "-: what is on standard output can't be checked first; name a file";
        return Err(Failure::Usage(problem.to_owned()));
    }
    let folder = match output {
        None => Some(Path::new("")),
        Some(path) => {
            (path.is_dir() || path.as_os_str().as_bytes().ends_with(b"/")).then_some(path)
        }
    };
    let mut transfers: Vec<Transfer> = Vec::new();
    for name in names {
        check_name(name, is_datagram)?;
        let last = last_part(name)?;
        let path = match (folder, output) {
            (Some(folder), _) => folder.join(OsStr::from_bytes(last)),
            (None, Some(file)) if names.len() == 1 => file.to_owned(),
            (None, _) => {
                let shown = output.unwrap_or(Path::new(".")).display();
                let problem = format!("{shown}: several files need a folder");
                return Err(Failure::Usage(problem));
            }
        };
        if let Some(other) = transfers.iter().find(|transfer| transfer.path == path) {
            let other = String::from_utf8_lossy(&other.name).into_owned();
            return Err(unusable(
                name,
                format_args!("'{other}' has the same name here"),
            ));
        }
        let name = name.clone();
        transfers.push(Transfer { name, path });
    }
    Ok(transfers)
}

/// What a file is called here: the last part of its name.
fn last_part(name: &[u8]) -> Result<&[u8], Failure> {
    let mut parts = name.split(|byte| *byte == b'/');
    if parts.clone().any(|part| part == b"..") {
        return Err(unusable(name, "no part of a name is '..'"));
    }
    match parts.next_back().unwrap_or_default() {
        [] => Err(unusable(name, "that is a folder; give the name of a file")),
        [b'.', ..] => Err(unusable(name, "a name that begins with '.' is not fetched")),
        last => Ok(last),
    }
}

/// Fetches one file.
pub fn get(run: &mut Run<'_>, transfer: &Transfer, report: &mut Report) -> Result<(), Stop> {
    let mut partial = Partial::open(&transfer.path)?;
    // Before anybody waits for us: a large part takes its time.
    report.bytes = partial.len();
    let mut hash = run.hash(partial.file(), partial.len(), &transfer.path)?;
    let mut channel = run.channel()?;
    let mut fetch = Fetch {
        run,
        channel: &mut channel,
        name: &transfer.name,
    };
    let result = fetch.whole(&mut partial, &mut hash, report);
    // After a no the server goes on, but in the middle of a file it does not know that we left.
    if matches!(result, Ok(()) | Err(Stop::Failed(Failure::Refused(_)))) {
        run.keep(channel);
    }
    result?;
    partial.publish()?;
    report.sha256 = Some(hex(hash));
    Ok(())
}

struct Fetch<'a, 'b> {
    run: &'a mut Run<'b>,
    channel: &'a mut Channel,
    name: &'a [u8],
}

/// What one attempt came to.
enum Attempt {
    Whole,
    /// What is here belongs to another file, for this reason.
    Stale(&'static str),
}

impl Fetch<'_, '_> {
    /// Until all is here and checked.
    fn whole(
        &mut self,
        partial: &mut Partial,
        hash: &mut Sha256,
        report: &mut Report,
    ) -> Result<(), Stop> {
        let mut goes_on = partial.len() > 0;
        for _ in 0..TRANSFER_STARTS_MAX {
            let why = match self.attempt(goes_on, partial, hash, report)? {
                Attempt::Whole => return Ok(()),
                Attempt::Stale(why) => why,
            };
            self.run.progress.say(&format!("{why}; starting over"));
            goes_on = false;
        }
        partial.cut(0)?;
        let why = "the file changes all the time; nothing was kept";
        Err(self.channel.lost(why))
    }

    /// Goes on behind the part that is here, or starts over. What is here is kept until the server
    /// has something better.
    fn attempt(
        &mut self,
        goes_on: bool,
        partial: &mut Partial,
        hash: &mut Sha256,
        report: &mut Report,
    ) -> Result<Attempt, Stop> {
        let offset = if goes_on { partial.len() } else { 0 };
        if offset > 0 && !self.is_prefix(offset, &hex(hash.clone()))? {
            return Ok(Attempt::Stale(
                "what is here is no part of the server's file",
            ));
        }
        let version = match partial.origin() {
            Some(Origin::Version(version)) => Some(version.clone()),
            _ => None,
        };
        let version = version.filter(|_| offset > 0);
        let command = wire::get(self.name, offset, version.as_deref());
        let answer = match self.ask(command, 0) {
            // If it is not because of the version, the same comes again without one.
            Err(Stop::Failed(Failure::Refused(line)))
                if offset > 0 && !wire::is_refusal(&line, wire::BUSY) =>
            {
                return Ok(Attempt::Stale("the server's file has changed"));
            }
            answer => answer?,
        };
        let Some(coming) = Coming::parse(&answer, offset) else {
            return Err(self.channel.lost("its answer to get makes no sense"));
        };
        partial.cut(offset)?;
        if offset == 0 {
            *hash = Sha256::new();
        }
        self.receive(&coming, partial, hash, report)?;
        let whole = match self.hash(None, coming.total) {
            Err(Stop::Failed(Failure::Refused(line))) if wire::is_refusal(&line, wire::CHANGED) => {
                return Ok(Attempt::Stale("the server's file has changed"));
            }
            whole => whole?,
        };
        match whole == hex(hash.clone()) {
            true => Ok(Attempt::Whole),
            false => Ok(Attempt::Stale("what came is not the server's file")),
        }
    }

    fn receive(
        &mut self,
        coming: &Coming,
        partial: &mut Partial,
        hash: &mut Sha256,
        report: &mut Report,
    ) -> Result<(), Stop> {
        partial.set_origin(Some(Origin::Version(coming.version.clone())))?;
        (report.resumed_from, report.bytes) = (partial.len(), partial.len());
        self.run.progress.begin(partial.len(), Some(coming.total));
        let mut left = coming.bytes;
        while left > 0 {
            let bytes = self.channel.bytes(left, &self.run.interrupt)?;
            partial.append(bytes)?;
            hash.update(bytes);
            left -= bytes.len() as u64;
            report.bytes = partial.len();
            self.run.progress.set(partial.len());
        }
        Ok(())
    }

    /// Whether the server's file begins so; not, where it refuses to say, as for a shorter file. A
    /// server that is busy has said nothing, and what is here is worth another call.
    fn is_prefix(&mut self, length: u64, hash: &str) -> Result<bool, Stop> {
        match self.hash(Some(length), length) {
            Ok(found) => Ok(found == hash),
            Err(Stop::Failed(Failure::Refused(line))) if !wire::is_refusal(&line, wire::BUSY) => {
                Ok(false)
            }
            Err(stop) => Err(stop),
        }
    }

    /// The server's hash of the first `length` bytes, or of all.
    fn hash(&mut self, length: Option<u64>, work: u64) -> Result<String, Stop> {
        let answer = self.ask(wire::hash(self.name, length), work)?;
        let hash = wire::sha256(&answer);
        hash.ok_or_else(|| self.channel.lost("its answer to hash makes no sense"))
    }

    fn ask(
        &mut self,
        command: Result<Vec<u8>, wire::Unwritable>,
        work: u64,
    ) -> Result<Vec<u8>, Stop> {
        let command = command.map_err(|why| unusable(self.name, why))?;
        self.channel.ask(&command, work, &self.run.interrupt)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn paths(names: &[&str], output: Option<&Path>) -> Result<Vec<PathBuf>, String> {
        let names: Vec<_> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        let transfers = transfers(&names, output, false).map_err(|failure| failure.to_string())?;
        Ok(transfers
            .into_iter()
            .map(|transfer| transfer.path)
            .collect())
    }

    #[test]
    fn a_file_lands_in_the_folder_that_was_chosen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let here = |name: &str| Ok(vec![PathBuf::from(name)]);
        assert_eq!(paths(&["a/b"], None), here("b"));
        assert_eq!(paths(&["/a"], None), here("a"));
        assert_eq!(paths(&["b"], Some(&at("x"))), Ok(vec![at("x")]));
        let both = paths(&["a/b", "c d"], Some(folder.path()));
        assert_eq!(both, Ok(vec![at("b"), at("c d")]));
    }

    #[test]
    fn names_that_lead_elsewhere_are_usage_errors() {
        let file = Path::new("/nonexistent/x");
        for (names, output, part) in [
            (&["a/../b"][..], None, "'..'"),
            (&["a/.."], None, "'..'"),
            (&["a/"], None, "that is a folder"),
            (&[".bashrc"], None, "begins with '.'"),
            (&["a/."], None, "begins with '.'"),
            (&[""], None, "the name is empty"),
            (
                &["a", "b"],
                Some(file),
                "/nonexistent/x: several files need a folder",
            ),
            (&["a/x", "b/x"], None, "'b/x': 'a/x' has the same name here"),
            (&["a"], Some(Path::new("-")), "standard output"),
        ] {
            let problem = paths(names, output).unwrap_err();
            assert!(problem.contains(part), "{problem}");
        }
    }
}
