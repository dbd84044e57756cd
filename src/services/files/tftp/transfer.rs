//! What is remembered of one transfer.

use std::sync::Arc;

use super::super::root::Opened;
use super::super::uploads::Upload;
use crate::service::CloseReason;
use crate::wire::tftp::{End, Packet, Receiver, Sender};

/// One transfer.
#[derive(Default)]
pub struct Transfer {
    /// The request as it came; the same again is no new one.
    pub(super) request: Vec<u8>,
    pub(super) state: State,
    /// The server is going down.
    pub(super) is_leaving: bool,
}

/// How far a transfer has come.
#[derive(Default)]
pub(super) enum State {
    /// Nothing has come.
    #[default]
    New,
    /// The lane opens the file, or begins the upload.
    Opening,
    /// A file goes out.
    Sending(Box<Sender>, Arc<Opened>),
    /// A file comes in.
    Receiving(Box<Receiver>, Incoming),
    /// It is over.
    Over,
}

/// A file that comes in.
#[derive(Default)]
pub(super) struct Incoming {
    /// `None` until it has begun, and once it is being published.
    pub(super) upload: Option<Arc<Upload>>,
    /// The lane begins it.
    pub(super) is_beginning: bool,
    /// What has come meanwhile, and where it belongs.
    pub(super) waiting: Vec<(u64, Vec<u8>)>,
    /// Writes that the lane has not done yet.
    pub(super) writing: usize,
    /// All has come, and is to be published behind the last write.
    pub(super) is_all: bool,
    /// Nothing more comes; what has is to be kept behind the last write.
    pub(super) ended: Option<End>,
    /// What has come of one that failed is being put away; the error goes out behind that.
    pub(super) is_keeping: bool,
    /// What is left of it where it fails.
    pub(super) left: Left,
}

/// What is left of an upload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Left {
    /// No byte.
    #[default]
    Nothing,
    /// A part that the client can go on with.
    Part,
    /// The whole file, under its name; it may be lost where the power fails.
    Unsafe,
}

impl Incoming {
    /// The lane has begun it.
    pub(super) fn has_begun(&mut self, upload: Arc<Upload>) {
        if upload.kept > 0 {
            self.left = Left::Part;
        }
        self.upload = Some(upload);
    }
}

impl Left {
    /// Why the connection of an upload that failed ends.
    pub(super) fn reason(self, is_leaving: bool) -> CloseReason {
        match self {
            Self::Nothing if is_leaving => CloseReason::Shutdown,
            Self::Nothing => CloseReason::UploadRefused,
            Self::Part => CloseReason::UploadCut,
            Self::Unsafe => CloseReason::OutcomeUnknown,
        }
    }
}

impl Transfer {
    /// The upload that is in its hands, if one is.
    pub(in super::super) fn into_upload(self) -> Option<Arc<Upload>> {
        match self.state {
            State::Receiving(_, incoming) => incoming.upload,
            _ => None,
        }
    }

    /// Whether that request begins another transfer, and does not only come again.
    pub(super) fn is_ended_by(&self, datagram: &[u8]) -> bool {
        let may_be = matches!(datagram, [0, 1 | 2, ..]) && !matches!(self.state, State::New);
        let is_request = || {
            matches!(
                Packet::parse(datagram),
                Ok(Packet::Read(_) | Packet::Write(_))
            )
        };
        let is_done = match &self.state {
            State::Receiving(receiver, _) => receiver.is_whole(),
            State::Sending(sender, _) => sender.is_stalled(),
            _ => false,
        };
        may_be && (is_done || datagram != self.request) && is_request()
    }
}
