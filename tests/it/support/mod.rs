//! What every test needs: a server that is ended on drop, clients with a limit on their time, and
//! readers of /proc. Nothing here sleeps for a fixed time or guesses a port.

pub mod client;
pub mod folder;
pub mod history;
/// Clients on a terminal, as the tests of clients have them.
#[path = "../../clients/terminal.rs"]
pub mod job;
pub mod kiosk;
pub mod lockers;
pub mod operator;
pub mod points;
pub mod process;
pub mod program;
pub mod refusal;
pub mod rounds;
pub mod scenario;
pub mod server;
pub mod shell;
pub mod socket;
pub mod stream;
pub mod terminal;
pub mod trips;
pub mod udp;

use std::time::{Duration, Instant};

/// How long anything may take before a test fails: far longer than it does, on a machine that has
/// much else to do as well. Only a fault waits for it.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The same, by the name that it has in the tests of clients.
pub const PATIENCE: Duration = LIMIT;

/// Waits until `condition` holds; fails the test, naming `what`, where it does not within [`LIMIT`].
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < end, "waited {LIMIT:?} for: {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// Whether `program` can be run here. In CI, which installs them all, a missing one is a failure;
/// elsewhere the test says that it is skipped, and for want of what.
pub fn have(program: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    });
    assert!(
        found || std::env::var_os("CI").is_none(),
        "{program} is not installed"
    );
    if !found {
        eprintln!("skipped: {program} is not installed (see README.md)");
    }
    found
}

/// Whether strace is here and may trace.
pub fn can_inject() -> bool {
    if !have("strace") {
        return false;
    }
    let may = client::run("strace", &["-f", "true"], b"").status.success();
    assert!(may || std::env::var_os("CI").is_none(), "ptrace is refused");
    if !may {
        eprintln!("skipped: strace may not trace here (ptrace is refused)");
    }
    may
}
