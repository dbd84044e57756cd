//! `sum`: from arguments, pipes and an open keyboard.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::{Client, Server, answer, run, run_with};

/// Reads to the end of the client's writing, and answers.
fn to_the_end(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    stream.write_all(b"Result = 42\n").unwrap();
    text
}

#[test]
fn integers_of_the_command_line_are_sent_with_a_0_behind() {
    for (integers, sent) in [
        (&["5", "-7"][..], "5\n-7\n0\n"),
        (&["+5", "0"], "5\n0\n"),
        (&["-9223372036854775808"], "-9223372036854775808\n0\n"),
        (&["0"], "0\n"),
    ] {
        let server = Server::start(to_the_end);
        let arguments = [&["sum", server.endpoint.as_str()], integers].concat();
        let outcome = run(&arguments);
        assert_eq!(
            (
                outcome.code,
                outcome.stdout.as_str(),
                outcome.stderr.as_str()
            ),
            (Some(0), "Result = 42\n", "")
        );
        assert_eq!(server.result(), sent);
    }
}

#[test]
fn piped_lines_are_sent_as_integers_and_the_rest_is_said() {
    for (piped, sent, said) in [
        (&b"1\n 2 \r\n3"[..], "1\n2\n3\n0\n", 0),
        (b"1\n0\n7\n", "1\n0\n", 0),
        (b"\xc3\xa9\n\x1b\n4\n", "4\n0\n", 2),
        (b"", "0\n", 0),
    ] {
        let server = Server::start(to_the_end);
        let outcome = run_with(&["sum", &server.endpoint], piped);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (Some(0), "Result = 42\n")
        );
        assert_eq!(outcome.stderr.lines().count(), said, "{}", outcome.stderr);
        assert!(!outcome.stderr.contains('\x1b'));
        assert_eq!(server.result(), sent);
    }
}

#[test]
fn the_answer_ends_it_though_the_keyboard_is_open() {
    let server = Server::start(|mut stream| answer(&mut stream, b"0\n", b"Result = 5\n"));
    let mut client = Client::start(&["sum", &server.endpoint]);
    client.stdin.as_mut().unwrap().write_all(b"5\n0\n").unwrap();
    let outcome = client.outcome();
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(0), "Result = 5\n")
    );
    assert_eq!(server.result(), "5\n0\n");
}

#[test]
fn a_server_that_goes_is_noticed_though_the_keyboard_is_open() {
    let server = Server::start(|mut stream| answer(&mut stream, b"\n", b""));
    let mut client = Client::start(&["sum", &server.endpoint]);
    client.stdin.as_mut().unwrap().write_all(b"5\n").unwrap();
    let outcome = client.outcome();
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
    let text = "the server ended the connection without a result";
    assert_eq!(
        outcome.stderr,
        format!("error: {}: {text}\n", server.endpoint)
    );
}

#[test]
fn what_is_no_result_is_never_taken_for_one() {
    for (reply, code, part) in [
        (
            &b"bye: the server is shutting down\n"[..],
            1,
            ": bye: the server",
        ),
        (b"error: no\n", 3, "error: no\n"),
        (b"5\n", 1, "answered \"5\", which is no result"),
        (b"Result = 5\0\0\0", 1, "without a result"),
    ] {
        let server = Server::start(move |mut stream| answer(&mut stream, b"0\n", reply));
        let outcome = run(&["sum", &server.endpoint, "5"]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(code), ""));
        assert!(outcome.stderr.contains(part), "{}", outcome.stderr);
    }
}

#[test]
fn the_timeout_does_not_run_while_only_the_keyboard_is_waited_for() {
    // The server asks for nothing and the keyboard is quiet for longer than the timeout.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let server = Server::start(move |mut stream| {
        wait.recv().unwrap();
        answer(&mut stream, b"0\n", b"Result = 5\n")
    });
    let mut client = Client::start(&["sum", "--timeout=2s", &server.endpoint]);
    assert!(!client.ends_within(std::time::Duration::from_millis(2500)));
    go.send(()).unwrap();
    client.stdin.as_mut().unwrap().write_all(b"5\n0\n").unwrap();
    assert_eq!(client.outcome().code, Some(0));
}

#[test]
fn after_the_last_integer_the_timeout_runs() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let server = Server::start(move |mut stream| {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        wait.recv().unwrap();
        text
    });
    let mut client = Client::start(&["sum", "--timeout=300ms", &server.endpoint, "5"]);
    let outcome = client.outcome();
    let text = format!("error: {}: no answer within 300ms\n", server.endpoint);
    assert_eq!((outcome.code, outcome.stderr), (Some(1), text));
    go.send(()).unwrap();
    assert_eq!(server.result(), "5\n0\n");
}
