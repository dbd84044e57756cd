//! The turn of a UDP socket: what it takes from the kernel, and how much at a time.

use log::{debug, warn};
use nix::errno::Errno;

use super::socket::{Inbox, Taken};
use super::{BATCH_FIRST, DatagramSocket};
use crate::config::limits::{
    ACCEPT_ERRORS_IN_A_ROW, DATAGRAM_BYTES_PER_TURN, DATAGRAM_DROPS_SAID, DATAGRAMS_PER_CALL,
};
use crate::reactor::Reactor;
use crate::service::{Moment, SourceId};

impl Reactor {
    /// One turn of a UDP socket: send what waits, take datagrams, send the answers.
    ///
    /// While answers wait for a full socket nothing is taken: what comes then waits in the kernel's
    /// buffer, which is the larger one.
    pub(in crate::reactor) fn turn_datagrams(&mut self, id: SourceId) {
        // It counts as queued while it has its turn: what its sessions send leaves at the end of it.
        self.flush_datagrams(id);
        if self.sources.datagram(id).is_some_and(|s| s.wants_read()) {
            self.take_datagrams(id);
            self.flush_datagrams(id);
        }
        self.end_refused_flow(id);
        let Self {
            sources, run_queue, ..
        } = self;
        if let Some(socket) = sources.datagram(id) {
            socket.queued = false;
            if socket.wants_read() {
                run_queue.push(id, &mut socket.queued);
            }
        }
    }

    /// Gives datagrams to their sessions: the rest of the last batch, or those of a new one. So many
    /// have their turn, and the others the next: a sender that sends many as one gets no more of the
    /// loop than others.
    fn take_datagrams(&mut self, id: SourceId) {
        let rest = self.sources.datagram(id).and_then(|s| s.rest.take());
        let mut inbox = match rest {
            Some(rest) => rest,
            None => {
                let mut inbox = self.udp.inbox.take().unwrap_or_else(Inbox::new);
                self.take_batch(id, &mut inbox);
                inbox
            }
        };
        for _ in 0..DATAGRAMS_PER_CALL {
            let Some((arrival, payload)) = inbox.next() else {
                break;
            };
            self.arrive(id, arrival, payload);
        }
        match self.sources.datagram(id) {
            Some(socket) if !inbox.is_empty() => socket.rest = Some(inbox),
            _ => self.udp.inbox = Some(inbox),
        }
    }

    fn take_batch(&mut self, id: SourceId, inbox: &mut Inbox) {
        let now = self.now;
        let Self {
            sources, services, ..
        } = self;
        let Some(socket) = sources.datagram(id) else {
            return;
        };
        let name = services[usize::from(socket.service)].entry.name;
        match socket.socket.receive(inbox, socket.batch) {
            Ok(taken) => {
                socket.note_batch(taken);
                socket.note_overflow(name, taken.overflowed, now);
            }
            Err(Errno::EAGAIN) => {
                socket.readable = false;
                inbox.forget();
            }
            // An interruption, or an error that the network reported for a datagram of ours: the
            // next turn finds what there is.
            Err(error) => {
                debug!(target: "switchboard", "{name} {}: {}", socket.endpoint, error.desc());
                inbox.forget();
                socket.is_refused = socket.flow.is_some() && error == Errno::ECONNREFUSED;
                socket.errors += 1;
                // It does not go away by itself: the next datagram that comes wakes the socket.
                if socket.errors >= ACCEPT_ERRORS_IN_A_ROW {
                    socket.errors = 0;
                    socket.readable = false;
                }
            }
        }
    }
}

impl DatagramSocket {
    /// Counts a batch, and reckons how many datagrams the next call should ask for: headers are
    /// made for each, and a turn has a budget of bytes.
    fn note_batch(&mut self, taken: Taken) {
        let asked = self.batch;
        self.counts.taken += taken.datagrams;
        self.counts.bytes_in += taken.bytes as u64;
        self.counts.refused += taken.truncated;
        self.errors = 0;
        self.readable = taken.count == asked;
        let by_bytes = DATAGRAM_BYTES_PER_TURN * taken.count.max(1) / taken.bytes.max(1);
        self.batch = (2 * taken.count)
            .min(by_bytes)
            .clamp(BATCH_FIRST, DATAGRAMS_PER_CALL);
    }

    /// The kernel counts what it had no room for; a change is warned of, not too often.
    fn note_overflow(&mut self, name: &str, counter: Option<u32>, now: Moment) {
        // The counter has 32 bits and may wrap.
        let Some(counter) = counter else { return };
        let new = counter.wrapping_sub(self.counts.overflowed as u32);
        if new == 0 {
            return;
        }
        let first = self.counts.overflowed == 0;
        self.counts.overflowed += u64::from(new);
        if first || now.since(self.said_at) >= DATAGRAM_DROPS_SAID {
            self.said_at = now;
            warn!(
                target: "switchboard",
                "{name} {}: the receive buffer was full; {} datagrams were lost so far",
                self.endpoint, self.counts.overflowed
            );
        }
    }
}

#[cfg(test)]
mod tests;
