//! The rules of the sums, on the harness, on all three wires.

use super::*;
use crate::service::Moment;
use crate::service::harness::Harness;

fn answer(options: &str, pieces: &[&[u8]], end: bool) -> Vec<u8> {
    let mut t = Harness::new(&ENTRY, options);
    let a = t.open();
    for piece in pieces {
        t.feed(a, piece);
    }
    if end {
        t.end(a);
    }
    t.take(a)
}

fn binary(values: &[i32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_ne_bytes())
        .collect()
}

#[test]
fn lines_are_added_until_0() {
    assert_eq!(
        answer("wire=text", &[b"5\n-7\n0\nrubbish"], false),
        b"Result = -2\n"
    );
    assert_eq!(
        answer("wire=text", &[b" +5 \r\n\t6\n\n-0\n"], false),
        b"Result = 11\n"
    );
    assert_eq!(answer("wire=text", &[b"5\n6"], true), b"Result = 11\n");
    assert_eq!(answer("wire=text", &[b"5\n0"], true), b"Result = 5\n");
    assert_eq!(answer("wire=text", &[], true), b"Result = 0\n");
}

#[test]
fn what_is_no_integer_is_ignored_and_logged() {
    let mut t = Harness::new(&ENTRY, "wire=text");
    let a = t.open();
    t.feed(
        a,
        b"abc\n1.5\n5 5\n+-5\n9223372036854775808\n\xd9\xa1\n1_000\n0x10\n7\n0\n",
    );
    assert_eq!(t.take(a), b"Result = 7\n");
    let notes = t.take_notes();
    assert_eq!(notes[0], "ignored \"abc\": no integer of 64 bits");
    assert_eq!(notes.len(), 4);
    assert_eq!(notes[3], "ignored 8 lines in all");
}

#[test]
fn sums_pass_64_bits_and_stay_exact() {
    let text =
        b"9223372036854775807\n9223372036854775807\n-9223372036854775808\n9223372036854775807\n0\n";
    let expected = format!(
        "Result = {}\n",
        3 * i128::from(i64::MAX) + i128::from(i64::MIN)
    );
    assert_eq!(answer("wire=text", &[text], false), expected.as_bytes());
    let expected = block::padded(
        format!("Result = {}", 3 * i64::from(i32::MAX)).as_bytes(),
        128,
    );
    let words = binary(&[i32::MAX, i32::MAX, i32::MAX, 0]);
    assert_eq!(answer("wire=binary", &[&words], false), expected);
}

#[test]
fn binary_integers_may_be_cut_anywhere() {
    let words = binary(&[5, -7, 0]);
    let expected = block::padded(b"Result = -2", 128);
    for options in ["wire=binary", "wire=auto"] {
        assert_eq!(answer(options, &[&words], false), expected);
        for cut in 1..words.len() {
            assert_eq!(
                answer(options, &[&words[..cut], &words[cut..]], false),
                expected
            );
        }
    }
    assert_eq!(
        answer("wire=binary", &[&words[..8], b"\x01\x02"], true),
        expected
    );
}

#[test]
fn a_long_line_is_one_error_and_the_sum_goes_on() {
    let long = vec![b'1'; 100_000];
    let answer = answer("wire=text", &[b"5\n", &long, &long, b"\n6\n0\n"], false);
    let error = "error: a line has at most 4096 bytes; this one is skipped\n";
    assert_eq!(answer, format!("{error}Result = 11\n").as_bytes());
}

#[test]
fn every_prefix_decides_as_the_specification_says() {
    let named = |wire: Option<Wire>| match wire {
        None => "undecided",
        Some(Wire::Text(_)) => "text",
        Some(Wire::Binary) => "binary",
        Some(Wire::Undecided) => "never",
    };
    for byte in 0..=u8::MAX {
        let text = byte.is_ascii_graphic() || b" \t\n\r\x0b\x0c".contains(&byte);
        for at in 0..4 {
            let mut prefix = *b"1234";
            prefix[at] = byte;
            let expected = if text { "text" } else { "binary" };
            assert_eq!(named(decide(&prefix)), expected, "{byte:#x} at {at}");
            let short = named(decide(&prefix[..3]));
            let expected = if text || at == 3 {
                "undecided"
            } else {
                "binary"
            };
            assert_eq!(short, expected, "{byte:#x} at {at} of 3");
        }
    }
    assert_eq!(named(decide(b"")), "undecided");
    assert_eq!(named(decide(b"1234\0")), "text");
}

#[test]
fn fewer_than_four_bytes_are_text_after_a_pause_if_a_newline_is_among_them() {
    let mut t = Harness::new(&ENTRY, "");
    let a = t.open();
    t.feed(a, b"0");
    t.advance(Duration::from_secs(60));
    assert_eq!(
        t.deadline(a),
        Moment::NEVER,
        "without a newline nothing is decided"
    );
    t.feed(a, b"\n");
    t.advance(Duration::from_millis(49));
    assert_eq!(t.take(a), b"");
    t.advance(Duration::from_millis(1));
    assert_eq!(t.take(a), b"Result = 0\n");
    let b = t.open();
    t.feed(b, b"5\n");
    t.advance(Duration::from_millis(40));
    t.feed(b, b"0");
    t.advance(Duration::from_millis(40));
    assert_eq!(t.deadline(b), Moment::from_nanos(60_140_000_000));
    t.feed(b, b"\0");
    assert_eq!(t.deadline(b), Moment::NEVER, "binary after all");
    assert_eq!(t.closed(b), None);
}

#[test]
fn the_end_of_the_writing_decides_for_text() {
    assert_eq!(answer("", &[b"7"], true), b"Result = 7\n");
    assert_eq!(answer("", &[b"7\n"], true), b"Result = 7\n");
    assert_eq!(answer("", &[b"0\n7"], true), b"Result = 0\n");
    assert_eq!(answer("", &[], true), b"Result = 0\n");
}

#[test]
fn a_shutdown_says_bye_on_the_text_wire_and_ends_the_binary_one_in_order() {
    let mut t = Harness::with_listeners(&ENTRY, &["wire=text", "wire=binary", "wire=auto"]);
    let peers = [t.open_at(0), t.open_at(1), t.open_at(2)];
    t.shut_down();
    let read: Vec<_> = peers.iter().map(|peer| t.take(*peer)).collect();
    assert_eq!(read, [BYE, b"", BYE]);
    assert_eq!(t.sessions(), 0);
}
