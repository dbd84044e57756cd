//! Lines 1, 2 and 3 of the contract, for every service in the registry and all its options.

use proptest::prelude::*;
use proptest::sample::Index;
use switchboard::config::options::Values;
use switchboard::service::harness::Harness;
use switchboard::service::{Call, Effects, Entry, Moment, Peer, SourceId};
use switchboard::services;

use crate::bytes::{Cuts, bytes, cuts};
use crate::cases;
use crate::script::{run, script};

/// The sets of listeners under which each property is tried.
fn listeners_of(entry: &Entry) -> &'static [&'static [&'static str]] {
    match entry.name {
        "slot" => &[
            &[""],
            &["delay=0&gap=0"],
            &["size=2&gap=0"],
            &["size=5000&delay=10ms&gap=1ms"],
            &["delay=2s", "gap=1s", "delay=0"],
        ],
        "sum" => &[
            &[""],
            &["wire=text"],
            &["wire=binary"],
            &["wire=text", "wire=binary", "wire=auto"],
        ],
        "locker" => &[
            &["count=3&hash=8,1"],
            &["count=2&hash=8,1&wire=binary"],
            &["count=1&hash=8,1", "wire=binary"],
        ],
        "files" => &[
            &["root=tests/wire/files"],
            &["root=tests/wire/files&wire=text"],
            &["root=tests/wire/files&wire=lab", "wire=text"],
        ],
        "talk" => &[&[""], &["reply=yes"], &["reply=yes", ""]],
        "guess" => &[
            &[""],
            &["max=2&tries=1000"],
            &["game=name", "max=9&tries=2"],
        ],
        // It never reads: what comes is for its program.
        "exec" => &[],
        _ => &[&[""]],
    }
}

/// Calls `f` with every service and every set of its listeners.
fn each(
    mut f: impl FnMut(&Entry, &[&str]) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    for entry in services::ALL {
        for listeners in listeners_of(entry) {
            f(entry, listeners)?;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(160))]

    /// Line 1: with any peers doing anything at any time, it makes no difference how the bytes of
    /// one moment were cut: not to what is sent, when, not to the closing, the deadline or the log.
    #[test]
    fn cutting_at_one_moment_changes_nothing(script in script(), cuts in cuts()) {
        each(|entry, listeners| {
            let whole = run(entry, listeners, &script, &Cuts::At(Vec::new()));
            let cut = run(entry, listeners, &script, &cuts);
            for (number, (whole, cut)) in whole.iter().zip(&cut).enumerate() {
                prop_assert_eq!(whole, cut, "{} {:?} action {}", entry.name, listeners, number);
            }
            Ok(())
        })?;
    }

    /// Line 1 at the end of the writing: wherever it comes, the cuts before it do not matter.
    #[test]
    fn the_writing_may_end_anywhere(bytes in bytes(), end in any::<Index>(), cuts in cuts()) {
        let sent = &bytes[..end.index(bytes.len() + 1)];
        each(|entry, listeners| {
            let outcome = |cuts: &Cuts| {
                let mut t = Harness::with_listeners(entry, listeners);
                let a = t.open();
                for segment in cuts.cut(sent) {
                    t.feed(a, segment);
                }
                t.end(a);
                let at_once = t.take(a);
                t.advance(std::time::Duration::from_secs(86_400));
                (at_once, t.take(a), t.closed(a), t.take_notes())
            };
            let whole = outcome(&Cuts::At(Vec::new()));
            prop_assert!(whole.2.is_some(), "{}: whoever ends its writing is closed", entry.name);
            prop_assert_eq!(whole, outcome(&cuts), "{} {:?}", entry.name, listeners);
            Ok(())
        })?;
    }

    /// Line 2, by the boundary itself: no more is used than was given, and of what is left the
    /// reactor would keep it all.
    #[test]
    fn receive_claims_no_more_than_it_was_given(bytes in bytes(), cuts in cuts()) {
        each(|entry, listeners| {
            let values: Vec<_> = listeners.iter().map(|text| match *text {
                "" => Values::default(),
                text => Values::parse(text).unwrap(),
            }).collect();
            let mut host = (entry.build)(&values).unwrap();
            let peer = Peer::Gone;
            let mut effects = Effects::default();
            let session = host.open(0, call(&peer, &mut effects));
            let mut kept = Vec::new();
            for segment in cuts.cut(&bytes) {
                effects.clear();
                kept.extend_from_slice(segment);
                let used = host.receive(session, &kept, call(&peer, &mut effects));
                prop_assert!(used <= kept.len());
                kept.drain(..used);
                // Whoever has closed, or takes nothing at present, leaves what there is.
                if effects.ending.is_some() || effects.pause.is_some() {
                    break;
                }
                prop_assert!(kept.len() <= 4_097, "{} keeps {}", entry.name, kept.len());
            }
            effects.clear();
            host.closed(session, Moment::ZERO, &mut effects);
            prop_assert_eq!(host.sessions(), 0);
            Ok(())
        })?;
    }

    /// Line 3: once closed, a peer is sent nothing more, whatever happens.
    #[test]
    fn nothing_is_sent_after_the_closing(script in script()) {
        each(|entry, listeners| {
            let seen = run(entry, listeners, &script, &Cuts::At(Vec::new()));
            for pair in seen.windows(2) {
                for (peer, closed) in pair[0].closed.iter().enumerate() {
                    if closed.is_some() {
                        prop_assert_eq!(&pair[1].closed[peer], closed);
                        prop_assert!(pair[1].sent[peer].is_empty());
                        prop_assert_eq!(pair[1].deadlines[peer], Moment::NEVER);
                    }
                }
            }
            Ok(())
        })?;
    }
}

fn call<'a>(peer: &'a Peer, effects: &'a mut Effects) -> Call<'a> {
    let id = SourceId {
        key: 1,
        generation: 0,
    };
    Call {
        id,
        number: 1,
        now: Moment::ZERO,
        peer,
        datagram: false,
        operator: false,
        effects,
    }
}
