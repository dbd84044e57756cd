//! INT, TERM, HUP, USR1, CHLD and XFSZ as a source. The handlers set a flag and write one byte; all
//! work is done by the loop.

use std::fs;
use std::io;
use std::sync::Arc;

use signal_hook::consts::{
    SIGCHLD, SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGXFSZ,
};

use crate::reactor::Reactor;

/// The signals, ready to be registered.
pub(super) type Signals = signal_hook_mio::v1_0::Signals;

/// Installs the handlers.
///
/// SIGHUP stays ignored if it was when the process started (`nohup`). SIGXFSZ gets a handler
/// that does nothing: by default it would end the process when a log file reaches its size limit.
/// SIGCHLD gets one so that programs can be reaped, also where it was ignored at the start.
/// SIGPIPE is ignored by the Rust runtime; SIGQUIT is left to its default.
pub(super) fn install() -> io::Result<Signals> {
    let mut signals = vec![SIGINT, SIGTERM, SIGUSR1, SIGXFSZ, SIGCHLD];
    if !ignored().contains(&SIGHUP) {
        signals.push(SIGHUP);
    }
    Signals::new(&signals)
}

/// Keeps SIGXFSZ from ending the process while it starts, before [`install`]: a file that reaches
/// its size limit is an error of the write, which whoever writes it can say.
pub(super) fn outlive_size_limits() -> io::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::default()).map(|_| ())
}

/// Gives every signal that is ignored a handler that does nothing. To the server that is the same;
/// programs that it starts get the default, because exec gives up handlers but keeps what is
/// ignored. Called before the first program is started.
pub(super) fn stop_ignoring() {
    for signal in ignored() {
        if !LEFT_IGNORED.contains(&signal) {
            // Some can't be caught; those stay as they are.
            let _ = signal_hook::flag::register(signal, Arc::default());
        }
    }
}

/// Signals that stay ignored where they were. The standard library gives SIGPIPE back its default
/// in programs; the other three say that the terminal may not stop us, and with a handler a read
/// from it in the background would be tried for ever.
const LEFT_IGNORED: [i32; 4] = [SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU];

/// The signals that the process ignores, by the mask in /proc/self/status (proc(5)).
fn ignored() -> Vec<i32> {
    let Ok(status) = fs::read_to_string("/proc/self/status") else {
        return Vec::new();
    };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    (1..=64)
        .filter(|signal| mask >> (signal - 1) & 1 == 1)
        .collect()
}

impl Reactor {
    /// Acts on every signal that has come. Those that end the server and came together are one
    /// wish: a wrapper like timeout(1) sends the same one to the process and to its group.
    pub(super) fn take_signals(&mut self, pending: Vec<i32>) {
        let mut told = false;
        for signal in pending {
            let name = match signal {
                SIGINT => "SIGINT",
                SIGTERM => "SIGTERM",
                SIGHUP => "SIGHUP",
                SIGUSR1 => {
                    self.report();
                    continue;
                }
                SIGCHLD => {
                    self.look_at_unwatched();
                    continue;
                }
                _ => continue,
            };
            if !std::mem::replace(&mut told, true) {
                self.begin_drain(name);
            }
        }
    }
}
