//! The README's tour: every command in a `console` block is run against a real server, and what
//! stands below it is what has to come back.

use std::io::{BufRead as _, Write as _};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use crate::support::have;
use crate::support::server::{Builder, Server};
use crate::support::udp::udp_of;

/// One command of a `console` block, and the lines that stand below it.
struct Step {
    command: String,
    expected: String,
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match line.strip_prefix("$ ") {
                Some(command) => {
                    steps.push(Step {
                        command: command.to_owned(),
                        expected: String::new(),
                    });
                }
                None => {
                    let step = steps.last_mut().expect("a block begins with a command");
                    step.expected.push_str(line);
                    step.expected.push('\n');
                }
            },
        }
    }
    steps
}

/// The default board's addresses, replaced by those of the test's own server; our clients, which
/// know the default board by heart, are told theirs.
fn adapted(command: &str, server: &Server) -> String {
    let mut command = command.to_owned();
    let datagrams = ["nc -u ", " udp://", "tftp://"]
        .iter()
        .any(|words| command.contains(words));
    for (service, port) in PORTS {
        let real = match datagrams {
            true if DATAGRAMS.contains(&service) => udp_of(server, service, 0),
            _ => server.tcp(service),
        };
        let real = real.port().to_string();
        for separator in [' ', ':'] {
            let at = |port: &str| format!("127.0.0.1{separator}{port}");
            command = command.replace(&at(port), &at(&real));
        }
    }
    let ours = env!("CARGO_BIN_EXE_switchboard");
    for (client, service) in CLIENTS {
        let bare = format!("switchboard {client}");
        let named = ["tcp://", "udp://"].map(|scheme| format!("{bare} {scheme}"));
        let told = if named.iter().any(|named| command.contains(named)) {
            format!("{ours} {client}")
        } else {
            format!("{ours} {client} tcp://{}", server.tcp(service))
        };
        command = command.replace(&bare, &told);
    }
    // It finds the socket in the runtime directory, as on the page.
    command.replace("switchboard locker ", &format!("{ours} locker "))
}

/// The ports of the page.
const PORTS: [(&str, &str); 8] = [
    ("slot", "1050"),
    ("sum", "1051"),
    ("locker", "1052"),
    ("talk", "12345"),
    ("echo", "8888"),
    ("guess", "8889"),
    ("files", "5001"),
    ("exec", "8080"),
];

const DATAGRAMS: [&str; 3] = ["echo", "guess", "files"];

/// Our clients, and the service that each is for.
const CLIENTS: [(&str, &str); 7] = [
    ("write", "slot"),
    ("sum", "sum"),
    ("talk", "talk"),
    ("echo", "echo"),
    ("guess", "guess"),
    ("ls", "files"),
    ("get", "files"),
];

/// The listeners of the page: those of the default board, and the one with a program.
const LISTENERS: [&str; 14] = [
    "slot=tcp://127.0.0.1:0",
    "sum=tcp://127.0.0.1:0",
    "sum=unix:DIR/switchboard/sum.sock",
    "locker=tcp://127.0.0.1:0",
    "locker=unix:DIR/switchboard/locker.sock",
    "locker=unix:DIR/switchboard/locker-binary.sock?wire=binary",
    "talk=tcp://127.0.0.1:0",
    "echo=tcp://127.0.0.1:0",
    "echo=udp://127.0.0.1:0",
    "guess=tcp://127.0.0.1:0",
    "guess=udp://127.0.0.1:0",
    "files=tcp://127.0.0.1:0",
    "files=udp://127.0.0.1:0",
    "exec=tcp://127.0.0.1:0?run=./docs/examples/dialog.sh",
];

/// Answers each message at the console as the page says, until the server has ended.
fn operate(server: &mut Server) -> JoinHandle<()> {
    let (console, mut keyboard) = (server.stdout(), server.stdin());
    std::thread::spawn(move || {
        for line in console.lines().map_while(Result::ok) {
            if line.ends_with(": hello") {
                keyboard.write_all(b"good day\n").unwrap();
            }
        }
    })
}

#[test]
fn every_command_of_the_readme_gives_what_stands_below_it() {
    let programs = ["nc.openbsd", "ncat", "socat", "busybox", "curl"];
    if !programs.iter().all(|program| have(program)) {
        return;
    }
    let builder = Builder::new(&LISTENERS);
    let mut command = builder.command();
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped());
    let mut server = builder.start_as(&mut command);
    let operator = operate(&mut server);
    let page = include_str!("../../README.md");
    let steps = steps(page);
    assert!(
        steps.len() > 20,
        "the tour is longer than {} commands",
        steps.len()
    );
    for step in steps {
        let command = adapted(&step.command, &server);
        let output = Command::new("bash")
            .args(["-c", &command])
            .env("XDG_RUNTIME_DIR", server.folder())
            .env("XDG_STATE_HOME", server.folder())
            .output()
            .unwrap();
        let got = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        // A reply without a newline leaves the prompt on its line; the page shows it as a line.
        assert_eq!(
            got.trim_end_matches('\n'),
            step.expected.trim_end_matches('\n'),
            "{command}\n{complaint}"
        );
    }
    server.stop();
    operator.join().unwrap();
}
