//! `exec`: a dialogue program of one's own, started for each client with the connection as its
//! standard input and output.
//!
//! The service only counts: who runs, who waits, who is next. Listeners that name the same program
//! share one count. A client that waits is not read, so its program gets every byte.

use std::collections::VecDeque;
use std::path::PathBuf;

use crate::config::limits::{EXEC_RUNNING, EXEC_RUNNING_MAX, EXEC_WAITING_MAX};
use crate::config::options::{FromValues, Opt, OptionError, Values};
use crate::service::{
    BYE, BuildError, CloseReason, Cx, Entry, Host, Never, Program, Service, ServiceCx, SourceId,
};

/// How `exec` is listed.
pub const ENTRY: Entry = Entry {
    name: "exec",
    summary: "a dialogue program of your own, started for each client",
    about: "\
The program that run= names is started for each client, with the connection as its standard
input and output: what it prints the client reads, what the client types it reads. When it ends,
the connection is closed; an answer that comes after the client has ended its writing is
delivered. Its environment is PATH, HOME, LANG, PROTO (TCP or UNIX) and, on TCP, REMOTE_ADDR,
REMOTE_PORT, TCPREMOTEIP, TCPREMOTEPORT, TCPLOCALIP and TCPLOCALPORT; nothing else of the
server's. What it writes to its standard error is in the server's log. No shell is involved.
Limits: max= programs run at once; the next 256 clients wait their turn, in order, and more get
one line 'error: ...'. At a shutdown each program's process group gets SIGTERM and, when the grace
is over, SIGKILL. It is served only where it is asked for.
Try it:  switchboard serve 'exec=tcp://127.0.0.1:8080?run=./dialog.py'
         nc 127.0.0.1 8080",
    options: &[
        Opt {
            key: "run",
            default: "none",
            help: "the path of the program to start; it must be given",
        },
        Opt {
            key: "max",
            default: "64",
            help: "programs that run at once, 1 to 4096; one number for each program",
        },
    ],
    datagrams: None,
    console: &[],
    transfers: false,
    secret: false,
    takes_lines: false,
    board: &[],
    build: |listeners| Host::build(listeners, Exec::new),
};

/// Typed options of one listener.
pub struct Options {
    run: PathBuf,
    max: Option<usize>,
}

impl FromValues for Options {
    fn from_values(values: &Values) -> Result<Self, OptionError> {
        let run = match values.text("run") {
            None => {
                return Err(OptionError::new(
                    "run",
                    "is missing; write run=PATH, the program to start for each client",
                ));
            }
            Some(path) if path.is_empty() || path.contains('\0') => {
                return Err(OptionError::new("run", "is no path of a program"));
            }
            Some(path) => PathBuf::from(path),
        };
        let max = values.number("max", 1..=EXEC_RUNNING_MAX)?;
        Ok(Self {
            run,
            max: max.and_then(|max| usize::try_from(max).ok()),
        })
    }
}

/// The service: one line of clients for each program.
pub struct Exec {
    lines: Vec<Line>,
}

/// Who runs a program and who waits for it.
struct Line {
    run: PathBuf,
    max: usize,
    running: usize,
    /// Who is about to run: told, but not heard of yet. They count as running.
    called: Vec<SourceId>,
    waiting: VecDeque<SourceId>,
}

/// One client.
pub struct Session {
    id: SourceId,
    /// The place of its line.
    line: usize,
    phase: Phase,
}

/// Where a client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// In its line, or called from it.
    Waiting,
    /// Its program has the socket.
    Running,
    /// It was sent away, or never got in.
    Refused,
}

impl Exec {
    fn new(listeners: &[Options]) -> Result<Self, BuildError> {
        let mut lines: Vec<(PathBuf, Option<usize>)> = Vec::new();
        for (listener, options) in listeners.iter().enumerate() {
            let Some((_, max)) = lines.iter_mut().find(|(run, _)| *run == options.run) else {
                lines.push((options.run.clone(), options.max));
                continue;
            };
            match (*max, options.max) {
                (Some(first), Some(second)) if first != second => {
                    let problem = format!(
                        "is {second} here and {first} on another listener of the same program"
                    );
                    return Err(BuildError {
                        listener,
                        error: OptionError::new("max", problem),
                    });
                }
                _ => *max = max.or(options.max),
            }
        }
        let default = usize::try_from(EXEC_RUNNING).unwrap_or(1);
        let lines = lines.into_iter().map(|(run, max)| Line {
            run,
            max: max.unwrap_or(default),
            running: 0,
            called: Vec::new(),
            waiting: VecDeque::new(),
        });
        Ok(Self {
            lines: lines.collect(),
        })
    }
}

impl Line {
    fn has_room(&self) -> bool {
        self.running + self.called.len() < self.max
    }

    fn run(&mut self, cx: &mut Cx<'_, Exec>) -> Phase {
        self.running += 1;
        let path = self.run.clone();
        cx.hand_over(Program { path });
        Phase::Running
    }

    /// Calls whoever has waited longest, while there is room.
    fn call_next(&mut self, cx: &mut ServiceCx<'_>) {
        while self.has_room() {
            let Some(next) = self.waiting.pop_front() else {
                return;
            };
            self.called.push(next);
            cx.notify(next);
        }
    }
}

impl Service for Exec {
    type Options = Options;
    type Session = Session;
    type Done = Never;
    const READS: bool = false;

    fn open(&mut self, cx: &mut Cx<'_, Self>) -> Session {
        let run = &cx.options().run;
        // Every listener's program has a line: they were made from the same options.
        let place = self.lines.iter().position(|line| line.run == *run);
        let place = place.unwrap_or(0);
        let line = &mut self.lines[place];
        let phase = if line.has_room() {
            line.run(cx)
        } else if line.waiting.len() < EXEC_WAITING_MAX {
            line.waiting.push_back(cx.id());
            cx.note(format_args!(
                "waits for its turn: {} run, {} wait",
                line.running,
                line.waiting.len()
            ));
            Phase::Waiting
        } else {
            cx.send_text(format_args!(
                "error: busy: {} are served and {} wait; try again later\n",
                line.running,
                line.waiting.len()
            ));
            cx.close(CloseReason::Busy);
            Phase::Refused
        };
        Session {
            id: cx.id(),
            line: place,
            phase,
        }
    }

    fn receive(&mut self, _: &mut Session, _: &[u8], _: &mut Cx<'_, Self>) -> usize {
        0
    }

    fn notified(&mut self, session: &mut Session, cx: &mut Cx<'_, Self>) {
        let line = &mut self.lines[session.line];
        if let Some(place) = line.called.iter().position(|id| *id == session.id) {
            line.called.swap_remove(place);
            session.phase = line.run(cx);
        }
    }

    fn shutting_down(&mut self, _: &mut Session, cx: &mut Cx<'_, Self>) {
        cx.send(BYE);
        cx.close(CloseReason::Shutdown);
    }

    fn closed(&mut self, session: Session, cx: &mut ServiceCx<'_>) {
        let line = &mut self.lines[session.line];
        match session.phase {
            Phase::Running => line.running = line.running.saturating_sub(1),
            Phase::Waiting => {
                line.called.retain(|id| *id != session.id);
                line.waiting.retain(|id| *id != session.id);
            }
            Phase::Refused => {}
        }
        line.call_next(cx);
    }
}

#[cfg(test)]
mod tests;
