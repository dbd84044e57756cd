//! Clients of the sums, on both wires, said outright or found out: each is sent its own sum, once,
//! as soon as its 0 or its end has come, and nothing before but errors for long lines.

use std::time::Duration;

use switchboard::service::{BYE, CloseReason, Entry, Moment};
use switchboard::services::sum;

use crate::random::Random;
use crate::world::{Rules, Seen};

const PAUSE: Duration = Duration::from_millis(50);
const TOO_LONG: &[u8] = b"error: a line has at most 4096 bytes; this one is skipped\n";

pub struct Adders;

pub struct Adder {
    binary: bool,
    auto: bool,
    bytes: Vec<u8>,
    last: Moment,
    now: Moment,
    ended: bool,
    told: bool,
    received: Vec<u8>,
}

impl Adder {
    /// All that it should have been sent by now, and whether that ends it.
    fn expected(&self) -> (Vec<u8>, bool) {
        let (sum, errors, done) = match self.binary {
            true => words(&self.bytes),
            false => lines(&self.bytes, self.ended),
        };
        let undecided = self.auto && self.bytes.len() < 4 && !self.ended && !self.first_tells();
        let waits = self.now < self.last.after(PAUSE) || !self.bytes.contains(&b'\n');
        if undecided && waits {
            return (Vec::new(), false);
        }
        let mut expected = TOO_LONG.repeat(errors);
        if done || self.ended {
            let text = format!("Result = {sum}");
            expected.extend_from_slice(text.as_bytes());
            match self.binary {
                true => expected.resize(128, 0),
                false => expected.push(b'\n'),
            }
        }
        (expected, done || self.ended)
    }

    fn first_tells(&self) -> bool {
        self.bytes
            .iter()
            .any(|byte| !byte.is_ascii_graphic() && !byte.is_ascii_whitespace())
    }
}

/// Sum, long lines, and whether there was a 0.
fn lines(bytes: &[u8], ended: bool) -> (i128, usize, bool) {
    let (mut sum, mut errors) = (0, 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let whole = line.ends_with(b"\n");
        let text = String::from_utf8_lossy(line);
        if text.trim_end().len() > 4_096 {
            errors += 1;
        } else if whole || ended {
            match text.trim().parse::<i64>() {
                Ok(0) => return (sum, errors, true),
                Ok(value) => sum += i128::from(value),
                Err(_) => {}
            }
        }
    }
    (sum, errors, false)
}

fn words(bytes: &[u8]) -> (i128, usize, bool) {
    let mut sum = 0;
    for word in bytes.chunks_exact(4) {
        match i32::from_ne_bytes(word.try_into().expect("four bytes")) {
            0 => return (sum, 0, true),
            value => sum += i128::from(value),
        }
    }
    (sum, 0, false)
}

/// Text of some lines; the last is a 0, mostly.
fn text_plan(random: &mut Random) -> Vec<u8> {
    let mut plan = String::new();
    for _ in 0..random.below(12) {
        match random.below(12) {
            0 => plan += "rubbish",
            1 if random.one_in(10) => plan += &"1".repeat(4_000 + random.below(400)),
            _ => plan += &(random.next().cast_signed() >> random.below(63)).to_string(),
        }
        plan += if random.one_in(4) { "\r\n" } else { "\n" };
    }
    if !random.one_in(4) {
        plan += "0\n";
    }
    plan.into_bytes()
}

/// Integers whose first is no text; the last is 0, mostly.
fn binary_plan(random: &mut Random) -> Vec<u8> {
    let mut plan = 7_i32.to_ne_bytes().to_vec();
    for _ in 0..random.below(12) {
        let bytes = random.next().to_ne_bytes();
        plan.extend_from_slice(&bytes[..4]);
    }
    if !random.one_in(4) {
        plan.extend_from_slice(&[0; 4]);
    }
    plan
}

impl Rules for Adders {
    const ENTRY: &Entry = &sum::ENTRY;
    const LISTENERS: &[&str] = &["wire=text", "wire=binary", ""];
    type Client = Adder;

    fn new() -> Self {
        Self
    }

    fn come(&mut self, listener: usize, _: usize, random: &mut Random) -> (Adder, Vec<u8>) {
        let auto = listener == 2;
        let binary = listener == 1 || (auto && random.one_in(2));
        let plan = if binary {
            binary_plan(random)
        } else {
            text_plan(random)
        };
        let client = Adder {
            binary,
            auto,
            bytes: Vec::new(),
            last: Moment::ZERO,
            now: Moment::ZERO,
            ended: false,
            told: false,
            received: Vec::new(),
        };
        (client, plan)
    }

    fn sent(&mut self, client: &mut Adder, bytes: &[u8], now: Moment) {
        client.bytes.extend_from_slice(bytes);
        client.last = now;
        client.now = now;
    }

    fn ended(&mut self, client: &mut Adder, _: Moment) {
        client.ended = true;
        // A client that said nothing before its end is served as one of text.
        if client.auto && client.bytes.is_empty() {
            client.binary = false;
        }
    }

    fn passed(&mut self, client: &mut Adder, now: Moment) {
        client.now = now;
    }

    fn told(&mut self, client: &mut Adder) {
        client.told = true;
    }

    fn judge(&mut self, client: &mut Adder, seen: &Seen<'_>) -> Result<(), String> {
        client.received.extend_from_slice(seen.received);
        let (mut expected, done) = client.expected();
        let reason = match done {
            true => Some(CloseReason::Answered),
            false if client.told => Some(CloseReason::Shutdown),
            false => None,
        };
        // Whoever has said nothing yet is not known to be binary.
        let is_binary = client.binary && !(client.auto && client.bytes.is_empty());
        if reason == Some(CloseReason::Shutdown) && !is_binary {
            expected.extend_from_slice(BYE);
        }
        if client.received != expected {
            return Err(format!("expected \"{}\" in all", expected.escape_ascii()));
        }
        (seen.closed == reason)
            .then_some(())
            .ok_or(format!("expected to be closed: {reason:?}"))
    }
}
