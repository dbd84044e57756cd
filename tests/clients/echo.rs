//! `echo`: whole, in order, in both directions at once, whoever is slow.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::support::{Client, Server, run_with};

/// Sends everything back as it comes, until the client stops writing.
fn copy_back(mut stream: TcpStream) {
    let mut from = stream.try_clone().unwrap();
    // A client that has left needs nothing more.
    let _ = std::io::copy(&mut from, &mut stream);
}

#[test]
fn what_is_piped_comes_back_unchanged() {
    for input in [&b""[..], b"x", b"\x00\x1b[2J\xff\r\n"] {
        let server = Server::start(copy_back);
        let mut client = Client::start(&["echo", &server.endpoint]);
        client.stdin.take().unwrap().write_all(input).unwrap();
        assert_eq!(client.bytes(), (Some(0), input.to_vec(), String::new()));
    }
}

#[test]
fn sixty_four_mebibytes_come_back_without_a_deadlock() {
    let server = Server::start(copy_back);
    let mut client = Client::start(&["echo", &server.endpoint]);
    let mut stdin = client.stdin.take().unwrap();
    let data: Vec<u8> = (0..16 * 1024 * 1024_u32)
        .flat_map(u32::to_le_bytes)
        .collect();
    let expected = data.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&data));
    let (code, stdout, stderr) = client.bytes();
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout == expected, "{} bytes came back", stdout.len());
    writer.join().unwrap().unwrap();
}

#[test]
fn a_server_that_sends_before_it_reads_gets_through() {
    // It sends more than every buffer holds, and reads only then.
    const SIZE: usize = 16 * 1024 * 1024;
    let server = Server::start(|mut stream| {
        stream.write_all(&vec![b'y'; SIZE]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
    });
    let mut client = Client::start(&["echo", &server.endpoint]);
    let mut stdin = client.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        // Ends with the client: by then it has everything that the server sent.
        let _ = stdin.write_all(&vec![b'x'; 2 * SIZE]);
    });
    let (code, stdout, _) = client.bytes();
    assert_eq!(code, Some(1));
    assert_eq!(stdout.len(), SIZE);
    writer.join().unwrap();
    server.result();
}

#[test]
fn a_server_that_ends_early_is_status_1_with_the_count() {
    let server = Server::start(|mut stream| {
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes).unwrap();
        stream.write_all(b"he").unwrap();
    });
    let outcome = run_with(&["echo", &server.endpoint], b"hello");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), "he"));
    let text = "the server ended the connection with 2 of 5 bytes back";
    assert_eq!(
        outcome.stderr,
        format!("error: {}: {text}\n", server.endpoint)
    );
}

#[test]
fn a_server_that_goes_is_noticed_though_the_keyboard_is_open() {
    let server = Server::start(drop);
    let mut client = Client::start(&["echo", &server.endpoint]);
    let outcome = client.outcome();
    let text = format!(
        "error: {}: the server ended the connection\n",
        server.endpoint
    );
    assert_eq!((outcome.code, outcome.stderr), (Some(1), text));
}

#[test]
fn bytes_that_do_not_come_back_run_into_the_timeout() {
    let server = Server::start(|mut stream| {
        // Takes everything, and sends nothing until the client has left.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut client = Client::start(&["echo", "--timeout=300ms", &server.endpoint]);
    client.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    let outcome = client.outcome();
    let text = format!("error: {}: no answer within 300ms\n", server.endpoint);
    assert_eq!((outcome.code, outcome.stderr), (Some(1), text));
}

#[test]
fn a_slow_reader_is_waited_for_however_short_the_timeout() {
    const SIZE: usize = 8 * 1024 * 1024;
    let server = Server::start(copy_back);
    let mut client = Client::start_unread(&["echo", "--timeout=2s", &server.endpoint]);
    let mut stdin = client.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&vec![b'x'; SIZE]));
    assert!(!client.ends_within(Duration::from_millis(2500)));
    client.read_stdout();
    let (code, stdout, stderr) = client.bytes();
    assert_eq!((code, stdout.len(), stderr.as_str()), (Some(0), SIZE, ""));
    writer.join().unwrap().unwrap();
}

#[test]
fn a_reader_that_leaves_ends_it_at_once_and_quietly() {
    let server = Server::start(copy_back);
    let mut client = Client::start_unread(&["echo", &server.endpoint]);
    client.close_stdout();
    let (code, _, stderr) = client.bytes();
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}
