//! `files`: the regular files below one folder, over a text wire, over the wire of the labs' client,
//! and over TFTP; all resume.
//!
//! What blocks runs on a pool of threads (`work`). The bytes of files do not pass through here: they
//! are transfers of the reactor.

use std::path::PathBuf;
use std::sync::Arc;

use self::options::{Options, Shared, Wire};
use self::root::Root;
use self::task::Task;
use self::uploads::{Limits, Uploads};
use self::work::{Done, Work, Worker};
use crate::config::limits::{
    FILE_WORK_MAX, FILE_WORK_THREADS, FILES_ANSWER_BYTES, PARTIAL_AGE_MAX, SWEEP_EVERY,
};
use crate::config::options::Opt;
use crate::service::{
    BYE, CloseReason, Cx, Datagrams, Entry, Host, Kit, Lane, Moment, Peer, Service, ServiceCx,
    SourceId, TransferEnd,
};
use crate::wire::files::BUSY;
use crate::wire::line::{Lines, Next};

mod cached;
mod hash;
mod lab;
mod name;
mod options;
mod put;
mod refusal;
mod root;
mod task;
mod text;
mod tftp;
mod uploads;
mod version;
mod work;

/// How `files` is listed.
pub const ENTRY: Entry = Entry {
    name: "files",
    summary: "files of one folder, fetched and stored, and resumed",
    about: "\
Serves the regular files below root=, and nothing outside it, by name, link or race; what begins
with a dot is hidden. upload=yes lets clients store files, upload=replace replace them too.
Commands, a line each: list [FOLDER], size NAME, hash NAME [LENGTH], get NAME [OFFSET [VERSION]],
put NAME SIZE [OFFSET [SHA256]], help, quit. A name with blanks stands in double quotes. Every
answer ends with one line 'ok ...' or 'error: ...'; behind that of get come exactly the bytes that
it names.
A first byte that is a digit is the wire of the labs: 0 fetches all of default=, 1 and 2 the rest
from an offset.
A file that changes while it is fetched ends as broken, over TCP by a reset.
On udp:// it is TFTP, with blksize, tsize, timeout, windowsize, netascii, and an offset that
resumes; each transfer has a port of its own unless port=single.
Limits: a line has at most 4096 bytes, a name 1024; an upload at most 16 GiB; list shows 10000
entries.
Try it, once the folder holds that file:
         printf 'list\\nget source_file.txt\\n' | nc -N 127.0.0.1 5001
         curl tftp://127.0.0.1:5001/source_file.txt",
    options: &[
        Opt {
            key: "root",
            default: "DATA/files",
            help: "the folder whose files are served",
        },
        Opt {
            key: "default",
            default: "source_file.txt",
            help: "the file that the labs' wire sends",
        },
        Opt {
            key: "upload",
            default: "no",
            help: "no, yes, or replace: whether clients may store files",
        },
        Opt {
            key: "wire",
            default: "auto",
            help: "auto, text or lab; of streams",
        },
        Opt {
            key: "port",
            default: "fresh",
            help: "fresh or single, of udp://: each transfer answers from a port of its own, or all \
                   from the listener's",
        },
    ],
    datagrams: Some(Datagrams::Transfers),
    console: &[],
    transfers: true,
    secret: false,
    takes_lines: false,
    board: &["tcp://127.0.0.1:5001", "udp://127.0.0.1:5001"],
    build: |listeners| Host::build(listeners, |options| Shared::of(options).map(Files::new)),
};

/// The service: what its sessions share.
pub struct Files {
    shared: Shared,
    lane: Lane<Work>,
    /// When it was last looked for uploads that nobody went on with.
    swept_at: Moment,
    tftp: tftp::Scratch,
}

/// One client.
pub struct Session {
    wire: Wire,
    /// Of a client that speaks in datagrams; the rest is then of no use.
    tftp: Option<Box<tftp::Transfer>>,
    lines: Lines,
    /// What is under way: then no command is read.
    task: Option<Box<Task>>,
    ended: bool,
    leaving: bool,
}

impl Files {
    fn new(shared: Shared) -> Self {
        Self {
            shared,
            lane: Lane::default(),
            swept_at: Moment::ZERO,
            tftp: tftp::Scratch::default(),
        }
    }

    /// Hands work to the pool, and pauses the session until it is done.
    fn begin(&mut self, s: &mut Session, task: Task, work: Work, cx: &mut Cx<'_, Self>) {
        match cx.offload(&self.lane, work) {
            Ok(()) => {
                s.task = Some(Box::new(task));
                cx.pause();
            }
            Err(_) => self.refuse(s, BUSY, cx),
        }
    }

    /// A line of an error; on the labs' wire, which knows none, a broken connection.
    fn refuse(&mut self, s: &mut Session, why: &str, cx: &mut Cx<'_, Self>) {
        match s.wire {
            Wire::Lab => {
                cx.note(format_args!(
                    "was refused, and its wire has no word for it: {why}"
                ));
                cx.reset(CloseReason::NotAnswered);
            }
            Wire::Auto | Wire::Text => cx.send_text(format_args!("error: {why}\n")),
        }
    }

    /// A command is done.
    fn finish(&mut self, s: &mut Session, cx: &mut Cx<'_, Self>) {
        s.task = None;
        if cx.is_closing() {
            return;
        }
        if s.leaving {
            cx.close(CloseReason::Shutdown);
        } else if s.ended {
            cx.close(CloseReason::ClientEnded);
        } else {
            cx.resume();
        }
    }

    fn read_text(&mut self, s: &mut Session, mut input: &[u8], cx: &mut Cx<'_, Self>) -> usize {
        let offered = input.len();
        while s.task.is_none() && !cx.is_closing() {
            if cx.sent() > FILES_ANSWER_BYTES && !input.is_empty() {
                cx.yield_turn();
                break;
            }
            match s.lines.next(&mut input) {
                Next::Line(line) => self.command(s, line, cx),
                Next::TooLong => {
                    cx.send(b"error: a line has at most 4096 bytes; this one is skipped\n");
                }
                Next::Incomplete => break,
            }
        }
        offered - input.len()
    }
}

impl Service for Files {
    type Options = Options;
    type Session = Session;
    type Done = Done;

    fn start(&mut self, kit: &mut Kit<'_, Done>) -> Result<(), String> {
        let path = match &self.shared.root {
            Some(path) => path.clone(),
            None => default_root(kit)?,
        };
        let root = Arc::new(Root::at(&path)?);
        let uploads = match self.shared.uploads {
            true => {
                let uploads = Uploads::open(Arc::clone(&root), Limits::default())?;
                // Where that fails now it is tried again later, and noted then.
                let _ = uploads.sweep(PARTIAL_AGE_MAX);
                Some(Arc::new(uploads))
            }
            false => None,
        };
        let lane = kit.pool("files-work", (FILE_WORK_MAX, FILE_WORK_THREADS), || {
            let mut worker = Worker::new(Arc::clone(&root), uploads.clone());
            move |work| worker.run(work)
        });
        self.lane = lane.map_err(|error| format!("the threads for files: {error}"))?;
        Ok(())
    }

    fn open(&mut self, cx: &mut Cx<'_, Self>) -> Session {
        // Uploads are left by clients, so it is enough to look when one comes.
        if self.shared.uploads && cx.now().since(self.swept_at) >= SWEEP_EVERY {
            self.swept_at = cx.now();
            let nobody = SourceId::NOBODY;
            let _ = cx.service().offload(&self.lane, nobody, Work::Sweep);
        }
        Session {
            wire: cx.options().wire,
            tftp: cx.is_datagram().then(Box::default),
            lines: Lines::default(),
            task: None,
            ended: false,
            leaving: false,
        }
    }

    fn receive(&mut self, s: &mut Session, input: &[u8], cx: &mut Cx<'_, Self>) -> usize {
        if let Some(transfer) = &mut s.tftp {
            return self.take_packet(transfer, input, cx);
        }
        if s.wire == Wire::Auto {
            s.wire = match input.first() {
                None => return 0,
                Some(byte) if byte.is_ascii_digit() => Wire::Lab,
                Some(_) => Wire::Text,
            };
        }
        match s.wire {
            Wire::Lab => self.read_lab(s, input, false, cx),
            Wire::Auto | Wire::Text => self.read_text(s, input, cx),
        }
    }

    fn end_of_input(&mut self, s: &mut Session, rest: &[u8], cx: &mut Cx<'_, Self>) {
        s.ended = true;
        match s.wire {
            Wire::Lab => {
                self.read_lab(s, rest, true, cx);
            }
            Wire::Auto | Wire::Text => {
                if let Some(line) = s.lines.last(rest) {
                    self.command(s, line.strip_suffix(b"\r").unwrap_or(line), cx);
                }
            }
        }
        if s.task.is_none() && !cx.is_closing() {
            cx.close(CloseReason::ClientEnded);
        }
    }

    fn deadline(&mut self, s: &mut Session, cx: &mut Cx<'_, Self>) {
        match &mut s.tftp {
            Some(transfer) => self.tftp_expired(transfer, cx),
            None => cx.close(CloseReason::IdleTimeout),
        }
    }

    fn done(&mut self, s: &mut Session, done: Done, cx: &mut Cx<'_, Self>) {
        if let Some(transfer) = &mut s.tftp {
            return self.tftp_done(transfer, done, cx);
        }
        let Some(task) = s.task.take() else {
            return;
        };
        self.go_on(s, *task, done, cx);
    }

    fn orphaned(&mut self, done: Done, cx: &mut ServiceCx<'_>) {
        match done {
            // An upload that was opened for nobody is kept for whoever comes to go on with it.
            Done::Begun(Ok(upload)) => {
                let _ = cx.offload(&self.lane, SourceId::NOBODY, Work::Keep(upload));
            }
            // All of it has come; whoever sent it finds it there.
            Done::Comparing(upload, comparing) => {
                let work = Work::Publish(upload, Some(comparing));
                let _ = cx.offload(&self.lane, SourceId::NOBODY, work);
            }
            Done::Swept(Ok(swept)) if swept.removed > 0 => cx.note(format_args!(
                "removed {} uploads that nobody went on with, {} bytes",
                swept.removed, swept.bytes
            )),
            Done::Swept(Err(refusal)) => {
                cx.note(format_args!("can't look for old uploads: {refusal}"));
            }
            _ => {}
        }
    }

    fn transferred(&mut self, s: &mut Session, end: TransferEnd, cx: &mut Cx<'_, Self>) {
        let Some(task) = s.task.take() else {
            return;
        };
        match *task {
            Task::Sending => self.sent(s, end, cx),
            Task::Receiving(put) => self.received(s, put, end, cx),
            _ => {}
        }
    }

    fn shutting_down(&mut self, s: &mut Session, cx: &mut Cx<'_, Self>) {
        if let Some(transfer) = &mut s.tftp {
            return self.tftp_leaves(transfer, cx);
        }
        // A file that is on its way is owed; an upload has a client that can resume it.
        match s.task.as_deref() {
            None | Some(Task::Receiving(_)) => {
                if s.wire != Wire::Lab {
                    cx.send(BYE);
                }
                cx.close(CloseReason::Shutdown);
            }
            Some(_) => s.leaving = true,
        }
    }

    fn closed(&mut self, s: Session, cx: &mut ServiceCx<'_>) {
        let upload = match s.tftp {
            Some(transfer) => transfer.into_upload(),
            None => s.task.and_then(|task| task.into_upload()),
        };
        if let Some(upload) = upload {
            let _ = cx.offload(&self.lane, SourceId::NOBODY, Work::Keep(upload));
        }
    }
}

/// The folder where none is named, made if it is not there.
fn default_root(kit: &mut Kit<'_, Done>) -> Result<PathBuf, String> {
    let Some(path) = kit.file("files")? else {
        return Err("root= has to name a folder".to_owned());
    };
    match std::fs::create_dir(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            let named = path.display().to_string();
            Err(format!("{}: {error}", named.escape_debug()))
        }
        _ => Ok(path),
    }
}

/// Who sends an upload, so that only the same may go on with it: an address without its port, or a
/// user.
fn owner_of(peer: &Peer) -> Vec<u8> {
    match peer {
        Peer::V4(address) => address.ip().to_string().into_bytes(),
        Peer::V6(address) => address.ip().to_string().into_bytes(),
        Peer::Unix { uid, .. } => format!("user {uid}").into_bytes(),
        Peer::Gone => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
