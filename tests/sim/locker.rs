//! Kiosks at a few lockers, on both wires, while the lanes work step by step in any order: each
//! client's commands are answered in order, each answer fits what the lockers can be after all that
//! was acknowledged before, and what is owed at a shutdown is sent.

use std::collections::VecDeque;

use switchboard::service::harness::Harness;
use switchboard::service::{BYE, CloseReason, Entry, Moment, Peer};
use switchboard::services::locker;

use crate::locker_model::{Change, Lockers};
use crate::locker_words::{Answer, Command, What, parse};
use crate::random::Random;
use crate::world::{Rules, Seen};

const LOCKERS: usize = 5;
const PASSWORDS: [&str; 3] = ["a", "b", "c"];

pub struct Kiosks {
    lockers: Lockers,
    /// Unseen changes of clients that have gone and of the operator, until the lanes are empty.
    orphans: Vec<u32>,
    /// Lockers of the calls for the administrator, by their numbers from 1 on.
    calls: Vec<usize>,
}

pub struct Kiosk {
    binary: bool,
    /// What it will send and has not been answered yet.
    commands: VecDeque<Command>,
    sent: usize,
    received: Vec<u8>,
    /// The locker's turns when the command in front began to be done.
    asked: u64,
    /// Unseen changes under way, of the commands in front.
    unseen: VecDeque<u32>,
    ended: bool,
    told: bool,
    /// At the shutdown a command was under way whose answer has not come yet.
    owed: bool,
    called: bool,
    left: bool,
}

impl Kiosk {
    /// Whether all of the command was sent.
    fn is_sent(&self, command: &Command) -> bool {
        self.sent >= command.end && (self.ended || !command.needs_end)
    }

    /// The first command that has an answer, if it was sent.
    fn waiting(&self) -> Option<&Command> {
        let found = self.commands.iter().find(|one| !one.what.is_silent());
        found.filter(|command| self.is_sent(command))
    }
}

impl Kiosks {
    /// What is done without a word on this wire may happen as soon as its turn has come.
    fn announce(&mut self, client: &mut Kiosk) {
        let silent = client
            .commands
            .iter()
            .take_while(|command| command.what.is_silent() && client.is_sent(command));
        let new: Vec<_> = silent.skip(client.unseen.len()).collect();
        for command in new {
            let number = match command.what.change() {
                Some((locker, change)) => self.lockers.may_happen(locker, change),
                None => 0,
            };
            client.unseen.push_back(number);
        }
        client.asked = match client.commands.front().and_then(|one| one.what.locker()) {
            Some(locker) if client.waiting().is_some() && client.asked == 0 => {
                self.lockers.turns(locker) + 1
            }
            _ => client.asked,
        };
    }

    /// Takes the answers that have come, one after the other.
    fn take(&mut self, client: &mut Kiosk) -> Result<(), String> {
        while !client.received.is_empty() {
            let Some(what) = client.waiting().map(|command| command.what.clone()) else {
                return Ok(());
            };
            let Some((answer, bytes)) = parse(&what, client.binary, &client.received, LOCKERS)
            else {
                return Ok(());
            };
            client.received.drain(..bytes);
            // What stands before it is done as well.
            while client
                .commands
                .pop_front()
                .is_some_and(|one| one.what.is_silent())
            {}
            for number in client.unseen.drain(..) {
                self.lockers.settle(number);
            }
            client.owed = false;
            let asked = std::mem::take(&mut client.asked).saturating_sub(1);
            self.check(client, &what, answer, asked)?;
            self.announce(client);
        }
        Ok(())
    }

    /// Whether that answer is right now.
    fn check(
        &mut self,
        client: &mut Kiosk,
        what: &What,
        answer: Answer,
        asked: u64,
    ) -> Result<(), String> {
        let lockers = &mut self.lockers;
        match (what, answer) {
            (What::Show, Answer::Lockers(in_use)) => {
                for (locker, in_use) in in_use.into_iter().enumerate() {
                    lockers.said(locker, in_use)?;
                }
                Ok(())
            }
            (What::Register(locker, password), Answer::Yours) => {
                lockers.changed(*locker, &Change::Register(password.clone()), 0)
            }
            (What::Store(locker, password, item), Answer::Holds(items)) => {
                let change = Change::Store(password.clone(), item.clone());
                lockers.changed(*locker, &change, items)
            }
            (What::Retrieve(locker, password), Answer::Items(items)) => {
                lockers.taken(*locker, password, &items)
            }
            // On the binary wire the items are not shown.
            (What::Retrieve(locker, password), Answer::Done) => {
                let change = Change::Retrieve(password.clone());
                let number = lockers.may_happen(*locker, change);
                lockers.settle(number);
                lockers.said(*locker, false)
            }
            (What::Check(locker, password), Answer::Done) => lockers.right(*locker, password),
            (What::Check(..), Answer::Refused) => {
                // Its item is no item, then.
                client.commands.pop_front();
                Ok(())
            }
            (What::Reset(locker), Answer::Waiting) => {
                client.called = true;
                lockers.said(*locker, true)
            }
            (What::Greeting, Answer::Done) => Ok(()),
            (What::Quit, Answer::Bye) => {
                client.left = true;
                Ok(())
            }
            (what, answer) => self.check_refusal(what, answer, asked),
        }
    }

    /// Whether that is refused rightly now.
    fn check_refusal(&mut self, what: &What, answer: Answer, asked: u64) -> Result<(), String> {
        let lockers = &mut self.lockers;
        match (what, answer) {
            (What::Retrieve(..), Answer::Refused) => Ok(()),
            (What::Register(locker, _), Answer::InUse) => lockers.said(*locker, true),
            (
                What::Store(locker, ..) | What::Retrieve(locker, _) | What::Reset(locker),
                Answer::Free,
            ) => lockers.said(*locker, false),
            (
                What::Store(locker, password, _) | What::Retrieve(locker, password),
                Answer::Wrong,
            ) => lockers.wrong(*locker, password, asked),
            (What::Store(..) | What::Retrieve(..), Answer::TooMany) => Ok(()),
            (What::Store(..) | What::Retrieve(..) | What::Register(..), Answer::Busy) => Ok(()),
            (What::Reset(_), Answer::NobodyThere | Answer::Busy)
            | (What::Nothing, Answer::NoCommand) => Ok(()),
            (what, answer) => Err(format!("{answer:?} to {what:?}")),
        }
    }

    /// Whether it is right that it is closed, or open.
    fn check_closed(&mut self, client: &mut Kiosk, closed: Option<CloseReason>) -> bool {
        let waits = client.waiting().is_some();
        let is_clear = client.unseen.is_empty() && !waits;
        let leave = client.commands.iter().find(|one| !one.what.is_silent());
        let leaves = leave.is_some_and(|one| one.what == What::Leave && client.is_sent(one));
        match closed {
            None => {
                let is_over = client.left || client.told || client.ended && !client.called;
                let leaves = leaves && client.unseen.is_empty();
                !(is_over && is_clear
                    || leaves
                    || client.told && !client.owed && client.unseen.is_empty())
            }
            Some(CloseReason::ClientLeft) => client.left || leaves,
            Some(CloseReason::ClientEnded) => client.ended && !waits && !client.left,
            // Its locker changed hands behind the answer that asked for the item.
            Some(CloseReason::ItemRefused) => {
                let mut silent = client
                    .commands
                    .iter()
                    .take_while(|one| one.what.is_silent());
                silent.any(|one| matches!(one.what, What::Item(..)) && client.is_sent(one))
            }
            Some(CloseReason::Shutdown) => client.told && !client.owed && !client.left,
            Some(_) => false,
        }
    }
}

impl Rules for Kiosks {
    const ENTRY: &Entry = &locker::ENTRY;
    const LISTENERS: &[&str] = &["count=5&hash=8,1", "wire=binary", ""];
    const LANES: bool = true;
    type Client = Kiosk;

    fn new() -> Self {
        Self {
            lockers: Lockers::new(LOCKERS),
            orphans: Vec::new(),
            calls: Vec::new(),
        }
    }

    /// Some share an address.
    fn peer(&self, number: usize) -> Option<Peer> {
        let [.., high, low] = (number / 3 * 2).to_be_bytes();
        Some(Peer::from(std::net::SocketAddr::from((
            [10, 0, high, low],
            4_000,
        ))))
    }

    fn operate(&mut self, harness: &mut Harness, random: &mut Random) {
        for line in harness.take_prints() {
            let words: Vec<_> = line.split(' ').collect();
            if let [
                "call",
                number,
                ..,
                "locker",
                locker,
                "reset;",
                _,
                _,
                _,
                _,
                _,
            ] = words[..]
            {
                let number: usize = number.trim_end_matches(':').parse().expect("a number");
                assert_eq!(number, self.calls.len() + 1, "calls are counted up");
                self.calls.push(locker.parse().expect("a locker"));
            }
        }
        let call = 1 + random.below(self.calls.len() + 1);
        match random.below(6) {
            0 => harness.set_operator(false),
            1 | 2 => harness.set_operator(true),
            3 => {
                if let Some(locker) = self.calls.get(call - 1) {
                    let number = self.lockers.may_happen(*locker, Change::Reset);
                    self.orphans.push(number);
                }
                harness.operator(&format!("approve {call}"));
            }
            4 => harness.operator(&format!("deny {call}")),
            _ => harness.operator(["lockers", "taken 1"][random.below(2)]),
        }
    }

    fn drained(&mut self) {
        for number in self.orphans.drain(..) {
            self.lockers.settle(number);
        }
    }

    fn come(&mut self, listener: usize, number: usize, random: &mut Random) -> (Kiosk, Vec<u8>) {
        let binary = listener == 1;
        let mine = PASSWORDS[number % PASSWORDS.len()];
        let (commands, plan) = crate::locker_words::plan(binary, LOCKERS, mine, number, random);
        let client = Kiosk {
            binary,
            commands,
            sent: 0,
            received: Vec::new(),
            asked: 0,
            unseen: VecDeque::new(),
            ended: false,
            told: false,
            owed: false,
            called: false,
            left: false,
        };
        (client, plan)
    }

    fn sent(&mut self, client: &mut Kiosk, bytes: &[u8], _: Moment) {
        client.sent += bytes.len();
        self.announce(client);
    }

    fn ended(&mut self, client: &mut Kiosk, _: Moment) {
        client.ended = true;
        if !client.binary {
            let sent = client.sent;
            client.commands.iter_mut().for_each(|one| one.cut(sent));
        }
        self.announce(client);
    }

    fn passed(&mut self, _: &mut Kiosk, _: Moment) {}

    fn told(&mut self, client: &mut Kiosk) {
        client.told = true;
        // Whether something without a word is under way cannot be seen.
        client.owed = client.waiting().is_some() && client.unseen.is_empty();
    }

    fn vanished(&mut self, client: &mut Kiosk) {
        self.orphans.extend(client.unseen.drain(..));
        if let Some((locker, change)) = client.waiting().and_then(|one| one.what.change()) {
            let number = self.lockers.may_happen(locker, change);
            self.orphans.push(number);
        }
    }

    fn judge(&mut self, client: &mut Kiosk, seen: &Seen<'_>) -> Result<(), String> {
        client.received.extend_from_slice(seen.received);
        let was_owed = client.owed;
        self.take(client)?;
        let is_bye = client.told && !was_owed && !client.binary && client.received == BYE;
        if is_bye && seen.closed == Some(CloseReason::Shutdown) {
            client.received.clear();
        }
        if !client.received.is_empty() {
            let rest = client.received.escape_ascii();
            return Err(format!("no answer to {:?}: \"{rest}\"", client.commands));
        }
        if !self.check_closed(client, seen.closed) {
            let Kiosk {
                commands,
                unseen,
                ended,
                told,
                owed,
                called,
                ..
            } = client;
            return Err(format!(
                "closed: {:?}; unseen {unseen:?}, ended {ended}, told {told}, owed {owed}, \
                 called {called}, {commands:?}",
                seen.closed
            ));
        }
        if seen.closed.is_some() {
            self.orphans.extend(client.unseen.drain(..));
        }
        Ok(())
    }
}
