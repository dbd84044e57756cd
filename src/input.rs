//! Standard input, read by a thread of its own, so that the loop never waits for it.
//!
//! A terminal, a pipe or a file can't be asked to be non-blocking: the flag would belong to
//! whoever shares it, the shell among them. So a thread reads and hands lines over, a bounded
//! number of them, and wakes the loop. It knows neither loop nor service.
//!
//! On a terminal it reads only while the process is in the foreground. Otherwise what is typed is
//! the shell's, and a read would stop the whole process (SIGTTIN, termios(3)). Read `follow`
//! first, then `Terminal`.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::termios::{isatty, tcgetpgrp};

use crate::config::limits::{
    INPUT_BACKGROUND, INPUT_DROPPED_BYTES_MAX, INPUT_LINE_BYTES_MAX, INPUT_LINES_MAX,
};

/// What comes from standard input.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// A line, without its newline.
    Line(String),
    /// The end was typed on a terminal (Ctrl-D), from which more may come.
    Eof,
    /// Nothing will ever come again: the end of a pipe or file, or a terminal that has gone.
    Ended,
}

/// Starts to read standard input; `wake` is called when there is something to receive.
///
/// # Errors
/// Where the system refuses a thread.
pub fn start(wake: impl Fn() + Send + 'static) -> io::Result<Receiver<Typed>> {
    let (sender, receiver) = sync_channel(INPUT_LINES_MAX);
    let hand_over = Handover { sender, wake };
    thread::Builder::new()
        .name("read-stdin".to_owned())
        .spawn(move || {
            follow(rustix::stdio::stdin(), &hand_over);
            hand_over.give(Typed::Ended);
        })?;
    Ok(receiver)
}

/// The way to the loop.
struct Handover<W> {
    sender: SyncSender<Typed>,
    wake: W,
}

impl<W: Fn()> Handover<W> {
    /// Waits where the loop has not taken the lines before; false where nobody takes them any more.
    fn give(&self, typed: Typed) -> bool {
        let given = self.sender.send(typed).is_ok();
        if given {
            (self.wake)();
        }
        given
    }
}

/// What one try to read gave.
enum Got {
    /// That many bytes.
    Bytes(usize),
    /// The end of what there is; on a terminal more may come.
    Eof,
    /// Nothing yet: it is to be tried again at once.
    Again,
    /// Nothing ever again.
    Gone,
}

/// Reads to the end.
fn follow<W: Fn()>(stdin: BorrowedFd<'_>, hand_over: &Handover<W>) {
    let mut terminal = isatty(stdin).then(|| Terminal::new(stdin));
    let mut lines = Lines::default();
    let mut buffer = [0; INPUT_LINE_BYTES_MAX];
    loop {
        let got = match &mut terminal {
            Some(terminal) => terminal.read(&mut buffer),
            None => read(stdin, &mut buffer),
        };
        let going_on = match got {
            Got::Bytes(count) => {
                lines.feed(&buffer[..count], |line| hand_over.give(Typed::Line(line)))
            }
            Got::Eof if terminal.is_some() => match lines.last() {
                Some(line) => hand_over.give(Typed::Line(line)),
                None => hand_over.give(Typed::Eof),
            },
            Got::Again => true,
            Got::Eof | Got::Gone => {
                if let Some(line) = lines.last() {
                    hand_over.give(Typed::Line(line));
                }
                false
            }
        };
        if !going_on {
            return;
        }
    }
}

/// One read of something that is no terminal.
fn read(stdin: BorrowedFd<'_>, buffer: &mut [u8]) -> Got {
    match rustix::io::read(stdin, buffer) {
        Ok(0) => Got::Eof,
        Ok(count) => Got::Bytes(count),
        Err(Errno::INTR) => Got::Again,
        // Whoever shares the pipe has made it non-blocking.
        Err(Errno::AGAIN) => match wait(stdin, PollFlags::IN, None) {
            Ok(_) => Got::Again,
            Err(_) => Got::Gone,
        },
        Err(_) => Got::Gone,
    }
}

/// What the terminal is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    /// It is ours and what is typed is for us; or it is no controlling terminal, and may be read.
    Foreground,
    /// It is ours, and another job has the keyboard.
    Background,
    /// It was ours, and is no longer.
    Lost,
}

struct Terminal<'a> {
    stdin: BorrowedFd<'a>,
    /// It is, or has been, our controlling terminal.
    controlling: bool,
}

impl<'a> Terminal<'a> {
    fn new(stdin: BorrowedFd<'a>) -> Self {
        // For this thread only: with SIGTTIN blocked, a read in the background fails (EIO) instead
        // of stopping the process. The look at the job before each read leaves a moment between
        // the two; and where another process takes what was typed, the read waits, and the kernel
        // begins it anew after Ctrl-Z and `bg`.
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGTTIN);
        // It fails for wrong arguments only.
        let _ = signals.thread_block();
        Self {
            stdin,
            controlling: tcgetpgrp(stdin).is_ok(),
        }
    }

    fn job(&self) -> Job {
        match tcgetpgrp(self.stdin) {
            Ok(foreground) if foreground == getpgrp() => Job::Foreground,
            Ok(_) => Job::Background,
            Err(_) if self.controlling => Job::Lost,
            Err(_) => Job::Foreground,
        }
    }

    /// Waits until something is typed that is for us, and reads it.
    fn read(&mut self, buffer: &mut [u8]) -> Got {
        match self.job() {
            Job::Lost => return Got::Gone,
            Job::Background => return self.rest(),
            Job::Foreground => {}
        }
        match wait(self.stdin, PollFlags::IN, None) {
            Err(_) => return Got::Gone,
            // What was typed before the terminal went is still read.
            Ok(found) if found.contains(PollFlags::IN) => {}
            Ok(found) if is_gone(found) => return Got::Gone,
            Ok(_) => return Got::Again,
        }
        // The wait may have been long.
        match self.job() {
            Job::Foreground => {}
            Job::Lost => return Got::Gone,
            Job::Background => return self.rest(),
        }
        match rustix::io::read(self.stdin, buffer) {
            Ok(count) if count > 0 => Got::Bytes(count),
            Err(Errno::INTR | Errno::AGAIN) => Got::Again,
            // A typed end, or the end of the terminal itself, after which reads give nothing else.
            Ok(_) => match wait(self.stdin, PollFlags::empty(), Some(Duration::ZERO)) {
                Ok(found) if !is_gone(found) => Got::Eof,
                _ => Got::Gone,
            },
            // In the background since the last look, or the terminal has gone.
            Err(Errno::IO) => self.rest(),
            Err(_) => Got::Gone,
        }
    }

    /// Lets the time pass after which the job is looked at again, or less if the terminal goes.
    fn rest(&self) -> Got {
        match wait(self.stdin, PollFlags::empty(), Some(INPUT_BACKGROUND)) {
            Ok(found) if !is_gone(found) => Got::Again,
            _ => Got::Gone,
        }
    }
}

fn is_gone(found: PollFlags) -> bool {
    found.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)
}

/// Waits for one of `wanted`, or for the end of the terminal, which needs no asking for.
fn wait(
    stdin: BorrowedFd<'_>,
    wanted: PollFlags,
    limit: Option<Duration>,
) -> io::Result<PollFlags> {
    let limit = limit.map(|limit| Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    });
    let mut asked = [PollFd::new(&stdin, wanted)];
    match poll(&mut asked, limit.as_ref()) {
        Ok(_) => Ok(asked[0].revents()),
        Err(Errno::INTR) => Ok(PollFlags::empty()),
        Err(errno) => Err(errno.into()),
    }
}

/// Bytes to lines. What is longer than the limit is cut there, and its rest thrown away; what has
/// no end at all (`/dev/zero`) is given up, because no operator types that.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
    /// Bytes of the present line that were thrown away.
    dropped: usize,
}

impl Lines {
    /// Gives every whole line to `take`, until that says false or a line has no end; says whether
    /// it is worth reading on.
    fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(String) -> bool) -> bool {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, whole) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let taken = text.len().min(INPUT_LINE_BYTES_MAX - self.line.len());
            self.line.extend_from_slice(&text[..taken]);
            self.dropped += text.len() - taken;
            if self.dropped > INPUT_DROPPED_BYTES_MAX {
                return false;
            }
            if whole && !self.last().is_none_or(&mut take) {
                return false;
            }
        }
        true
    }

    /// The line as far as it has come, if there is any of it.
    fn last(&mut self) -> Option<String> {
        self.dropped = 0;
        let line = std::mem::take(&mut self.line);
        (!line.is_empty()).then(|| String::from_utf8_lossy(&line).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_given_up() {
        let mut lines = Lines::default();
        let zeros = [0; INPUT_LINE_BYTES_MAX];
        let reads = (0..).take_while(|_| lines.feed(&zeros, |_| true)).count();
        assert_eq!(reads, 1 + INPUT_DROPPED_BYTES_MAX / zeros.len());
        // A long line that does end is no such thing, nor are many of them.
        let mut lines = Lines::default();
        for _ in 0..3 {
            assert!(lines.feed(&vec![b'x'; INPUT_DROPPED_BYTES_MAX], |_| true));
            assert!(lines.feed(b"\n", |_| true));
        }
    }

    #[test]
    fn lines_come_out_whole_cut_at_the_limit_and_without_empty_ones() {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        let mut take = |line| {
            found.push(line);
            true
        };
        lines.feed(b"on", &mut take);
        lines.feed(b"e\ntwo\r\n\n\xff\nth", &mut take);
        lines.feed(&[b'x'; 3 * INPUT_LINE_BYTES_MAX], &mut take);
        lines.feed(b"y\nend", &mut take);
        assert_eq!(found[..3], ["one", "two\r", "\u{fffd}"]);
        assert_eq!(found[3].len(), INPUT_LINE_BYTES_MAX);
        assert!(found[3].starts_with("thx") && found[3].ends_with('x'));
        assert_eq!(lines.last().as_deref(), Some("end"));
        assert_eq!(lines.last(), None);
    }

    #[test]
    fn nothing_is_taken_once_nobody_wants_it() {
        let mut taken = 0;
        let going_on = Lines::default().feed(b"a\nb\nc\n", |_| {
            taken += 1;
            taken < 2
        });
        assert!(!going_on && taken == 2);
    }

    #[test]
    fn a_pipe_is_read_to_its_end_and_its_last_line_needs_no_newline() {
        use std::io::Write as _;
        use std::os::fd::AsFd as _;
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"one\ntwo").unwrap();
        drop(writer);
        let (sender, receiver) = sync_channel(INPUT_LINES_MAX);
        follow(
            reader.as_fd(),
            &Handover {
                sender,
                wake: || {},
            },
        );
        let typed: Vec<_> = receiver.try_iter().collect();
        assert_eq!(
            typed,
            ["one", "two"].map(|line| Typed::Line(line.to_owned()))
        );
    }
}
