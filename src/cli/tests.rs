//! The command line: what it takes, and how it says no.

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::{config, services};

fn command(arguments: &[&str]) -> Result<Command, clap::Error> {
    let all = ["switchboard", "serve"].iter().chain(arguments);
    parse(all.map(OsString::from).collect())
}

fn serve(arguments: &[&str]) -> Result<ServeArgs, String> {
    match command(arguments) {
        Ok(Command::Serve(flags)) => flags.checked(),
        Ok(other) => panic!("{other:?}"),
        Err(mut error) => {
            assert_eq!(error.exit_code(), 2);
            make_readable(&mut error);
            Err(error.to_string())
        }
    }
}

#[test]
fn the_tables_of_flags_hold_together() {
    Cli::command().debug_assert();
}

/// The pages that the options are explained on, with their defaults.
#[test]
fn every_option_of_serve_is_documented() {
    let operations = include_str!("../../docs/OPERATIONS.md");
    // Built, as flags are made where they are needed.
    let mut cli = Cli::command();
    cli.build();
    let serve = cli.find_subcommand("serve").unwrap();
    let options = serve.get_opts().filter_map(|option| {
        let unit = option.get_value_names()?.first()?;
        Some((option.get_long()?, unit, option.get_default_values()))
    });
    let options: Vec<_> = options.collect();
    assert!(options.len() >= 7, "{options:?}");
    for (name, unit, default) in options {
        let mut row = format!("| `--{name} {unit}` | ");
        if let [default] = default {
            row += &format!("`{}` | ", default.to_str().unwrap());
        }
        assert!(operations.contains(&row), "no row {row}");
    }
    for option in config::options::UNIX.iter().chain(config::options::UDP) {
        let names = [format!("`{}=", option.key), format!("`?{}=", option.key)];
        let is_there = names.iter().any(|name| operations.contains(name));
        assert!(is_there, "none of {names:?}");
    }
    let protocols = include_str!("../../docs/PROTOCOLS.md");
    for entry in services::ALL {
        let title = format!("\n## `{}`", entry.name);
        let section = protocols.split(&title).nth(1).expect(&title);
        let section = section.split("\n## ").next().unwrap();
        for option in entry.options {
            let names = [format!("| `{}`", option.key), format!("| `{}=", option.key)];
            let is_there = names.iter().any(|name| section.contains(name));
            assert!(is_there, "{}: none of {names:?}", entry.name);
        }
    }
}

#[test]
fn flags_are_built_for_the_command_that_is_asked_for_alone() {
    let all = Cli::command();
    assert!(all.get_subcommands().count() > 5);
    for command in all.get_subcommands() {
        assert_eq!(command.get_arguments().count(), 0, "{}", command.get_name());
    }
}

#[test]
fn the_list_of_commands_says_what_each_is_about() {
    let mut built = Cli::command();
    built.build();
    for asked in [&[][..], &["-h"], &["--help"], &["help"]] {
        let words = ["switchboard"].iter().chain(asked);
        let page = parse(words.map(OsString::from).collect()).unwrap_err();
        let page = page.to_string();
        for command in built.get_subcommands() {
            let (name, about) = (command.get_name(), command.get_about().unwrap());
            let line = page
                .lines()
                .find(|line| line.split_whitespace().next() == Some(name))
                .unwrap();
            assert!(line.ends_with(&about.to_string()), "{page}");
        }
    }
}

#[test]
fn without_listeners_the_default_board_is_served() {
    let args = serve(&[]).unwrap();
    let endpoints: usize = services::ALL.iter().map(|entry| entry.board.len()).sum();
    assert_eq!(args.listeners.len(), endpoints);
    assert_eq!(args.grace, crate::config::limits::GRACE);
    assert_eq!(args.idle_timeout, crate::config::limits::IDLE_TIMEOUT);
    assert_eq!(args.poll_for, Duration::from_micros(50));
    assert_eq!(
        (args.accepts, args.max_connections, args.data, args.seed),
        (None, None, None, None)
    );
}

#[test]
fn flags_and_listeners_mix() {
    let args = serve(&[
        "slot=tcp://127.0.0.1:0?delay=1s",
        "--accepts=3",
        "--grace",
        "250ms",
        "sum=unix:/run/x.sock?mode=0600&wire=text&group=g&notify=usr1",
        "--max-connections=9",
        "--idle-timeout=0",
        "--poll-us=0",
        "--data=/d",
        "--seed=18446744073709551615",
        "echo=unix:@e?notify=usr1",
    ])
    .unwrap();
    let names: Vec<_> = args.listeners.iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "slot=tcp://127.0.0.1:0",
            "sum=unix:/run/x.sock",
            "echo=unix:@e"
        ]
    );
    assert_eq!(args.accepts, Some(3));
    assert_eq!(args.grace, Duration::from_millis(250));
    assert_eq!(args.max_connections, Some(9));
    assert_eq!(args.idle_timeout, Duration::ZERO);
    assert_eq!(args.poll_for, Duration::ZERO);
    assert_eq!(args.data, Some(PathBuf::from("/d")));
    assert_eq!(args.seed, Some(u64::MAX));
}

/// An argument, how the error names it, and what it says.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "x=tcp://127.0.0.1:1",
        "x=tcp://127.0.0.1:1: ",
        "there are slot",
    ),
    (
        "slot=udp://127.0.0.1:1",
        "slot=udp://127.0.0.1:1: ",
        "slot does not serve datagrams",
    ),
    (
        "slot=tcp://h:1?wire=text",
        "slot=tcp://h:1: option wire: ",
        "takes delay, gap, size",
    ),
    (
        "echo=tcp://h:1?mode=0600",
        "echo=tcp://h:1: option mode: ",
        "Unix sockets only",
    ),
    (
        "echo=tcp://h:1?x=1",
        "echo=tcp://h:1: option x: ",
        "takes no options",
    ),
    (
        "echo=unix:@h?group=g",
        "echo=unix:@h: option group: ",
        "a socket with a path",
    ),
    (
        "echo=unix:h?x=1",
        "echo=unix:h: option x: ",
        "takes mode, group, notify",
    ),
    ("slot=tcp://h", "'slot=tcp://h'", "has no port"),
    ("slot", "'slot'", "write SERVICE=ENDPOINT"),
    (
        "slot=tcp://h:1?delay",
        "'slot=tcp://h:1?delay'",
        "needs a value",
    ),
    ("--accepts=0", "--accepts", "0 is not in 1.."),
    (
        "--max-connections=0",
        "--max-connections",
        "0 is not in 1..",
    ),
    ("--max-connections=x", "--max-connections", "invalid digit"),
    ("--grace=5", "--grace", "is no duration"),
    ("--idle-timeout=-1s", "--idle-timeout", "is no duration"),
    ("--poll-us=1001", "--poll-us", "1001"),
    ("--data=", "--data", "a value is required"),
    ("--seed=-1", "--seed", "invalid digit"),
    ("--config=x", "--config", "unexpected argument"),
];

#[test]
fn a_wrong_argument_is_named_with_what_is_wrong() {
    for (argument, named, problem) in WRONG {
        let error = serve(&[argument]).unwrap_err();
        assert!(error.contains(named), "{argument}: {error}");
        assert!(error.contains(problem), "{argument}: {error}");
    }
}

#[test]
fn an_argument_that_is_echoed_cannot_move_the_cursor() {
    for argument in ["a\u{1b}[2J\n=x", "--a\u{1b}[2J", "--grace=\u{9b}2J"] {
        let error = serve(&[argument]).unwrap_err();
        let moves = |c: char| c.is_control() && c != '\n';
        assert!(!error.contains(moves), "{error:?}");
    }
}
