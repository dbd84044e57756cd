//! Shutting down: catch up with what had arrived, say goodbye, wait at most the grace for what is
//! owed, end.

use std::time::Duration;

use log::{debug, info, warn};

use super::connection::Phase;
use super::peer::signal_usr1;
use super::report::counted;
use super::stream::Stream;
use super::{Reactor, State};
use crate::config::limits::{CATCH_UP_ITERATIONS, LINGER_DRAINING};
use crate::service::{CloseReason, Peer};

impl Reactor {
    /// Begins to shut down; a second call ends everything at once.
    pub(super) fn begin_drain(&mut self, signal: &str) {
        match self.state {
            State::Running => {}
            // A terminal that closes may say so twice, by the shell and by the kernel; that is no
            // second wish.
            State::CatchingUp { .. } | State::Draining { .. }
                if signal == "SIGHUP" && self.hung_up =>
            {
                return;
            }
            State::CatchingUp { .. } | State::Draining { .. } => {
                warn!(target: "switchboard", "{signal} again: ending at once");
                // Nor for the lanes: what they have not acknowledged nobody was promised.
                self.lanes = None;
                self.close_listeners();
                self.abort_all(CloseReason::Shutdown);
                self.state = State::Stopped;
                return;
            }
            State::Stopped => return,
        }
        self.hung_up = signal == "SIGHUP";
        let grace = self.settings.grace;
        info!(
            target: "switchboard",
            "{signal}: shutting down; {}, at most {grace:?} for what is owed",
            counted(self.live, "connection")
        );
        // From here on nobody finds the way in; who is in the backlog is still taken.
        let Self {
            sources,
            run_queue,
            listeners,
            ..
        } = self;
        for id in listeners {
            if let Some(listener) = sources.listener(*id) {
                listener.unlink();
                run_queue.push(*id, &mut listener.queued);
            }
        }
        let until = self.now.after(grace);
        self.state = State::CatchingUp {
            until,
            iterations: CATCH_UP_ITERATIONS,
        };
    }

    /// Whether goodbyes are being said.
    pub(super) fn is_draining(&self) -> bool {
        matches!(self.state, State::Draining { .. } | State::Stopped)
    }

    /// How long a connection lingers now.
    pub(super) fn linger(draining: bool, linger: Duration) -> Duration {
        if draining { LINGER_DRAINING } else { linger }
    }

    /// Moves the shutdown on; `quiet` says that the last iteration found nothing to do.
    pub(super) fn progress(&mut self, quiet: bool) {
        match self.state {
            State::Running => {
                let taken = self
                    .settings
                    .accepts
                    .is_some_and(|accepts| self.accepted >= accepts);
                if taken && self.live == 0 {
                    self.abort_all(CloseReason::Shutdown);
                    info!(target: "switchboard", "the last of --accepts is served: ending");
                    self.state = State::Stopped;
                }
            }
            State::CatchingUp { until, iterations } => {
                if quiet || iterations == 0 {
                    self.state = State::Draining { until };
                    self.say_goodbye();
                    self.progress(false);
                } else {
                    self.state = State::CatchingUp {
                        until,
                        iterations: iterations - 1,
                    };
                }
            }
            State::Draining { until } => {
                let left = self.live + self.udp.flows.len();
                if left > 0 && self.now >= until {
                    let left = counted(left, "connection");
                    warn!(target: "switchboard", "the grace is over: {left} cut");
                    self.abort_all(CloseReason::GraceOver);
                }
                if self.live + self.udp.flows.len() == 0 {
                    self.flush_all_datagrams();
                    info!(target: "switchboard", "all connections are closed: ending");
                    self.state = State::Stopped;
                }
            }
            State::Stopped => {}
        }
    }

    fn say_goodbye(&mut self) {
        self.close_listeners();
        self.notify_peers();
        self.ask_programs_to_end();
        let ids: Vec<_> = self.sources.connections().map(|(id, _)| id).collect();
        let soon = self.now.after(LINGER_DRAINING);
        for id in ids {
            self.tell(id);
            self.deliver_mail();
            let Self {
                sources, timers, ..
            } = self;
            if let Some(c) = sources.connection(id)
                && c.phase == Phase::Lingering
            {
                c.deadline = c.deadline.min(soon);
                timers.arm(id, c.deadline, &mut c.armed);
            }
        }
        self.bury();
    }

    /// SIGUSR1 to each process that is connected by a listener with `notify=usr1`, once each.
    fn notify_peers(&mut self) {
        let mut told = Vec::new();
        for (_, c) in self.sources.connections().filter(|(_, c)| c.notify) {
            let Peer::Unix { pid, .. } = c.peer else {
                continue;
            };
            // A peer of another process namespace has no number here.
            if pid != 0 && told.contains(&pid) {
                continue;
            }
            let Stream::Unix(stream) = &c.stream else {
                continue;
            };
            match signal_usr1(stream) {
                Ok(()) => told.push(pid),
                // It has gone, or the kernel has no SO_PEERPIDFD.
                Err(error) => {
                    debug!(target: "switchboard", "#{} {}: SIGUSR1: {error}", c.number, c.peer);
                }
            }
        }
    }
}
