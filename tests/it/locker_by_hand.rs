//! Looking into a database without a program of ours: the commands of docs/LOCKERS.md, word for word.

use std::fs;
use std::process::Command;

use crate::locker_migration::old;
use crate::support::have;
use crate::support::lockers::{Data, Kiosk};

/// The commands of one chapter: lines behind a `$`, with those that go on below.
fn commands(chapter: &str) -> Vec<String> {
    let page = include_str!("../../docs/LOCKERS.md");
    let (_, rest) = page.split_once(chapter).expect("the chapter");
    let rest = rest.split("\n##").next().unwrap_or_default();
    let mut commands: Vec<String> = Vec::new();
    for line in rest.lines() {
        if let Some(command) = line.strip_prefix("    $ ") {
            commands.push(command.to_owned());
        } else if let (Some(more), Some(command)) =
            (line.strip_prefix("          "), commands.last_mut())
        {
            command.push('\n');
            command.push_str(more);
        }
    }
    commands
}

/// What a command prints about `copy.db`, without an error.
fn told(data: &Data, command: &str) -> String {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(data.folder());
    let output = shell.output().unwrap();
    assert!(output.stderr.is_empty(), "{command}: {output:?}");
    assert!(output.status.success(), "{command}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Every command works, and what is to be the same is.
fn look_into(data: &Data) {
    fs::copy(data.database(), data.file("copy.db")).unwrap();
    let looks = commands("\n## Look into it\n");
    assert_eq!(looks.len(), 5, "{looks:?}");
    let shown: Vec<_> = looks.iter().map(|command| told(data, command)).collect();
    assert_eq!(shown[0], "0|0|0|0\n1|1|0|3\n2|0|0|0\n3|1|1|0\n");
    assert!(shown[1].contains("2|a third\n"), "{shown:?}");
    assert!(shown[2].ends_with("|a red umbrella\n"), "{shown:?}");
    assert!(shown[3].contains("store"), "{shown:?}");
    assert_eq!(shown[4], "ok\n");
    let checks = commands("\n### Verify by hand\n");
    assert_eq!(checks.len(), 8, "{checks:?}");
    for pair in checks.chunks(2) {
        let [made, kept] = [&pair[0], &pair[1]].map(|command| told(data, command));
        let made = made.split_whitespace().next();
        assert_eq!(made, kept.split_whitespace().next(), "{pair:?}");
        assert_eq!(
            made.is_some_and(|sum| sum.len() == 64),
            pair[0].contains("sha256sum")
        );
    }
}

#[test]
fn the_commands_of_the_manual_show_what_is_there_and_its_checksums() {
    if !have("sqlite3") || !have("sha256sum") {
        return;
    }
    let data = Data::new();
    let server = data.server("&count=4").start();
    let mut kiosk = Kiosk::unix(&server).unwrap();
    for line in [
        "register 1 one",
        "store 1 one a lamp",
        "register 2 two",
        "store 2 two a red umbrella",
        "store 1 one a \u{1}",
        "retrieve 2 two",
        "register 3 three",
        "reset 3",
        "store 1 one a third",
    ] {
        let answer = kiosk.last(line);
        assert!(answer.starts_with("ok"), "{line}: {answer}");
    }
    drop(kiosk);
    server.stop();
    look_into(&data);
}

#[test]
fn they_do_the_same_with_a_database_that_came_from_an_older_layout() {
    if !have("sqlite3") || !have("sha256sum") {
        return;
    }
    let (data, _) = old(2);
    let server = data.server("").start();
    let mut kiosk = Kiosk::unix(&server).unwrap();
    assert_eq!(kiosk.last("store 1 one a third"), "ok 3 items");
    drop(kiosk);
    server.stop();
    look_into(&data);
}
