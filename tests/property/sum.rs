//! Sums against a model on 128-bit integers, on all three wires, in any cuts.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use switchboard::service::harness::Harness;
use switchboard::services::sum::ENTRY;

use crate::bytes::{Cuts, bytes, cuts};
use crate::cases;

/// What a client is sent: at once, and after ages.
fn answers(options: &str, bytes: &[u8], end: bool, cuts: &Cuts) -> [Vec<u8>; 2] {
    let mut t = Harness::new(&ENTRY, options);
    let a = t.open();
    for segment in cuts.cut(bytes) {
        t.feed(a, segment);
    }
    if end {
        t.end(a);
    }
    let at_once = t.take(a);
    t.advance(Duration::from_secs(86_400));
    [at_once, t.take(a)]
}

fn block(sum: i128) -> Vec<u8> {
    let mut block = format!("Result = {sum}").into_bytes();
    block.resize(128, 0);
    block
}

fn line(sum: i128) -> Vec<u8> {
    format!("Result = {sum}\n").into_bytes()
}

/// The text wire, from its description.
fn text_model(bytes: &[u8], end: bool) -> Vec<u8> {
    let (mut sum, mut sent) = (0_i128, Vec::new());
    let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
    let last = lines.pop().unwrap_or_default();
    for text in lines
        .iter()
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
    {
        match number(text) {
            _ if text.len() > 4_096 => too_long(&mut sent),
            Some(0) => return [sent, line(sum)].concat(),
            Some(value) => sum += value,
            None => {}
        }
    }
    let whole = last.strip_suffix(b"\r").unwrap_or(last);
    if whole.len() > 4_096 {
        too_long(&mut sent);
    } else if end {
        sum += number(last).unwrap_or(0);
    }
    if end {
        sent.append(&mut line(sum));
    }
    sent
}

fn too_long(sent: &mut Vec<u8>) {
    sent.extend_from_slice(b"error: a line has at most 4096 bytes; this one is skipped\n");
}

/// A decimal integer of 64 bits with or without a sign, blanks around it.
fn number(text: &[u8]) -> Option<i128> {
    let text = text.trim_ascii();
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_i128;
    for digit in digits {
        let digit = digit.is_ascii_digit().then(|| i128::from(digit - b'0'))?;
        value = (value * 10 + digit).min(1 << 70);
    }
    i64::try_from(sign * value).ok().map(i128::from)
}

/// The binary wire, from its description.
fn binary_model(bytes: &[u8], end: bool) -> Vec<u8> {
    let mut sum = 0_i128;
    for word in bytes.chunks_exact(4) {
        match i32::from_ne_bytes([word[0], word[1], word[2], word[3]]) {
            0 => return block(sum),
            value => sum += i128::from(value),
        }
    }
    if end { block(sum) } else { Vec::new() }
}

/// Either wire, as the first four bytes say; what comes at once and what comes after a pause.
fn auto_model(bytes: &[u8], end: bool) -> [Vec<u8>; 2] {
    let first = &bytes[..bytes.len().min(4)];
    let is_text = |byte: &u8| matches!(byte, 32..=126) || b"\t\n\x0b\x0c\r".contains(byte);
    let nothing = Vec::new;
    if !first.iter().all(is_text) {
        return [binary_model(bytes, end), nothing()];
    }
    match first.len() < 4 && !end {
        true if first.contains(&b'\n') => [nothing(), text_model(bytes, end)],
        true => [nothing(), nothing()],
        false => [text_model(bytes, end), nothing()],
    }
}

fn lines() -> impl Strategy<Value = Vec<u8>> {
    let rubbish = select(vec![
        "",
        "abc",
        "1.5",
        "--1",
        "9223372036854775808",
        "0x1",
        "1 2",
        "\u{661}",
    ]);
    let line = prop_oneof![
        4 => any::<i64>().prop_map(|value| format!("{value}")),
        1 => any::<i64>().prop_map(|value| format!(" {value:+}\t")),
        1 => rubbish.prop_map(str::to_owned),
        1 => Just("0".to_owned()),
    ];
    let line = (line, select(vec!["\n", "\r\n"])).prop_map(|(line, end)| line + end);
    vec(line, 0..20).prop_map(|lines| lines.concat().into_bytes())
}

/// Long enough for the server's ways with many lines at once, now and then with another line.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let plain = (1_u32..17, any::<i64>()).prop_map(|(digits, value)| {
        let value = value % 10_i64.pow(digits);
        format!("{}\n", if value == 0 { 7 } else { value })
    });
    let other = select(vec![
        "\r\n", "5\r\n", " 5\n", "+5\n", "007\n", "-\n", "-0x\n", "1-\n", "5\n\n", "0\n",
    ]);
    let long = (4_090_usize..4_100).prop_map(|len| "1".repeat(len) + "\n");
    let line = prop_oneof![
        400 => plain,
        4 => other.prop_map(str::to_owned),
        1 => any::<i64>().prop_map(|value| format!("{value}\n")),
        1 => long,
    ];
    vec(line, 0..400).prop_map(|lines| lines.concat().into_bytes())
}

/// So many integers that they are added up together, rarely a 0.
fn many_words() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![4_000 => any::<i32>(), 1 => Just(0)];
    vec(word, 0..4_000).prop_map(|words| words.iter().flat_map(|word| word.to_ne_bytes()).collect())
}

fn words() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![9 => any::<i32>(), 2 => Just(i32::MAX), 1 => Just(0)];
    (vec(word, 0..20), vec(any::<u8>(), 0..4)).prop_map(|(words, rest)| {
        words
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .chain(rest)
            .collect()
    })
}

fn input() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![lines(), words(), bytes()]
}

fn long_input() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![stream(), many_words()]
}

proptest! {
    #![proptest_config(cases(1_500))]

    #[test]
    fn text_is_summed_as_by_the_model(bytes in input(), end: bool, cuts in cuts()) {
        let expected = [text_model(&bytes, end), Vec::new()];
        prop_assert_eq!(answers("wire=text", &bytes, end, &cuts), expected);
    }

    #[test]
    fn integers_of_32_bits_are_summed_as_by_the_model(bytes in input(), end: bool, cuts in cuts()) {
        let expected = [binary_model(&bytes, end), Vec::new()];
        prop_assert_eq!(answers("wire=binary", &bytes, end, &cuts), expected);
    }

    #[test]
    fn either_wire_is_found_out_as_by_the_model(bytes in input(), end: bool, cuts in cuts()) {
        prop_assert_eq!(answers("", &bytes, end, &cuts), auto_model(&bytes, end));
    }
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn long_streams_are_summed_as_by_the_model(bytes in long_input(), end: bool, cuts in cuts()) {
        prop_assert_eq!(answers("", &bytes, end, &cuts), auto_model(&bytes, end));
        let expected = [text_model(&bytes, end), Vec::new()];
        prop_assert_eq!(answers("wire=text", &bytes, end, &cuts), expected);
    }
}
