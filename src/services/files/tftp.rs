//! TFTP: one session is one transfer, and the machines of `wire::tftp` say what happens in it.
//!
//! Here are only names, files and the lane. Blocks are read here where they are in memory, which
//! takes microseconds, and by the lane where they are not; writes and names are the lane's.

mod refused;
mod transfer;

use std::sync::Arc;
use std::time::Duration;

use self::refused::{answer_to_name, answer_to_refusal};
pub use self::transfer::Transfer;
use self::transfer::{Incoming, State};
use super::cached::{Warm, read_warm};
use super::name::Name;
use super::options::Upload as Uploading;
use super::root::Opened;
use super::uploads::Upload;
use super::work::{Done, Work};
use super::{Files, owner_of};
use crate::service::{CloseReason, Cx, Moment, SourceId};
use crate::wire::tftp::{
    Code, Effect, Effects, End, Mode, Packet, Receiver, Refusal, Request, Room, Sender,
};

/// What all transfers share, so that a callback allocates nothing.
#[derive(Default)]
pub(super) struct Scratch {
    effects: Effects,
    buffer: Vec<u8>,
}

/// The clock of the machines.
fn time(now: Moment) -> Duration {
    now.since(Moment::ZERO)
}

fn busy() -> Refusal {
    Refusal::new(Code::UNDEFINED, "the server is busy; try again")
}

fn leaving() -> Refusal {
    Refusal::new(Code::UNDEFINED, "the server is shutting down")
}

impl Files {
    /// A datagram has come. Nothing is used of one that begins another transfer: this one closes,
    /// and leaves it to the next.
    pub(super) fn take_packet(
        &mut self,
        t: &mut Transfer,
        datagram: &[u8],
        cx: &mut Cx<'_, Self>,
    ) -> usize {
        if t.is_ended_by(datagram) {
            cx.close(CloseReason::ClientLeft);
            return 0;
        }
        let now = time(cx.now());
        let effects = &mut self.tftp.effects;
        match &mut t.state {
            State::New => {
                self.begin_transfer(t, datagram, cx);
                return datagram.len();
            }
            State::Opening | State::Over => {}
            State::Sending(sender, _) => sender.receive(datagram, now, effects),
            State::Receiving(receiver, incoming) if incoming.ended.is_none() => {
                receiver.receive(datagram, now, effects);
            }
            State::Receiving(..) => {}
        }
        self.pump(t, cx);
        datagram.len()
    }

    /// The first datagram.
    fn begin_transfer(&mut self, t: &mut Transfer, datagram: &[u8], cx: &mut Cx<'_, Self>) {
        let work = match Packet::parse(datagram) {
            Ok(Packet::Read(request)) => named(&request).map(Work::Open),
            Ok(Packet::Write(request)) => self.work_of_write(&request, cx),
            Ok(Packet::Error { .. }) => return cx.close(CloseReason::NotAnswered),
            Ok(Packet::Data { .. } | Packet::Ack { .. } | Packet::Oack(_)) => Err(Refusal::new(
                Code::UNKNOWN_TRANSFER,
                "no transfer with this port is under way",
            )),
            Err(fault) => match fault.refusal() {
                Some(refusal) => Err(refusal),
                None => return cx.close(CloseReason::NotAnswered),
            },
        };
        let handed = work.and_then(|work| cx.offload(&self.lane, work).map_err(|_| busy()));
        match handed {
            Ok(()) => {
                t.request = datagram.to_vec();
                t.state = State::Opening;
            }
            Err(refusal) => refuse(t, &refusal, cx),
        }
    }

    fn work_of_write(&self, request: &Request<'_>, cx: &Cx<'_, Self>) -> Result<Work, Refusal> {
        let upload = cx.options().upload;
        if upload == Uploading::No {
            let message = "nothing is uploaded here";
            return Err(Refusal::new(Code::ACCESS_VIOLATION, message));
        }
        let size = request.options.size;
        Ok(Work::Begin {
            name: named(request)?,
            // Some say 0 where they do not know; of text it is another number than the file's.
            size: size.filter(|size| *size > 0 && request.mode == Mode::Octet),
            offset: request.options.offset.unwrap_or(0),
            owner: owner_of(cx.peer()),
            replace: upload == Uploading::Replace,
        })
    }

    pub(super) fn tftp_expired(&mut self, t: &mut Transfer, cx: &mut Cx<'_, Self>) {
        let now = time(cx.now());
        let effects = &mut self.tftp.effects;
        match &mut t.state {
            State::Sending(sender, _) => sender.expired(now, effects),
            State::Receiving(receiver, _) => receiver.expired(now, effects),
            State::New | State::Opening | State::Over => {}
        }
        self.pump(t, cx);
    }

    /// A piece of work is done.
    pub(super) fn tftp_done(&mut self, t: &mut Transfer, done: Done, cx: &mut Cx<'_, Self>) {
        let now = time(cx.now());
        let effects = &mut self.tftp.effects;
        match (&mut t.state, done) {
            (State::Opening, Done::Opened(Ok(file))) => self.serve_read(t, file, cx),
            (State::Opening, Done::Begun(Ok(upload))) => self.serve_write(t, upload, cx),
            (State::Opening, Done::Opened(Err(refusal)) | Done::Begun(Err(refusal))) => {
                refuse(t, &answer_to_refusal(&refusal), cx);
            }
            (State::Sending(sender, file), Done::Read(read)) => {
                let offset = sender.position();
                match read {
                    Ok(bytes) if file.still_same().is_ok() => {
                        sender.data(offset, &bytes, now, effects);
                    }
                    Ok(_) => sender.changed(effects),
                    Err(refusal) => sender.fail(answer_to_refusal(&refusal), effects),
                }
            }
            (State::Receiving(receiver, incoming), Done::Wrote(wrote)) => {
                incoming.writing -= 1;
                match wrote {
                    Ok(bytes) => receiver.written(bytes, now, effects),
                    Err(refusal) => receiver.fail(answer_to_refusal(&refusal), effects),
                }
            }
            (State::Receiving(receiver, _), Done::Published(published)) => match published {
                Ok(_) => receiver.published(now, effects),
                Err(refusal) => receiver.fail(answer_to_refusal(&refusal), effects),
            },
            // Work gives the result of its kind.
            _ => {}
        }
        self.pump(t, cx);
        if t.is_leaving && !cx.is_closing() {
            self.tftp_leaves(t, cx);
        }
    }

    /// A file is open: its request is answered.
    fn serve_read(&mut self, t: &mut Transfer, file: Arc<Opened>, cx: &mut Cx<'_, Self>) {
        let Ok(Packet::Read(request)) = Packet::parse(&t.request) else {
            return;
        };
        let (now, size) = (time(cx.now()), file.version.size);
        match Sender::serve(&request, size, now, &mut self.tftp.effects) {
            Ok(sender) => t.state = State::Sending(Box::new(sender), file),
            Err(refusal) => refuse(t, &refusal, cx),
        }
    }

    /// An upload has begun: its request is answered.
    fn serve_write(&mut self, t: &mut Transfer, upload: Arc<Upload>, cx: &mut Cx<'_, Self>) {
        let Ok(Packet::Write(request)) = Packet::parse(&t.request) else {
            return;
        };
        let room = Room {
            kept: upload.kept,
            most: upload.most,
        };
        match Receiver::serve(&request, room, time(cx.now()), &mut self.tftp.effects) {
            Ok(receiver) => {
                let incoming = Incoming {
                    upload: Some(upload),
                    writing: 0,
                    is_all: false,
                    ended: None,
                };
                t.state = State::Receiving(Box::new(receiver), incoming);
            }
            Err(refusal) => {
                self.keep(upload, cx);
                refuse(t, &refusal, cx);
            }
        }
    }

    /// The server goes down: a file that is on its way out is owed, and so is the word that one is
    /// safe; the client of an upload can resume it.
    pub(super) fn tftp_leaves(&mut self, t: &mut Transfer, cx: &mut Cx<'_, Self>) {
        t.is_leaving = true;
        match &mut t.state {
            State::New | State::Over => cx.close(CloseReason::Shutdown),
            State::Sending(..) | State::Opening => {}
            State::Receiving(receiver, _) if receiver.is_whole() => {
                cx.close(CloseReason::Shutdown);
            }
            State::Receiving(receiver, incoming) => {
                if !incoming.is_all && incoming.ended.is_none() {
                    receiver.fail(leaving(), &mut self.tftp.effects);
                    self.pump(t, cx);
                }
            }
        }
    }

    /// Does what a machine has asked for, and what it asks for then, and waits for its deadline.
    fn pump(&mut self, t: &mut Transfer, cx: &mut Cx<'_, Self>) {
        loop {
            for packet in self.tftp.effects.packets() {
                if !cx.is_closing() {
                    cx.send(packet);
                }
            }
            let wanted: Vec<Effect> = self.tftp.effects.drain().collect();
            self.tftp.effects.clear();
            if wanted.is_empty() {
                break;
            }
            for effect in wanted {
                self.apply(t, effect, cx);
            }
        }
        self.move_on(t, cx);
        let due = match &t.state {
            State::Sending(sender, _) => sender.deadline(),
            State::Receiving(receiver, _) => receiver.deadline(),
            State::New | State::Opening | State::Over => None,
        };
        match due {
            Some(due) => cx.set_deadline(due.saturating_sub(time(cx.now()))),
            None => cx.clear_deadline(),
        }
    }

    fn apply(&mut self, t: &mut Transfer, effect: Effect, cx: &mut Cx<'_, Self>) {
        match (effect, &mut t.state) {
            (Effect::Proved, _) => cx.peer_is_proved(),
            (Effect::Read { offset, len }, State::Sending(..)) => self.read(t, offset, len, cx),
            (Effect::Write { offset, bytes }, State::Receiving(receiver, incoming)) => {
                let Some(upload) = incoming.upload.clone() else {
                    return;
                };
                let work = Work::Write {
                    upload,
                    offset,
                    bytes,
                };
                match cx.offload(&self.lane, work) {
                    Ok(()) => incoming.writing += 1,
                    Err(_) => receiver.fail(busy(), &mut self.tftp.effects),
                }
            }
            (Effect::Publish { .. }, State::Receiving(_, incoming)) => incoming.is_all = true,
            (Effect::Ended(end), State::Receiving(_, incoming)) => {
                incoming.ended = Some(reason_of(&end, CloseReason::UploadCut));
            }
            (Effect::Ended(end), _) => {
                t.state = State::Over;
                cx.close(reason_of(&end, CloseReason::FileFailed));
            }
            // What machines of a client say, or what belongs to the other kind.
            (Effect::Agreed(_) | Effect::Read { .. } | Effect::Write { .. }, _)
            | (Effect::Publish { .. }, _) => {}
        }
    }

    /// Reads a part of the file here if it is in memory, else on the lane.
    fn read(&mut self, t: &mut Transfer, offset: u64, len: usize, cx: &mut Cx<'_, Self>) {
        let State::Sending(sender, file) = &mut t.state else {
            return;
        };
        let (now, Scratch { effects, buffer }) = (time(cx.now()), &mut self.tftp);
        buffer.resize(buffer.len().max(len), 0);
        match read_warm(&file.file, &mut buffer[..len], offset) {
            // Looked at behind the read, so that what goes out is what was there before.
            Ok(Warm::Read(_)) if file.still_same().is_err() => sender.changed(effects),
            Ok(Warm::Read(read)) => sender.data(offset, &buffer[..read], now, effects),
            Ok(Warm::Cold | Warm::Unknown) => {
                let file = Arc::clone(file);
                if cx
                    .offload(&self.lane, Work::Read { file, offset, len })
                    .is_err()
                {
                    sender.fail(busy(), effects);
                }
            }
            Err(error) => sender.fail(answer_to_refusal(&error.into()), effects),
        }
    }

    /// Goes on with an upload once all its writes are done.
    fn move_on(&mut self, t: &mut Transfer, cx: &mut Cx<'_, Self>) {
        let State::Receiving(receiver, incoming) = &mut t.state else {
            return;
        };
        if incoming.writing > 0 {
            return;
        }
        if let Some(reason) = incoming.ended {
            if let Some(upload) = incoming.upload.take() {
                self.keep(upload, cx);
            }
            t.state = State::Over;
            return cx.close(reason);
        }
        if incoming.is_all
            && let Some(upload) = incoming.upload.take()
            && cx.offload(&self.lane, Work::Publish(upload, None)).is_err()
        {
            receiver.fail(busy(), &mut self.tftp.effects);
            self.pump(t, cx);
        }
    }

    fn keep(&mut self, upload: Arc<Upload>, cx: &mut Cx<'_, Self>) {
        let keep = Work::Keep(upload);
        let _ = cx.service().offload(&self.lane, SourceId::NOBODY, keep);
    }
}

/// Sends an error, the only packet of its transfer, and ends it.
fn refuse(t: &mut Transfer, refusal: &Refusal, cx: &mut Cx<'_, Files>) {
    t.state = State::Over;
    cx.send(&refusal.packet());
    cx.close(CloseReason::NotAnswered);
}

/// The name that is asked for; many clients put a '/' in front.
fn named(request: &Request<'_>) -> Result<Name, Refusal> {
    let name = request.name.strip_prefix(b"/").unwrap_or(request.name);
    Name::parse(name).map_err(answer_to_name)
}

fn reason_of(end: &End, failed: CloseReason) -> CloseReason {
    match end {
        End::Whole => CloseReason::Answered,
        End::Refused { .. } => CloseReason::ClientLeft,
        End::Changed => CloseReason::FileChanged,
        End::Silent => CloseReason::Vanished,
        End::Failed(_) => failed,
    }
}

#[cfg(test)]
mod tests;
