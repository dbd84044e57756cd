//! Who is next. A source stands in the queue at most once: it carries the bit that says so.

use std::collections::VecDeque;

use crate::service::SourceId;

/// Sources with work to do, served in order, one bounded turn each.
#[derive(Debug, Default)]
pub(super) struct RunQueue {
    ids: VecDeque<SourceId>,
}

impl RunQueue {
    /// Puts a source at the back, unless `queued` says that it stands there already.
    pub(super) fn push(&mut self, id: SourceId, queued: &mut bool) {
        if !std::mem::replace(queued, true) {
            self.ids.push_back(id);
        }
    }

    pub(super) fn pop(&mut self) -> Option<SourceId> {
        self.ids.pop_front()
    }

    /// Puts the first `count` behind all others.
    pub(super) fn yield_heads(&mut self, count: usize) {
        self.ids.rotate_left(count);
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}
