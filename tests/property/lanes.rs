//! Lines 10 and 11 of the contract: what a paused session is given and what not, and what becomes of
//! the jobs of a lane. The lanes are held and work on the test's own thread, in any order.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use switchboard::service::CloseReason;
use switchboard::service::harness::Harness;

use crate::cases;
use crate::lanes_probe::{All, ORDERED_MAX, PAUSE, PROBE, THREADS, all, seen};

#[derive(Debug, Clone)]
enum Action {
    Open,
    Feed(usize, Vec<u8>),
    End(usize),
    Vanish(usize),
    Advance(u64),
    Work(usize),
    Report,
    ShutDown,
}

fn action() -> impl Strategy<Value = Action> {
    let commands = vec(select(b"oOpznyxxx".to_vec()), 1..8);
    prop_oneof![
        3 => Just(Action::Open),
        12 => (0_usize..9, commands).prop_map(|(peer, bytes)| Action::Feed(peer, bytes)),
        2 => (0_usize..9).prop_map(Action::End),
        1 => (0_usize..9).prop_map(Action::Vanish),
        4 => (0_u64..30).prop_map(Action::Advance),
        8 => (0_usize..1 + THREADS).prop_map(Action::Work),
        8 => Just(Action::Report),
        1 => Just(Action::ShutDown),
    ]
}

/// What the test knows of one peer.
#[derive(Default, Clone)]
struct Sent {
    bytes: Vec<u8>,
    ended: bool,
    told: u32,
}

fn act(t: &mut Harness, sent: &mut Vec<Sent>, action: &Action) {
    let peers = sent.len();
    let is_open = |t: &Harness, peer: usize| t.closed(peer).is_none();
    match action {
        Action::Open => {
            t.open();
            sent.push(Sent::default());
        }
        Action::Feed(peer, bytes) => {
            let peer = peer % peers;
            if is_open(t, peer) && !sent[peer].ended {
                sent[peer].bytes.extend(bytes);
            }
            t.feed(peer, bytes);
        }
        Action::End(peer) => {
            let peer = peer % peers;
            sent[peer].ended |= is_open(t, peer);
            t.end(peer);
        }
        Action::Vanish(peer) => t.vanish(peer % peers),
        Action::Advance(by) => t.advance(Duration::from_millis(*by)),
        Action::Work(worker) => {
            t.work_on(*worker);
        }
        Action::Report => {
            t.report();
        }
        Action::ShutDown => {
            for (peer, sent) in sent.iter_mut().enumerate() {
                sent.told += u32::from(is_open(t, peer));
            }
            t.shut_down();
        }
    }
}

/// Until nothing is under way and nobody is paused any more.
fn drain(t: &mut Harness) {
    // Each round ends one pause at least; a session has no more of them than bytes.
    for _ in 0..1_000 {
        t.work();
        t.advance(PAUSE);
        if all(|all| all.seen.iter().all(|seen| !seen.paused || !seen.is_open)) {
            break;
        }
    }
    t.work();
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn pauses_and_results_come_as_promised(actions in vec(action(), 1..60)) {
        all(|all| *all = All::default());
        let mut t = Harness::new(&PROBE, "");
        t.hold_lanes();
        t.open();
        let mut sent = vec![Sent::default()];
        for action in &actions {
            act(&mut t, &mut sent, action);
            for (peer, sent) in sent.iter().enumerate() {
                let seen = seen(peer as u32 + 1, |seen| seen.clone());
                prop_assert!(sent.bytes.starts_with(&seen.eaten), "in order, and once");
                prop_assert_eq!(seen.is_open, t.closed(peer).is_none());
                prop_assert_eq!(sent.told, seen.told, "the shutdown reaches a paused session");
                if seen.is_open {
                    prop_assert_eq!(seen.nudges.0, seen.nudges.1, "so does mail");
                    let is_given = seen.paused || seen.eaten == sent.bytes;
                    prop_assert!(is_given, "nothing is kept from one that is not paused");
                    prop_assert!(seen.paused || seen.ended == sent.ended, "nor the end");
                }
            }
        }
        drain(&mut t);
        for (peer, sent) in sent.iter().enumerate() {
            let seen = seen(peer as u32 + 1, |seen| seen.clone());
            if t.closed(peer) != Some(CloseReason::Reset) {
                prop_assert_eq!(&seen.eaten, &sent.bytes, "nothing is lost");
                prop_assert_eq!(seen.ended, sent.ended);
                prop_assert_eq!(seen.is_open, !sent.ended);
            }
            prop_assert_eq!(seen.jobs, seen.done + seen.orphaned, "one result for each job");
        }
    }
}

#[test]
fn a_full_lane_gives_the_job_back_and_has_room_again_once_it_has_worked() {
    all(|all| *all = All::default());
    let mut t = Harness::new(&PROBE, "");
    t.hold_lanes();
    let a = t.open();
    t.feed(a, b"OOOOO");
    assert_eq!(all(|all| (all.ordered.len(), all.full)), (ORDERED_MAX, 2));
    assert!(t.work_on(0));
    t.feed(a, b"OOO");
    assert_eq!(all(|all| (all.ordered.len(), all.full)), (ORDERED_MAX, 3));
    t.work();
    t.vanish(a);
    assert_eq!(seen(1, |seen| (seen.jobs, seen.done)), (5, 5));
}
