//! What programs write to their standard error: into the log, line by line, escaped, cut, and so
//! many lines a second. The pipe is always read, so that no program waits for it.

use std::io::{self, Read as _};
use std::process::ChildStderr;

use log::{info, warn};
use mio::Interest;
use mio::unix::pipe::Receiver;
use rustix::process::Pid;

use super::Reactor;
use super::sources::{Source, token};
use crate::config::limits::{
    PROGRAM_LAST_BYTES_MAX, PROGRAM_LINE_BYTES_MAX, PROGRAM_LINES_MAX, PROGRAM_LINES_WINDOW,
    READ_BYTES_MAX,
};
use crate::service::{Moment, SourceId};

/// The standard error of one program.
pub(super) struct ProgramLog {
    pipe: Receiver,
    lines: Lines,
    /// In front of each line: service, number, peer, and the program's number.
    about: String,
    /// It stands in the run queue.
    pub queued: bool,
}

/// Cuts bytes into lines and says which are shown.
#[derive(Debug, Default)]
struct Lines {
    /// The beginning of a line that has no end yet.
    line: Vec<u8>,
    /// Bytes of that line beyond what is kept.
    skipped: usize,
    /// When the current window began, and the lines shown in it.
    began: Option<Moment>,
    shown: u32,
    /// Lines not shown since that was last said.
    hidden: u64,
}

/// Whether the pipe may have more.
#[derive(PartialEq, Eq)]
enum Pipe {
    More,
    Empty,
    Ended,
}

impl Reactor {
    /// Watches a program's standard error; `None` where the system refuses.
    pub(super) fn watch_stderr(
        &mut self,
        connection: SourceId,
        pid: Pid,
        pipe: ChildStderr,
    ) -> Option<SourceId> {
        let id = self.sources.next_id();
        let mut pipe = Receiver::from(pipe);
        let registry = self.poll.registry();
        let watched = pipe
            .set_nonblocking(true)
            .and_then(|()| registry.register(&mut pipe, token(id), Interest::READABLE));
        if let Err(error) = watched {
            warn!(target: "switchboard", "program {pid}: its standard error is not read: {error}");
            return None;
        }
        let services = &self.services;
        let about = self.sources.connection(connection).map(|c| {
            let name = services[usize::from(c.service)].entry.name;
            format!("{name} #{} {}: program {pid}", c.number, c.peer)
        });
        Some(self.sources.insert(Source::ProgramLog(Box::new(ProgramLog {
            pipe,
            lines: Lines::default(),
            about: about.unwrap_or_else(|| format!("program {pid}")),
            queued: false,
        }))))
    }

    /// One turn of a program's standard error.
    pub(super) fn read_stderr(&mut self, id: SourceId) {
        let Self {
            sources,
            inbox,
            run_queue,
            now,
            ..
        } = self;
        let Some(Source::ProgramLog(log)) = sources.get_mut(id) else {
            return;
        };
        match log.read(&mut inbox[..READ_BYTES_MAX], *now) {
            Pipe::More => run_queue.push(id, &mut log.queued),
            Pipe::Empty => {}
            Pipe::Ended => self.drop_stderr(id),
        }
    }

    /// The program has ended: what is in the pipe is still said. Its end is not waited for, because
    /// a process that the program left behind may hold it open.
    pub(super) fn end_stderr(&mut self, id: SourceId) {
        let Self {
            sources,
            inbox,
            now,
            ..
        } = self;
        if let Some(Source::ProgramLog(log)) = sources.get_mut(id) {
            for _ in 0..PROGRAM_LAST_BYTES_MAX / LAST_READ_BYTES {
                if log.read(&mut inbox[..LAST_READ_BYTES], *now) != Pipe::More {
                    break;
                }
            }
            self.drop_stderr(id);
        }
    }

    fn drop_stderr(&mut self, id: SourceId) {
        if let Some(Source::ProgramLog(mut log)) = self.sources.remove(id) {
            let about = &log.about;
            log.lines.finish(self.now, |line| say(about, line));
            // Dropping the pipe ends its registration too.
            let _ = self.poll.registry().deregister(&mut log.pipe);
        }
    }
}

/// What one of the last reads takes at most.
const LAST_READ_BYTES: usize = 4096;

fn say(about: &str, line: &str) {
    info!(target: "switchboard", "{about} {line}");
}

impl ProgramLog {
    fn read(&mut self, buffer: &mut [u8], now: Moment) -> Pipe {
        match self.pipe.read(buffer) {
            Ok(0) => Pipe::Ended,
            Ok(count) => {
                let about = &self.about;
                self.lines
                    .push(&buffer[..count], now, |line| say(about, line));
                Pipe::More
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Pipe::More,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Pipe::Empty,
            Err(_) => Pipe::Ended,
        }
    }
}

impl Lines {
    /// Takes bytes; `say` gets each line that is shown.
    fn push(&mut self, bytes: &[u8], now: Moment, mut say: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let ended = piece.ends_with(b"\n");
            let text = &piece[..piece.len() - usize::from(ended)];
            let room = PROGRAM_LINE_BYTES_MAX - self.line.len();
            let kept = text.len().min(room);
            self.line.extend_from_slice(&text[..kept]);
            self.skipped += text.len() - kept;
            if ended {
                self.end_line(now, &mut say);
            }
        }
    }

    /// Says what has no line end, and how many lines were not shown.
    fn finish(&mut self, now: Moment, mut say: impl FnMut(&str)) {
        if !self.line.is_empty() {
            self.end_line(now, &mut say);
        }
        self.say_hidden(&mut say);
    }

    fn end_line(&mut self, now: Moment, say: &mut impl FnMut(&str)) {
        let window = |began: &Moment| now.since(*began) < PROGRAM_LINES_WINDOW;
        if !self.began.as_ref().is_some_and(window) {
            self.began = Some(now);
            self.shown = 0;
            self.say_hidden(say);
        }
        if self.shown < PROGRAM_LINES_MAX {
            self.shown += 1;
            let text = self.line.escape_ascii();
            match self.skipped {
                0 => say(&format!("says \"{text}\"")),
                more => say(&format!("says \"{text}\" and {more} more bytes")),
            }
        } else {
            self.hidden += 1;
        }
        self.line.clear();
        self.skipped = 0;
    }

    fn say_hidden(&mut self, say: &mut impl FnMut(&str)) {
        match std::mem::take(&mut self.hidden) {
            0 => {}
            hidden => say(&format!("said {hidden} more lines, which are not shown")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pieces: &[&[u8]], at: &[u64]) -> Vec<String> {
        let (mut lines, mut said) = (Lines::default(), Vec::new());
        let mut last = Moment::ZERO;
        for (piece, ms) in pieces.iter().zip(at.iter().chain(std::iter::repeat(&0))) {
            last = Moment::from_nanos(ms * 1_000_000).max(last);
            lines.push(piece, last, |line| said.push(line.to_owned()));
        }
        lines.finish(last, |line| said.push(line.to_owned()));
        said
    }

    #[test]
    fn a_line_is_one_however_it_is_cut_and_can_move_no_cursor() {
        let pieces: [&[u8]; 4] = [b"a\x1b[2J", b"b\nsecond\n", b"", b"no end"];
        assert_eq!(
            said(&pieces, &[]),
            ["says \"a\\x1b[2Jb\"", "says \"second\"", "says \"no end\""]
        );
    }

    #[test]
    fn a_long_line_is_cut_and_its_rest_counted() {
        let long = vec![b'x'; PROGRAM_LINE_BYTES_MAX];
        let said = said(&[&long, b"yyy\nnext\n"], &[]);
        assert!(said[0].ends_with("x\" and 3 more bytes"), "{said:?}");
        assert_eq!(said[1], "says \"next\"");
    }

    #[test]
    fn more_lines_than_a_second_shows_are_counted_and_said_later() {
        let many = b"line\n".repeat(PROGRAM_LINES_MAX as usize + 5);
        let said = said(&[&many, b"later\n"], &[0, 1_500]);
        assert_eq!(said.len(), PROGRAM_LINES_MAX as usize + 2);
        assert_eq!(
            said[PROGRAM_LINES_MAX as usize],
            "said 5 more lines, which are not shown"
        );
        assert_eq!(said.last().unwrap(), "says \"later\"");
    }
}
