//! What blocks: done by the threads of the pool, a piece at a time.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::cached::warm_up;
use super::hash::{Compared, Comparing, Hashing, Step};
use super::name::Name;
use super::refusal::Refusal;
use super::root::{Entry, Listing, Opened, Root};
use super::uploads::{Prospect, Swept, Upload, Uploads, Wanted};
use super::version::Version;
use crate::config::limits::{PARTIAL_AGE_MAX, READ_AHEAD_BYTES, UPLOAD_CHECK_BYTES};
use crate::service::OpenFile;

/// A piece of work.
pub enum Work {
    List(Option<Name>),
    /// The next entries of a listing.
    More(Listing),
    Open(Name),
    /// Reads bytes that were not in memory, and has what follows them fetched.
    Read {
        file: Arc<Opened>,
        offset: u64,
        len: usize,
    },
    /// Writes bytes of an upload there.
    Write {
        upload: Arc<Upload>,
        offset: u64,
        bytes: Vec<u8>,
    },
    Hash(Box<Hashing>),
    /// Looks what an upload would find, and makes nothing.
    Look(Wish),
    Begin(Wish),
    /// Whether an upload may go on.
    Check(Arc<Upload>),
    /// Gives an upload its name, once it was found to have the hash that was announced.
    Publish(Arc<Upload>, Option<Box<Comparing>>),
    /// Leaves an upload to be resumed.
    Keep(Arc<Upload>),
    /// Removes uploads that nobody went on with.
    Sweep,
}

/// An upload that a client wishes for; see [`Wanted`].
pub struct Wish {
    pub name: Name,
    /// `None` where only its end tells.
    pub size: Option<u64>,
    pub offset: u64,
    pub owner: Vec<u8>,
    pub replace: bool,
}

impl Wish {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            name: &self.name,
            size: self.size,
            offset: self.offset,
            owner: &self.owner,
            replace: self.replace,
        }
    }
}

/// What came of it.
pub enum Done {
    Listed(Result<(Vec<Entry>, Listing), Refusal>),
    Opened(Result<Arc<Opened>, Refusal>),
    /// As many bytes as were asked for, or as there are.
    Read(Result<Vec<u8>, Refusal>),
    /// How many bytes.
    Wrote(Result<u64, Refusal>),
    Hashed(Result<Step, Refusal>),
    Looked(Result<Prospect, Refusal>),
    Begun(Result<Arc<Upload>, Refusal>),
    Checked(Arc<Upload>, Result<(), Refusal>),
    Published(Result<Version, Refusal>),
    /// Its hash takes another step.
    Comparing(Arc<Upload>, Box<Comparing>),
    /// The file that came is not the one that was announced; nothing is left of it.
    Different,
    Kept(Result<u64, Refusal>),
    Swept(Result<Swept, Refusal>),
}

impl OpenFile for Opened {
    fn file(&self) -> &File {
        &self.file
    }

    fn is_same(&self) -> bool {
        self.still_same().is_ok()
    }
}

impl OpenFile for Upload {
    fn file(&self) -> &File {
        &self.file
    }
}

/// One thread's state.
pub(super) struct Worker {
    root: Arc<Root>,
    uploads: Option<Arc<Uploads>>,
    buffer: Vec<u8>,
}

impl Worker {
    pub(super) fn new(root: Arc<Root>, uploads: Option<Arc<Uploads>>) -> Self {
        Self {
            root,
            uploads,
            buffer: Vec::new(),
        }
    }

    pub(super) fn run(&mut self, work: Work) -> Done {
        match work {
            Work::List(name) => Done::Listed(self.root.list(name.as_ref()).and_then(next)),
            Work::More(listing) => Done::Listed(next(listing)),
            Work::Open(name) => Done::Opened(self.root.open(&name).map(Arc::new)),
            Work::Read { file, offset, len } => {
                Done::Read(read(&file, offset, len, &mut self.buffer))
            }
            Work::Write {
                upload,
                offset,
                bytes,
            } => Done::Wrote(self.write(&upload, offset, &bytes)),
            Work::Hash(hashing) => Done::Hashed(hashing.step(&mut self.buffer)),
            Work::Look(wish) => Done::Looked(
                self.uploads()
                    .and_then(|uploads| uploads.look(&wish.wanted())),
            ),
            Work::Begin(wish) => Done::Begun(
                self.uploads()
                    .and_then(|uploads| uploads.begin(&wish.wanted()).map(Arc::new)),
            ),
            Work::Check(upload) => {
                let checked = self
                    .uploads()
                    .and_then(|uploads| uploads.check_room(&upload));
                Done::Checked(upload, checked)
            }
            Work::Publish(upload, comparing) => self.publish(upload, comparing),
            Work::Keep(upload) => Done::Kept(
                self.uploads()
                    .and_then(|uploads| uploads.keep(alone(upload)?)),
            ),
            Work::Sweep => Done::Swept(
                self.uploads()
                    .and_then(|uploads| uploads.sweep(PARTIAL_AGE_MAX)),
            ),
        }
    }

    fn uploads(&self) -> Result<&Uploads, Refusal> {
        let none = || Refusal::Other("nothing is uploaded here".to_owned());
        self.uploads.as_deref().ok_or_else(none)
    }

    fn write(&self, upload: &Upload, offset: u64, bytes: &[u8]) -> Result<u64, Refusal> {
        let len = bytes.len() as u64;
        upload.file.write_all_at(bytes, offset)?;
        // Whoever said how large the file is was told before whether there is room for it.
        let checks = |at: u64| at / UPLOAD_CHECK_BYTES;
        if checks(offset) != checks(offset.saturating_add(len)) {
            self.uploads()?.check_room(upload)?;
        }
        Ok(len)
    }

    fn publish(&mut self, upload: Arc<Upload>, comparing: Option<Box<Comparing>>) -> Done {
        let step = comparing.map(|comparing| comparing.step(&upload.file, &mut self.buffer));
        match step {
            None | Some(Ok(Compared::Same)) => {}
            Some(Ok(Compared::More(comparing))) => return Done::Comparing(upload, comparing),
            Some(Ok(Compared::Different)) => {
                if let (Ok(uploads), Ok(upload)) = (self.uploads(), alone(upload)) {
                    uploads.discard(upload);
                }
                return Done::Different;
            }
            Some(Err(refusal)) => return Done::Published(Err(refusal)),
        }
        Done::Published(
            self.uploads()
                .and_then(|uploads| uploads.publish(alone(upload)?)),
        )
    }
}

/// Waits for the disk.
fn read(file: &Opened, offset: u64, len: usize, buffer: &mut Vec<u8>) -> Result<Vec<u8>, Refusal> {
    let ahead = offset
        .saturating_add(READ_AHEAD_BYTES as u64)
        .min(file.version.size);
    warm_up(&file.file, &(offset..ahead), buffer)?;
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match file
            .file
            .read_at(&mut bytes[filled..], offset + filled as u64)
        {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// The upload itself: whoever ends it is the last who has it, as transfers give it back first.
fn alone(upload: Arc<Upload>) -> Result<Upload, Refusal> {
    Arc::try_unwrap(upload).map_err(|_| Refusal::Uploading)
}

fn next(mut listing: Listing) -> Result<(Vec<Entry>, Listing), Refusal> {
    let batch = listing.next_batch()?;
    Ok((batch, listing))
}
