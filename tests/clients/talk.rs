//! `talk`: what the operator says, in every form, and every way in which nobody answers.

use crate::support::{Server, answer, run};

fn answered(reply: &'static [u8]) -> (Option<i32>, String, String) {
    let server = Server::start(move |mut stream| answer(&mut stream, b"\n", reply));
    let outcome = run(&["talk", &server.endpoint, "hello"]);
    let stderr = outcome.stderr.replace(&server.endpoint, "SERVER");
    assert_eq!(server.result(), "hello\n");
    (outcome.code, outcome.stdout, stderr)
}

#[test]
fn the_answer_is_printed_as_it_came() {
    let printed = |text: &str| (Some(0), text.to_owned(), String::new());
    assert_eq!(
        answered(b"hello from server\n"),
        printed("hello from server\n")
    );
    // As another server sends it: bare text, and the end of the connection.
    assert_eq!(answered(b"hello from server"), printed("hello from server"));
    assert_eq!(answered(b"\n"), printed("\n"));
}

#[test]
fn a_refusal_is_on_standard_error_with_status_3() {
    let text = "error: nobody is there to answer\n";
    let outcome = answered(b"error: nobody is there to answer\n");
    assert_eq!(outcome, (Some(3), String::new(), text.to_owned()));
}

#[test]
fn no_answer_is_status_1_and_says_why() {
    for (reply, why) in [
        (
            &b"bye: the server is shutting down\n"[..],
            "bye: the server is shutting down",
        ),
        (b"", "the server ended the connection without an answer"),
    ] {
        let text = format!("error: SERVER: {why}\n");
        assert_eq!(answered(reply), (Some(1), String::new(), text));
    }
}

#[test]
fn an_operator_who_is_silent_is_waited_for_no_longer_than_the_timeout() {
    let server = Server::start(|mut stream| {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut stream, &mut bytes).unwrap();
        bytes
    });
    let outcome = run(&["talk", "--timeout=300ms", &server.endpoint, "hello"]);
    let text = format!("error: {}: no answer within 300ms\n", server.endpoint);
    assert_eq!((outcome.code, outcome.stderr), (Some(1), text));
    assert_eq!(server.result(), b"hello\n");
}

#[test]
fn an_end_is_noticed_while_the_operator_thinks() {
    let server = Server::start(|mut stream| {
        answer(&mut stream, b"\n", b"");
        crate::support::reset(stream);
    });
    let outcome = run(&["talk", "--timeout=0", &server.endpoint, "hello"]);
    let text = format!("error: {}: connection reset by peer\n", server.endpoint);
    assert_eq!((outcome.code, outcome.stderr), (Some(1), text));
}
