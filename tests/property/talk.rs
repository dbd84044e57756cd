//! The operator's dialogue against a model: a list of those who wait.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use switchboard::config::limits::TALK_SHOWN_MAX;
use switchboard::service::harness::Harness;
use switchboard::service::{BYE, CloseReason};
use switchboard::services::talk::ENTRY;

use crate::cases;

const HOUR: u64 = 3_600;

#[derive(Debug, Clone)]
enum Action {
    Come,
    /// A line from a client.
    Line(usize, String),
    /// Bare text from a client, which ends its writing.
    Bare(usize, String),
    End(usize),
    Vanish(usize),
    /// Seconds pass.
    Wait(u64),
    Types(String),
    /// `@N TEXT` for one that came.
    Answers(usize, String),
    Operator(bool),
    ShutDown,
}

/// One that was shown and is not answered.
struct Waiting {
    place: usize,
    line: bool,
    since: u64,
    ended: bool,
}

/// What should come of it.
#[derive(Default)]
struct Model {
    operator: bool,
    now: u64,
    queue: Vec<Waiting>,
    sent: Vec<Vec<u8>>,
    closed: Vec<Option<CloseReason>>,
    prints: Vec<String>,
}

impl Model {
    fn come(&mut self) {
        self.sent.push(Vec::new());
        self.closed.push(None);
    }

    fn finish(&mut self, place: usize, text: &[u8], reason: CloseReason) {
        self.queue.retain(|waiting| waiting.place != place);
        self.sent[place].extend_from_slice(text);
        self.closed[place] = Some(reason);
    }

    fn is_silent(&self, place: usize) -> bool {
        self.closed[place].is_none() && self.queue.iter().all(|waiting| waiting.place != place)
    }

    fn message(&mut self, place: usize, text: &str, line: bool) {
        if !self.is_silent(place) {
            // One message for each; bare text ends the writing too.
            if !line {
                self.end(place);
            }
            return;
        }
        if !self.operator {
            return self.nobody(place);
        }
        let (number, port) = (place + 1, 40_000 + place);
        self.prints
            .push(format!("#{number} from 127.0.0.1:{port}: {text}"));
        self.queue.push(Waiting {
            place,
            line,
            since: self.now,
            ended: false,
        });
    }

    fn nobody(&mut self, place: usize) {
        let text = b"error: nobody is there to answer\n";
        self.finish(place, text, CloseReason::NobodyThere);
    }

    fn end(&mut self, place: usize) {
        let mut waiting = self.queue.iter_mut();
        match waiting.find(|waiting| waiting.place == place) {
            // Whose message was bare has ended its writing before.
            Some(waiting) => waiting.ended |= waiting.line,
            None if self.closed[place].is_none() => {
                self.finish(place, b"", CloseReason::ClientEnded);
            }
            None => {}
        }
    }

    fn vanish(&mut self, place: usize) {
        if self.closed[place].is_some() {
            return;
        }
        if !self.is_silent(place) {
            let number = place + 1;
            self.prints
                .push(format!("#{number} has left without an answer"));
        }
        self.finish(place, b"", CloseReason::Reset);
    }

    fn wait(&mut self, seconds: u64) {
        self.now += seconds;
        let late = |waiting: &&Waiting| self.now - waiting.since >= HOUR;
        let late: Vec<usize> = self
            .queue
            .iter()
            .filter(late)
            .map(|one| one.place)
            .collect();
        for place in late {
            let text = b"error: nobody has answered for an hour\n";
            self.finish(place, text, CloseReason::NobodyThere);
        }
    }

    fn answer(&mut self, place: usize, text: &str) {
        let Some(waiting) = self.queue.iter().find(|waiting| waiting.place == place) else {
            let number = place + 1;
            self.prints
                .push(format!("#{number} does not wait for an answer"));
            return;
        };
        let end = if waiting.line { "\n" } else { "" };
        self.finish(
            place,
            format!("{text}{end}").as_bytes(),
            CloseReason::Answered,
        );
        self.prints.push(format!("answered #{}", place + 1));
    }

    fn types(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if line.trim() == "list" {
            for waiting in self.queue.iter().take(TALK_SHOWN_MAX) {
                let Waiting { place, since, .. } = waiting;
                let ended = if waiting.ended {
                    ", has ended its writing"
                } else {
                    ""
                };
                self.prints.push(format!(
                    "#{} from 127.0.0.1:{} waits for {} s{ended}",
                    place + 1,
                    40_000 + place,
                    self.now - since
                ));
            }
        } else if let Some(oldest) = self.queue.first() {
            return self.answer(oldest.place, line);
        }
        if self.queue.is_empty() {
            self.prints.push("nobody waits for an answer".to_owned());
        }
    }

    fn set_operator(&mut self, present: bool) {
        if self.operator && !present {
            while let Some(waiting) = self.queue.first() {
                self.nobody(waiting.place);
            }
        }
        self.operator = present;
    }

    fn shut_down(&mut self) {
        for place in 0..self.closed.len() {
            if self.closed[place].is_none() {
                self.finish(place, BYE, CloseReason::Shutdown);
            }
        }
    }
}

fn action() -> impl Strategy<Value = Action> {
    let peer = || 0_usize..16;
    let text = || "[a-z]{1,9}( [a-z]{1,9})?";
    let typed = prop_oneof![
        6 => text(),
        3 => select(vec!["list", " list ", "", "  "]).prop_map(str::to_owned),
    ];
    prop_oneof![
        5 => Just(Action::Come),
        8 => (peer(), text()).prop_map(|(peer, text)| Action::Line(peer, text)),
        3 => (peer(), text()).prop_map(|(peer, text)| Action::Bare(peer, text)),
        2 => peer().prop_map(Action::End),
        2 => peer().prop_map(Action::Vanish),
        2 => (0_u64..2_500).prop_map(Action::Wait),
        5 => typed.prop_map(Action::Types),
        3 => (peer(), text()).prop_map(|(peer, text)| Action::Answers(peer, text)),
        1 => prop_oneof![3 => Just(true), 1 => Just(false)].prop_map(Action::Operator),
        1 => Just(Action::ShutDown),
    ]
}

fn step(t: &mut Harness, model: &mut Model, action: &Action) {
    let peer = |n: &usize| n % model.closed.len();
    match action {
        Action::Come => {
            t.open();
            model.come();
        }
        Action::Line(n, text) => {
            let place = peer(n);
            t.feed(place, format!("{text}\n").as_bytes());
            model.message(place, text, true);
        }
        Action::Bare(n, text) => {
            let place = peer(n);
            t.feed(place, text.as_bytes());
            t.end(place);
            model.message(place, text, false);
        }
        Action::End(n) => {
            let place = peer(n);
            t.end(place);
            model.end(place);
        }
        Action::Vanish(n) => {
            let place = peer(n);
            t.vanish(place);
            model.vanish(place);
        }
        Action::Wait(seconds) => {
            t.advance(Duration::from_secs(*seconds));
            model.wait(*seconds);
        }
        Action::Types(line) => {
            t.operator(line);
            model.types(line);
        }
        Action::Answers(n, text) => {
            let place = peer(n);
            t.operator(&format!("@{} {text}", place + 1));
            model.answer(place, text);
        }
        Action::Operator(present) => {
            t.set_operator(*present);
            model.set_operator(*present);
        }
        Action::ShutDown => {
            t.shut_down();
            model.shut_down();
        }
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn the_dialogue_is_that_of_the_model(actions in vec(action(), 1..60), present: bool) {
        let (mut t, mut model) = (Harness::new(&ENTRY, ""), Model::default());
        t.set_operator(present);
        model.operator = present;
        for action in [Action::Come].iter().chain(&actions) {
            step(&mut t, &mut model, action);
            prop_assert_eq!(t.take_prints(), std::mem::take(&mut model.prints), "{:?}", action);
            for place in 0..model.closed.len() {
                let expected = std::mem::take(&mut model.sent[place]);
                prop_assert_eq!(t.take(place), expected, "{} after {:?}", place, action);
                prop_assert_eq!(t.closed(place), model.closed[place], "{} {:?}", place, action);
            }
        }
    }
}
