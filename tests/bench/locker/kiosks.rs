//! The load: kiosks that put items into lockers of their own, or into lists of Redis, one at a time.

use std::ops::Range;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::{Events, Poll, Token};

use super::ITEM;
use crate::link::{Address, PolledLink};
use crate::load::nanos;
use crate::report::Outcome;

/// Items that a locker holds.
const ITEMS_MAX: u32 = 1000;

/// A kiosk whose locker holds more registers another one before the next round.
const ITEMS_MANY: u32 = 500;

/// No answer for so long means that it will not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Events taken at once.
const EVENTS: usize = 1024;

/// What a kiosk speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// The text wire of `locker`.
    Locker,
    /// The protocol of Redis: an item is pushed to a list.
    Redis,
}

impl Wire {
    fn store(self, locker: u32) -> String {
        match self {
            Self::Locker => format!("store {locker} pw {ITEM}\n"),
            Self::Redis => {
                let key = format!("locker:{locker}");
                let (key_len, item_len) = (key.len(), ITEM.len());
                format!("*3\r\n$5\r\nRPUSH\r\n${key_len}\r\n{key}\r\n${item_len}\r\n{ITEM}\r\n")
            }
        }
    }

    /// The answer, when so many items lie there then.
    fn stored(self, items: u32) -> String {
        match self {
            Self::Locker => format!("ok {items} items\n"),
            Self::Redis => format!(":{items}\r\n"),
        }
    }
}

/// One connection and its locker.
struct Kiosk {
    wire: Wire,
    link: PolledLink,
    locker: u32,
    /// How many items lie in it.
    items: u32,
    /// When what is under way was sent.
    sent: Option<Instant>,
    /// What has come of the answer.
    answer: Vec<u8>,
}

impl Kiosk {
    fn send(&mut self, line: &str) -> Outcome<()> {
        self.link.send(line.as_bytes())?;
        self.sent = Some(Instant::now());
        Ok(())
    }

    fn store(&mut self) -> Outcome<()> {
        self.send(&self.wire.store(self.locker))
    }

    /// Reads what came; true when it is the whole answer, which must be the expected one.
    fn take(&mut self, expected: &str) -> Outcome<bool> {
        let mut bytes = [0; 256];
        match self.link.read(&mut bytes)? {
            None => return Ok(false),
            Some(0) => return Err("the server ended a connection".into()),
            Some(len) => self.answer.extend_from_slice(&bytes[..len]),
        }
        if !self.answer.ends_with(b"\n") {
            return Ok(false);
        }
        match self.answer == expected.as_bytes() {
            true => self.answer.clear(),
            false => {
                let answer = self.answer.escape_ascii();
                return Err(format!("{answer} came instead of {expected:?}").into());
            }
        }
        Ok(true)
    }

    /// Takes the answer to a store; gives how long it took.
    fn stored(&mut self) -> Outcome<Option<Duration>> {
        if self.sent.is_none() || !self.take(&self.wire.stored(self.items + 1))? {
            return Ok(None);
        }
        self.items += 1;
        Ok(self.sent.take().map(|sent| sent.elapsed()))
    }
}

/// All of a load.
pub struct Kiosks {
    poll: Poll,
    events: Events,
    kiosks: Vec<Kiosk>,
    /// Lockers that nobody has registered.
    free: Range<u32>,
}

impl Kiosks {
    /// Connects so many, of a server that has so many lockers.
    pub fn connect(wire: Wire, address: &Address, count: usize, lockers: u32) -> Outcome<Self> {
        let poll = Poll::new()?;
        let mut kiosks = Vec::with_capacity(count);
        for number in 0..count {
            let link = address.connect()?;
            kiosks.push(Kiosk {
                wire,
                link: link.register(poll.registry(), Token(number))?,
                locker: 0,
                items: ITEMS_MAX,
                sent: None,
                answer: Vec::new(),
            });
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            kiosks,
            free: 0..lockers,
        })
    }

    /// Sees that each has a locker with room. One after the other: a line for the hashing of
    /// passwords takes few of one source.
    pub fn register(&mut self) -> Outcome<()> {
        for number in 0..self.kiosks.len() {
            let kiosk = &mut self.kiosks[number];
            if kiosk.items <= ITEMS_MANY {
                continue;
            }
            let Some(locker) = self.free.next() else {
                return Err("there are too few lockers".into());
            };
            (kiosk.locker, kiosk.items) = (locker, 0);
            if kiosk.wire == Wire::Redis {
                // A list is there once something is pushed to it.
                continue;
            }
            kiosk.send(&format!("register {locker} pw\n"))?;
            let expected = format!("ok locker {locker} is yours\n");
            loop {
                self.wait()?;
                let kiosk = &mut self.kiosks[number];
                if kiosk.take(&expected)? {
                    kiosk.sent = None;
                    break;
                }
            }
        }
        Ok(())
    }

    /// Keeps all busy for so long, or until a locker is full; gives the number of answers.
    pub fn drive(
        &mut self,
        length: Duration,
        mut latency: Option<&mut Histogram<u64>>,
    ) -> Outcome<u64> {
        let start = Instant::now();
        let mut done = 0;
        let mut full = false;
        for kiosk in self.kiosks.iter_mut().filter(|kiosk| kiosk.sent.is_none()) {
            kiosk.store()?;
        }
        while start.elapsed() < length && !full {
            self.wait()?;
            for event in &self.events {
                let kiosk = &mut self.kiosks[event.token().0];
                let Some(took) = kiosk.stored()? else {
                    continue;
                };
                if let Some(latency) = latency.as_deref_mut() {
                    latency.saturating_record(nanos(took));
                }
                done += 1;
                match kiosk.items < ITEMS_MAX {
                    true => kiosk.store()?,
                    false => full = true,
                }
            }
        }
        Ok(done)
    }

    /// Waits for all answers, so that no round leaves work to the next; gives their number.
    pub fn finish(&mut self) -> Outcome<u64> {
        let mut done = 0;
        while self.kiosks.iter().any(|kiosk| kiosk.sent.is_some()) {
            self.wait()?;
            for event in &self.events {
                done += u64::from(self.kiosks[event.token().0].stored()?.is_some());
            }
        }
        Ok(done)
    }

    fn wait(&mut self) -> Outcome<()> {
        self.poll.poll(&mut self.events, Some(PATIENCE))?;
        match self.events.is_empty() {
            true => Err("no answer came for twenty seconds".into()),
            false => Ok(()),
        }
    }
}
