//! Bulk data between files and peers, past the sessions.
//!
//! The end of a file is read into one buffer that all connections share, and written to the socket at
//! once: what the socket does not take is read again later, so nothing is kept. What comes before is
//! sent without a copy (`pages`). Either asks first for what is in the page cache only (`RWF_NOWAIT`,
//! preadv2(2)); where that would block, a lane reads ahead first. What a peer sends for a file is written
//! on the lane too, one piece after the other, so that what is in the file has no gaps whenever it ends.

mod lane;
mod pages;
mod receive;
mod send;

pub(super) use self::lane::{FileDone, Files};
pub(super) use self::receive::Receiving;
pub(super) use self::send::{Pumped, Sending};

use super::Reactor;
use super::connection::{Intake, Phase};
use crate::service::{CloseReason, SourceId, TransferEnd};

impl Reactor {
    /// Writes what waits: kept bytes first, then the file behind them.
    pub(super) fn flush(&mut self, id: SourceId) {
        let Self {
            sources,
            files,
            poll,
            now,
            ..
        } = self;
        let Some(c) = sources.connection(id) else {
            return;
        };
        let pumped = match c.sends_file() {
            true => c.pump(id, files),
            false if c.flush() => Pumped::Moved,
            false => Pumped::Blocked,
        };
        let mut ended = None;
        match pumped {
            Pumped::Moved => c.active_at = *now,
            Pumped::Blocked => {}
            Pumped::Cold(job) => files.submit(id, job),
            Pumped::Ended(end) => {
                c.active_at = *now;
                ended = Some(end);
            }
        }
        c.ask(id, poll.registry());
        if let Some(end) = ended {
            self.sending_ended(id, end);
        }
    }

    fn sending_ended(&mut self, id: SourceId, end: TransferEnd) {
        let Some(c) = self.sources.connection(id) else {
            return;
        };
        match (c.phase, end) {
            (Phase::Open, _) => {
                self.call_session(id, |host, session, call| {
                    host.transferred(session, end, call);
                });
            }
            (_, TransferEnd::Whole) => {}
            // Nobody is left to decide: what the peer has must not look whole.
            (_, TransferEnd::Changed) => c.reset(CloseReason::FileChanged),
            (_, _) => c.reset(CloseReason::FileFailed),
        }
    }

    /// Has what was received written, and tells the session when all of it is.
    pub(super) fn turn_receiving(&mut self, id: SourceId) {
        let Self { sources, files, .. } = self;
        let Some(c) = sources.connection(id) else {
            return;
        };
        let Some(receiving) = c.receiving() else {
            return;
        };
        if let Some(job) = receiving.next_job() {
            files.submit(id, job);
        }
        let Some(end) = receiving.ended() else {
            return;
        };
        c.end_receiving();
        if c.phase != Phase::Open {
            return;
        }
        // What came behind the file is offered next.
        c.intake = Intake::Resumed;
        self.call_session(id, |host, session, call| {
            host.transferred(session, end, call);
        });
        let open = self
            .sources
            .connection(id)
            .is_some_and(|c| c.phase == Phase::Open);
        if open && matches!(end, TransferEnd::Cut { .. }) {
            self.call_session(id, |host, session, call| {
                host.end_of_input(session, &[], call);
            });
        }
    }

    /// Takes what the lane has done for files, a bounded number of results. True where more may wait.
    pub(super) fn take_file_results(&mut self) -> bool {
        for _ in 0..crate::config::limits::RESULTS_PER_TURN {
            let Some((id, done)) = self.files.result() else {
                return false;
            };
            let Some(c) = self.sources.connection(id) else {
                continue;
            };
            let kept_before = c.kept();
            match done {
                FileDone::Warmed(result) => c.warmed(result),
                FileDone::Written(result) => {
                    if let Some(receiving) = c.receiving() {
                        receiving.written(result);
                    }
                    self.turn_receiving(id);
                }
            }
            self.conclude(id, kept_before);
        }
        true
    }
}
