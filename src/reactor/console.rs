//! The operator's console as a source: lines come from the thread that reads standard input. It
//! wakes the poller by the one waker that all threads share. They go to the service that they are
//! for (`mail`).

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use log::{debug, warn};

use super::sources::Source;
use super::{Reactor, StartError};
use crate::config::limits::CONSOLE_LINES_PER_TURN;
use crate::input::Typed;
use crate::service::{Item, Mail, SourceId};

/// Where the operator's lines come from.
pub(super) struct Console {
    lines: Receiver<Typed>,
    pub(super) queued: bool,
}

/// Starts to read the operator's lines; the argument wakes the loop.
pub type StartReading = fn(Box<dyn Fn() + Send>) -> io::Result<Receiver<Typed>>;

impl Reactor {
    /// Opens the console, if a service has use for it. Somebody is taken to be there until
    /// standard input has ended.
    ///
    /// # Errors
    /// Where the system refuses a waker or a thread.
    pub fn open_console(&mut self, start: StartReading) -> Result<(), StartError> {
        let fail = |error: io::Error| StartError::io("the console", &error);
        let wanted =
            |served: &super::Served| served.entry.takes_lines || !served.entry.console.is_empty();
        if !self.services.iter().any(wanted) {
            return Ok(());
        }
        let wake = Arc::clone(&self.waker);
        let lines = start(Box::new(move || {
            if let Err(error) = wake.wake() {
                warn!(target: "switchboard", "the console can't wake the loop: {error}");
            }
        }));
        let console = Console {
            lines: lines.map_err(fail)?,
            queued: false,
        };
        self.console = Some(self.sources.insert(Source::Console(Box::new(console))));
        self.operator = true;
        Ok(())
    }

    /// Takes a bounded number of lines.
    pub(super) fn turn_console(&mut self, id: SourceId) {
        for _ in 0..CONSOLE_LINES_PER_TURN {
            let Some(Source::Console(console)) = self.sources.get_mut(id) else {
                return;
            };
            match console.lines.try_recv() {
                Ok(Typed::Line(line)) => self.typed(&line),
                Ok(Typed::Eof) => {
                    self.print(
                        "Ctrl-D does not end the server; Ctrl-C does. 'help' lists the words",
                    );
                }
                Ok(Typed::Ended) | Err(TryRecvError::Disconnected) => {
                    self.sources.remove(id);
                    self.console = None;
                    self.operator_gone();
                    return;
                }
                Err(TryRecvError::Empty) => return,
            }
        }
        // More may wait, and no further event says so.
        if let Some(Source::Console(console)) = self.sources.get_mut(id) {
            self.run_queue.push(id, &mut console.queued);
        }
    }

    fn typed(&mut self, line: &str) {
        if line.split_whitespace().next() == Some("help") {
            self.help();
        } else if !line.trim().is_empty() && !self.operator_line(line) {
            self.print("no service takes this line; 'help' lists the words");
        }
    }

    /// The words of all services that are served.
    fn help(&self) {
        let words = self.services.iter().flat_map(|served| served.entry.console);
        for word in words {
            self.print(&format!("{:10} {}", word.word, word.help));
        }
        self.print(&format!(
            "{:10} {}",
            "help", "shows these words; Ctrl-C ends the server"
        ));
    }

    fn print(&self, line: &str) {
        self.stdout.write(format!("{line}\n").as_bytes());
    }

    /// Nobody is there from here on; sessions of services that talk to the operator are nudged.
    fn operator_gone(&mut self) {
        debug!(target: "switchboard", "standard input has ended: nobody is at the console");
        self.operator = false;
        let Self {
            sources,
            services,
            mail,
            ..
        } = self;
        for (to, c) in sources.connections() {
            let entry = services[usize::from(c.service)].entry;
            if entry.takes_lines || !entry.console.is_empty() {
                let item = Item::Notify;
                mail.push_back((c.service, Mail { to, item }));
            }
        }
    }
}
