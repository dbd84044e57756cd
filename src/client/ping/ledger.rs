//! Which payloads are out, and what each thing that comes back is: pure book-keeping.
//!
//! A payload is its number and a pattern that follows from it, so what comes back says by itself
//! which one it is, and every byte can be checked. Below [`NUMBER_BYTES`] bytes only the low end
//! of the number fits, and numbers look alike at a distance.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Payloads that were sent, the newest [`REMEMBERED_MAX`] of them with what became of each.
#[derive(Debug)]
pub struct Ledger {
    size: usize,
    timeout: Duration,
    remembered: VecDeque<Sent>,
    /// The number of the first that is remembered; numbers begin with 1.
    first: u64,
    /// No lower number is awaited.
    oldest: u64,
    /// The highest number that came back.
    highest: u64,
    /// Room for the payload that is compared.
    expected: Vec<u8>,
    pub counts: Counts,
}

/// What the statistics show.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub sent: u64,
    pub received: u64,
    pub lost: u64,
    pub late: u64,
    pub duplicated: u64,
    pub reordered: u64,
    pub corrupt: u64,
}

impl Counts {
    /// Neither back nor given up.
    pub fn awaited(&self) -> u64 {
        self.sent - self.received - self.lost
    }
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    at: Instant,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Its answer may still come.
    Awaited,
    /// It came back; what is like it is a duplicate.
    Back,
    /// It was not back in time.
    Lost,
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The first answer to that number, in time.
    InTime { number: u64, time: Duration },
    /// The first answer to that number, which had been given up; it stays lost.
    Late { number: u64, time: Duration },
    /// One more answer to that number.
    Duplicate { number: u64 },
    /// Nothing that was sent.
    Corrupt,
}

/// Payloads whose fate is remembered: a minute of one each millisecond, in a megabyte.
const REMEMBERED_MAX: usize = 65_536;

/// Bytes of a whole number.
const NUMBER_BYTES: usize = 8;

impl Ledger {
    /// Payloads of `size` bytes, given up after `timeout` (zero: never).
    pub fn new(size: usize, timeout: Duration) -> Self {
        Self {
            size,
            timeout,
            remembered: VecDeque::new(),
            first: 1,
            oldest: 1,
            highest: 0,
            expected: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// The next payload leaves now; puts it into `payload`.
    pub fn send(&mut self, now: Instant, payload: &mut Vec<u8>) {
        if self.remembered.len() == REMEMBERED_MAX
            && let Some(forgotten) = self.remembered.pop_front()
        {
            self.first += 1;
            self.counts.lost += u64::from(forgotten.fate == Fate::Awaited);
            self.oldest = self.oldest.max(self.first);
        }
        self.remembered.push_back(Sent {
            at: now,
            fate: Fate::Awaited,
        });
        self.counts.sent += 1;
        fill(payload, self.counts.sent, self.size);
    }

    /// When the next payload is given up; `None` where none is awaited, or for ever.
    pub fn deadline(&mut self) -> Option<Instant> {
        let oldest = self.oldest_awaited()?;
        let bounded = !self.timeout.is_zero();
        bounded.then(|| self.remembered[self.place(oldest)].at + self.timeout)
    }

    /// Gives up one payload whose time is over; call it until it says `None`.
    pub fn give_up(&mut self, now: Instant) -> Option<u64> {
        self.deadline().filter(|deadline| *deadline <= now)?;
        let place = self.place(self.oldest);
        self.remembered[place].fate = Fate::Lost;
        self.counts.lost += 1;
        Some(self.oldest)
    }

    /// Gives up all that are awaited: nothing can come any more.
    pub fn give_up_all(&mut self) {
        self.counts.lost += self.counts.awaited();
    }

    /// Says what has come back, and counts it.
    pub fn receive(&mut self, payload: &[u8], now: Instant) -> Answer {
        let answer = self.judge(payload, now);
        match answer {
            Answer::InTime { number, .. } => {
                self.counts.received += 1;
                self.counts.reordered += u64::from(number < self.highest);
                self.highest = self.highest.max(number);
            }
            Answer::Late { .. } => self.counts.late += 1,
            Answer::Duplicate { .. } => self.counts.duplicated += 1,
            Answer::Corrupt => self.counts.corrupt += 1,
        }
        if let Answer::InTime { number, .. } | Answer::Late { number, .. } = answer {
            let place = self.place(number);
            self.remembered[place].fate = Fate::Back;
        }
        answer
    }

    fn judge(&mut self, payload: &[u8], now: Instant) -> Answer {
        let Some(number) = self.number_of(payload) else {
            return Answer::Corrupt;
        };
        let mut expected = std::mem::take(&mut self.expected);
        fill(&mut expected, number, self.size);
        let is_same = expected == payload;
        self.expected = expected;
        if !is_same {
            return Answer::Corrupt;
        }
        if number < self.first {
            return Answer::Duplicate { number };
        }
        let Sent { at, fate } = self.remembered[self.place(number)];
        let time = now.saturating_duration_since(at);
        match fate {
            Fate::Awaited => Answer::InTime { number, time },
            Fate::Lost => Answer::Late { number, time },
            Fate::Back => Answer::Duplicate { number },
        }
    }

    /// Which payload it claims to be: where several look alike, the oldest that is awaited, else
    /// the newest.
    fn number_of(&mut self, payload: &[u8]) -> Option<u64> {
        if payload.len() != self.size {
            return None;
        }
        let mut bytes = [0; NUMBER_BYTES];
        let held = payload.len().min(NUMBER_BYTES);
        bytes[..held].copy_from_slice(&payload[..held]);
        let low = u64::from_le_bytes(bytes);
        if held == NUMBER_BYTES {
            return (1..=self.counts.sent).contains(&low).then_some(low);
        }
        // Numbers repeat after this many.
        let alike = 1_u64 << (8 * held);
        let newest = self.counts.sent
            - (self.counts.sent.wrapping_sub(low) & (alike - 1)).min(self.counts.sent);
        let oldest = self.oldest_awaited().unwrap_or(self.counts.sent + 1);
        let awaited = (oldest..=newest)
            .filter(|number| number & (alike - 1) == low)
            .find(|number| self.remembered[self.place(*number)].fate == Fate::Awaited);
        awaited.or((newest > 0).then_some(newest))
    }

    fn oldest_awaited(&mut self) -> Option<u64> {
        while self.oldest <= self.counts.sent {
            if self.remembered[self.place(self.oldest)].fate == Fate::Awaited {
                return Some(self.oldest);
            }
            self.oldest += 1;
        }
        None
    }

    /// Where a number that is remembered stands.
    fn place(&self, number: u64) -> usize {
        usize::try_from(number - self.first).unwrap_or(usize::MAX)
    }
}

/// The payload of a number: the number, low byte first, then a pattern that follows from it.
pub fn fill(payload: &mut Vec<u8>, number: u64, size: usize) {
    payload.clear();
    payload.extend_from_slice(&number.to_le_bytes());
    let mut state = number;
    while payload.len() < size {
        payload.extend_from_slice(&mixed(&mut state).to_le_bytes());
    }
    payload.truncate(size);
}

/// The next of a sequence in which every bit depends on the start (splitmix64).
fn mixed(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
