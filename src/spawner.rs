//! Starts programs on a thread of its own, so that the loop never waits for one.
//!
//! A start takes a millisecond as a rule, because the starter waits until the program's file has
//! been opened; on a file system that hangs it takes for ever, and then only other starts wait.
//! The thread begins with the first start: a server without programs does not have it.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::thread;
use std::time::Duration;

use nix::sys::signal::SigSet;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::config::limits::SPAWNS_QUEUED_MAX;
use crate::service::SourceId;

/// A program to be started.
pub struct Job {
    /// The connection that it is for.
    pub id: SourceId,
    /// The absolute path of its file.
    pub program: PathBuf,
    /// Its whole environment.
    pub environment: Vec<(&'static str, OsString)>,
    /// Its standard input and output; blocking.
    pub socket: OwnedFd,
}

/// A program that runs.
pub struct Started {
    /// The process; whoever has this reaps it.
    pub child: Child,
    /// A descriptor of the process that becomes readable at its end (pidfd_open(2)); `None` where
    /// the kernel has none.
    pub process: Option<OwnedFd>,
    /// The other end of its standard error.
    pub stderr: Option<ChildStderr>,
}

/// What became of a job.
pub struct Outcome {
    /// The connection that it was for.
    pub id: SourceId,
    /// The program that was asked for.
    pub program: PathBuf,
    /// It runs, or why not.
    pub result: io::Result<Started>,
}

/// The thread, its bounded queue, and what it has done.
pub struct Spawner {
    jobs: SyncSender<Job>,
    outcomes: Receiver<Outcome>,
    stopped: Arc<AtomicBool>,
}

impl Spawner {
    /// Starts the thread; it calls `wake` behind each outcome.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn start(wake: impl Fn() + Send + 'static) -> io::Result<Self> {
        let (jobs, queue) = sync_channel::<Job>(SPAWNS_QUEUED_MAX);
        let (done, outcomes) = channel();
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        thread::Builder::new()
            .name("spawn".to_owned())
            .spawn(move || {
                // A program inherits the mask of the thread that starts it, and should have none.
                let _ = SigSet::empty().thread_set_mask();
                for job in queue {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let (id, program) = (job.id, job.program.clone());
                    let result = spawn(job);
                    let outcome = Outcome {
                        id,
                        program,
                        result,
                    };
                    if done.send(outcome).is_err() {
                        return;
                    }
                    wake();
                }
            })?;
        Ok(Self {
            jobs,
            outcomes,
            stopped,
        })
    }

    /// Queues a job.
    ///
    /// # Errors
    /// `WouldBlock` where the queue is full.
    pub fn push(&self, job: Job) -> io::Result<()> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => io::ErrorKind::WouldBlock.into(),
            TrySendError::Disconnected(_) => io::Error::other("the thread has ended"),
        })
    }

    /// What became of a job, if one is done.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcomes.try_recv().ok()
    }

    /// Starts nothing more; waits at most `limit` for a start that is under way, and returns what
    /// nobody has asked for yet.
    pub fn stop(self, limit: Duration) -> Vec<Outcome> {
        let Self {
            jobs,
            outcomes,
            stopped,
        } = self;
        stopped.store(true, Ordering::Relaxed);
        drop(jobs);
        let mut left = Vec::new();
        // The thread hangs up when it ends; until then one start can be under way, not two.
        while let Ok(outcome) = outcomes.recv_timeout(limit) {
            left.push(outcome);
        }
        left
    }
}

/// Starts one program: its own process group, an environment from nothing, no other descriptor.
/// The standard library gives SIGPIPE back its default; handlers of ours end with exec.
fn spawn(job: Job) -> io::Result<Started> {
    let stdin = job.socket.try_clone()?;
    let mut child = Command::new(&job.program)
        .env_clear()
        .envs(job.environment)
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::from(job.socket))
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    // Nobody has reaped it yet, so the number is still its own.
    let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).ok();
    let stderr = child.stderr.take();
    Ok(Started {
        child,
        process,
        stderr,
    })
}
