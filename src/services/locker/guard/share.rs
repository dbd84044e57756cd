//! The ceiling of guesses at one locker, cut in shares, so that an attack from many sources leaves
//! something for the owner.

use super::Source;
use super::bucket::{Bucket, Rule};
use crate::config::limits::{LOCKER_SHARE_BURST, LOCKER_SHARE_INTERVAL};
use crate::service::Moment;

/// A part of the guesses at a locker. A source takes from the share of those it may use that has one
/// first; the earlier in this list where several do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// For sources that have shown the password before.
    Known,
    /// For users at a Unix socket.
    User,
    /// For sources that never had a try at the locker. Each attacker uses it once, so that a new
    /// source gets a turn at last, however many attack.
    New,
    /// For all.
    Common,
}

const SHARES: [Share; 4] = [Share::Known, Share::User, Share::New, Share::Common];

const SHARE: Rule = Rule {
    interval: LOCKER_SHARE_INTERVAL,
    burst: LOCKER_SHARE_BURST,
};

/// The shares of one locker.
#[derive(Debug, Default)]
pub(super) struct Shares([Bucket; SHARES.len()]);

/// A guess that was taken from a share.
#[derive(Debug)]
pub(super) struct Taken {
    share: Share,
    mark: Moment,
}

impl Shares {
    /// Of the shares that such a source may use, the one that has a guess first, and when.
    pub(super) fn soonest(
        &self,
        source: Source,
        is_known: bool,
        is_new: bool,
        now: Moment,
    ) -> (Share, Moment) {
        let may_use = |share: &Share| match share {
            Share::Known => is_known,
            Share::User => matches!(source, Source::User(_)),
            Share::New => is_new,
            Share::Common => true,
        };
        let moment = |share: Share| (share, self.0[share as usize].earliest(SHARE, now));
        let soonest = SHARES.into_iter().filter(may_use).map(moment);
        let first = soonest.min_by_key(|(_, at)| *at);
        first.unwrap_or_else(|| moment(Share::Common))
    }

    /// Takes a guess from that share.
    pub(super) fn take(&mut self, share: Share, now: Moment) -> Taken {
        let mark = self.0[share as usize].take(SHARE, now);
        Taken { share, mark }
    }

    /// It was no guess.
    pub(super) fn refund(&mut self, taken: &Taken) {
        self.0[taken.share as usize].refund(SHARE);
    }

    /// It was not made.
    pub(super) fn hand_back(&mut self, taken: &Taken) {
        self.0[taken.share as usize].hand_back(SHARE, taken.mark);
    }
}
