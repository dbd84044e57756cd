//! The operator of the harness: comes and goes, types, and reads what is printed.

use super::{Event, Harness};

impl Harness {
    /// Whether somebody is at the console; nobody is at first. Who goes leaves a nudge for every
    /// session.
    pub fn set_operator(&mut self, present: bool) {
        let gone = std::mem::replace(&mut self.operator, present) && !present;
        for place in (0..self.peers.len()).filter(|_| gone) {
            if self.peers[place].ending.is_none() && self.peers[place].program.is_none() {
                self.call(place, Event::Notified);
            }
        }
    }

    /// The operator types a line that is for this service.
    pub fn operator(&mut self, line: &str) {
        self.host.operator(line, self.now, &mut self.effects);
        self.settle_service();
        self.go_on();
    }

    /// Lines that the service printed on the console since the last call.
    pub fn take_prints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.prints)
    }
}
