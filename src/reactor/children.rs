//! Programs that have a connection's socket: handing it over, noticing the end, taking it back,
//! and ending them all at a shutdown.
//!
//! The connection stays in the slab in the phase `HandedOver`, out of the poller, and the server
//! keeps its own copy of the socket, with which it closes the connection in order once the program
//! has ended. Starting is done by the [`Spawner`]; `program_log` reads what programs complain of.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::Arc;

use log::{info, warn};
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use rustix::io::{fcntl_dupfd_cloexec, ioctl_fionbio};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::connection::{Connection, Phase};
use super::environment::environment;
use super::fresh::Watched;
use super::sources::{Source, token};
use super::{Reactor, signals};
use crate::config::limits::{PROGRAM_DESCRIPTORS, PROGRAM_STOP};
use crate::exit::words;
use crate::service::{CloseReason, Program, SourceId};
use crate::spawner::{Job, Spawner, Started};

/// All programs, and the thread that starts them.
pub(super) struct Programs {
    /// `None` until the first start, and after the end.
    spawner: Option<Spawner>,
    /// Those that are being started.
    starting: usize,
    /// Those that run.
    running: Vec<SourceId>,
}

/// A program that runs, as a source: it becomes readable at its end.
pub(super) struct RunningProgram {
    process: Child,
    /// Its descriptor, registered; without it SIGCHLD says when to look.
    descriptor: Option<OwnedFd>,
    /// The connection whose socket it has.
    connection: SourceId,
    /// Its standard error, if that is read.
    stderr: Option<SourceId>,
    /// It stands in the run queue.
    pub queued: bool,
}

impl Programs {
    pub(super) fn new() -> Self {
        Self {
            spawner: None,
            starting: 0,
            running: Vec::new(),
        }
    }

    /// Descriptors that programs take beside their connections' sockets.
    pub(super) fn descriptors(&self) -> usize {
        (self.starting + self.running.len()) * PROGRAM_DESCRIPTORS
    }
}

impl RunningProgram {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// Signals its whole group. It is not reaped yet, so the number is still its own.
    fn signal(&self, signal: Signal) {
        // A group that has gone meanwhile needs no signal.
        let _ = kill_process_group(self.pid(), signal);
    }

    /// Whether it has ended and is not reaped yet.
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(self.pid()), options).is_ok_and(|status| status.is_some())
    }

    /// Asks it to end; one that was stopped has to go on to hear of it.
    fn ask_to_end(&self) {
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
    }
}

impl Reactor {
    /// Gives a connection's socket to a program that is started for it.
    pub(super) fn hand_over(&mut self, id: SourceId, program: &Program) {
        let draining = self.is_draining();
        let Self { sources, poll, .. } = self;
        let Some(c) = sources.connection(id) else {
            return;
        };
        if c.phase != Phase::Open {
            return;
        }
        if draining {
            c.close(CloseReason::Shutdown);
            return;
        }
        debug_assert!(c.outbound.is_none() && c.inbound.is_none());
        c.phase = Phase::HandedOver;
        // Released first: an error after that finds the connection as `take_back` needs it.
        let job = release(c, poll.registry()).and_then(|socket| {
            Ok(Job {
                id,
                program: std::path::absolute(&program.path)?,
                environment: environment(&c.stream),
                socket,
            })
        });
        if let Err(error) = job.and_then(|job| self.start_program(job)) {
            self.not_started(id, &program.path, &error);
        }
    }

    /// Queues a start. The thread is made for the first, and from then on no signal is ignored that
    /// was ignored when the server started: a program would inherit that.
    fn start_program(&mut self, job: Job) -> io::Result<()> {
        if self.programs.spawner.is_none() {
            signals::stop_ignoring();
            let waker = Arc::clone(&self.waker);
            // A wake-up fails only where the loop has gone.
            let wake = move || drop(waker.wake());
            self.programs.spawner = Some(Spawner::start(wake)?);
        }
        if let Some(spawner) = &self.programs.spawner {
            spawner.push(job)?;
            self.programs.starting += 1;
        }
        Ok(())
    }

    /// Takes what the starting thread has done.
    pub(super) fn take_started(&mut self) {
        while let Some(outcome) = self.programs.spawner.as_ref().and_then(Spawner::outcome) {
            self.programs.starting = self.programs.starting.saturating_sub(1);
            match outcome.result {
                Ok(started) => self.started(outcome.id, started),
                Err(error) => {
                    self.not_started(outcome.id, &outcome.program, &error);
                    self.conclude_now(outcome.id);
                }
            }
        }
    }

    /// A program runs: its end and its standard error become sources.
    fn started(&mut self, connection: SourceId, started: Started) {
        let pid = Pid::from_child(&started.child);
        let stderr = started
            .stderr
            .and_then(|pipe| self.watch_stderr(connection, pid, pipe));
        let id = self.sources.next_id();
        let registry = self.poll.registry();
        // Where it can't be watched SIGCHLD says when to look.
        let descriptor = started.process.filter(|process| {
            let number = process.as_raw_fd();
            registry
                .register(&mut SourceFd(&number), token(id), Interest::READABLE)
                .is_ok()
        });
        let watched = descriptor.is_some();
        let program = RunningProgram {
            process: started.child,
            descriptor,
            connection,
            stderr,
            queued: false,
        };
        if self.is_draining() {
            program.ask_to_end();
        }
        self.sources.insert(Source::Program(Box::new(program)));
        self.programs.running.push(id);
        if !watched {
            // Its signal may have come before it was listed.
            self.look_at(id);
        }
        let Self {
            sources, services, ..
        } = self;
        if let Some(c) = sources.connection(connection) {
            c.program = Some(pid);
            let name = services[usize::from(c.service)].entry.name;
            info!(target: "switchboard", "{name} #{} {}: handed over to program {pid}", c.number, c.peer);
        }
    }

    /// A program could not be started: the client is told, the log has the program's name.
    fn not_started(&mut self, id: SourceId, program: &Path, error: &io::Error) {
        let Self {
            sources,
            services,
            poll,
            now,
            ..
        } = self;
        let Some(c) = sources.connection(id) else {
            return;
        };
        if c.phase != Phase::HandedOver {
            return;
        }
        let name = services[usize::from(c.service)].entry.name;
        let problem = words(error);
        warn!(
            target: "switchboard",
            "{name} #{} {}: can't start {}: {problem}", c.number, c.peer, program.display()
        );
        c.take_back(id, poll.registry());
        if c.phase == Phase::Open {
            c.active_at = *now;
            c.send(format!("error: the program can't be started: {problem}\n").as_bytes());
            c.ask(id, poll.registry());
        }
        c.close(CloseReason::ProgramFailed);
    }

    /// SIGCHLD: looks at every program that the poller does not watch.
    pub(super) fn look_at_unwatched(&mut self) {
        for index in 0..self.programs.running.len() {
            let id = self.programs.running[index];
            if let Some(Source::Program(program)) = self.sources.get(id)
                && program.descriptor.is_none()
            {
                self.look_at(id);
            }
        }
    }

    fn look_at(&mut self, id: SourceId) {
        let Self {
            sources, run_queue, ..
        } = self;
        if let Some(Source::Program(program)) = sources.get_mut(id) {
            run_queue.push(id, &mut program.queued);
        }
    }

    /// Reaps a program if it has ended, this one and no other, and takes its socket back.
    pub(super) fn reap(&mut self, id: SourceId) {
        let draining = self.is_draining();
        let Some(Source::Program(program)) = self.sources.get_mut(id) else {
            return;
        };
        if draining && program.has_ended() {
            // What is left of its group had the same signal; the number is safe until it is reaped.
            program.signal(Signal::KILL);
        }
        let status = match program.process.try_wait() {
            Ok(None) => return,
            Ok(Some(status)) => Some(status),
            // Somebody else has reaped it; there is nothing more to learn.
            Err(_) => None,
        };
        let Some(Source::Program(program)) = self.sources.remove(id) else {
            return;
        };
        self.programs.running.retain(|running| *running != id);
        if let Some(descriptor) = &program.descriptor {
            // Closing it ends the registration too.
            let number = descriptor.as_raw_fd();
            let _ = self.poll.registry().deregister(&mut SourceFd(&number));
        }
        if let Some(stderr) = program.stderr {
            self.end_stderr(stderr);
        }
        let pid = program.pid();
        let Self {
            sources,
            services,
            poll,
            now,
            ..
        } = self;
        if let Some(c) = sources.connection(program.connection)
            && c.phase == Phase::HandedOver
        {
            let name = services[usize::from(c.service)].entry.name;
            info!(
                target: "switchboard",
                "{name} #{} {}: program {pid} has ended: {}", c.number, c.peer, how(status)
            );
            c.take_back(program.connection, poll.registry());
            c.active_at = *now;
            c.close(CloseReason::ProgramEnded);
        }
        self.conclude_now(program.connection);
    }

    /// Ends a turn of a connection outside its own turn.
    fn conclude_now(&mut self, id: SourceId) {
        if let Some(c) = self.sources.connection(id) {
            let kept = c.kept();
            self.conclude(id, kept);
        }
    }

    /// The shutdown has begun: every program is asked to end.
    pub(super) fn ask_programs_to_end(&self) {
        for program in self.running_programs() {
            program.ask_to_end();
        }
    }

    /// Nothing of this server's is left running: not what runs, and not what is being started.
    pub(super) fn kill_programs(&mut self) {
        for program in self.running_programs() {
            program.signal(Signal::KILL);
        }
        let Some(spawner) = self.programs.spawner.take() else {
            return;
        };
        for outcome in spawner.stop(PROGRAM_STOP) {
            if let Ok(started) = outcome.result {
                let _ = kill_process_group(Pid::from_child(&started.child), Signal::KILL);
            }
        }
    }

    fn running_programs(&self) -> impl Iterator<Item = &RunningProgram> {
        let running = self.programs.running.iter();
        running.filter_map(|id| match self.sources.get(*id) {
            Some(Source::Program(program)) => Some(&**program),
            _ => None,
        })
    }
}

impl Connection {
    /// Takes the socket back from a program: non-blocking and in the poller again.
    fn take_back(&mut self, id: SourceId, registry: &Registry) {
        let socket = self.stream.socket();
        let watched = socket
            .and_then(|socket| ioctl_fionbio(socket, true))
            .map_err(io::Error::from)
            .and_then(|()| self.register(id, registry));
        match watched {
            Ok(()) => {
                self.phase = Phase::Open;
                // What happened meanwhile is not known, so everything is tried.
                self.readable = true;
                self.writable = true;
                self.exhaust = true;
            }
            Err(error) => self.abort(CloseReason::from_errno(error.raw_os_error())),
        }
    }
}

/// Takes a connection out of the poller and makes its socket blocking; returns a copy of it.
///
/// Out of the poller first: a registration lives as long as any copy of the socket, and the flag
/// is shared by all copies.
fn release(c: &mut Connection, registry: &Registry) -> io::Result<OwnedFd> {
    if c.watched != Watched::No {
        registry.deregister(&mut c.stream)?;
        c.watched = Watched::No;
    }
    let socket = c.stream.socket()?;
    ioctl_fionbio(socket, false)?;
    Ok(fcntl_dupfd_cloexec(socket, 3)?)
}

/// How a program ended.
fn how(status: Option<ExitStatus>) -> String {
    status.map_or_else(
        || "nobody knows how".to_owned(),
        |status| status.to_string(),
    )
}
