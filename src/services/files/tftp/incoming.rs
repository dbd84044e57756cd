//! A file that comes in. Nothing is made of it before its first block has come: a request is easily
//! forged, and unfinished uploads are few. What comes while the lane begins it waits here, which is
//! no more than may be on its way to the disk anyway.

use super::super::options::Upload as Uploading;
use super::super::refusal::Refusal as FileRefusal;
use super::super::uploads::Prospect;
use super::super::work::{Done, Wish, Work};
use super::super::{Files, owner_of};
use super::refused::answer_to_refusal;
use super::transfer::{Incoming, Left, State, Transfer};
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
            Ok(()) => incoming.is_beginning = true,
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
                incoming.is_beginning = false;
                let waiting = std::mem::take(&mut incoming.waiting);
                let offset = receiver.terms().offset;
                match begun {
                    Ok(upload) if upload.kept == offset => {
                        incoming.has_begun(upload);
                        for (offset, bytes) in waiting {
                            self.write(t, offset, bytes, cx);
                        }
                    }
                    Ok(upload) => {
                        incoming.has_begun(upload);
                        let message = "what was kept of it is no longer there; try again";
                        receiver.fail(Refusal::new(Code::UNDEFINED, message), effects);
                    }
                    Err(refusal) => receiver.fail(answer_to_refusal(&refusal), effects),
                }
            }
            Done::Wrote(wrote) => {
                incoming.writing -= 1;
                match wrote {
                    Ok(bytes) => {
                        incoming.left = Left::Part;
                        receiver.written(bytes, now, effects);
                    }
                    Err(refusal) => receiver.fail(answer_to_refusal(&refusal), effects),
                }
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
                incoming.is_keeping = false;
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

    /// Has the lane write what has come, once there is something to write to.
    pub(super) fn write(
        &mut self,
        t: &mut Transfer,
        offset: u64,
        bytes: Vec<u8>,
        cx: &mut Cx<'_, Self>,
    ) {
        let State::Receiving(receiver, incoming) = &mut t.state else {
            return;
        };
        if incoming.is_beginning {
            return incoming.waiting.push((offset, bytes));
        }
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

    /// Goes on with an upload once all its writes are done.
    pub(super) fn move_on(&mut self, t: &mut Transfer, cx: &mut Cx<'_, Self>) {
        let State::Receiving(receiver, incoming) = &mut t.state else {
            return;
        };
        if incoming.writing > 0 || incoming.is_beginning || incoming.is_keeping {
            return;
        }
        if let Some(end) = &incoming.ended {
            let has_failed = matches!(end, End::Failed(_));
            if let Some(upload) = incoming.upload.take() {
                let keep = Work::Keep(upload);
                if has_failed {
                    // Where the lane has no room it is dropped, and so left as it is.
                    incoming.is_keeping = cx.offload(&self.lane, keep).is_ok();
                } else {
                    let _ = cx.service().offload(&self.lane, SourceId::NOBODY, keep);
                }
            }
            if incoming.is_keeping {
                return;
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
