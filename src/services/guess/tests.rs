//! The rules of the games, on the harness.

use super::names::{BUILT_IN, parse};
use super::*;
use crate::service::harness::Harness;

/// What was drawn, from the line that ends a game.
fn outcome(bytes: &[u8]) -> (bool, String) {
    let text = std::str::from_utf8(bytes).unwrap();
    let line = text.lines().last().unwrap();
    for (start, won) in [
        ("Correct, you win: it was ", true),
        ("Wrong, you lose: it was ", false),
    ] {
        if let Some(answer) = line.strip_prefix(start) {
            return (won, answer.strip_suffix('.').unwrap().to_owned());
        }
    }
    panic!("no outcome: {text}");
}

/// A game on a stream, played with these bytes: what came back.
fn played(t: &mut Harness, bytes: &[u8]) -> Vec<u8> {
    let a = t.open();
    t.feed(a, bytes);
    assert_eq!(t.closed(a), Some(CloseReason::Answered));
    t.take(a)
}

#[test]
fn a_thousand_games_tell_the_truth_about_what_was_drawn() {
    let mut t = Harness::new(&ENTRY, "");
    t.seed(3);
    // The same sequence beside it: what each game must have drawn.
    let mut same = crate::service::Random::seeded(3);
    let mut wins = 0;
    for game in 0..1_000_u64 {
        let guess = game % 6 + 1;
        let drawn = same.within(1..=6);
        let text = played(&mut t, format!("{guess}\n").as_bytes());
        let (won, answer) = outcome(&text);
        assert!(text.starts_with(b"Guess a number between 1 and 6.\n"));
        assert_eq!(answer, drawn.to_string());
        assert_eq!(won, guess == drawn);
        wins += u32::from(won);
    }
    assert!((120..=215).contains(&wins), "{wins}");
    assert_eq!(t.sessions(), 0);
}

#[test]
fn the_draws_are_even() {
    // 5 degrees of freedom: 20.5 is passed by one sequence in a thousand.
    for seed in [1, 2, 3] {
        let mut t = Harness::new(&ENTRY, "");
        t.seed(seed);
        let mut counts = [0_i64; 6];
        for _ in 0..20_000 {
            let (_, answer) = outcome(&played(&mut t, b"1\n"));
            counts[answer.parse::<usize>().unwrap() - 1] += 1;
        }
        let chi_squared: f64 = counts
            .iter()
            .map(|count| (*count as f64 - 20_000.0 / 6.0).powi(2) / (20_000.0 / 6.0))
            .sum();
        assert!(chi_squared < 20.5, "seed {seed}: {chi_squared} {counts:?}");
    }
}

#[test]
fn a_seed_gives_the_same_games_again() {
    let games = |seed| {
        let mut t = Harness::new(&ENTRY, "max=1000000000");
        t.seed(seed);
        (0..20)
            .map(|_| outcome(&played(&mut t, b"1\n")).1)
            .collect::<Vec<_>>()
    };
    assert_eq!(games(1), games(1));
    assert_ne!(games(1), games(2));
}

#[test]
fn rubbish_is_an_error_and_costs_no_try() {
    let mut t = Harness::new(&ENTRY, "max=6&tries=1");
    let a = t.open();
    t.take(a);
    for rubbish in [
        "",
        "0",
        "7",
        "-1",
        "x",
        "1 2",
        "1.0",
        "0x1",
        "\u{661}",
        "99999999999999999999",
        "4\0",
    ] {
        t.feed(a, format!("{rubbish}\n").as_bytes());
        assert_eq!(
            t.take(a),
            b"error: that is no number from 1 to 6\n",
            "{rubbish}"
        );
        assert_eq!(t.closed(a), None);
    }
    t.feed(a, &[b'1'; 5_000]);
    t.feed(a, b"\n");
    let skipped = t.take(a);
    assert_eq!(
        skipped,
        b"error: a line has at most 4096 bytes; this one is skipped\n"
    );
    t.feed(a, b" +4\t\r\n5\nmore");
    outcome(&t.take(a));
    assert_eq!(t.closed(a), Some(CloseReason::Answered));
}

#[test]
fn tries_are_counted_and_the_last_one_ends_the_game() {
    for seed in 0..20 {
        let mut t = Harness::new(&ENTRY, "tries=3");
        t.seed(seed);
        let a = t.open();
        let mut same = crate::service::Random::seeded(seed);
        let drawn = same.within(1..=6);
        let wrong = drawn % 6 + 1;
        t.take(a);
        t.feed(a, format!("{wrong}\nrubbish\n{wrong}\n").as_bytes());
        assert_eq!(
            t.take(a),
            b"Wrong, try again.\nerror: that is no number from 1 to 6\nWrong, try again.\n"
        );
        match seed % 2 {
            0 => {
                t.feed(a, format!("{drawn}\n").as_bytes());
                let won = format!("Correct, you win: it was {drawn}.\n");
                assert_eq!(t.take(a), won.as_bytes());
            }
            _ => {
                t.feed(a, format!("{wrong}\n").as_bytes());
                let lost = format!("Wrong, you lose: it was {drawn}.\n");
                assert_eq!(t.take(a), lost.as_bytes());
            }
        }
        assert!(t.take_notes()[0].ends_with(&format!(": it was {drawn}")));
    }
}

#[test]
fn the_cut_makes_no_difference() {
    let script = b"rubbish\n\n7\r\n 3 \n4\n5\n6\n";
    let run = |pieces: &[&[u8]]| {
        let mut t = Harness::new(&ENTRY, "tries=3");
        t.seed(5);
        let a = t.open();
        for piece in pieces {
            t.feed(a, piece);
        }
        (t.take(a), t.closed(a))
    };
    let whole = run(&[script]);
    assert!(whole.1.is_some());
    for cut in 0..=script.len() {
        assert_eq!(run(&[&script[..cut], &script[cut..]]), whole, "{cut}");
    }
    assert_eq!(run(&script.chunks(1).collect::<Vec<_>>()), whole);
}

#[test]
fn the_end_of_the_writing_ends_the_last_line_and_the_game() {
    let mut t = Harness::new(&ENTRY, "");
    let (a, b, c) = (t.open(), t.open(), t.open());
    for place in [a, b, c] {
        t.take(place);
    }
    t.feed(a, b"3");
    t.end(a);
    outcome(&t.take(a));
    t.end(b);
    assert_eq!(
        (t.take(b), t.closed(b)),
        (vec![], Some(CloseReason::ClientEnded))
    );
    t.feed(c, b"x");
    t.end(c);
    assert_eq!(t.take(c), b"error: that is no number from 1 to 6\n");
    assert_eq!(t.closed(c), Some(CloseReason::ClientEnded));
}

#[test]
fn a_person_is_guessed_by_any_spelling() {
    let people = parse(BUILT_IN).unwrap();
    let mut lines = BUILT_IN.lines().filter(|line| !line.starts_with('#'));
    let mut hints = std::collections::HashMap::new();
    for person in &people {
        let spellings = lines.next().unwrap().split('|').skip(1);
        hints.insert(&*person.hint, (person, spellings.collect::<Vec<_>>()));
    }
    let mut t = Harness::new(&ENTRY, "game=name");
    let mut met = std::collections::HashSet::new();
    for game in 0..2_000 {
        let a = t.open();
        let prompt = String::from_utf8(t.take(a)).unwrap();
        let hint = prompt.strip_prefix("Guess who: ").unwrap().trim_end();
        let (person, spellings) = &hints[hint];
        let spelling = spellings[game % spellings.len()].to_uppercase();
        t.feed(a, format!("!?\n{spelling}\n").as_bytes());
        let won = format!(
            "error: that is no name\nCorrect, you win: it was {}.\n",
            person.name
        );
        assert_eq!(t.take(a), won.as_bytes());
        met.insert(hint.to_owned());
    }
    assert_eq!(met.len(), people.len(), "everybody comes");
    let a = t.open();
    t.feed(a, b"Nobody At All\n");
    assert!(!outcome(&t.take(a)).0);
}

#[test]
fn a_game_over_datagrams_is_asked_for_then_guessed() {
    for end in ["", "\n", "\r\n"] {
        let mut t = Harness::new(&ENTRY, "tries=2");
        t.seed(9);
        let a = t.open_datagram_at(0);
        assert!(t.take_datagrams(a).is_empty());
        t.feed(a, b"");
        assert_eq!(t.take_datagrams(a), [b"Guess a number between 1 and 6.\n"]);
        let drawn = crate::service::Random::seeded(9).within(1..=6);
        let wrong = drawn % 6 + 1;
        t.feed(a, format!("{wrong}{end}").as_bytes());
        assert_eq!(t.take_datagrams(a), [b"Wrong, try again.\n"]);
        t.feed(a, format!("{drawn}{end}").as_bytes());
        let won = format!("Correct, you win: it was {drawn}.\n").into_bytes();
        assert_eq!(t.take_datagrams(a), [won]);
        assert_eq!(t.closed(a), Some(CloseReason::Answered));
    }
}

#[test]
fn a_game_over_datagrams_is_forgotten_after_a_minute_in_silence() {
    let mut t = Harness::new(&ENTRY, "");
    let a = t.open_datagram_at(0);
    t.feed(a, b"x");
    t.take_datagrams(a);
    t.advance(Duration::from_millis(59_999));
    t.feed(a, b"rubbish");
    assert_eq!(t.take_datagrams(a).len(), 1);
    assert_eq!(t.closed(a), None);
    t.advance(Duration::from_millis(1));
    assert_eq!(t.closed(a), Some(CloseReason::NotAnswered));
    assert!(t.take_datagrams(a).is_empty());
    assert_eq!(t.sessions(), 0);
}

#[test]
fn errors_over_datagrams_are_not_answered_for_ever() {
    let mut t = Harness::new(&ENTRY, "tries=2");
    let a = t.open_datagram_at(0);
    t.feed(a, b"x");
    t.take_datagrams(a);
    for rubbish in [&b"what?"[..], b"what?", b"", &[b'9'; 60_000]] {
        t.feed(a, rubbish);
    }
    assert_eq!(
        t.take_datagrams(a),
        [b"error: that is no number from 1 to 6\n"]
    );
    assert_eq!(t.closed(a), None);
}

#[test]
fn two_games_or_an_echo_cannot_be_set_on_each_other() {
    for options in ["tries=5", "game=name&tries=5"] {
        let mut t = Harness::new(&ENTRY, options);
        let mut sent = 0;
        for first in [&b"x"[..], b"bye: the server is shutting down\n"] {
            let mut echoed = vec![first.to_vec()];
            while let Some(datagram) = echoed.pop() {
                let a = t.open_datagram_at(0);
                t.feed(a, &datagram);
                t.feed(a, &datagram);
                echoed.extend(t.take_datagrams(a));
                sent += 1;
                assert!(sent < 10, "it goes on for ever");
            }
        }
    }
}

#[test]
fn no_reply_of_the_built_in_games_is_three_times_the_smallest_datagram() {
    // 28 bytes of IPv4 and UDP headers and nothing else make the smallest; 3 * 28 - 28 are left.
    const REPLY_BYTES_MAX: usize = 56;
    let people = parse(BUILT_IN).unwrap();
    let longest = |f: fn(&Person) -> usize| people.iter().map(f).max().unwrap();
    let hint = longest(|person| person.hint.len());
    let name = longest(|person| person.name.len());
    for reply in [
        "Guess who: \n".len() + hint,
        "Correct, you win: it was .\n".len() + name,
        format!("error: that is no number from 1 to {GUESS_MAX}\n").len(),
        format!("Guess a number between 1 and {GUESS_MAX}.\n").len(),
    ] {
        assert!(reply <= REPLY_BYTES_MAX, "{reply}");
    }
}

#[test]
fn a_shutdown_is_said_on_streams_only() {
    let mut t = Harness::new(&ENTRY, "");
    let (a, b) = (t.open(), t.open_datagram_at(0));
    t.feed(b, b"x");
    t.take(a);
    t.take_datagrams(b);
    t.shut_down();
    assert_eq!(t.take(a), BYE);
    assert!(t.take_datagrams(b).is_empty());
    assert_eq!(t.sessions(), 0);
}

#[test]
fn a_long_hint_is_cut_over_datagrams_and_whole_on_streams() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (hint, name) = ("é".repeat(60), "n".repeat(60));
    std::fs::write(file.path(), format!("{hint} | {name}\n")).unwrap();
    let mut t = Harness::new(
        &ENTRY,
        &format!("game=name&names={}", file.path().display()),
    );
    let (stream, flow) = (t.open(), t.open_datagram_at(0));
    assert_eq!(t.take(stream), format!("Guess who: {hint}\n").as_bytes());
    t.feed(flow, b"x");
    let prompt = t.take_datagrams(flow).remove(0);
    assert!(prompt.len() <= DATAGRAM_BYTES && prompt.ends_with(b"...\n"));
    assert!(String::from_utf8(prompt).is_ok(), "cut between characters");
    t.feed(flow, b"x");
    let outcome = t.take_datagrams(flow).remove(0);
    assert!(outcome.starts_with(b"Wrong, you lose: it was n") && outcome.len() <= DATAGRAM_BYTES);
}

#[test]
fn wrong_options_are_named() {
    let problem = |options: &str| {
        let values = Values::parse(options).unwrap();
        let built = (ENTRY.build)(&[values]);
        built.err().map(|error| error.error.to_string())
    };
    for (options, wrong) in [
        (
            "max=1",
            "option max: '1' is no whole number from 2 to 1000000000",
        ),
        ("max=1000000001", "option max:"),
        (
            "tries=0",
            "option tries: '0' is no whole number from 1 to 1000",
        ),
        ("game=chess", "option game: 'chess' is none of number, name"),
        ("names=x", "option names: is for game=name"),
        ("game=name&max=7", "option max: is for game=number"),
        (
            "game=name&names=/no/such",
            "option names: /no/such: No such file",
        ),
    ] {
        let found = problem(options).unwrap_or_default();
        assert!(found.starts_with(wrong), "{options}: {found}");
    }
    for right in [
        "max=2",
        "max=1000000000&tries=1000",
        "game=name&tries=2",
        "game=number",
    ] {
        assert_eq!(problem(right), None);
    }
}
