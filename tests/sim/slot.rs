//! Writers of the slot: every reply is a whole message that somebody wrote before, framed as the
//! writer's own was, and comes exactly the delay after that one's end.

use std::collections::HashMap;
use std::time::Duration;

use switchboard::service::{BYE, CloseReason, Entry, Moment};
use switchboard::services::slot;

use crate::random::Random;
use crate::world::{Rules, Seen};

const SIZE: usize = 20;
const DELAYS: [Duration; 2] = [Duration::from_secs(2), Duration::from_millis(10)];
const GAPS: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(3)];

pub struct Writers {
    /// Every message that was whole at some moment, and when it last was.
    written: HashMap<Vec<u8>, Moment>,
    /// When the slot was last written.
    last: Moment,
}

pub struct Writer {
    delay: Duration,
    gap: Duration,
    bytes: Vec<u8>,
    last: Option<Moment>,
    /// When its message ended, if it has, and whether only a pause ended it.
    end: Option<(Moment, bool)>,
    told: bool,
}

impl Writers {
    fn write(&mut self, message: &[u8], now: Moment) {
        if (1..SIZE).contains(&message.len()) {
            self.written.insert(message.to_vec(), now);
            self.last = now;
        }
    }
}

impl Writer {
    /// What stands before the first newline or NUL.
    fn message(&self) -> &[u8] {
        match self.bytes.iter().position(|byte| matches!(byte, b'\n' | 0)) {
            Some(end) if self.bytes[end] == b'\n' => self.bytes[..end]
                .strip_suffix(b"\r")
                .unwrap_or(&self.bytes[..end]),
            Some(end) => &self.bytes[..end],
            None => &self.bytes,
        }
    }

    fn is_block(&self) -> bool {
        self.bytes.len() >= SIZE && self.bytes[SIZE - 1] == 0
    }

    /// The message within a reply to this writer; `None` if it is not framed as it should be.
    fn unframed<'a>(&self, reply: &'a [u8]) -> Option<&'a [u8]> {
        let (_, paused) = self.end?;
        if self.is_block() {
            let end = reply.iter().position(|byte| *byte == 0)?;
            let padded = reply[end..].iter().all(|byte| *byte == 0);
            return (reply.len() == SIZE && padded).then_some(&reply[..end]);
        }
        let own_end = self.bytes.iter().find(|byte| matches!(byte, b'\n' | 0));
        match own_end {
            Some(b'\n') if !paused => reply.strip_suffix(b"\n"),
            _ => reply.strip_suffix(b"\0"),
        }
    }
}

impl Rules for Writers {
    const ENTRY: &Entry = &slot::ENTRY;
    const LISTENERS: &[&str] = &["", "delay=10ms&gap=3ms"];
    type Client = Writer;

    fn new() -> Self {
        Self {
            written: HashMap::new(),
            last: Moment::ZERO,
        }
    }

    fn come(&mut self, listener: usize, number: usize, random: &mut Random) -> (Writer, Vec<u8>) {
        let mut plan = format!("#{number}").into_bytes();
        plan.resize(plan.len() + random.below(SIZE - 4), b'x');
        match random.below(9) {
            0..3 => plan.push(b'\n'),
            3 => plan.extend_from_slice(b"\r\n"),
            4 => plan.push(0),
            5 | 6 => plan.resize(SIZE, 0),
            7 => plan = [&b"\n"[..], b"\0", b"01234567890123456789"][random.below(3)].to_vec(),
            _ => {}
        }
        let (delay, gap) = (DELAYS[listener], GAPS[listener]);
        (
            Writer {
                delay,
                gap,
                bytes: Vec::new(),
                last: None,
                end: None,
                told: false,
            },
            plan,
        )
    }

    fn sent(&mut self, client: &mut Writer, bytes: &[u8], now: Moment) {
        let was_block = client.is_block();
        client.bytes.extend_from_slice(bytes);
        client.last = Some(now);
        match client.end {
            None if client.bytes.iter().any(|byte| matches!(byte, b'\n' | 0)) => {
                client.end = Some((now, false));
                self.write(client.message(), now);
            }
            // A block that a pause had cut in two is one message after all.
            Some((_, true)) if !was_block && client.is_block() => {
                let end = client.bytes.iter().position(|byte| *byte == 0).unwrap_or(0);
                self.write(&client.bytes[..end], now);
            }
            _ => {}
        }
    }

    fn ended(&mut self, client: &mut Writer, now: Moment) {
        if client.end.is_none() {
            client.end = Some((now, false));
            self.write(client.message(), now);
        }
    }

    fn passed(&mut self, client: &mut Writer, now: Moment) {
        let Some(last) = client.last.filter(|_| client.end.is_none()) else {
            return;
        };
        let end = last.after(client.gap);
        if end <= now {
            client.end = Some((end, true));
            self.write(&client.bytes, end);
        }
    }

    fn told(&mut self, client: &mut Writer) {
        client.told = true;
    }

    fn judge(&mut self, client: &mut Writer, seen: &Seen<'_>) -> Result<(), String> {
        let due = client.end.map(|(end, _)| end.after(client.delay));
        match seen.closed {
            None if !seen.received.is_empty() => Err("bytes before the close".to_owned()),
            None if due.is_some_and(|due| due <= seen.now) => Err(format!("no reply, due {due:?}")),
            None if client.told && client.bytes.is_empty() => Err("no goodbye".to_owned()),
            None => Ok(()),
            Some(CloseReason::Answered) => {
                if due != Some(seen.now) {
                    return Err(format!("the reply was due {due:?}"));
                }
                let message = client
                    .unframed(seen.received)
                    .ok_or("the reply is framed otherwise")?;
                match self.written.get(message) {
                    None => Err("nobody wrote that".to_owned()),
                    // Several may have been written at the last moment; any of them may be held.
                    Some(at) if *at != self.last => {
                        Err("something else was written since".to_owned())
                    }
                    Some(_) => Ok(()),
                }
            }
            Some(CloseReason::MessageEmpty) => {
                let right = client.message().is_empty() && client.end.is_some();
                let text = b"error: the message is empty\n";
                (right && seen.received == text)
                    .then_some(())
                    .ok_or("it was not empty".to_owned())
            }
            Some(CloseReason::MessageTooLong) => {
                let right = client.message().len() >= SIZE;
                let text = b"error: a message has at most 19 bytes\n";
                (right && seen.received == text)
                    .then_some(())
                    .ok_or("it was not too long".to_owned())
            }
            Some(CloseReason::Shutdown) => {
                let right = client.told && client.bytes.is_empty() && seen.received == BYE;
                right.then_some(()).ok_or("it was owed a reply".to_owned())
            }
            Some(_) => Err("closed for another reason".to_owned()),
        }
    }
}
