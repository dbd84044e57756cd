//! The load: clients that fetch the end of one file, or store one.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::NAME;
use crate::link::{Link, PolledLink, Transport};
use crate::machine::cpu_time;
use crate::report::Outcome;
use crate::server::{Kind, Server};

/// Read with one call: large, so that the load costs little beside the server.
const READ_BYTES: usize = 1 << 20;

/// The head of an answer.
const HEAD_BYTES_MAX: usize = 1024;

/// Nothing for so long means that nothing will come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What one pass came to.
pub struct Pass {
    pub bytes: u64,
    pub elapsed: Duration,
    /// Processor time of the server, all its threads.
    pub server: Duration,
    /// Processor time of the load.
    pub load: Duration,
}

impl Pass {
    /// 10^9 bytes a second.
    pub fn rate(&self) -> f64 {
        self.bytes as f64 / 1e9 / self.elapsed.as_secs_f64()
    }

    /// Seconds of the server's processor time for 10^9 bytes.
    pub fn server_cpu(&self) -> f64 {
        self.server.as_secs_f64() / (self.bytes as f64 / 1e9)
    }

    /// The same of the load's.
    pub fn load_cpu(&self) -> f64 {
        self.load.as_secs_f64() / (self.bytes as f64 / 1e9)
    }
}

/// What is fetched, and how.
#[derive(Clone, Copy)]
pub struct Load {
    pub transport: Transport,
    pub connections: usize,
    /// The first byte that each fetches; all that follow come too.
    pub from: u64,
    pub size: u64,
    /// What comes is thrown away by the kernel.
    pub discard: bool,
}

/// Runs something that moves so many bytes, and takes the times.
fn timed(server: &Server, run: impl FnOnce() -> Outcome<u64>) -> Outcome<Pass> {
    let own = std::process::id();
    let (cpu, load, start) = (server.cpu_time()?, cpu_time(own)?, Instant::now());
    let bytes = run()?;
    Ok(Pass {
        bytes,
        elapsed: start.elapsed(),
        server: server.cpu_time()?.saturating_sub(cpu),
        load: cpu_time(own)?.saturating_sub(load),
    })
}

/// One pass: all connect, ask, and have all that they asked for.
pub fn fetch(server: &Server, load: Load) -> Outcome<Pass> {
    let address = server.address("files", load.transport)?;
    let links: Result<Vec<_>, _> = (0..load.connections).map(|_| address.connect()).collect();
    let links = links?;
    let each = load.size - load.from;
    timed(server, || {
        let poll = Poll::new()?;
        let mut clients = Vec::new();
        for (number, mut link) in links.into_iter().enumerate() {
            ask(server.kind, &mut link, load.from, each)?;
            let link = link.register(poll.registry(), Token(number))?;
            clients.push(Client {
                link,
                missing: each,
                ready: false,
            });
        }
        drain(poll, clients, load.discard)?;
        Ok(each * load.connections as u64)
    })
}

/// Asks for the file from there on, and reads the head of the answer.
fn ask(kind: Kind, link: &mut Link, from: u64, expected: u64) -> Outcome<()> {
    let (request, end) = match kind {
        Kind::Nginx => (
            format!("GET /{NAME} HTTP/1.1\r\nHost: bench\r\nRange: bytes={from}-\r\n\r\n"),
            &b"\r\n\r\n"[..],
        ),
        _ => (format!("get {NAME} {from}\n"), &b"\n"[..]),
    };
    link.write_all(request.as_bytes())?;
    let head = head(link, end)?;
    let count = match kind {
        Kind::Nginx => head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: ")),
        _ => head
            .strip_prefix("ok ")
            .and_then(|rest| rest.split(' ').next()),
    };
    match count.and_then(|count| count.parse().ok()) == Some(expected) {
        true => Ok(()),
        false => Err(format!("an unexpected answer: {head:?}").into()),
    }
}

/// Reads up to there and no further.
fn head(link: &mut Link, end: &[u8]) -> Outcome<String> {
    let mut head = Vec::new();
    while !head.ends_with(end) {
        let mut byte = [0];
        link.read_exact(&mut byte)?;
        head.push(byte[0]);
        if head.len() > HEAD_BYTES_MAX {
            return Err("an answer without an end".into());
        }
    }
    Ok(String::from_utf8(head)?)
}

/// One that fetches.
struct Client {
    link: PolledLink,
    missing: u64,
    /// A read may give something.
    ready: bool,
}

impl Client {
    /// One read.
    fn take(&mut self, buffer: &mut [u8], discard: bool) -> Outcome<()> {
        let want = usize::try_from(self.missing)?.min(buffer.len());
        let got = match discard {
            true => self.link.discard(&mut buffer[..want])?,
            false => self.link.read(&mut buffer[..want])?,
        };
        match got {
            None => self.ready = false,
            Some(0) => return Err("the connection ended before the file".into()),
            Some(count) => self.missing -= count as u64,
        }
        Ok(())
    }
}

/// Takes turns in reading until nothing is missing.
fn drain(mut poll: Poll, mut clients: Vec<Client>, discard: bool) -> Outcome<()> {
    let mut events = Events::with_capacity(clients.len());
    let mut buffer = vec![0; READ_BYTES];
    // What has come with the heads may come without an event.
    for client in &mut clients {
        client.ready = true;
    }
    while clients.iter().any(|client| client.missing > 0) {
        let busy = clients
            .iter()
            .any(|client| client.ready && client.missing > 0);
        let timeout = if busy { Duration::ZERO } else { PATIENCE };
        // One that reads as fast as it can needs no poller meanwhile.
        if !(busy && clients.len() == 1) {
            poll.poll(&mut events, Some(timeout))?;
            if events.is_empty() && !busy {
                return Err("nothing came for twenty seconds".into());
            }
            for event in &events {
                clients[event.token().0].ready = true;
            }
        }
        for client in &mut clients {
            if client.ready && client.missing > 0 {
                client.take(&mut buffer, discard)?;
            }
        }
    }
    Ok(())
}

/// Stores a file of that size, until the server says that it is on the disk.
pub fn store(server: &Server, transport: Transport, size: u64) -> Outcome<Pass> {
    let mut link = server.address("files", transport)?.connect()?;
    let block = vec![b'u'; READ_BYTES];
    timed(server, || {
        link.write_all(format!("put stored {size}\n").as_bytes())?;
        expect(&mut link, "ok 0\n")?;
        let mut left = size;
        while left > 0 {
            let len = usize::try_from(left)?.min(block.len());
            link.write_all(&block[..len])?;
            left -= len as u64;
        }
        expect(&mut link, "ok\n")?;
        Ok(size)
    })
}

fn expect(link: &mut Link, expected: &str) -> Outcome<()> {
    let answer = head(link, b"\n")?;
    match answer == expected {
        true => Ok(()),
        false => Err(format!("an unexpected answer: {answer:?}").into()),
    }
}
