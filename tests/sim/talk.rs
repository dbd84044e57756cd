//! Talkers with nobody at the console: each is answered by the listener's own reply, in the form of
//! its message, or told that nobody is there. When a message ends is all that matters here; the
//! operator's answers are tested where an operator is.

use std::time::Duration;

use switchboard::service::{BYE, CloseReason, Entry, Moment};
use switchboard::services::talk;

use crate::random::Random;
use crate::world::{Rules, Seen};

const GAP: Duration = Duration::from_millis(50);
const TOO_LONG: &[u8] = b"error: a line has at most 4096 bytes; this one is skipped\n";

pub struct Talkers;

pub struct Talker {
    replies: bool,
    bytes: Vec<u8>,
    last: Moment,
    now: Moment,
    ended: bool,
    told: bool,
    received: Vec<u8>,
}

impl Talker {
    /// All that it should have been sent by now, and why it is closed.
    fn expected(&self) -> (Vec<u8>, Option<CloseReason>) {
        let mut sent = Vec::new();
        for line in self.bytes.split_inclusive(|byte| *byte == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(line) => {
                    let line = line.strip_suffix(b"\r").unwrap_or(line);
                    if line.len() <= 4_096 {
                        return self.answered(sent, line, true);
                    }
                    sent.extend_from_slice(TOO_LONG);
                }
                // A CR at the limit may belong to the end of the line.
                None if line.len() > 4_097 || (line.len() == 4_097 && line[4_096] != b'\r') => {
                    sent.extend_from_slice(TOO_LONG);
                }
                None if self.ended || self.now >= self.last.after(GAP) => {
                    return self.answered(sent, line, false);
                }
                None => {}
            }
        }
        (sent, self.ended.then_some(CloseReason::ClientEnded))
    }

    fn answered(
        &self,
        mut sent: Vec<u8>,
        text: &[u8],
        line: bool,
    ) -> (Vec<u8>, Option<CloseReason>) {
        let nuls = text.iter().rev().take_while(|byte| **byte == 0).count();
        let bare = &text[..text.len() - nuls];
        let len = match line {
            true => text.len(),
            false => bare.len() - usize::from(bare.ends_with(b"\r")),
        };
        let (reply, reason) = match (len, line, self.replies) {
            (0, _, _) => ("error: the message is empty\n", CloseReason::MessageEmpty),
            (33.., false, _) => (
                "error: a message without a newline has at most 32 bytes\n",
                CloseReason::MessageTooLong,
            ),
            (_, _, false) => (
                "error: nobody is there to answer\n",
                CloseReason::NobodyThere,
            ),
            (_, true, true) => ("later\n", CloseReason::Answered),
            (_, false, true) => ("later", CloseReason::Answered),
        };
        sent.extend_from_slice(reply.as_bytes());
        (sent, Some(reason))
    }
}

impl Rules for Talkers {
    const ENTRY: &Entry = &talk::ENTRY;
    const LISTENERS: &[&str] = &["", "reply=later"];
    type Client = Talker;

    fn new() -> Self {
        Self
    }

    fn come(&mut self, listener: usize, _: usize, random: &mut Random) -> (Talker, Vec<u8>) {
        let mut plan = Vec::new();
        for _ in 0..1 + random.below(2) {
            let len = match random.one_in(40) {
                true => 4_000 + random.below(400),
                false => random.below(40),
            };
            plan.extend((0..len).map(|_| if random.one_in(40) { 0 } else { b'x' }));
            match random.below(3) {
                0 => plan.push(b'\n'),
                1 => plan.extend_from_slice(b"\r\n"),
                _ => {}
            }
        }
        let client = Talker {
            replies: listener == 1,
            bytes: Vec::new(),
            last: Moment::ZERO,
            now: Moment::ZERO,
            ended: false,
            told: false,
            received: Vec::new(),
        };
        (client, plan)
    }

    fn sent(&mut self, client: &mut Talker, bytes: &[u8], now: Moment) {
        client.bytes.extend_from_slice(bytes);
        client.last = now;
        client.now = now;
    }

    fn ended(&mut self, client: &mut Talker, _: Moment) {
        client.ended = true;
    }

    fn passed(&mut self, client: &mut Talker, now: Moment) {
        client.now = now;
    }

    fn told(&mut self, client: &mut Talker) {
        client.told = true;
    }

    fn judge(&mut self, client: &mut Talker, seen: &Seen<'_>) -> Result<(), String> {
        client.received.extend_from_slice(seen.received);
        let (mut expected, mut reason) = client.expected();
        if client.told && reason.is_none() {
            reason = Some(CloseReason::Shutdown);
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
