//! `echo` with numbers and times, as ping has: payloads out at an interval, each answer checked.
//!
//! One loop around poll(2) over the server, standard output and Ctrl-C. Over a stream an answer
//! is the next so many bytes; over datagrams it is one datagram. [`Ledger`] says what it is.

mod ledger;
mod times;

use std::fmt::Write as _;
use std::io;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use self::ledger::{Answer, Ledger};
use self::times::{Times, ms};
use super::dialog::Pending;
use super::interrupt::Interrupt;
use super::output::{self, Written};
use super::{Failure, Server, written};
use crate::config::endpoint::Endpoint;
use crate::exit::words;

/// What is sent, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping {
    /// Payloads in all; `None` until Ctrl-C.
    pub count: Option<u64>,
    /// Bytes of a payload, at most [`Ping::SIZE_MAX`]; over a stream at least 1.
    pub size: usize,
    /// From one payload to the next; zero is as soon as the answer is back, or given up.
    pub interval: Duration,
}

impl Ping {
    /// What a datagram holds over IPv4: 65,535 bytes less the headers of IP and UDP.
    pub const SIZE_MAX: usize = 65_507;
}

/// Sends payloads, prints a line for each answer, and the statistics after the last or Ctrl-C.
///
/// [`Failure::Lost`] where an answer did not come within `timeout` or was not what was sent, and
/// where the connection was refused or lost; the statistics are printed all the same.
pub fn ping(endpoint: &Endpoint, ping: &Ping, timeout: Duration) -> Result<(), Failure> {
    if ping.size == 0 && !matches!(endpoint, Endpoint::Udp(_)) {
        let problem = "--size 0 is for datagrams: a stream shows no empty message";
        return Err(Failure::Usage(format!("{endpoint}: {problem}")));
    }
    let server = Server::dial_any(endpoint, timeout)?;
    let interrupt = Interrupt::install()
        .map_err(|error| Failure::Lost(format!("SIGINT: {}", words(&error))))?;
    let mut run = Run {
        server,
        ping: *ping,
        interrupt,
        ledger: Ledger::new(ping.size, timeout),
        times: Times::new(),
        payload: Vec::new(),
        start: None,
        next: None,
        heard: Vec::new(),
        print: Pending::default(),
        buffer: vec![0; READ_BYTES],
    };
    let over = loop {
        if let Some(over) = run.turn()? {
            break over;
        }
    };
    run.finish(&over)
}

/// Bytes taken by one read: more than any datagram has.
const READ_BYTES: usize = 64 * 1024;

/// Lines that standard output has not taken; above it nothing is sent or read.
const PRINT_BYTES_MAX: usize = 64 * 1024;

/// Answers taken in one turn, so that a flood of them does not hold up a payload that is due.
const ANSWERS_PER_TURN: usize = 64;

/// Why it ended.
enum Over {
    /// All are back or given up.
    Counted,
    /// Ctrl-C.
    Interrupted,
    /// Nobody reads standard output any more.
    OutputClosed,
    /// The server ended the connection, refused it, or broke it, in words.
    Server(String),
}

struct Run {
    server: Server,
    ping: Ping,
    interrupt: Interrupt,
    ledger: Ledger,
    times: Times,
    payload: Vec<u8>,
    /// How much of the payload is sent; `None` where all of it is.
    start: Option<usize>,
    /// When the next payload is due; `None` is at once.
    next: Option<Instant>,
    /// The beginning of an answer over a stream.
    heard: Vec<u8>,
    print: Pending,
    buffer: Vec<u8>,
}

impl Run {
    /// Sends what is due, waits until something has happened, and deals with it.
    fn turn(&mut self) -> Result<Option<Over>, Failure> {
        self.give_up();
        if self.is_counted() {
            return Ok(Some(Over::Counted));
        }
        if self.is_due() {
            self.ledger.send(Instant::now(), &mut self.payload);
            self.next = self.next_due();
            self.start = Some(0);
            if let Err(errno) = self.send_some() {
                return Ok(self.refused(errno));
            }
        }
        let Some([output, interrupt, server]) = self.wait()? else {
            return Ok(None);
        };
        if !interrupt.is_empty() {
            return Ok(Some(Over::Interrupted));
        }
        if !output.is_empty() && !self.print_some(output)? {
            return Ok(Some(Over::OutputClosed));
        }
        if server.is_empty() {
            return Ok(None);
        }
        match self.hear().and_then(|()| self.send_some()) {
            // What had come before the end may have been the last that was wanted.
            Err(errno) if !self.is_counted() => Ok(self.refused(errno)),
            _ => Ok(None),
        }
    }

    /// All that are to be sent are sent, and each is back or given up.
    fn is_counted(&self) -> bool {
        let counts = &self.ledger.counts;
        self.ping.count == Some(counts.sent) && counts.awaited() == 0 && self.start.is_none()
    }

    /// Whether another payload may leave, be it now or later.
    fn may_send(&self) -> bool {
        let counts = &self.ledger.counts;
        let is_free = !self.ping.interval.is_zero() || counts.awaited() == 0;
        let is_open = self.ping.count.is_none_or(|count| counts.sent < count);
        is_open && is_free && self.start.is_none() && self.has_room()
    }

    fn is_due(&self) -> bool {
        self.may_send() && self.next.is_none_or(|next| next <= Instant::now())
    }

    /// An interval behind the one before; where that has passed already, one from now.
    fn next_due(&self) -> Option<Instant> {
        let interval = self.ping.interval;
        let now = Instant::now();
        let next = self.next.unwrap_or(now) + interval;
        (!interval.is_zero()).then_some(if next > now { next } else { now + interval })
    }

    fn has_room(&self) -> bool {
        self.print.rest().len() < PRINT_BYTES_MAX
    }

    fn give_up(&mut self) {
        while let Some(number) = self.ledger.give_up(Instant::now()) {
            let (endpoint, time) = (self.server.endpoint(), written(self.server.timeout()));
            let line = format!("no answer from {endpoint}: seq={number} within {time}\n");
            self.print.bytes.extend_from_slice(line.as_bytes());
        }
    }

    /// What poll(2) says of standard output, Ctrl-C and the server; `None` where a signal came
    /// between.
    fn wait(&mut self) -> Result<Option<[PollFlags; 3]>, Failure> {
        let due = self.may_send().then_some(self.next).flatten();
        let deadline = [due, self.ledger.deadline()].into_iter().flatten().min();
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let stdout = io::stdout();
        // No flags still report that its reader has gone.
        let mut output = PollFlags::empty();
        output.set(PollFlags::OUT, !self.print.is_empty());
        let mut server = PollFlags::empty();
        server.set(PollFlags::IN, self.has_room());
        server.set(PollFlags::OUT, self.start.is_some());
        let mut watched = vec![
            PollFd::new(&stdout, output),
            PollFd::new(&self.interrupt, PollFlags::IN),
        ];
        if !server.is_empty() {
            watched.push(PollFd::new(&self.server, server));
        }
        match poll(&mut watched, timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(None),
            Err(errno) => return Err(Failure::Lost(format!("poll: {}", words(&errno.into())))),
        }
        let told = |at: usize| watched.get(at).map_or(PollFlags::empty(), PollFd::revents);
        Ok(Some([told(0), told(1), told(2)]))
    }

    /// False where nobody reads it any more.
    fn print_some(&mut self, ready: PollFlags) -> Result<bool, Failure> {
        if self.print.is_empty() {
            return Ok(!ready.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL));
        }
        match output::write_some(self.print.rest())? {
            Written::Taken(taken) => self.print.take(taken),
            Written::Closed => return Ok(false),
        }
        Ok(true)
    }

    fn send_some(&mut self) -> Result<(), Errno> {
        let Some(start) = self.start else {
            return Ok(());
        };
        let rest = &self.payload[start..];
        match rustix::net::send(&self.server, rest, SendFlags::NOSIGNAL) {
            Ok(taken) => {
                self.start = (taken < rest.len()).then_some(start + taken);
                Ok(())
            }
            Err(Errno::AGAIN | Errno::INTR | Errno::NOBUFS) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Takes what has come. The end of a stream is the error NOTCONN.
    fn hear(&mut self) -> Result<(), Errno> {
        for _ in 0..ANSWERS_PER_TURN {
            if !self.has_room() {
                break;
            }
            let count =
                match rustix::net::recv(&self.server, &mut self.buffer[..], RecvFlags::empty()) {
                    Ok((_, count)) => count,
                    Err(Errno::AGAIN | Errno::INTR) => break,
                    Err(errno) => return Err(errno),
                };
            let now = Instant::now();
            if self.server.is_datagram() {
                let datagram = std::mem::take(&mut self.buffer);
                self.answer(&datagram[..count], now);
                self.buffer = datagram;
                continue;
            }
            if count == 0 {
                return Err(Errno::NOTCONN);
            }
            self.heard.extend_from_slice(&self.buffer[..count]);
            let heard = std::mem::take(&mut self.heard);
            let answers = heard.chunks_exact(self.ping.size);
            self.heard = answers.remainder().to_vec();
            answers.for_each(|answer| self.answer(answer, now));
        }
        Ok(())
    }

    /// One answer: judged, counted, and a line about it.
    fn answer(&mut self, payload: &[u8], now: Instant) {
        let answer = self.ledger.receive(payload, now);
        let said = match answer {
            Answer::InTime { number, time } => {
                self.times.add(time);
                format!("seq={number} time={} ms", ms(time))
            }
            Answer::Late { number, time } => format!("seq={number} time={} ms, too late", ms(time)),
            Answer::Duplicate { number } => format!("seq={number} once more"),
            Answer::Corrupt => "not what was sent".to_owned(),
        };
        let (len, endpoint) = (payload.len(), self.server.endpoint());
        let line = format!("{len} bytes from {endpoint}: {said}\n");
        self.print.bytes.extend_from_slice(line.as_bytes());
    }

    /// The end, unless a name has another address for the first payload, which nobody has taken.
    fn refused(&mut self, errno: Errno) -> Option<Over> {
        let is_first = self.ledger.counts.sent == 1 && self.ledger.counts.awaited() == 1;
        if errno == Errno::CONNREFUSED && is_first && self.server.dial_next() {
            self.start = Some(0);
            return None;
        }
        let why = match errno {
            Errno::NOTCONN => "the server ended the connection".to_owned(),
            _ => words(&errno.into()),
        };
        Some(Over::Server(why))
    }

    /// The statistics, and what they mean for the exit status.
    fn finish(mut self, over: &Over) -> Result<(), Failure> {
        if matches!(over, Over::OutputClosed) {
            return Ok(());
        }
        if matches!(over, Over::Server(_)) {
            self.ledger.give_up_all();
        }
        let text = self.statistics();
        self.print.bytes.extend_from_slice(text.as_bytes());
        output::write_all(self.print.rest())?;
        if let Over::Server(why) = over {
            return Err(self.server.lost(why));
        }
        let counts = self.ledger.counts;
        let sent = counts.sent;
        match (counts.lost, counts.corrupt, counts.received) {
            (0, 0, 0) => Err(self.server.lost("no answer came")),
            (0, 0, _) => Ok(()),
            (0, corrupt, _) => Err(self
                .server
                .lost(format_args!("{corrupt} answers were not what was sent"))),
            (lost, _, _) => Err(self
                .server
                .lost(format_args!("{lost} of {sent} did not come back"))),
        }
    }

    fn statistics(&self) -> String {
        let counts = self.ledger.counts;
        // In tenths, rounded to the nearest; nothing sent is nothing lost.
        let tenths = (u128::from(counts.lost) * 1000 + u128::from(counts.sent / 2))
            .checked_div(u128::from(counts.sent))
            .unwrap_or(0);
        let (endpoint, awaited) = (self.server.endpoint(), counts.awaited());
        let mut text = format!(
            "--- {endpoint} ---\n{} sent, {} received, {} lost ({}.{}%)",
            counts.sent,
            counts.received,
            counts.lost,
            tenths / 10,
            tenths % 10
        );
        if awaited > 0 {
            // Writing to a String does not fail.
            let _ = write!(text, ", {awaited} awaited");
        }
        let _ = write!(
            text,
            "\n{} late, {} duplicated, {} reordered, {} corrupt\n",
            counts.late, counts.duplicated, counts.reordered, counts.corrupt
        );
        if let Some(summary) = self.times.summary() {
            let _ = writeln!(text, "time min/avg/max/p99 = {summary}");
        }
        text
    }
}
