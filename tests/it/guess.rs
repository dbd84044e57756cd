//! The games over real sockets.

use std::io::{BufRead as _, BufReader, Write as _};

use crate::support::client::{read_all, run};
use crate::support::server::Builder;

#[test]
fn a_thousand_games_end_with_the_truth() {
    let server = Builder::new(&[
        "guess=tcp://127.0.0.1:0?tries=6",
        "guess=unix:DIR/guess.sock",
    ])
    .log("info")
    .start();
    let mut counts = [0; 6];
    for _ in 0..1_000 {
        let mut game = BufReader::new(server.connect("guess"));
        let mut line = String::new();
        game.read_line(&mut line).unwrap();
        assert_eq!(line, "Guess a number between 1 and 6.\n");
        game.get_mut()
            .write_all(b"0\nsix\n1\n2\n3\n4\n5\n6\n")
            .unwrap();
        let text = String::from_utf8(read_all(&mut game)).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[..2], ["error: that is no number from 1 to 6"; 2]);
        // As many wrong ones as come before the number that the outcome names.
        let drawn = lines.len() - 2;
        assert!(
            lines[2..lines.len() - 1]
                .iter()
                .all(|line| *line == "Wrong, try again.")
        );
        assert_eq!(
            lines[lines.len() - 1],
            format!("Correct, you win: it was {drawn}.")
        );
        counts[drawn - 1] += 1;
    }
    assert!(counts.iter().all(|count| *count > 110), "{counts:?}");
    let mut unix = server.connect_unix("guess");
    unix.write_all(b"3\n").unwrap();
    assert!(read_all(&mut unix).starts_with(b"Guess a number between 1 and 6.\n"));
    server.stop();
}

#[test]
fn a_wrong_file_of_names_is_named_with_its_line() {
    let people = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(people.path(), "# ours\nhint without a name\n").unwrap();
    let path = people.path().display().to_string();
    let listener = format!("guess=tcp://127.0.0.1:0?game=name&names={path}");
    let output = run(
        env!("CARGO_BIN_EXE_switchboard"),
        &["serve", &listener],
        b"",
    );
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains(&format!("option names: {path}: line 2: has no name")),
        "{text}"
    );
}
