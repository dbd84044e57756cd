//! A client, a server and the network between them, under virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use switchboard::wire::tftp::{
    Code, Effect, Effects, Packet, Receiver, Refusal, Request, Room, Sender,
};

use super::party::{Cause, Machine, Party};
use super::plan::{Plan, Trouble};
use crate::random::Random;

/// The place of the client among the parties; servers come behind it.
pub const CLIENT: usize = 0;

/// Where a server that refuses a request sends from.
const NOBODY: usize = usize::MAX;

enum Event {
    /// A datagram of the client comes to a transfer, or to the port that everybody knows.
    ToServer(Option<usize>, Vec<u8>),
    /// A datagram comes from a server's transfer.
    ToClient(usize, Vec<u8>),
    Read(usize, u64, usize),
    Written(usize, usize),
    Published(usize),
    Changes,
    ClientGoes,
    ServerGoes,
}

pub struct Transfer<'a> {
    plan: &'a Plan,
    random: &'a mut Random,
    now: Duration,
    queue: BTreeMap<(Duration, u64), Event>,
    queued: u64,
    pub parties: Vec<Party>,
    /// The server's transfer that the client has heard from first.
    pub bound: Option<usize>,
    is_client_gone: bool,
    is_server_gone: bool,
    /// Errors that were sent.
    pub refused: Vec<Code>,
}

impl<'a> Transfer<'a> {
    /// Plays it to its end.
    pub fn run(plan: &'a Plan, random: &'a mut Random) -> Self {
        let mut transfer = Self {
            plan,
            random,
            now: Duration::from_secs(5),
            queue: BTreeMap::new(),
            queued: 0,
            parties: Vec::new(),
            bound: None,
            is_client_gone: false,
            is_server_gone: false,
            refused: Vec::new(),
        };
        let trouble = match plan.trouble {
            Trouble::Change(when) => Some((when, Event::Changes)),
            Trouble::ClientGoes(when) => Some((when, Event::ClientGoes)),
            Trouble::ServerGoes(when) => Some((when, Event::ServerGoes)),
            Trouble::Nothing | Trouble::Full(_) | Trouble::Beyond => None,
        };
        if let Some((when, event)) = trouble {
            transfer.after(when, event);
        }
        transfer.ask();
        for _ in 0..STEPS_MAX {
            if !transfer.step() {
                return transfer;
            }
            assert!(transfer.now < HOURS, "it takes hours");
        }
        panic!("it takes for ever");
    }

    /// The client begins.
    fn ask(&mut self) {
        let (plan, mut effects) = (self.plan, Effects::default());
        let request = Request {
            name: b"folder/file",
            mode: plan.mode,
            options: plan.options,
        };
        let size = plan.file.len() as u64;
        let (machine, file) = match plan.is_put {
            true => {
                let sender = Sender::put(&request, size, self.now, &mut effects);
                (Machine::Sender(sender), Vec::new())
            }
            false => {
                let receiver = Receiver::get(&request, MOST, self.now, &mut effects);
                let kept = plan.file[..plan.kept].to_vec();
                (Machine::Receiver(receiver), kept)
            }
        };
        self.parties.push(Party::new(machine, false, file));
        self.settle(CLIENT, Cause::Owner, effects);
    }

    /// A request comes to the port that everybody knows.
    fn serve(&mut self, datagram: &[u8]) {
        let request = match Packet::parse(datagram) {
            Ok(Packet::Read(request) | Packet::Write(request)) => request,
            // The client has given up before it had an answer.
            Ok(Packet::Error { .. }) => return,
            other => panic!("{other:?} is no request"),
        };
        let mut parties = self.parties.iter();
        let live = parties.rposition(|party| party.is_server && party.end.is_none());
        if let Some(live) = live {
            return self.give(live, datagram);
        }
        let (plan, mut effects) = (self.plan, Effects::default());
        let options = plan.understood(request.options);
        let request = Request { options, ..request };
        let size = plan.file.len() as u64;
        let party = match plan.is_put {
            true => {
                let kept = plan.kept as u64;
                let room = Room { kept, most: MOST };
                Receiver::serve(&request, room, self.now, &mut effects).map(|receiver| {
                    let offset = usize::try_from(receiver.terms().offset).expect("small");
                    let file = plan.file[..offset].to_vec();
                    Party::new(Machine::Receiver(receiver), true, file)
                })
            }
            false => Sender::serve(&request, size, self.now, &mut effects)
                .map(|sender| Party::new(Machine::Sender(sender), true, Vec::new())),
        };
        match party {
            Ok(party) => {
                self.parties.push(party);
                self.settle(self.parties.len() - 1, Cause::Owner, effects);
            }
            Err(refusal) => {
                self.refused.push(refusal.code);
                self.send(NOBODY, refusal.packet());
            }
        }
    }

    /// Something happens, if anything is left.
    fn step(&mut self) -> bool {
        let due = |(who, party): (usize, &Party)| Some((party.machine.deadline()?, who));
        let parties = self.parties.iter().enumerate();
        let deadline = parties
            .filter(|(_, party)| !self.is_gone(party))
            .filter_map(due)
            .min();
        let event = self.queue.first_key_value().map(|(key, _)| key.0);
        match (deadline, event) {
            (None, None) => return false,
            (Some((due, who)), event) if event.is_none_or(|event| due < event) => {
                self.now = self.now.max(due);
                let mut effects = Effects::default();
                self.parties[who].machine.expired(self.now, &mut effects);
                self.settle(who, Cause::Clock, effects);
            }
            _ => {
                let ((when, _), event) = self.queue.pop_first().expect("it is there");
                self.now = when;
                self.happen(event);
            }
        }
        true
    }

    fn is_gone(&self, party: &Party) -> bool {
        match party.is_server {
            true => self.is_server_gone,
            false => self.is_client_gone,
        }
    }

    fn happen(&mut self, event: Event) {
        let mut effects = Effects::default();
        let who = match event {
            Event::ToServer(_, _) if self.is_server_gone => return,
            Event::ToServer(None, bytes) => return self.serve(&bytes),
            // Nobody answers there.
            Event::ToServer(Some(NOBODY), _) => return,
            Event::ToServer(Some(who), bytes) => return self.give(who, &bytes),
            Event::ToClient(_, _) if self.is_client_gone => return,
            Event::ToClient(from, bytes) => {
                if *self.bound.get_or_insert(from) == from {
                    self.give(CLIENT, &bytes);
                }
                return;
            }
            Event::Changes => return self.change(),
            Event::ClientGoes => return self.is_client_gone = true,
            Event::ServerGoes => return self.is_server_gone = true,
            Event::Read(who, ..) | Event::Written(who, _) | Event::Published(who) => who,
        };
        if self.is_gone(&self.parties[who]) {
            return;
        }
        match (&mut self.parties[who].machine, event) {
            (Machine::Sender(sender), Event::Read(_, offset, len)) => {
                let from = usize::try_from(offset).expect("small");
                // Perhaps only a part is in memory.
                let len = match self.random.one_in(4) {
                    true => 1 + self.random.below(len),
                    false => len,
                };
                let bytes = &self.plan.file[from..from + len];
                sender.data(offset, bytes, self.now, &mut effects);
            }
            (Machine::Receiver(receiver), Event::Written(_, bytes)) => {
                receiver.written(bytes as u64, self.now, &mut effects);
            }
            (Machine::Receiver(receiver), Event::Published(_)) => {
                self.parties[who].is_published |= !receiver.has_ended();
                let Machine::Receiver(receiver) = &mut self.parties[who].machine else {
                    return;
                };
                receiver.published(self.now, &mut effects);
            }
            _ => unreachable!("a sender reads and a receiver writes"),
        }
        self.settle(who, Cause::Owner, effects);
    }

    fn give(&mut self, who: usize, datagram: &[u8]) {
        let mut effects = Effects::default();
        self.parties[who]
            .machine
            .receive(datagram, self.now, &mut effects);
        self.settle(who, Cause::Datagram(datagram), effects);
    }

    /// Whoever sends finds that the file is another.
    fn change(&mut self) {
        for who in 0..self.parties.len() {
            let mut effects = Effects::default();
            if let Machine::Sender(sender) = &mut self.parties[who].machine {
                sender.changed(&mut effects);
            }
            self.settle(who, Cause::Owner, effects);
        }
    }

    /// Does what a machine asks for.
    fn settle(&mut self, who: usize, cause: Cause<'_>, mut effects: Effects) {
        let (packets, list) = self.parties[who].checked(cause, &mut effects);
        for packet in packets {
            self.check_answer(who, &packet);
            self.send(who, packet);
        }
        for effect in list {
            match effect {
                Effect::Proved => assert!(self.parties[who].is_server),
                Effect::Agreed(terms) => {
                    let asked = self.plan.options.offset.unwrap_or(0);
                    let offset = usize::try_from(terms.offset).expect("small");
                    assert!(terms.offset <= asked);
                    let size = self.plan.file.len() as u64;
                    assert!(terms.size.is_none_or(|told| told == size));
                    self.parties[who].file.truncate(offset);
                }
                Effect::Read { offset, len } => self.later(Event::Read(who, offset, len)),
                Effect::Write { offset, bytes } => self.write(who, offset, &bytes),
                Effect::Publish { size } => {
                    let file = &self.parties[who].file;
                    assert_eq!(size, file.len() as u64);
                    assert!(*file == self.plan.file, "another file came out");
                    self.later(Event::Published(who));
                }
                Effect::Ended(end) => self.parties[who].end = Some(end),
            }
        }
    }

    fn write(&mut self, who: usize, offset: u64, bytes: &[u8]) {
        let file = &mut self.parties[who].file;
        assert_eq!(offset, file.len() as u64, "writes follow each other");
        file.extend_from_slice(bytes);
        if matches!(self.plan.trouble, Trouble::Full(most) if file.len() > most) {
            let mut effects = Effects::default();
            if let Machine::Receiver(receiver) = &mut self.parties[who].machine {
                receiver.fail(Refusal::new(Code::DISK_FULL, "full"), &mut effects);
            }
            return self.settle(who, Cause::Owner, effects);
        }
        self.later(Event::Written(who, bytes.len()));
    }

    /// An OACK holds what was asked for, and no more; an error is remembered.
    fn check_answer(&mut self, who: usize, packet: &[u8]) {
        let asked = self.plan.understood(self.plan.options);
        match Packet::parse(packet).expect("a packet") {
            Packet::Error { code, .. } => self.refused.push(code),
            Packet::Oack(granted) => {
                assert!(self.parties[who].is_server && granted != Default::default());
                assert!(
                    granted
                        .block_bytes
                        .is_none_or(|it| Some(it) <= asked.block_bytes)
                );
                assert!(granted.window.is_none_or(|it| Some(it) <= asked.window));
                assert!(granted.offset.is_none_or(|it| Some(it) <= asked.offset));
                assert!(
                    granted
                        .timeout_s
                        .is_none_or(|it| Some(it) == asked.timeout_s)
                );
                assert!(granted.size.is_none_or(|it| asked.size.is_some() && it > 0));
            }
            _ => {}
        }
    }

    /// Gives a datagram to the network.
    fn send(&mut self, who: usize, datagram: Vec<u8>) {
        let copies = 1 + usize::from(self.random.below(100) < self.plan.doubled);
        for _ in 0..copies {
            if self.random.below(100) < self.plan.lost {
                continue;
            }
            let event = match who {
                CLIENT => Event::ToServer(self.bound, datagram.clone()),
                server => Event::ToClient(server, datagram.clone()),
            };
            let more = match self.random.below(100) < self.plan.late {
                true => self.part(self.plan.delay),
                false => Duration::ZERO,
            };
            self.after(self.plan.delay + more, event);
        }
    }

    /// The disk takes its time.
    fn later(&mut self, event: Event) {
        let after = self.part(self.plan.disk);
        self.after(after, event);
    }

    fn part(&mut self, of: Duration) -> Duration {
        of.mul_f64(self.random.below(1_001) as f64 / 1_000.0)
    }

    fn after(&mut self, after: Duration, event: Event) {
        self.queued += 1;
        self.queue.insert((self.now + after, self.queued), event);
    }
}

/// Bytes that a file may have.
const MOST: u64 = 10_000_000;

/// More than any transfer takes.
const HOURS: Duration = Duration::from_secs(3 * 3_600);
const STEPS_MAX: usize = 3_000_000;
