//! Instructions that the server itself runs for one echo, counted by callgrind.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::process::Command;

use tempfile::TempDir;

use crate::echo::Load;
use crate::link::Transport;
use crate::report::{Outcome, Report, Table, whole};
use crate::server::{Kind, Server};

pub const ABOUT: &str = "\
50 connections, one message of 64 bytes under way on each. The server runs under
`valgrind --tool=callgrind`, once for few messages and once for many; the difference, divided by that
of the messages, is what one message takes outside of the kernel.";

/// What switchboard promises; a compiler that does worse by a tenth does not break it.
const INSTRUCTIONS_MAX: f64 = 210.0;

const CONNECTIONS: usize = 50;
const KINDS: [Kind; 3] = [Kind::Switchboard, Kind::Bare, Kind::Tokio];

pub fn run(report: &mut Report) -> Outcome<()> {
    if let Err(error) = Command::new("valgrind").arg("--version").output() {
        println!("Not counted: there is no valgrind here ({error}).");
        return Ok(());
    }
    let lengths = report.pick([5_000, 55_000], [1_000, 6_000]);
    let mut table = Table::new(&["transport", "server", "instructions/message"]);
    let mut promised = Vec::new();
    for transport in [Transport::Tcp, Transport::Unix] {
        for kind in KINDS {
            let each =
                each(kind, transport, lengths).map_err(|error| format!("{kind}: {error}"))?;
            table.row(vec![transport.to_string(), kind.to_string(), whole(each)]);
            if kind == Kind::Switchboard {
                promised.push((transport, each));
            }
        }
    }
    println!("{table}");
    for (transport, each) in promised {
        let promise =
            format!("{each:.0} instructions per echo over {transport}, at most {INSTRUCTIONS_MAX}");
        report.check(each <= INSTRUCTIONS_MAX, &promise);
    }
    Ok(())
}

/// Instructions for one message: what a long run takes more than a short one.
fn each(kind: Kind, transport: Transport, lengths: [u64; 2]) -> Outcome<f64> {
    let [few, many] = lengths;
    let (few, many) = (count(kind, transport, few)?, count(kind, transport, many)?);
    Ok((many.0 - few.0) / (many.1 - few.1))
}

/// Instructions of a whole run, and its messages.
fn count(kind: Kind, transport: Transport, messages: u64) -> Outcome<(f64, f64)> {
    let directory = TempDir::new()?;
    let counts = directory.path().join("counts");
    let mut file = OsString::from("--callgrind-out-file=");
    file.push(&counts);
    let wrapper = ["valgrind", "--quiet", "--tool=callgrind"].map(OsString::from);
    let wrapper: Vec<OsString> = wrapper.into_iter().chain([file]).collect();
    let server = Server::start_under(&wrapper, kind.counted())?;
    let mut load = Load::new(server.address("echo", transport)?, CONNECTIONS, 1)?;
    let mut done = load.drive(|done| done < messages, None)?;
    done += load.pause()?;
    // The server would wait for its connections.
    drop(load);
    server.end()?;
    let text = fs::read_to_string(counts)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total.and_then(|total| total.trim().parse::<f64>().ok());
    let missing = || io::Error::other("callgrind left no total");
    Ok((total.ok_or_else(missing)?, done as f64))
}
