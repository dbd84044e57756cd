//! INT, TERM, HUP and USR1 as a source. The handlers set a flag and write one byte; all work is
//! done by the loop.

use std::fs;
use std::io;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};

use crate::reactor::Reactor;

/// The signals, ready to be registered.
pub(super) type Signals = signal_hook_mio::v1_0::Signals;

/// Installs the handlers.
///
/// SIGHUP stays ignored if it was when the process started (`nohup`). SIGXFSZ gets a handler
/// that does nothing: by default it would end the process when a log file reaches its size limit.
/// SIGPIPE is ignored by the Rust runtime; SIGQUIT is left to its default.
pub(super) fn install() -> io::Result<Signals> {
    let mut signals = vec![SIGINT, SIGTERM, SIGUSR1, SIGXFSZ];
    if !is_ignored(SIGHUP) {
        signals.push(SIGHUP);
    }
    Signals::new(&signals)
}

/// Whether the process ignores that signal, by the mask in /proc/self/status (proc(5)).
fn is_ignored(signal: i32) -> bool {
    let Ok(status) = fs::read_to_string("/proc/self/status") else {
        return false;
    };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

impl Reactor {
    /// Acts on every signal that has come.
    pub(super) fn take_signals(&mut self, pending: Vec<i32>) {
        for signal in pending {
            match signal {
                SIGINT => self.begin_drain("SIGINT"),
                SIGTERM => self.begin_drain("SIGTERM"),
                SIGHUP => self.begin_drain("SIGHUP"),
                SIGUSR1 => self.report(),
                _ => {}
            }
        }
    }
}
