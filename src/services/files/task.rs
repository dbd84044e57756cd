//! What is under way for a client, and how it goes on when a piece of it is done.

use std::sync::Arc;

use super::hash::{ALGORITHM, Hashing, Step};
use super::name::written;
use super::options::Wire;
use super::put::Put;
use super::refusal::Refusal;
use super::root::{Entry, Kind, Listing, Opened};
use super::uploads::Upload;
use super::version::Version;
use super::work::{Done, Work};
use super::{Files, Session};
use crate::service::{CloseReason, Cx, SendFile, TransferEnd};
use crate::wire::files::ANOTHER;

/// What is under way.
pub enum Task {
    /// A folder is being listed.
    List,
    /// A file is looked up for its size.
    Size,
    /// A file is opened to be hashed, up to that length.
    OpenToHash(Option<u64>),
    /// It is being hashed.
    Hash,
    /// A file is opened to be sent.
    Get {
        offset: u64,
        version: Option<Version>,
    },
    /// It is on its way.
    Sending,
    /// An upload is begun.
    Begin(Option<String>),
    /// Its bytes come.
    Receiving(Put),
    /// It is looked whether it may go on.
    Checking(Put),
    /// It gets its name.
    Publishing,
}

impl Task {
    /// The upload, if the session has one in its hands.
    pub(super) fn into_upload(self) -> Option<Arc<Upload>> {
        match self {
            Self::Receiving(put) => Some(put.upload),
            _ => None,
        }
    }
}

impl Files {
    pub(super) fn go_on(&mut self, s: &mut Session, task: Task, done: Done, cx: &mut Cx<'_, Self>) {
        match (task, done) {
            (Task::List, Done::Listed(Ok((batch, listing)))) => self.listed(s, batch, listing, cx),
            (Task::Size, Done::Opened(Ok(opened))) => {
                cx.send_text(format_args!("ok {}\n", opened.version.size));
                self.finish(s, cx);
            }
            (Task::OpenToHash(length), Done::Opened(Ok(opened))) => {
                // The only one who has it: it was made for this.
                let hashing = Arc::try_unwrap(opened)
                    .map_err(|_| Refusal::Moving)
                    .and_then(|opened| Hashing::new(opened, length));
                match hashing {
                    Ok(hashing) => {
                        self.begin_or_end(s, Task::Hash, Work::Hash(Box::new(hashing)), cx);
                    }
                    Err(refusal) => self.fail(s, &refusal, cx),
                }
            }
            (Task::Hash, Done::Hashed(Ok(Step::More(hashing)))) => {
                self.begin_or_end(s, Task::Hash, Work::Hash(hashing), cx);
            }
            (Task::Hash, Done::Hashed(Ok(Step::Done(hash)))) => {
                cx.send_text(format_args!("ok {ALGORITHM} {hash}\n"));
                self.finish(s, cx);
            }
            (Task::Get { offset, version }, Done::Opened(Ok(opened))) => {
                self.send(s, &opened, (offset, version), cx);
            }
            (Task::Begin(hash), Done::Begun(Ok(upload))) => self.begun(s, upload, hash, cx),
            (Task::Checking(put), Done::Checked(upload, checked)) => {
                // The pool has given its copy back.
                drop(upload);
                self.checked(s, put, checked, cx);
            }
            (Task::Publishing, Done::Published(Ok(_))) => {
                cx.send(b"ok\n");
                self.finish(s, cx);
            }
            (Task::Publishing, Done::Comparing(upload, comparing)) => {
                let work = Work::Publish(upload, Some(comparing));
                self.offload_last(s, Task::Publishing, work, cx);
            }
            (Task::Publishing, Done::Different) => {
                self.refuse(s, ANOTHER, cx);
                self.finish(s, cx);
            }
            (
                _,
                Done::Listed(Err(refusal))
                | Done::Opened(Err(refusal))
                | Done::Hashed(Err(refusal))
                | Done::Begun(Err(refusal))
                | Done::Published(Err(refusal)),
            ) => self.fail(s, &refusal, cx),
            // Work gives the result of its kind.
            _ => self.finish(s, cx),
        }
    }

    /// As `begin`, for a later piece: where there is no room for it the command ends.
    fn begin_or_end(&mut self, s: &mut Session, task: Task, work: Work, cx: &mut Cx<'_, Self>) {
        self.begin(s, task, work, cx);
        if s.task.is_none() {
            self.finish(s, cx);
        }
    }

    pub(super) fn fail(&mut self, s: &mut Session, refusal: &Refusal, cx: &mut Cx<'_, Self>) {
        self.refuse(s, &refusal.to_string(), cx);
        self.finish(s, cx);
    }

    fn listed(
        &mut self,
        s: &mut Session,
        batch: Vec<Entry>,
        listing: Listing,
        cx: &mut Cx<'_, Self>,
    ) {
        if batch.is_empty() {
            match listing.more {
                true => cx.send(b"ok and more that is not shown\n"),
                false => cx.send(b"ok\n"),
            }
            return self.finish(s, cx);
        }
        let mut text = Vec::new();
        for entry in batch {
            let mut name = entry.name.into_vec();
            if entry.kind == Kind::Folder {
                name.push(b'/');
            }
            // A name that no line can hold can't be asked for either.
            if let Some(name) = written(&name) {
                text.extend_from_slice(format!("{} {} ", entry.size, entry.modified).as_bytes());
                text.extend_from_slice(&name);
                text.push(b'\n');
            }
        }
        cx.send(&text);
        self.begin_or_end(s, Task::List, Work::More(listing), cx);
    }

    fn send(
        &mut self,
        s: &mut Session,
        opened: &Arc<Opened>,
        (offset, wanted): (u64, Option<Version>),
        cx: &mut Cx<'_, Self>,
    ) {
        let version = opened.version;
        let is_lab = s.wire == Wire::Lab;
        if wanted.is_some_and(|wanted| wanted != version) {
            self.refuse(s, &format!("the file has changed: it is now {version}"), cx);
            return self.finish(s, cx);
        }
        if offset > version.size && !is_lab {
            return self.fail(s, &Refusal::Beyond { size: version.size }, cx);
        }
        let from = offset.min(version.size);
        let len = version.size - from;
        if !is_lab {
            cx.send_text(format_args!("ok {len} {} {version}\n", version.size));
        }
        cx.send_file(SendFile {
            file: Arc::clone(opened) as _,
            from,
            len,
        });
        if is_lab {
            // Its end is the only sign of the end: it goes out whole, or the connection breaks.
            return cx.close(CloseReason::Answered);
        }
        s.task = Some(Box::new(Task::Sending));
        cx.pause();
    }

    /// A file has gone out, or not.
    pub(super) fn sent(&mut self, s: &mut Session, end: TransferEnd, cx: &mut Cx<'_, Self>) {
        match end {
            TransferEnd::Whole => self.finish(s, cx),
            // The bytes that were promised do not come: nothing can stand in their place.
            TransferEnd::Changed => cx.reset(CloseReason::FileChanged),
            TransferEnd::Failed(_) | TransferEnd::Cut { .. } => cx.reset(CloseReason::FileFailed),
        }
    }
}
