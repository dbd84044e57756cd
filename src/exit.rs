//! Exit codes as a type: what a script learns from the end of the process.

use std::process::{ExitCode, Termination};

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did its job; for the server: it was told to end, or `--accepts` was reached.
    Success,
    /// Something failed: an address in use, no connection, a connection lost.
    Failure,
    /// The command line was wrong; it was named.
    Usage,
    /// The server said no (a client's line `error: ...`).
    Refused,
}

impl Exit {
    /// The number that the shell sees.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Refused => 3,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.code())
    }
}
