//! Usage errors name what is wrong and end with status 2; help survives a closed output.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use crate::support::{Client, run};

/// What is said of an address with a scheme that is not ours.
const OURS: &str = "'http://x/y' is no endpoint: 'http' is no scheme of one; write tcp://HOST:PORT, \
                    unix:PATH, unix:@NAME or udp://HOST:PORT\n";

#[test]
fn a_wrong_command_line_is_status_2_and_named() {
    for (arguments, part) in [
        (&["write"][..], "<MESSAGE>"),
        (&["write", ""], "the message is empty"),
        (&["write", "a\nb"], "newline"),
        (&["write", "a", "b"], "'a' is no endpoint"),
        (&["write", "udp://127.0.0.1:1", "x"], "udp://127.0.0.1:1: "),
        (&["write", "--timeout=5", "x"], "--timeout"),
        (&["sum", "5", "-7", "x"], "'x'"),
        (&["sum", "9223372036854775808"], "'9223372036854775808'"),
        (&["sum", "1.5"], "'1.5'"),
        (&["sum", "5", "0", "-7"], "'-7'"),
        (&["sum", "1", "tcp://127.0.0.1:1"], "'tcp://127.0.0.1:1'"),
        (&["sum", "tcp://127.0.0.1"], "has no port"),
        (&["sum", "udp://127.0.0.1:1", "1"], "udp://127.0.0.1:1: "),
        (&["echo", "x"], "'x' is no endpoint"),
        (&["echo", "--size=0"], "--size 0 is for datagrams"),
        (&["echo", "--size=65508"], "65508 is not in"),
        (&["echo", "--count=0"], "0 is not in 1.."),
        (&["echo", "--interval=1"], "is no duration"),
        (
            &["serve", "slot=udp://127.0.0.1:0"],
            "slot does not serve datagrams",
        ),
        (&["serve", "x=tcp://127.0.0.1:0"], "there is no service 'x'"),
        (&["get"], "<ENDPOINT|NAME>"),
        (&["get", "tcp://127.0.0.1:1"], "no name was given"),
        (&["get", ".x"], "'.x': a name that begins with '.'"),
        (&["get", "a/../x"], "no part of a name is '..'"),
        (&["get", "a", "b", "-o", "/nonexistent/x"], "need a folder"),
        (&["get", "--block=7", "x"], "8 to 65464"),
        (&["put", "unix:@x"], "no file was given"),
        (&["put", "a", "b", "--as=c"], "--as is for one file"),
        (&["ls", "a", "b"], "'b': one folder"),
        (&["get", "http://x/y", "f"], OURS),
        (&["put", "http://x/y", "f"], OURS),
        (&["ls", "http://x/y"], OURS),
        (&["echo", "http://x/y"], OURS),
        (&["guess", "http://x/y", "3"], OURS),
        (&["sum", "http://x/y", "3"], OURS),
        (&["write", "http://x/y", "a"], OURS),
        (&["kiosk", "http://x/y"], OURS),
        (&["locker", "store", "http://x/y", "3", "a"], OURS),
        (&["get", "TCP://127.0.0.1:1", "f"], "'TCP' is no scheme"),
        (&["nosuch"], "'nosuch'"),
        (&[], "Usage: switchboard"),
    ] {
        let outcome = run(arguments);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (Some(2), ""),
            "{arguments:?}"
        );
        assert!(
            outcome.stderr.contains(part),
            "{arguments:?}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn an_argument_that_is_no_text_is_named() {
    let word = OsStr::from_bytes(b"echo=unix:/run/\xff");
    let outcome = Command::new(env!("CARGO_BIN_EXE_switchboard"))
        .args([OsStr::new("serve"), word])
        .output()
        .unwrap();
    let stderr = String::from_utf8(outcome.stderr).unwrap();
    assert_eq!(outcome.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains(r"'echo=unix:/run/\xff' is not valid UTF-8"),
        "{stderr}"
    );
}

#[test]
fn help_and_the_version_are_a_success() {
    for (arguments, part) in [
        (&["--help"][..], "Usage: switchboard <COMMAND>"),
        (&["serve", "--help"], "slot=tcp://127.0.0.1:1050"),
        (&["serve", "slot", "--help"], "delay=\n"),
        (&["write", "--help"], "[ENDPOINT] MESSAGE"),
        (&["-V"], concat!("switchboard ", env!("CARGO_PKG_VERSION"))),
    ] {
        let outcome = run(arguments);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
        assert!(outcome.stdout.contains(part), "{}", outcome.stdout);
        let mut unread = Client::start_unread(arguments);
        unread.close_stdout();
        let (code, _, stderr) = unread.bytes();
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
    }
}

#[test]
fn a_data_directory_that_cannot_be_one_is_status_1_and_named() {
    let outcome = run(&["serve", "--data", "/dev/null"]);
    let text = "error: /dev/null: not a directory\n".to_owned();
    assert_eq!((outcome.code, outcome.stderr), (Some(1), text));
}
