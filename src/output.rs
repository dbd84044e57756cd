//! Standard output and standard error behind bounded queues, so that the loop never waits for them.
//!
//! A terminal that was stopped with Ctrl-S, a pipe that nobody reads or a full disk would block or
//! fail a write. Here a line is queued, one thread for each stream writes it, and what finds the
//! queue full is dropped and counted; the count is written once there is room again.
//!
//! The writers have a table of descriptors of their own: a process whose threads share one pays for it
//! in every call (docs/decisions/0040-writers-with-their-own-descriptors.md).
//! This file, `input.rs` and `spawner.rs` start all threads of the server.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::SigSet;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::config::limits::{OUTPUT_BYTES_MAX, OUTPUT_LINES_MAX};

/// The writer keeps its memory from batch to batch up to this many bytes.
const BATCH_KEPT_BYTES: usize = 64 * 1024;

/// One of the standard streams, with its queue. Clones share both.
#[derive(Clone)]
pub struct Output {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Something was queued since the last wake-up. A flag is enough, and it may come a moment
    /// late: the lock orders the rest.
    waiting: AtomicBool,
    /// Rung when there is something to write.
    filled: Condvar,
    /// Rung when all is written.
    emptied: Condvar,
}

#[derive(Default)]
struct Queue {
    text: Vec<u8>,
    lines: usize,
    /// Lines that found the queue full since the last one that was queued.
    dropped: u64,
    /// The thread has taken text and not finished writing it.
    writing: bool,
}

/// Which table of descriptors a writer's thread uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Descriptors {
    /// A copy of the process's, made at the thread's start. What is open then, on any thread, stays open
    /// in it to the end of the process: this is for a process that has opened nothing yet.
    Own,
    /// That of the process.
    Shared,
}

impl Output {
    /// Standard output.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn stdout(descriptors: Descriptors) -> io::Result<Self> {
        Self::start("stdout", rustix::stdio::stdout, descriptors)
    }

    /// Standard error.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn stderr(descriptors: Descriptors) -> io::Result<Self> {
        Self::start("stderr", rustix::stdio::stderr, descriptors)
    }

    fn start(
        name: &str,
        stream: fn() -> BorrowedFd<'static>,
        descriptors: Descriptors,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::default()),
            waiting: AtomicBool::new(false),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        });
        let writer = Arc::clone(&shared);
        let apart = Arc::new(Barrier::new(2));
        let reached = Arc::clone(&apart);
        thread::Builder::new()
            .name(format!("write-{name}"))
            .spawn(move || {
                // Signals are for the loop: their handler writes to a descriptor that this thread may
                // not have. And with SIGTTOU blocked a write from the background is made, where the
                // terminal (`stty tostop`) would otherwise stop the whole process for it. It fails for
                // wrong arguments only.
                let _ = SigSet::all().thread_set_mask();
                if descriptors == Descriptors::Own {
                    // Where it is refused (some containers), the table stays shared: that is slower.
                    let _ = unshare(CloneFlags::CLONE_FILES);
                }
                reached.wait();
                write_lines(&writer, stream);
            })?;
        // A socket that the loop opened before that would be open in the thread too, and its peer
        // would not see it closed; a signal that came before that would be lost.
        apart.wait();
        Ok(Self { shared })
    }

    /// Queues text that ends with a newline; drops and counts it where the queue is full. It is
    /// written after the next [`Output::wake`] or [`Output::flush`].
    pub fn write(&self, text: &[u8]) {
        let mut queue = self.shared.lock();
        let full = queue.lines >= OUTPUT_LINES_MAX
            || queue.text.len().saturating_add(text.len()) > OUTPUT_BYTES_MAX;
        if full {
            queue.dropped = queue.dropped.saturating_add(1);
            return;
        }
        queue.tell_lost();
        queue.push(text);
        drop(queue);
        self.shared.waiting.store(true, Ordering::Relaxed);
    }

    /// Has what was queued written. The loop calls it once an iteration: a writer that were woken
    /// for every line would cost the loop a system call for each.
    pub fn wake(&self) {
        if self.shared.waiting.swap(false, Ordering::Relaxed) {
            self.shared.filled.notify_one();
        }
    }

    /// Waits until all is written, at most `limit`; true if it is.
    pub fn flush(&self, limit: Duration) -> bool {
        self.wake();
        let queue = self.shared.lock();
        let unwritten = |queue: &mut Queue| queue.writing || !queue.text.is_empty();
        let waited = self
            .shared
            .emptied
            .wait_timeout_while(queue, limit, unwritten);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Queue {
    /// Puts the number of lines that were dropped in their place.
    fn tell_lost(&mut self) {
        if self.dropped > 0 {
            let lost = format!(
                "... {} lines lost here: nobody read them in time\n",
                self.dropped
            );
            self.dropped = 0;
            self.push(lost.as_bytes());
        }
    }

    fn push(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
        self.lines += 1;
    }
}

impl Shared {
    /// A thread that died with the lock held has left a queue that is still whole.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The logger writes whole lines, each in one call.
impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Output::write(self, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_lines(shared: &Shared, stream: fn() -> BorrowedFd<'static>) {
    let mut batch = Vec::new();
    loop {
        let mut queue = shared.lock();
        queue.writing = false;
        while queue.text.is_empty() {
            shared.emptied.notify_all();
            queue = shared
                .filled
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
        // Here too: there may be no later line that could bring the news.
        queue.tell_lost();
        std::mem::swap(&mut batch, &mut queue.text);
        queue.lines = 0;
        queue.writing = true;
        drop(queue);
        write_all(stream(), &batch);
        batch.clear();
        batch.shrink_to(BATCH_KEPT_BYTES);
    }
}

/// Writes what the stream takes, waiting for it as long as it likes; an error gives the rest up:
/// there is nobody to tell.
fn write_all(stream: BorrowedFd<'_>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::write(stream, bytes) {
            Ok(0) => return,
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            // The stream was made non-blocking by whoever shares it.
            Err(Errno::AGAIN) => {
                if poll(&mut [PollFd::new(&stream, PollFlags::OUT)], None)
                    .is_err_and(|errno| errno != Errno::INTR)
                {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}
