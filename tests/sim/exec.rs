//! Clients of programs: each gets its program as soon as one of the places is free, in the order in
//! which they came, and is sent nothing before; who waits hears of a shutdown, and who has a program
//! does not.

use std::collections::VecDeque;

use switchboard::service::{BYE, CloseReason, Entry, Moment};
use switchboard::services::exec;

use crate::random::Random;
use crate::world::{Rules, Seen};

/// The line of each listener; the first and the last have the same program.
const LINES: [usize; 3] = [0, 1, 0];
/// The program of each line, and how many run at once.
const PROGRAMS: [(&str, usize); 2] = [("/bin/a", 3), ("/bin/b", 1)];

#[derive(Default)]
struct Line {
    running: usize,
    waiting: VecDeque<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    /// Its program has ended.
    Served,
    /// It waited when the server went down.
    Told,
}

pub struct Clients {
    lines: [Line; 2],
    /// By the clients' numbers.
    states: Vec<State>,
}

pub struct Client {
    number: usize,
    line: usize,
}

impl Rules for Clients {
    const ENTRY: &Entry = &exec::ENTRY;
    const LISTENERS: &[&str] = &["run=/bin/a&max=3", "run=/bin/b&max=1", "run=/bin/a"];
    type Client = Client;

    fn new() -> Self {
        Self {
            lines: Default::default(),
            states: Vec::new(),
        }
    }

    fn come(&mut self, listener: usize, number: usize, _: &mut Random) -> (Client, Vec<u8>) {
        let line = LINES[listener];
        let (_, max) = PROGRAMS[line];
        let place = &mut self.lines[line];
        self.states.push(match place.running < max {
            true => {
                place.running += 1;
                State::Running
            }
            false => {
                place.waiting.push_back(number);
                State::Waiting
            }
        });
        (Client { number, line }, b"for the program".to_vec())
    }

    fn sent(&mut self, _: &mut Client, _: &[u8], _: Moment) {}

    fn ended(&mut self, _: &mut Client, _: Moment) {}

    fn passed(&mut self, _: &mut Client, _: Moment) {}

    fn told(&mut self, client: &mut Client) {
        let state = &mut self.states[client.number];
        if *state == State::Waiting {
            *state = State::Told;
            self.vanished(client);
        }
    }

    fn vanished(&mut self, client: &mut Client) {
        let waiting = &mut self.lines[client.line].waiting;
        waiting.retain(|number| *number != client.number);
    }

    fn program_ends(&mut self, client: &mut Client) {
        let line = &mut self.lines[client.line];
        self.states[client.number] = State::Served;
        match line.waiting.pop_front() {
            Some(next) => self.states[next] = State::Running,
            None => line.running -= 1,
        }
    }

    fn judge(&mut self, client: &mut Client, seen: &Seen<'_>) -> Result<(), String> {
        let state = self.states[client.number];
        let path = seen.program.map(|program| program.path.as_os_str());
        let (program, _) = PROGRAMS[client.line];
        let has_program = matches!(state, State::Running | State::Served);
        if path != has_program.then_some(program.as_ref()) {
            return Err(format!("{state:?}, and its program is {path:?}"));
        }
        let (received, closed) = match state {
            State::Waiting | State::Running => (&b""[..], None),
            State::Served => (&b""[..], Some(CloseReason::ProgramEnded)),
            State::Told => (BYE, Some(CloseReason::Shutdown)),
        };
        match seen.received == received && seen.closed == closed {
            true => Ok(()),
            false => Err(format!("{state:?}: expected to be closed: {closed:?}")),
        }
    }
}
