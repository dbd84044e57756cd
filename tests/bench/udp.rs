//! Datagrams: an echo of them, so many under way, beside a plain loop of recvfrom and sendto.

use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Result as IoResult};
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

use crate::calls::{Failure, Strace, which};
use crate::link::Transport;
use crate::load::{ROUND_LENGTH, ROUNDS, Round, add_rows, in_turns, latencies, nanos, table};
use crate::report::{Outcome, Report, Table};
use crate::server::{Kind, Server};

pub const ABOUT: &str = "\
One socket keeps 32 or 64 datagrams of 64 or 1,400 bytes under way; the load takes and sends many
with one call, so that it is the server that is measured. Each datagram has a number, and what
does not come back within two seconds is lost. System calls are counted by `strace -f -c` in
the server, with 64 under way and with one.";

const KINDS: [Kind; 2] = [Kind::Switchboard, Kind::Datagrams];
const SIZES: [usize; 2] = [64, 1_400];
const WINDOWS: [usize; 2] = [64, 32];

/// The window with which nothing may be lost.
const SAFE_WINDOW: usize = 32;

/// Before a round counts.
const WARM_UP: Duration = Duration::from_millis(50);

/// What has not come back by then is lost.
const PATIENCE: Duration = Duration::from_secs(2);

/// A datagram begins with its number.
const NUMBER_BYTES: usize = 8;

/// What switchboard promises for one at a time: a wait, and a call each way.
const CALLS_MAX: f64 = 3.05;

/// How many datagrams one server was sent with the safe window, and how many of them it lost.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    sent: u64,
    lost: u64,
}

pub fn run(report: &mut Report) -> Outcome<()> {
    let rounds = report.pick(ROUNDS, 1);
    let mut table = table("datagram");
    let (mut safe, mut wide) = (Tally::default(), Tally::default());
    for size in SIZES {
        for window in WINDOWS {
            let all = in_turns(&KINDS, rounds, |server| {
                let (round, tally) = round(server, size, window)?;
                if server.kind == Kind::Switchboard {
                    let total = match window {
                        SAFE_WINDOW => &mut safe,
                        _ => &mut wide,
                    };
                    total.sent += tally.sent;
                    total.lost += tally.lost;
                }
                Ok(round)
            })?;
            add_rows(&mut table, &format!("{size} B, {window} under way"), &all);
        }
    }
    println!("{table}");
    for (tally, window) in [(wide, WINDOWS[0]), (safe, SAFE_WINDOW)] {
        let Tally { sent, lost } = tally;
        let promise = format!("{lost} of {sent} datagrams lost with {window} under way");
        match window {
            SAFE_WINDOW => report.check(lost == 0, &promise),
            _ => println!("- {promise}"),
        }
    }
    println!();
    count_calls(report)
}

fn round(server: &Server, size: usize, window: usize) -> Outcome<(Round, Tally)> {
    let mut load = Load::new(server, size, window)?;
    load.drive(WARM_UP, None)?;
    let mut latency = latencies()?;
    let cpu = server.cpu_time()?;
    let start = Instant::now();
    let done = load.drive(ROUND_LENGTH, Some(&mut latency))?;
    let elapsed = start.elapsed();
    let cpu = server.cpu_time()?.saturating_sub(cpu);
    load.finish()?;
    let round = Round {
        done,
        elapsed,
        cpu,
        latency,
    };
    let tally = Tally {
        sent: load.next,
        lost: load.lost,
    };
    Ok((round, tally))
}

fn count_calls(report: &mut Report) -> Outcome<()> {
    let datagrams = report.pick(20_000, 2_000);
    let mut table = Table::new(&["load", "server", "calls/datagram", "which"]);
    let mut alone = 0.0;
    for window in [WINDOWS[0], 1] {
        for kind in KINDS {
            let server = Server::start(kind).map_err(|error| format!("{kind}: {error}"))?;
            let calls = match count(&server, window, datagrams) {
                Ok(calls) => calls,
                Err(Failure::Strace(why)) => {
                    println!("Not counted: strace can't watch the server here ({why}).");
                    return Ok(());
                }
                Err(Failure::Load(error)) => return Err(format!("{kind}: {error}").into()),
            };
            let total: u64 = calls.iter().map(|(_, calls)| calls).sum();
            let total = total as f64 / datagrams as f64;
            table.row(vec![
                format!("{} B, {window} under way", SIZES[0]),
                kind.to_string(),
                format!("{total:.3}"),
                which(&calls, datagrams as f64),
            ]);
            if kind == Kind::Switchboard && window == 1 {
                alone = total;
            }
        }
    }
    println!("{table}");
    let promise = format!("{alone:.3} system calls per datagram alone, at most {CALLS_MAX}");
    report.check(alone <= CALLS_MAX, &promise);
    Ok(())
}

/// Calls by name while so many datagrams come back.
fn count(
    server: &Server,
    window: usize,
    datagrams: u64,
) -> std::result::Result<Vec<(String, u64)>, Failure> {
    let mut load = Load::new(server, SIZES[0], window).map_err(Failure::Load)?;
    load.top_up().map_err(Failure::Load)?;
    load.finish().map_err(Failure::Load)?;
    let strace = Strace::attach(server.pid()).map_err(Failure::Strace)?;
    let mut done = 0;
    while done < datagrams {
        load.top_up().map_err(Failure::Load)?;
        done += load.take(None).map_err(Failure::Load)?;
    }
    load.finish().map_err(Failure::Load)?;
    strace.detach().map_err(Failure::Strace)
}

/// One client with a window.
struct Load {
    socket: UdpSocket,
    size: usize,
    window: usize,
    /// The number of the next datagram; all before `back` are back or lost.
    next: u64,
    back: u64,
    lost: u64,
    /// When each was sent, by its number modulo the window.
    sent: Vec<Instant>,
    outbox: Vec<u8>,
    inbox: Vec<u8>,
}

impl Load {
    fn new(server: &Server, size: usize, window: usize) -> IoResult<Self> {
        let address = server.address("echo", Transport::Udp)?;
        let socket = address.datagrams()?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            socket,
            size,
            window,
            next: 0,
            back: 0,
            lost: 0,
            sent: vec![Instant::now(); window],
            outbox: vec![b'm'; window * size],
            // One byte more for each, which none may fill.
            inbox: vec![0; window * (size + 1)],
        })
    }

    /// Keeps the window full for so long; returns how many came back.
    fn drive(
        &mut self,
        length: Duration,
        mut latency: Option<&mut Histogram<u64>>,
    ) -> IoResult<u64> {
        let start = Instant::now();
        let mut done = 0;
        while start.elapsed() < length {
            self.top_up()?;
            done += self.take(latency.as_deref_mut())?;
        }
        Ok(done)
    }

    /// Waits until all are back or lost, so that no round leaves work to the next.
    fn finish(&mut self) -> IoResult<()> {
        while self.back < self.next {
            self.take(None)?;
        }
        Ok(())
    }

    /// Sends as many as the window has room for.
    fn top_up(&mut self) -> IoResult<()> {
        let room = self.window - (self.next - self.back) as usize;
        let now = Instant::now();
        for (datagram, number) in self
            .outbox
            .chunks_mut(self.size)
            .zip(self.next..)
            .take(room)
        {
            datagram[..NUMBER_BYTES].copy_from_slice(&number.to_le_bytes());
            self.sent[(number % self.window as u64) as usize] = now;
        }
        let datagrams = self.outbox.chunks(self.size).take(room);
        let slices: Vec<_> = datagrams.map(|bytes| [IoSlice::new(bytes)]).collect();
        let nowhere: Vec<Option<SockaddrStorage>> = vec![None; room];
        let mut from = 0;
        while from < room {
            let mut headers = MultiHeaders::preallocate(room - from, None);
            from += sendmmsg(
                self.socket.as_raw_fd(),
                &mut headers,
                &slices[from..],
                &nowhere[from..],
                [],
                MsgFlags::empty(),
            )?
            .count();
        }
        self.next += room as u64;
        Ok(())
    }

    /// Waits for one and takes all that are there; returns how many.
    fn take(&mut self, mut latency: Option<&mut Histogram<u64>>) -> IoResult<u64> {
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(self.window, None);
        let mut slices: Vec<_> = self
            .inbox
            .chunks_mut(self.size + 1)
            .map(|place| [IoSliceMut::new(place)])
            .collect();
        let flags = MsgFlags::MSG_WAITFORONE;
        let fd = self.socket.as_raw_fd();
        let lengths: Vec<usize> = match recvmmsg(fd, &mut headers, slices.iter_mut(), flags, None) {
            Ok(messages) => messages.map(|message| message.bytes).collect(),
            Err(Errno::EAGAIN) => {
                self.lost += self.next - self.back;
                self.back = self.next;
                return Ok(0);
            }
            Err(errno) => return Err(errno.into()),
        };
        let now = Instant::now();
        for (datagram, len) in self.inbox.chunks(self.size + 1).zip(&lengths) {
            let number = number(&datagram[..*len], self.size)?;
            // One path, so they come in order: what is passed over is lost.
            if !(self.back..self.next).contains(&number) {
                return Err(Error::new(
                    ErrorKind::InvalidData,
                    "it came back out of order",
                ));
            }
            self.lost += number - self.back;
            self.back = number + 1;
            if let Some(latency) = latency.as_deref_mut() {
                let sent = self.sent[(number % self.window as u64) as usize];
                latency.saturating_record(nanos(now - sent));
            }
        }
        Ok(lengths.len() as u64)
    }
}

/// The number of a datagram that came back as it was sent.
fn number(datagram: &[u8], size: usize) -> IoResult<u64> {
    match datagram.split_first_chunk::<NUMBER_BYTES>() {
        Some((number, rest)) if datagram.len() == size && rest.iter().all(|byte| *byte == b'm') => {
            Ok(u64::from_le_bytes(*number))
        }
        _ => Err(Error::new(
            ErrorKind::InvalidData,
            "the echo differs from what was sent",
        )),
    }
}
