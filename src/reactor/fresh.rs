//! Connections that the poller does not watch yet.
//!
//! Who connects has often sent its request by the time it is accepted, and many are done after it.
//! So a new connection is read at once, and again after the next poll; only one that stays is
//! registered. Nothing is lost by that: registering reports what is ready at that moment.
//!
//! While there is such a connection the loop does not sleep.

use log::warn;
use mio::Registry;

use super::Reactor;
use super::connection::{Connection, Phase};
use super::peer;
use super::sources::token;
use crate::config::limits::FRESH_READS;
use crate::service::{CloseReason, SourceId};

/// A connection that is not watched, and how often it was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fresh {
    pub id: SourceId,
    pub reads: u32,
}

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
    /// Reads every connection that is not watched yet, and has those watched that stay.
    pub(super) fn serve_fresh(&mut self) {
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.retain_mut(|fresh| {
            let Some(c) = self.sources.connection(fresh.id) else {
                return false;
            };
            c.readable = true;
            // One that stands in the run queue is served from there.
            if !c.queued {
                self.turn(fresh.id);
            }
            fresh.reads += 1;
            let Some(c) = self.sources.connection(fresh.id) else {
                return false;
            };
            let stays = c.is_unwatched();
            if stays && fresh.reads >= FRESH_READS {
                self.watch(fresh.id);
                return false;
            }
            stays
        });
        // Those that came meanwhile, which nothing here causes, would be behind them.
        fresh.append(&mut self.fresh);
        self.fresh = fresh;
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
    fn is_unwatched(&self) -> bool {
        let lives = !matches!(self.phase, Phase::HandedOver | Phase::Dead);
        lives && self.watched == Watched::No
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
