//! `sum`: integers until 0. The rules are [`Sum`]'s running total; the text and the binary wire
//! each turn bytes into integers; `auto` finds out which of them a client speaks.

use std::time::Duration;

use crate::config::options::{FromValues, Opt, OptionError, Values};
use crate::service::{BYE, CloseReason, Cx, Entry, Host, Never, Service};
use crate::wire::line::{Lines, Next};
use crate::wire::{Escaped, block};

mod plain;
mod words;

/// How `sum` is listed.
pub const ENTRY: Entry = Entry {
    name: "sum",
    summary: "integers until 0, then their sum",
    about: "\
Adds up integers until a 0 comes, sends 'Result = N' and ends the connection. Sums are exact.
text:   one decimal integer of 64 bits a line, blanks around it allowed; the end of the client's
        writing counts as 0. The reply is a line.
binary: native integers of 32 bits; the reply is the same text in a block of 128 bytes, padded
        with NULs. The end of the client's writing counts as 0 here too.
auto:   binary if any of the first four bytes is neither printable ASCII nor white space. Fewer
        than four bytes are text when a newline is among them and nothing has followed for 50 ms.
Limits: what is no integer is ignored, and logged; a line has at most 4096 bytes, a longer one
gets one line 'error: ...' and is skipped.
Try it:  printf '5\\n-7\\n0\\n' | nc -N 127.0.0.1 1051",
    options: &[Opt {
        key: "wire",
        default: "auto",
        help: "auto, text or binary",
    }],
    datagrams: None,
    console: &[],
    transfers: false,
    secret: false,
    takes_lines: false,
    board: &["tcp://127.0.0.1:1051", "unix:RUNTIME/sum.sock"],
    build: |listeners| Host::build(listeners, |_| Ok(Sum)),
};

/// How long fewer than four bytes of text wait for more before they count as text.
const UNDECIDED: Duration = Duration::from_millis(50);

/// Bytes of the reply on the binary wire.
const BLOCK_BYTES: usize = 128;

/// Ignored lines that each connection may put into the log; the rest are only counted.
const NOTES_MAX: u32 = 3;

/// Which wire a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Options {
    /// Find out from the first bytes.
    Auto,
    /// Lines.
    Text,
    /// Native integers.
    Binary,
}

impl FromValues for Options {
    fn from_values(values: &Values) -> Result<Self, OptionError> {
        let choices = [
            ("auto", Self::Auto),
            ("text", Self::Text),
            ("binary", Self::Binary),
        ];
        values.choice("wire", &choices, Self::Auto)
    }
}

/// The service; its sessions share nothing.
pub struct Sum;

/// One client's sum.
pub struct Session {
    /// 2^63 values of 64 bits fit; a connection would need centuries to send them.
    total: i128,
    ignored: u32,
    wire: Wire,
}

/// Which wire a client speaks.
enum Wire {
    /// Not known yet; no byte is used until it is.
    Undecided,
    Text(Lines),
    Binary,
}

impl Service for Sum {
    type Options = Options;
    type Session = Session;
    type Done = Never;
    const KNOWS_PEERS: bool = false;

    fn open(&mut self, cx: &mut Cx<'_, Self>) -> Session {
        let wire = match cx.options() {
            Options::Auto => Wire::Undecided,
            Options::Text => Wire::Text(Lines::default()),
            Options::Binary => Wire::Binary,
        };
        Session {
            total: 0,
            ignored: 0,
            wire,
        }
    }

    fn receive(&mut self, s: &mut Session, input: &[u8], cx: &mut Cx<'_, Self>) -> usize {
        if matches!(s.wire, Wire::Undecided) {
            match decide(input) {
                Some(wire) => {
                    cx.clear_deadline();
                    s.wire = wire;
                }
                None => {
                    match input.contains(&b'\n') {
                        true => cx.set_deadline(UNDECIDED),
                        false => cx.clear_deadline(),
                    }
                    return 0;
                }
            }
        }
        match &mut s.wire {
            Wire::Undecided => 0,
            Wire::Text(lines) => {
                let mut lines = *lines;
                let used = s.text(&mut lines, input, cx);
                s.wire = Wire::Text(lines);
                used
            }
            Wire::Binary => s.binary(input, cx),
        }
    }

    fn end_of_input(&mut self, s: &mut Session, rest: &[u8], cx: &mut Cx<'_, Self>) {
        match &mut s.wire {
            // Three bytes or fewer, and nothing will follow: text by definition.
            Wire::Undecided => {
                let mut input = rest;
                let mut lines = Lines::default();
                let used = s.text(&mut lines, input, cx);
                input = &rest[used..];
                s.wire = Wire::Text(lines);
                s.last_line(lines, input, cx);
            }
            Wire::Text(lines) => {
                let lines = *lines;
                s.last_line(lines, rest, cx);
            }
            Wire::Binary => {
                if !rest.is_empty() {
                    s.ignore(rest, "fewer bytes than an integer has", cx);
                }
                s.answer(cx);
            }
        }
    }

    fn deadline(&mut self, s: &mut Session, _: &mut Cx<'_, Self>) {
        // Fewer than four bytes, a newline among them, and nothing followed. They are offered again.
        s.wire = Wire::Text(Lines::default());
    }

    fn shutting_down(&mut self, s: &mut Session, cx: &mut Cx<'_, Self>) {
        if !matches!(s.wire, Wire::Binary) {
            cx.send(BYE);
        }
        cx.close(CloseReason::Shutdown);
    }
}

/// Which wire the first bytes belong to; `None` while it can't be told.
fn decide(prefix: &[u8]) -> Option<Wire> {
    let first = &prefix[..prefix.len().min(4)];
    let text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t'..=b'\r');
    if !first.iter().all(text) {
        return Some(Wire::Binary);
    }
    (first.len() == 4).then(|| Wire::Text(Lines::default()))
}

impl Session {
    /// Takes what is whole: plain lines by blocks, all others one by one.
    fn text(&mut self, lines: &mut Lines, input: &[u8], cx: &mut Cx<'_, Sum>) -> usize {
        let mut rest = input;
        let (mut one_by_one_until, mut span) = (plain::COLUMNS, plain::BLOCK);
        loop {
            let at = input.len() - rest.len();
            if at >= one_by_one_until && lines.at_begin() {
                let (sum, next) = plain::add(input, at);
                self.total = self.total.saturating_add(sum);
                rest = &input[next..];
                // Where no line is plain, looking for them in vain becomes rare.
                span = match next > at {
                    true => plain::BLOCK,
                    false => (2 * span).min(plain::SPAN_MAX),
                };
                one_by_one_until = next + span;
            }
            match lines.next(&mut rest) {
                Next::Line(line) => {
                    if self.line(line, cx) {
                        // What follows the 0 is nobody's.
                        return input.len();
                    }
                }
                Next::TooLong => {
                    cx.send(b"error: a line has at most 4096 bytes; this one is skipped\n")
                }
                Next::Incomplete => return input.len() - rest.len(),
            }
        }
    }

    /// Adds one line; true if it was the 0 and the answer is sent.
    fn line(&mut self, line: &[u8], cx: &mut Cx<'_, Sum>) -> bool {
        match integer(line) {
            None => self.ignore(line, "no integer of 64 bits", cx),
            Some(0) => {
                self.answer(cx);
                return true;
            }
            Some(value) => self.total = self.total.saturating_add(i128::from(value)),
        }
        false
    }

    /// The writing has ended: what is left counts as a line, and the end as 0.
    fn last_line(&mut self, mut lines: Lines, rest: &[u8], cx: &mut Cx<'_, Sum>) {
        // A session that found its 0 in `rest` has closed.
        if cx.is_closing() {
            return;
        }
        let ended = lines.last(rest).is_some_and(|line| self.line(line, cx));
        if !ended {
            self.answer(cx);
        }
    }

    fn binary(&mut self, input: &[u8], cx: &mut Cx<'_, Sum>) -> usize {
        let (integers, _) = input.as_chunks();
        for some in integers.chunks(words::TOGETHER) {
            if let Some(sum) = words::sum(some) {
                self.total = self.total.saturating_add(i128::from(sum));
            } else if self.until_0(some) {
                self.answer(cx);
                // What follows the 0 is nobody's.
                return input.len();
            }
        }
        integers.len() * 4
    }

    /// Adds integers up to a 0; true if there is one.
    fn until_0(&mut self, words: &[[u8; 4]]) -> bool {
        let mut values = words.iter().map(|word| i32::from_ne_bytes(*word));
        values.any(|value| {
            self.total = self.total.saturating_add(i128::from(value));
            value == 0
        })
    }

    fn ignore(&mut self, bytes: &[u8], why: &str, cx: &mut Cx<'_, Sum>) {
        self.ignored = self.ignored.saturating_add(1);
        if self.ignored <= NOTES_MAX {
            cx.note(format_args!("ignored {}: {why}", Escaped(bytes)));
        }
    }

    fn answer(&mut self, cx: &mut Cx<'_, Sum>) {
        match self.wire {
            Wire::Binary => {
                let text = format!("Result = {}", self.total);
                cx.send(&block::padded(text.as_bytes(), BLOCK_BYTES));
            }
            Wire::Text(_) | Wire::Undecided => {
                cx.send_text(format_args!("Result = {}\n", self.total));
            }
        }
        if self.ignored > NOTES_MAX {
            cx.note(format_args!("ignored {} lines in all", self.ignored));
        }
        cx.close(CloseReason::Answered);
    }
}

/// A decimal integer of 64 bits, with or without a sign, blanks around it allowed.
fn integer(line: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(line.trim_ascii()).ok()?;
    // `parse` takes digits with at most one sign, and nothing else: no blanks, no underscores.
    text.parse().ok()
}

#[cfg(test)]
mod tests;
