//! The threads of the lanes: each runs one worker until its service has gone.

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use nix::sys::signal::SigSet;

use crate::service::{AskPerson, Bell, FindData, Worked, Worker, Workshop};

/// The threads of all lanes.
pub struct Lanes {
    ends: Receiver<End>,
    threads: Arc<AtomicUsize>,
}

/// A thread has ended.
struct End {
    lane: &'static str,
    /// Its service had gone; otherwise it has panicked.
    in_order: bool,
}

/// Sends the end of a thread when it is dropped, which a panic does too.
struct Report {
    lane: &'static str,
    in_order: bool,
    ends: Sender<End>,
    bell: Arc<Bell>,
}

impl Drop for Report {
    fn drop(&mut self) {
        let _ = self.ends.send(End {
            lane: self.lane,
            in_order: self.in_order,
        });
        self.bell.ring();
    }
}

impl Lanes {
    /// No thread yet; the workshop that starts them, for services that keep files where `data`
    /// says, and ask a person by `ask`.
    pub fn new(data: Box<FindData>, ask: Box<AskPerson>) -> (Self, Workshop) {
        let (sender, ends) = channel();
        let bell = Arc::new(Bell::default());
        let threads = Arc::new(AtomicUsize::new(0));
        let (rung, count) = (Arc::clone(&bell), Arc::clone(&threads));
        let run = move |lane, worker| {
            start(lane, worker, &sender, &rung)?;
            count.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        let workshop = Workshop {
            data,
            processors: thread::available_parallelism().map_or(1, NonZero::get),
            user: rustix::process::geteuid().as_raw(),
            bell,
            run: Box::new(run),
            ask,
        };
        (Self { ends, threads }, workshop)
    }

    /// The name of a lane whose thread has died, if one has: what it was doing is lost, and no job
    /// of it would ever be done.
    pub fn died(&self) -> Option<&'static str> {
        let end = self.ends.try_recv().ok()?;
        // Nobody waits for its end again.
        self.threads.fetch_sub(1, Ordering::Relaxed);
        (!end.in_order).then_some(end.lane)
    }

    /// Waits for the threads to finish what they have been given, at most `limit` for the next one
    /// to end. The services have to be gone. False where a thread is still at it.
    pub fn stop(self, limit: Duration) -> bool {
        for _ in 0..self.threads.load(Ordering::Relaxed) {
            if self.ends.recv_timeout(limit).is_err() {
                return false;
            }
        }
        true
    }
}

fn start(
    lane: &'static str,
    mut worker: Box<dyn Worker>,
    ends: &Sender<End>,
    bell: &Arc<Bell>,
) -> io::Result<()> {
    let report = Report {
        lane,
        in_order: false,
        ends: ends.clone(),
        bell: Arc::clone(bell),
    };
    thread::Builder::new()
        .name(lane.to_owned())
        .spawn(move || {
            let mut report = report;
            // Signals are for the loop.
            let _ = SigSet::all().thread_set_mask();
            while worker.work(true) != Worked::Ended {}
            // What it owns is closed before its end is told.
            drop(worker);
            report.in_order = true;
        })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    struct Countdown(u32);

    impl Worker for Countdown {
        fn work(&mut self, _: bool) -> Worked {
            match self.0 {
                0 => Worked::Ended,
                1 => panic!("a worker that dies"),
                _ => {
                    self.0 -= 2;
                    Worked::Jobs
                }
            }
        }
    }

    fn lanes(counts: &[u32]) -> Lanes {
        let (lanes, mut workshop) = Lanes::new(Box::new(|| Ok(None)), Box::new(|_| None));
        for count in counts {
            (workshop.run)("test", Box::new(Countdown(*count))).unwrap();
        }
        lanes
    }

    #[test]
    fn threads_that_end_in_order_are_waited_for() {
        assert!(lanes(&[4, 0, 2]).stop(Duration::from_secs(10)));
    }

    #[test]
    fn a_thread_that_dies_is_told_by_name() {
        let lanes = lanes(&[3]);
        let until = Instant::now() + Duration::from_secs(10);
        while lanes.died() != Some("test") {
            assert!(Instant::now() < until, "the end was not told");
            thread::yield_now();
        }
        assert!(
            lanes.stop(Duration::from_millis(1)),
            "nothing is left to be waited for"
        );
    }
}
