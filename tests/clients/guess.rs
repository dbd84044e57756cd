//! `guess`: games to their end over streams and datagrams, and all that keeps them from it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{CLOSED_PORT, Client, DatagramServer, Outcome, Server, run, run_with};

const PROMPT: &str = "Guess a number between 1 and 6.\n";
const AGAIN: &str = "Wrong, try again.\n";
const ERROR: &str = "error: that is no number from 1 to 6\n";
const LOST: &str = "Wrong, you lose: it was 4.\n";
const WON: &str = "Correct, you win: it was 4.\n";

/// A game for 4 with so many tries; `None` once it is over.
struct Game {
    tries: u32,
}

impl Game {
    fn guess(&mut self, guess: &str) -> &'static str {
        match guess.trim().parse() {
            Ok(4) => WON,
            Ok(1..=6) if self.tries == 1 => LOST,
            Ok(1..=6) => {
                self.tries -= 1;
                AGAIN
            }
            _ => ERROR,
        }
    }
}

/// Plays as the service does; returns what was guessed.
fn stream_game(tries: u32) -> impl FnOnce(TcpStream) -> String + Send + 'static {
    move |mut stream| {
        stream.write_all(PROMPT.as_bytes()).unwrap();
        let (mut game, mut guessed) = (Game { tries }, String::new());
        for line in BufReader::new(stream.try_clone().unwrap()).lines() {
            let line = line.unwrap();
            guessed += &format!("{line} ");
            let said = game.guess(&line);
            stream.write_all(said.as_bytes()).unwrap();
            if [WON, LOST].contains(&said) {
                break;
            }
        }
        guessed
    }
}

/// The same in datagrams: the first one opens, and after one error comes silence.
fn datagram_game(tries: u32) -> impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static {
    let (mut game, mut has_complained) = (None, false);
    move |datagram| {
        let Some(playing) = &mut game else {
            game = Some(Game { tries });
            return vec![PROMPT.into()];
        };
        let said = playing.guess(&String::from_utf8_lossy(datagram));
        if [WON, LOST].contains(&said) {
            game = None;
        }
        let is_quiet = std::mem::replace(&mut has_complained, said == ERROR) && said == ERROR;
        if is_quiet { vec![] } else { vec![said.into()] }
    }
}

fn outcome(code: i32, stdout: &[&str], stderr: &str) -> Outcome {
    Outcome {
        code: Some(code),
        stdout: stdout.concat(),
        stderr: stderr.to_owned(),
    }
}

/// The same game on both kinds of socket.
fn both(tries: u32, guesses: &[&str], piped: &str) -> [Outcome; 2] {
    let stream = Server::start(stream_game(tries));
    let datagrams = DatagramServer::start(datagram_game(tries));
    let outcomes = [&stream.endpoint, &datagrams.endpoint].map(|endpoint| {
        let arguments = [&["guess", "--timeout=20s", endpoint], guesses].concat();
        let mut outcome = run_with(&arguments, piped.as_bytes());
        outcome.stderr = outcome.stderr.replace(endpoint.as_str(), "SERVER");
        outcome
    });
    stream.result();
    outcomes
}

#[test]
fn a_game_that_was_played_is_status_0_won_or_lost() {
    for (tries, guesses, said) in [
        (1, "4", &[PROMPT, WON][..]),
        (1, "5", &[PROMPT, LOST]),
        (3, "1 2 4", &[PROMPT, AGAIN, AGAIN, WON]),
        // What is left is not sent.
        (2, "1 2 4", &[PROMPT, AGAIN, LOST]),
    ] {
        let words: Vec<&str> = guesses.split(' ').collect();
        let expected = || outcome(0, said, "");
        assert_eq!(both(tries, &words, ""), [expected(), expected()]);
        let piped = guesses.replace(' ', "\n");
        assert_eq!(both(tries, &[], &piped), [expected(), expected()]);
        assert_eq!(both(tries, &[], &(piped + "\n")), [expected(), expected()]);
    }
}

#[test]
fn a_wrong_guess_of_the_command_line_is_status_3_and_a_typed_one_is_said() {
    let expected = || outcome(3, &[PROMPT], ERROR);
    assert_eq!(both(1, &["9", "4"], ""), [expected(), expected()]);
    let expected = || outcome(0, &[PROMPT, ERROR, WON], "");
    assert_eq!(both(1, &[], "9\n4\n"), [expected(), expected()]);
}

#[test]
fn a_server_that_is_quiet_after_its_complaint_does_not_end_the_game() {
    let server = DatagramServer::start(datagram_game(1));
    let arguments = ["guess", server.endpoint.as_str()];
    for piped in ["x\ny\n\n4\n", "x\ny\nz\n4"] {
        let expected = outcome(0, &[PROMPT, ERROR, WON], "");
        assert_eq!(run_with(&arguments, piped.as_bytes()), expected);
    }
}

#[test]
fn guesses_that_run_out_are_status_1() {
    let over = "error: SERVER: no guess is left, and the game is not over\n";
    let expected = || outcome(1, &[PROMPT, AGAIN], over);
    assert_eq!(both(2, &["1"], ""), [expected(), expected()]);
    let [stream, datagrams] = both(2, &[], "1\n");
    let ended = "error: SERVER: the server ended the connection before the game was over\n";
    assert_eq!(stream, outcome(1, &[PROMPT, AGAIN], ended));
    assert_eq!(datagrams, expected());
}

#[test]
fn a_refusal_before_the_game_is_status_3() {
    let server = Server::start(|mut stream| stream.write_all(b"error: busy\n").unwrap());
    let expected = outcome(3, &[], "error: busy\n");
    assert_eq!(run(&["guess", &server.endpoint]), expected);
    let server = DatagramServer::start(|_| vec![b"error: busy\n".to_vec()]);
    assert_eq!(run(&["guess", &server.endpoint, "4"]), expected);
}

#[test]
fn a_server_that_goes_is_noticed_though_the_keyboard_is_open() {
    for (last, why) in [
        (
            "",
            "the server ended the connection before the game was over",
        ),
        (
            "bye: the server is shutting down\n",
            "bye: the server is shutting down",
        ),
    ] {
        let server = Server::start(move |mut stream| {
            stream.write_all(PROMPT.as_bytes()).unwrap();
            stream.write_all(last.as_bytes()).unwrap();
        });
        let mut client = Client::start(&["guess", &server.endpoint]);
        let text = format!("error: {}: {why}\n", server.endpoint);
        assert_eq!(client.outcome(), outcome(1, &[PROMPT], &text));
    }
}

#[test]
fn an_outcome_ends_it_though_the_keyboard_is_open() {
    let stream = Server::start(stream_game(1));
    let datagrams = DatagramServer::start(datagram_game(1));
    for endpoint in [&stream.endpoint, &datagrams.endpoint] {
        let mut client = Client::start(&["guess", endpoint]);
        client.stdin.as_mut().unwrap().write_all(b"4\n").unwrap();
        assert_eq!(client.outcome(), outcome(0, &[PROMPT, WON], ""));
    }
    assert_eq!(stream.result(), "4 ");
}

#[test]
fn silence_ends_with_the_timeout_but_not_while_only_the_keyboard_is_waited_for() {
    let datagrams = DatagramServer::start({
        let mut game = datagram_game(1);
        move |datagram| {
            if datagram == b"5" {
                vec![]
            } else {
                game(datagram)
            }
        }
    });
    let endpoint = &datagrams.endpoint;
    let text = format!("error: {endpoint}: no answer within 600ms\n");
    let silent = run(&["guess", "--timeout=600ms", endpoint, "5"]);
    assert_eq!((silent.code, silent.stderr), (Some(1), text));
    let stream = Server::start(stream_game(1));
    let datagrams = DatagramServer::start(datagram_game(1));
    for endpoint in [&stream.endpoint, &datagrams.endpoint] {
        let mut client = Client::start(&["guess", "--timeout=2s", endpoint]);
        assert!(!client.ends_within(Duration::from_millis(2500)));
        client.stdin.as_mut().unwrap().write_all(b"4\n").unwrap();
        assert_eq!(client.outcome().code, Some(0));
    }
    stream.result();
}

#[test]
fn an_opening_that_is_lost_is_sent_again_and_costs_no_try() {
    let mut game = datagram_game(1);
    let mut openings = 0;
    let server = DatagramServer::start(move |datagram| {
        openings += u32::from(datagram.trim_ascii().is_empty());
        if openings < 3 { vec![] } else { game(datagram) }
    });
    let played = run(&["guess", "--timeout=2s", &server.endpoint, "4"]);
    assert_eq!(played, outcome(0, &[PROMPT, WON], ""));
}

#[test]
fn an_opening_that_was_only_late_costs_no_try_either() {
    // The first line comes with the answer to the second opening, which is an error.
    let mut game = datagram_game(1);
    let mut held = Some(Vec::new());
    let server = DatagramServer::start(move |datagram| {
        let mut said = game(datagram);
        match &mut held {
            Some(first) if first.is_empty() => {
                *first = said;
                vec![]
            }
            _ => {
                let mut all = held.take().unwrap_or_default();
                all.append(&mut said);
                all
            }
        }
    });
    let played = run(&["guess", "--timeout=2s", &server.endpoint, "4"]);
    assert_eq!(played, outcome(0, &[PROMPT, WON], ""));
}

#[test]
fn no_connection_is_status_1_and_named() {
    for endpoint in ["tcp://127.0.0.1:1", CLOSED_PORT] {
        let text = format!("error: {endpoint}: connection refused\n");
        assert_eq!(run(&["guess", endpoint, "4"]), outcome(1, &[], &text));
    }
}
