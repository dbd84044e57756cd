//! Line 6 of the contract: datagrams, as a service sees them and as their senders do.

use std::cell::RefCell;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use switchboard::service::harness::Harness;
use switchboard::service::{Cx, Datagrams, Entry, Host, Never, Service};
use switchboard::services;

use crate::bytes::bytes;
use crate::cases;

const PROBE: Entry = Entry {
    name: "probe",
    summary: "",
    about: "",
    options: &[],
    datagrams: Some(Datagrams::Flows),
    console: &[],
    transfers: false,
    secret: false,
    takes_lines: false,
    board: &[],
    build: |listeners| Host::build(listeners, |_| Ok(Probe)),
};

thread_local! {
    /// What `receive` was given, each time.
    static GIVEN: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Uses half of each datagram, and sends its bytes one by one; an empty one for a zero.
struct Probe;

impl Service for Probe {
    type Options = ();
    type Session = ();
    type Done = Never;

    fn open(&mut self, cx: &mut Cx<'_, Self>) {
        assert!(cx.is_datagram());
    }

    fn receive(&mut self, (): &mut (), input: &[u8], cx: &mut Cx<'_, Self>) -> usize {
        GIVEN.with_borrow_mut(|given| given.push(input.to_vec()));
        for byte in input {
            match byte {
                0 => cx.send(b""),
                byte => cx.send(&[*byte]),
            }
        }
        if input.first() == Some(&1) {
            cx.set_deadline(Duration::from_millis(1));
        }
        input.len() / 2
    }

    fn end_of_input(&mut self, (): &mut (), _: &[u8], _: &mut Cx<'_, Self>) {
        panic!("a datagram has no end of input behind it");
    }

    fn deadline(&mut self, (): &mut (), cx: &mut Cx<'_, Self>) {
        cx.send(b"D");
    }
}

proptest! {
    #![proptest_config(cases(400))]

    /// One input is one datagram, what is left of it is dropped, a deadline offers nothing again,
    /// and each send is one datagram.
    #[test]
    fn one_input_is_one_datagram_and_so_is_one_send(all in vec(vec(0_u8..4, 0..6), 1..12)) {
        GIVEN.with_borrow_mut(Vec::clear);
        let mut t = Harness::new(&PROBE, "");
        let a = t.open_datagram_at(0);
        for datagram in &all {
            t.feed(a, datagram);
            let expected: Vec<Vec<u8>> = datagram
                .iter()
                .map(|byte| if *byte == 0 { Vec::new() } else { vec![*byte] })
                .collect();
            prop_assert_eq!(t.take_datagrams(a), expected);
            t.end(a);
            t.advance(Duration::from_millis(2));
            let late: &[&[u8]] = if datagram.first() == Some(&1) { &[b"D"] } else { &[] };
            prop_assert_eq!(t.take_datagrams(a), late);
        }
        let given = GIVEN.take();
        prop_assert_eq!(given, all);
        prop_assert_eq!(t.closed(a), None);
    }

    /// No service answers a datagram with more than one, speaks unasked, says more than one error
    /// to a session before it is asked rightly, or answers an error.
    #[test]
    fn a_datagram_has_one_answer_at_most_and_an_error_none(
        all in vec((bytes(), 0_u64..40_000), 1..16),
    ) {
        for entry in services::ALL.iter().filter(|entry| entry.datagrams.is_some()) {
            // What comes back from an echo is the client's own.
            let own_words = entry.datagrams == Some(Datagrams::Flows);
            let options = match entry.name {
                "files" => "root=tests/wire/files",
                _ => "",
            };
            let mut t = Harness::new(entry, options);
            let mut a = t.open_datagram_at(0);
            let mut complained = false;
            for (datagram, pause) in &all {
                if t.closed(a).is_some() {
                    a = t.open_datagram_at(0);
                    complained = false;
                }
                t.feed(a, datagram);
                let answers = t.take_datagrams(a);
                prop_assert!(answers.len() <= 1, "{}: {:?}", entry.name, answers);
                let error = own_words && answers.iter().any(|text| text.starts_with(b"error: "));
                prop_assert!(!(error && complained), "{}: an error after an error", entry.name);
                complained = error || (complained && answers.is_empty());
                if own_words && let Some(answer) = answers.first() {
                    let before = t.closed(a);
                    t.feed(a, answer);
                    let again = t.take_datagrams(a);
                    prop_assert!(again.is_empty(), "{}: {:?} answers its own", entry.name, again);
                    prop_assert_eq!(t.closed(a), before);
                }
                t.advance(Duration::from_millis(*pause));
                prop_assert!(t.take_datagrams(a).is_empty(), "{}: unasked", entry.name);
            }
            t.shut_down();
            prop_assert!(t.take_datagrams(a).is_empty(), "{}: at the shutdown", entry.name);
        }
    }
}
