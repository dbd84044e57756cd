//! TFTP: one session is one transfer, and the machines of `wire::tftp` say what happens in it.
//!
//! Here are only names, files and the lane. Blocks are read here where they are in memory, which
//! takes microseconds, and by the lane where they are not; writes and names are the lane's.

mod incoming;
mod refused;
mod transfer;

use std::sync::Arc;
use std::time::Duration;

use self::incoming::wish_of;
use self::refused::{answer_to_name, answer_to_refusal};
use self::transfer::State;
pub use self::transfer::Transfer;
use super::Files;
use super::cached::{Warm, read_warm};
use super::name::Name;
use super::root::Opened;
use super::work::{Done, Work};
use crate::config::limits::TFTP_REQUEST_BYTES_MAX;
use crate::service::{CloseReason, Cx, Moment};
use crate::wire::tftp::{
    BUSY, Code, Effect, Effects, End, LEAVING, Packet, Refusal, Request, Sender,
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
    Refusal::new(Code::UNDEFINED, BUSY)
}

fn leaving() -> Refusal {
    Refusal::new(Code::UNDEFINED, LEAVING)
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
            // It is kept, to be told from another one.
            Ok(Packet::Read(_) | Packet::Write(_)) if datagram.len() > TFTP_REQUEST_BYTES_MAX => {
                let message = format!("a request has at most {TFTP_REQUEST_BYTES_MAX} bytes");
                Err(Refusal::new(Code::ILLEGAL_OPERATION, message))
            }
            Ok(Packet::Read(request)) => named(&request).map(Work::Open),
            Ok(Packet::Write(request)) => wish_of(&request, cx).map(Work::Look),
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
            (State::Opening, Done::Looked(Ok(prospect))) => self.serve_write(t, prospect, cx),
            (State::Opening, Done::Opened(Err(refusal)) | Done::Looked(Err(refusal))) => {
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
            (State::Receiving(..), done) => self.upload_done(t, done, cx),
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
                // The error of an upload waits until its name is free.
                let waits = matches!((&t.state, packet), (State::Receiving(..), [0, 5, ..]));
                if !waits && !cx.is_closing() {
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
            (Effect::Proved, _) => {
                cx.peer_is_proved();
                self.begin_upload(t, cx);
            }
            (Effect::Read { offset, len }, State::Sending(..)) => self.read(t, offset, len, cx),
            (Effect::Write { offset, bytes }, State::Receiving(..)) => {
                self.write(t, offset, bytes, cx);
            }
            (Effect::Publish { .. }, State::Receiving(_, incoming)) => incoming.is_all = true,
            (Effect::Ended(end), State::Receiving(_, incoming)) => incoming.ended = Some(end),
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
}

/// Sends an error, the only packet of its transfer, and ends it.
fn refuse(t: &mut Transfer, refusal: &Refusal, cx: &mut Cx<'_, Files>) {
    t.state = State::Over;
    cx.send(&refusal.packet());
    cx.close(CloseReason::RequestRefused);
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
