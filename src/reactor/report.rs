//! The table that SIGUSR1 prints: listeners and connections as they are now.

use std::fmt::Write as _;

use super::Reactor;
use super::connection::Phase;
use super::peer;
use crate::config::limits::REPORT_CONNECTIONS_MAX;

/// `1 connection`, `2 connections`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

impl Reactor {
    /// Prints the table to standard error.
    pub(super) fn report(&mut self) {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} of at most {}, {} taken in all, {} bytes kept, {}",
            counted(self.live, "connection"),
            self.settings.connections_max,
            self.accepted,
            self.kept,
            counted(self.udp.flows.len(), "flow"),
        );
        self.report_listeners(&mut text);
        for (_, c) in self.sources.connections().take(REPORT_CONNECTIONS_MAX) {
            let phase = match c.phase {
                Phase::Open if c.input_ended && !c.is_flow() => {
                    "open, client has ended its writing"
                }
                Phase::Open => "open",
                Phase::HandedOver if c.program.is_none() => "its program is being started",
                Phase::HandedOver => "handed over",
                Phase::Flushing => "closing, output waits",
                Phase::Lingering => "closing, waiting for the client's end",
                Phase::Dead => "dead",
            };
            let phase = match c.program {
                Some(pid) if c.phase == Phase::HandedOver => format!("{phase} to program {pid}"),
                _ => phase.to_owned(),
            };
            let _ = writeln!(
                text,
                "connection {} #{} {} {phase}, for {:.1} s, {} bytes in, {} bytes out, {} unsent",
                self.services[usize::from(c.service)].entry.name,
                c.number,
                peer::of(c),
                c.opened_at.lasted(self.now).as_secs_f64(),
                c.bytes_in,
                c.bytes_out,
                c.unsent(),
            );
        }
        let all = self.live + self.udp.flows.len();
        if all > REPORT_CONNECTIONS_MAX {
            let _ = writeln!(text, "... and {} more", all - REPORT_CONNECTIONS_MAX);
        }
        self.stderr.write(text.as_bytes());
    }

    /// A line for each listener; writing to a string cannot fail.
    fn report_listeners(&self, text: &mut String) {
        for (_, listener) in self.sources.listeners() {
            let name = self.services[usize::from(listener.service)].entry.name;
            let state = if self.paused {
                "full"
            } else if listener.retry_at.is_some() {
                "resting"
            } else {
                "open"
            };
            let (endpoint, accepted) = (&listener.endpoint, listener.accepted);
            let _ = writeln!(text, "listener {name} {endpoint} {state}, {accepted} taken");
        }
        for (_, socket) in self.sources.datagrams().filter(|(_, s)| s.flow.is_none()) {
            let name = self.services[usize::from(socket.service)].entry.name;
            let (endpoint, waiting) = (&socket.endpoint, socket.waiting());
            let _ = writeln!(
                text,
                "listener {name} {endpoint} open, {}; {waiting} waiting",
                socket.counts
            );
        }
    }
}
