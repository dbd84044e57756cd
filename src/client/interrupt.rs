//! Ctrl-C as something that poll(2) can wait for, for a client that has a last word to say.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::SIGINT;
use signal_hook::{flag, low_level::pipe};

/// Readable once SIGINT has come. A second one ends the process as it would have without this:
/// a last word that nobody reads must not hold it up.
#[derive(Debug)]
pub struct Interrupt {
    told: UnixStream,
}

impl Interrupt {
    /// Takes SIGINT over, for the rest of the process.
    pub fn install() -> io::Result<Self> {
        let (told, tell) = UnixStream::pair()?;
        let has_come = Arc::new(AtomicBool::new(false));
        // In this order the first signal finds the flag unset.
        flag::register_conditional_default(SIGINT, Arc::clone(&has_come))?;
        flag::register(SIGINT, has_come)?;
        pipe::register(SIGINT, tell)?;
        Ok(Self { told })
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.told.as_fd()
    }
}
