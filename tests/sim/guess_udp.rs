//! Players over datagrams: the first one asks for the prompt, the next ones are guesses, an error is
//! said once until a guess comes, and a game is forgotten after a minute without a word.

use std::time::Duration;

use switchboard::service::{self, CloseReason, Entry, Moment};
use switchboard::services::guess;

use crate::random::Random;
use crate::world::{Rules, Seen};

const GAME: Duration = Duration::from_secs(60);

/// Largest number and tries of the listeners.
const GAMES: [(u64, u64); 2] = [(6, 1), (3, 4)];

pub struct Players {
    draws: service::Random,
}

pub struct Player {
    listener: usize,
    drawn: u64,
    datagrams: Vec<Vec<u8>>,
    born: Option<Moment>,
    told: bool,
    received: Vec<u8>,
}

impl Player {
    /// All that it should have been sent by now, and whether the game is over.
    fn expected(&self) -> (String, bool) {
        let (max, mut tries) = GAMES[self.listener];
        let (mut text, mut complained) = (String::new(), false);
        for (number, datagram) in self.datagrams.iter().enumerate() {
            if number == 0 {
                text = format!("Guess a number between 1 and {max}.\n");
                continue;
            }
            let guess = String::from_utf8_lossy(datagram);
            let guess = guess.trim().parse::<u64>().ok();
            let Some(guess) = guess.filter(|guess| (1..=max).contains(guess)) else {
                if !complained {
                    text += &format!("error: that is no number from 1 to {max}\n");
                }
                complained = true;
                continue;
            };
            complained = false;
            tries -= 1;
            let outcome = match (guess == self.drawn, tries) {
                (true, _) => "Correct, you win",
                (false, 0) => "Wrong, you lose",
                (false, _) => {
                    text += "Wrong, try again.\n";
                    continue;
                }
            };
            return (format!("{text}{outcome}: it was {}.\n", self.drawn), true);
        }
        (text, false)
    }
}

impl Rules for Players {
    const ENTRY: &Entry = &guess::ENTRY;
    const LISTENERS: &[&str] = &["", "max=3&tries=4"];
    const DATAGRAMS: bool = true;
    type Client = Player;

    fn new() -> Self {
        // That of a harness whose seed nobody has set.
        Self {
            draws: service::Random::default(),
        }
    }

    fn come(&mut self, listener: usize, _: usize, random: &mut Random) -> (Player, Vec<u8>) {
        let (max, _) = GAMES[listener];
        let client = Player {
            listener,
            drawn: self.draws.within(1..=max),
            datagrams: Vec::new(),
            born: None,
            told: false,
            received: Vec::new(),
        };
        let plan = (0..random.below(40)).map(|_| b"112233456 \n\n\nx"[random.below(14)]);
        (client, plan.collect())
    }

    fn sent(&mut self, client: &mut Player, bytes: &[u8], _: Moment) {
        client.datagrams.push(bytes.to_vec());
    }

    fn ended(&mut self, _: &mut Player, _: Moment) {}

    fn passed(&mut self, _: &mut Player, _: Moment) {}

    fn told(&mut self, client: &mut Player) {
        client.told = true;
    }

    fn judge(&mut self, client: &mut Player, seen: &Seen<'_>) -> Result<(), String> {
        client.received.extend_from_slice(seen.received);
        let born = *client.born.get_or_insert(seen.now);
        let (expected, over) = client.expected();
        if client.received != expected.as_bytes() {
            return Err(format!("expected {expected:?} in all"));
        }
        let reason = match (over, client.told) {
            (true, _) => Some(CloseReason::Answered),
            (false, _) if seen.now >= born.after(GAME) => Some(CloseReason::NotAnswered),
            (false, true) => Some(CloseReason::Shutdown),
            (false, false) => None,
        };
        (seen.closed == reason)
            .then_some(())
            .ok_or(format!("expected to be closed: {reason:?}"))
    }
}
