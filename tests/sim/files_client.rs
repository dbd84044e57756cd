//! The clients of the crowd at a folder: what they say, and what they have been told.

use std::collections::VecDeque;

use sha2::{Digest as _, Sha256};
use switchboard::service::CloseReason;

use crate::random::Random;

/// Files that nobody uploads, by their sizes; the last is what the labs' wire sends.
pub const FIXED: [(&str, usize); 4] = [
    ("f0", 0),
    ("f1", 1),
    ("f2", 5_000),
    ("source_file.txt", 1_024),
];
/// Names that are uploaded, and the sizes that they may get.
pub const LOADED: [&str; 2] = ["u0", "u1"];
pub const SIZES: [usize; 2] = [40, 3_000];
pub const LAB: usize = 2;

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Size(&'static str),
    Hash(&'static str, usize),
    Get(&'static str, usize),
    List,
    Put(Put),
    Wrong(&'static str),
    Quit,
}

/// A name by its place, a size, whether it resumes, and whether a hash goes with it, a right one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Put {
    pub name: usize,
    pub size: usize,
    pub resumes: bool,
    pub hash: Option<bool>,
}

pub struct Client {
    pub listener: usize,
    /// Not planned yet: behind an upload.
    pub later: VecDeque<Command>,
    /// Planned and not answered, with where each ends in what the client sends.
    pub commands: VecDeque<(Command, usize)>,
    pub planned: usize,
    pub sent: usize,
    pub received: Vec<u8>,
    /// An upload that was begun, and where its last byte ends.
    pub uploading: Option<(Put, usize)>,
    /// What it sends next: the rest of the upload, and what stands behind it.
    pub more: Vec<u8>,
    /// Names that had a file when it came.
    pub known: [bool; LOADED.len()],
    /// The labs' wire: from where it asks.
    pub lab: Option<usize>,
    pub ended: bool,
    pub told: bool,
    pub left: bool,
    /// It ended in the middle of a line: whatever that means is fine.
    pub cut: bool,
}

/// Differs from the first byte on for each size of a name.
pub fn content(name: &str, size: usize) -> Vec<u8> {
    let start = name.bytes().map(usize::from).sum::<usize>() + size % 251;
    (start..start + size)
        .map(|at| (at * 7 % 251) as u8)
        .collect()
}

pub fn sha(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn fixed(name: &str) -> Option<usize> {
    let found = FIXED.iter().find(|(fixed, _)| *fixed == name);
    found.map(|(_, size)| *size)
}

pub fn any(random: &mut Random) -> Command {
    let name = match random.below(8) {
        7 => "nosuch",
        place @ 0..4 => FIXED[place].0,
        place => LOADED[place % 2],
    };
    match random.below(16) {
        0 => Command::Size(name),
        1 => Command::Hash(name, [0, 1, usize::MAX][random.below(3)]),
        2..5 => Command::Get(name, [0, 0, 1, 1_000][random.below(4)]),
        5 => Command::List,
        6 => Command::Wrong(
            [
                "frob",
                "",
                "get ../x",
                "get .x",
                "size a b",
                "get \"f0",
                "list nosuch",
            ][random.below(7)],
        ),
        7 if random.one_in(2) => Command::Quit,
        _ => Command::Put(Put {
            name: random.below(LOADED.len()),
            size: SIZES[random.below(SIZES.len())],
            resumes: random.one_in(2),
            hash: [None, Some(true), Some(true), Some(false)][random.below(4)],
        }),
    }
}

impl Command {
    pub fn line(&self) -> String {
        match self {
            Self::Size(name) => format!("size {name}\n"),
            Self::Hash(name, usize::MAX) => format!("hash {name}\n"),
            Self::Hash(name, length) => format!("HASH {name} {length}\r\n"),
            Self::Get(name, 0) => format!("get {name}\n"),
            Self::Get(name, offset) => format!("get {name} {offset}\n"),
            Self::List => "list\n".to_owned(),
            Self::Put(put) => put.line(),
            Self::Wrong(line) => format!("{line}\n"),
            Self::Quit => "quit\n".to_owned(),
        }
    }
}

impl Put {
    pub fn asked(&self) -> usize {
        if self.resumes { self.size } else { 0 }
    }

    pub fn line(&self) -> String {
        let (name, size, asked) = (LOADED[self.name], self.size, self.asked());
        match self.hash {
            None => format!("put {name} {size} {asked}\n"),
            Some(right) => {
                let of = if right {
                    content(name, size)
                } else {
                    Vec::new()
                };
                format!("put {name} {size} {asked} {}\n", sha(&of))
            }
        }
    }
}

impl Client {
    pub fn new(listener: usize, known: [bool; LOADED.len()]) -> Self {
        Self {
            listener,
            later: VecDeque::new(),
            commands: VecDeque::new(),
            planned: 0,
            sent: 0,
            received: Vec::new(),
            uploading: None,
            more: Vec::new(),
            known,
            lab: None,
            ended: false,
            told: false,
            left: false,
            cut: false,
        }
    }

    /// Plans what it can send before it has to know an answer: all up to an upload.
    pub fn plan(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(command) = self.later.pop_front() {
            bytes.extend_from_slice(command.line().as_bytes());
            let is_put = matches!(command, Command::Put(_));
            self.commands
                .push_back((command, self.planned + bytes.len()));
            if is_put {
                break;
            }
        }
        self.planned += bytes.len();
        bytes
    }

    /// Whether an answer to the command in front is due.
    pub fn waits(&self) -> bool {
        let front = self.commands.front();
        self.is_whole() || front.is_some_and(|(_, end)| *end <= self.sent)
    }

    /// Whether an upload has come whole and was not answered.
    pub fn is_whole(&self) -> bool {
        self.uploading.is_some_and(|(_, end)| end <= self.sent)
    }

    /// Takes a line from what has come, if it is whole.
    pub fn line(&self) -> Option<(String, usize)> {
        let end = self.received.iter().position(|byte| *byte == b'\n')?;
        let line = String::from_utf8_lossy(&self.received[..end]).into_owned();
        Some((line, end + 1))
    }

    pub fn is_closed_rightly(&self, closed: Option<CloseReason>) -> bool {
        let waits = self.waits() || self.uploading.is_some();
        match closed {
            None if self.lab.is_some() => !self.told || self.sent > 0,
            None => !(self.left || (self.ended || self.told) && !waits && !self.cut),
            Some(CloseReason::ClientLeft) => self.left,
            Some(CloseReason::ClientEnded) => self.ended && (self.cut || !waits),
            Some(CloseReason::UploadCut) => {
                self.cut || self.told || self.ended && self.uploading.is_some() && !self.is_whole()
            }
            Some(CloseReason::Shutdown) => self.told,
            Some(CloseReason::Answered) => self.lab.is_some(),
            Some(CloseReason::NotAnswered) => self.lab.is_some() && self.cut,
            Some(_) => false,
        }
    }
}
