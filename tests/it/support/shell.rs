//! Command lines of clients that nobody here wrote, run by bash as a user would type them.

use std::fmt::Write as _;

use super::client::start;
use super::have;

/// A command line, and what is to come of it.
pub struct Line {
    /// The client, which the line is left out without.
    pub program: &'static str,
    /// What bash is given; the variables are those of [`run_all`].
    pub script: &'static str,
    /// All of its standard output.
    pub prints: &'static str,
    /// Its exit status: that of the last command that failed, if any.
    pub status: i32,
}

/// A line of a client that ends with 0.
pub const fn line(program: &'static str, script: &'static str, prints: &'static str) -> Line {
    ending(program, script, prints, 0)
}

/// A line of a client that ends with this status; 124 is that of `timeout`, for one that hangs.
pub const fn ending(
    program: &'static str,
    script: &'static str,
    prints: &'static str,
    status: i32,
) -> Line {
    Line {
        program,
        script,
        prints,
        status,
    }
}

/// Runs every line whose client is installed, all at once, each with these variables set, and
/// names all those that do not what they should.
pub fn run_all(lines: &[Line], variables: &[(&str, String)]) {
    if !have("bash") {
        return;
    }
    let mut settings = String::from("set -o pipefail\n");
    for (name, value) in variables {
        writeln!(settings, "{name}='{value}'").unwrap();
    }
    let installed = lines.iter().filter(|line| have(line.program));
    let running: Vec<_> = installed
        .map(|line| {
            let script = format!("{settings}{}", line.script);
            (line, start("bash", &["-c", &script], b""))
        })
        .collect();
    let mut wrong = String::new();
    for (line, running) in running {
        let output = running.finish();
        let printed = String::from_utf8_lossy(&output.stdout);
        if output.status.code() == Some(line.status) && printed == line.prints {
            continue;
        }
        let start: String = printed.chars().take(100).collect();
        let said = String::from_utf8_lossy(&output.stderr);
        let script = line.script;
        writeln!(wrong, "{script}: {}, {start:?}, {said:?}", output.status).unwrap();
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
