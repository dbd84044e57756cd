//! The thin binary: parse, run, exit code. Everything else is in the library.

#![forbid(unsafe_code)]

use switchboard::exit::Exit;

fn main() -> Exit {
    switchboard::cli::run()
}
