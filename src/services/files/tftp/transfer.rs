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
    /// What the lane does for it; one thing at a time, so that what is written has no hole.
    pub(super) under_way: UnderWay,
    /// What has come meanwhile, and where it belongs.
    pub(super) waiting: Option<(u64, Vec<u8>)>,
    /// All has come, and is to be published behind the last write.
    pub(super) is_all: bool,
    /// Nothing more comes; what has is to be kept behind the last write.
    pub(super) ended: Option<End>,
    /// What is left of it where it fails.
    pub(super) left: Left,
}

/// What the lane does for an upload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum UnderWay {
    /// Nothing.
    #[default]
    Nothing,
    /// It begins it.
    Beginning,
    /// It writes what has come.
    Writing,
    /// It puts away what has come of one that failed; the error goes out behind that.
    Keeping,
    /// Nothing any more: something could not be written, so nothing behind it may be.
    Torn,
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
    /// Whether the lane does nothing for it.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self.under_way, UnderWay::Nothing | UnderWay::Torn)
    }

    /// Something of it is missing: what comes behind that is not written.
    pub(super) fn tear(&mut self) {
        self.under_way = UnderWay::Torn;
    }

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
