//! Players on streams: each is told its own draw's truth, once, as soon as its tries are used up,
//! and an error for all that is no guess. What each draw must be is known from the same sequence.

use switchboard::service::{self, BYE, CloseReason, Entry, Moment};
use switchboard::services::guess;

use crate::random::Random;
use crate::world::{Rules, Seen};

const TOO_LONG: &str = "error: a line has at most 4096 bytes; this one is skipped\n";

/// Largest number and tries of the listeners; the third has one person to guess.
const GAMES: [(u64, u64); 3] = [(6, 1), (3, 4), (1, 2)];

pub struct Players {
    draws: service::Random,
}

pub struct Player {
    listener: usize,
    drawn: u64,
    bytes: Vec<u8>,
    ended: bool,
    told: bool,
    received: Vec<u8>,
}

impl Player {
    /// All that it should have been sent by now, and whether the game is over.
    fn expected(&self) -> (String, bool) {
        let (max, mut tries) = GAMES[self.listener];
        let names = self.listener == 2;
        let mut text = match names {
            true => "Guess who: the only one in this file\n".to_owned(),
            false => format!("Guess a number between 1 and {max}.\n"),
        };
        for line in self.bytes.split_inclusive(|byte| *byte == b'\n') {
            let guess = String::from_utf8_lossy(line);
            let (whole, guess) = (line.ends_with(b"\n"), guess.trim());
            if guess.len() > 4_096 {
                text += TOO_LONG;
                continue;
            }
            if !whole && !self.ended {
                continue;
            }
            let right = match (names, guess.parse::<u64>()) {
                (true, _) if guess.is_empty() => None,
                (true, _) => Some(guess == "ARNIE"),
                (false, Ok(number)) if (1..=max).contains(&number) => Some(number == self.drawn),
                (false, _) => None,
            };
            tries -= u64::from(right.is_some());
            match right {
                None if names => text += "error: that is no name\n",
                None => text += &format!("error: that is no number from 1 to {max}\n"),
                Some(false) if tries > 0 => text += "Wrong, try again.\n",
                Some(right) => {
                    text += ["Wrong, you lose", "Correct, you win"][usize::from(right)];
                    text += &match names {
                        true => ": it was Arnie O'Example.\n".to_owned(),
                        false => format!(": it was {}.\n", self.drawn),
                    };
                    return (text, true);
                }
            }
        }
        (text, false)
    }
}

impl Rules for Players {
    const ENTRY: &Entry = &guess::ENTRY;
    const LISTENERS: &[&str] = &[
        "",
        "max=3&tries=4",
        "game=name&tries=2&names=tests/wire/names.list",
    ];
    type Client = Player;

    fn new() -> Self {
        // That of a harness whose seed nobody has set.
        Self {
            draws: service::Random::default(),
        }
    }

    fn come(&mut self, listener: usize, _: usize, random: &mut Random) -> (Player, Vec<u8>) {
        let (max, tries) = GAMES[listener];
        let drawn = self.draws.within(1..=max);
        let mut plan = String::new();
        for _ in 0..random.below(2 * usize::try_from(tries).expect("few") + 3) {
            match random.below(12) {
                0 => plan += "0",
                1 => {}
                2 if random.one_in(10) => plan += &"1".repeat(4_000 + random.below(400)),
                3 => plan += "ARNIE",
                _ => plan += &(1 + random.below(7)).to_string(),
            }
            plan += if random.one_in(4) { "\r\n" } else { "\n" };
        }
        if random.one_in(3) {
            plan.pop();
        }
        let client = Player {
            listener,
            drawn,
            bytes: Vec::new(),
            ended: false,
            told: false,
            received: Vec::new(),
        };
        (client, plan.into_bytes())
    }

    fn sent(&mut self, client: &mut Player, bytes: &[u8], _: Moment) {
        client.bytes.extend_from_slice(bytes);
    }

    fn ended(&mut self, client: &mut Player, _: Moment) {
        client.ended = true;
    }

    fn passed(&mut self, _: &mut Player, _: Moment) {}

    fn told(&mut self, client: &mut Player) {
        client.told = true;
    }

    fn judge(&mut self, client: &mut Player, seen: &Seen<'_>) -> Result<(), String> {
        client.received.extend_from_slice(seen.received);
        let (expected, over) = client.expected();
        let mut expected = expected.into_bytes();
        let reason = match (over, client.ended, client.told) {
            (true, _, _) => Some(CloseReason::Answered),
            (false, true, _) => Some(CloseReason::ClientEnded),
            (false, false, true) => Some(CloseReason::Shutdown),
            (false, false, false) => None,
        };
        if reason == Some(CloseReason::Shutdown) {
            expected.extend_from_slice(BYE);
        }
        if client.received != expected {
            return Err(format!("expected \"{}\" in all", expected.escape_ascii()));
        }
        (seen.closed == reason)
            .then_some(())
            .ok_or(format!("expected to be closed: {reason:?}"))
    }
}
