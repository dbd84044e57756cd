//! What follows from a callback: its effects, mail, input that had waited, and the lanes' work.

use super::super::{DeadlineChange, Ending, Item, Mail, Moment};
use super::{Event, Harness};

impl Harness {
    pub(super) fn settle(&mut self, place: usize) {
        let state = &mut self.peers[place];
        state.sent.extend_from_slice(&self.effects.output);
        let mut from = 0;
        for to in &self.effects.datagrams {
            state
                .datagrams
                .push(self.effects.output[from..*to].to_vec());
            from = *to;
        }
        if let DeadlineChange::Set(moment) = self.effects.deadline {
            state.deadline = moment;
        }
        state.program = self.effects.program.take().or(state.program.take());
        if let Some(pause) = self.effects.pause {
            if !pause {
                self.resumed.push_back(place);
            }
            state.paused = pause;
        }
        let ending = self.effects.ending;
        if let Some(transfer) = self.effects.transfer.take() {
            self.transfer(place, transfer);
        }
        self.settle_service();
        if let Some(ending) = ending {
            self.peers[place].ending = Some(ending);
            self.close_session(place);
        }
    }

    /// Takes what concerns the service as a whole, and forgets the rest.
    pub(super) fn settle_service(&mut self) {
        self.notes.append(&mut self.effects.notes);
        self.prints.append(&mut self.effects.prints);
        self.mail.extend(self.effects.mail.drain(..));
        self.effects.clear();
    }

    pub(super) fn close_session(&mut self, place: usize) {
        let state = &mut self.peers[place];
        state.deadline = Moment::NEVER;
        state.receiving = None;
        self.host.closed(state.session, self.now, &mut self.effects);
        self.settle_service();
    }

    /// Whatever follows from the last event: mail, input that had waited, and the lanes' work.
    pub(super) fn go_on(&mut self) {
        self.deliver();
        while let Some(place) = self.resumed.pop_front() {
            self.offer_waiting(place);
        }
        while let Some((place, end)) = self.transferred.pop_front() {
            if self.peers[place].ending.is_none() {
                self.call(place, Event::Transferred(end));
                self.offer_waiting(place);
            }
        }
        if self.lanes_run {
            self.work();
        }
    }

    /// What a session that has resumed had left unused, then the end of the peer's writing.
    fn offer_waiting(&mut self, place: usize) {
        let state = &mut self.peers[place];
        if state.receiving.is_some() {
            return self.fill(place);
        }
        if state.ending.is_none() && !state.paused && !state.kept.is_empty() && !state.input_ended {
            let kept = std::mem::take(&mut state.kept);
            self.offer(place, kept);
        }
        let state = &mut self.peers[place];
        if state.end_waits && !state.paused {
            state.end_waits = false;
            self.end(place);
        }
    }

    /// Delivers mail, in order, to those who are still open.
    fn deliver(&mut self) {
        while let Some(Mail { to, item }) = self.mail.pop_front() {
            let place = to.key as usize - 1;
            let state = &mut self.peers[place];
            if state.ending.is_some() || state.program.is_some() {
                continue;
            }
            match item {
                Item::Bytes(bytes) => {
                    state.sent.extend_from_slice(&bytes);
                    if state.datagram {
                        state.datagrams.push(bytes);
                    }
                }
                Item::Close(reason) => {
                    state.ending = Some(Ending::Close(reason));
                    self.close_session(place);
                }
                Item::Notify => {
                    self.call(place, Event::Notified);
                }
            }
        }
    }
}
