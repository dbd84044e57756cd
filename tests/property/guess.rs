//! The game of numbers against a model from its description, on streams in any cuts and over
//! datagrams. What is drawn is known from the seed.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use switchboard::service::harness::Harness;
use switchboard::service::{CloseReason, Random};
use switchboard::services::guess::ENTRY;

use crate::bytes::{bytes, cuts};
use crate::cases;

const TOO_LONG: &str = "error: a line has at most 4096 bytes; this one is skipped\n";

/// One game, as its description has it.
struct Model {
    max: u64,
    drawn: u64,
    tries: u64,
    over: bool,
}

impl Model {
    fn new(seed: u64, max: u64, tries: u64) -> Self {
        let drawn = Random::seeded(seed).within(1..=max);
        let over = false;
        Self {
            max,
            drawn,
            tries,
            over,
        }
    }

    fn prompt(&self) -> String {
        format!("Guess a number between 1 and {}.\n", self.max)
    }

    /// What a guess is told; the error is told where it is none.
    fn guess(&mut self, guess: &[u8]) -> Result<String, String> {
        let max = self.max;
        let number = number(guess).filter(|number| (1..=max).contains(number));
        let number = number.ok_or(format!("error: that is no number from 1 to {max}\n"))?;
        self.tries -= 1;
        let outcome = match (number == self.drawn, self.tries) {
            (true, _) => "Correct, you win",
            (false, 0) => "Wrong, you lose",
            (false, _) => return Ok("Wrong, try again.\n".to_owned()),
        };
        self.over = true;
        Ok(format!("{outcome}: it was {}.\n", self.drawn))
    }

    /// All that a stream is sent.
    fn stream(&mut self, bytes: &[u8], end: bool) -> String {
        let mut sent = self.prompt();
        let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
        let last = lines.pop().unwrap_or_default();
        for line in lines {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            sent += &match line.len() {
                4_097.. => TOO_LONG.to_owned(),
                _ => self.guess(line).unwrap_or_else(|error| error),
            };
            if self.over {
                return sent;
            }
        }
        if last.strip_suffix(b"\r").unwrap_or(last).len() > 4_096 {
            sent += TOO_LONG;
        } else if end && !last.is_empty() {
            sent += &self.guess(last).unwrap_or_else(|error| error);
        }
        sent
    }
}

/// A decimal number, blanks around it and a plus sign before it allowed.
fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    all.then(|| {
        digits.iter().fold(0_u64, |value, digit| {
            value
                .saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        })
    })
}

fn ours(datagram: &[u8]) -> bool {
    ["Guess ", "Correct, you ", "Wrong, ", "error: ", "bye: "]
        .iter()
        .any(|text| datagram.starts_with(text.as_bytes()))
}

fn guess() -> impl Strategy<Value = Vec<u8>> {
    let rubbish = select(vec![
        "",
        "+",
        "-1",
        "+ 1",
        "1.0",
        "\u{661}",
        "99999999999999999999999",
        "Wrong, try again.",
        "error: no",
        "Guess what",
        "bye: bye",
        "007",
        " +2\t",
    ]);
    prop_oneof![
        6 => (0_u64..9).prop_map(|number| number.to_string().into_bytes()),
        2 => rubbish.prop_map(|text| text.as_bytes().to_vec()),
        1 => bytes(),
    ]
}

fn lines() -> impl Strategy<Value = Vec<u8>> {
    let end = select(vec![&b"\n"[..], b"\r\n", b"\n", b""]);
    let line = (guess(), end).prop_map(|(guess, end)| [&guess[..], end].concat());
    vec(line, 0..10).prop_map(|lines| lines.concat())
}

proptest! {
    #![proptest_config(cases(800))]

    #[test]
    fn a_stream_is_told_what_the_model_says(
        bytes in lines(), end: bool, cuts in cuts(),
        seed: u64, max in 2_u64..8, tries in 1_u64..5,
    ) {
        let mut t = Harness::new(&ENTRY, &format!("max={max}&tries={tries}"));
        t.seed(seed);
        let a = t.open();
        for segment in cuts.cut(&bytes) {
            t.feed(a, segment);
        }
        if end {
            t.end(a);
        }
        let mut model = Model::new(seed, max, tries);
        let expected = model.stream(&bytes, end);
        prop_assert_eq!(String::from_utf8(t.take(a)).unwrap(), expected);
        let reason = match (model.over, end) {
            (true, _) => Some(CloseReason::Answered),
            (false, true) => Some(CloseReason::ClientEnded),
            (false, false) => None,
        };
        prop_assert_eq!(t.closed(a), reason);
    }

    /// The first datagram asks for the prompt, an error is said once until a guess comes, and what
    /// one of our own has said is passed over.
    #[test]
    fn datagrams_are_answered_as_by_the_model(
        all in vec(guess(), 1..14), seed: u64, max in 2_u64..8, tries in 1_u64..5,
    ) {
        let mut t = Harness::new(&ENTRY, &format!("max={max}&tries={tries}"));
        t.seed(seed);
        let a = t.open_datagram_at(0);
        let mut model = Model::new(seed, max, tries);
        let (mut asked, mut complained, mut refused) = (false, false, false);
        for datagram in &all {
            t.feed(a, datagram);
            let answer = match ours(datagram) {
                _ if model.over || refused => None,
                true => {
                    refused = !asked;
                    None
                }
                false if !asked => {
                    asked = true;
                    Some(model.prompt())
                }
                false if datagram.len() > 4_096 => {
                    let first = !std::mem::replace(&mut complained, true);
                    first.then(|| "error: that is too long\n".to_owned())
                }
                false => match model.guess(datagram) {
                    Ok(answer) => {
                        complained = false;
                        Some(answer)
                    }
                    Err(error) => {
                        let first = !std::mem::replace(&mut complained, true);
                        first.then_some(error)
                    }
                },
            };
            let expected: Vec<_> = answer.into_iter().map(String::into_bytes).collect();
            prop_assert_eq!(t.take_datagrams(a), expected, "{:?}", datagram);
            let reason = match (model.over, refused) {
                (true, _) => Some(CloseReason::Answered),
                (false, true) => Some(CloseReason::NotAnswered),
                (false, false) => None,
            };
            prop_assert_eq!(t.closed(a), reason);
        }
    }
}
