//! What may happen to the peers of a service, as a list, and what is seen of it on the harness.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use switchboard::service::harness::Harness;
use switchboard::service::{CloseReason, Entry, Moment};

use crate::bytes::{Cuts, bytes};

/// How many peers a script has; they come at the start, by the listeners in turn.
pub const PEERS: usize = 3;

/// One thing that happens.
#[derive(Debug, Clone)]
pub enum Action {
    /// Bytes come, in one segment or in several at the same moment.
    Feed(usize, Vec<u8>),
    /// The peer ends its writing.
    End(usize),
    /// The peer is gone.
    Vanish(usize),
    /// Time passes.
    Advance(Duration),
    /// The server starts to go down.
    ShutDown,
}

/// What stands after an action.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// What each peer was sent by the action.
    pub sent: Vec<Vec<u8>>,
    /// Why each peer's connection was ended, if it was.
    pub closed: Vec<Option<CloseReason>>,
    /// Each session's deadline.
    pub deadlines: Vec<Moment>,
    /// Lines written to the log by the action.
    pub notes: Vec<String>,
}

/// A script; each peer appears with each kind of action.
pub fn script() -> impl Strategy<Value = Vec<Action>> {
    vec(action(), 1..14)
}

fn action() -> impl Strategy<Value = Action> {
    let peer = || 0..PEERS;
    prop_oneof![
        12 => (peer(), bytes()).prop_map(|(peer, bytes)| Action::Feed(peer, bytes)),
        3 => peer().prop_map(Action::End),
        1 => peer().prop_map(Action::Vanish),
        5 => time().prop_map(Action::Advance),
        1 => Just(Action::ShutDown),
    ]
}

/// Times around those that mean something: the gap, the delay, nothing, ages.
fn time() -> impl Strategy<Value = Duration> {
    prop_oneof![
        3 => (0_u64..60).prop_map(Duration::from_millis),
        1 => (49_999_998_u64..50_000_003).prop_map(Duration::from_nanos),
        1 => (1_940_u64..2_060).prop_map(Duration::from_millis),
        1 => Just(Duration::from_secs(86_400)),
    ]
}

/// Runs a script; every segment is cut as `cuts` says.
pub fn run(entry: &Entry, listeners: &[&str], script: &[Action], cuts: &Cuts) -> Vec<Seen> {
    let mut harness = Harness::with_listeners(entry, listeners);
    for peer in 0..PEERS {
        harness.open_at(u16::try_from(peer % listeners.len()).unwrap());
    }
    let seen = script.iter().map(|action| {
        match action {
            Action::Feed(peer, bytes) => {
                for segment in cuts.cut(bytes) {
                    harness.feed(*peer, segment);
                }
            }
            Action::End(peer) => harness.end(*peer),
            Action::Vanish(peer) => harness.vanish(*peer),
            Action::Advance(time) => harness.advance(*time),
            Action::ShutDown => harness.shut_down(),
        }
        let open = (0..PEERS)
            .filter(|peer| harness.closed(*peer).is_none())
            .count();
        assert_eq!(
            harness.sessions(),
            open,
            "a session for each open peer and no other"
        );
        Seen {
            sent: (0..PEERS).map(|peer| harness.take(peer)).collect(),
            closed: (0..PEERS).map(|peer| harness.closed(peer)).collect(),
            deadlines: (0..PEERS).map(|peer| harness.deadline(peer)).collect(),
            notes: harness.take_notes(),
        }
    });
    seen.collect()
}
