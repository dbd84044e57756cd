//! Signals one by one: which are ignored, which are left alone, and what the others do.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;

use rustix::process::Signal;

use crate::support::client::start;
use crate::support::have;
use crate::support::process::has_signal;
use crate::support::server::{Builder, Server};
use crate::support::wait_until;

/// The server answers.
#[track_caller]
fn assert_serves(server: &Server) {
    let mut socket = server.connect("echo");
    socket.write_all(b"x").unwrap();
    let mut byte = [0; 1];
    socket.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"x");
}

#[test]
fn a_hang_up_that_was_ignored_at_the_start_stays_ignored() {
    let wrappers: [&[&str]; 2] = [&["nohup"], &["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"]];
    for wrapper in wrappers {
        let server = Builder::new(&["echo=tcp://127.0.0.1:0"])
            .wrapped(wrapper)
            .start();
        assert!(
            has_signal(server.pid(), "SigIgn", Signal::HUP),
            "{wrapper:?}"
        );
        server.signal(Signal::HUP);
        assert_serves(&server);
        // Signals of a lower number come first: had HUP been caught, it would be in the log by now.
        server.signal(Signal::USR1);
        server.wait_for_log(" of at most ");
        assert!(!server.log().contains("SIGHUP"), "{}", server.log());
        server.stop();
    }
}

#[test]
fn broken_pipes_are_ignored_and_a_quit_is_left_alone() {
    let builder = Builder::new(&["echo=tcp://127.0.0.1:0"]).wrapped(&["prlimit", "--core=0"]);
    let mut server = builder.start();
    let pid = server.pid();
    assert!(has_signal(pid, "SigIgn", Signal::PIPE));
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::USR1] {
        assert!(has_signal(pid, "SigCgt", signal), "{signal:?}");
        assert!(!has_signal(pid, "SigIgn", signal), "{signal:?}");
    }
    for mask in ["SigIgn", "SigCgt", "SigBlk"] {
        assert!(!has_signal(pid, mask, Signal::QUIT), "{mask}");
    }
    server.signal(Signal::PIPE);
    assert_serves(&server);
    server.signal(Signal::QUIT);
    assert_eq!(server.wait().signal(), Some(Signal::QUIT.as_raw()));
}

#[test]
fn usr1_prints_a_table_of_listeners_and_connections() {
    let server = Server::start(&[
        "echo=tcp://127.0.0.1:0",
        "slot=unix:DIR/slot?delay=60s",
        "--grace",
        "0",
    ]);
    assert_serves(&server);
    server.wait_for_log("closed after");
    let mut waiting = server.connect_unix("slot");
    waiting.write_all(b"hello\n").unwrap();
    let echoing = server.connect("echo");
    server.wait_for_log("#3 ");
    server.wait_for_log("stored");
    server.signal(Signal::USR1);
    server.wait_for_log("connection echo #3 ");
    let log = server.log();
    let path = server.unix("slot");
    for line in [
        "2 connections of at most ".to_owned(),
        ", 3 taken in all, ".to_owned(),
        format!("listener echo tcp://{} open, 2 taken\n", server.tcp("echo")),
        format!("listener slot unix:{} open, 1 taken\n", path.display()),
        format!("connection slot #2 process {} of user ", std::process::id()),
        " 6 bytes in, 0 bytes out, 0 unsent\n".to_owned(),
        format!(
            "connection echo #3 {} open, for ",
            echoing.local_addr().unwrap()
        ),
    ] {
        assert!(log.contains(&line), "no {line:?} in\n{log}");
    }
    drop((waiting, echoing));
    server.stop();
}

/// Connects to a path several times, says so, reads all connections to their end, and prints how
/// often the signal came.
const NOTIFIED: &str = "
import signal, socket, sys
path, catch = sys.argv[1], sys.argv[2]
count = 0
def caught(*_):
    global count
    count += 1
if catch == 'catch':
    signal.signal(signal.SIGUSR1, caught)
sockets = []
for _ in range(5):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    sockets.append(s)
said = b''
for s in sockets:
    while part := s.recv(4096):
        said += part
print(count, said.count(b'bye: the server is shutting down\\n'))
";

#[test]
fn each_process_behind_a_notifying_listener_gets_usr1_once() {
    if !have("python3") {
        return;
    }
    let mut server = Server::start(&["sum=unix:DIR/notifying?notify=usr1", "sum=unix:DIR/quiet"]);
    let endpoints = server.endpoints("sum");
    let path = |place: usize| endpoints[place].strip_prefix("unix:").unwrap();
    let clients: Vec<_> = [(0, "catch"), (0, "catch"), (0, "die"), (1, "die")]
        .into_iter()
        .map(|(place, catch)| start("python3", &["-c", NOTIFIED, path(place), catch], b""))
        .collect();
    wait_until("20 connections", || {
        server.log().matches(": opened").count() == 20
    });
    server.signal(Signal::INT);
    let outputs: Vec<_> = clients.into_iter().map(|client| client.finish()).collect();
    let said: Vec<_> = outputs
        .iter()
        .map(|o| String::from_utf8_lossy(&o.stdout))
        .collect();
    assert_eq!(said[0], "1 5\n", "{outputs:?}");
    assert_eq!(said[1], "1 5\n", "{outputs:?}");
    // Who does not catch it is ended by it: it is a signal, and no message.
    assert_eq!(
        outputs[2].status.signal(),
        Some(Signal::USR1.as_raw()),
        "{outputs:?}"
    );
    assert_eq!(
        said[3], "0 5\n",
        "a listener without the option: {outputs:?}"
    );
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}

#[test]
fn a_process_with_several_connections_is_signalled_by_one_call() {
    if !have("python3") || !have("strace") {
        return;
    }
    // Signals that come close together are merged on their way, so the calls are counted here.
    let builder = Builder::new(&["sum=unix:DIR/sum?notify=usr1"]);
    let trace = builder.folder().join("trace");
    let output = trace.display().to_string();
    let wrapper = ["strace", "-o", &output, "-e", "trace=pidfd_send_signal"];
    let mut server = builder.wrapped(&wrapper).start();
    let path = server.unix("sum").display().to_string();
    let clients = [(); 2].map(|()| start("python3", &["-c", NOTIFIED, &path, "catch"], b""));
    wait_until("10 connections", || {
        server.log().matches(": opened").count() == 10
    });
    server.signal(Signal::INT);
    for client in clients {
        let output = client.finish();
        assert_eq!(output.stdout, b"1 5\n", "{output:?}");
    }
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    let trace = fs::read_to_string(trace).unwrap();
    assert_eq!(trace.matches("pidfd_send_signal(").count(), 2, "{trace}");
}

#[test]
fn a_server_in_the_background_of_a_shell_that_ignores_interrupts_is_still_terminated() {
    let wrapper = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"];
    let mut server = Builder::new(&["echo=unix:DIR/echo"])
        .wrapped(&wrapper)
        .start();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    let left = fs::read_dir(server.folder()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["log"]);
}
