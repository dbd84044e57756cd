//! Short connections: connect, one small message, its echo, the end.

use std::time::Duration;

use mio::{Poll, Token};

use crate::link::{Address, PolledLink, Transport};
use crate::load::{ROUND_LENGTH, ROUNDS, Round, add_rows, in_turns, table};
use crate::report::{Outcome, Report};
use crate::server::{Kind, Server};
use crate::visits::{self, Visit};

pub const ABOUT: &str = "\
Connect, send 6 bytes, read them back, close; 16 connections at any time. Latency is from before the
connecting to the echo. CPU is the server's, for all of a connection; what it takes to poll instead
of sleeping, where the load is the limit, is in it.";

const MESSAGE: &[u8] = b"hello\n";

const KINDS: [Kind; 5] = [
    Kind::Switchboard,
    Kind::Bare,
    Kind::Tokio,
    Kind::Threads,
    Kind::SwitchboardAsleep,
];

/// Before a round counts.
const WARM_UP: u64 = 500;

pub fn run(report: &mut Report) -> Outcome<()> {
    let rounds = report.pick(ROUNDS, 1);
    let mut table = table("connection");
    let mut goals = Vec::new();
    for (transport, most) in [(Transport::Tcp, 0.93), (Transport::Unix, 0.80)] {
        let all = in_turns(&KINDS, rounds, |server| round(server, transport))?;
        add_rows(&mut table, &transport.to_string(), &all);
        let [ours, bare, .., asleep] = &all[..] else {
            continue;
        };
        for ours in [ours, asleep] {
            let ratio = ours.ratio(bare, Round::cpu_us);
            let (name, peer) = (&ours.name, &bare.name);
            let goal =
                format!("{transport}: CPU of {name} {ratio:.2} of {peer}, at most {most:.2}");
            goals.push((ratio <= most, goal));
        }
    }
    println!("{table}");
    goals.iter().for_each(|(met, goal)| report.goal(*met, goal));
    Ok(())
}

fn round(server: &Server, transport: Transport) -> Outcome<Round> {
    let address = server.address("echo", transport)?;
    drive(address, server, |done, _| done < WARM_UP)?;
    drive(address, server, |_, elapsed| elapsed < ROUND_LENGTH)
}

/// One connection under way.
struct Client(PolledLink);

impl Visit for Client {
    fn begin(address: &Address, poll: &Poll, token: Token) -> Outcome<Self> {
        let mut link = address.connect()?;
        std::io::Write::write_all(&mut link, MESSAGE)?;
        Ok(Self(link.register(poll.registry(), token)?))
    }

    /// Whether the whole message is back.
    fn take(&mut self) -> Outcome<bool> {
        let mut bytes = [0; 64];
        match self.0.read(&mut bytes)? {
            None => Ok(false),
            Some(len) if bytes[..len] == *MESSAGE => Ok(true),
            Some(len) => Err(format!("a wrong echo: {}", bytes[..len].escape_ascii()).into()),
        }
    }

    /// One that is served after them, so the ends of most of them are in the time.
    fn settle(address: &Address) -> Outcome<()> {
        Ok(address.connect()?.echo(MESSAGE)?)
    }
}

/// Such connections while `more`; see [`visits::drive`].
pub fn drive(
    address: &Address,
    server: &Server,
    more: impl Fn(u64, Duration) -> bool,
) -> Outcome<Round> {
    visits::drive::<Client>(address, server, more)
}
