//! `put` over the text wire: what the server does not have of a file, with the hash of the whole.

use std::fs::{File, Metadata, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::channel::{Channel, Sent};
use super::report::Report;
use super::{Failure, Run, Stop, Transfer, check_name, hex, local, problem, unusable};
use crate::client::patience::Patience;
use crate::config::limits::{TRANSFER_ASK_AGAIN, TRANSFER_BYTES};
use crate::wire::files::{self as wire, Said};

/// What each file is called at the server: its own name, or the one that was given.
pub fn transfers(
    paths: &[PathBuf],
    name: Option<&[u8]>,
    is_datagram: bool,
) -> Result<Vec<Transfer>, Failure> {
    if name.is_some() && paths.len() > 1 {
        let problem = "--as is for one file; several keep their own names";
        return Err(Failure::Usage(problem.to_owned()));
    }
    let mut transfers: Vec<Transfer> = Vec::new();
    for path in paths {
        let own = path.file_name().map(OsStrExt::as_bytes);
        let shown = path.as_os_str().as_bytes();
        let Some(name) = name.or(own) else {
            return Err(unusable(shown, "it has no name; give one by --as"));
        };
        check_name(name, is_datagram)?;
        if let Some(other) = transfers.iter().find(|transfer| transfer.name == name) {
            let other = other.path.display();
            return Err(unusable(shown, format_args!("'{other}' has the same name")));
        }
        transfers.push(Transfer {
            name: name.to_vec(),
            path: path.clone(),
        });
    }
    Ok(transfers)
}

/// A file of ours that is sent, and what it was when that began.
#[derive(Debug)]
pub struct Source<'a> {
    /// Open, a regular file.
    pub file: File,
    /// Its bytes.
    pub size: u64,
    path: &'a Path,
    stamp: [i128; 4],
}

impl<'a> Source<'a> {
    /// Opens it.
    pub fn open(path: &'a Path) -> Result<Self, Failure> {
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(path)
            .and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = opened.map_err(|error| local(path, &error))?;
        if !metadata.is_file() {
            return Err(problem(path, "is no regular file"));
        }
        // As files in /proc, which say that they are empty.
        match file.read_at(&mut [0], metadata.len()) {
            Ok(0) => Ok(Self {
                file,
                size: metadata.len(),
                path,
                stamp: stamp(&metadata),
            }),
            Ok(_) => Err(problem(path, "has more bytes than it says")),
            Err(error) => Err(local(path, &error)),
        }
    }

    /// Which state of which file it is, as a word for a label.
    pub fn version(&self) -> String {
        self.stamp.map(|number| number.to_string()).join("-")
    }

    /// Reads bytes from there on, one at least; fails where the file is not what it was.
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Failure> {
        let count = self
            .file
            .read_at(buffer, offset)
            .map_err(|error| local(self.path, &error))?;
        // Looked at behind the reading: what was read before the change is as it was.
        let metadata = self
            .file
            .metadata()
            .map_err(|error| local(self.path, &error))?;
        match count > 0 && stamp(&metadata) == self.stamp {
            true => Ok(count),
            false => Err(self.changed()),
        }
    }

    /// It is not what it was.
    pub fn changed(&self) -> Failure {
        problem(
            self.path,
            "has changed while it was sent; it is not there as a whole",
        )
    }
}

fn stamp(metadata: &Metadata) -> [i128; 4] {
    let seconds = i128::from(metadata.mtime());
    let ns = seconds * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    [
        metadata.len().into(),
        ns,
        metadata.ino().into(),
        metadata.dev().into(),
    ]
}

/// Sends one file.
pub fn put(run: &mut Run<'_>, transfer: &Transfer, report: &mut Report) -> Result<(), Stop> {
    let source = Source::open(&transfer.path)?;
    let hash = hex(run.hash(&source.file, source.size, &transfer.path)?);
    report.sha256 = Some(hash.clone());
    // As much as the server has; and if that was of another file, which it says in the end, nothing.
    match attempt(run, transfer, &source, &hash, source.size, report) {
        // Any other no leaves there what was kept.
        Err(Stop::Failed(Failure::Refused(line)))
            if report.resumed_from > 0 && wire::is_refusal(&line, wire::ANOTHER) =>
        {
            let why = "what the server had was no part of this file; starting over";
            run.progress.say(why);
            attempt(run, transfer, &source, &hash, 0, report)
        }
        result => result,
    }
}

fn attempt(
    run: &mut Run<'_>,
    transfer: &Transfer,
    source: &Source<'_>,
    hash: &str,
    offset: u64,
    report: &mut Report,
) -> Result<(), Stop> {
    (report.bytes, report.resumed_from) = (0, 0);
    let command = wire::put(&transfer.name, source.size, offset, hash);
    let command = command.map_err(|why| unusable(&transfer.name, why))?;
    let mut channel = run.channel()?;
    let answer = match ask(run, &mut channel, &command) {
        Err(Stop::Failed(Failure::Refused(line))) => {
            let is_there = is_there(run, &mut channel, &transfer.name, source.size, hash);
            run.keep(channel);
            if is_there? {
                (report.bytes, report.resumed_from) = (source.size, source.size);
                return Ok(());
            }
            return Err(Failure::Refused(line).into());
        }
        answer => answer?,
    };
    let Some(kept) = wire::offset(&answer, source.size) else {
        return Err(channel.lost("its answer to put makes no sense"));
    };
    (report.bytes, report.resumed_from) = (kept, kept);
    run.progress.begin(kept, Some(source.size));
    let is_all_sent = send(run, &mut channel, source, report)?;
    let line = channel.line(source.size, &run.interrupt);
    let line = line.map_err(|stop| match stop {
        Stop::Failed(Failure::Lost(why)) if is_all_sent => {
            let advice = "whether the file is safe there is unknown; the same call finds out";
            Failure::Lost(format!("{why}; {advice}")).into()
        }
        stop => stop,
    })?;
    match wire::said(&line) {
        Said::Ok(_) if is_all_sent => {}
        Said::Ok(_) => return Err(channel.lost("it took the file before it was sent")),
        _ => {
            let refused = channel.refused(&line);
            if is_all_sent {
                run.keep(channel);
            }
            return Err(refused);
        }
    }
    run.keep(channel);
    Ok(())
}

/// Asks to send, and again where that is worth it.
fn ask(run: &Run<'_>, channel: &mut Channel, command: &[u8]) -> Result<Vec<u8>, Stop> {
    let mut again = Again::new(run);
    loop {
        match channel.ask(command, 0, &run.interrupt) {
            Err(Stop::Failed(Failure::Refused(line))) if again.is_worth_it(run, &line)? => {}
            answer => return answer,
        }
    }
}

/// How long a name that is being uploaded is asked for again: as long as the server may be silent. It
/// may have to put away first what an earlier call has left, and syncs it then.
pub struct Again {
    patience: Patience,
    is_said: bool,
}

impl Again {
    /// Its time begins.
    pub fn new(run: &Run<'_>) -> Self {
        Self {
            patience: Patience::new(run.files.timeout),
            is_said: false,
        }
    }

    /// Whether to ask again after this refusal; waits a moment where it is.
    pub fn is_worth_it(&mut self, run: &Run<'_>, line: &str) -> Result<bool, Stop> {
        let is_over = self.patience.left().is_some_and(|left| left.is_zero());
        if is_over || !wire::is_refusal(line, wire::UPLOADING) {
            return Ok(false);
        }
        if !std::mem::replace(&mut self.is_said, true) {
            run.progress.say("it is being uploaded just now; waiting");
        }
        match run.interrupt.comes_within(TRANSFER_ASK_AGAIN) {
            true => Err(Stop::Interrupted),
            false => Ok(true),
        }
    }
}

/// Whether the server has that very file: the answer to an earlier call may have been lost.
fn is_there(
    run: &Run<'_>,
    channel: &mut Channel,
    name: &[u8],
    size: u64,
    hash: &str,
) -> Result<bool, Stop> {
    let command = wire::hash(name, None).map_err(|why| unusable(name, why))?;
    match channel.ask(&command, size, &run.interrupt) {
        Ok(answer) => Ok(wire::sha256(&answer).as_deref() == Some(hash)),
        // The first no says more.
        Err(Stop::Failed(_)) => Ok(false),
        Err(stop) => Err(stop),
    }
}

/// Sends what is missing; false where the server has spoken before that.
fn send(
    run: &Run<'_>,
    channel: &mut Channel,
    source: &Source<'_>,
    report: &mut Report,
) -> Result<bool, Stop> {
    let mut buffer = vec![0; TRANSFER_BYTES];
    while report.bytes < source.size {
        let left = usize::try_from(source.size - report.bytes).unwrap_or(usize::MAX);
        let room = left.min(buffer.len());
        let count = source.read(&mut buffer[..room], report.bytes)?;
        let mut bytes = &buffer[..count];
        while !bytes.is_empty() {
            match channel.send_some(bytes, &run.interrupt)? {
                Sent::Taken(count) => bytes = &bytes[count..],
                Sent::Spoken => return Ok(false),
            }
        }
        report.bytes += count as u64;
        run.progress.set(report.bytes);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_keep_their_names_unless_one_is_given() {
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        let names = |given: &[&str], name: Option<&str>| {
            let transfers = transfers(&paths(given), name.map(str::as_bytes), false);
            transfers.map(|transfers| {
                transfers
                    .into_iter()
                    .map(|transfer| transfer.name)
                    .collect::<Vec<_>>()
            })
        };
        let expected = vec![b"x".to_vec(), b"y z".to_vec()];
        assert_eq!(names(&["a/x", "y z"], None), Ok(expected));
        assert_eq!(names(&["a/x"], Some("f/n")), Ok(vec![b"f/n".to_vec()]));
        for (given, name, part) in [
            (&["a", "b"][..], Some("n"), "--as is for one file"),
            (&["a/x", "b/x"], None, "'b/x': 'a/x' has the same name"),
            (&["/"], None, "it has no name"),
            (&["x"], Some("a\nb"), "control characters"),
        ] {
            let problem = names(given, name).unwrap_err().to_string();
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn a_file_that_changes_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, b"abcdef").unwrap();
        let source = Source::open(&path).unwrap();
        let mut buffer = [0; 4];
        assert_eq!(source.read(&mut buffer, 1), Ok(4));
        std::fs::write(&path, b"abcdefg").unwrap();
        assert!(source.read(&mut buffer, 1).is_err());
        assert!(Source::open(folder.path()).is_err());
        // It says that it is empty, and is not.
        let made = Source::open(Path::new("/proc/version")).unwrap_err();
        assert!(made.to_string().ends_with("than it says"), "{made}");
        assert!(Source::open(Path::new("/dev/null")).is_err());
    }
}
