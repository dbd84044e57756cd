//! The slot once more, written from its description and not from its code: byte by byte, as simple
//! as can be, with every writer's whole history kept.

use std::time::Duration;

use switchboard::service::Moment;

/// The slot and all who ever wrote to it.
pub struct Model {
    now: Moment,
    size: usize,
    delay: Duration,
    gap: Duration,
    held: Vec<u8>,
    pub writers: Vec<Writer>,
}

/// One connection.
pub struct Writer {
    history: Vec<u8>,
    state: State,
    /// What it is sent, all in all.
    pub sent: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// The message has no end yet; the last byte came then, if any has.
    Writing(Option<Moment>),
    /// A reply is due.
    Owed(Moment, End),
    Closed,
}

/// What ended the message.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Newline,
    Nul,
    Writing,
    Gap,
    Block,
}

impl Model {
    pub fn new(size: usize, delay: Duration, gap: Duration, writers: usize) -> Self {
        let writer = || Writer {
            history: Vec::new(),
            state: State::Writing(None),
            sent: Vec::new(),
        };
        let writers = (0..writers).map(|_| writer()).collect();
        Self {
            now: Moment::ZERO,
            size,
            delay,
            gap,
            held: Vec::new(),
            writers,
        }
    }

    pub fn is_closed(&self, writer: usize) -> bool {
        self.writers[writer].state == State::Closed
    }

    pub fn feed(&mut self, writer: usize, bytes: &[u8]) {
        for byte in bytes {
            self.byte(writer, *byte);
        }
    }

    fn byte(&mut self, at: usize, byte: u8) {
        let writer = &mut self.writers[at];
        writer.history.push(byte);
        match writer.state {
            State::Closed => {}
            State::Writing(_) => self.grow(at, byte),
            State::Owed(due, end) => {
                // Twenty bytes, the last a NUL, come before the reply is due.
                if writer.history.len() == self.size && byte == 0 {
                    writer.state = State::Owed(due, End::Block);
                    let message = without_pause(&writer.history);
                    if end == End::Gap && !message.is_empty() {
                        self.held = message.to_vec();
                    }
                }
            }
        }
    }

    fn grow(&mut self, at: usize, byte: u8) {
        let writer = &mut self.writers[at];
        let all = writer.history.clone();
        match byte {
            b'\n' => {
                let line = &all[..all.len() - 1];
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.end_message(at, &line, End::Newline);
            }
            0 => self.end_message(at, before_nul(&all), End::Nul),
            b'\r' if all.len() == self.size => writer.state = State::Writing(Some(self.now)),
            _ if all.len() >= self.size => self.refuse(at),
            _ => writer.state = State::Writing(Some(self.now)),
        }
    }

    fn end_message(&mut self, at: usize, message: &[u8], end: End) {
        if message.is_empty() {
            let writer = &mut self.writers[at];
            writer
                .sent
                .extend_from_slice(b"error: the message is empty\n");
            writer.state = State::Closed;
        } else if message.len() >= self.size {
            self.refuse(at);
        } else {
            self.held = message.to_vec();
            let writer = &mut self.writers[at];
            let block = writer.history.len() == self.size && writer.history.ends_with(b"\0");
            let end = if block { End::Block } else { end };
            writer.state = State::Owed(self.now.after(self.delay), end);
        }
    }

    fn refuse(&mut self, at: usize) {
        let text = format!("error: a message has at most {} bytes\n", self.size - 1);
        self.writers[at].sent.extend_from_slice(text.as_bytes());
        self.writers[at].state = State::Closed;
    }

    pub fn end(&mut self, at: usize) {
        if let State::Writing(_) = self.writers[at].state {
            let message = self.writers[at].history.clone();
            self.end_message(at, &message, End::Writing);
        }
    }

    pub fn vanish(&mut self, at: usize) {
        self.writers[at].state = State::Closed;
    }

    pub fn shut_down(&mut self) {
        for writer in &mut self.writers {
            if writer.state == State::Writing(None) {
                writer
                    .sent
                    .extend_from_slice(b"bye: the server is shutting down\n");
                writer.state = State::Closed;
            }
        }
    }

    pub fn advance(&mut self, by: Duration) {
        let until = self.now.after(by);
        let due = |model: &Self, writer: &Writer| match writer.state {
            State::Writing(Some(last)) => last.after(model.gap),
            State::Owed(due, _) => due,
            State::Writing(None) | State::Closed => Moment::NEVER,
        };
        loop {
            let next = (0..self.writers.len()).min_by_key(|at| due(self, &self.writers[*at]));
            let Some(at) = next.filter(|at| due(self, &self.writers[*at]) <= until) else {
                break;
            };
            self.now = self.now.max(due(self, &self.writers[at]));
            match self.writers[at].state {
                State::Owed(_, end) => self.reply(at, end),
                _ => {
                    let message = self.writers[at].history.clone();
                    self.end_message(at, &message, End::Gap);
                }
            }
        }
        self.now = until;
    }

    fn reply(&mut self, at: usize, end: End) {
        let mut reply = self.held.clone();
        match end {
            End::Newline => reply.push(b'\n'),
            End::Nul | End::Writing | End::Gap => reply.push(0),
            End::Block => reply.resize(self.size, 0),
        }
        self.writers[at].sent.append(&mut reply);
        self.writers[at].state = State::Closed;
    }
}

/// What the message is if nothing but its first newline or NUL ends it.
fn without_pause(bytes: &[u8]) -> &[u8] {
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    match line.contains(&0) {
        true => before_nul(line),
        false => line.strip_suffix(b"\r").unwrap_or(line),
    }
}

fn before_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}
