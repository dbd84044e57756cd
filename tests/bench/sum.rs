//! Sum: connections that live for one request, and one long stream (`stream`).

pub mod stream;

use std::time::Duration;

use mio::{Poll, Token};

use crate::link::{Address, PolledLink, Transport};
use crate::load::{ROUND_LENGTH, ROUNDS, Round, add_rows, in_turns, table};
use crate::report::{Outcome, Report};
use crate::server::{Kind, Server};
use crate::visits::{Visit, drive};

pub const ABOUT: &str = "\
Connect, send `5`, `-7`, `0` as lines, read `Result = -2` until the server ends the connection; 16
connections at any time. Latency is from before the connecting to the end of the connection.
`switchboard, logging` writes its usual log, lines for each connection, into a file.";

const REQUEST: &[u8] = b"5\n-7\n0\n";
const REPLY: &[u8] = b"Result = -2\n";

/// Before a round counts.
const WARM_UP: Duration = Duration::from_millis(50);

const KINDS: [Kind; 5] = [
    Kind::Switchboard,
    Kind::SwitchboardAsleep,
    Kind::SwitchboardLogging,
    Kind::Tokio,
    Kind::Threads,
];

pub fn run(report: &mut Report) -> Outcome<()> {
    let rounds = report.pick(ROUNDS, 1);
    let mut table = table("request");
    for transport in [Transport::Tcp, Transport::Unix] {
        let all = in_turns(&KINDS, rounds, |server| round(server, transport))?;
        add_rows(&mut table, &transport.to_string(), &all);
    }
    println!("{table}");
    Ok(())
}

fn round(server: &Server, transport: Transport) -> Outcome<Round> {
    let address = server.address("sum", transport)?;
    drive::<Client>(address, server, |_, elapsed| elapsed < WARM_UP)?;
    drive::<Client>(address, server, |_, elapsed| elapsed < ROUND_LENGTH)
}

/// One request under way.
struct Client {
    link: PolledLink,
    reply: Vec<u8>,
}

impl Visit for Client {
    fn begin(address: &Address, poll: &Poll, token: Token) -> Outcome<Self> {
        let mut link = address.connect()?.register(poll.registry(), token)?;
        link.send(REQUEST)?;
        Ok(Self {
            link,
            reply: Vec::with_capacity(REPLY.len()),
        })
    }

    /// Reads what came; `true` when the server has ended the connection after the right reply.
    fn take(&mut self) -> Outcome<bool> {
        let mut bytes = [0; 64];
        while let Some(len) = self.link.read(&mut bytes)? {
            match len {
                0 if self.reply == REPLY => return Ok(true),
                0 => return Err(format!("a wrong reply: {}", self.reply.escape_ascii()).into()),
                len => self.reply.extend_from_slice(&bytes[..len]),
            }
        }
        Ok(false)
    }
}
