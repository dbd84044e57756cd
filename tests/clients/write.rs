//! `write`: every way in which a slot can answer, and every way in which it can fail to.

use std::io::{Read, Write};

use crate::support::{Client, Server, answer, reset, run};

/// What the client makes of `reply` to its line `hello`, after which the connection ends.
fn replied(reply: &'static [u8]) -> (Option<i32>, String, String) {
    let server = Server::start(move |mut stream| answer(&mut stream, b"\n", reply));
    let outcome = run(&["write", &server.endpoint, "hello"]);
    let stderr = outcome.stderr.replace(&server.endpoint, "SERVER");
    assert_eq!(server.result(), "hello\n");
    (outcome.code, outcome.stdout, stderr)
}

#[test]
fn the_reply_is_printed_as_it_came() {
    let printed = |text: &str| (Some(0), text.to_owned(), String::new());
    assert_eq!(replied(b"other\n"), printed("other\n"));
    assert_eq!(replied(b"other\0"), printed("other"));
    assert_eq!(replied(b"bye: all\n"), printed("bye: all\n"));
}

#[test]
fn a_reply_ends_the_client_though_the_server_stays() {
    let server = Server::start(|mut stream| {
        answer(&mut stream, b"\n", b"other\n");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        rest
    });
    let outcome = run(&["write", &server.endpoint, "hello"]);
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(0), "other\n")
    );
    assert_eq!(server.result(), b"");
}

#[test]
fn a_refusal_is_on_standard_error_with_status_3() {
    let (code, stdout, stderr) = replied(b"error: no\x1b[2J\n");
    assert_eq!((code, stdout.as_str()), (Some(3), ""));
    assert_eq!(stderr, "error: no\\u{1b}[2J\n");
}

#[test]
fn a_server_that_shuts_down_is_status_1() {
    let (code, stdout, stderr) = replied(b"bye: the server is shutting down\n");
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert_eq!(stderr, "error: SERVER: bye: the server is shutting down\n");
    assert_eq!(
        switchboard::service::BYE,
        b"bye: the server is shutting down\n"
    );
}

#[test]
fn an_end_without_a_whole_reply_is_status_1() {
    let lost = |why: &str| (Some(1), String::new(), format!("error: SERVER: {why}\n"));
    assert_eq!(
        replied(b""),
        lost("the server ended the connection without a reply")
    );
    assert_eq!(
        replied(b"oth"),
        lost("the server ended the connection in the middle of the reply")
    );
}

#[test]
fn a_reset_is_status_1_and_named() {
    let server = Server::start(|mut stream| {
        answer(&mut stream, b"\n", b"");
        reset(stream);
    });
    let outcome = run(&["write", &server.endpoint, "hello"]);
    let text = format!("error: {}: connection reset by peer\n", server.endpoint);
    assert_eq!((outcome.code, outcome.stderr), (Some(1), text));
}

#[test]
fn silence_ends_with_the_timeout() {
    let server = Server::start(read);
    let outcome = run(&["write", "--timeout", "300ms", &server.endpoint, "hello"]);
    let text = format!("error: {}: no answer within 300ms\n", server.endpoint);
    assert_eq!((outcome.code, outcome.stderr), (Some(1), text));
    assert_eq!(server.result(), "hello\n".len());
}

fn read(mut stream: std::net::TcpStream) -> usize {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap()
}

#[test]
fn no_connection_is_status_1_and_named() {
    for (endpoint, why) in [
        ("tcp://127.0.0.1:1", "connection refused"),
        ("unix:/nonexistent/x.sock", "no such file or directory"),
        ("unix:@switchboard-test-nobody", "connection refused"),
        ("tcp://nosuch.invalid:1", "the host name is unknown"),
    ] {
        let outcome = run(&["write", endpoint, "hello"]);
        let text = format!("error: {endpoint}: {why}\n");
        assert_eq!((outcome.code, outcome.stderr), (Some(1), text));
    }
}

#[test]
fn unix_sockets_and_names_are_dialled() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slot.sock");
    let name = format!("switchboard-clients-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    for (listener, endpoint) in [
        (
            UnixListener::bind(&path).unwrap(),
            format!("unix:{}", path.display()),
        ),
        (
            UnixListener::bind_addr(&address).unwrap(),
            format!("unix:@{name}"),
        ),
    ] {
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = [0; 6];
            stream.read_exact(&mut line).unwrap();
            stream.write_all(&line).unwrap();
        });
        let outcome = run(&["write", &endpoint, "hello"]);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (Some(0), "hello\n")
        );
        thread.join().unwrap();
    }
    let server = Server::start(|mut stream| answer(&mut stream, b"\n", b"hi\n"));
    let named = server.endpoint.replace("127.0.0.1", "localhost");
    assert_eq!(run(&["write", &named, "hello"]).stdout, "hi\n");
}

#[test]
fn a_closed_standard_output_is_success() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let server = Server::start(move |mut stream| {
        wait.recv().unwrap();
        answer(&mut stream, b"\n", b"other\n")
    });
    let mut client = Client::start_unread(&["write", &server.endpoint, "hello"]);
    client.close_stdout();
    go.send(()).unwrap();
    let (code, _, stderr) = client.bytes();
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_full_standard_output_is_status_1() {
    let server = Server::start(|mut stream| answer(&mut stream, b"\n", b"other\n"));
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_switchboard"))
        .args(["write", &server.endpoint, "hello"])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = "error: standard output: no space left on device\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), text);
}
