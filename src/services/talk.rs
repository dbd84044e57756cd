//! `talk`: the operator's dialogue. A client's message is shown on the console, and a line typed
//! there is its answer.
//!
//! A session gathers one message, then stands in the queue of those who wait. The queue belongs to
//! the service, because the operator's line comes to the service and not to a session.

use std::time::Duration;

use self::queue::{Queue, Waiting};
use crate::config::limits::{LINE_BYTES_MAX, TALK_SHOWN_MAX, TALK_WAITING_MAX};
use crate::config::options::{FromValues, Opt, OptionError, Values};
use crate::service::{BYE, CloseReason, ConsoleWord, Cx, Entry, Host, Never, Service, ServiceCx};
use crate::wire::line::{Lines, Next};
use crate::wire::{Escaped, Readable};

mod queue;

/// How `talk` is listed.
pub const ENTRY: Entry = Entry {
    name: "talk",
    summary: "a message to the operator, who types the answer",
    about: "\
Shows the client's message on the server's terminal, with the client's number. The operator types
a line: it is the answer to the client that has waited longest, and that connection ends.
'@N text' answers client N, 'list' shows who waits. The answer ends as the message did: a line for
a line, bare text for bare text.
A message is a line, or at most 32 bytes without a newline, which end when nothing has
followed for 50 ms or with the client's writing. One message for each connection.
reply=TEXT answers by itself. Without it, and with nobody at the console, the client is told so.
Limits: an empty message, or bare text of more than 32 bytes, gets one line 'error: ...' and ends
the connection; a line has at most 4096 bytes, a longer one gets one line 'error: ...' and is
skipped; 1000 clients may wait at once, each at most an hour.
Try it:  printf 'hello\\n' | nc -N 127.0.0.1 12345",
    options: &[Opt {
        key: "reply",
        default: "none",
        help: "answer every message with this text, without the operator",
    }],
    datagrams: None,
    console: &[
        ConsoleWord {
            word: "list",
            help: "shows who waits for an answer, the longest first",
        },
        ConsoleWord {
            word: "@N",
            help: "TEXT: answers client N; a line that begins with no other word here answers \
                   the client that has waited longest",
        },
    ],
    transfers: false,
    secret: false,
    takes_lines: true,
    board: &["tcp://127.0.0.1:12345"],
    build: |listeners| Host::build(listeners, |_| Ok(Talk::default())),
};

/// The silence that ends a message without a newline.
const GAP: Duration = Duration::from_millis(50);

/// How long a client waits for the operator. Keepalive finds those that are gone; this is for those
/// that have been forgotten. A session with a deadline is not subject to the idle limit.
const WAIT: Duration = Duration::from_secs(3600);

/// Bytes of a message without a newline, as the labs' own server reads it.
const BARE_BYTES_MAX: usize = 32;

/// Typed options of one listener.
pub struct Options {
    reply: Option<String>,
}

impl FromValues for Options {
    fn from_values(values: &Values) -> Result<Self, OptionError> {
        let reply = values.text("reply").map(str::to_owned);
        match &reply {
            Some(text) if text.is_empty() => Err(OptionError::new("reply", "is empty")),
            Some(text) if text.len() > LINE_BYTES_MAX => {
                let problem = format!("has more than {LINE_BYTES_MAX} bytes");
                Err(OptionError::new("reply", problem))
            }
            _ => Ok(Self { reply }),
        }
    }
}

/// The service: who waits for the operator.
#[derive(Default)]
pub struct Talk {
    queue: Queue,
}

/// One client.
pub struct Session {
    number: u32,
    phase: Phase,
}

/// Where a client stands.
enum Phase {
    /// The message may still grow; a deadline runs (the gap) while there is text without an end.
    Gathering(Lines),
    /// Nothing has followed for the gap: what is offered next is the message.
    Paused,
    /// The message is shown and the client stands in the queue.
    Waiting,
}

impl Service for Talk {
    type Options = Options;
    type Session = Session;
    type Done = Never;

    fn open(&mut self, cx: &mut Cx<'_, Self>) -> Session {
        Session {
            number: cx.number(),
            phase: Phase::Gathering(Lines::default()),
        }
    }

    fn receive(&mut self, s: &mut Session, mut input: &[u8], cx: &mut Cx<'_, Self>) -> usize {
        let offered = input.len();
        match &mut s.phase {
            Phase::Gathering(lines) => loop {
                match lines.next(&mut input) {
                    Next::Line(line) => {
                        self.message(s, line, true, cx);
                        return offered;
                    }
                    Next::TooLong => {
                        cx.send(b"error: a line has at most 4096 bytes; this one is skipped\n");
                    }
                    Next::Incomplete => {
                        match input.is_empty() {
                            true => cx.clear_deadline(),
                            false => cx.set_deadline(GAP),
                        }
                        return offered - input.len();
                    }
                }
            },
            Phase::Paused => self.message(s, input, false, cx),
            // One message for each connection; what comes behind it is nobody's.
            Phase::Waiting => {}
        }
        offered
    }

    fn end_of_input(&mut self, s: &mut Session, rest: &[u8], cx: &mut Cx<'_, Self>) {
        match &mut s.phase {
            Phase::Gathering(lines) => match lines.last(rest) {
                Some(message) => self.message(s, message, false, cx),
                None => cx.close(CloseReason::ClientEnded),
            },
            Phase::Paused => self.message(s, rest, false, cx),
            // It may have left, or it only ends its writing: over TCP that looks the same.
            Phase::Waiting => self.queue.note_end(s.number),
        }
    }

    fn deadline(&mut self, s: &mut Session, cx: &mut Cx<'_, Self>) {
        match s.phase {
            Phase::Gathering(_) | Phase::Paused => s.phase = Phase::Paused,
            Phase::Waiting => {
                self.queue.take(s.number);
                cx.send(b"error: nobody has answered for an hour\n");
                cx.close(CloseReason::NobodyThere);
            }
        }
    }

    fn notified(&mut self, s: &mut Session, cx: &mut Cx<'_, Self>) {
        if matches!(s.phase, Phase::Waiting) && !cx.operator_present() {
            self.queue.take(s.number);
            nobody_there(cx);
        }
    }

    fn shutting_down(&mut self, s: &mut Session, cx: &mut Cx<'_, Self>) {
        self.queue.take(s.number);
        cx.send(BYE);
        cx.close(CloseReason::Shutdown);
    }

    fn operator(&mut self, line: &str, cx: &mut ServiceCx<'_>) {
        let first = line.split_whitespace().next();
        match first {
            // A line of blanks is a slip of the hand, and no answer.
            None => {}
            Some("list") => self.list(cx),
            Some(word) if word.starts_with('@') => self.answer_one(&line.trim_start()[1..], cx),
            Some(_) => match self.queue.take_oldest() {
                Some(oldest) => answer(&oldest, line, cx),
                None => cx.print(format_args!("nobody waits for an answer")),
            },
        }
    }

    fn closed(&mut self, s: Session, cx: &mut ServiceCx<'_>) {
        // Whoever was answered stands in the queue no longer.
        if let Some(left) = self.queue.take(s.number) {
            cx.print(format_args!("#{} has left without an answer", left.number));
        }
    }
}

impl Talk {
    /// A message is whole.
    fn message(&mut self, s: &mut Session, text: &[u8], line: bool, cx: &mut Cx<'_, Self>) {
        // A C program may send the NUL of its string, or its whole buffer; a pause may have cut
        // the end of a line in two.
        let text = if line { text } else { trimmed(text) };
        if text.is_empty() {
            cx.send(b"error: the message is empty\n");
            return cx.close(CloseReason::MessageEmpty);
        }
        if !line && text.len() > BARE_BYTES_MAX {
            cx.send(b"error: a message without a newline has at most 32 bytes\n");
            return cx.close(CloseReason::MessageTooLong);
        }
        let (number, present) = (cx.number(), cx.operator_present());
        let reply = cx.options().reply.clone();
        if present {
            let shown = format!("#{number} from {}: {}", cx.peer(), Readable(text));
            cx.service().print(format_args!("{shown}"));
        } else {
            cx.note(format_args!("says {}", Escaped(text)));
        }
        if let Some(reply) = reply {
            cx.send(&framed(&reply, line));
            return cx.close(CloseReason::Answered);
        }
        if !present {
            return nobody_there(cx);
        }
        let waiting = Waiting {
            number,
            id: cx.id(),
            from: cx.peer().to_string(),
            line,
            since: cx.now(),
            ended: false,
        };
        if !self.queue.push(waiting) {
            cx.service().print(format_args!(
                "#{number} was sent away: {TALK_WAITING_MAX} wait already"
            ));
            cx.send(b"error: busy, too many wait for an answer\n");
            return cx.close(CloseReason::Busy);
        }
        s.phase = Phase::Waiting;
        cx.set_deadline(WAIT);
    }

    fn list(&self, cx: &mut ServiceCx<'_>) {
        let now = cx.now();
        for waiting in self.queue.iter().take(TALK_SHOWN_MAX) {
            let seconds = now.since(waiting.since).as_secs();
            let ended = match waiting.ended {
                true => ", has ended its writing",
                false => "",
            };
            let Waiting { number, from, .. } = waiting;
            cx.print(format_args!(
                "#{number} from {from} waits for {seconds} s{ended}"
            ));
        }
        match self.queue.len() {
            0 => cx.print(format_args!("nobody waits for an answer")),
            len if len > TALK_SHOWN_MAX => {
                cx.print(format_args!("... and {} more", len - TALK_SHOWN_MAX));
            }
            _ => {}
        }
    }

    /// `@N text`, without its `@`.
    fn answer_one(&mut self, line: &str, cx: &mut ServiceCx<'_>) {
        let (number, text) = line.split_once(' ').unwrap_or((line.trim_end(), ""));
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        match number.parse::<u32>() {
            Ok(number) if digits && !text.is_empty() => match self.queue.take(number) {
                Some(waiting) => answer(&waiting, text, cx),
                None => cx.print(format_args!("#{number} does not wait for an answer")),
            },
            _ => cx.print(format_args!(
                "write @N TEXT, N being the number of a client"
            )),
        }
    }
}

fn nobody_there(cx: &mut Cx<'_, Talk>) {
    cx.send(b"error: nobody is there to answer\n");
    cx.close(CloseReason::NobodyThere);
}

fn answer(waiting: &Waiting, text: &str, cx: &mut ServiceCx<'_>) {
    cx.send_to(waiting.id, &framed(text, waiting.line));
    cx.close_other(waiting.id, CloseReason::Answered);
    cx.print(format_args!("answered #{}", waiting.number));
}

/// The answer ends as the message did.
fn framed(text: &str, line: bool) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    if line {
        bytes.push(b'\n');
    }
    bytes
}

/// Without the NULs behind it, and without a CR before them.
fn trimmed(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte != 0);
    let text = &text[..end.map_or(0, |at| at + 1)];
    text.strip_suffix(b"\r").unwrap_or(text)
}

#[cfg(test)]
mod tests;
