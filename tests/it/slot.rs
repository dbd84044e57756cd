//! `slot` with real writers: when the reply comes, whose message it is, and how it is framed.

use std::collections::HashSet;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::read_all;
use crate::support::rounds::{ROUNDS, Timely, below, holds, in_one_of};
use crate::support::server::{Builder, Server};
use crate::support::socket::{Kind, Socket, allow_descriptors};
use crate::support::wait_until;

const DELAY: Duration = Duration::from_secs(2);
const GAP: Duration = Duration::from_millis(50);
/// How late a reply may come.
const LATE: Duration = Duration::from_millis(100);

/// The shapes in which C code sends a short string (wire/slot.txt).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// 1: strlen(message), and the write side stays open.
    Bare,
    /// 2: strlen(message) + 1.
    Nul,
    /// 3: sizeof(buffer), 20 bytes.
    Block,
    /// 4: a line.
    Line,
    /// 5: two segments, a few milliseconds apart, then the end of the writing.
    Split,
}

impl Shape {
    const ALL: [Self; 5] = [Self::Bare, Self::Nul, Self::Block, Self::Line, Self::Split];

    fn framed(self, message: &str) -> Vec<u8> {
        let mut bytes = message.as_bytes().to_vec();
        match self {
            Self::Bare | Self::Nul | Self::Split => bytes.push(0),
            Self::Line => bytes.push(b'\n'),
            Self::Block => bytes.resize(20, 0),
        }
        bytes
    }

    /// Writes the message; returns the moments just before and just after it was complete, or
    /// nothing where the machine made a longer pause in it than the gap.
    fn write(self, socket: &mut Socket, message: &str) -> Option<(Instant, Instant)> {
        let framed = self.framed(message);
        match self {
            Self::Nul | Self::Block | Self::Line => {
                let before = Instant::now();
                socket.write_all(&framed).unwrap();
                Some((before, Instant::now()))
            }
            Self::Bare => {
                let before = Instant::now();
                socket.write_all(message.as_bytes()).unwrap();
                Some((before + GAP, Instant::now() + GAP))
            }
            Self::Split => {
                let first = Instant::now();
                socket.write_all(&message.as_bytes()[..3]).unwrap();
                wait_until("a few milliseconds", || {
                    first.elapsed() >= Duration::from_millis(3)
                });
                socket.write_all(&message.as_bytes()[3..]).unwrap();
                let before = Instant::now();
                socket.end_writing();
                let after = Instant::now();
                (after - first < GAP).then_some((before, after))
            }
        }
    }
}

/// What one writer saw.
struct Seen {
    name_in_log: String,
    message: String,
    reply: Vec<u8>,
    /// From just before the message was complete: the reply never comes earlier than the delay.
    at_most: Duration,
    /// From just after: the reply is late by no more than a busy machine makes it.
    at_least: Duration,
}

fn one_writer(mut socket: Socket, shape: Shape, message: String) -> Option<Seen> {
    let (before, after) = shape.write(&mut socket, &message)?;
    let reply = read_all(&mut socket);
    let now = Instant::now();
    Some(Seen {
        name_in_log: socket.name_in_log(),
        message,
        reply,
        at_most: now.duration_since(before),
        at_least: now.saturating_duration_since(after),
    })
}

/// Three writers at once; asserts all but lateness.
fn three_writers(kind: Kind, shape: Shape) -> Timely {
    let server = Server::start(&["slot=tcp://127.0.0.1:0", "slot=unix:DIR/slot"]);
    let sockets: Vec<_> = (0..3).map(|_| kind.connect(&server, "slot")).collect();
    let writers: Vec<_> = (1..)
        .zip(sockets)
        .map(|(number, socket)| {
            thread::spawn(move || one_writer(socket, shape, format!("writer{number}")))
        })
        .collect();
    let seen: Vec<_> = writers.into_iter().map(|w| w.join().unwrap()).collect();
    let whole = seen.iter().all(Option::is_some);
    holds(whole, || "a pause split a message".to_owned())?;
    let seen: Vec<_> = seen.into_iter().flatten().collect();
    server.wait_for_log("gets back");
    wait_until("three replies in the log", || {
        server.log().matches(" gets back ").count() == 3
    });
    let log = server.log();
    // All were stored long before the first reply was due, so the last to be stored is what all get.
    let last = log.rsplit_once(": stored \"").expect("stored").1;
    let last = last.split('"').next().unwrap();
    for writer in &seen {
        let about = format!("{kind:?} {shape:?} {}", writer.message);
        assert_eq!(writer.reply, shape.framed(last), "{about}\n{log}");
        assert!(
            writer.at_most >= DELAY,
            "{about}: after {:?}",
            writer.at_most
        );
        let stored = format!("{}: stored {:?}\n", writer.name_in_log, writer.message);
        assert!(log.contains(&stored), "no {stored:?} in\n{log}");
        let whose = match writer.message == last {
            true => format!("gets back its own message {last:?}\n"),
            false => format!("gets back {last:?}, the message of #"),
        };
        let got = format!("{}: {whose}", writer.name_in_log);
        assert!(log.contains(&got), "{about}: no {got:?} in\n{log}");
    }
    server.stop();
    let latest = seen.iter().map(|writer| writer.at_least).max().unwrap();
    let late = latest.saturating_sub(DELAY);
    below(format!("{kind:?} {shape:?}: late by"), late, LATE)
}

#[test]
fn three_writers_at_once_get_what_the_slot_holds_two_seconds_after_their_message() {
    let trials = Kind::BOTH
        .into_iter()
        .flat_map(|kind| Shape::ALL.map(|shape| (kind, shape)))
        .map(|(kind, shape)| {
            // Ten trials at once make each other late.
            thread::spawn(move || in_one_of(2 * ROUNDS, || three_writers(kind, shape)))
        });
    let trials: Vec<_> = trials.collect();
    for trial in trials {
        trial.join().unwrap();
    }
}

#[test]
fn of_two_thousand_writers_each_gets_a_whole_message_that_somebody_wrote() {
    const WRITERS: usize = 2000;
    if !allow_descriptors(WRITERS as u64 + 500) {
        return;
    }
    let server = Builder::new(&[
        "slot=tcp://127.0.0.1:0?delay=1s",
        "slot=unix:DIR/slot?delay=1s",
    ])
    .log("info")
    .start();
    let mut sockets = Vec::new();
    let mut written = HashSet::new();
    for number in 0..WRITERS {
        let mut socket = Kind::BOTH[number % 2].connect(&server, "slot");
        let line = format!("message-{number}\n");
        socket.write_all(line.as_bytes()).unwrap();
        written.insert(line.into_bytes());
        sockets.push(socket);
    }
    for mut socket in sockets {
        let reply = read_all(&mut socket);
        let shown = String::from_utf8_lossy(&reply);
        assert!(written.contains(&reply), "nobody wrote {shown:?}");
    }
    wait_until("each writer in the log", || {
        server.log().matches(" gets back ").count() == WRITERS
    });
    let log = server.log();
    assert_eq!(log.matches(": stored \"message-").count(), WRITERS);
    assert_log_is_consistent(&log);
    server.stop();
}

/// Each `gets back` names the message that was stored last before it, and its author.
fn assert_log_is_consistent(log: &str) {
    let mut holds = ("", "");
    for line in log.lines() {
        // [time INFO] slot #7 127.0.0.1:40000: stored message-3
        let Some((head, event)) = line
            .split_once("slot #")
            .and_then(|(_, l)| l.split_once(": "))
        else {
            continue;
        };
        if let Some(message) = event.strip_prefix("stored ") {
            holds = (head, message);
        } else if let Some(got) = event.strip_prefix("gets back ") {
            let (author, message) = holds;
            let expected = match author == head {
                true => format!("its own message {message}"),
                false => format!("{message}, the message of #{author}"),
            };
            assert_eq!(got, expected, "{line}");
        }
    }
}
