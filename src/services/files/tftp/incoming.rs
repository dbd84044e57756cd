//! A file that comes in. Nothing is made of it before its first block has come: a request is easily
//! forged, and unfinished uploads are few. What comes while the lane begins it waits here, which is
//! no more than may be on its way to the disk anyway.

use std::sync::Arc;

use super::super::options::Upload as Uploading;
use super::super::refusal::Refusal as FileRefusal;
use super::super::uploads::Prospect;
use super::super::work::{Done, Wish, Work};
use super::super::{Files, owner_of};
use super::refused::answer_to_refusal;
use super::transfer::{Incoming, Left, State, Transfer, UnderWay};
use super::{busy, named, reason_of, refuse, time};
use crate::service::{Cx, SourceId};
use crate::wire::tftp::{Code, End, Mode, Packet, Receiver, Refusal, Request, Room};

impl Files {
    /// What an upload would find is known: its request is answered.
    pub(super) fn serve_write(
        &mut self,
        t: &mut Transfer,
        prospect: Prospect,
        cx: &mut Cx<'_, Self>,
    ) {
        let Ok(Packet::Write(request)) = Packet::parse(&t.request) else {
            return;
        };
        let room = Room {
            kept: prospect.kept,
            most: prospect.most,
        };
        match Receiver::serve(&request, room, time(cx.now()), &mut self.tftp.effects) {
            Ok(receiver) => t.state = State::Receiving(Box::new(receiver), Incoming::default()),
            Err(refusal) => refuse(t, &refusal, cx),
        }
    }

    /// The first block has come, so the client is there: the upload begins.
    pub(super) fn begin_upload(&mut self, t: &mut Transfer, cx: &mut Cx<'_, Self>) {
        let State::Receiving(receiver, incoming) = &mut t.state else {
            return;
        };
        let Ok(Packet::Write(request)) = Packet::parse(&t.request) else {
            return;
        };
        let begun = wish_of(&request, cx).and_then(|wish| {
            let offset = receiver.terms().offset;
            let work = Work::Begin(Wish { offset, ..wish });
            cx.offload(&self.lane, work).map_err(|_| busy())
        });
        match begun {
            Ok(()) => incoming.under_way = UnderWay::Beginning,
            Err(refusal) => receiver.fail(refusal, &mut self.tftp.effects),
        }
    }

    /// A piece of its work is done.
    pub(super) fn upload_done(&mut self, t: &mut Transfer, done: Done, cx: &mut Cx<'_, Self>) {
        let State::Receiving(receiver, incoming) = &mut t.state else {
            return;
        };
        let (now, effects) = (time(cx.now()), &mut self.tftp.effects);
        match done {
            Done::Begun(begun) => {
                incoming.under_way = UnderWay::Nothing;
                match begun {
                    Ok(upload) if upload.kept == receiver.terms().offset => {
                        incoming.has_begun(upload);
                        self.write_on(t, cx);
                    }
                    Ok(upload) => {
                        incoming.has_begun(upload);
                        let message = "what was kept of it is no longer there; try again";
                        incoming.tear();
                        receiver.fail(Refusal::new(Code::UNDEFINED, message), effects);
                    }
                    Err(refusal) => {
                        incoming.tear();
                        receiver.fail(answer_to_refusal(&refusal), effects);
                    }
                }
            }
            Done::Wrote(Ok(bytes)) => {
                (incoming.under_way, incoming.left) = (UnderWay::Nothing, Left::Part);
                receiver.written(bytes, now, effects);
                self.write_on(t, cx);
            }
            Done::Wrote(Err(refusal)) => {
                incoming.tear();
                receiver.fail(answer_to_refusal(&refusal), effects);
            }
            Done::Published(Ok(_)) => {
                receiver.published(now, effects);
                cx.work_is_done();
            }
            Done::Published(Err(refusal)) => {
                incoming.left = match &refusal {
                    FileRefusal::NotSafe(_) => Left::Unsafe,
                    refusal if !refusal.keeps_partial() => Left::Nothing,
                    _ => incoming.left,
                };
                receiver.fail(answer_to_refusal(&refusal), effects);
            }
            Done::Kept(kept) => {
                incoming.under_way = UnderWay::Nothing;
                incoming.left = match kept {
                    Ok(1..) => Left::Part,
                    Err(refusal) if refusal.keeps_partial() => Left::Part,
                    Ok(0) | Err(_) => Left::Nothing,
                };
            }
            // Work gives the result of its kind.
            _ => {}
        }
    }

    /// Has the lane write what has come, behind what it does already.
    pub(super) fn write(
        &mut self,
        t: &mut Transfer,
        offset: u64,
        bytes: Vec<u8>,
        cx: &mut Cx<'_, Self>,
    ) {
        let State::Receiving(_, incoming) = &mut t.state else {
            return;
        };
        match &mut incoming.waiting {
            // Each write begins where the one before ended.
            Some((_, waiting)) => waiting.extend_from_slice(&bytes),
            None => incoming.waiting = Some((offset, bytes)),
        }
        self.write_on(t, cx);
    }

    /// Has the lane write what waits, if it is free.
    fn write_on(&mut self, t: &mut Transfer, cx: &mut Cx<'_, Self>) {
        let State::Receiving(receiver, incoming) = &mut t.state else {
            return;
        };
        let (UnderWay::Nothing, Some(upload)) = (incoming.under_way, &incoming.upload) else {
            return;
        };
        let Some((offset, bytes)) = incoming.waiting.take() else {
            return;
        };
        let work = Work::Write {
            upload: Arc::clone(upload),
            offset,
            bytes,
        };
        if cx.offload(&self.lane, work).is_ok() {
            incoming.under_way = UnderWay::Writing;
        } else {
            incoming.tear();
            receiver.fail(busy(), &mut self.tftp.effects);
        }
    }

    /// Goes on with an upload once all its writes are done.
    pub(super) fn move_on(&mut self, t: &mut Transfer, cx: &mut Cx<'_, Self>) {
        let State::Receiving(receiver, incoming) = &mut t.state else {
            return;
        };
        if !incoming.is_at_rest() {
            return;
        }
        if let Some(end) = &incoming.ended {
            let has_failed = matches!(end, End::Failed(_));
            if let Some(upload) = incoming.upload.take() {
                let keep = Work::Keep(upload);
                if has_failed {
                    // Where the lane has no room it is dropped, and so left as it is.
                    if cx.offload(&self.lane, keep).is_ok() {
                        incoming.under_way = UnderWay::Keeping;
                        return;
                    }
                } else {
                    let _ = cx.service().offload(&self.lane, SourceId::NOBODY, keep);
                }
            }
            if let End::Failed(refusal) = end {
                cx.send(&refusal.packet());
            }
            cx.close(reason_of(end, incoming.left.reason(t.is_leaving)));
            t.state = State::Over;
            return;
        }
        if incoming.is_all
            && let Some(upload) = incoming.upload.take()
            && cx.offload(&self.lane, Work::Publish(upload, None)).is_err()
        {
            receiver.fail(busy(), &mut self.tftp.effects);
            self.pump(t, cx);
        }
    }
}

/// What a write asks for.
pub(super) fn wish_of(request: &Request<'_>, cx: &Cx<'_, Files>) -> Result<Wish, Refusal> {
    let upload = cx.options().upload;
    if upload == Uploading::No {
        let message = "nothing is uploaded here";
        return Err(Refusal::new(Code::ACCESS_VIOLATION, message));
    }
    let size = request.options.size;
    Ok(Wish {
        name: named(request)?,
        // Some say 0 where they do not know; of text it is another number than the file's.
        size: size.filter(|size| *size > 0 && request.mode == Mode::Octet),
        offset: request.options.offset.unwrap_or(0),
        owner: owner_of(cx.peer()),
        replace: upload == Uploading::Replace,
    })
}

#[cfg(test)]
mod tests;
