//! One end of a transfer, and the rules that it keeps whatever comes.

use std::collections::HashMap;
use std::time::Duration;

use switchboard::wire::tftp::{Effect, Effects, End, Packet, Receiver, Sender, Terms};

/// Either end.
pub enum Machine {
    Sender(Sender),
    Receiver(Receiver),
}

impl Machine {
    pub fn receive(&mut self, datagram: &[u8], now: Duration, effects: &mut Effects) {
        match self {
            Self::Sender(sender) => sender.receive(datagram, now, effects),
            Self::Receiver(receiver) => receiver.receive(datagram, now, effects),
        }
    }

    pub fn expired(&mut self, now: Duration, effects: &mut Effects) {
        match self {
            Self::Sender(sender) => sender.expired(now, effects),
            Self::Receiver(receiver) => receiver.expired(now, effects),
        }
    }

    pub fn deadline(&self) -> Option<Duration> {
        match self {
            Self::Sender(sender) => sender.deadline(),
            Self::Receiver(receiver) => receiver.deadline(),
        }
    }

    pub fn terms(&self) -> &Terms {
        match self {
            Self::Sender(sender) => sender.terms(),
            Self::Receiver(receiver) => receiver.terms(),
        }
    }
}

/// Why a machine was called.
#[derive(Debug, Clone, Copy)]
pub enum Cause<'a> {
    Datagram(&'a [u8]),
    Clock,
    /// The disk, or its owner.
    Owner,
}

/// One end, and what it did so far.
pub struct Party {
    pub machine: Machine,
    pub is_server: bool,
    /// What a receiver has.
    pub file: Vec<u8>,
    pub is_published: bool,
    pub end: Option<End>,
    is_proved: bool,
    unproved_packets: usize,
    /// How often each block went out since the clock last had some go out again.
    sent: HashMap<u64, u32>,
    sent_last: u64,
    acked: Option<u64>,
    pub packets: usize,
}

impl Party {
    pub fn new(machine: Machine, is_server: bool, file: Vec<u8>) -> Self {
        Self {
            machine,
            is_server,
            file,
            is_published: false,
            end: None,
            is_proved: !is_server,
            unproved_packets: 0,
            sent: HashMap::new(),
            sent_last: 0,
            acked: None,
            packets: 0,
        }
    }

    /// Holds what a call brought against the rules; returns packets and effects.
    pub fn checked(
        &mut self,
        cause: Cause<'_>,
        effects: &mut Effects,
    ) -> (Vec<Vec<u8>>, Vec<Effect>) {
        let packets: Vec<_> = effects.packets().map(<[u8]>::to_vec).collect();
        let list: Vec<_> = effects.drain().collect();
        effects.clear();
        let is_nothing = packets.is_empty() && list.is_empty();
        assert!(is_nothing || self.end.is_none(), "it has ended");
        if let Cause::Datagram(datagram) = cause {
            match Packet::parse(datagram) {
                Ok(Packet::Error { .. }) => assert!(packets.is_empty(), "an answer to an error"),
                Ok(Packet::Ack { block }) => self.check_ack(block, is_nothing),
                _ => {}
            }
        }
        if matches!(cause, Cause::Clock) {
            self.sent.clear();
        }
        self.is_proved |= list.contains(&Effect::Proved);
        for packet in &packets {
            self.check_packet(packet);
        }
        self.packets += packets.len();
        (packets, list)
    }

    /// The Sorcerer's Apprentice: an acknowledgement that is not new brings nothing.
    fn check_ack(&mut self, block: u16, is_nothing: bool) {
        let block = unwrapped(block, self.acked.unwrap_or(0));
        if self.acked.is_some_and(|acked| block <= acked) {
            assert!(
                is_nothing,
                "a duplicate acknowledgement of {block} did something"
            );
        } else if block <= self.sent_last {
            self.acked = Some(block);
        }
    }

    fn check_packet(&mut self, packet: &[u8]) {
        let packet = Packet::parse(packet).expect("a machine sends packets");
        let is_error = matches!(packet, Packet::Error { .. });
        if !self.is_proved {
            self.unproved_packets += usize::from(!is_error);
            assert!(
                self.unproved_packets <= 3,
                "too many to one that proved nothing"
            );
        }
        let Packet::Data { block, bytes } = packet else {
            return;
        };
        let terms = *self.machine.terms();
        assert!(bytes.len() <= terms.block_bytes.get());
        let block = unwrapped(block, self.sent_last);
        assert!(self.is_proved || block == 1, "block {block} before a proof");
        let acked = self.acked.unwrap_or(0);
        assert!(
            block <= acked + terms.window,
            "block {block} is beyond the window"
        );
        self.sent_last = self.sent_last.max(block);
        let times = self.sent.entry(block).or_default();
        *times += 1;
        let most = if terms.window == 1 { 1 } else { 2 };
        assert!(
            *times <= most,
            "block {block}, {times} times without the clock"
        );
    }
}

/// The count that has this number on the wire and is nearest to another count.
fn unwrapped(block: u16, near: u64) -> u64 {
    let step = block.wrapping_sub((near & 0xffff) as u16);
    match step < 0x8000 {
        true => near + u64::from(step),
        false => near.saturating_sub(u64::from(step.wrapping_neg())),
    }
}
