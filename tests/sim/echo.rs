//! Callers of the echo: at every moment each has back exactly what it sent.

use switchboard::service::{CloseReason, Entry, Moment};
use switchboard::services::echo;

use crate::random::Random;
use crate::world::{Rules, Seen};

pub struct Callers;

#[derive(Default)]
pub struct Caller {
    sent: Vec<u8>,
    received: Vec<u8>,
    ended: bool,
    told: bool,
}

impl Rules for Callers {
    const ENTRY: &Entry = &echo::ENTRY;
    const LISTENERS: &[&str] = &[""];
    type Client = Caller;

    fn new() -> Self {
        Self
    }

    fn come(&mut self, _: usize, _: usize, random: &mut Random) -> (Caller, Vec<u8>) {
        let most = if random.one_in(50) { 100_000 } else { 300 };
        let plan = (0..random.below(most))
            .map(|_| random.next().to_ne_bytes()[0])
            .collect();
        (Caller::default(), plan)
    }

    fn sent(&mut self, client: &mut Caller, bytes: &[u8], _: Moment) {
        client.sent.extend_from_slice(bytes);
    }

    fn ended(&mut self, client: &mut Caller, _: Moment) {
        client.ended = true;
    }

    fn passed(&mut self, _: &mut Caller, _: Moment) {}

    fn told(&mut self, client: &mut Caller) {
        client.told = true;
    }

    fn judge(&mut self, client: &mut Caller, seen: &Seen<'_>) -> Result<(), String> {
        client.received.extend_from_slice(seen.received);
        if client.received != client.sent {
            return Err(format!("sent {} bytes, or others", client.sent.len()));
        }
        let reason = match (client.ended, client.told) {
            (true, _) => Some(CloseReason::ClientEnded),
            (false, true) => Some(CloseReason::Shutdown),
            (false, false) => None,
        };
        (seen.closed == reason)
            .then_some(())
            .ok_or(format!("expected to be closed: {reason:?}"))
    }
}
