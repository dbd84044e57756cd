//! Lanes: the bounded hand-off of work that may block, from a service to threads and back.
//!
//! A service asks for its lanes once, in [`Service::start`](super::Service::start), through a
//! [`Kit`]. A callback hands a job over with [`Cx::offload`](super::Cx::offload); what came of it
//! arrives as [`Service::done`](super::Service::done), typed all the way, or as
//! [`Service::orphaned`](super::Service::orphaned) where the connection has gone meanwhile.
//!
//! This file knows no thread: whoever runs services gives a [`Workshop`] that runs workers, on
//! threads in the server and step by step in the harness.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::{io, iter};

use super::SourceId;

/// What a service is given at its start: its place on disk, and a way to make lanes.
pub struct Kit<'a, D> {
    workshop: &'a mut Workshop,
    results: Results<D>,
}

/// Where workers run and what else a service may need at its start.
pub struct Workshop {
    /// Where services keep what must survive a restart; made when the first service asks.
    pub data: Box<FindData>,
    /// The user whose process this is.
    pub user: u32,
    /// How many processors there are.
    pub processors: usize,
    /// Rung behind every batch of results.
    pub bell: Arc<Bell>,
    /// Has a worker run, under this name, until it says that its lane has ended.
    pub run: Box<RunWorker>,
    /// Asks a person at the terminal; `None` where there is none, or no answer.
    pub ask: Box<AskPerson>,
}

/// Finds, or makes, the directory; `None` keeps everything in memory (tests). The error is words.
pub type FindData = dyn FnMut() -> Result<Option<PathBuf>, String>;

/// Has a worker run.
pub type RunWorker = dyn FnMut(&'static str, Box<dyn Worker>) -> io::Result<()>;

/// Puts a question.
pub type AskPerson = dyn FnMut(&str) -> Option<String>;

/// Wakes the loop. It can be rung before the loop listens to it.
#[derive(Default)]
pub struct Bell(OnceLock<Box<dyn Fn() + Send + Sync>>);

impl Bell {
    /// From here on ringing calls `wake`; only the first such call counts.
    pub fn connect(&self, wake: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.set(Box::new(wake));
    }

    /// Wakes the loop, if it listens.
    pub fn ring(&self) {
        if let Some(wake) = self.0.get() {
            wake();
        }
    }
}

/// One thread's work for one lane.
pub trait Worker: Send {
    /// Takes what waits, as much as one batch may be, and does it; with `wait` set and nothing
    /// there, waits for it.
    fn work(&mut self, wait: bool) -> Worked;
}

/// What a worker found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worked {
    /// Jobs, which are done.
    Jobs,
    /// Nothing at present.
    Nothing,
    /// The service has gone: nothing will ever come.
    Ended,
}

/// The service's end of a lane: a bounded queue of jobs.
pub struct Lane<J> {
    queue: Option<Queue<(SourceId, J)>>,
}

/// A queue whose bound is counted: one of the library's that is bounded takes memory for all that
/// could ever wait at its start, and touches it.
struct Queue<T> {
    sender: Sender<T>,
    waiting: Arc<AtomicUsize>,
    capacity: usize,
}

/// The workers' end of it.
struct Jobs<T> {
    receiver: Receiver<T>,
    waiting: Arc<AtomicUsize>,
}

fn queue<T>(capacity: usize) -> (Queue<T>, Jobs<T>) {
    let (sender, receiver) = channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let jobs = Jobs {
        receiver,
        waiting: Arc::clone(&waiting),
    };
    let queue = Queue {
        sender,
        waiting,
        capacity,
    };
    (queue, jobs)
}

impl<J> Default for Lane<J> {
    /// A lane that takes nothing, for the time before the start.
    fn default() -> Self {
        Self { queue: None }
    }
}

impl<J> Lane<J> {
    /// Queues a job for the connection of that id.
    ///
    /// # Errors
    /// Gives the job back where the lane is full.
    pub fn push(&self, id: SourceId, job: J) -> Result<(), J> {
        let Some(queue) = &self.queue else {
            return Err(job);
        };
        // Only this end adds, so what is seen to have room has it still.
        if queue.waiting.load(Ordering::Relaxed) >= queue.capacity {
            return Err(job);
        }
        queue.waiting.fetch_add(1, Ordering::Relaxed);
        queue.sender.send((id, job)).map_err(|error| error.0.1)
    }
}

impl<T> Jobs<T> {
    /// The next job; with `wait` set, once there is one. The error says that none will come.
    fn next(&self, wait: bool) -> Result<Option<T>, Worked> {
        let job = match wait {
            true => self.receiver.recv().map_err(|_| Worked::Ended)?,
            false => match self.receiver.try_recv() {
                Ok(job) => job,
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => return Err(Worked::Ended),
            },
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Ok(Some(job))
    }
}

/// Where a worker puts what came of its jobs.
pub struct Results<D> {
    sender: Sender<(SourceId, D)>,
    bell: Arc<Bell>,
}

impl<D> Clone for Results<D> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            bell: Arc::clone(&self.bell),
        }
    }
}

impl<D> Results<D> {
    /// Reports what came of the job of that connection; [`SourceId::NOBODY`] is for the service.
    ///
    /// The loop is told once for a whole batch, behind it.
    pub fn send(&self, id: SourceId, done: D) {
        // Nobody listens once the service has gone.
        let _ = self.sender.send((id, done));
    }
}

impl<'a, D: Send + 'static> Kit<'a, D> {
    /// A kit, and where the results of its lanes come out.
    pub fn new(workshop: &'a mut Workshop) -> (Self, Receiver<(SourceId, D)>) {
        let (sender, finished) = channel();
        let bell = Arc::clone(&workshop.bell);
        let results = Results { sender, bell };
        (Self { workshop, results }, finished)
    }

    /// The path of a file of this service's; `None` where everything is kept in memory.
    ///
    /// # Errors
    /// Where the directory can't be made, in words that name it.
    pub fn file(&mut self, name: &str) -> Result<Option<PathBuf>, String> {
        let data = (self.workshop.data)()?;
        Ok(data.map(|data| data.join(name)))
    }

    /// The user whose process this is.
    pub fn user(&self) -> u32 {
        self.workshop.user
    }

    /// How many processors there are; at least 1.
    pub fn processors(&self) -> usize {
        self.workshop.processors
    }

    /// Asks a person at the terminal; `None` where there is none, or no answer.
    pub fn ask(&mut self, question: &str) -> Option<String> {
        (self.workshop.ask)(question)
    }

    /// A lane with one thread, which does its jobs in order: as many as wait, at most `batch`, in
    /// one call of `run`. At most `capacity` jobs wait.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn ordered<J: Send + 'static>(
        &mut self,
        name: &'static str,
        (capacity, batch): (usize, usize),
        run: impl FnMut(&mut Vec<(SourceId, J)>, &Results<D>) + Send + 'static,
    ) -> io::Result<Lane<J>> {
        let (queue, jobs) = queue(capacity);
        let worker = Ordered {
            jobs,
            batch,
            waiting: Vec::with_capacity(batch),
            run,
            results: self.results.clone(),
        };
        (self.workshop.run)(name, Box::new(worker))?;
        Ok(Lane { queue: Some(queue) })
    }

    /// A lane with several threads, each with a `run` of its own from `make`, which do jobs side by
    /// side and in any order. At most `capacity` jobs wait.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn pool<J, R>(
        &mut self,
        name: &'static str,
        (capacity, threads): (usize, usize),
        mut make: impl FnMut() -> R,
    ) -> io::Result<Lane<J>>
    where
        J: Send + 'static,
        R: FnMut(J) -> D + Send + 'static,
    {
        let (queue, jobs) = queue(capacity);
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..threads {
            let worker = Pooled {
                jobs: Arc::clone(&jobs),
                run: make(),
                results: self.results.clone(),
            };
            (self.workshop.run)(name, Box::new(worker))?;
        }
        Ok(Lane { queue: Some(queue) })
    }
}

/// The worker of an ordered lane.
struct Ordered<J, D, R> {
    jobs: Jobs<(SourceId, J)>,
    batch: usize,
    waiting: Vec<(SourceId, J)>,
    run: R,
    results: Results<D>,
}

impl<J, D, R> Worker for Ordered<J, D, R>
where
    J: Send,
    D: Send,
    R: FnMut(&mut Vec<(SourceId, J)>, &Results<D>) + Send,
{
    fn work(&mut self, wait: bool) -> Worked {
        match self.jobs.next(wait) {
            Ok(Some(job)) => self.waiting.push(job),
            Ok(None) => return Worked::Nothing,
            Err(ended) => return ended,
        }
        let more = iter::from_fn(|| self.jobs.next(false).ok().flatten());
        self.waiting.extend(more.take(self.batch.saturating_sub(1)));
        (self.run)(&mut self.waiting, &self.results);
        self.waiting.clear();
        self.results.bell.ring();
        Worked::Jobs
    }
}

/// One of a pool's workers.
struct Pooled<J, D, R> {
    jobs: Arc<Mutex<Jobs<(SourceId, J)>>>,
    run: R,
    results: Results<D>,
}

impl<J, D, R> Worker for Pooled<J, D, R>
where
    J: Send,
    D: Send,
    R: FnMut(J) -> D + Send,
{
    fn work(&mut self, wait: bool) -> Worked {
        // Whoever holds the lock waits for the next job, the others wait for the lock. A queue is
        // whole whatever happened to a thread that held it.
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let found = jobs.next(wait);
        drop(jobs);
        match found {
            Ok(Some((id, job))) => {
                let done = (self.run)(job);
                self.results.send(id, done);
                self.results.bell.ring();
                Worked::Jobs
            }
            Ok(None) => Worked::Nothing,
            Err(ended) => ended,
        }
    }
}
