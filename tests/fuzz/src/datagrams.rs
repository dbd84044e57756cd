//! The script for datagrams: each feed is one, perhaps an empty one.

use std::time::Duration;

use switchboard::service::Entry;
use switchboard::service::harness::Harness;

/// Addresses of a script; a byte names one of them.
const PEERS: usize = 4;

/// Runs a script of two bytes an action, as that for streams; a datagram takes as many more.
///
/// Whatever comes, each datagram gets one answer at most and none follows the close; what a session
/// says by itself, or as the server goes down, is nothing; an error is not followed by another.
pub fn service(entry: &Entry, options: &str, mut input: &[u8]) {
    let mut harness = Harness::new(entry, options);
    let mut places = [None; PEERS];
    let mut complained = [false; PEERS];
    while let [what, much, rest @ ..] = input {
        input = rest;
        let peer = usize::from(what >> 4) % PEERS;
        let much = usize::from(*much);
        match what & 15 {
            0..=9 | 13 => {
                let (datagram, after) = rest.split_at(much.min(rest.len()));
                input = after;
                feed(&mut harness, &mut places[peer], datagram);
            }
            10 => harness.advance(Duration::from_millis(much as u64)),
            11 => harness.advance(Duration::from_millis(59_900 + much as u64)),
            12 => feed(&mut harness, &mut places[peer], &LONG[..4_096 - 128 + much]),
            14 => places[peer].iter().for_each(|place| harness.vanish(*place)),
            _ => harness.shut_down(),
        }
        let fed = matches!(what & 15, 0..=9 | 12 | 13);
        for (number, place) in places.iter_mut().enumerate() {
            let Some(open) = *place else { continue };
            let answers = harness.take_datagrams(open);
            assert!(
                answers.len() <= usize::from(fed && number == peer),
                "{answers:?} without a datagram for each"
            );
            for answer in &answers {
                let error = answer.starts_with(b"error: ");
                assert!(!(error && complained[number]), "an error to an error");
                complained[number] = error;
            }
            if harness.closed(open).is_some() {
                *place = None;
                complained[number] = false;
            }
        }
        let open = places.iter().flatten().count();
        assert_eq!(harness.sessions(), open, "a session for each open peer");
    }
}

const LONG: [u8; 4_096 + 128] = [b'1'; 4_096 + 128];

/// The first datagram of an address begins a session.
fn feed(harness: &mut Harness, place: &mut Option<usize>, datagram: &[u8]) {
    let open = *place.get_or_insert_with(|| harness.open_datagram_at(0));
    harness.feed(open, datagram);
}
