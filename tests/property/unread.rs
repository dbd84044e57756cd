//! Lines 8 and 9 of the contract: a service that does not read is given nothing, hands a socket over
//! only before it has sent anything, and then hears of it once more.

use std::cell::Cell;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use switchboard::service::harness::Harness;
use switchboard::service::{Cx, Entry, Host, Never, Program, Service, ServiceCx};
use switchboard::services::exec;

use crate::cases;

const PROBE: Entry = Entry {
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
    static CLOSED: Cell<u32> = const { Cell::new(0) };
}

/// Every second client's socket is handed over.
struct Probe;

impl Service for Probe {
    type Options = ();
    /// Whether the socket was handed over.
    type Session = bool;
    type Done = Never;
    const READS: bool = false;

    fn open(&mut self, cx: &mut Cx<'_, Self>) -> bool {
        let given = cx.number() % 2 == 1;
        if given {
            let path = "/bin/true".into();
            cx.hand_over(Program { path });
        }
        given
    }

    fn receive(&mut self, _: &mut bool, _: &[u8], _: &mut Cx<'_, Self>) -> usize {
        panic!("nothing is read");
    }

    fn end_of_input(&mut self, _: &mut bool, _: &[u8], _: &mut Cx<'_, Self>) {
        panic!("nothing is read, not even the end");
    }

    fn shutting_down(&mut self, given: &mut bool, cx: &mut Cx<'_, Self>) {
        assert!(!*given, "a socket that was handed over is the program's");
        cx.close(switchboard::service::CloseReason::Shutdown);
    }

    fn notified(&mut self, given: &mut bool, _: &mut Cx<'_, Self>) {
        assert!(!*given, "a socket that was handed over is the program's");
    }

    fn closed(&mut self, _: bool, _: &mut ServiceCx<'_>) {
        CLOSED.set(CLOSED.get() + 1);
    }
}

#[derive(Debug, Clone)]
enum Action {
    Open,
    Feed(usize, u8),
    End(usize),
    Vanish(usize),
    ProgramEnds(usize),
    Advance(u64),
    OperatorGoes,
    ShutDown,
}

fn action() -> impl Strategy<Value = Action> {
    let peer = || 0_usize..12;
    prop_oneof![
        6 => Just(Action::Open),
        4 => (peer(), any::<u8>()).prop_map(|(peer, byte)| Action::Feed(peer, byte)),
        2 => peer().prop_map(Action::End),
        2 => peer().prop_map(Action::Vanish),
        5 => peer().prop_map(Action::ProgramEnds),
        1 => (0_u64..4_000_000).prop_map(Action::Advance),
        1 => Just(Action::OperatorGoes),
        1 => Just(Action::ShutDown),
    ]
}

/// Plays the actions, and checks after each what holds for every service that does not read.
fn play(entry: &Entry, options: &str, actions: &[Action]) -> Result<(), TestCaseError> {
    let mut t = Harness::new(entry, options);
    let mut peers = vec![t.open()];
    let mut words = vec![false];
    for action in actions {
        let peer = |n: &usize| peers[n % peers.len()];
        let sessions = t.sessions();
        match action {
            Action::Open => {
                let place = t.open();
                peers.push(place);
                words.push(false);
            }
            Action::Feed(n, byte) => t.feed(peer(n), &[*byte]),
            Action::End(n) => t.end(peer(n)),
            Action::Vanish(n) => t.vanish(peer(n)),
            Action::ProgramEnds(n) => t.program_ended(peer(n)),
            Action::Advance(by) => t.advance(Duration::from_millis(*by)),
            Action::OperatorGoes => {
                t.set_operator(true);
                t.set_operator(false);
            }
            Action::ShutDown => t.shut_down(),
        }
        if matches!(action, Action::Feed(..) | Action::End(_)) {
            prop_assert_eq!(t.sessions(), sessions, "what is not read changes nothing");
        }
        for place in &peers {
            words[*place] |= !t.take(*place).is_empty();
            prop_assert!(
                !(words[*place] && t.program(*place).is_some()),
                "a session that hands over sends nothing"
            );
        }
        let open = peers.iter().filter(|place| t.closed(**place).is_none());
        prop_assert_eq!(t.sessions(), open.count());
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn who_is_not_read_is_given_nothing(actions in vec(action(), 1..40)) {
        CLOSED.set(0);
        play(&PROBE, "", &actions)?;
        let opened = 1 + actions.iter().filter(|action| matches!(action, Action::Open)).count();
        prop_assert!(CLOSED.get() as usize <= opened, "closed comes once");
    }

    #[test]
    fn programs_get_sockets_on_which_nothing_was_said(actions in vec(action(), 1..40)) {
        play(&exec::ENTRY, "run=/bin/true&max=3", &actions)?;
        play(&exec::ENTRY, "run=/bin/true&max=1", &actions)?;
    }
}
