//! Connections that the poller does not watch yet.
//!
//! Who connects has often sent its request by the time it is accepted, and many are done after it.
//! So a new connection is read at once. To have it watched, and to close it then, takes 2 µs more than
//! not to, a sixth of all that a short connection over a Unix socket costs; to ask in poll(2) whether
//! something has come takes 60 ns, or 200 where the call sleeps. So while it pays the loop asks those
//! that are new itself, together with the poller; only one that stays is registered. Nothing is lost by
//! that: registering reports what is ready at that moment.
//!
//! Whether it pays, [`Questions`] learns from how many of them end in time. A question is put where the
//! poller has nothing, and in each fourth wait.

use std::io;
use std::time::Duration;

use log::warn;
use mio::{Events, Registry};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::Reactor;
use super::connection::{Connection, Intake, Phase};
use super::peer;
use super::sources::{Source, token};
use crate::config::limits::{
    FRESH_READS, QUESTIONS_BACK, QUESTIONS_EARNED, QUESTIONS_MAX, UNASKED_WAITS,
};
use crate::service::{CloseReason, Moment, SourceId};

/// A connection that is not watched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fresh {
    id: SourceId,
    /// It is new, or something has come.
    ready: bool,
    /// How often it was read.
    reads: u32,
}

/// How many questions there may still be to connections that are not watched: each takes one away, each
/// connection that comes allows for one, and one that ends before it had to be watched for more. Where
/// none is left, nobody is asked until [`QUESTIONS_BACK`] are saved up.
#[derive(Debug)]
pub(super) struct Questions {
    left: usize,
    /// None was left.
    spent: bool,
    /// Waits in a row in which those connections were not asked.
    unasked: u32,
}

impl Questions {
    pub(super) fn new() -> Self {
        Self {
            left: QUESTIONS_BACK,
            spent: false,
            unasked: 0,
        }
    }

    /// Allows for so many more.
    pub(super) fn earn(&mut self, count: usize) {
        self.left = (self.left + count).min(QUESTIONS_MAX);
        self.spent &= self.left < QUESTIONS_BACK;
    }

    /// Takes so many away; false where they are not to be put.
    fn take(&mut self, count: usize) -> bool {
        match self.left.checked_sub(count) {
            Some(left) if !self.spent => self.left = left,
            _ => self.spent = true,
        }
        !self.spent
    }

    /// Whether the poller alone may be asked this time.
    fn lets_wait(&mut self) -> bool {
        self.unasked = (self.unasked + 1) % UNASKED_WAITS;
        self.unasked != 0
    }
}

impl Fresh {
    /// One that was accepted just now.
    pub(super) fn new(id: SourceId) -> Self {
        Self {
            id,
            ready: true,
            reads: 0,
        }
    }
}

/// What is asked of each connection. Unlike the poller's events the answer is repeated while it is true.
const WANTED: PollFlags = PollFlags::IN.union(PollFlags::RDHUP);

/// What the poller was asked to tell of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watched {
    /// Nothing: it is new, handed over, or a flow.
    No,
    /// When something has come.
    Reading,
    /// That, and when output is taken again.
    Both,
}

impl Reactor {
    /// Queues every connection that is not watched yet and has something, as an event would: what came
    /// in time is read before the deadlines are looked at.
    pub(super) fn mark_fresh(&mut self) {
        let Self {
            sources,
            run_queue,
            fresh,
            ..
        } = self;
        for fresh in fresh.iter_mut() {
            if !std::mem::take(&mut fresh.ready) {
                continue;
            }
            fresh.reads += 1;
            if let Some(c) = sources.connection(fresh.id) {
                c.readable = true;
                run_queue.push(fresh.id, &mut c.queued);
            }
        }
    }

    /// Reads every connection that was accepted in this iteration.
    pub(super) fn serve_fresh(&mut self) {
        for index in 0..self.fresh.len() {
            let fresh = &mut self.fresh[index];
            if !std::mem::take(&mut fresh.ready) {
                continue;
            }
            fresh.reads += 1;
            let id = fresh.id;
            if let Some(c) = self.sources.connection(id) {
                c.readable = true;
                // One that stands in the run queue is served from there.
                if !c.queued {
                    self.turn(id);
                }
            }
        }
    }

    /// Forgets those that have ended, and has those watched that wait for more than their peer, or
    /// have been here for long.
    fn sort_fresh(&mut self) {
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.retain(|fresh| match self.sources.connection(fresh.id) {
            Some(c) if c.is_unwatched() => {
                let may_end = c.waits_for_peer() && fresh.reads < FRESH_READS;
                if !may_end {
                    self.watch(fresh.id);
                }
                may_end
            }
            _ => {
                self.questions.earn(QUESTIONS_EARNED);
                false
            }
        });
        self.fresh = fresh;
    }

    /// Waits for the poller and for each connection that it does not watch.
    ///
    /// # Errors
    /// Those of the poller.
    pub(super) fn ask_all(
        &mut self,
        events: &mut Events,
        now: Moment,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        // Where the poller has something already, the others can wait for a moment: then one question
        // is for all that has come meanwhile. Not where a deadline has come: they may have been in time.
        let due = self.timers.next().is_some_and(|next| next <= now);
        if !due && self.questions.lets_wait() {
            self.poll.poll(events, Some(Duration::ZERO))?;
            if !events.is_empty() {
                return Ok(());
            }
        }
        self.sort_fresh();
        if !self.fresh.is_empty() && self.questions.take(self.fresh.len()) {
            let asked = self.ask_fresh(self.unless_dead(timeout));
            events.clear();
            match asked {
                Ok(true) => return self.poll.poll(events, Some(Duration::ZERO)),
                Ok(false) => return Ok(()),
                Err(Errno::INTR) => return Err(io::ErrorKind::Interrupted.into()),
                // The kernel has no memory for it; the poller needs none.
                Err(_) => {}
            }
        }
        self.watch_fresh();
        self.poll.poll(events, self.unless_dead(timeout))
    }

    /// Asks those connections and the poller in one call, which sleeps as the poller would. Whether the
    /// poller has something.
    fn ask_fresh(&mut self, timeout: Option<Duration>) -> Result<bool, Errno> {
        let Self {
            poll: poller,
            sources,
            fresh,
            ..
        } = self;
        let mut asked = Vec::with_capacity(fresh.len() + 1);
        let registry = poller.registry();
        asked.push(PollFd::new(registry, PollFlags::IN));
        for one in fresh.iter() {
            let socket = match sources.get(one.id) {
                Some(Source::Connection(c)) => c.stream.socket().ok(),
                _ => None,
            };
            asked.push(match socket {
                Some(socket) => PollFd::from_borrowed_fd(socket, WANTED),
                // It has gone; what stands in its place is asked for nothing.
                None => PollFd::new(registry, PollFlags::empty()),
            });
        }
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        if poll(&mut asked, timeout.as_ref())? == 0 {
            return Ok(false);
        }
        for (one, asked) in fresh.iter_mut().zip(&asked[1..]) {
            one.ready = !asked.revents().is_empty();
        }
        Ok(!asked[0].revents().is_empty())
    }

    /// Has all of them watched.
    pub(super) fn watch_fresh(&mut self) {
        for fresh in std::mem::take(&mut self.fresh) {
            self.watch(fresh.id);
        }
    }

    /// No time to sleep where a connection could not be watched: it is to be buried.
    fn unless_dead(&self, timeout: Option<Duration>) -> Option<Duration> {
        match self.dead.is_empty() {
            true => timeout,
            false => Some(Duration::ZERO),
        }
    }

    /// Whether a connection that is not watched has something.
    pub(super) fn has_fresh(&self) -> bool {
        self.fresh.iter().any(|fresh| fresh.ready)
    }

    /// Registers a connection; from here on events say when it is ready.
    pub(super) fn watch(&mut self, id: SourceId) {
        let Self { sources, poll, .. } = self;
        let Some(c) = sources.connection(id) else {
            return;
        };
        if let Err(error) = c.register(id, poll.registry()) {
            // Out of watches or memory (epoll_ctl(2)): this one connection is lost, not the server.
            warn!(target: "switchboard", "#{} {}: can't be watched: {error}", c.number, peer::of(c));
            let kept_before = c.kept();
            c.fail(CloseReason::from_errno(error.raw_os_error()));
            self.conclude(id, kept_before);
        }
    }
}

impl Connection {
    /// Whether the poller would have to watch it, and does not.
    pub(super) fn is_unwatched(&self) -> bool {
        let lives = !matches!(self.phase, Phase::HandedOver | Phase::Dead);
        lives && self.watched == Watched::No
    }

    /// Whether nothing can come up but what its peer does, or a deadline.
    fn waits_for_peer(&self) -> bool {
        let open = self.phase == Phase::Open && self.reads && self.intake == Intake::Flowing;
        (open && !self.receives() || self.phase == Phase::Lingering)
            && self.outbound.is_none()
            && !self.input_ended
    }

    /// Has the poller watch it for what it waits for now.
    pub(super) fn register(&mut self, id: SourceId, registry: &Registry) -> std::io::Result<()> {
        use mio::event::Source as _;
        let writable = self.outbound.is_some() && !self.writable;
        let interest = self.stream.interest(writable);
        self.stream.register(registry, token(id), interest)?;
        self.watched = match writable {
            true => Watched::Both,
            false => Watched::Reading,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many connections come, each asked so often before it ends or stays; how many were given to the
    /// poller before that.
    fn given_up(questions: &mut Questions, connections: usize, asked: usize, ends: bool) -> usize {
        let mut given_up = 0;
        for _ in 0..connections {
            questions.earn(1);
            match (0..asked).all(|_| questions.take(1)) {
                true if ends => questions.earn(QUESTIONS_EARNED),
                true => {}
                false => given_up += 1,
            }
        }
        given_up
    }

    #[test]
    fn those_that_end_soon_are_asked_on_and_on() {
        let mut questions = Questions::new();
        assert_eq!(given_up(&mut questions, 1_000, QUESTIONS_EARNED, true), 0);
    }

    #[test]
    fn those_that_stay_are_asked_once_on_average() {
        let mut questions = Questions::new();
        let given_up = given_up(&mut questions, 1_000, 5, false);
        assert!((780..=820).contains(&given_up), "{given_up}");
    }

    #[test]
    fn it_comes_back_when_they_begin_to_end_soon() {
        let mut questions = Questions::new();
        given_up(&mut questions, 1_000, 5, false);
        given_up(&mut questions, 100, 5, true);
        assert_eq!(given_up(&mut questions, 1_000, 5, true), 0);
    }

    #[test]
    fn a_poller_that_is_never_quiet_is_not_asked_alone_for_ever() {
        let mut questions = Questions::new();
        let alone = (0..2 * UNASKED_WAITS).filter(|_| questions.lets_wait());
        assert_eq!(alone.count() as u32, 2 * (UNASKED_WAITS - 1));
    }
}
