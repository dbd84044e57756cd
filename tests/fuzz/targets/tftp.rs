//! TFTP: any datagram is a packet or a fault, and a packet is written so that it is read back as the
//! same; netascii comes back in any cut; both ends keep their promises under any script.
//!
//! The first byte chooses. A script has two bytes an action, as those of the services.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use switchboard::wire::tftp::{
    Decoder, Effect, Effects, Encoder, Packet, Receiver, Request, Room, Sender,
};

/// The file that is sent: every byte, line ends of all kinds among them.
const FILE: [u8; 600] = {
    let mut file = [b'\r'; 600];
    let mut at = 0;
    while at < file.len() {
        if at % 5 != 0 {
            file[at] = (at % 256) as u8;
        }
        at += 1;
    }
    file
};

/// Bytes that a received file may have.
const MOST: u64 = 500_000;

fn parse(datagram: &[u8]) {
    match Packet::parse(datagram) {
        Ok(packet) => {
            let mut written = Vec::new();
            packet.write(&mut written);
            let is_cut = matches!(packet, Packet::Error { message, .. } if message.len() > 255);
            assert!(is_cut || Packet::parse(&written) == Ok(packet));
        }
        Err(fault) => {
            assert!(!datagram.starts_with(&[0, 5]), "an error is one");
            fault.refusal();
        }
    }
}

fn netascii(bytes: &[u8], piece: usize, room: usize) {
    let (mut encoder, mut text) = (Encoder::default(), Vec::new());
    for segment in bytes.chunks(piece) {
        let mut rest = segment;
        while !rest.is_empty() {
            rest = &rest[encoder.encode(rest, room, &mut text)..];
        }
    }
    encoder.encode(&[], 1, &mut text);
    let decoded = |bytes: &[u8], piece: usize| {
        let (mut decoder, mut out) = (Decoder::default(), Vec::new());
        bytes
            .chunks(piece)
            .for_each(|piece| decoder.decode(piece, &mut out));
        decoder.finish(&mut out);
        out
    };
    assert_eq!(decoded(&text, room), bytes);
    assert_eq!(decoded(bytes, piece), decoded(bytes, usize::MAX));
}

enum Machine {
    Sender(Sender),
    Receiver(Receiver),
}

/// A machine and what it has asked for.
struct Play {
    machine: Machine,
    now: Duration,
    effects: Effects,
    read: Option<(u64, usize)>,
    written: u64,
    published: usize,
    has_ended: bool,
}

impl Play {
    fn new(kind: u8, request: Request<'_>) -> Option<Self> {
        let (now, mut effects) = (Duration::ZERO, Effects::default());
        let (size, kept) = (FILE.len() as u64, 100);
        let room = Room { kept, most: MOST };
        let machine = match kind % 4 {
            0 => Machine::Sender(Sender::serve(&request, size, now, &mut effects).ok()?),
            1 => Machine::Sender(Sender::put(&request, size, now, &mut effects)),
            2 => Machine::Receiver(Receiver::serve(&request, room, now, &mut effects).ok()?),
            _ => Machine::Receiver(Receiver::get(&request, MOST, now, &mut effects)),
        };
        let written = match &machine {
            Machine::Sender(_) => 0,
            Machine::Receiver(receiver) => receiver.terms().offset,
        };
        let mut play = Self {
            machine,
            now,
            effects,
            read: None,
            written,
            published: 0,
            has_ended: false,
        };
        play.check();
        Some(play)
    }

    fn receive(&mut self, datagram: &[u8]) {
        let (now, effects) = (self.now, &mut self.effects);
        match &mut self.machine {
            Machine::Sender(sender) => sender.receive(datagram, now, effects),
            Machine::Receiver(receiver) => receiver.receive(datagram, now, effects),
        }
    }

    /// The disk has done what it was asked for, so far.
    fn disk(&mut self, much: usize) {
        let (now, effects) = (self.now, &mut self.effects);
        match &mut self.machine {
            Machine::Sender(sender) => {
                if let Some((offset, len)) = self.read.take() {
                    let from = offset as usize;
                    let bytes = &FILE[from..from + len.min(1 + much)];
                    sender.data(offset, bytes, now, effects);
                }
            }
            Machine::Receiver(receiver) if self.published > 0 => receiver.published(now, effects),
            Machine::Receiver(receiver) => receiver.written(1 << (much % 20), now, effects),
        }
    }

    fn wait(&mut self) {
        let deadline = match &self.machine {
            Machine::Sender(sender) => sender.deadline(),
            Machine::Receiver(receiver) => receiver.deadline(),
        };
        self.now = self.now.max(deadline.unwrap_or_default());
        match &mut self.machine {
            Machine::Sender(sender) => sender.expired(self.now, &mut self.effects),
            Machine::Receiver(receiver) => receiver.expired(self.now, &mut self.effects),
        }
    }

    fn check(&mut self) {
        let packets = self.effects.packets().count();
        assert!(packets <= 64, "a window at most");
        assert!(packets == 0 || !self.has_ended, "it has ended");
        for packet in self.effects.packets() {
            assert!(Packet::parse(packet).is_ok());
        }
        for effect in self.effects.drain() {
            match effect {
                Effect::Proved => {}
                Effect::Agreed(terms) => self.written = terms.offset,
                Effect::Read { offset, len } => {
                    assert!(len > 0 && offset + len as u64 <= FILE.len() as u64);
                    assert_eq!(self.read.replace((offset, len)), None, "one at a time");
                }
                Effect::Write { offset, bytes } => {
                    assert_eq!(offset, self.written, "writes follow each other");
                    self.written += bytes.len() as u64;
                    assert!(self.written <= MOST.max(offset));
                }
                Effect::Publish { size } => {
                    assert_eq!(size, self.written);
                    self.published += 1;
                    assert_eq!(self.published, 1);
                }
                Effect::Ended(_) => self.has_ended = true,
            }
        }
        self.effects.clear();
    }
}

/// The request first: its length, and itself.
fn script(kind: u8, input: &[u8]) {
    let Some((len, input)) = input.split_first() else {
        return;
    };
    let (request, mut input) = input.split_at(input.len().min(usize::from(*len)));
    let Ok(Packet::Read(request) | Packet::Write(request)) = Packet::parse(request) else {
        return;
    };
    let Some(mut play) = Play::new(kind, request) else {
        return;
    };
    while let [what, much, rest @ ..] = input {
        input = rest;
        let block = u16::from(*much);
        match what % 8 {
            0 | 1 => play.receive(&[0, 4, 0, *much]),
            2 => {
                let (bytes, after) = rest.split_at(rest.len().min(8));
                input = after;
                play.receive(&[&[0, 3, 0, *much], bytes].concat());
            }
            3 => play.receive(&[&[0, 3, 0, *much][..], &[b'\n'; 512]].concat()),
            4 => {
                let (datagram, after) = rest.split_at(rest.len().min(usize::from(*much)));
                input = after;
                play.receive(datagram);
            }
            5 => play.wait(),
            _ => play.disk(usize::from(block) * 4),
        }
        play.check();
    }
}

fuzz_target!(|input: &[u8]| {
    match input {
        [0, datagram @ ..] => parse(datagram),
        [1, piece, room, bytes @ ..] => {
            netascii(bytes, 1 + usize::from(*piece), 1 + usize::from(*room));
        }
        [kind, rest @ ..] => script(*kind, rest),
        [] => {}
    }
});
