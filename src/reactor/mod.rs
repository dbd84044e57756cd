//! The readiness loop: the only user of mio, and the server's only user of sockets and the clock.
//!
//! One iteration:
//!
//! 1. poll, until the next deadline or not at all if work is queued;
//! 2. events mark their sources and queue them; so do deadlines that have come, unless it is late.
//!    Where nobody is queued, a connection that wants no more than a common turn gets it at once (`plain`);
//! 3. queued sources, up to a limit, get one bounded turn each (`turn`); each callback's effects
//!    become I/O in `settle`;
//! 4. those that were accepted just now are read (`fresh`);
//! 5. mail between sessions is delivered (`mail`), a limited number of pieces;
//! 6. dead connections are buried, and their places in the slab become free;
//! 7. a shutdown moves on (`drain`), and the writers of the log and of standard output are woken.
//!
//! It knows no service by name and no protocol: a connection has the key of a session in a
//! [`Hosted`] service. Read `turn`, then `settle`, then `connection` for the states.

mod bind;
mod buffer;
mod children;
mod clock;
mod compact;
mod connection;
mod console;
mod datagram;
mod drain;
mod environment;
mod fresh;
mod hex;
mod listener;
mod mail;
mod mark;
mod peer;
mod plain;
mod program_log;
mod report;
mod results;
mod run_queue;
mod settle;
mod signals;
mod socket_path;
mod sources;
mod stream;
mod system;
mod timers;
mod transfer;
mod turn;
mod wait;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use log::warn;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Waker};

pub use self::bind::{StartError, UnixOptions};
use self::children::Programs;
use self::clock::Clock;
pub use self::console::StartReading;
use self::datagram::Udp;
pub use self::datagram::UdpOptions;
use self::fresh::{Fresh, Questions};
use self::listener::Listener;
use self::run_queue::RunQueue;
use self::sources::{Source, Sources, token};
pub use self::system::connections_allowed;
use self::timers::Timers;
use self::transfer::Files;
use self::wait::Waiting;
use crate::config::endpoint::ListenerSpec;
use crate::config::limits::{
    EVENTS_PER_POLL, INBOX_BYTES, LATE_ITERATIONS_MAX, SLOW_ITERATION, STALL,
};
use crate::lanes::Lanes;
use crate::output::Output;
use crate::service::{Effects, Entry, Hosted, Mail, Moment, Random, SourceId};

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
    /// How long it polls before it sleeps, where events come closely; zero for never.
    pub poll_for: Duration,
    /// Where the services' random numbers start; `None` for numbers that nobody can foresee.
    pub seed: Option<u64>,
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
    waiting: Waiting,
    /// Every read goes here: kept bytes in front, new ones behind.
    inbox: Box<[u8; INBOX_BYTES]>,
    effects: Effects,
    settings: Settings,
    state: State,
    /// The shutdown began because the terminal has gone.
    hung_up: bool,
    /// Connections that are not buried; flows are not counted, which take no descriptor or are
    /// counted with those that have a socket of their own.
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
    /// What all UDP sockets share.
    udp: Udp,
    /// Connections that the poller does not watch yet.
    fresh: Vec<Fresh>,
    /// How often those may still be asked.
    questions: Questions,
    /// Programs that have a connection's socket.
    programs: Programs,
    /// With it threads wake the loop; the poller has room for one (mio's `Waker`).
    waker: Arc<Waker>,
    /// Where the operator's lines come from, while they do.
    console: Option<SourceId>,
    /// Somebody is at the console.
    operator: bool,
    /// The threads that block in the loop's place.
    lanes: Option<Lanes>,
    /// Transfers of files.
    files: Files,
    /// Why the server ends with an error, if it does.
    failure: Option<StartError>,
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

/// Lets a write past a limit on the size of files fail, as it does later, instead of ending the
/// process. To be called before anything is written.
///
/// # Errors
/// Where the system refuses the handler.
pub fn outlive_size_limits() -> Result<(), StartError> {
    signals::outlive_size_limits().map_err(|error| StartError::io("the signals", &error))
}

/// Registers what the loop has for itself: the signals, the waker and the timer.
fn watch_own(poll: &Poll, sources: &mut Sources) -> io::Result<(Waker, OwnedFd)> {
    let mut signals = signals::install()?;
    let id = sources.next_id();
    poll.registry()
        .register(&mut signals, token(id), Interest::READABLE)?;
    sources.insert(Source::Signals(Box::new(signals)));
    let waker = Waker::new(poll.registry(), token(sources.next_id()))?;
    sources.insert(Source::Waker);
    let timer = wait::timer()?;
    let (id, descriptor) = (sources.next_id(), timer.as_raw_fd());
    poll.registry()
        .register(&mut SourceFd(&descriptor), token(id), Interest::READABLE)?;
    sources.insert(Source::Timer);
    Ok((waker, timer))
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
        let seed = match settings.seed {
            Some(seed) => seed,
            None => system::unforeseen()
                .map_err(|error| StartError::io("the system's random numbers", &error))?,
        };
        let (waker, timer) = watch_own(&poll, &mut sources).map_err(fail)?;
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
            timers: Timers::with_capacity(settings.connections_max + 64),
            waiting: Waiting::new(settings.poll_for, timer),
            // By way of a vector, as that is zeroed without being touched.
            inbox: vec![0; INBOX_BYTES]
                .into_boxed_slice()
                .try_into()
                .unwrap_or_else(|_| Box::new([0; INBOX_BYTES])),
            effects: Effects::new(Random::seeded(seed), false),
            settings,
            state: State::Running,
            hung_up: false,
            live: 0,
            accepted: 0,
            numbers: 0,
            kept: 0,
            dead: Vec::new(),
            paused: false,
            mail: VecDeque::new(),
            udp: Udp::default(),
            fresh: Vec::new(),
            questions: Questions::new(),
            programs: Programs::new(),
            waker: Arc::new(waker),
            console: None,
            operator: false,
            lanes: None,
            files: Files::default(),
            failure: None,
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
            let mut listener =
                Listener::new(socket, endpoint.clone(), service, place, options.notify);
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
    /// Where the poller itself fails, or the thread of a lane has died; nothing a client does can
    /// cause either.
    pub fn run(&mut self) -> Result<(), StartError> {
        self.effects.notes_wanted = log::log_enabled!(target: "switchboard", log::Level::Info);
        self.now = self.clock.now();
        let mut result = Ok(());
        while self.state != State::Stopped && result.is_ok() {
            result = self.iterate();
        }
        self.kill_programs();
        result.map_err(|error| StartError::io("the poller", &error))?;
        self.failure.take().map_or(Ok(()), Err)
    }

    fn iterate(&mut self) -> io::Result<()> {
        // Taken out for the length of the iteration, so that marking may change the rest.
        let mut events = self
            .events
            .take()
            .unwrap_or_else(|| Events::with_capacity(EVENTS_PER_POLL));
        // The end of the last iteration and the beginning of this one: the clock is read once.
        let asleep = self.clock.now();
        if asleep > self.now.after(SLOW_ITERATION) {
            let took = asleep.since(self.now);
            warn!(target: "switchboard", "slow: one iteration took {took:?}");
        }
        // Before the sleep, so that no line waits for the next event, not even one of the start.
        self.stdout.wake();
        self.stderr.wake();
        let until = self.wake_at(asleep);
        let interrupted;
        (interrupted, self.now) = self.wait(&mut events, asleep, until)?;
        let rests = self.run_queue.is_empty() && !self.has_fresh();
        let quiet = !interrupted && events.is_empty() && rests;
        let taken = self.take_events(&events);
        self.mark_fresh();
        // After a stop (Ctrl-Z), or with more events than one poll gives, sockets come first:
        // what arrived in time must not be beaten by a deadline.
        let crowd = events.iter().count() >= EVENTS_PER_POLL;
        let stalled = self.now > until.max(asleep).after(STALL);
        self.events = Some(events);
        if (crowd || interrupted || (stalled && !quiet)) && self.late < LATE_ITERATIONS_MAX {
            self.late += 1;
        } else {
            self.late = 0;
            self.mark_due();
        }
        self.give_turns(taken);
        self.serve_fresh();
        if !self.mail.is_empty() {
            self.deliver_mail();
        }
        self.bury();
        if self.paused {
            self.resume_listeners();
        }
        self.progress(quiet);
        Ok(())
    }

    /// Until when the poller may sleep; a moment that has come where there is work.
    fn wake_at(&self, now: Moment) -> Moment {
        if !self.run_queue.is_empty()
            || !self.mail.is_empty()
            || matches!(self.state, State::CatchingUp { .. })
        {
            return now;
        }
        let next = self.timers.next().unwrap_or(Moment::NEVER);
        match self.state {
            State::Draining { until } => next.min(until),
            _ => next,
        }
    }
}
