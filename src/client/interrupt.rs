//! Ctrl-C as something that poll(2) can wait for, for a client that has a last word to say.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::SIGINT;
use signal_hook::{flag, low_level, low_level::pipe};

/// Readable once SIGINT has come. A second one ends the process as it would have without this:
/// a last word that nobody reads must not hold it up.
#[derive(Debug)]
pub struct Interrupt {
    told: UnixStream,
    /// SIGINT ends the process at once.
    is_plain: Arc<AtomicBool>,
}

impl Interrupt {
    /// Takes SIGINT over, for the rest of the process.
    pub fn install() -> io::Result<Self> {
        let (told, tell) = UnixStream::pair()?;
        let is_plain = Arc::new(AtomicBool::new(false));
        // In this order the first signal finds the flag unset.
        flag::register_conditional_default(SIGINT, Arc::clone(&is_plain))?;
        flag::register(SIGINT, Arc::clone(&is_plain))?;
        pipe::register(SIGINT, tell)?;
        Ok(Self { told, is_plain })
    }

    /// Does something that can't watch for SIGINT, which ends the process at once meanwhile.
    pub fn unwatched<T>(&self, work: impl FnOnce() -> T) -> T {
        let was_plain = self.is_plain.swap(true, Ordering::SeqCst);
        let done = work();
        self.is_plain.store(was_plain, Ordering::SeqCst);
        done
    }

    /// Waits for it, at most for `pause`; whether it has come.
    pub fn comes_within(&self, pause: Duration) -> bool {
        let pause = Timespec::try_from(pause).ok();
        let mut watched = [PollFd::new(&self.told, PollFlags::IN)];
        // Another signal ends the pause early, which does no harm.
        matches!(poll(&mut watched, pause.as_ref()), Ok(ready) if ready > 0)
    }

    /// Ends the process by SIGINT, so that a shell sees what has ended it.
    pub fn end_process() {
        // It fails for signals that can't end a process.
        let _ = low_level::emulate_default_handler(SIGINT);
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.told.as_fd()
    }
}
