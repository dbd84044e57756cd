//! A bound socket that takes connections: a budget a turn, the cap, and patience when the system
//! is out of descriptors.

use std::io;
use std::net::SocketAddr;

use log::{debug, warn};
use mio::event::Source as _;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SocketFlags, accept_with, acceptfrom_with};

use super::connection::Connection;
use super::fresh::Fresh;
use super::peer;
use super::report::counted;
use super::settle::log_opening;
use super::socket_path::PathGuard;
use super::sources::Source;
use super::stream::Stream;
use super::{Reactor, State};
use crate::config::limits::{
    ACCEPT_ERRORS_IN_A_ROW, ACCEPT_RETRY, ACCEPTS_PER_TURN, DRAIN_EXTRA_CONNECTIONS,
    KEPT_BYTES_MAX, RESUME_PERCENT,
};
use crate::service::{CloseReason, Moment, Peer, SourceId};

/// A listener's socket.
pub(super) enum Socket {
    Tcp(TcpListener),
    /// With the guard of its path; abstract names have none.
    Unix(UnixListener, Option<PathGuard>),
}

/// A bound socket, whose service its connections get, and how accepting goes.
pub(super) struct Listener {
    pub socket: Socket,
    /// How it is written in the table and in the log.
    pub endpoint: String,
    /// The place of its service in the reactor's list.
    pub service: u8,
    /// Its place among the listeners of its service, which names its options.
    pub place: u16,
    /// `notify=usr1`.
    pub notify: bool,
    /// Somebody may be waiting: set by events, cleared when accept found nobody.
    pub readable: bool,
    /// It stands in the run queue.
    pub queued: bool,
    /// Until when it rests after accept failed; [`Moment::NEVER`] if it does not.
    pub retry_at: Moment,
    /// What the timer heap holds for it.
    pub armed: Moment,
    /// Errors in a row that concern one connection only.
    pub errors: u32,
    /// The last failure was logged, and no success since.
    pub failing: bool,
    /// Connections taken.
    pub accepted: u64,
}

impl Listener {
    /// A listener that nobody has come to yet.
    pub(super) fn new(
        socket: Socket,
        endpoint: String,
        service: u8,
        place: u16,
        notify: bool,
    ) -> Self {
        Self {
            socket,
            endpoint,
            service,
            place,
            notify,
            readable: false,
            queued: false,
            retry_at: Moment::NEVER,
            armed: Moment::NEVER,
            errors: 0,
            failing: false,
            accepted: 0,
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            Socket::Tcp(socket) => socket.register(registry, token, Interest::READABLE),
            Socket::Unix(socket, _) => socket.register(registry, token, Interest::READABLE),
        }
    }

    pub(super) fn deregister(&mut self, registry: &Registry) {
        // Dropping the socket ends the registration too; a failure here changes nothing.
        let _ = match &mut self.socket {
            Socket::Tcp(socket) => socket.deregister(registry),
            Socket::Unix(socket, _) => socket.deregister(registry),
        };
    }

    /// Removes the socket's path, if it has one and it is still ours.
    pub(super) fn unlink(&mut self) {
        if let Socket::Unix(_, Some(guard)) = &mut self.socket {
            guard.unlink();
        }
    }

    /// Takes a connection. Which process is behind a Unix socket is a call more, so it is asked only
    /// where somebody is told.
    ///
    /// The kernel is asked directly, as in `stream`, and not for the address of a Unix peer, which has
    /// none as a rule.
    fn accept_one(&self, is_told: bool) -> io::Result<(Stream, Peer)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        match &self.socket {
            Socket::Tcp(socket) => {
                let (stream, address) = acceptfrom_with(socket, flags)?;
                let peer = address
                    .and_then(|address| SocketAddr::try_from(address).ok())
                    .map_or(Peer::Gone, Peer::from);
                let stream = TcpStream::from_std(stream.into());
                Ok((Stream::Tcp(stream), peer))
            }
            Socket::Unix(socket, _) => {
                let stream = UnixStream::from_std(accept_with(socket, flags)?.into());
                let peer = match is_told || self.notify {
                    true => peer::of_unix(&stream),
                    false => Peer::Gone,
                };
                Ok((Stream::Unix(stream), peer))
            }
        }
    }
}

/// What an error of accept means (accept(2)).
enum Trouble {
    /// Nobody is waiting.
    Nobody,
    /// Interrupted; again at once.
    Again,
    /// Concerns the one connection that was to be taken.
    OneConnection,
    /// The process or the system is out of descriptors or memory.
    Exhausted,
}

fn trouble(error: &io::Error) -> Trouble {
    use rustix::io::Errno;
    match Errno::from_io_error(error) {
        Some(Errno::AGAIN) => Trouble::Nobody,
        Some(Errno::INTR) => Trouble::Again,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => Trouble::Exhausted,
        _ => Trouble::OneConnection,
    }
}

impl Reactor {
    /// Takes connections, at most a budget, while there is room.
    pub(super) fn accept(&mut self, id: SourceId) {
        for _ in 0..ACCEPTS_PER_TURN {
            if !self.has_room() {
                return;
            }
            let now = self.now;
            let Some(listener) = self.sources.listener(id) else {
                return;
            };
            if listener.retry_at > now && listener.retry_at.is_some() {
                return;
            }
            listener.retry_at = Moment::NEVER;
            let host = &self.services[usize::from(listener.service)].host;
            let is_told = self.effects.notes_wanted || host.knows_peers();
            match listener.accept_one(is_told) {
                Ok((stream, peer)) => {
                    listener.errors = 0;
                    listener.accepted += 1;
                    if std::mem::take(&mut listener.failing) {
                        warn!(target: "switchboard", "{}: accepting again", listener.endpoint);
                    }
                    let (service, place, notify) =
                        (listener.service, listener.place, listener.notify);
                    self.adopt(stream, peer, service, place, notify);
                    if self.count_accept() || !self.somebody_waits(id) {
                        return;
                    }
                }
                Err(error) => {
                    if self.accept_failed(id, &error) {
                        return;
                    }
                }
            }
        }
        // The budget is used up: the rest waits behind everybody else.
        let Self {
            sources, run_queue, ..
        } = self;
        if let Some(listener) = sources.listener(id) {
            run_queue.push(id, &mut listener.queued);
        }
    }

    /// Whether another one may wait. To call accept for nobody costs ten times as much as this
    /// question, because the kernel first makes a socket and a descriptor. Whoever comes behind the
    /// answer makes an event of its own.
    fn somebody_waits(&mut self, id: SourceId) -> bool {
        let Some(listener) = self.sources.listener(id) else {
            return false;
        };
        let mut state = match &listener.socket {
            Socket::Tcp(socket) => [PollFd::new(socket, PollFlags::IN)],
            Socket::Unix(socket, _) => [PollFd::new(socket, PollFlags::IN)],
        };
        // Where it can't be told, accept will tell.
        let waits = poll(&mut state, Some(&Timespec::default())).map_or(true, |ready| ready > 0);
        listener.readable = waits;
        waits
    }

    /// Notes an error of accept; true if this listener's turn is over.
    fn accept_failed(&mut self, id: SourceId, error: &io::Error) -> bool {
        let Self {
            sources,
            timers,
            now,
            ..
        } = self;
        let Some(listener) = sources.listener(id) else {
            return true;
        };
        let rest = match trouble(error) {
            Trouble::Again => return false,
            Trouble::Nobody => {
                listener.readable = false;
                return true;
            }
            Trouble::OneConnection => {
                debug!(target: "switchboard", "{}: accept: {error}", listener.endpoint);
                listener.errors += 1;
                listener.errors >= ACCEPT_ERRORS_IN_A_ROW
            }
            Trouble::Exhausted => true,
        };
        if rest {
            if !std::mem::replace(&mut listener.failing, true) {
                warn!(
                    target: "switchboard",
                    "{}: can't accept: {error}; trying again", listener.endpoint
                );
            }
            // No edge will come for those who wait already, so the retry is ours.
            listener.errors = 0;
            listener.retry_at = now.after(ACCEPT_RETRY);
            timers.arm(id, listener.retry_at, &mut listener.armed);
        }
        rest
    }

    /// Makes a connection of a stream and opens its session.
    fn adopt(&mut self, stream: Stream, peer: Peer, service: u8, place: u16, notify: bool) {
        self.numbers = self.numbers.wrapping_add(1);
        let mut c = Connection::new(stream, peer, self.numbers, service, self.now);
        c.notify = notify;
        c.reads = self.services[usize::from(service)].host.reads();
        let id = self.sources.next_id();
        let served = &mut self.services[usize::from(service)];
        log_opening(served.entry.name, &c);
        let call = c.call(id, self.now, self.operator, &mut self.effects);
        c.session = served.host.open(place, call);
        self.sources.insert(Source::Connection(c));
        self.live += 1;
        // What its first turn does, which comes in this iteration, is enough for most.
        if !self.effects.is_empty() {
            self.settle(id);
            self.conclude(id, 0);
        }
        self.waiting.rest_after_accept();
        self.questions.earn(1);
        self.fresh.push(Fresh::new(id));
    }

    /// Counts towards `--accepts`; true if that was the last and the listeners are closed.
    fn count_accept(&mut self) -> bool {
        self.accepted += 1;
        if self.settings.accepts != Some(self.accepted) || self.state != State::Running {
            return false;
        }
        log::info!(target: "switchboard", "connection {} was the last to be taken", self.accepted);
        self.close_listeners();
        true
    }

    /// Whether one more connection is within the cap; says so in the log where it changes.
    fn has_room(&mut self) -> bool {
        let kept_full = self.kept > KEPT_BYTES_MAX;
        let live = self.live + self.udp.flows.transfers();
        let taken = self.live + self.udp.flows.descriptors() + self.programs.descriptors();
        if matches!(self.state, State::CatchingUp { .. }) {
            // They only come to be told, and take descriptors of the reserve for that.
            return live < self.settings.connections_max + DRAIN_EXTRA_CONNECTIONS
                && taken < self.settings.descriptors_max + DRAIN_EXTRA_CONNECTIONS;
        }
        let full = live >= self.settings.connections_max
            || taken >= self.settings.descriptors_max
            || kept_full;
        if full && !self.paused {
            self.paused = true;
            warn!(
                target: "switchboard",
                "full: {}, {} bytes kept; the others wait in the backlog",
                counted(self.live, "connection"), self.kept
            );
        }
        !self.paused
    }

    /// Called when a connection has gone, and in each iteration while accepting is paused, because
    /// what is kept may also be taken: listeners go on once both caps are at 90 %, and those that
    /// rest for want of descriptors try again.
    pub(super) fn resume_listeners(&mut self) {
        let low = |cap: usize| cap * RESUME_PERCENT / 100;
        let kept_low = KEPT_BYTES_MAX / 100 * RESUME_PERCENT;
        let live = self.live + self.udp.flows.transfers();
        let taken = self.live + self.udp.flows.descriptors() + self.programs.descriptors();
        if self.paused
            && live <= low(self.settings.connections_max)
            && taken <= low(self.settings.descriptors_max)
            && self.kept <= kept_low
        {
            self.paused = false;
            let live = counted(self.live, "connection");
            log::info!(target: "switchboard", "accepting again at {live}");
        }
        if self.paused {
            return;
        }
        for index in 0..self.listeners.len() {
            let id = self.listeners[index];
            let Self {
                sources, run_queue, ..
            } = self;
            if let Some(listener) = sources.listener(id)
                && listener.readable
            {
                listener.retry_at = Moment::NEVER;
                run_queue.push(id, &mut listener.queued);
            }
        }
    }

    /// Closes every listener and unlinks its path.
    pub(super) fn close_listeners(&mut self) {
        for id in std::mem::take(&mut self.listeners) {
            if let Some(Source::Listener(mut listener)) = self.sources.remove(id) {
                listener.unlink();
                listener.deregister(self.poll.registry());
            }
        }
    }

    /// Ends every connection at once.
    pub(super) fn abort_all(&mut self, reason: CloseReason) {
        let ids: Vec<_> = self.sources.connections().map(|(id, _)| id).collect();
        for id in ids {
            if let Some(c) = self.sources.connection(id) {
                let kept = c.kept();
                let already = c.phase == super::connection::Phase::Dead;
                c.fail(reason);
                if !already {
                    self.conclude(id, kept);
                }
            }
        }
        self.bury();
    }
}
