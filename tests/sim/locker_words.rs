//! What kiosks of the simulation say on either wire, and what their answers say.

use std::collections::VecDeque;

use crate::locker_model::Change;
use crate::random::Random;

/// Something that a kiosk says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Nothing: the server speaks first.
    Greeting,
    Show,
    Register(usize, String),
    Store(usize, String, String),
    Retrieve(usize, String),
    Reset(usize),
    /// What is no command on the text wire.
    Nothing,
    Quit,
    /// On the binary wire: whether the password is right, before an item.
    Check(usize, String),
    /// The same three as above, on the binary wire, where they have no answer.
    SilentRegister(usize, String),
    SilentReset(usize),
    Item(usize, String, String),
    Leave,
}

#[derive(Debug, Clone)]
pub struct Command {
    pub what: What,
    /// So much has to be sent before it can be done.
    pub end: usize,
    /// The end of its line is the end of the writing.
    pub needs_end: bool,
    /// The bytes.
    bytes: Vec<u8>,
}

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// For each locker whether it is in use.
    Lockers(Vec<bool>),
    Yours,
    Holds(usize),
    Items(Vec<String>),
    InUse,
    Free,
    Wrong,
    TooMany,
    Busy,
    Waiting,
    NobodyThere,
    NoCommand,
    Bye,
    /// Yes, and no, on the binary wire.
    Done,
    Refused,
}

impl What {
    /// Whether it has no answer.
    pub fn is_silent(&self) -> bool {
        matches!(
            self,
            Self::SilentRegister(..) | Self::SilentReset(_) | Self::Item(..)
        )
    }

    /// What it may do to which locker.
    pub fn change(&self) -> Option<(usize, Change)> {
        Some(match self {
            Self::Register(locker, password) | Self::SilentRegister(locker, password) => {
                (*locker, Change::Register(password.clone()))
            }
            Self::Store(locker, password, item) | Self::Item(locker, password, item) => {
                (*locker, Change::Store(password.clone(), item.clone()))
            }
            Self::Retrieve(locker, password) => (*locker, Change::Retrieve(password.clone())),
            _ => return None,
        })
    }

    pub fn locker(&self) -> Option<usize> {
        self.change().map(|(locker, _)| locker)
    }
}

impl Command {
    /// The writing has ended after `sent` bytes: the line that was begun is all there is of it.
    pub fn cut(&mut self, sent: usize) {
        let begin = (self.end + usize::from(self.needs_end)).saturating_sub(self.bytes.len());
        if sent <= begin || sent >= self.end {
            return;
        }
        let line = String::from_utf8_lossy(&self.bytes[..sent - begin]).into_owned();
        self.what = read(&line);
        (self.end, self.needs_end) = (sent, true);
    }
}

/// What a line says, of those that a kiosk may have begun to send.
fn read(line: &str) -> What {
    let mut words = line.splitn(4, ' ');
    let (command, locker) = (words.next(), words.next());
    let (password, item) = (words.next(), words.next());
    let locker = locker.and_then(|word| word.parse().ok());
    let is_there = |word: &&str| !word.is_empty();
    let password = password.filter(is_there).map(str::to_owned);
    let item = item.filter(is_there).map(str::to_owned);
    match (command, locker, password, item) {
        (Some("show"), None, None, None) => What::Show,
        (Some("quit"), None, None, None) => What::Quit,
        (Some("reset"), Some(locker), None, None) => What::Reset(locker),
        (Some("register"), Some(locker), Some(password), None) => What::Register(locker, password),
        (Some("retrieve"), Some(locker), Some(password), None) => What::Retrieve(locker, password),
        (Some("store"), Some(locker), Some(password), Some(item)) => {
            What::Store(locker, password, item)
        }
        _ => What::Nothing,
    }
}

/// What a kiosk will say, and its bytes.
pub fn plan(
    binary: bool,
    lockers: usize,
    mine: &str,
    number: usize,
    random: &mut Random,
) -> (VecDeque<Command>, Vec<u8>) {
    let mut plan = Plan {
        commands: VecDeque::new(),
        bytes: Vec::new(),
    };
    if binary {
        plan.add(What::Greeting, &[]);
    }
    for turn in 0..random.below(8) {
        let locker = random.below(lockers);
        // Mostly its own password, at times that of others.
        let password = match random.below(12) {
            0 => "c",
            1 => "0000",
            _ => mine,
        };
        let item = format!("item {number}.{turn}");
        match binary {
            true => plan.binary(random, locker, password, &item),
            false => plan.text(random, locker, password, &item),
        }
    }
    if !binary && random.one_in(3) && plan.bytes.pop().is_some() {
        let last = plan.commands.back_mut().expect("there are bytes");
        last.end -= 1;
        last.needs_end = true;
    }
    (plan.commands, plan.bytes)
}

struct Plan {
    commands: VecDeque<Command>,
    bytes: Vec<u8>,
}

impl Plan {
    fn add(&mut self, what: What, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.commands.push_back(Command {
            what,
            end: self.bytes.len(),
            needs_end: false,
            bytes: bytes.to_vec(),
        });
    }

    fn text(&mut self, random: &mut Random, locker: usize, password: &str, item: &str) {
        let (what, line) = match random.below(20) {
            0..6 => (
                What::Register(locker, password.to_owned()),
                format!("register {locker} {password}\n"),
            ),
            6..11 => (
                What::Store(locker, password.to_owned(), item.to_owned()),
                format!("store {locker} {password} {item}\n"),
            ),
            11..15 => (
                What::Retrieve(locker, password.to_owned()),
                format!("retrieve {locker} {password}\n"),
            ),
            15 | 16 => (What::Show, "show\n".to_owned()),
            17 => (What::Reset(locker), format!("reset {locker}\n")),
            18 => (What::Nothing, "frob\n".to_owned()),
            _ => (What::Quit, "quit\n".to_owned()),
        };
        self.add(what, line.as_bytes());
    }

    fn binary(&mut self, random: &mut Random, locker: usize, password: &str, item: &str) {
        let secret = password.to_owned();
        let choice = |choice: i32| {
            let locker = i32::try_from(locker).expect("few lockers");
            let mut bytes = [choice.to_ne_bytes(), locker.to_ne_bytes()].concat();
            bytes.extend_from_slice(&block::<10>(password));
            bytes
        };
        match random.below(12) {
            0..4 => self.add(What::SilentRegister(locker, secret), &choice(2)),
            4..7 => {
                self.add(What::Check(locker, secret.clone()), &choice(3));
                let what = What::Item(locker, secret, item.to_owned());
                self.add(what, &block::<100>(item));
            }
            7..9 => self.add(What::Retrieve(locker, secret), &choice(4)),
            9 => self.add(What::SilentReset(locker), &choice(5)[..8]),
            10 => self.add(What::Leave, &6_i32.to_ne_bytes()),
            _ => {}
        }
        // An answer shows that what came before it is done.
        if random.one_in(2) {
            self.add(What::Show, &1_i32.to_ne_bytes());
        }
    }
}

fn block<const SIZE: usize>(text: &str) -> [u8; SIZE] {
    let mut block = [0; SIZE];
    block[..text.len()].copy_from_slice(text.as_bytes());
    block
}

/// Reads the answer to `what` at the front of the bytes, and how many it takes; `None` where there is
/// no such answer.
pub fn parse(what: &What, binary: bool, bytes: &[u8], lockers: usize) -> Option<(Answer, usize)> {
    match binary {
        true => parse_binary(what, bytes, lockers),
        false => parse_text(bytes),
    }
}

fn parse_binary(what: &What, bytes: &[u8], lockers: usize) -> Option<(Answer, usize)> {
    let number = |at: usize| {
        let bytes = bytes.get(4 * at..4 * at + 4)?;
        bytes.try_into().ok().map(i32::from_ne_bytes)
    };
    let answer = match (what, number(0)?) {
        (What::Greeting, count) if usize::try_from(count) == Ok(lockers) => Answer::Done,
        (What::Check(..), 0) | (What::Retrieve(..), 1) => Answer::Done,
        (What::Check(..), 1) | (What::Retrieve(..), 0) => Answer::Refused,
        (What::Show, _) => {
            let mut all = Vec::new();
            for locker in 0..lockers {
                let in_use = match (number(2 * locker)?, number(2 * locker + 1)?) {
                    (one, free @ (0 | 1)) if usize::try_from(one) == Ok(locker) => free == 0,
                    _ => return None,
                };
                all.push(in_use);
            }
            return Some((Answer::Lockers(all), 8 * lockers));
        }
        _ => return None,
    };
    Some((answer, 4))
}

fn parse_text(bytes: &[u8]) -> Option<(Answer, usize)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (mut items, mut in_use, mut used) = (Vec::new(), Vec::new(), 0);
    for line in text.split_inclusive('\n') {
        used += line.len();
        let line = line.strip_suffix('\n')?;
        if let Some(item) = line.strip_prefix("item ") {
            items.push(item.to_owned());
        } else if let Some(number) = line.strip_suffix(" free").filter(|text| text.len() == 1) {
            in_use.push(false);
            number
                .parse::<usize>()
                .ok()
                .filter(|number| number + 1 == in_use.len())?;
        } else if let Some(number) = line.strip_suffix(" in use").filter(|text| text.len() == 1) {
            in_use.push(true);
            number
                .parse::<usize>()
                .ok()
                .filter(|number| number + 1 == in_use.len())?;
        } else {
            return last_line(line, items, in_use).map(|answer| (answer, used));
        }
    }
    None
}

/// What the line says that ends every answer.
fn last_line(line: &str, items: Vec<String>, in_use: Vec<bool>) -> Option<Answer> {
    if !in_use.is_empty() {
        return (line == "ok" && items.is_empty()).then_some(Answer::Lockers(in_use));
    }
    let words: Vec<_> = line.split(' ').collect();
    let answer = match words[..] {
        ["ok", "locker", _, "is", "yours"] => Answer::Yours,
        ["ok", "waiting", "for", "the", "administrator"] => Answer::Waiting,
        ["ok", "bye"] => Answer::Bye,
        ["ok", count, "items"] => {
            let count = count.parse().ok()?;
            match count == items.len() {
                true => Answer::Items(items),
                false if items.is_empty() => Answer::Holds(count),
                false => return None,
            }
        }
        ["error:", "locker", _, "is", "in", "use"] => Answer::InUse,
        ["error:", "locker", _, "is", "free"] => Answer::Free,
        ["error:", "wrong", "password", ..] => Answer::Wrong,
        ["error:", "too", "many", "wrong", "passwords", ..] => Answer::TooMany,
        ["error:", "busy,", ..] => Answer::Busy,
        ["error:", "no", "administrator", "is", "there"] => Answer::NobodyThere,
        ["error:", _, "is", "no", "command;", ..] | ["error:", "write", ..] => Answer::NoCommand,
        _ => return None,
    };
    Some(answer)
}
