//! Line 7 of the contract: mail comes after the effects of the callback that sent it, in order, and
//! not to those who have gone. A probe mails as its bytes say; a model keeps the post.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;
use switchboard::service::harness::Harness;
use switchboard::service::{CloseReason, Cx, Entry, Host, Never, Service, SourceId};

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
    build: |listeners| Host::build(listeners, |_| Ok(Probe { ids: Vec::new() })),
};

const PEERS: u8 = 4;

/// Commands of two bytes: what, and to whom. `s` sends to the sender itself, `m` mails a word, `n`
/// nudges, `x` closes the other, `c` closes the sender.
struct Probe {
    /// All that ever came, by their places.
    ids: Vec<SourceId>,
}

impl Service for Probe {
    type Options = ();
    type Session = u8;
    type Done = Never;

    fn open(&mut self, cx: &mut Cx<'_, Self>) -> u8 {
        self.ids.push(cx.id());
        self.ids.len() as u8 - 1
    }

    fn receive(&mut self, me: &mut u8, input: &[u8], cx: &mut Cx<'_, Self>) -> usize {
        for command in input.chunks_exact(2) {
            let to = self.ids[usize::from(command[1])];
            match command[0] {
                b's' => cx.send(&[b's', *me]),
                b'm' => cx.service().send_to(to, &[b'm', *me]),
                b'n' => cx.service().notify(to),
                b'x' => cx.service().close_other(to, CloseReason::Answered),
                _ => {
                    cx.close(CloseReason::ClientEnded);
                    break;
                }
            }
        }
        input.len()
    }

    /// Whoever is nudged says so to itself, then to its neighbour.
    fn notified(&mut self, me: &mut u8, cx: &mut Cx<'_, Self>) {
        let next = self.ids[usize::from((*me + 1) % PEERS)];
        cx.service().send_to(next, &[b'N', *me]);
        cx.send(&[b'n', *me]);
    }
}

enum Item {
    Word([u8; 2]),
    Nudge,
    Close,
}

#[derive(Default)]
struct Model {
    sent: [Vec<u8>; PEERS as usize],
    closed: [Option<CloseReason>; PEERS as usize],
    post: VecDeque<(u8, Item)>,
}

impl Model {
    fn feed(&mut self, me: u8, commands: &[(u8, u8)]) {
        let place = usize::from(me);
        if self.closed[place].is_some() {
            return;
        }
        for (what, to) in commands {
            match what {
                b's' => self.sent[place].extend([b's', me]),
                b'm' => self.post.push_back((*to, Item::Word([b'm', me]))),
                b'n' => self.post.push_back((*to, Item::Nudge)),
                b'x' => self.post.push_back((*to, Item::Close)),
                _ => {
                    self.closed[place] = Some(CloseReason::ClientEnded);
                    break;
                }
            }
        }
        self.deliver();
    }

    fn deliver(&mut self) {
        while let Some((to, item)) = self.post.pop_front() {
            let place = usize::from(to);
            if self.closed[place].is_some() {
                continue;
            }
            match item {
                Item::Word(word) => self.sent[place].extend(word),
                Item::Close => self.closed[place] = Some(CloseReason::Answered),
                Item::Nudge => {
                    self.sent[place].extend([b'n', to]);
                    self.post
                        .push_back(((to + 1) % PEERS, Item::Word([b'N', to])));
                }
            }
        }
    }
}

fn command() -> impl Strategy<Value = (u8, u8)> {
    let what = prop_oneof![
        4 => Just(b's'),
        6 => Just(b'm'),
        6 => Just(b'n'),
        1 => Just(b'x'),
        1 => Just(b'c'),
    ];
    (what, 0..PEERS)
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn mail_comes_in_order_after_the_effects_and_not_to_the_gone(
        rounds in vec((0..PEERS, vec(command(), 1..8)), 1..12),
    ) {
        let mut t = Harness::new(&PROBE, "");
        for _ in 0..PEERS {
            t.open();
        }
        let mut model = Model::default();
        for (me, commands) in &rounds {
            let bytes: Vec<u8> = commands.iter().flat_map(|(what, to)| [*what, *to]).collect();
            t.feed(usize::from(*me), &bytes);
            model.feed(*me, commands);
            for place in 0..usize::from(PEERS) {
                let expected = std::mem::take(&mut model.sent[place]);
                prop_assert_eq!(t.take(place), expected, "to {} after {:?}", place, commands);
                prop_assert_eq!(t.closed(place), model.closed[place]);
            }
        }
    }
}
