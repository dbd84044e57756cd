//! Uploads on the text wire: begun, received in pieces, published.

use std::sync::Arc;

use super::hash::Comparing;
use super::refusal::Refusal;
use super::task::Task;
use super::uploads::Upload;
use super::work::Work;
use super::{Files, Session};
use crate::config::limits::UPLOAD_CHECK_BYTES;
use crate::service::{BYE, CloseReason, Cx, ReceiveFile, SourceId, TransferEnd};

/// An upload whose bytes come.
pub struct Put {
    pub(super) upload: Arc<Upload>,
    at: u64,
    end: u64,
    /// The hash that the whole has to have.
    hash: Option<String>,
}

impl Put {
    /// How many bytes come before the next look at the room.
    fn piece(&self) -> u64 {
        (self.end - self.at).min(UPLOAD_CHECK_BYTES)
    }
}

impl Files {
    /// An upload is begun: the client is told how much is kept.
    pub(super) fn begun(
        &mut self,
        s: &mut Session,
        upload: Arc<Upload>,
        hash: Option<String>,
        cx: &mut Cx<'_, Self>,
    ) {
        let (at, end) = (upload.kept, upload.size().unwrap_or(upload.kept));
        cx.send_text(format_args!("ok {at}\n"));
        let put = Put {
            upload,
            at,
            end,
            hash,
        };
        self.checked(s, put, Ok(()), cx);
    }

    fn next_piece(&mut self, s: &mut Session, put: Put, cx: &mut Cx<'_, Self>) {
        if put.at == put.end {
            return self.publish(s, put, cx);
        }
        cx.receive_file(ReceiveFile {
            file: Arc::clone(&put.upload) as _,
            from: put.at,
            len: put.piece(),
        });
        s.task = Some(Box::new(Task::Receiving(put)));
    }

    fn publish(&mut self, s: &mut Session, put: Put, cx: &mut Cx<'_, Self>) {
        let comparing = put.hash.map(|hash| Box::new(Comparing::new(hash)));
        let work = Work::Publish(put.upload, comparing);
        self.offload_last(s, Task::Publishing, work, cx);
    }

    /// A piece has come, or not.
    pub(super) fn received(
        &mut self,
        s: &mut Session,
        mut put: Put,
        end: TransferEnd,
        cx: &mut Cx<'_, Self>,
    ) {
        match end {
            TransferEnd::Whole => {
                put.at += put.piece();
                if put.at == put.end {
                    return self.publish(s, put, cx);
                }
                let work = Work::Check(Arc::clone(&put.upload));
                self.offload_last(s, Task::Checking(put), work, cx);
            }
            TransferEnd::Cut { .. } | TransferEnd::Changed => self.leave(s, put, cx),
            TransferEnd::Failed(errno) => {
                let refusal = Refusal::from(rustix::io::Errno::from_raw_os_error(errno));
                self.refuse(s, &refusal.to_string(), cx);
                self.leave(s, put, cx);
            }
        }
    }

    pub(super) fn checked(
        &mut self,
        s: &mut Session,
        put: Put,
        checked: Result<(), Refusal>,
        cx: &mut Cx<'_, Self>,
    ) {
        match checked {
            Ok(()) if !s.leaving => self.next_piece(s, put, cx),
            Ok(()) => {
                cx.send(BYE);
                self.leave(s, put, cx);
            }
            Err(refusal) => {
                self.refuse(s, &refusal.to_string(), cx);
                self.leave(s, put, cx);
            }
        }
    }

    /// What has come is kept, and the connection ends: what the client still sends is no command.
    fn leave(&mut self, s: &mut Session, put: Put, cx: &mut Cx<'_, Self>) {
        s.task = None;
        let keep = Work::Keep(put.upload);
        let _ = cx.service().offload(&self.lane, SourceId::NOBODY, keep);
        cx.close(match s.leaving {
            true => CloseReason::Shutdown,
            false => CloseReason::UploadCut,
        });
    }

    /// A piece of work of an upload under way: where there is no room for it the upload is left.
    pub(super) fn offload_last(
        &mut self,
        s: &mut Session,
        task: Task,
        work: Work,
        cx: &mut Cx<'_, Self>,
    ) {
        if cx.offload(&self.lane, work).is_ok() {
            s.task = Some(Box::new(task));
            return cx.pause();
        }
        self.refuse(s, "busy, try again: what has come is kept", cx);
        cx.close(CloseReason::Busy);
    }
}
