//! `cargo bench`: what a message costs, measured on the real binary against naive peers.
//!
//! Every server is a process of its own: the switchboard binary, and peers that are this very
//! program started again with a hidden first argument (`peers`). The load comes from this process,
//! one thread and mio, on one core while the server has another (`machine`). Servers are measured
//! in turns, several rounds each, because only ratios taken close together mean anything on a
//! machine that does other things as well. `docs/PERFORMANCE.md` says how to read the tables.
//!
//!     cargo bench                     all workloads, about twenty minutes
//!     cargo bench -- echo slot        those whose name contains one of the words
//!     cargo bench -- --smoke          a short run of each
//!
//! It ends with status 1 where a workload failed or a promise (`Report::check`) was broken.

#![forbid(unsafe_code)]

mod calls;
mod count;
mod echo;
mod files;
mod idle;
mod instructions;
mod link;
mod load;
mod locker;
mod machine;
mod peers;
mod report;
mod server;
mod short;
mod slot;
mod start;
mod sum;
mod tftp;
mod udp;
mod visits;

use std::env;
use std::process::ExitCode;

use report::{Outcome, Report};

/// One named measurement.
struct Workload {
    name: &'static str,
    /// What it measures, printed above its table.
    about: &'static str,
    run: fn(&mut Report) -> Outcome<()>,
}

const WORKLOADS: &[Workload] = &[
    Workload {
        name: "echo",
        about: echo::ABOUT,
        run: echo::run,
    },
    Workload {
        name: "short",
        about: short::ABOUT,
        run: short::run,
    },
    Workload {
        name: "sum",
        about: sum::ABOUT,
        run: sum::run,
    },
    Workload {
        name: "sum-stream",
        about: sum::stream::ABOUT,
        run: sum::stream::run,
    },
    Workload {
        name: "calls",
        about: calls::ABOUT,
        run: calls::run,
    },
    Workload {
        name: "instructions",
        about: instructions::ABOUT,
        run: instructions::run,
    },
    Workload {
        name: "idle",
        about: idle::ABOUT,
        run: idle::run,
    },
    Workload {
        name: "slot",
        about: slot::ABOUT,
        run: slot::run,
    },
    Workload {
        name: "udp",
        about: udp::ABOUT,
        run: udp::run,
    },
    Workload {
        name: "tftp",
        about: tftp::ABOUT,
        run: tftp::run,
    },
    Workload {
        name: "start",
        about: start::ABOUT,
        run: start::run,
    },
    Workload {
        name: "locker",
        about: locker::ABOUT,
        run: locker::run,
    },
    Workload {
        name: "files",
        about: files::ABOUT,
        run: files::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [peer, directory] = &arguments[..]
        && let Some(serve) = peers::named(peer)
    {
        return match serve(directory.as_ref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{peer}: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let chosen = match chosen(&arguments) {
        Ok(chosen) => chosen,
        Err(word) => {
            let names: Vec<&str> = WORKLOADS.iter().map(|workload| workload.name).collect();
            eprintln!("{word}: no such workload; there are {}", names.join(", "));
            return ExitCode::from(2);
        }
    };
    // Cargo says --bench when it runs benches; under `cargo test` a short run has to do.
    let smoke = has(&arguments, "--smoke") || !has(&arguments, "--bench");
    run(&chosen, smoke)
}

fn has(arguments: &[String], flag: &str) -> bool {
    arguments.iter().any(|argument| argument == flag)
}

/// The workloads that the words ask for, all where there is none; a word that fits none is an error.
fn chosen(arguments: &[String]) -> Result<Vec<&'static Workload>, &str> {
    let words = || {
        arguments
            .iter()
            .filter(|argument| !argument.starts_with("--"))
    };
    let fits = |workload: &Workload, word: &str| workload.name.contains(word);
    if let Some(word) = words().find(|word| !WORKLOADS.iter().any(|workload| fits(workload, word)))
    {
        return Err(word);
    }
    let wanted =
        |workload: &&Workload| words().next().is_none() || words().any(|word| fits(workload, word));
    Ok(WORKLOADS.iter().filter(wanted).collect())
}

fn run(workloads: &[&Workload], smoke: bool) -> ExitCode {
    let mut report = Report::new(smoke);
    println!("{}\n", machine::description(smoke));
    if let Err(error) = machine::raise_descriptor_limit() {
        eprintln!("the descriptor limit stays as it is: {error}");
    }
    if let Err(error) = machine::pin_load() {
        eprintln!("load and server share their cores: {error}");
    }
    for workload in workloads {
        println!("## {}\n\n{}\n", workload.name, workload.about);
        if let Err(error) = (workload.run)(&mut report) {
            report.fail(&format!("{}: {error}", workload.name));
        }
        println!();
    }
    report.conclude()
}
