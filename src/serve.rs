//! `serve`: from checked arguments to a running server.

use crate::cli::ServeArgs;
use crate::exit::Exit;

/// Serves until told to end.
pub fn run(_: &ServeArgs) -> Exit {
    Exit::Failure
}
