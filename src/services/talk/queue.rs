//! Who waits for the operator, the longest first.

use std::collections::BTreeMap;

use crate::config::limits::TALK_WAITING_MAX;
use crate::service::{Moment, SourceId};

/// A client whose message was shown.
pub struct Waiting {
    /// The connection's number, by which the operator names it.
    pub number: u32,
    /// Where the answer goes.
    pub id: SourceId,
    /// The peer, for the operator to read.
    pub from: String,
    /// The message was a line.
    pub line: bool,
    /// When it was shown.
    pub since: Moment,
    /// The client has ended its writing since.
    pub ended: bool,
}

/// The queue. Each client stands in it once: under its ticket, and by its number.
#[derive(Default)]
pub struct Queue {
    by_ticket: BTreeMap<u64, Waiting>,
    tickets: BTreeMap<u32, u64>,
    next_ticket: u64,
}

impl Queue {
    /// Puts a client behind all others; false where the queue is full.
    pub fn push(&mut self, waiting: Waiting) -> bool {
        if self.by_ticket.len() >= TALK_WAITING_MAX {
            return false;
        }
        self.next_ticket += 1;
        self.tickets.insert(waiting.number, self.next_ticket);
        self.by_ticket.insert(self.next_ticket, waiting);
        debug_assert_eq!(self.by_ticket.len(), self.tickets.len());
        true
    }

    /// Takes out whoever has waited longest.
    pub fn take_oldest(&mut self) -> Option<Waiting> {
        let (_, oldest) = self.by_ticket.pop_first()?;
        self.tickets.remove(&oldest.number);
        debug_assert_eq!(self.by_ticket.len(), self.tickets.len());
        Some(oldest)
    }

    /// Takes out the client of that number, if it waits.
    pub fn take(&mut self, number: u32) -> Option<Waiting> {
        let ticket = self.tickets.remove(&number)?;
        let waiting = self.by_ticket.remove(&ticket);
        debug_assert_eq!(self.by_ticket.len(), self.tickets.len());
        waiting
    }

    /// Remembers that the client of that number has ended its writing.
    pub fn note_end(&mut self, number: u32) {
        let ticket = self.tickets.get(&number);
        if let Some(waiting) = ticket.and_then(|ticket| self.by_ticket.get_mut(ticket)) {
            waiting.ended = true;
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.by_ticket.len()
    }

    /// All, the longest first.
    pub fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.by_ticket.values()
    }
}
