//! Passwords: typed without echo, or from a file; and a terminal that is put back in any case.
//!
//! [`Quiet`] holds the echo off while it is dropped, ended, or a signal comes. It leaves the
//! terminal's own editing of lines alone (erase, kill), and knows no server: whoever waits with
//! poll(2) watches it too, and calls [`Quiet::attend`].

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::sys::signal::{SigSet, Signal};
use rustix::net::{RecvFlags, recv};
use rustix::process::{getppid, getsid};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGSTOP, SIGTERM, SIGTSTP};
use signal_hook::{flag, low_level};
use zeroize::Zeroizing;

use super::Failure;
use crate::config::limits::LOCKER_PASSWORD_BYTES_MAX;
use crate::exit::words;
use crate::wire::Readable;
use crate::wire::locker::check_password;

/// A password; overwritten when it is dropped.
pub type Password = Zeroizing<Vec<u8>>;

/// The first line of a file, checked; everything that is wrong with it is a usage failure.
pub fn from_file(path: &Path) -> Result<Password, Failure> {
    let usage = |why: &dyn std::fmt::Display| {
        let shown = Readable(path.as_os_str().as_encoded_bytes()).to_string();
        Failure::Usage(format!("{shown}: {why}"))
    };
    // With room for the line end, and a byte more, which tells that it is too long.
    let limit = LOCKER_PASSWORD_BYTES_MAX + 3;
    let mut text = Zeroizing::new(Vec::with_capacity(2 * limit));
    let file = File::open(path).map_err(|error| usage(&words(&error)))?;
    let mut file = file.take(u64::try_from(limit).unwrap_or(u64::MAX));
    file.read_to_end(&mut text)
        .map_err(|error| usage(&words(&error)))?;
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    check_password(line).map_err(|why| usage(&format!("the {why}")))?;
    Ok(Zeroizing::new(line.to_vec()))
}

/// Standard input as a terminal without echo, and the signals that would leave it so.
///
/// While the echo is off, SIGINT, SIGTERM, SIGHUP and SIGQUIT end the process once it is on
/// again, as they would have. At other times they end it at once. Ctrl-Z stops it with the
/// echo on, and the echo is off again when it goes on.
#[derive(Debug)]
pub struct Quiet {
    /// How the terminal was, while its echo is off.
    saved: Option<Termios>,
    /// Readable once a signal has come.
    told: UnixStream,
    /// No echo is off: a signal may do what it does by itself.
    is_plain: Arc<AtomicBool>,
    /// The signal that is to end the process, or 0.
    last: Arc<AtomicUsize>,
    /// The process is to stop.
    stops: Arc<AtomicBool>,
}

impl Quiet {
    /// Takes the signals over, for the rest of the process; the echo stays as it is.
    pub fn install() -> io::Result<Self> {
        let (told, tell) = UnixStream::pair()?;
        let is_plain = Arc::new(AtomicBool::new(true));
        let (last, stops) = (Arc::default(), Arc::default());
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
            flag::register_conditional_default(signal, Arc::clone(&is_plain))?;
            let number = usize::try_from(signal).unwrap_or_default();
            flag::register_usize(signal, Arc::clone(&last), number)?;
            low_level::pipe::register(signal, tell.try_clone()?)?;
        }
        flag::register(SIGTSTP, Arc::clone(&stops))?;
        low_level::pipe::register(SIGTSTP, tell)?;
        Ok(Self {
            saved: None,
            told,
            is_plain,
            last,
            stops,
        })
    }

    /// Turns the echo off; what was typed before is thrown away, for it was shown.
    pub fn begin(&mut self) -> io::Result<()> {
        let saved = tcgetattr(io::stdin())?;
        // First, so that no signal comes between that nobody attends to.
        self.is_plain.store(false, Ordering::SeqCst);
        let quiet = without_echo(&saved);
        self.saved = Some(saved);
        let begun = tcsetattr(io::stdin(), OptionalActions::Flush, &quiet);
        if begun.is_err() {
            self.end(true);
        }
        Ok(begun?)
    }

    /// Puts the terminal back. Where no whole line was read, what was typed of it is thrown away:
    /// a shell would take half a password for a command.
    pub fn end(&mut self, has_line: bool) {
        self.put_back(match has_line {
            true => OptionalActions::Now,
            false => OptionalActions::Flush,
        });
        self.is_plain.store(true, Ordering::SeqCst);
        self.die_if_told();
    }

    /// Does what the signals ask for that have come.
    pub fn attend(&mut self) {
        let mut bytes = [0; 64];
        while let Ok((1.., _)) = recv(&self.told, &mut bytes[..], RecvFlags::DONTWAIT) {}
        self.die_if_told();
        if self.stops.swap(false, Ordering::SeqCst) {
            self.stop();
        }
    }

    fn die_if_told(&mut self) {
        let signal = self.last.swap(0, Ordering::SeqCst);
        if signal == 0 {
            return;
        }
        self.put_back(OptionalActions::Flush);
        // It does not come back: all of these end a process.
        let _ = low_level::emulate_default_handler(i32::try_from(signal).unwrap_or(SIGTERM));
    }

    /// Stops as SIGTSTP would, and comes back when the shell lets it go on.
    fn stop(&mut self) {
        // Without a shell of our session nobody would ever let it go on (a kiosk in place of a
        // login): the kernel ignores SIGTSTP there, and so do we.
        let has_shell = getppid().is_some_and(|parent| {
            matches!((getsid(Some(parent)), getsid(None)), (Ok(theirs), Ok(ours)) if theirs == ours)
        });
        if !has_shell {
            return;
        }
        let quiet = self.saved.as_ref().map(without_echo);
        let saved = self.saved.clone();
        self.put_back(OptionalActions::Flush);
        let _ = low_level::raise(SIGSTOP);
        // Ended while it was stopped: the terminal belongs to the shell.
        self.die_if_told();
        if let Some(quiet) = quiet {
            self.saved = saved;
            // In the background this stops once more, until it is in the foreground.
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &quiet);
        }
    }

    fn put_back(&mut self, action: OptionalActions) {
        let Some(saved) = self.saved.take() else {
            return;
        };
        // With SIGTTOU blocked it is done in the background of a shell too, where the process
        // would stop for it, with a terminal that has no echo.
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGTTOU);
        let before = signals.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK);
        // A terminal that has gone needs nothing.
        let _ = tcsetattr(io::stdin(), action, &saved);
        if let Ok(before) = before {
            let _ = before.thread_set_mask();
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        self.end(false);
    }
}

impl AsFd for Quiet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.told.as_fd()
    }
}

/// Lines as before, not shown but for their end.
fn without_echo(terminal: &Termios) -> Termios {
    let mut quiet = terminal.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    quiet
        .local_modes
        .insert(LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
    quiet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let of = |text: &[u8]| {
            std::fs::write(&path, text).unwrap();
            from_file(&path).map(|password| password.to_vec())
        };
        assert_eq!(of(b"secret\n"), Ok(b"secret".to_vec()));
        assert_eq!(of(b"secret\r\nmore"), Ok(b"secret".to_vec()));
        assert_eq!(of(&[b'x'; 128]), Ok(vec![b'x'; 128]));
        for (text, why) in [
            (&b""[..], "the password is empty"),
            (b"\nx", "the password is empty"),
            (b"a b", "the password holds a blank and can't be sent"),
            (&[b'x'; 500], "the password has more than 128 bytes"),
        ] {
            let expected = format!("{}: {why}", path.display());
            assert_eq!(of(text), Err(Failure::Usage(expected)));
        }
        let none = from_file(&folder.path().join("none")).unwrap_err();
        assert!(none.to_string().ends_with("no such file or directory"));
    }
}
