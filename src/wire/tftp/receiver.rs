//! The end of a transfer that gets the file: a server that is written to, a client that reads.
//!
//! A block is acknowledged when a window is full, when one is missing (once), when one comes again
//! (once for a run of them, and not at once), and when the clock says so. The last block is
//! acknowledged only once the file was published, so whoever has that acknowledgement has a file
//! that is safe.

mod intake;

use std::time::Duration;

use self::intake::Intake;
use super::effects::{Effect, Effects, End};
use super::pace::{Due, Pace};
use super::packet::{Code, Fault, Mode, Packet, Refusal, Request};
use super::{Options, Terms};
use crate::config::limits::{TFTP_AGAIN_PAUSE, TFTP_DALLY, TFTP_SILENCE_MAX};

/// Gets one file, or the rest of one.
#[derive(Debug)]
pub struct Receiver {
    phase: Phase,
    mode: Mode,
    terms: Terms,
    room: Room,
    intake: Intake,
    /// An acknowledgement waits for the disk.
    is_owed: bool,
    /// The last block of those without a gap.
    received: u64,
    /// The last block that was acknowledged, and when.
    acked: u64,
    acked_at: Duration,
    /// A gap behind this block was answered.
    gap: Option<u64>,
    /// The last block that came again.
    again: Option<u64>,
    pace: Pace,
}

/// What there is of a file, and what there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes of it that are kept from an earlier transfer; an offset beyond them is not granted.
    pub kept: u64,
    /// Bytes that it may have in all; more is "disk full".
    pub most: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// A client has sent this request, with these options in it.
    Asking(Vec<u8>, Options),
    /// A server has granted options by this OACK, and waits for block 1.
    Granting(Vec<u8>),
    /// Blocks are waited for.
    Taking,
    /// All is there, and is being made safe.
    Publishing,
    /// All is acknowledged; stays for a peer that has not heard it.
    Dallying,
    /// Nothing happens any more.
    Ended,
}

impl Receiver {
    /// A server's end: answers a write by ACK 0, or by an OACK where options can be granted. What is
    /// kept of the file is to be cut to the offset of [`Receiver::terms`]. A request that comes
    /// again belongs to this transfer and changes nothing.
    ///
    /// # Errors
    /// The error to send where the file is announced as larger than there is room for.
    pub fn serve(
        request: &Request<'_>,
        room: Room,
        now: Duration,
        effects: &mut Effects,
    ) -> Result<Self, Refusal> {
        let granted = request.options.grant_write(request.mode, room.kept);
        if granted.size.is_some_and(|size| size > room.most) {
            return Err(too_large(room));
        }
        let terms = granted.terms();
        let pace = Pace::new(terms.timeout, false, now);
        let mut receiver = Self::new(Phase::Taking, request.mode, terms, room, pace);
        match granted.is_empty() {
            true => receiver.acknowledge(now, effects),
            false => {
                let answer = effects.send_and_keep(&Packet::Oack(granted));
                receiver.phase = Phase::Granting(answer);
                receiver.pace.wait(now);
            }
        }
        Ok(receiver)
    }

    /// A client's end: asks a server for a file of which at most `most` bytes are taken. The window
    /// that is asked for is cut to our limits, and `tsize` left out with netascii.
    ///
    /// [`Effect::Agreed`] says where the file begins. A server that does not know `offset` sends it
    /// from the beginning: a client that has a part of it then starts over.
    pub fn get(request: &Request<'_>, most: u64, now: Duration, effects: &mut Effects) -> Self {
        let options = request.options.askable(request.mode);
        let bytes = effects.send_and_keep(&Packet::Read(Request {
            options,
            ..*request
        }));
        let pace = Pace::new(None, true, now);
        let room = Room { kept: 0, most };
        let phase = Phase::Asking(bytes, options);
        let mut receiver = Self::new(phase, request.mode, Terms::default(), room, pace);
        receiver.pace.wait(now);
        receiver
    }

    fn new(phase: Phase, mode: Mode, terms: Terms, room: Room, pace: Pace) -> Self {
        Self {
            phase,
            mode,
            terms,
            room,
            intake: Intake::new(mode, terms.offset),
            is_owed: false,
            received: 0,
            acked: 0,
            acked_at: Duration::ZERO,
            gap: None,
            again: None,
            pace,
        }
    }

    /// What holds for this transfer; of a client before its answer, what holds without options.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// When [`Receiver::expired`] is due; `None` while the disk is waited for, and at the end.
    pub fn deadline(&self) -> Option<Duration> {
        self.pace.deadline()
    }

    /// Whether it is done.
    pub fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Whether the last acknowledgement has gone out. The peer may still not have it, so whoever can
    /// stays until the end; a client whose user waits need not.
    pub fn is_whole(&self) -> bool {
        self.phase == Phase::Dallying
    }

    /// Bytes of the file that have come, those before the offset included.
    pub fn bytes_received(&self) -> u64 {
        self.intake.end()
    }

    /// Takes a datagram of the peer; what makes no sense here is ignored.
    pub fn receive(&mut self, datagram: &[u8], now: Duration, effects: &mut Effects) {
        match Packet::parse(datagram) {
            Ok(Packet::Data { block, bytes }) => self.take(block, bytes, now, effects),
            Ok(Packet::Error { code, message }) => match self.phase {
                Phase::Dallying => self.end(End::Whole, effects),
                // Whoever is impatient while all is being made safe has sent all the same.
                Phase::Publishing | Phase::Ended => {}
                Phase::Asking(..) | Phase::Granting(_) | Phase::Taking => {
                    let message = message.to_vec();
                    self.end(End::Refused { code, message }, effects);
                }
            },
            Ok(Packet::Oack(granted)) => self.agree(granted, now, effects),
            Err(fault @ Fault::Option(_)) if matches!(self.phase, Phase::Asking(..)) => {
                if let Some(refusal) = fault.refusal() {
                    self.fail(refusal, effects);
                }
            }
            // A request that came again, or what a receiver is not sent.
            Ok(Packet::Read(_) | Packet::Write(_) | Packet::Ack { .. }) | Err(_) => {}
        }
    }

    /// So many bytes of those that were handed on are in the file.
    pub fn written(&mut self, bytes: u64, now: Duration, effects: &mut Effects) {
        self.intake.written(bytes);
        if self.is_owed && self.phase == Phase::Taking {
            self.pace.rested(now);
            self.acknowledge(now, effects);
        }
    }

    /// The whole file is safe and visible: the last block is acknowledged now.
    pub fn published(&mut self, now: Duration, effects: &mut Effects) {
        if self.phase == Phase::Publishing {
            self.phase = Phase::Dallying;
            self.send_ack(now, effects);
            let agreed = self.terms.timeout.unwrap_or_default().saturating_mul(2);
            let stay = TFTP_DALLY.max(agreed).min(TFTP_SILENCE_MAX);
            self.pace.dally(now.saturating_add(stay));
        }
    }

    /// Ends it with an error: it can't be written or published, or the server goes down. What came
    /// is handed on first, so that it can be resumed.
    pub fn fail(&mut self, refusal: Refusal, effects: &mut Effects) {
        if !self.has_ended() && !self.is_whole() {
            effects.send(&refusal.as_packet());
            self.end(End::Failed(refusal), effects);
        }
    }

    /// The deadline has come.
    pub fn expired(&mut self, now: Duration, effects: &mut Effects) {
        let is_due = self.pace.deadline().is_some_and(|due| now >= due);
        if is_due && self.phase == Phase::Dallying {
            return self.end(End::Whole, effects);
        }
        match self.pace.expire(now) {
            Due::Nothing => {}
            Due::GiveUp => self.end(End::Silent, effects),
            Due::Repeat => match &self.phase {
                Phase::Asking(packet, _) | Phase::Granting(packet) => {
                    effects.send_bytes(packet);
                    self.pace.wait(now);
                }
                Phase::Taking => self.acknowledge(now, effects),
                Phase::Publishing | Phase::Dallying | Phase::Ended => {}
            },
        }
    }

    /// A server's OACK.
    fn agree(&mut self, granted: Options, now: Duration, effects: &mut Effects) {
        match &self.phase {
            Phase::Asking(_, asked) => match asked.settle(granted, true) {
                Ok(terms) => {
                    self.begin(terms, now, effects);
                    if !self.has_ended() {
                        self.acknowledge(now, effects);
                    }
                }
                Err(refusal) => self.fail(refusal, effects),
            },
            // Our ACK 0 was lost.
            Phase::Taking if self.received == 0 && !self.has_just_said(now) => {
                self.acknowledge(now, effects);
            }
            _ => {}
        }
    }

    /// A client knows what holds.
    fn begin(&mut self, terms: Terms, now: Duration, effects: &mut Effects) {
        self.phase = Phase::Taking;
        self.terms = terms;
        self.intake.begin(terms.offset);
        self.pace.agree(terms.timeout);
        self.pace.advance(now);
        effects.push(Effect::Agreed(terms));
        if terms.size.is_some_and(|size| size > self.room.most) {
            self.fail(too_large(self.room), effects);
        }
    }

    fn take(&mut self, block: u16, bytes: &[u8], now: Duration, effects: &mut Effects) {
        match &self.phase {
            // A server that knows no options answers a read so.
            Phase::Asking(..) if block == 1 => self.begin(Terms::default(), now, effects),
            Phase::Granting(_) if block == 1 => self.phase = Phase::Taking,
            Phase::Asking(..) | Phase::Granting(_) | Phase::Publishing | Phase::Ended => return,
            Phase::Taking | Phase::Dallying => {}
        }
        // Cut to its 16 low bits on purpose: after 65,535 comes 0.
        let expected = (self.received.wrapping_add(1) & 0xffff) as u16;
        let ahead = u64::from(block.wrapping_sub(expected));
        let behind = u64::from(expected.wrapping_sub(block));
        if behind >= 1 && behind <= self.terms.window.min(self.received) {
            return self.take_again(self.received + 1 - behind, now, effects);
        }
        if self.phase != Phase::Taking || ahead >= self.terms.window {
            return;
        }
        if ahead > 0 {
            // Said at once, so that the sender need not wait for its clock; and said once.
            if self.gap.replace(self.received) != Some(self.received) {
                self.acknowledge(now, effects);
            }
            return;
        }
        if self.is_owed && self.received - self.acked >= self.terms.window {
            // Whoever does not wait for acknowledgements fills no memory here.
            return;
        }
        if self.pace.advance(now) {
            effects.push(Effect::Proved);
        }
        self.append(bytes, now, effects);
    }

    /// A block that is here already: the peer has not heard of it. The first of a run is answered;
    /// a new run begins where the numbers do not rise.
    fn take_again(&mut self, block: u64, now: Duration, effects: &mut Effects) {
        if self.has_just_said(now) {
            return;
        }
        let is_new_run = self.again.replace(block).is_none_or(|last| block <= last);
        match self.phase {
            Phase::Dallying if is_new_run => self.send_ack(now, effects),
            Phase::Taking if is_new_run => self.acknowledge(now, effects),
            _ => {}
        }
    }

    /// The next block.
    fn append(&mut self, bytes: &[u8], now: Duration, effects: &mut Effects) {
        let size = self.terms.block_bytes.get();
        if bytes.len() > size {
            let message = format!("a block has at most {size} bytes");
            return self.fail(Refusal::new(Code::ILLEGAL_OPERATION, message), effects);
        }
        self.received += 1;
        self.again = None;
        let is_last = bytes.len() < size;
        self.intake.append(bytes, is_last);
        if self.intake.end() > self.room.most {
            self.intake.cut(self.room.most);
            return self.fail(too_large(self.room), effects);
        }
        if is_last {
            return self.finish(effects);
        }
        self.intake.hand_on_much(effects);
        match self.received - self.acked >= self.terms.window {
            true => self.acknowledge(now, effects),
            // One that is owed still waits for the disk, not for the peer.
            false if !self.is_owed => self.pace.wait(now),
            false => {}
        }
    }

    /// The last block has come.
    fn finish(&mut self, effects: &mut Effects) {
        let size = self.bytes_received();
        // Some say 0 where they do not know.
        let announced = self.terms.size.filter(|size| *size > 0);
        if self.mode == Mode::Octet && announced.is_some_and(|announced| announced != size) {
            let message = format!("{size} bytes have come, not as many as were announced");
            return self.fail(Refusal::new(Code::UNDEFINED, message), effects);
        }
        self.intake.hand_on(effects);
        self.phase = Phase::Publishing;
        self.pace.rest();
        effects.push(Effect::Publish { size });
    }

    /// Acknowledges what has come, once the disk is not too far behind.
    fn acknowledge(&mut self, now: Duration, effects: &mut Effects) {
        self.is_owed = self.intake.is_choked();
        if self.is_owed {
            return self.pace.rest();
        }
        self.send_ack(now, effects);
        self.pace.wait(now);
    }

    /// Whether the peer can't have missed the last acknowledgement yet.
    fn has_just_said(&self, now: Duration) -> bool {
        now < self.acked_at.saturating_add(TFTP_AGAIN_PAUSE)
    }

    fn send_ack(&mut self, now: Duration, effects: &mut Effects) {
        (self.acked, self.acked_at) = (self.received, now);
        let block = (self.received & 0xffff) as u16;
        effects.send(&Packet::Ack { block });
    }

    fn end(&mut self, end: End, effects: &mut Effects) {
        self.intake.hand_on(effects);
        self.phase = Phase::Ended;
        self.pace.rest();
        effects.push(Effect::Ended(end));
    }
}

fn too_large(room: Room) -> Refusal {
    let message = format!("a file may have {} bytes here", room.most);
    Refusal::new(Code::DISK_FULL, message)
}

#[cfg(test)]
mod tests;
