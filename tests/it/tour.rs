//! The README's tour: every command in a `console` block is run against a real server, and what
//! stands below it is what has to come back.

use std::process::Command;

use crate::support::have;
use crate::support::server::Server;

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
    for (service, port) in [("slot", "1050"), ("sum", "1051"), ("echo", "8888")] {
        let real = server.tcp(service).port().to_string();
        for separator in [' ', ':'] {
            let at = |port: &str| format!("127.0.0.1{separator}{port}");
            command = command.replace(&at(port), &at(&real));
        }
    }
    let ours = env!("CARGO_BIN_EXE_switchboard");
    for (client, service) in [("write", "slot"), ("sum", "sum"), ("echo", "echo")] {
        let named = format!("switchboard {client} tcp://");
        let endpoint = format!("tcp://{}", server.tcp(service));
        if command.contains(&named) {
            command = command.replace(&named, &format!("{ours} {client} tcp://"));
        } else {
            command = command.replace(
                &format!("switchboard {client}"),
                &format!("{ours} {client} {endpoint}"),
            );
        }
    }
    command
}

#[test]
fn every_command_of_the_readme_gives_what_stands_below_it() {
    let programs = ["nc.openbsd", "ncat", "socat", "busybox"];
    if !programs.iter().all(|program| have(program)) {
        return;
    }
    let server = Server::start(&[
        "slot=tcp://127.0.0.1:0",
        "sum=tcp://127.0.0.1:0",
        "sum=unix:DIR/switchboard/sum.sock",
        "echo=tcp://127.0.0.1:0",
    ]);
    let page = include_str!("../../README.md");
    let steps = steps(page);
    assert!(
        steps.len() > 10,
        "the tour is longer than {} commands",
        steps.len()
    );
    for step in steps {
        let command = adapted(&step.command, &server);
        let output = Command::new("bash")
            .args(["-c", &command])
            .env("XDG_RUNTIME_DIR", server.folder())
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
}
