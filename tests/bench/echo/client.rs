//! The load of an echo: connections that stay, what is said on them, and when the next is sent.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::{Events, Poll, Token};

use crate::link::{Address, PolledLink};
use crate::load::nanos;
use crate::report::Outcome;
use crate::server::Kind;

/// A message, and what is asked of the servers that have no echo.
const MESSAGE_BYTES: usize = 64;

/// No answer for so long means that it will not come.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is sent and what has to come back.
pub struct Exchange {
    request: Vec<u8>,
    reply: Vec<u8>,
    /// Said once before all others, with its answer; both may be empty.
    before: (Vec<u8>, Vec<u8>),
}

impl Exchange {
    /// What is nearest to an echo of 64 bytes that this server does.
    pub fn with(kind: Kind) -> Self {
        let text = |len: usize| -> String { (b'!'..).take(len).map(char::from).collect() };
        let (request, reply, before) = match kind {
            Kind::Redis => {
                // With its frame that is 64 bytes; what comes back has a smaller frame.
                let payload = text(43);
                let request = format!("*2\r\n$4\r\nPING\r\n$43\r\n{payload}\r\n");
                (request, format!("$43\r\n{payload}\r\n"), Default::default())
            }
            Kind::Memcached | Kind::MemcachedUnix => {
                // A key and a value so long that request and answer have 64 bytes each.
                let (key, value) = (text(57), text(55));
                let before = (format!("ms {key} 55\r\n{value}\r\n"), "HD\r\n".to_owned());
                (
                    format!("mg {key} v\r\n"),
                    format!("VA 55\r\n{value}\r\n"),
                    before,
                )
            }
            _ => (text(MESSAGE_BYTES), text(MESSAGE_BYTES), Default::default()),
        };
        debug_assert_eq!(request.len(), MESSAGE_BYTES, "all requests have one size");
        Self {
            request: request.into(),
            reply: reply.into(),
            before: (before.0.into(), before.1.into()),
        }
    }

    fn prepare(&self, address: &Address) -> Outcome<()> {
        let (request, reply) = &self.before;
        if request.is_empty() {
            return Ok(());
        }
        let mut link = address.connect()?;
        link.write_all(request)?;
        let mut said = vec![0; reply.len()];
        link.read_exact(&mut said)?;
        match said == *reply {
            true => Ok(()),
            false => Err(format!("it says {}", said.escape_ascii()).into()),
        }
    }
}

/// When a connection sends again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// When its own answer is back, however many are under way on others.
    Each,
    /// When all answers of all connections are back: all send then.
    Together,
    /// When the answer of the connection before is back: one message is under way in all.
    InTurn,
}

/// How many connections do what.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub connections: usize,
    /// Messages under way on each.
    pub depth: usize,
    pub pace: Pace,
    /// Asks its poller again and again and never sleeps, so that nobody has to wake it.
    pub awake: bool,
}

impl Shape {
    /// Sleeps while nothing is back, as a client usually does, and sends again at once.
    pub const fn usual(connections: usize, depth: usize) -> Self {
        Self {
            connections,
            depth,
            pace: Pace::Each,
            awake: false,
        }
    }
}

/// One connection and what is under way on it.
struct Client {
    link: PolledLink,
    /// When each message under way was sent, oldest first.
    sent: VecDeque<Instant>,
    /// Bytes of the oldest answer that have come.
    returned: usize,
}

/// All connections of a round.
pub struct Load {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    shape: Shape,
    /// Requests and answers, one after the other, as many as are ever sent or read at once.
    requests: Vec<u8>,
    replies: Vec<u8>,
    exchange: Exchange,
    inbox: Vec<u8>,
    /// Answers since all were sent together.
    back: usize,
}

impl Load {
    /// Connects and sends the first messages of an echo.
    pub fn new(address: &Address, connections: usize, depth: usize) -> Outcome<Self> {
        let exchange = Exchange::with(Kind::Switchboard);
        Self::of(address, Shape::usual(connections, depth), exchange)
    }

    /// Connects and sends the first messages.
    pub fn of(address: &Address, shape: Shape, exchange: Exchange) -> Outcome<Self> {
        exchange.prepare(address)?;
        let poll = Poll::new()?;
        let mut clients = Vec::new();
        for number in 0..shape.connections {
            let link = address.connect()?;
            clients.push(Client {
                link: link.register(poll.registry(), Token(number))?,
                sent: VecDeque::with_capacity(shape.depth),
                returned: 0,
            });
        }
        let mut load = Self {
            poll,
            events: Events::with_capacity(shape.connections),
            clients,
            shape,
            requests: exchange.request.repeat(shape.depth),
            // One more, so that what comes back may begin within an answer.
            replies: exchange.reply.repeat(shape.depth + 1),
            // A read that doesn't fill this has taken all there was.
            inbox: vec![0; shape.depth * exchange.reply.len() + 1],
            exchange,
            back: 0,
        };
        load.resume()?;
        Ok(load)
    }

    /// Sends the first messages again, after a [`Load::pause`].
    pub fn resume(&mut self) -> Outcome<()> {
        let (first, depth) = match self.shape.pace {
            Pace::InTurn => (1, 1),
            Pace::Each | Pace::Together => (self.clients.len(), self.shape.depth),
        };
        let requests = &self.requests[..depth * self.exchange.request.len()];
        self.clients[..first]
            .iter_mut()
            .try_for_each(|client| client.send(requests, depth, Instant::now()))
    }

    /// Keeps every connection busy for so long, and until so many messages came back; returns how many
    /// that were.
    pub fn drive_for(
        &mut self,
        length: Duration,
        least: u64,
        latency: Option<&mut Histogram<u64>>,
    ) -> Outcome<u64> {
        let start = Instant::now();
        self.drive(|done| done < least || start.elapsed() < length, latency)
    }

    /// Keeps every connection busy while `more`, which is told how many messages have come back;
    /// returns how many that were in the end.
    pub fn drive(
        &mut self,
        more: impl Fn(u64) -> bool,
        mut latency: Option<&mut Histogram<u64>>,
    ) -> Outcome<u64> {
        let mut done = 0;
        let request_len = self.exchange.request.len();
        while more(done) {
            self.wait()?;
            for event in &self.events {
                let number = event.token().0;
                let client = &mut self.clients[number];
                let returned = client.take(&mut self.inbox, &self.replies, &self.exchange)?;
                let now = Instant::now();
                for sent in client.sent.drain(..returned) {
                    if let Some(latency) = latency.as_deref_mut() {
                        latency.saturating_record(nanos(now - sent));
                    }
                }
                let requests = &self.requests[..returned * request_len];
                match self.shape.pace {
                    Pace::Each => client.send(requests, returned, now)?,
                    Pace::Together => self.back += returned,
                    Pace::InTurn => {
                        let next = (number + 1) % self.clients.len();
                        self.clients[next].send(requests, returned, now)?;
                    }
                }
                done += returned as u64;
            }
            if self.back > 0 && self.back == self.clients.len() * self.shape.depth {
                self.back = 0;
                self.resume()?;
            }
        }
        Ok(done)
    }

    /// Waits until everything is back, so that nothing is left to what comes next; how many that were.
    pub fn pause(&mut self) -> Outcome<u64> {
        let mut done = 0;
        while self.clients.iter().any(|client| !client.sent.is_empty()) {
            self.wait()?;
            for event in &self.events {
                let client = &mut self.clients[event.token().0];
                let returned = client.take(&mut self.inbox, &self.replies, &self.exchange)?;
                client.sent.drain(..returned);
                done += returned as u64;
            }
        }
        self.back = 0;
        Ok(done)
    }

    fn wait(&mut self) -> Outcome<()> {
        let timeout = match self.shape.awake {
            true => Duration::ZERO,
            false => PATIENCE,
        };
        let start = Instant::now();
        loop {
            self.poll.poll(&mut self.events, Some(timeout))?;
            if !self.events.is_empty() {
                return Ok(());
            }
            if start.elapsed() >= PATIENCE {
                return Err("no message came back for ten seconds".into());
            }
        }
    }
}

impl Client {
    fn send(&mut self, requests: &[u8], count: usize, now: Instant) -> Outcome<()> {
        if count > 0 {
            self.sent.extend(std::iter::repeat_n(now, count));
            self.link.send(requests)?;
        }
        Ok(())
    }

    /// Reads and checks what came; returns how many answers are whole by that.
    fn take(&mut self, inbox: &mut [u8], replies: &[u8], exchange: &Exchange) -> Outcome<usize> {
        let len = match self.link.read(inbox)? {
            None => return Ok(0),
            Some(0) => return Err("the server ended a connection".into()),
            Some(len) if len == inbox.len() => return Err("more came back than was sent".into()),
            Some(len) => len,
        };
        if inbox[..len] != replies[self.returned..][..len] {
            let said = inbox[..len].escape_ascii();
            return Err(format!("the answer is not what was expected: {said}").into());
        }
        let bytes = self.returned + len;
        self.returned = bytes % exchange.reply.len();
        Ok(bytes / exchange.reply.len())
    }
}
