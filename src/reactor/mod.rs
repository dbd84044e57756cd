//! The readiness loop: the only user of mio, of sockets and of the clock.
//!
//! One iteration:
//!
//! 1. poll, until the next deadline or not at all if work is queued;
//! 2. events mark their sources and queue them; deadlines that have come do the same;
//! 3. every source that is queued gets one bounded turn (`turn`); each callback's effects become
//!    I/O in `settle`;
//! 4. the dead are buried, which is the only place where a slot becomes free;
//! 5. a shutdown moves on (`drain`).
//!
//! It knows no service by name and no protocol: a connection has the key of a session in a
//! [`Hosted`] service. Read `turn`, then `settle`, then `connection` for the states.

mod bind;
mod buffer;
mod children;
mod clock;
mod connection;
mod drain;
mod environment;
mod hex;
mod listener;
mod mail;
mod peer;
mod program_log;
mod report;
mod run_queue;
mod settle;
mod signals;
mod socket_path;
mod sources;
mod stream;
mod timers;
mod turn;

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::Duration;

use log::warn;
use mio::{Events, Interest, Poll, Waker};

pub use self::bind::{StartError, UnixOptions};
use self::children::Programs;
use self::clock::Clock;
use self::listener::Listener;
pub use self::listener::connections_allowed;
use self::run_queue::RunQueue;
use self::sources::{Source, Sources, token};
use self::timers::Timers;
use crate::config::endpoint::ListenerSpec;
use crate::config::limits::{
    EVENTS_PER_POLL, INPUT_KEPT_BYTES_MAX, LATE_ITERATIONS_MAX, READ_BYTES_MAX, SLOW_ITERATION,
    STALL,
};
use crate::output::Output;
use crate::service::{Effects, Entry, Hosted, Mail, Moment, SourceId};

/// What the command line says about the loop.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a shutdown waits for what is owed.
    pub grace: Duration,
    /// How long a connection may be idle; `None` for ever.
    pub idle_timeout: Option<Duration>,
    /// The most connections at once.
    pub connections_max: usize,
    /// What the descriptor limit allows, connections and programs together.
    pub descriptors_max: usize,
    /// Connections to be served in all, before the server ends by itself.
    pub accepts: Option<u64>,
}

/// Whether the server runs, or how far its shutdown has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It serves. After the last of `--accepts` it has no listeners and serves those it has.
    Running,
    /// A signal came. What had arrived before it is still read, for a bounded number of iterations.
    CatchingUp { until: Moment, iterations: u32 },
    /// Listeners are closed, everybody was told, and what is owed goes out until the grace is over.
    Draining { until: Moment },
    /// Nothing more happens.
    Stopped,
}

/// A service as the registry lists it, with its sessions.
struct Served {
    entry: &'static Entry,
    host: Box<dyn Hosted>,
}

/// The loop and all that it owns.
pub struct Reactor {
    poll: Poll,
    events: Option<Events>,
    clock: Clock,
    /// The moment of this iteration.
    now: Moment,
    /// Iterations in a row in which deadlines waited for sockets.
    late: u32,
    sources: Sources,
    services: Vec<Served>,
    listeners: Vec<SourceId>,
    run_queue: RunQueue,
    timers: Timers,
    /// Every read goes here: kept bytes in front, new ones behind.
    inbox: Box<[u8]>,
    effects: Effects,
    settings: Settings,
    state: State,
    /// Connections that are not buried.
    live: usize,
    /// Connections taken in all.
    accepted: u64,
    /// The number of the last connection in the log.
    numbers: u32,
    /// Bytes kept for all connections together.
    kept: usize,
    /// To be buried at the end of the iteration.
    dead: Vec<SourceId>,
    /// Listeners do not accept: the cap was reached.
    paused: bool,
    /// What sessions have sent to others and nobody has delivered yet.
    mail: VecDeque<(u8, Mail)>,
    /// Programs that have a connection's socket.
    programs: Programs,
    /// Somebody is at the console.
    operator: bool,
    stdout: Output,
    stderr: Output,
}

/// Makes a directory of ours with mode 0700, or checks that it is ours and closed to others.
///
/// # Errors
/// What is wrong with it: no directory, another user's, open to others, or the system's error.
pub fn prepare_directory(directory: &Path) -> Result<(), StartError> {
    socket_path::prepare_directory(directory)
        .map_err(|error| StartError::io(directory.display(), &error))
}

impl Reactor {
    /// A loop with the signal handlers installed and no listener yet.
    ///
    /// # Errors
    /// Where the system refuses a poller or the handlers.
    pub fn new(settings: Settings, stdout: Output, stderr: Output) -> Result<Self, StartError> {
        let fail = |error: io::Error| StartError::io("the poller", &error);
        let poll = Poll::new().map_err(fail)?;
        let mut sources = Sources::with_capacity(settings.connections_max + 64);
        let mut signals = signals::install().map_err(fail)?;
        let id = sources.next_id();
        poll.registry()
            .register(&mut signals, token(id), Interest::READABLE)
            .map_err(fail)?;
        sources.insert(Source::Signals(Box::new(signals)));
        let waker = Waker::new(poll.registry(), token(sources.next_id())).map_err(fail)?;
        sources.insert(Source::Waker);
        Ok(Self {
            poll,
            events: Some(Events::with_capacity(EVENTS_PER_POLL)),
            clock: Clock::start(),
            now: Moment::ZERO,
            late: 0,
            sources,
            services: Vec::new(),
            listeners: Vec::new(),
            run_queue: RunQueue::default(),
            timers: Timers::default(),
            inbox: vec![0; INPUT_KEPT_BYTES_MAX + READ_BYTES_MAX].into_boxed_slice(),
            effects: Effects::default(),
            settings,
            state: State::Running,
            live: 0,
            accepted: 0,
            numbers: 0,
            kept: 0,
            dead: Vec::new(),
            paused: false,
            mail: VecDeque::new(),
            programs: Programs::new(waker),
            operator: false,
            stdout,
            stderr,
        })
    }

    /// Adds a service; returns its key for [`Reactor::listen`].
    pub fn add_service(&mut self, entry: &'static Entry, host: Box<dyn Hosted>) -> u8 {
        self.services.push(Served { entry, host });
        // There are as many services as lines in the registry, a dozen.
        u8::try_from(self.services.len() - 1).unwrap_or(u8::MAX)
    }

    /// Binds a listener of that service, the `place`th of its listeners; returns each endpoint
    /// that is bound, with its real port.
    ///
    /// # Errors
    /// Names the listener and what is wrong: in use, no permission, no such host.
    pub fn listen(
        &mut self,
        service: u8,
        place: u16,
        spec: &ListenerSpec,
        options: &UnixOptions,
    ) -> Result<Vec<String>, StartError> {
        let mut endpoints = Vec::new();
        for (socket, endpoint) in bind::bind_all(spec, options)? {
            let id = self.sources.next_id();
            let mut listener = Listener {
                socket,
                endpoint: endpoint.clone(),
                service,
                place,
                notify: options.notify,
                readable: false,
                queued: false,
                retry_at: Moment::NEVER,
                armed: Moment::NEVER,
                errors: 0,
                failing: false,
                accepted: 0,
            };
            listener
                .register(self.poll.registry(), token(id))
                .map_err(|error| StartError::io(spec, &error))?;
            self.sources.insert(Source::Listener(Box::new(listener)));
            self.listeners.push(id);
            endpoints.push(endpoint);
        }
        Ok(endpoints)
    }

    /// Serves until a signal or the last of `--accepts`.
    ///
    /// # Errors
    /// Where the poller itself fails; nothing a client does can cause that.
    pub fn run(&mut self) -> Result<(), StartError> {
        self.effects.notes_wanted = log::log_enabled!(target: "switchboard", log::Level::Info);
        let mut result = Ok(());
        while self.state != State::Stopped && result.is_ok() {
            result = self.iterate();
        }
        self.kill_programs();
        result.map_err(|error| StartError::io("the poller", &error))
    }

    fn iterate(&mut self) -> io::Result<()> {
        // Taken out for the length of the iteration, so that marking may change the rest.
        let mut events = self
            .events
            .take()
            .unwrap_or_else(|| Events::with_capacity(EVENTS_PER_POLL));
        let asleep = self.clock.now();
        let timeout = self.timeout(asleep);
        let interrupted = match self.poll.poll(&mut events, timeout) {
            Ok(()) => false,
            // A signal; its event comes with the next poll, as do all others.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
            Err(error) => return Err(error),
        };
        if interrupted {
            events.clear();
        }
        self.now = self.clock.now();
        let quiet = !interrupted && events.is_empty() && self.run_queue.is_empty();
        for event in events.iter() {
            self.mark(event);
        }
        // After a stop (Ctrl-Z), or with more events than one poll gives, sockets come first:
        // what arrived in time must not be beaten by a deadline.
        let crowd = events.iter().count() >= EVENTS_PER_POLL;
        let stalled = timeout.is_some_and(|timeout| self.now.since(asleep) > timeout + STALL);
        self.events = Some(events);
        if (crowd || (stalled && !quiet)) && self.late < LATE_ITERATIONS_MAX {
            self.late += 1;
        } else {
            self.late = 0;
            self.mark_due();
        }
        for _ in 0..self.run_queue.len() {
            if let Some(id) = self.run_queue.pop() {
                self.turn(id);
            }
        }
        self.deliver_mail();
        self.bury();
        self.progress(quiet);
        let took = self.clock.now().since(self.now);
        if took > SLOW_ITERATION {
            warn!(target: "switchboard", "slow: one iteration took {took:?}");
        }
        Ok(())
    }

    /// How long the poll may sleep; `None` until an event comes.
    fn timeout(&self, now: Moment) -> Option<Duration> {
        if !self.run_queue.is_empty()
            || !self.mail.is_empty()
            || matches!(self.state, State::CatchingUp { .. })
        {
            return Some(Duration::ZERO);
        }
        let mut next = self.timers.next().unwrap_or(Moment::NEVER);
        if let State::Draining { until } = self.state {
            next = next.min(until);
        }
        next.is_some().then(|| next.since(now))
    }

    /// Marks what an event says and queues its source. Flags are hints: the turn finds the truth.
    fn mark(&mut self, event: &mio::event::Event) {
        let id = sources::id(event.token());
        let Self {
            sources,
            run_queue,
            paused,
            ..
        } = self;
        match sources.get_mut(id) {
            // It was buried after the poller had noted the event.
            None => {}
            Some(Source::Signals(_) | Source::Waker) => run_queue.push(id, &mut false),
            Some(Source::Program(program)) => run_queue.push(id, &mut program.queued),
            Some(Source::ProgramLog(log)) => run_queue.push(id, &mut log.queued),
            Some(Source::Listener(listener)) => {
                listener.readable = true;
                if !*paused {
                    run_queue.push(id, &mut listener.queued);
                }
            }
            Some(Source::Connection(c)) => {
                if event.is_readable()
                    || event.is_read_closed()
                    || event.is_error()
                    || event.is_priority()
                {
                    c.readable = true;
                }
                if event.is_read_closed() || event.is_error() || event.is_priority() {
                    c.exhaust = true;
                }
                if event.is_writable() || event.is_write_closed() || event.is_error() {
                    c.writable = true;
                }
                run_queue.push(id, &mut c.queued);
            }
        }
    }

    /// Queues every source whose deadline has come; an entry that came too early is armed again.
    fn mark_due(&mut self) {
        let idle = self.settings.idle_timeout;
        let Self {
            sources,
            run_queue,
            timers,
            now,
            ..
        } = self;
        while let Some((moment, id)) = timers.pop_due(*now) {
            match sources.get_mut(id) {
                None
                | Some(
                    Source::Signals(_) | Source::Waker | Source::Program(_) | Source::ProgramLog(_),
                ) => {}
                Some(Source::Listener(listener)) if listener.armed == moment => {
                    listener.armed = Moment::NEVER;
                    listener.retry_at = Moment::NEVER;
                    run_queue.push(id, &mut listener.queued);
                }
                Some(Source::Connection(c)) if c.armed == moment => {
                    c.armed = Moment::NEVER;
                    let deadline = c.next_deadline(idle);
                    if deadline <= *now {
                        run_queue.push(id, &mut c.queued);
                    } else {
                        timers.arm(id, deadline, &mut c.armed);
                    }
                }
                // Outdated.
                Some(Source::Listener(_) | Source::Connection(_)) => {}
            }
        }
    }
}
