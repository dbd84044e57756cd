//! What the targets share: the input read as a script for a service on the harness, and the
//! comparison of two runs of it that differ only in how the bytes of one moment are cut. Datagrams
//! are never cut: `datagrams` has the script for them.

pub mod datagrams;

use std::time::Duration;

use switchboard::service::harness::Harness;
use switchboard::service::{CloseReason, Entry, Moment};

/// Peers of a script; a byte names one of them.
const PEERS: usize = 4;

/// One thing that happens to a service.
#[derive(Debug, PartialEq, Eq)]
enum Action<'a> {
    /// The peer comes, if it has not yet; if it is closed, another takes its place.
    Open(usize),
    /// Bytes come at one moment; the second run has them in pieces of this size.
    Feed(usize, &'a [u8], usize),
    Advance(Duration),
    End(usize),
    Vanish(usize),
    /// The program that has the peer's socket ends, if there is one.
    ProgramEnds(usize),
    /// The operator types this.
    Types(String),
    /// Somebody sits down at the console, or goes.
    Operator(bool),
    ShutDown,
}

/// What all peers have seen after an action.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    sent: Vec<Vec<u8>>,
    closed: Vec<Option<CloseReason>>,
    deadlines: Vec<Moment>,
    notes: Vec<String>,
    prints: Vec<String>,
}

/// Two bytes an action: what and to whom, and how much; a feed and a line of the operator take
/// as many more.
fn script(mut input: &[u8]) -> Vec<Action<'_>> {
    let mut actions = Vec::new();
    while let [what, much, rest @ ..] = input {
        input = rest;
        let peer = usize::from(what >> 4) % PEERS;
        let much = usize::from(*much);
        actions.push(match what & 15 {
            0..8 => {
                let (bytes, after) = rest.split_at(much.min(rest.len()));
                input = after;
                Action::Feed(peer, bytes, 1 + usize::from(what & 7))
            }
            8 => Action::Open(peer),
            9 => Action::Advance(Duration::from_millis(much as u64)),
            10 => Action::Advance(Duration::from_millis(1_900 + much as u64)),
            // A long line out of a short input.
            11 => Action::Feed(peer, &LONG[..4_096 - 128 + much], 4_000),
            13 if what >> 6 == 1 => {
                let (bytes, after) = rest.split_at(much.min(rest.len()));
                input = after;
                Action::Types(line(bytes))
            }
            13 if what >> 6 == 2 => Action::Operator(much % 2 == 1),
            13 if what >> 6 == 3 => Action::ProgramEnds(peer),
            12 | 13 => Action::End(peer),
            14 => Action::Vanish(peer),
            _ => Action::ShutDown,
        });
    }
    actions
}

/// A line as the console hands it on.
fn line(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| *byte == b'\n').next();
    String::from_utf8_lossy(line.unwrap_or_default()).into_owned()
}

const LONG: [u8; 4_096 + 128] = [b'1'; 4_096 + 128];

/// Runs the script, and returns what was seen after each action.
fn run(entry: &Entry, options: &str, actions: &[Action<'_>], in_pieces: bool) -> Vec<Seen> {
    let mut harness = Harness::new(entry, options);
    let mut places: Vec<_> = (0..PEERS).map(|_| harness.open()).collect();
    let mut all = places.clone();
    let seen = actions.iter().map(|action| {
        match action {
            Action::Open(peer) if harness.closed(places[*peer]).is_some() => {
                places[*peer] = harness.open();
                all.push(places[*peer]);
            }
            Action::Open(_) => {}
            Action::Feed(peer, bytes, piece) if in_pieces => {
                bytes
                    .chunks(*piece)
                    .for_each(|piece| harness.feed(places[*peer], piece));
            }
            Action::Feed(peer, bytes, _) if !bytes.is_empty() => harness.feed(places[*peer], bytes),
            Action::Feed(..) => {}
            Action::Advance(time) => harness.advance(*time),
            Action::End(peer) => harness.end(places[*peer]),
            Action::Vanish(peer) => harness.vanish(places[*peer]),
            Action::ProgramEnds(peer) => harness.program_ended(places[*peer]),
            Action::Types(line) => harness.operator(line),
            Action::Operator(present) => harness.set_operator(*present),
            Action::ShutDown => harness.shut_down(),
        }
        let open = all
            .iter()
            .filter(|place| harness.closed(**place).is_none())
            .count();
        assert_eq!(harness.sessions(), open, "a session for each open peer");
        Seen {
            sent: all.iter().map(|place| harness.take(*place)).collect(),
            closed: all.iter().map(|place| harness.closed(*place)).collect(),
            deadlines: all.iter().map(|place| harness.deadline(*place)).collect(),
            notes: harness.take_notes(),
            prints: harness.take_prints().into_iter().map(undated).collect(),
        }
    });
    seen.collect()
}

/// A line of the console without the wall clock's time, which differs from run to run.
fn undated(mut line: String) -> String {
    const BEFORE: &str = ", taken out ";
    if let Some(at) = line.find(BEFORE) {
        line.truncate(at + BEFORE.len());
    }
    line
}

/// The target of a service: no script breaks the contract, and line 1 of it holds at each moment.
pub fn service(entry: &Entry, options: &str, input: &[u8]) {
    let actions = script(input);
    let whole = run(entry, options, &actions, false);
    let cut = run(entry, options, &actions, true);
    for (number, (whole, cut)) in whole.iter().zip(&cut).enumerate() {
        assert_eq!(whole, cut, "action {number} of {actions:?}");
    }
    for pair in whole.windows(2) {
        for (peer, closed) in pair[0]
            .closed
            .iter()
            .enumerate()
            .filter(|(_, closed)| closed.is_some())
        {
            assert!(
                pair[1].sent[peer].is_empty(),
                "nothing is sent after a close"
            );
            assert_eq!(pair[1].closed[peer], *closed);
        }
    }
}
