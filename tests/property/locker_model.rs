//! The lockers against a plain model: random commands on both wires, one after the other, from
//! kiosks that have the password and from strangers that have not. Nobody tries twice from one
//! place, so that no try has to wait; those rules are tested with the guard.

use std::net::SocketAddr;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use switchboard::service::harness::Harness;
use switchboard::service::{Moment, Peer};
use switchboard::services::locker;

use crate::cases;

/// A password, as a number; 0 is `0000`.
pub type Password = u32;

/// What somebody asks of one locker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    Register(Password),
    /// An item, as a number.
    Store(Password, u32),
    Retrieve(Password),
    /// By an administrator.
    Reset,
    /// What `show` says of this locker.
    Show,
}

/// What the answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Yours,
    Holds(usize),
    Items(Vec<u32>),
    Reset,
    /// Whether it is in use, as an answer to [`Ask::Show`].
    Is(bool),
    InUse,
    Free,
    Wrong,
    /// It has another password than when the reset was asked for.
    ChangedHands,
}

/// One locker, as its description has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Locker {
    /// The owner's password.
    password: Option<Password>,
    items: Vec<u32>,
    /// What was taken out last, with which password, and until when it is told again.
    taken: Option<(Password, Vec<u32>, Moment)>,
}

const REPEAT: Duration = Duration::from_secs(60);

impl Locker {
    /// Does what is asked, and says what the answer has to be.
    pub fn answer(&mut self, ask: &Ask, now: Moment) -> Told {
        let taken = self.taken.as_ref().filter(|(.., until)| now < *until);
        match (ask, self.password) {
            (Ask::Register(_), Some(_)) => Told::InUse,
            (Ask::Register(password), None) => {
                *self = Self {
                    password: Some(*password),
                    ..Self::default()
                };
                Told::Yours
            }
            (Ask::Retrieve(password), None) => match taken {
                Some((with, items, _)) if with == password => Told::Items(items.clone()),
                Some(_) => Told::Wrong,
                None => Told::Free,
            },
            (Ask::Store(..) | Ask::Reset, None) => Told::Free,
            (Ask::Store(password, _) | Ask::Retrieve(password), Some(owner))
                if *password != owner =>
            {
                Told::Wrong
            }
            (Ask::Store(_, item), Some(_)) => {
                self.items.push(*item);
                Told::Holds(self.items.len())
            }
            (Ask::Retrieve(password), Some(_)) => {
                let items = std::mem::take(&mut self.items);
                self.taken = Some((*password, items.clone(), now.after(REPEAT)));
                self.password = None;
                Told::Items(items)
            }
            (Ask::Reset, Some(_)) => {
                self.password = Some(0);
                Told::Reset
            }
            (Ask::Show, password) => Told::Is(password.is_some()),
        }
    }
}

/// The line that asks for it.
pub fn line(locker: usize, ask: &Ask) -> String {
    match ask {
        Ask::Register(password) => format!("register {locker} {password:04}\n"),
        Ask::Store(password, item) => format!("store {locker} {password:04} item {item}\n"),
        Ask::Retrieve(password) => format!("retrieve {locker} {password:04}\n"),
        Ask::Reset => format!("reset {locker}\n"),
        Ask::Show => "show\n".to_owned(),
    }
}

/// Reads the answer to that; the inner `None` is a refusal for a reason of the server's own, the
/// error is an answer that nobody should get.
pub fn read(locker: usize, ask: &Ask, text: &str) -> Result<Option<Told>, String> {
    let other = || format!("{text:?} to {ask:?}");
    let mut items = Vec::new();
    for line in text.lines() {
        let Some(item) = line.strip_prefix("item item ") else {
            break;
        };
        items.push(item.parse().map_err(|_| other())?);
    }
    let told = match (ask, text.lines().last().ok_or_else(other)?) {
        (Ask::Show, "ok") => {
            let state = text.lines().nth(locker).ok_or_else(other)?;
            Told::Is(state == format!("{locker} in use"))
        }
        (Ask::Register(_), last) if last == format!("ok locker {locker} is yours") => Told::Yours,
        (Ask::Reset, "ok") => Told::Reset,
        (Ask::Retrieve(_), last) if last == format!("ok {} items", items.len()) => {
            Told::Items(items)
        }
        (Ask::Store(..), last) if last.starts_with("ok ") && last.ends_with(" items") => {
            let count = last.split(' ').nth(1).and_then(|word| word.parse().ok());
            Told::Holds(count.ok_or_else(other)?)
        }
        (Ask::Register(_), last) if last == format!("error: locker {locker} is in use") => {
            Told::InUse
        }
        (Ask::Store(..) | Ask::Retrieve(_) | Ask::Reset, last)
            if last == format!("error: locker {locker} is free") =>
        {
            Told::Free
        }
        (Ask::Store(..) | Ask::Retrieve(_), last)
            if last == format!("error: wrong password for locker {locker}") =>
        {
            Told::Wrong
        }
        (Ask::Store(..) | Ask::Retrieve(_), last)
            if last.starts_with("error: too many wrong passwords for locker ") =>
        {
            return Ok(None);
        }
        (Ask::Reset, last) if last.ends_with(" has changed hands; nothing was changed") => {
            Told::ChangedHands
        }
        (_, "error: busy, try again") => return Ok(None),
        _ => return Err(other()),
    };
    Ok(Some(told))
}

pub fn network(number: usize) -> Peer {
    let [.., high, low] = number.to_be_bytes();
    Peer::from(SocketAddr::from(([10, 1, high, low], 4_000)))
}

/// One thing that happens: who (the last one speaks binary), which locker, what, and with which of
/// the passwords that it ever had.
type Step = (usize, usize, u8, usize);

const LOCKERS: usize = 3;
const KIOSKS: usize = 4;
/// The place of the kiosk that speaks binary, and of the administrator.
const BINARY: usize = KIOSKS - 1;
const ADMIN: usize = KIOSKS;

struct Play {
    harness: Harness,
    lockers: Vec<Locker>,
    /// Passwords of each locker, also of those who did not get it.
    passwords: Vec<Vec<Password>>,
    count: u32,
    places: Vec<usize>,
    strangers: usize,
}

impl Play {
    fn new() -> Self {
        let listeners = ["count=3&hash=8,1", "wire=binary"];
        let mut harness = Harness::with_listeners(&locker::ENTRY, &listeners);
        let mut places: Vec<_> = (0..KIOSKS)
            .map(|kiosk| {
                let listener = u16::from(kiosk == BINARY);
                harness.open_peer_at(listener, network(kiosk))
            })
            .collect();
        places.push(harness.open_peer_at(0, Peer::Unix { pid: 1, uid: 0 }));
        assert_eq!(harness.take(places[BINARY]), 3_i32.to_ne_bytes());
        Self {
            harness,
            lockers: vec![Locker::default(); LOCKERS],
            passwords: vec![vec![0]; LOCKERS],
            count: 0,
            places,
            strangers: 0,
        }
    }

    fn step(&mut self, (who, locker, what, pick): Step) -> Result<(), String> {
        self.count += 1;
        let known = &self.passwords[locker];
        // Mostly the latest.
        let password = known[known.len() - 1 - (pick / 3) % known.len()];
        let ask = match what {
            0..4 => Ask::Register(self.count),
            4..9 => Ask::Store(password, self.count),
            9..13 => Ask::Retrieve(password),
            13 => Ask::Reset,
            _ => Ask::Show,
        };
        if let Ask::Register(password) = ask {
            self.passwords[locker].push(password);
        }
        let expected = self.lockers[locker].answer(&ask, self.harness.now());
        let place = match (&ask, &expected) {
            (_, Told::Wrong) => {
                self.strangers += 1;
                let listener = u16::from(who == BINARY);
                let peer = network(1_000 + self.strangers);
                let place = self.harness.open_peer_at(listener, peer);
                self.harness.take(place);
                place
            }
            (Ask::Reset, _) => self.places[ADMIN],
            _ => self.places[who],
        };
        match who == BINARY && ask != Ask::Reset {
            true => self.say_binary(place, locker, &ask, &expected)?,
            false => self.say_text(place, locker, &ask, &expected)?,
        }
        if expected == Told::Wrong {
            // The next stranger is not to wait for this one.
            self.harness.advance(Duration::from_secs(5));
        }
        Ok(())
    }

    fn say_text(
        &mut self,
        place: usize,
        locker: usize,
        ask: &Ask,
        expected: &Told,
    ) -> Result<(), String> {
        self.harness.feed(place, line(locker, ask).as_bytes());
        let text = String::from_utf8(self.harness.take(place)).map_err(|_| "no text")?;
        let told = read(locker, ask, &text)?;
        match told.as_ref() == Some(expected) {
            true => Ok(()),
            false => Err(format!("{ask:?}: {text:?} and not {expected:?}")),
        }
    }

    fn say_binary(
        &mut self,
        place: usize,
        locker: usize,
        ask: &Ask,
        expected: &Told,
    ) -> Result<(), String> {
        let (bytes, item) = binary(locker, ask);
        self.harness.feed(place, &bytes);
        let answer = self.harness.take(place);
        let right = match expected {
            Told::Yours | Told::InUse => answer.is_empty(),
            Told::Holds(_) => answer == 0_i32.to_ne_bytes(),
            Told::Items(_) => answer == 1_i32.to_ne_bytes(),
            Told::Is(in_use) => {
                let free = i32::from(!in_use).to_ne_bytes();
                answer.get(8 * locker + 4..8 * locker + 8) == Some(&free)
            }
            _ => {
                let refused = i32::from(matches!(ask, Ask::Store(..)));
                answer == refused.to_ne_bytes()
            }
        };
        if matches!(expected, Told::Holds(_)) {
            self.harness.feed(place, &item);
            if !self.harness.take(place).is_empty() {
                return Err("an item has no answer".to_owned());
            }
        }
        match right {
            true => Ok(()),
            false => Err(format!("{ask:?}: {answer:?} and not {expected:?}")),
        }
    }
}

/// The choice on the binary wire, and the item behind it.
fn binary(locker: usize, ask: &Ask) -> (Vec<u8>, Vec<u8>) {
    let (choice, password, item) = match ask {
        Ask::Show | Ask::Reset => return (1_i32.to_ne_bytes().to_vec(), Vec::new()),
        Ask::Register(password) => (2_i32, password, String::new()),
        Ask::Store(password, item) => (3, password, format!("item {item}")),
        Ask::Retrieve(password) => (4, password, String::new()),
    };
    let locker = i32::try_from(locker).expect("few lockers");
    let mut bytes = [choice.to_ne_bytes(), locker.to_ne_bytes()].concat();
    bytes.extend(format!("{password:04}").into_bytes());
    bytes.resize(18, 0);
    let mut item = item.into_bytes();
    item.resize(100, 0);
    (bytes, item)
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn lockers_do_what_the_model_does(
        steps in vec(
            prop_oneof![
                12 => (0..KIOSKS, 0..LOCKERS, 0_u8..16, 0_usize..12).prop_map(Ok),
                1 => select(&[1_u64, 29, 59, 60, 61, 700][..]).prop_map(Err),
            ],
            1..80,
        ),
    ) {
        let mut play = Play::new();
        for (number, step) in steps.iter().enumerate() {
            match step {
                Ok(step) => {
                    let done = play.step(*step);
                    prop_assert!(done.is_ok(), "step {}: {:?}", number, done);
                }
                Err(seconds) => play.harness.advance(Duration::from_secs(*seconds)),
            }
        }
    }
}
