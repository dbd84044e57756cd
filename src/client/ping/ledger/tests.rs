//! What comes back twice, late, out of order, changed or not at all is told from what is right.

use super::*;

const TIMEOUT: Duration = Duration::from_secs(5);

fn started(size: usize, count: u64) -> (Ledger, Instant, Vec<Vec<u8>>) {
    let (mut ledger, now) = (Ledger::new(size, TIMEOUT), Instant::now());
    let payloads = (0..count).map(|_| {
        let mut payload = Vec::new();
        ledger.send(now, &mut payload);
        payload
    });
    let payloads = payloads.collect();
    (ledger, now, payloads)
}

#[test]
fn every_size_has_its_payload() {
    for size in [0, 1, 7, 8, 9, 56, 65_507] {
        let (mut ledger, now, payloads) = started(size, 2);
        assert!(payloads.iter().all(|payload| payload.len() == size));
        for (payload, number) in payloads.iter().zip(1..) {
            let time = Duration::ZERO;
            let answer = Answer::InTime { number, time };
            assert_eq!(ledger.receive(payload, now), answer);
        }
        let again = ledger.receive(&payloads[1], now);
        assert_eq!(again, Answer::Duplicate { number: 2 });
        assert_eq!(ledger.counts.awaited(), 0);
        assert_eq!(ledger.deadline(), None);
    }
}

#[test]
fn a_late_duplicate_is_never_taken_for_another() {
    let (mut ledger, now, payloads) = started(56, 3);
    let order = [1, 0, 0, 1];
    let answers = order.map(|at| ledger.receive(&payloads[at], now));
    assert!(matches!(answers[1], Answer::InTime { number: 1, .. }));
    assert_eq!(answers[2], Answer::Duplicate { number: 1 });
    assert_eq!(answers[3], Answer::Duplicate { number: 2 });
    let counts = ledger.counts;
    assert_eq!((counts.received, counts.duplicated), (2, 2));
    assert_eq!((counts.reordered, counts.awaited()), (1, 1));
}

#[test]
fn any_changed_byte_is_found() {
    let (mut ledger, now, payloads) = started(56, 2);
    for at in 0..56 {
        let mut changed = payloads[0].clone();
        changed[at] ^= 0x20;
        assert_eq!(ledger.receive(&changed, now), Answer::Corrupt, "{at}");
    }
    for len in [0, 55] {
        assert_eq!(ledger.receive(&payloads[0][..len], now), Answer::Corrupt);
    }
    for never_sent in [0, 3] {
        let mut payload = Vec::new();
        fill(&mut payload, never_sent, 56);
        assert_eq!(ledger.receive(&payload, now), Answer::Corrupt);
    }
    assert_eq!(ledger.counts.awaited(), 2);
}

#[test]
fn what_was_given_up_stays_lost_though_it_comes_late() {
    let (mut ledger, start, payloads) = started(56, 2);
    let soon = start + TIMEOUT - Duration::from_millis(1);
    assert_eq!(ledger.give_up(soon), None);
    ledger.receive(&payloads[0], soon);
    let late = start + TIMEOUT;
    assert_eq!(ledger.deadline(), Some(late));
    assert_eq!(ledger.give_up(late), Some(2));
    assert_eq!(ledger.give_up(late), None);
    let (number, time) = (2, TIMEOUT);
    let answer = ledger.receive(&payloads[1], late);
    assert_eq!(answer, Answer::Late { number, time });
    let again = ledger.receive(&payloads[1], late);
    assert_eq!(again, Answer::Duplicate { number });
    assert_eq!((ledger.counts.lost, ledger.counts.late), (1, 1));
}

#[test]
fn payloads_too_short_for_their_number_are_matched_to_the_oldest_awaited() {
    let (mut ledger, now, payloads) = started(1, 600);
    assert_eq!(payloads[0], payloads[256]);
    for number in [1, 257, 513] {
        let answer = ledger.receive(&payloads[0], now);
        assert!(matches!(answer, Answer::InTime { number: n, .. } if n == number));
    }
    let again = ledger.receive(&payloads[0], now);
    assert_eq!(again, Answer::Duplicate { number: 513 });
    let (mut ledger, now, _) = started(1, 3);
    assert_eq!(ledger.receive(&[4], now), Answer::Corrupt);
    assert_eq!(ledger.receive(&[0], now), Answer::Corrupt);
}

#[test]
fn memory_is_bounded_and_what_it_forgets_is_lost() {
    let (mut ledger, now, payloads) = started(9, REMEMBERED_MAX as u64 + 10);
    assert_eq!(ledger.remembered.len(), REMEMBERED_MAX);
    assert_eq!(ledger.counts.lost, 10);
    let forgotten = ledger.receive(&payloads[0], now);
    assert_eq!(forgotten, Answer::Duplicate { number: 1 });
    let kept = ledger.receive(&payloads[10], now);
    assert!(matches!(kept, Answer::InTime { number: 11, .. }));
}
