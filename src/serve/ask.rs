//! Questions to the person who starts the server.

use std::io::{self, Write as _};

use rustix::process::getpgrp;
use rustix::stdio::{stderr, stdin};
use rustix::termios::{isatty, tcgetpgrp};

/// Puts a question on the terminal and reads a line; `None` where there is no terminal, the server
/// runs in the background of its shell, or the input ends.
pub(super) fn on_terminal(question: &str) -> Option<String> {
    let there = isatty(stdin()) && isatty(stderr());
    if !there || tcgetpgrp(stdin()).ok()? != getpgrp() {
        return None;
    }
    let _ = write!(io::stderr(), "{question} ");
    let mut line = String::new();
    match io::stdin().read_line(&mut line) {
        Ok(count) if count > 0 => Some(line.trim().to_owned()),
        _ => None,
    }
}
