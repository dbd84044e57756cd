//! The rules of the dialogue, on the harness.

use super::*;
use crate::service::harness::Harness;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// With somebody at the console.
fn attended(options: &str) -> Harness {
    let mut t = Harness::new(&ENTRY, options);
    t.set_operator(true);
    t
}

/// A client that has sent a line and waits.
fn waiting(t: &mut Harness, text: &str) -> usize {
    let a = t.open();
    t.feed(a, format!("{text}\n").as_bytes());
    assert_eq!(t.closed(a), None);
    a
}

#[test]
fn the_oldest_is_answered_first_and_anybody_by_number() {
    let mut t = attended("");
    let (a, b, c) = (
        waiting(&mut t, "one"),
        waiting(&mut t, "two"),
        waiting(&mut t, "three"),
    );
    assert_eq!(
        t.take_prints(),
        [
            "#1 from 127.0.0.1:40000: one",
            "#2 from 127.0.0.1:40001: two",
            "#3 from 127.0.0.1:40002: three"
        ]
    );
    t.operator("@2 to the second");
    t.operator(" to the  first ");
    t.operator("@3 list");
    assert_eq!(t.take(b), b"to the second\n");
    assert_eq!(t.take(a), b" to the  first \n");
    assert_eq!(t.take(c), b"list\n");
    for place in [a, b, c] {
        assert_eq!(t.closed(place), Some(CloseReason::Answered));
    }
    assert_eq!(
        t.take_prints(),
        ["answered #2", "answered #1", "answered #3"]
    );
    t.operator("to nobody");
    assert_eq!(t.take_prints(), ["nobody waits for an answer"]);
    assert_eq!(t.sessions(), 0);
}

#[test]
fn bare_text_ends_after_fifty_milliseconds_and_is_answered_bare() {
    let mut t = attended("");
    let a = t.open();
    t.feed(a, b"hello ");
    t.advance(ms(49));
    t.feed(a, b"server");
    t.advance(ms(49));
    assert!(t.take_prints().is_empty());
    t.advance(ms(1));
    assert_eq!(t.take_prints(), ["#1 from 127.0.0.1:40000: hello server"]);
    t.feed(a, b"more, which nobody reads\n");
    t.operator("hello from server");
    assert_eq!(t.take(a), b"hello from server");
    assert_eq!(t.closed(a), Some(CloseReason::Answered));
}

#[test]
fn the_end_of_the_writing_ends_the_message_and_the_answer_still_comes() {
    let mut t = attended("");
    let a = t.open();
    t.feed(a, b"bare\0");
    t.end(a);
    let b = waiting(&mut t, "line");
    t.end(b);
    t.take_prints();
    t.operator("list");
    assert_eq!(
        t.take_prints(),
        [
            "#1 from 127.0.0.1:40000 waits for 0 s",
            "#2 from 127.0.0.1:40001 waits for 0 s, has ended its writing"
        ]
    );
    t.operator("yes");
    t.operator("no");
    assert_eq!((t.take(a), t.take(b)), (b"yes".to_vec(), b"no\n".to_vec()));
}

#[test]
fn what_a_client_sends_cannot_move_the_cursor() {
    let mut t = attended("");
    let a = t.open();
    t.feed(
        a,
        "\x1b[2J\x07gr\u{fc}\u{df}e\u{202e}\u{9b}1m\rX\u{0}\n".as_bytes(),
    );
    assert_eq!(
        t.take_prints(),
        ["#1 from 127.0.0.1:40000: \\u{1b}[2J\\u{7}gr\u{fc}\u{df}e\\u{202e}\\u{9b}1m\\rX\\u{0}"]
    );
}

#[test]
fn control_characters_of_the_operator_go_to_the_client_as_they_are() {
    let mut t = attended("");
    let a = waiting(&mut t, "x");
    t.operator("\x1b[1mbold\ttab\r");
    assert_eq!(t.take(a), b"\x1b[1mbold\ttab\r\n");
}

#[test]
fn nobody_there_is_said_at_once_and_when_the_operator_goes() {
    let mut t = Harness::new(&ENTRY, "");
    let a = t.open();
    assert_eq!(t.closed(a), None);
    t.feed(a, b"hello\n");
    assert_eq!(t.take(a), b"error: nobody is there to answer\n");
    assert_eq!(t.closed(a), Some(CloseReason::NobodyThere));
    assert_eq!(t.take_notes(), ["says \"hello\""]);
    assert!(t.take_prints().is_empty());
    t.set_operator(true);
    let (b, c) = (waiting(&mut t, "one"), t.open());
    t.set_operator(false);
    assert_eq!(t.take(b), b"error: nobody is there to answer\n");
    assert_eq!(t.closed(b), Some(CloseReason::NobodyThere));
    assert_eq!(t.closed(c), None);
    assert_eq!(t.take_prints().len(), 1, "nobody is told that it left");
}

#[test]
fn a_reply_of_its_own_needs_no_operator() {
    for present in [false, true] {
        let mut t = Harness::new(&ENTRY, "reply=back at 9");
        t.set_operator(present);
        let (a, b) = (t.open(), t.open());
        t.feed(a, b"line\n");
        t.feed(b, b"bare");
        t.advance(GAP);
        assert_eq!(
            (t.take(a), t.take(b)),
            (b"back at 9\n".to_vec(), b"back at 9".to_vec())
        );
        assert_eq!(t.take_prints().len(), if present { 2 } else { 0 });
        assert_eq!(t.closed(a), Some(CloseReason::Answered));
    }
}

#[test]
fn what_is_empty_or_too_long_is_an_error() {
    let mut t = attended("");
    for (text, end, reply) in [
        (&b"\n"[..], false, &b"error: the message is empty\n"[..]),
        (b"\r\n", false, b"error: the message is empty\n"),
        (b"\r", false, b"error: the message is empty\n"),
        (b"\0\0", true, b"error: the message is empty\n"),
        (
            b"123456789012345678901234567890123",
            false,
            b"error: a message without a newline has at most 32 bytes\n",
        ),
        (b"", true, b""),
    ] {
        let a = t.open();
        t.feed(a, text);
        if end {
            t.end(a);
        }
        t.advance(GAP);
        assert_eq!(t.take(a), reply);
        assert!(t.closed(a).is_some());
    }
    assert!(t.take_prints().is_empty());
    let a = t.open();
    t.feed(a, &[b'x'; 10_000]);
    t.advance(GAP);
    assert_eq!(t.closed(a), None);
    t.feed(a, b"\nnow\n");
    assert_eq!(
        t.take(a),
        b"error: a line has at most 4096 bytes; this one is skipped\n"
    );
    t.operator("yes");
    assert_eq!(t.take(a), b"yes\n");
}

#[test]
fn a_client_that_leaves_is_in_the_queue_no_longer() {
    let mut t = attended("");
    let (a, b) = (waiting(&mut t, "one"), waiting(&mut t, "two"));
    t.take_prints();
    t.vanish(a);
    assert_eq!(t.take_prints(), ["#1 has left without an answer"]);
    t.operator("@1 too late");
    assert_eq!(t.take_prints(), ["#1 does not wait for an answer"]);
    t.operator("for the second");
    assert_eq!(t.take(b), b"for the second\n");
    assert_eq!(t.take_prints(), ["answered #2"]);
}

#[test]
fn a_number_that_is_none_is_explained_and_blanks_are_no_answer() {
    let mut t = attended("");
    let a = waiting(&mut t, "one");
    t.take_prints();
    for line in [
        "@",
        "@ text",
        "@x text",
        "@1",
        "@1 ",
        "@+1 text",
        "@99999999999 text",
    ] {
        t.operator(line);
        assert_eq!(
            t.take_prints(),
            ["write @N TEXT, N being the number of a client"],
            "{line}"
        );
    }
    t.operator("");
    t.operator("   ");
    assert!(t.take_prints().is_empty());
    assert_eq!(t.closed(a), None);
    t.operator("@1  two blanks");
    assert_eq!(t.take(a), b" two blanks\n");
}

#[test]
fn only_so_many_wait_and_the_next_is_told() {
    let mut t = attended("");
    let all: Vec<_> = (0..TALK_WAITING_MAX)
        .map(|_| waiting(&mut t, "x"))
        .collect();
    let more = t.open();
    t.feed(more, b"x\n");
    assert_eq!(t.take(more), b"error: busy, too many wait for an answer\n");
    assert_eq!(t.closed(more), Some(CloseReason::Busy));
    t.take_prints();
    t.operator("list");
    let listed = t.take_prints();
    assert_eq!(listed.len(), TALK_SHOWN_MAX + 1);
    assert_eq!(listed[TALK_SHOWN_MAX], "... and 900 more");
    t.operator("next");
    assert_eq!(t.take(all[0]), b"next\n");
    waiting(&mut t, "there is room again");
}

#[test]
fn a_wait_has_an_end_and_a_shutdown_is_said() {
    let mut t = attended("");
    let a = waiting(&mut t, "x");
    t.advance(ms(3_599_999));
    assert_eq!(t.closed(a), None);
    t.advance(ms(1));
    assert_eq!(t.take(a), b"error: nobody has answered for an hour\n");
    let (b, c) = (waiting(&mut t, "y"), t.open());
    t.take_prints();
    t.shut_down();
    assert_eq!((t.take(b), t.take(c)), (BYE.to_vec(), BYE.to_vec()));
    assert!(t.take_prints().is_empty(), "nobody has left by himself");
    t.operator("list");
    assert_eq!(t.take_prints(), ["nobody waits for an answer"]);
    assert_eq!(t.sessions(), 0);
}

#[test]
fn the_cut_makes_no_difference() {
    for text in [
        &b"a line\r\nmore"[..],
        b"bare text",
        b"x\ny",
        b"12345678901234567890123456789012",
    ] {
        let run = |pieces: &[&[u8]]| {
            let mut t = attended("");
            let a = t.open();
            for piece in pieces {
                t.feed(a, piece);
            }
            t.advance(GAP);
            t.operator("answer");
            (t.take_prints(), t.take(a))
        };
        let whole = run(&[text]);
        assert_eq!(whole.0.len(), 2);
        for cut in 0..=text.len() {
            assert_eq!(run(&[&text[..cut], &text[cut..]]), whole, "{cut}");
        }
        assert_eq!(run(&text.chunks(1).collect::<Vec<_>>()), whole);
    }
}

#[test]
fn wrong_options_are_named() {
    for (options, wrong) in [
        ("reply=".to_owned(), "option reply: is empty"),
        (
            format!("reply={}", "x".repeat(4097)),
            "option reply: has more than 4096 bytes",
        ),
    ] {
        let built = (ENTRY.build)(&[Values::parse(&options).unwrap()]);
        assert_eq!(built.err().unwrap().error.to_string(), wrong);
    }
}
