//! The thin binary: parse, run, exit code.

use switchboard::exit::Exit;

fn main() -> Exit {
    switchboard::cli::run()
}
