//! The operator's dialogue, on a pseudo-terminal and with every other kind of standard input.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use crate::support::client::read_all;
use crate::support::operator::Operated;
use crate::support::process::{cpu_time, state, switches};
use crate::support::server::Builder;
use crate::support::socket::{Kind, Socket};
use crate::support::terminal::{HOLDER, Terminal};
use crate::support::{have, wait_until};

const TALK: &str = "talk=tcp://127.0.0.1:0";
const NOBODY: &[u8] = b"error: nobody is there to answer\n";

/// Says a line and waits until the operator sees it.
fn say(terminal: &Terminal, text: &str) -> TcpStream {
    let mut client = terminal.connect("talk");
    client.write_all(format!("{text}\n").as_bytes()).unwrap();
    terminal.wait_for(&format!(": {text}\n"));
    client
}

#[test]
fn the_operator_answers_the_oldest_and_anybody_by_number() {
    if !have("python3") {
        return;
    }
    let mut terminal = Terminal::serve(&[TALK]);
    let mut first = say(&terminal, "one");
    let mut second = say(&terminal, "two");
    let mut third = terminal.connect("talk");
    third.write_all(b"hello server").unwrap();
    terminal.wait_for(": hello server\n");
    terminal.types(r"@2 for the second\n");
    assert_eq!(read_all(&mut second), b"for the second\n");
    terminal.types(r"for the first\nhello from server\n");
    assert_eq!(read_all(&mut first), b"for the first\n");
    assert_eq!(read_all(&mut third), b"hello from server");
    terminal.types(r"list\nhelp\nfoo\n");
    terminal.wait_for("@N         TEXT: answers client N");
    terminal.wait_for("help       shows these words; Ctrl-C ends the server\n");
    assert!(
        terminal
            .shown()
            .contains("answered #2\nanswered #1\nanswered #3\n")
    );
    // To `list`, and to an answer for nobody.
    wait_until("two such lines", || {
        let shown = terminal.shown();
        shown.matches("nobody waits for an answer\n").count() == 2
    });
    terminal.types(r"\x03");
    assert_eq!(terminal.ended(), Some(0));
}

#[test]
fn ctrl_d_changes_nothing_and_ctrl_c_ends_the_server_in_order() {
    if !have("python3") {
        return;
    }
    let mut terminal = Terminal::serve(&[TALK]);
    terminal.types(r"\x04");
    terminal.wait_for("Ctrl-D does not end the server; Ctrl-C does");
    let mut client = say(&terminal, "still there?");
    // The first one ends the line as it stands, the second one is an end again.
    terminal.types(r"yes\x04\x04");
    assert_eq!(read_all(&mut client), b"yes\n");
    let mut client = say(&terminal, "and now?");
    terminal.types(r"\x03");
    assert_eq!(read_all(&mut client), b"bye: the server is shutting down\n");
    assert_eq!(terminal.ended(), Some(0));
}

#[test]
fn what_a_client_sends_cannot_move_the_operators_cursor() {
    if !have("python3") {
        return;
    }
    let terminal = Terminal::serve(&[TALK]);
    let mut client = terminal.connect("talk");
    client
        .write_all(b"\x1b[2J\x1b]0;title\x07\x9b1m\r\x08over\x00\xff\n")
        .unwrap();
    terminal.wait_for("over");
    let shown = terminal.shown();
    let line = shown.lines().find(|line| line.contains("over")).unwrap();
    let (_, text) = line.split_once(": ").unwrap();
    assert_eq!(
        text,
        r"\u{1b}[2J\u{1b}]0;title\u{7}\x9b1m\r\u{8}over\u{0}\xff"
    );
    assert!(!shown.contains(['\u{1b}', '\u{7}', '\r', '\u{8}']));
}

#[test]
fn a_stopped_terminal_stops_nobody_but_its_reader() {
    if !have("python3") {
        return;
    }
    let mut terminal = Terminal::serve(&["talk=tcp://127.0.0.1:0?reply=yes"]);
    terminal.types(r"\x13");
    for _ in 0..1_000 {
        let mut client = terminal.connect("talk");
        client.write_all(b"hello\n").unwrap();
        assert_eq!(read_all(&mut client), b"yes\n");
    }
    terminal.types(r"\x11");
    terminal.wait_for("#1000 from ");
}

#[test]
fn a_client_that_breaks_off_is_told_to_the_operator() {
    if !have("python3") {
        return;
    }
    let mut terminal = Terminal::serve(&[TALK]);
    let client = say(&terminal, "one");
    rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    drop(client);
    terminal.wait_for("#1 has left without an answer\n");
    terminal.types(r"@1 too late\n");
    terminal.wait_for("#1 does not wait for an answer\n");
}

#[test]
fn one_that_had_ended_its_writing_and_then_goes_is_told_to_the_operator() {
    let operated = Operated::start(&[TALK, "talk=unix:DIR/talk.sock"]);
    for (number, kind) in (1..).zip(Kind::BOTH) {
        let mut client = kind.connect(&operated.server, "talk");
        client.write_all(b"one\n").unwrap();
        client.end_writing();
        operated.says(": one");
        // Over TCP only a reset tells that nobody waits any more.
        if let Socket::Tcp(stream) = &client {
            rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
        }
        drop(client);
        operated.says(&format!("#{number} has left without an answer"));
    }
    operated.server.stop();
}

#[test]
fn a_terminal_that_hangs_up_ends_the_server_or_only_its_console() {
    if !have("python3") {
        return;
    }
    let mut terminal = Terminal::serve(&[TALK]);
    terminal.hang_up();
    assert_eq!(terminal.ended(), Some(0), "SIGHUP is an orderly end");

    let mut terminal = Terminal::serve_without_hup(&[TALK, "echo=tcp://127.0.0.1:0"]);
    let pid = terminal.server_pid();
    let mut client = say(&terminal, "one");
    terminal.hang_up();
    assert_eq!(read_all(&mut client), NOBODY);
    drop(client);
    let mut client = terminal.connect("talk");
    client.write_all(b"two\n").unwrap();
    assert_eq!(read_all(&mut client), NOBODY);
    let mut echo = terminal.connect("echo");
    echo.write_all(b"still served").unwrap();
    echo.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut echo), b"still served");
    // The server lingers until they have gone.
    drop((client, echo));
    assert_quiet(pid);
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(terminal.ended(), Some(0));
}

/// No thread wakes up while nothing happens, and none has spun before.
fn assert_quiet(pid: rustix::process::Pid) {
    const WATCHED: Duration = Duration::from_millis(1_200);
    // What was under way before may end first.
    wait_until("a quiet moment", || {
        let before = switches(pid);
        let from = Instant::now();
        while from.elapsed() < WATCHED {
            std::thread::park_timeout(WATCHED);
        }
        switches(pid) == before
    });
    assert!(cpu_time(pid) < Duration::from_millis(500));
}

#[test]
fn an_idle_console_wakes_nobody() {
    if !have("python3") {
        return;
    }
    let terminal = Terminal::serve(&[TALK]);
    assert_quiet(terminal.server_pid());
}

#[test]
fn a_pipe_is_an_operator_until_it_ends() {
    let builder = Builder::new(&[TALK]);
    let mut command = builder.command();
    let mut server = builder.start_as(command.stdin(Stdio::piped()));
    let mut pipe = server.stdin();
    let mut stdout = server.stdout();
    let mut shown = [0; 4096];
    let mut first = server.connect("talk");
    first.write_all(b"one\n").unwrap();
    let count = stdout.read(&mut shown).unwrap();
    assert!(shown[..count].ends_with(b": one\n"));
    let mut second = server.connect("talk");
    second.write_all(b"two\n").unwrap();
    let count = stdout.read(&mut shown).unwrap();
    assert!(shown[..count].ends_with(b": two\n"));
    pipe.write_all(b"an answer without a newline").unwrap();
    drop(pipe);
    assert_eq!(read_all(&mut first), b"an answer without a newline\n");
    assert_eq!(read_all(&mut second), NOBODY);
    server.stop();
}

#[test]
fn without_an_operator_the_client_is_told_whatever_standard_input_is() {
    let lines = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(lines.path(), "to nobody\nto nobody\n").unwrap();
    let closed = ["sh", "-c", "exec \"$@\" <&-", "sh"];
    let open = |path: &std::path::Path| Stdio::from(File::open(path).unwrap());
    let inputs = [
        ("a file", open(lines.path()), &[][..]),
        ("a folder", open("/".as_ref()), &[]),
        ("/dev/null", Stdio::null(), &[]),
        ("closed", Stdio::null(), &closed),
    ];
    // At the same time, because each is watched for a while.
    std::thread::scope(|scope| {
        for (name, stdin, wrapper) in inputs {
            scope.spawn(move || {
                let builder = Builder::new(&[TALK]).wrapped(wrapper);
                let mut command = builder.command();
                let server = builder.start_as(command.stdin(stdin));
                server.wait_for_log("nobody is at the console");
                let mut client = server.connect("talk");
                client.write_all(b"hello\n").unwrap();
                assert_eq!(read_all(&mut client), NOBODY, "{name}");
                drop(client);
                assert_quiet(server.pid());
                server.stop();
            });
        }
    });
}

#[test]
fn the_answer_stands_in_the_log_at_trace_as_all_bytes_do() {
    let builder = Builder::new(&[TALK]).log("trace");
    let mut command = builder.command();
    let mut server = builder.start_as(command.stdin(Stdio::piped()));
    let mut pipe = server.stdin();
    let mut client = server.connect("talk");
    client.write_all(b"hello\n").unwrap();
    server.wait_for_log("talk #1 receives");
    pipe.write_all(b"answer\n").unwrap();
    assert_eq!(read_all(&mut client), b"answer\n");
    server.wait_for_log("talk #1 sends");
    server.stop();
}

#[test]
fn a_server_that_asks_the_operator_nothing_leaves_standard_input_alone() {
    let builder = Builder::new(&["echo=tcp://127.0.0.1:0"]);
    let mut command = builder.command();
    let mut server = builder.start_as(command.stdin(Stdio::piped()));
    let mut pipe = server.stdin();
    pipe.write_all(b"for somebody else\n").unwrap();
    let threads = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    assert_eq!(threads.count(), 3, "the loop and two writers");
    server.stop();
}

#[test]
fn in_the_background_of_a_shell_it_serves_and_in_the_foreground_it_reads() {
    if !have("python3") || !have("bash") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Terminal::start(
        Command::new(HOLDER[0])
            .arg(HOLDER[1])
            .args(["bash", "--norc", "--noprofile", "--noediting", "-i"])
            .env("PS1", "$ ")
            .env("RUST_LOG", "debug")
            .stderr(File::create(folder.path().join("log")).unwrap()),
    );
    let binary = env!("CARGO_BIN_EXE_switchboard");
    // The log on the terminal too: `tostop` stops whoever writes to it in the background.
    shell.types(&format!(
        r"stty tostop; {binary} serve {TALK} echo=tcp://127.0.0.1:0 2>&1 &\n"
    ));
    shell.wait_for("ready\n");
    let pid = shell.server_pid();
    let mut client = say(&shell, "one");
    shell.types(r"echo typed for the $0\n");
    shell.wait_for("typed for the bash\n");
    let mut echo = shell.connect("echo");
    echo.write_all(b"served").unwrap();
    echo.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut echo), b"served");
    assert!(!"Tt".contains(state(pid)), "it was stopped");

    shell.types(r"fg\n");
    shell.wait_for(" serve ");
    shell.types(r"from the foreground\n");
    assert_eq!(read_all(&mut client), b"from the foreground\n");

    // Ctrl-Z while the reader waits, then on in the background: the wait is begun anew there.
    let mut client = say(&shell, "two");
    shell.types(r"\x1a");
    wait_until("the server stands", || state(pid) == 'T');
    shell.types(r"bg\n");
    wait_until("the server goes on", || state(pid) != 'T');
    shell.types(r"echo again for the $0\n");
    shell.wait_for("again for the bash\n");
    let mut echo = shell.connect("echo");
    echo.write_all(b"served").unwrap();
    echo.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut echo), b"served");
    assert!(!"Tt".contains(state(pid)), "it was stopped");

    shell.types(r"fg\n");
    wait_until("the server has the terminal", || {
        let foreground = rustix::process::getpgid(Some(pid)).unwrap();
        crate::support::process::foreground_group(pid) == Some(foreground)
    });
    shell.types(r"the end\n");
    assert_eq!(read_all(&mut client), b"the end\n");
    shell.types(r"\x03");
    wait_until("the server has ended", || state(pid) == ' ');
    shell.types(r"exit\n");
    shell.ended();
}

#[test]
fn one_thousand_wait_and_the_next_is_told() {
    let builder = Builder::new(&[TALK]).log("info");
    let mut command = builder.command();
    let mut server = builder.start_as(command.stdin(Stdio::piped()));
    let pipe = server.stdin();
    let mut clients = Vec::new();
    for _ in 0..1_000 {
        let mut client = server.connect("talk");
        client.write_all(b"x\n").unwrap();
        clients.push(client);
    }
    let mut more = server.connect("talk");
    more.write_all(b"x\n").unwrap();
    assert_eq!(
        read_all(&mut more),
        b"error: busy, too many wait for an answer\n"
    );
    drop(pipe);
    for mut client in clients {
        assert_eq!(read_all(&mut client), NOBODY);
    }
    server.stop();
}
