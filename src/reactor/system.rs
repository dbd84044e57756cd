//! What the loop asks of the system at its start: descriptors, and a seed.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::config::limits::DESCRIPTOR_RESERVE;

/// The connections that the descriptor limit allows, with the limit raised as far as it goes:
/// the limit less a reserve and one for each of `listeners` and its lock.
pub fn connections_allowed(listeners: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    // No limit at all: a million connections are reckoned with, which costs address space only.
    let current = current.unwrap_or(1 << 20).min(1 << 20);
    let free = usize::try_from(current.saturating_sub(DESCRIPTOR_RESERVE)).unwrap_or(0);
    free.saturating_sub(2 * listeners).max(1)
}

/// A seed that nobody can foresee.
pub(super) fn unforeseen() -> io::Result<u64> {
    let mut seed = [0; 8];
    // The kernel gives up to 256 bytes whole (getrandom(2)).
    getrandom(&mut seed, GetRandomFlags::empty())?;
    Ok(u64::from_ne_bytes(seed))
}
