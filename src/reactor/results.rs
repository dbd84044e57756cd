//! What the lanes have done comes back to the sessions that asked for it.

use std::sync::Arc;

use log::{error, info, warn};

use super::connection::Phase;
use super::transfer::Files;
use super::{Reactor, StartError, State};
use crate::config::limits::RESULTS_PER_TURN;
use crate::lanes::Lanes;
use crate::service::{Bell, SourceId, Workshop};

impl Reactor {
    /// From here on the lanes wake the loop, and one whose thread dies ends it.
    pub fn listen_to_lanes(&mut self, lanes: Lanes, bell: &Bell) {
        let waker = Arc::clone(&self.waker);
        bell.connect(move || {
            if let Err(error) = waker.wake() {
                warn!(target: "switchboard", "a lane can't wake the loop: {error}");
            }
        });
        self.lanes = Some(lanes);
    }

    /// Starts the threads that transfers need, where a service makes any.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn open_files(&mut self, workshop: &mut Workshop) -> Result<(), StartError> {
        if self.services.iter().any(|served| served.entry.transfers) {
            let files = Files::start(workshop);
            self.files = files.map_err(|error| StartError::io("the threads for files", &error))?;
        }
        Ok(())
    }

    /// The threads of the lanes, to be waited for once the loop and its services are dropped.
    pub fn take_lanes(&mut self) -> Option<Lanes> {
        self.lanes.take()
    }

    /// Delivers what the lanes have done, a bounded number of results for each service. True where
    /// more may wait.
    pub(super) fn take_results(&mut self) -> bool {
        let mut more = false;
        for service in 0..self.services.len() {
            let mut left = RESULTS_PER_TURN;
            while left > 0 {
                let Some(id) = self.services[service].host.take_result() else {
                    break;
                };
                // There are as many services as lines in the registry, a dozen.
                self.deliver_result(u8::try_from(service).unwrap_or(u8::MAX), id);
                left -= 1;
            }
            more |= left == 0;
        }
        if let Some(lane) = self.lanes.as_ref().and_then(Lanes::died) {
            self.lane_died(lane);
        }
        more
    }

    fn deliver_result(&mut self, service: u8, id: SourceId) {
        let there = self
            .sources
            .connection(id)
            .filter(|c| c.phase == Phase::Open && c.service == service);
        match there.map(|c| c.kept()) {
            Some(kept_before) => {
                self.call_session(id, |host, session, call| host.done(session, call));
                self.conclude(id, kept_before);
            }
            None => {
                let served = &mut self.services[usize::from(service)];
                served.host.orphaned(self.now, &mut self.effects);
                for note in &self.effects.notes {
                    info!(target: "switchboard", "{}: {note}", served.entry.name);
                }
                self.post_of(service);
            }
        }
    }

    /// Whoever waits for that lane would wait for ever: the server goes down, and says why.
    fn lane_died(&mut self, lane: &'static str) {
        error!(target: "switchboard", "the thread '{lane}' has died: this is a fault of the server");
        self.failure = Some(StartError::new(lane, "a thread of the server has died"));
        if self.state == State::Running {
            self.begin_drain("a fault");
        }
    }
}
