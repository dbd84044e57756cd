//! The end of a transfer that has the file: a server that is read from, a client that writes.
//!
//! Blocks are counted from 1 without an end here; on the wire they have 16 bits and wrap to 0. The
//! encoded bytes of a window are kept until they are acknowledged.
//!
//! What goes out when:
//!
//! - An acknowledgement that is new lets blocks go out: all up to a window behind it. One that is
//!   not new lets nothing go out.
//! - The clock has the whole window go out again.
//! - In a window of several blocks, a new acknowledgement that is not that of the last block says
//!   that one behind it is missing, so the window begins again behind it (RFC 7440, section 4). What
//!   went out twice by that or by the clock does not go out a third time but by the clock, so a
//!   client that acknowledges each block of a window costs at most the double.

use std::time::Duration;

use super::effects::{Effect, Effects, End};
use super::netascii::Encoder;
use super::pace::{Due, Pace};
use super::packet::{Code, Fault, Mode, Packet, Refusal, Request};
use super::{CHANGED, Options, Terms};

/// Sends one file, or the rest of one.
#[derive(Debug)]
pub struct Sender {
    phase: Phase,
    mode: Mode,
    terms: Terms,
    /// Bytes of the file.
    size: u64,
    /// How far the file has been taken into `ready`.
    position: u64,
    encoder: Encoder,
    /// The bytes of the blocks behind `acked`, as far as they are known.
    ready: Vec<u8>,
    /// The end of the file is among them.
    is_all_ready: bool,
    /// The last block that the peer has.
    acked: u64,
    /// The last block that went out.
    sent: u64,
    /// The next to go out once the window is ready.
    next: u64,
    /// Up to here only the clock sends again.
    twice: u64,
    pace: Pace,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// A client has sent this request, with these options in it.
    Asking(Vec<u8>, Options),
    /// A server has granted options by this OACK, and waits for ACK 0.
    Granting(Vec<u8>),
    /// Bytes of the file are waited for.
    Filling,
    /// The window is out.
    Waiting,
    /// Nothing happens any more.
    Ended,
}

impl Sender {
    /// A server's end: answers a read of a file that has `size` bytes.
    ///
    /// With options that can be granted, the OACK goes out; without, block 1 as soon as the file
    /// was read. A request that comes again belongs to this transfer and changes nothing: the
    /// caller may drop it or pass it to [`Sender::receive`].
    ///
    /// # Errors
    /// The error to send where the offset is beyond the end of the file.
    pub fn serve(
        request: &Request<'_>,
        size: u64,
        now: Duration,
        effects: &mut Effects,
    ) -> Result<Self, Refusal> {
        let granted = request.options.grant_read(request.mode, size)?;
        let terms = granted.terms();
        let pace = Pace::new(terms.timeout, false, now);
        let mut sender = Self::new(Phase::Filling, request.mode, terms, size, pace);
        match granted.is_empty() {
            true => sender.fill_or_send(now, effects),
            false => {
                let answer = effects.send_and_keep(&Packet::Oack(granted));
                sender.phase = Phase::Granting(answer);
                sender.pace.wait(now);
            }
        }
        Ok(sender)
    }

    /// A client's end: asks a server to take a file of `size` bytes. The window that is asked for is
    /// cut to our limits, and `tsize` left out with netascii. An offset that the server does not
    /// grant means from the beginning: [`Effect::Agreed`] says where.
    pub fn put(request: &Request<'_>, size: u64, now: Duration, effects: &mut Effects) -> Self {
        let options = request.options.askable(request.mode);
        let bytes = effects.send_and_keep(&Packet::Write(Request {
            options,
            ..*request
        }));
        let pace = Pace::new(None, true, now);
        let phase = Phase::Asking(bytes, options);
        let mut sender = Self::new(phase, request.mode, Terms::default(), size, pace);
        sender.pace.wait(now);
        sender
    }

    fn new(phase: Phase, mode: Mode, terms: Terms, size: u64, pace: Pace) -> Self {
        Self {
            phase,
            mode,
            terms,
            size,
            position: terms.offset,
            encoder: Encoder::default(),
            ready: Vec::new(),
            is_all_ready: false,
            acked: 0,
            sent: 0,
            next: 1,
            twice: 0,
            pace,
        }
    }

    /// What holds for this transfer; of a client before its answer, what holds without options.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// When [`Sender::expired`] is due; `None` while the file is waited for, and at the end.
    pub fn deadline(&self) -> Option<Duration> {
        self.pace.deadline()
    }

    /// Whether it is done.
    pub fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Whether the peer was there and has fallen silent: if it makes the same request again, it has
    /// forgotten this transfer, as a machine that was started anew.
    pub fn is_stalled(&self) -> bool {
        self.pace.is_stalled()
    }

    /// Bytes of the file that the peer has for sure; near enough with netascii.
    pub fn bytes_acked(&self) -> u64 {
        self.position.saturating_sub(self.ready.len() as u64)
    }

    /// How far the file was taken: where what was asked for begins.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Takes a datagram of the peer; what makes no sense here is ignored.
    pub fn receive(&mut self, datagram: &[u8], now: Duration, effects: &mut Effects) {
        if self.has_ended() {
            return;
        }
        match Packet::parse(datagram) {
            Ok(Packet::Ack { block }) => self.acknowledge(block, now, effects),
            Ok(Packet::Error { code, message }) => {
                let message = message.to_vec();
                self.end(End::Refused { code, message }, effects);
            }
            Ok(Packet::Oack(granted)) => self.agree(granted, now, effects),
            Err(fault @ Fault::Option(_)) if matches!(self.phase, Phase::Asking(..)) => {
                if let Some(refusal) = fault.refusal() {
                    self.fail(refusal, effects);
                }
            }
            // A request that came again, or what a sender is not sent.
            Ok(Packet::Read(_) | Packet::Write(_) | Packet::Data { .. }) | Err(_) => {}
        }
    }

    /// Takes bytes of the file that were asked for: from `offset`, at least one, as many as were
    /// asked for at most. None at all means that the file has become shorter.
    pub fn data(&mut self, offset: u64, bytes: &[u8], now: Duration, effects: &mut Effects) {
        if self.phase != Phase::Filling || offset != self.position {
            return;
        }
        if bytes.is_empty() {
            return self.changed(effects);
        }
        self.take(bytes);
        self.pace.rested(now);
        self.fill_or_send(now, effects);
    }

    /// The file is not what it was: what went out may be of two files, so the peer is told.
    pub fn changed(&mut self, effects: &mut Effects) {
        if !self.has_ended() {
            let refusal = Refusal::new(Code::UNDEFINED, CHANGED);
            effects.send(&refusal.as_packet());
            self.end(End::Changed, effects);
        }
    }

    /// Ends it with an error: the file can't be read, or the server goes down.
    pub fn fail(&mut self, refusal: Refusal, effects: &mut Effects) {
        if !self.has_ended() {
            effects.send(&refusal.as_packet());
            self.end(End::Failed(refusal), effects);
        }
    }

    /// The deadline has come.
    pub fn expired(&mut self, now: Duration, effects: &mut Effects) {
        match self.pace.expire(now) {
            Due::Nothing => {}
            Due::GiveUp => self.end(End::Silent, effects),
            Due::Repeat => match &self.phase {
                Phase::Asking(packet, _) | Phase::Granting(packet) => {
                    effects.send_bytes(packet);
                    self.pace.wait(now);
                }
                Phase::Waiting => {
                    self.next = self.acked + 1;
                    self.send(now, effects);
                }
                Phase::Filling | Phase::Ended => {}
            },
        }
    }

    /// A server's OACK.
    fn agree(&mut self, granted: Options, now: Duration, effects: &mut Effects) {
        let Phase::Asking(_, asked) = &self.phase else {
            return;
        };
        match asked.settle(granted, false) {
            Ok(terms) => self.begin(terms, now, effects),
            Err(refusal) => self.fail(refusal, effects),
        }
    }

    /// A client knows what holds.
    fn begin(&mut self, terms: Terms, now: Duration, effects: &mut Effects) {
        self.terms = terms;
        self.position = terms.offset;
        self.pace.agree(terms.timeout);
        self.pace.advance(now);
        effects.push(Effect::Agreed(terms));
        match terms.offset > self.size {
            true => self.changed(effects),
            false => self.fill_or_send(now, effects),
        }
    }

    fn acknowledge(&mut self, block: u16, now: Duration, effects: &mut Effects) {
        match &self.phase {
            // A server that knows no options answers a write so.
            Phase::Asking(..) if block == 0 => self.begin(Terms::default(), now, effects),
            Phase::Granting(_) if block == 0 => {
                self.advance(now, effects);
                self.fill_or_send(now, effects);
            }
            Phase::Asking(..) | Phase::Granting(_) | Phase::Ended => {}
            Phase::Filling | Phase::Waiting => {
                // A window is far shorter than the numbers, so each names one block of it.
                let further = u64::from(block.wrapping_sub(on_wire(self.acked)));
                if further > 0 && further <= self.sent - self.acked {
                    self.advance(now, effects);
                    self.slide(further, now, effects);
                }
            }
        }
    }

    fn advance(&mut self, now: Duration, effects: &mut Effects) {
        if self.pace.advance(now) {
            effects.push(Effect::Proved);
        }
    }

    /// The peer has so many blocks more.
    fn slide(&mut self, blocks: u64, now: Duration, effects: &mut Effects) {
        let is_last = self.acked + blocks == self.last_ready() && self.is_all_ready;
        if is_last {
            return self.end(End::Whole, effects);
        }
        let bytes = blocks.saturating_mul(self.terms.block_bytes.get() as u64);
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.ready.drain(..bytes.min(self.ready.len()));
        self.acked += blocks;
        self.next = self.next.max(self.acked + 1);
        if self.phase == Phase::Filling {
            // What was asked for still comes, and then goes out.
            return;
        }
        self.next = match self.acked < self.twice {
            true => self.sent + 1,
            false => self.acked + 1,
        };
        self.fill_or_send(now, effects);
    }

    /// Sends the window if it is ready, else asks for what is missing.
    fn fill_or_send(&mut self, now: Duration, effects: &mut Effects) {
        self.take(&[]);
        let room = self.window_bytes().saturating_sub(self.ready.len());
        if self.is_all_ready || room == 0 {
            return self.send(now, effects);
        }
        self.phase = Phase::Filling;
        self.pace.rest();
        let left = usize::try_from(self.size - self.position).unwrap_or(usize::MAX);
        effects.push(Effect::Read {
            offset: self.position,
            len: room.min(left),
        });
    }

    /// Takes bytes of the file into `ready`, as many as the window has room for.
    fn take(&mut self, bytes: &[u8]) {
        let room = self.window_bytes().saturating_sub(self.ready.len());
        let used = match self.mode {
            Mode::Octet => {
                let used = bytes.len().min(room);
                self.ready.extend_from_slice(&bytes[..used]);
                used
            }
            Mode::Netascii => self.encoder.encode(bytes, room, &mut self.ready),
        };
        self.position = self.position.saturating_add(used as u64).min(self.size);
        self.is_all_ready = self.position == self.size && self.encoder.is_empty();
    }

    /// All of the window that is to go out.
    fn send(&mut self, now: Duration, effects: &mut Effects) {
        let last = self.last_ready().min(self.acked + self.terms.window);
        let size = self.terms.block_bytes.get();
        let skipped = usize::try_from(self.next - self.acked - 1).unwrap_or(usize::MAX);
        let mut rest = self.ready.get(skipped.saturating_mul(size)..);
        if self.next <= self.sent {
            self.twice = last;
        }
        for block in self.next..=last {
            let bytes = rest.unwrap_or_default();
            let (bytes, behind) = bytes.split_at(bytes.len().min(size));
            rest = Some(behind);
            let block = on_wire(block);
            effects.send(&Packet::Data { block, bytes });
        }
        self.sent = self.sent.max(last);
        self.phase = Phase::Waiting;
        self.pace.wait(now);
        debug_assert!(self.acked < self.sent && self.sent <= self.acked + self.terms.window);
    }

    /// The last block that is ready to go out; that of the file once all is ready.
    fn last_ready(&self) -> u64 {
        let full = self.ready.len() / self.terms.block_bytes.get();
        self.acked + full as u64 + u64::from(self.is_all_ready)
    }

    fn window_bytes(&self) -> usize {
        let window = usize::try_from(self.terms.window).unwrap_or(usize::MAX);
        window.saturating_mul(self.terms.block_bytes.get())
    }

    fn end(&mut self, end: End, effects: &mut Effects) {
        self.phase = Phase::Ended;
        self.pace.rest();
        self.ready = Vec::new();
        effects.push(Effect::Ended(end));
    }
}

/// The number of a block as the wire has it.
fn on_wire(block: u64) -> u16 {
    // Cut to its 16 low bits on purpose: after 65,535 comes 0.
    (block & 0xffff) as u16
}

#[cfg(test)]
mod tests;
