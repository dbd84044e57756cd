//! Exit codes as a type: what a script learns from the end of the process.

use std::io;
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

/// What the system said, in its own words but without its number: `connection refused`.
pub fn words(error: &io::Error) -> String {
    let mut text = error.to_string();
    if let Some(at) = text.rfind(" (os error ") {
        text.truncate(at);
    }
    // Only the first letter, and not that of an abbreviation.
    if !text.chars().nth(1).is_some_and(char::is_uppercase)
        && let Some(first) = text.get_mut(..1)
    {
        first.make_ascii_lowercase();
    }
    text
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_the_end_of_a_sentence() {
        let refused = io::Error::from_raw_os_error(111);
        assert_eq!(words(&refused), "connection refused");
        assert_eq!(words(&io::Error::other("EOF came")), "EOF came");
        assert_eq!(words(&io::Error::other("")), "");
    }
}
