//! Connections that come, are served once and go: many at any time, the next when one is done.

use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::link::Address;
use crate::load::{Round, latencies, nanos};
use crate::report::Outcome;
use crate::server::Server;

/// Connections open at any time.
const CONNECTIONS: usize = 16;

/// No answer for so long means that it will not come.
const PATIENCE: Duration = Duration::from_secs(10);

/// One connection, from before it connects until it has got what it came for.
pub trait Visit: Sized {
    /// Connects and asks.
    fn begin(address: &Address, poll: &Poll, token: Token) -> Outcome<Self>;

    /// Reads what came; whether that was all, and right.
    fn take(&mut self) -> Outcome<bool>;

    /// Called when all are done and the time has been taken, before the processor time is.
    fn settle(_address: &Address) -> Outcome<()> {
        Ok(())
    }
}

/// Keeps so many under way while `more`, which is told how many are done and for how long it goes on
/// already; then waits for the last of them.
pub fn drive<V: Visit>(
    address: &Address,
    server: &Server,
    more: impl Fn(u64, Duration) -> bool,
) -> Outcome<Round> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(CONNECTIONS);
    let mut latency = latencies()?;
    let mut visits = Vec::new();
    let cpu = server.cpu_time()?;
    let start = Instant::now();
    let begin = |poll: &Poll, token| -> Outcome<_> {
        let begun = Instant::now();
        Ok(Some((begun, V::begin(address, poll, token)?)))
    };
    for number in 0..CONNECTIONS {
        visits.push(begin(&poll, Token(number))?);
    }
    while visits.iter().any(Option::is_some) {
        poll.poll(&mut events, Some(PATIENCE))?;
        if events.is_empty() {
            return Err("no answer came for ten seconds".into());
        }
        for event in &events {
            let place = &mut visits[event.token().0];
            let Some((begun, visit)) = place else {
                continue;
            };
            if !visit.take()? {
                continue;
            }
            let now = Instant::now();
            latency.record(nanos(now - *begun))?;
            // Closed before the next one begins.
            *place = None;
            if more(latency.len(), now - start) {
                *place = begin(&poll, event.token())?;
            }
        }
    }
    let elapsed = start.elapsed();
    V::settle(address)?;
    let cpu = server.cpu_time()?.saturating_sub(cpu);
    Ok(Round {
        done: latency.len(),
        elapsed,
        cpu,
        latency,
    })
}
