//! Clients that nobody here wrote, when the server ends first, breaks off, or is not there.
//!
//! A dialogue ends with the server, while the user's keyboard is still open. Some clients leave
//! then and some stay until their own input ends: so a dialogue's last line says that it is over.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use crate::support::program::{running, serving};
use crate::support::server::Server;
use crate::support::shell::{Line, ending, line, run_all};
use crate::support::{have, wait_until};

/// A client whose input stays open, as a keyboard does.
struct Typist {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    printed: PathBuf,
    said: PathBuf,
}

impl Typist {
    /// Starts it; `HOST` and `PORT` in the words stand for those of the dialogue.
    fn start(server: &Server, which: usize, words: &str) -> Self {
        let address = server.tcp("exec");
        let words = words
            .replace("HOST", &address.ip().to_string())
            .replace("PORT", &address.port().to_string());
        let printed = server.folder().join(format!("printed{which}"));
        let said = server.folder().join(format!("said{which}"));
        let (program, arguments) = words.split_once(' ').unwrap();
        let mut child = Command::new(program)
            .args(arguments.split(' '))
            .stdin(Stdio::piped())
            .stdout(File::create(&printed).unwrap())
            .stderr(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        Self {
            name: words,
            input: child.stdin.take(),
            child,
            printed,
            said,
        }
    }

    /// Types this, if it is still there to read it.
    fn types(&mut self, text: &str) {
        let _ = self.input.as_mut().unwrap().write_all(text.as_bytes());
    }

    fn wait_for(&self, text: &str) {
        let what = format!("{text:?} from {}", self.name);
        wait_until(&what, || {
            fs::read_to_string(&self.printed).is_ok_and(|printed| printed.contains(text))
        });
    }

    fn has_left(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    fn leaves(&mut self) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        wait_until(&what, || self.has_left().is_some());
        self.has_left().unwrap()
    }
}

impl Drop for Typist {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is printed before the end, so that the user knows.
const LAST: &str = "Goodbye Ann. ... connection closed\n";

fn dialogue(server: &Server, which: usize, words: &str) -> Option<Typist> {
    have(words.split(' ').next().unwrap()).then(|| {
        let mut typist = Typist::start(server, which, words);
        if words.starts_with("curl ") {
            // It waits for the keyboard and for the server by turns: what the server says may
            // show only when the input goes on, or ends.
            typist.types("Ann\n21\n");
            return typist;
        }
        // Each line behind its question, as one types.
        typist.wait_for("name?\n");
        typist.types("Ann\n");
        typist.wait_for("double?\n");
        typist.types("21\n");
        typist.wait_for(LAST);
        typist
    })
}

fn dialogue_server() -> Server {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples");
    running(&format!("{folder}/dialog.sh"), "", &[]).start()
}

#[test]
fn some_clients_leave_when_the_server_has_ended() {
    let server = dialogue_server();
    let clients = [
        "nc.traditional HOST PORT",
        "busybox nc HOST PORT",
        "socat - TCP:HOST:PORT",
        "telnet HOST PORT",
    ];
    for (which, words) in clients.iter().enumerate() {
        if let Some(mut typist) = dialogue(&server, which, words) {
            assert!(typist.leaves().success(), "{words}");
        }
    }
    server.stop();
}

/// Clients that stay, and what they say when more is typed after the connection's full close.
const STAYING: [(&str, &str); 3] = [
    ("nc.openbsd HOST PORT", ""),
    ("ncat HOST PORT", "Broken pipe"),
    ("curl -sN telnet://HOST:PORT", ""),
];

#[test]
fn some_clients_stay_until_their_own_input_ends() {
    let server = dialogue_server();
    let mut ending = Vec::new();
    let mut typing = Vec::new();
    for (which, (words, said)) in STAYING.iter().enumerate() {
        ending.extend(dialogue(&server, 2 * which, words));
        let typist = dialogue(&server, 2 * which + 1, words);
        typing.extend(typist.map(|typist| (typist, *said)));
    }
    // The server waits for the client's end for 5 s; then the connection is closed on both sides.
    let count = ending.len() + typing.len();
    wait_until("the full close of each", || {
        server.log().matches("closed after").count() == count
    });
    for mut typist in ending {
        assert_eq!(typist.has_left(), None, "{}", typist.name);
        typist.input = None;
        assert!(typist.leaves().success(), "{}", typist.name);
        typist.wait_for(LAST);
    }
    for (mut typist, said) in typing {
        assert_eq!(typist.has_left(), None, "{}", typist.name);
        // The first line is answered with a reset, which some see only when they write again.
        wait_until("its end after some lines", || {
            typist.types("more\n");
            typist.has_left().is_some()
        });
        let text = fs::read_to_string(&typist.said).unwrap();
        assert!(text.contains(said), "{text}");
    }
    server.stop();
}

#[test]
fn the_forms_that_only_read_leave_with_the_server() {
    let server = serving("echo hello", "", &[]).start();
    let variables = [
        ("host", "127.0.0.1".to_owned()),
        ("port", server.tcp("exec").port().to_string()),
        ("dir", server.folder().display().to_string()),
    ];
    // Their input is one that never ends.
    let lines = [
        line(
            "nc.openbsd",
            "mkfifo $dir/a && nc.openbsd -d $host $port <>$dir/a",
            "hello\n",
        ),
        line(
            "ncat",
            "mkfifo $dir/b && ncat --recv-only $host $port <>$dir/b",
            "hello\n",
        ),
        line(
            "socat",
            "mkfifo $dir/c && socat -u TCP:$host:$port - <>$dir/c",
            "hello\n",
        ),
    ];
    run_all(&lines, &variables);
    server.stop();
}

/// A program that takes the request and breaks the connection off with a reset: the address
/// family 0 takes a socket's peer away.
const RESET: &str = "exec perl -e 'sysread STDIN, $_, 5; connect STDIN, pack \"S x14\", 0'";

/// Only ncat and curl tell; the others end as if all were well.
const RESETS: &[Line] = &[
    line(
        "nc.openbsd",
        "printf hello | nc.openbsd -N $host $reset",
        "",
    ),
    line(
        "nc.traditional",
        "printf hello | nc.traditional $host $reset",
        "",
    ),
    line(
        "socat",
        "printf hello | socat -t3 - TCP:$host:$reset 2>&-",
        "",
    ),
    line("busybox", "printf hello | busybox nc $host $reset", ""),
    ending(
        "ncat",
        "printf hello | ncat $host $reset 2>&1",
        "Ncat: Connection reset by peer.\n",
        1,
    ),
    ending(
        "curl",
        "printf hello | curl -s telnet://$host:$reset",
        "",
        56,
    ),
];

#[test]
fn a_reset_is_told_by_few_clients() {
    if !have("perl") {
        return;
    }
    let server = serving(RESET, "", &[]).start();
    let variables = [
        ("host", "127.0.0.1".to_owned()),
        ("reset", server.tcp("exec").port().to_string()),
    ];
    run_all(RESETS, &variables);
    server.expect_no_warning();
    server.stop();
}

const REFUSED: &[Line] = &[
    ending("nc.openbsd", "nc.openbsd -N $host $closed 2>&1", "", 1),
    // Only with -v does it say why.
    ending(
        "nc.openbsd",
        "nc.openbsd -vN $host $closed 2>&1 | sed 's/.*: //'",
        "Connection refused\n",
        1,
    ),
    ending(
        "nc.traditional",
        "nc.traditional $host $closed 2>/dev/null",
        "",
        1,
    ),
    ending(
        "ncat",
        "ncat $host $closed 2>&1",
        "Ncat: Connection refused.\n",
        1,
    ),
    ending("socat", "socat - TCP:$host:$closed 2>/dev/null", "", 1),
    ending("busybox", "busybox nc $host $closed 2>/dev/null", "", 1),
    ending("curl", "curl -s telnet://$host:$closed", "", 7),
    ending(
        "telnet",
        "telnet $host $closed 2>/dev/null | tail -n +2",
        "",
        1,
    ),
    ending("bash", "exec 3<>/dev/tcp/$host/$closed", "", 1),
    ending(
        "nc.openbsd",
        "nc.openbsd -N -U $dir/none 2>/dev/null",
        "",
        1,
    ),
    ending("ncat", "ncat -U $dir/none 2>/dev/null", "", 1),
    ending("socat", "socat - UNIX-CONNECT:$dir/none 2>/dev/null", "", 1),
];

#[test]
fn a_server_that_is_not_there_is_told_by_the_status() {
    let server = Server::start(&["echo=tcp://127.0.0.1:0"]);
    // A connection's own port is taken, and nobody listens on it.
    let client = server.connect("echo");
    let variables = [
        ("host", "127.0.0.1".to_owned()),
        ("closed", client.local_addr().unwrap().port().to_string()),
        ("dir", server.folder().display().to_string()),
    ];
    run_all(REFUSED, &variables);
    drop(client);
    server.stop();
}
