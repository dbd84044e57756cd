//! Lanes in the harness: workers run on the test's own thread, when the test says so.

use std::sync::Arc;
use std::sync::mpsc::channel;

use super::super::{Bell, Hosted, Worked, Worker, Workshop};
use super::{Event, Harness};

/// The user that the harness's server is taken to run as.
pub const USER: u32 = 1000;

/// Starts the service with its state in memory; returns the workers of its lanes.
pub(super) fn start(host: &mut dyn Hosted) -> Vec<(&'static str, Box<dyn Worker>)> {
    let (sender, workers) = channel();
    let mut workshop = Workshop {
        data: Box::new(|| Ok(None)),
        user: USER,
        processors: 2,
        bell: Arc::new(Bell::default()),
        run: Box::new(move |name, worker| {
            // The other end is read below.
            let _ = sender.send((name, worker));
            Ok(())
        }),
        ask: Box::new(|_| None),
    };
    host.start(&mut workshop)
        .unwrap_or_else(|error| panic!("{error}"));
    workers.try_iter().collect()
}

impl Harness {
    /// From here on lanes do nothing by themselves: the test calls [`Harness::work_on`] and
    /// [`Harness::report`], in whatever order threads could.
    pub fn hold_lanes(&mut self) {
        self.lanes_run = false;
    }

    /// How many workers there are, over all lanes.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// The name of the lane of a worker.
    pub fn lane_of(&self, worker: usize) -> &'static str {
        self.workers[worker].0
    }

    /// Has one worker do one batch; what came of it waits. False where it had nothing to do.
    pub fn work_on(&mut self, worker: usize) -> bool {
        self.workers[worker].1.work(false) == Worked::Jobs
    }

    /// Delivers the next result, if one waits.
    pub fn report(&mut self) -> bool {
        let Some(id) = self.host.take_result() else {
            return false;
        };
        let place = (id.key as usize).wrapping_sub(1);
        match self.peers.get(place) {
            Some(state) if state.ending.is_none() => {
                self.call(place, Event::Done);
            }
            _ => {
                self.host.orphaned(self.now, &mut self.effects);
                self.settle_service();
                self.go_on();
            }
        }
        true
    }

    /// Has all lanes work, and delivers, until nothing is left to do.
    pub fn work(&mut self) {
        let ran = std::mem::replace(&mut self.lanes_run, false);
        loop {
            let mut busy = false;
            for worker in 0..self.workers.len() {
                busy |= self.work_on(worker);
            }
            while self.report() {
                busy = true;
            }
            if !busy {
                break;
            }
        }
        self.lanes_run = ran;
    }
}
