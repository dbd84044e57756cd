//! The log and the table: whatever happens to them, the server goes on serving; and what they say.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::client::read_all;
use crate::support::process::descendants;
use crate::support::server::{Builder, Server};
use crate::support::stream::Client;
use crate::support::{LIMIT, have, wait_until};

/// A server whose standard streams are the test's business; killed on drop.
struct Bare {
    child: Child,
    path: PathBuf,
    /// Its folder, and how it was to be started.
    builder: Builder,
}

impl Bare {
    /// Starts the server with streams as `prepare` sets them; ready when its path is there.
    fn start(wrapper: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        Self::start_at("debug", wrapper, prepare)
    }

    /// The same at another level of the log.
    fn start_at(level: &str, wrapper: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        let builder = Builder::new(&["echo=unix:DIR/echo.sock"]);
        let builder = builder.wrapped(wrapper).log(level);
        let path = builder.folder().join("echo.sock");
        let mut command = builder.command();
        prepare(&mut command);
        let child = command.spawn().unwrap();
        wait_until("the socket path", || UnixStream::connect(&path).is_ok());
        Self {
            child,
            path,
            builder,
        }
    }

    /// A whole conversation. It makes two records in the log at `debug`, and at `trace` two more
    /// that show the bytes, in 10 kB of text.
    fn converse(&self) {
        let mut client = UnixStream::connect(&self.path).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        client.write_all(&[b'x'; 1_000]).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(read_all(&mut client), [b'x'; 1_000]);
    }

    /// A storm of conversations; all are served, and then the server is still itself.
    fn storm(&mut self, count: usize) {
        for _ in 0..count {
            self.converse();
        }
        assert!(
            self.child.try_wait().unwrap().is_none(),
            "the server has ended"
        );
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // The lowest first: a relay that is killed may leave the server behind.
        for pid in descendants(Pid::from_child(&self.child)).into_iter().rev() {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// The lines of a stream as they come, so that waiting for one can have a limit.
fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        // The test may have gone before the stream's end.
        let _ = lines
            .map(|line| sender.send(line.trim_end().to_owned()))
            .find(Result::is_err);
    });
    receiver
}

/// Reads until `records` are accounted for, shown or said to be lost; returns how many are lost.
/// Every record of a conversation names it, and may have many lines.
fn wait_for_all(lines: &Receiver<String>, records: usize) -> usize {
    let (mut shown, mut lost) = (0, 0);
    while shown + lost < records {
        let line = lines.recv_timeout(LIMIT).unwrap_or_else(|_| {
            panic!("of {records} records {shown} are shown and {lost} said to be lost")
        });
        shown += usize::from(line.contains("echo #"));
        if let Some(rest) = line.strip_prefix("... ")
            && let Some(count) = rest.strip_suffix(" lines lost here: nobody read them in time")
        {
            lost += count.parse::<usize>().unwrap();
        }
    }
    eprintln!("{shown} records shown, {lost} lost");
    lost
}

#[test]
fn a_terminal_stopped_with_ctrl_s_does_not_stop_the_server() {
    const XOFF: &[u8] = b"\x13";
    const XON: &[u8] = b"\x11";
    if !have("python3") {
        return;
    }
    let relay = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/terminal.py");
    let mut server = Bare::start_at("trace", &["python3", relay], |command| {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
    });
    let mut keyboard = server.child.stdin.take().unwrap();
    let screen = lines_of(server.child.stdout.take().unwrap());
    while screen.recv_timeout(LIMIT).unwrap() != "ready" {}
    keyboard.write_all(XOFF).unwrap();
    server.storm(2_500);
    keyboard.write_all(XON).unwrap();
    // Four records for each conversation.
    assert!(wait_for_all(&screen, 10_000) > 0, "the storm was too small");
    server.storm(1);
}

#[test]
fn closed_and_full_standard_streams_do_not_stop_the_server() {
    for redirection in [
        ">&-",
        "2>&-",
        "<&-",
        "<&- >&- 2>&-",
        ">/dev/full",
        "2>/dev/full",
        ">/dev/full 2>&1",
    ] {
        let script = format!("exec \"$0\" \"$@\" {redirection}");
        let mut server = Bare::start(&["sh", "-c", &script], |_| {});
        server.storm(50);
    }
}

#[test]
fn a_wrong_level_is_said_in_the_log_and_ends_nothing() {
    let wrong = "switchboard=loud=er";
    for redirection in ["2>/dev/full", "2>&-"] {
        let script = format!("exec \"$0\" \"$@\" {redirection}");
        Bare::start_at(wrong, &["sh", "-c", &script], |_| {}).storm(1);
    }
    let server = Builder::new(&["echo=unix:DIR/echo.sock"]).log(wrong);
    let server = server.start();
    server.wait_for_log("WARN ] RUST_LOG: ");
    server.stop();
}

#[test]
fn a_reader_of_one_line_does_not_stop_the_server() {
    let mut server = Bare::start(&[], |command| {
        command.stderr(Stdio::piped());
    });
    for stream in [
        Box::new(server.child.stdout.take().unwrap()) as Box<dyn Read>,
        Box::new(server.child.stderr.take().unwrap()),
    ] {
        // As `head -1` does: read a line and go. The pipe is broken from then on.
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'));
        server.storm(50);
    }
}

#[test]
fn a_pipe_that_nobody_reads_does_not_stop_the_server() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut server = Bare::start_at("trace", &[], |command| {
        command.stderr(writer);
    });
    server.storm(2_500);
    // Whoever reads at last is told what is missing.
    assert!(
        wait_for_all(&lines_of(reader), 10_000) > 0,
        "the storm was too small"
    );
    server.storm(1);
}

#[test]
fn a_full_pipe_that_does_not_block_does_not_stop_the_server() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    ioctl_fionbio(writer.as_fd(), true).unwrap();
    while writer.write(&[b'.'; 4096]).is_ok() {}
    let both = writer.try_clone().unwrap();
    let mut server = Bare::start(&[], |command| {
        command.stdout(both).stderr(writer);
    });
    server.storm(500);
    // It waits for room, and says everything once there is some.
    let lines = lines_of(reader);
    while lines.recv_timeout(LIMIT).unwrap() != "ready" {}
    server.storm(1);
}

#[test]
fn a_log_file_at_its_size_limit_does_not_stop_the_server() {
    const LIMIT_BYTES: u64 = 20_000;
    if !have("prlimit") {
        return;
    }
    let wrapper = format!("--fsize={LIMIT_BYTES}");
    let mut server = Bare::start(&["prlimit", &wrapper], |_| {});
    server.storm(1_000);
    let log = server.builder.folder().join("log");
    assert_eq!(fs::metadata(&log).unwrap().len(), LIMIT_BYTES);
}

#[test]
fn a_client_cannot_forge_the_log() {
    let server = Server::start(&["slot=tcp://127.0.0.1:0?delay=1ms", "sum=tcp://127.0.0.1:0"]);
    let mut slot = Client::tcp(&server, "slot");
    slot.write_all(b"\x1b[2J\x07\r\xe2\x80\xaeevil\n").unwrap();
    read_all(&mut slot);
    drop(slot);
    let mut sum = Client::tcp(&server, "sum");
    sum.write_all(b"\x1b]0;owned\x07\n[2026-01-01 INFO ] forged\r\r\n\x7f\n0\n")
        .unwrap();
    sum.half_close();
    read_all(&mut sum);
    wait_until("both ends", || {
        server.log().matches("closed after").count() == 2
    });
    let log = fs::read(server.folder().join("log")).unwrap();
    assert!(log.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n')));
    let log = server.log();
    assert!(log.contains(r"\x1b[2J\x07\r\xe2\x80\xaeevil"), "{log}");
    assert!(log.lines().all(|line| line.starts_with("[20")), "{log}");
    assert!(
        log.lines()
            .all(|line| !line.starts_with("[2026-01-01 INFO ]")),
        "{log}"
    );
    server.stop();
}

#[test]
fn trace_shows_the_bytes_of_both_ways() {
    let server = Builder::new(&["sum=tcp://127.0.0.1:0"])
        .log("trace")
        .start();
    let mut client = Client::tcp(&server, "sum");
    client.write_all(b"5\n-7\n0\n").unwrap();
    read_all(&mut client);
    drop(client);
    server.wait_for_log("closed after");
    let log = server.log();
    assert!(
        log.contains("sum #1 receives\n      0000  35 0a 2d 37 0a 30 0a "),
        "{log}"
    );
    assert!(
        log.contains("sum #1 sends\n      0000  52 65 73 75 6c 74 20 3d 20 2d 32 0a "),
        "{log}"
    );
    server.stop();
}

/// The line that tells of the end of connection 1, from its service on.
fn closing_line(server: &Server) -> String {
    let mut found = None;
    wait_until("the closing line", || {
        let log = server.log();
        let line = log.lines().find(|line| line.contains(": closed after "));
        found = line.map(|line| line.split_once("INFO ] ").unwrap().1.to_owned());
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn the_closing_line_says_who_how_long_how_much_and_why() {
    for (service, input, end) in [
        (
            "echo",
            "every byte",
            "s, 10 bytes in, 10 bytes out: the client ended it",
        ),
        (
            "sum",
            "5\n0\n",
            "s, 4 bytes in, 11 bytes out: the server ended it: the answer was sent",
        ),
        (
            "slot",
            "\n",
            "bytes out: the server ended it: the message was empty",
        ),
    ] {
        let server = Builder::new(&[&format!("{service}=tcp://127.0.0.1:0")])
            .log("info")
            .start();
        let mut client = server.connect(service);
        client.write_all(input.as_bytes()).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        read_all(&mut client);
        let line = closing_line(&server);
        let begin = format!(
            "{service} #1 {}: closed after 0.",
            client.local_addr().unwrap()
        );
        assert!(line.starts_with(&begin), "{line}");
        assert!(line.ends_with(end), "{line}");
        server.stop();
    }
}

#[test]
fn a_warning_of_the_start_is_shown_at_once() {
    let arguments = ["--max-connections", "99999999", "echo=unix:DIR/echo.sock"];
    // A writer whose thread happens to start late finds the line without being woken.
    for _ in 0..20 {
        let server = Server::start(&arguments);
        // Nobody connects, so the loop sleeps all the time.
        server.wait_for_log("the descriptor limit allows");
        server.stop();
    }
}

#[test]
fn what_stdin_is_makes_no_difference() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(writer);
    let regular = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    for stdin in [Stdio::from(reader), Stdio::from(regular), Stdio::null()] {
        let mut server = Bare::start(&[], |command| {
            command.stdin(stdin);
        });
        server.storm(10);
    }
}

/// Whether this system lets a thread have its own table of descriptors; some containers do not.
fn tables_can_be_apart() -> bool {
    thread::spawn(|| nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES).is_ok())
        .join()
        .unwrap()
}

#[test]
fn the_writers_hold_no_socket_of_the_loop_and_take_no_signal() {
    let server = Server::start(&["echo=unix:DIR/echo.sock"]);
    let threads = format!("/proc/{}/task", server.pid());
    let writers = fs::read_dir(threads).unwrap().filter_map(|thread| {
        let thread = thread.unwrap().path();
        let name = fs::read_to_string(thread.join("comm")).unwrap();
        name.starts_with("write-").then_some(thread)
    });
    let mut count = 0;
    for writer in writers {
        count += 1;
        let open = fs::read_dir(writer.join("fd")).unwrap();
        let open: Vec<PathBuf> = open
            .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
            .collect();
        // The poller is opened before any socket.
        let poller = PathBuf::from("anon_inode:[eventpoll]");
        assert_ne!(open.contains(&poller), tables_can_be_apart(), "{open:?}");
        // So it must not run the handler of a signal, which writes to a descriptor.
        let status = fs::read_to_string(writer.join("status")).unwrap();
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
        let blocked = u64::from_str_radix(blocked.unwrap().trim(), 16).unwrap();
        for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::USR1] {
            assert!(blocked >> (signal.as_raw() - 1) & 1 == 1, "{signal:?}");
        }
    }
    assert_eq!(count, 2);
    server.stop();
}
