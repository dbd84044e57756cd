//! Command lines of clients that nobody here wrote, run by bash as a user would type them.

use std::fmt::Write as _;

use super::client::start;
use super::have;
use super::rounds::{ROUNDS, Timely, holds, in_one_of};

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

impl Line {
    /// Whether a clock of its own ends it: on a busy machine that may be before the answer.
    fn has_a_clock(&self) -> bool {
        let clocks = ["timeout ", "sleep ", " -w", " -q", " -t", " -i", " -m "];
        clocks.iter().any(|clock| self.script.contains(clock))
    }
}

/// Runs every line whose client is installed, all at once, each with these variables set, and
/// names all those that do not what they should. Those with a clock have a few rounds.
pub fn run_all(lines: &[Line], variables: &[(&str, String)]) {
    let (timed, plain): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.has_a_clock());
    let late = std::thread::scope(|scope| {
        let late = scope.spawn(|| wrong(&timed, variables));
        let wrong: String = wrong(&plain, variables).into_iter().map(said).collect();
        assert!(wrong.is_empty(), "\n{wrong}");
        late.join().unwrap()
    });
    for (line, _) in late {
        in_one_of(ROUNDS, || run_one(line, variables));
    }
}

/// Runs one line, once.
pub fn run_one(line: &Line, variables: &[(&str, String)]) -> Timely {
    let wrong: String = wrong(&[line], variables).into_iter().map(said).collect();
    holds(wrong.is_empty(), || wrong)
}

fn said((_, what): (&Line, String)) -> String {
    what
}

/// Runs all of them at once; those that do not what they should, and what they do.
fn wrong<'a>(lines: &[&'a Line], variables: &[(&str, String)]) -> Vec<(&'a Line, String)> {
    if !have("bash") {
        return Vec::new();
    }
    let mut settings = String::from("set -o pipefail\n");
    for (name, value) in variables {
        writeln!(settings, "{name}='{value}'").unwrap();
    }
    let installed = lines.iter().filter(|line| have(line.program));
    let running: Vec<_> = installed
        .map(|line| {
            let script = format!("{settings}{}", line.script);
            (*line, start("bash", &["-c", &script], b""))
        })
        .collect();
    let mut wrong = Vec::new();
    for (line, running) in running {
        let output = running.finish();
        let printed = String::from_utf8_lossy(&output.stdout);
        if output.status.code() == Some(line.status) && printed == line.prints {
            continue;
        }
        let start: String = printed.chars().take(100).collect();
        let said = String::from_utf8_lossy(&output.stderr);
        let what = format!("{}: {}, {start:?}, {said:?}\n", line.script, output.status);
        eprint!("{what}");
        wrong.push((line, what));
    }
    wrong
}
