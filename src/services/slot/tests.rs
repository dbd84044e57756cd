//! The rules of the slot, on the harness.

use super::*;
use crate::service::harness::Harness;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Feeds `pieces` one after the other, ends the writing if asked, and returns what came back after
/// the delay and nothing before.
fn reply(pieces: &[&[u8]], end: bool) -> Vec<u8> {
    let mut t = Harness::new(&ENTRY, "");
    let a = t.open();
    for piece in pieces {
        t.feed(a, piece);
    }
    if end {
        t.end(a);
    }
    t.advance(ms(1_999));
    let early = t.take(a);
    t.advance(ms(51));
    assert!(early.is_empty() || t.take(a).is_empty(), "one reply");
    let mut all = early;
    all.extend(t.take(a));
    assert!(t.closed(a).is_some());
    all
}

#[test]
fn a_writer_gets_what_the_slot_holds_when_its_delay_ends() {
    let mut t = Harness::new(&ENTRY, "delay=2s");
    let (a, b) = (t.open(), t.open());
    t.feed(a, b"fir");
    t.feed(a, b"st\n");
    t.advance(ms(1_000));
    t.feed(b, b"second\0");
    t.advance(ms(1_000));
    assert_eq!(t.take(a), b"second\n");
    assert_eq!(t.take(b), b"");
    t.advance(ms(999));
    assert_eq!(t.take(b), b"");
    t.advance(ms(1));
    assert_eq!(t.take(b), b"second\0");
    let notes = t.take_notes();
    assert_eq!(notes[0], "stored \"first\"");
    assert_eq!(
        notes[2],
        "gets back \"second\", the message of #2 127.0.0.1:40001"
    );
    assert_eq!(notes[3], "gets back its own message \"second\"");
}

#[test]
fn the_reply_ends_as_the_message_ended() {
    let mut block = b"block".to_vec();
    block.resize(20, 0);
    let mut dirty = b"dirty\0".to_vec();
    dirty.extend_from_slice(b"\nrubbish\x01\x02\x03\x04\x05");
    dirty.resize(19, b'x');
    dirty.push(0);
    let mut clean = b"dirty".to_vec();
    clean.resize(20, 0);
    assert_eq!(reply(&[b"line\n"], false), b"line\n");
    assert_eq!(reply(&[b"line\r\n"], false), b"line\n");
    assert_eq!(reply(&[b"nul\0"], false), b"nul\0");
    assert_eq!(reply(&[b"ended"], true), b"ended\0");
    assert_eq!(reply(&[b"open"], false), b"open\0");
    assert_eq!(reply(&[&block], false), block);
    assert_eq!(reply(&[&dirty], false), clean);
    assert_eq!(
        reply(&[&block[..3], &block[3..19], &block[19..]], false),
        block
    );
}

#[test]
fn nineteen_bytes_are_a_message_and_twenty_are_not() {
    let full = b"1234567890123456789";
    for (end, expected) in [(&b"\n"[..], &b"\n"[..]), (b"\r\n", b"\n"), (b"\0", b"\0")] {
        let sent = [&full[..], end].concat();
        assert_eq!(
            reply(&[&sent], false),
            [&full[..], expected].concat(),
            "{end:?}"
        );
        for cut in 1..sent.len() {
            let cut = reply(&[&sent[..cut], &sent[cut..]], false);
            assert_eq!(cut, [&full[..], expected].concat(), "{end:?}");
        }
    }
    assert_eq!(reply(&[full], true), [&full[..], b"\0"].concat());
    for sent in [
        &b"12345678901234567890"[..],
        b"12345678901234567890\n",
        b"1234567890123456789\r\r",
    ] {
        assert_eq!(
            reply(&[sent], false),
            b"error: a message has at most 19 bytes\n"
        );
    }
    assert_eq!(
        reply(&[b"1234567890123456789\r"], true),
        b"error: a message has at most 19 bytes\n"
    );
}

#[test]
fn an_empty_message_is_refused_and_not_stored() {
    for sent in [&b"\n"[..], b"\r\n", b"\0", &[0; 20]] {
        let mut t = Harness::new(&ENTRY, "");
        let a = t.open();
        t.feed(a, sent);
        assert_eq!(t.take(a), b"error: the message is empty\n");
        assert_eq!(t.closed(a), Some(CloseReason::MessageEmpty));
        assert_eq!(t.take_notes(), Vec::<String>::new());
    }
    assert_eq!(reply(&[], true), b"error: the message is empty\n");
}

#[test]
fn the_gap_is_counted_from_the_last_byte_and_the_delay_from_its_end() {
    let mut t = Harness::new(&ENTRY, "");
    let a = t.open();
    t.advance(ms(10_000));
    assert_eq!(t.closed(a), None, "nothing written, nothing ended");
    t.feed(a, b"a");
    t.advance(ms(49));
    t.feed(a, b"b");
    t.advance(ms(50 + 1_999));
    assert_eq!(t.take(a), b"");
    t.advance(ms(1));
    assert_eq!(t.take(a), b"ab\0");
}

#[test]
fn a_block_that_a_pause_cut_in_two_is_still_one_message() {
    let mut t = Harness::new(&ENTRY, "");
    let (a, b) = (t.open(), t.open());
    t.feed(a, b"wri");
    t.advance(ms(100));
    let mut rest = b"ter".to_vec();
    rest.resize(17, 0);
    t.feed(a, &rest);
    t.feed(b, b"x");
    t.vanish(b);
    t.advance(ms(1_950));
    let mut block = b"writer".to_vec();
    block.resize(20, 0);
    assert_eq!(t.take(a), block);
}

#[test]
fn a_pause_within_a_block_changes_nothing_about_its_message() {
    let mut sent = b"abc\r\n".to_vec();
    sent.resize(20, 0);
    let mut block = b"abc".to_vec();
    block.resize(20, 0);
    assert_eq!(reply(&[&sent], false), block);
    for cut in 1..sent.len() {
        let mut t = Harness::new(&ENTRY, "");
        let a = t.open();
        t.feed(a, &sent[..cut]);
        t.advance(ms(100));
        t.feed(a, &sent[cut..]);
        t.advance(ms(2_000));
        assert_eq!(t.take(a), block, "{cut}");
    }
}

#[test]
fn a_shutdown_says_bye_to_those_who_wrote_nothing_and_owes_the_rest_a_reply() {
    let mut t = Harness::new(&ENTRY, "");
    let (silent, half, owed) = (t.open(), t.open(), t.open());
    t.feed(half, b"half");
    t.feed(owed, b"owed\n");
    t.shut_down();
    assert_eq!(t.take(silent), BYE);
    assert_eq!(t.closed(silent), Some(CloseReason::Shutdown));
    t.advance(ms(2_050));
    assert_eq!(t.take(half), b"half\0");
    assert_eq!(t.take(owed), b"half\n");
}

#[test]
fn one_slot_has_one_size_and_its_limit_is_named() {
    let values = |text: &str| Values::parse(text).unwrap();
    let build = |texts: &[&str]| {
        let values: Vec<_> = texts.iter().map(|t| values(t)).collect();
        (ENTRY.build)(&values).err()
    };
    assert_eq!(build(&["size=30", "size=30", "delay=1s"]), None);
    let error = build(&["size=30", "size=31"]).unwrap();
    assert_eq!(error.listener, 1);
    assert!(error.error.to_string().contains("31 here and 30"));
    assert!(
        build(&["size=1"])
            .unwrap()
            .error
            .to_string()
            .contains("from 2 to 4194304")
    );
    let mut t = Harness::with_listeners(&ENTRY, &["size=3", "delay=1s"]);
    let b = t.open_at(1);
    t.feed(b, b"abc\n");
    assert_eq!(t.take(b), b"error: a message has at most 2 bytes\n");
}

#[test]
fn a_large_slot_takes_a_large_message_in_small_pieces() {
    let mut t = Harness::new(&ENTRY, "size=2000000&delay=1s");
    let a = t.open();
    let mut sent = vec![b'm'; 1_999_999];
    sent.push(0);
    for piece in sent.chunks(1_000) {
        t.feed(a, piece);
    }
    t.advance(ms(1_000));
    assert_eq!(t.take(a), sent);
}
