//! `echo` with numbers and times: every way in which an answer can be wrong, and Ctrl-C.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::support::{
    CLOSED_PORT, Client, DatagramServer, Outcome, PATIENCE, Server, run, run_with,
};

fn back(datagram: &[u8]) -> Vec<Vec<u8>> {
    vec![datagram.to_vec()]
}

/// The lines of the statistics, without the times.
fn statistics(outcome: &Outcome) -> Vec<&str> {
    let lines = outcome.stdout.lines();
    let mut lines = lines.skip_while(|line| !line.starts_with("--- "));
    lines.next().expect("statistics");
    lines.filter(|line| !line.starts_with("time ")).collect()
}

/// Status, statistics and complaint of `count` payloads, one every 5 ms.
fn pinged(
    count: &str,
    serve: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
) -> (Option<i32>, String, String) {
    let server = DatagramServer::start(serve);
    let (endpoint, timeout) = (server.endpoint.as_str(), "--timeout=3s");
    let outcome = run(&[
        "echo",
        endpoint,
        "--count",
        count,
        "--interval=5ms",
        timeout,
    ]);
    let complaint = outcome.stderr.replace(endpoint, "SERVER");
    (outcome.code, statistics(&outcome).join("; "), complaint)
}

const CLEAN: &str = "0 late, 0 duplicated, 0 reordered, 0 corrupt";

#[test]
fn every_answer_is_a_line_with_its_number_and_time() {
    let server = DatagramServer::start(back);
    let endpoint = &server.endpoint;
    let outcome = run(&["echo", endpoint, "--count=3", "--interval=0"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    for (line, number) in outcome.stdout.lines().zip(1..=3) {
        let start = format!("56 bytes from {endpoint}: seq={number} time=");
        let time = line
            .strip_prefix(&start)
            .and_then(|rest| rest.strip_suffix(" ms"));
        assert!(time.unwrap().parse::<f64>().is_ok(), "{line}");
    }
    let expected = ["3 sent, 3 received, 0 lost (0.0%)", CLEAN];
    assert_eq!(statistics(&outcome), expected);
    assert!(outcome.stdout.contains("\ntime min/avg/max/p99 = "));
}

#[test]
fn datagrams_of_every_size_come_back() {
    let server = DatagramServer::start(back);
    for size in ["0", "1", "8", "1472", "65507"] {
        let outcome = run(&[
            "echo",
            "--count=2",
            "--interval=0",
            "--size",
            size,
            &server.endpoint,
        ]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
        let start = format!("{size} bytes from ");
        let lines = outcome.stdout.lines();
        assert_eq!(lines.filter(|line| line.starts_with(&start)).count(), 2);
    }
}

#[test]
fn streams_are_measured_too_however_they_are_cut() {
    let server = Server::start(|mut stream| {
        let mut byte = [0];
        while stream.read(&mut byte).is_ok_and(|count| count == 1) {
            if stream.write_all(&byte).is_err() {
                break;
            }
        }
    });
    let outcome = run(&[
        "echo",
        "--count=20",
        "--interval=0",
        "--size=33",
        &server.endpoint,
    ]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert_eq!(
        statistics(&outcome)[0],
        "20 sent, 20 received, 0 lost (0.0%)"
    );
    server.result();
}

#[test]
fn what_is_dropped_is_lost() {
    let mut number = 0;
    let (code, statistics, complaint) = pinged("8", move |datagram| {
        number += 1;
        if number % 4 == 0 {
            vec![]
        } else {
            back(datagram)
        }
    });
    assert_eq!(
        (code, complaint.as_str()),
        (Some(1), "error: SERVER: 2 of 8 did not come back\n")
    );
    assert_eq!(
        statistics,
        format!("8 sent, 6 received, 2 lost (25.0%); {CLEAN}")
    );
}

#[test]
fn a_duplicate_is_counted_and_never_taken_for_another() {
    // The second is answered with the first once more, as late as can be, and so is lost.
    let (mut number, mut first) = (0, Vec::new());
    let (code, statistics, _) = pinged("3", move |datagram| {
        number += 1;
        match number {
            1 => {
                first = datagram.to_vec();
                back(datagram)
            }
            2 => vec![first.clone()],
            _ => vec![datagram.to_vec(), first.clone()],
        }
    });
    assert_eq!(code, Some(1));
    assert_eq!(
        statistics,
        "3 sent, 2 received, 1 lost (33.3%); 0 late, 2 duplicated, 0 reordered, 0 corrupt"
    );
}

#[test]
fn what_overtakes_is_reordered() {
    let mut held = None;
    let (code, statistics, _) = pinged("4", move |datagram| match held.take() {
        None => {
            held = Some(datagram.to_vec());
            vec![]
        }
        Some(before) => vec![datagram.to_vec(), before],
    });
    assert_eq!(code, Some(0));
    assert_eq!(
        statistics,
        "4 sent, 4 received, 0 lost (0.0%); 0 late, 0 duplicated, 2 reordered, 0 corrupt"
    );
}

#[test]
fn a_changed_byte_or_length_is_corrupt_and_no_answer() {
    let mut number = 0;
    let (code, statistics, complaint) = pinged("3", move |datagram| {
        number += 1;
        let mut datagram = datagram.to_vec();
        match number {
            1 => datagram[55] ^= 1,
            2 => datagram.push(0),
            _ => {}
        }
        vec![datagram]
    });
    assert_eq!(
        (code, complaint.as_str()),
        (Some(1), "error: SERVER: 2 of 3 did not come back\n")
    );
    assert_eq!(
        statistics,
        "3 sent, 1 received, 2 lost (66.7%); 0 late, 0 duplicated, 0 reordered, 2 corrupt"
    );
}

#[test]
fn an_answer_that_comes_late_stays_lost() {
    let (mut number, mut first) = (0, Vec::new());
    let server = DatagramServer::start(move |datagram| {
        number += 1;
        match number {
            1 => {
                first = datagram.to_vec();
                vec![]
            }
            _ => vec![std::mem::take(&mut first), datagram.to_vec()],
        }
    });
    let endpoint = server.endpoint.as_str();
    let outcome = run(&[
        "echo",
        endpoint,
        "--count=2",
        "--interval=0",
        "--timeout=2s",
    ]);
    let text = format!("no answer from {endpoint}: seq=1 within 2s\n");
    assert!(outcome.stdout.contains(&text), "{}", outcome.stdout);
    assert!(outcome.stdout.contains(" ms, too late\n"));
    assert_eq!(outcome.code, Some(1));
    let expected = "1 late, 0 duplicated, 0 reordered, 0 corrupt";
    assert_eq!(
        statistics(&outcome),
        ["2 sent, 1 received, 1 lost (50.0%)", expected]
    );
}

#[test]
fn a_refusal_is_told_in_words_at_once() {
    let endpoint = CLOSED_PORT;
    let outcome = run(&["echo", endpoint, "--count=3"]);
    let text = format!("error: {endpoint}: connection refused\n");
    assert_eq!(
        (outcome.code, outcome.stderr.as_str()),
        (Some(1), text.as_str())
    );
    assert_eq!(
        statistics(&outcome)[0],
        "1 sent, 0 received, 1 lost (100.0%)"
    );
    let piped = run_with(&["echo", endpoint], b"x");
    assert_eq!((piped.code, piped.stderr), (Some(1), text));
}

#[test]
fn a_stream_that_ends_early_is_status_1_with_the_statistics() {
    let server = Server::start(|mut stream| {
        let mut payload = [0; 56];
        stream.read_exact(&mut payload).unwrap();
        stream.write_all(&payload).unwrap();
    });
    let outcome = run(&["echo", &server.endpoint, "--count=3", "--interval=0"]);
    let text = format!("error: {}: ", server.endpoint);
    assert!(outcome.stderr.starts_with(&text), "{}", outcome.stderr);
    assert_eq!(outcome.code, Some(1));
    assert!(statistics(&outcome)[0].contains(" 1 received, "));
    server.result();
}

#[test]
fn control_c_prints_the_statistics_and_ends_by_them() {
    for (is_answered, code) in [(true, 0), (false, 1)] {
        let (told, asked) = mpsc::channel();
        let server = DatagramServer::start(move |datagram| {
            let _ = told.send(());
            if is_answered { back(datagram) } else { vec![] }
        });
        let arguments = ["echo", &server.endpoint, "--interval=20s"];
        let mut client = Client::start_unread(&arguments);
        let lines = client.lines();
        asked.recv_timeout(PATIENCE).unwrap();
        let mut stdout = String::new();
        if is_answered {
            stdout = lines.recv_timeout(PATIENCE).unwrap() + "\n";
        }
        client.interrupt();
        lines.iter().for_each(|line| stdout += &(line + "\n"));
        let mut outcome = client.outcome();
        outcome.stdout = stdout;
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        let expected = match is_answered {
            true => "1 sent, 1 received, 0 lost (0.0%)",
            false => "1 sent, 0 received, 0 lost (0.0%), 1 awaited",
        };
        assert_eq!(statistics(&outcome)[0], expected);
    }
}

#[test]
fn a_second_control_c_ends_it_though_nobody_reads() {
    let (told, asked) = mpsc::channel();
    let server = DatagramServer::start(move |datagram| {
        let _ = told.send(());
        back(datagram)
    });
    let mut client = Client::start_unread(&["echo", &server.endpoint, "--interval=0"]);
    asked.recv_timeout(PATIENCE).unwrap();
    // Its output fills the pipe (64 KiB less the rest of a line in each page), and it sends no
    // more; then the statistics can't be printed.
    let begin = Instant::now();
    while asked.recv_timeout(Duration::from_secs(1)).is_ok() || client.unread() < 56 * 1024 {
        assert!(begin.elapsed() < PATIENCE);
    }
    client.interrupt();
    assert!(!client.ends_within(Duration::from_millis(300)));
    client.interrupt();
    // Ended by the signal.
    assert_eq!(client.bytes().0, None);
}

#[test]
fn a_reader_that_leaves_ends_it_at_once_and_quietly() {
    let server = DatagramServer::start(back);
    let mut client = Client::start_unread(&["echo", &server.endpoint, "--interval=1ms"]);
    client.close_stdout();
    let (code, _, stderr) = client.bytes();
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}

#[test]
fn piped_input_goes_out_as_datagrams_and_comes_back_whole() {
    let server = DatagramServer::start(|datagram| {
        assert!(datagram.len() <= 65_507);
        // A stranger's datagram first: it is not what was sent.
        vec![b"other".to_vec(), datagram.to_vec()]
    });
    let input: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut client = Client::start(&["echo", &server.endpoint]);
    let mut stdin = client.stdin.take().unwrap();
    let data = input.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&data));
    let (code, stdout, stderr) = client.bytes();
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout == input, "{} bytes came back", stdout.len());
    writer.join().unwrap().unwrap();
}

#[test]
fn piped_input_that_is_dropped_runs_into_the_timeout() {
    let server = DatagramServer::start(|_| vec![]);
    let outcome = run_with(&["echo", "--timeout=200ms", &server.endpoint], b"x");
    let text = format!("error: {}: no answer within 200ms\n", server.endpoint);
    assert_eq!((outcome.code, outcome.stderr), (Some(1), text));
}
