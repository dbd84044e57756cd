//! Lines 2 to 5 of the contract as a service sees them: a probe that does what its bytes tell it
//! runs on the harness and checks every callback against what it was promised.

use std::cell::RefCell;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use switchboard::service::harness::Harness;
use switchboard::service::{CloseReason, Cx, Entry, Host, Moment, Never, Service, ServiceCx};

use crate::cases;

const ENTRY: Entry = Entry {
    name: "probe",
    summary: "",
    about: "",
    options: &[],
    datagrams: None,
    console: &[],
    transfers: false,
    secret: false,
    takes_lines: false,
    board: &[],
    build: |listeners| Host::build(listeners, |_| Ok(Probe)),
};

thread_local! {
    /// Connections by number: how often opened, how often closed.
    static COUNTS: RefCell<Vec<(u32, u32)>> = const { RefCell::new(Vec::new()) };
}

fn count(number: u32, f: impl FnOnce(&mut (u32, u32))) {
    COUNTS.with_borrow_mut(|counts| {
        let place = number as usize;
        counts.resize(counts.len().max(place + 1), (0, 0));
        f(&mut counts[place]);
    });
}

/// Each byte is a command: `k` and what follows stays unused, `d` sets a deadline in as many
/// milliseconds as the next byte says, `p` takes it back, `c` closes, `a` aborts; others are sent.
struct Probe;

struct Session {
    number: u32,
    /// What it left unused, to be offered again.
    left: Vec<u8>,
    /// What is promised after a deadline with bytes left: that they are offered again.
    offer_due: bool,
    deadline: Moment,
    ended: bool,
}

impl Session {
    fn alive(&self) {
        assert!(!self.ended, "no callback but closed after close or abort");
    }
}

impl Service for Probe {
    type Options = ();
    type Session = Session;
    type Done = Never;

    fn open(&mut self, cx: &mut Cx<'_, Self>) -> Session {
        count(cx.number(), |(opened, _)| *opened += 1);
        let number = cx.number();
        Session {
            number,
            left: Vec::new(),
            offer_due: false,
            deadline: Moment::NEVER,
            ended: false,
        }
    }

    fn receive(&mut self, s: &mut Session, input: &[u8], cx: &mut Cx<'_, Self>) -> usize {
        s.alive();
        assert!(input.starts_with(&s.left), "what was left comes first");
        let again = input.len() == s.left.len() && !input.is_empty();
        assert_eq!(
            again, s.offer_due,
            "it is offered once more after a deadline, and only then"
        );
        s.offer_due = false;
        // After a deadline a `k` at the front is passed over, or the input would never move on.
        let mut used = usize::from(again);
        while let Some(command) = input.get(used) {
            match (command, input.get(used + 1)) {
                (b'k', _) | (b'd', None) => break,
                (b'd', Some(after)) => {
                    let after = Duration::from_millis(u64::from(*after));
                    cx.set_deadline(after);
                    s.deadline = cx.now().after(after);
                    used += 1;
                }
                (b'p', _) => {
                    cx.clear_deadline();
                    s.deadline = Moment::NEVER;
                }
                (b'c' | b'a', _) => {
                    match command {
                        b'c' => cx.close(CloseReason::Answered),
                        _ => cx.abort(CloseReason::Answered),
                    }
                    s.ended = true;
                    return used;
                }
                (other, _) => cx.send(&[*other]),
            }
            used += 1;
        }
        s.left = input[used..].to_vec();
        used
    }

    fn end_of_input(&mut self, s: &mut Session, rest: &[u8], cx: &mut Cx<'_, Self>) {
        s.alive();
        assert_eq!(rest, s.left, "the rest is what was never used");
        s.left.clear();
        if rest.len() % 2 == 1 {
            cx.close(CloseReason::ClientEnded);
            s.ended = true;
        }
    }

    fn deadline(&mut self, s: &mut Session, cx: &mut Cx<'_, Self>) {
        s.alive();
        assert!(
            s.deadline.is_some(),
            "a deadline is delivered once, and only if it is set"
        );
        assert!(cx.now() >= s.deadline, "never before its moment");
        assert_eq!(cx.now(), s.deadline, "the harness is never late");
        s.deadline = Moment::NEVER;
        s.offer_due = !s.left.is_empty();
        cx.send(b"D");
    }

    fn shutting_down(&mut self, s: &mut Session, cx: &mut Cx<'_, Self>) {
        s.alive();
        if s.left.is_empty() {
            cx.close(CloseReason::Shutdown);
            s.ended = true;
        }
    }

    fn closed(&mut self, s: Session, _: &mut ServiceCx<'_>) {
        count(s.number, |(_, closed)| *closed += 1);
    }
}

#[derive(Debug, Clone)]
enum Action {
    Open,
    Feed(usize, Vec<u8>),
    End(usize),
    Vanish(usize),
    Advance(u64),
    ShutDown,
}

fn action() -> impl Strategy<Value = Action> {
    let commands = vec(select(b"kddpcaxyz\x01\x05\x20".to_vec()), 1..8);
    prop_oneof![
        4 => Just(Action::Open),
        12 => (0_usize..9, commands).prop_map(|(peer, bytes)| Action::Feed(peer, bytes)),
        2 => (0_usize..9).prop_map(Action::End),
        1 => (0_usize..9).prop_map(Action::Vanish),
        6 => (0_u64..150).prop_map(Action::Advance),
        1 => Just(Action::ShutDown),
    ]
}

proptest! {
    #![proptest_config(cases(600))]

    /// The probe checks its callbacks; here each is opened and closed exactly once.
    #[test]
    fn callbacks_come_as_promised(actions in vec(action(), 1..40)) {
        COUNTS.with_borrow_mut(Vec::clear);
        let mut t = Harness::new(&ENTRY, "");
        let mut peers = vec![t.open()];
        for action in actions {
            let peer = |n: usize| peers[n % peers.len()];
            match action {
                Action::Open => peers.push(t.open()),
                Action::Feed(n, bytes) => t.feed(peer(n), &bytes),
                Action::End(n) => t.end(peer(n)),
                Action::Vanish(n) => t.vanish(peer(n)),
                Action::Advance(by) => t.advance(Duration::from_millis(by)),
                Action::ShutDown => t.shut_down(),
            }
            for (place, peer) in peers.iter().enumerate() {
                let expected = (1, u32::from(t.closed(*peer).is_some()));
                let counted = COUNTS.with_borrow(|counts| counts[place + 1]);
                prop_assert_eq!(counted, expected, "opened and closed once");
            }
        }
        for peer in &peers {
            t.vanish(*peer);
        }
        let all = COUNTS.with_borrow(|counts| counts[1..].iter().all(|counts| *counts == (1, 1)));
        prop_assert!(all);
        prop_assert_eq!(t.sessions(), 0);
    }
}

/// A service that claims to have used more than there was.
struct Liar;

impl Service for Liar {
    type Options = ();
    type Session = ();
    type Done = Never;

    fn open(&mut self, _: &mut Cx<'_, Self>) {}

    fn receive(&mut self, (): &mut (), input: &[u8], _: &mut Cx<'_, Self>) -> usize {
        input.len() + 1
    }
}

#[test]
#[cfg_attr(
    debug_assertions,
    should_panic(expected = "more bytes were used than given")
)]
fn a_service_that_claims_too_much_is_caught_in_debug_and_held_to_its_input_otherwise() {
    const LIAR: Entry = Entry {
        build: |listeners| Host::build(listeners, |_| Ok(Liar)),
        name: "liar",
        ..ENTRY
    };
    let mut t = Harness::new(&LIAR, "");
    let a = t.open();
    t.feed(a, b"abc");
}
