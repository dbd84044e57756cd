//! `locker`: lockers with passwords, for any number of kiosks, kept in a database.
//!
//! The rules (`rules`) know no wire; a wire (`text`, `binary`) turns bytes into an `Ask`
//! and an answer into bytes. What blocks runs on two lanes: the `store` commits, the pool hashes
//! passwords. While an answer is being made its session is paused, so each client's commands are
//! done one after the other.

use log::warn;

use self::ask::Ask;
use self::binary::Asked;
use self::calls::Calls;
use self::guard::{Guard, Source};
use self::line::Line;
use self::mirror::Locker;
use self::options::{Options, Shared, Wire};
use self::password::{Hasher, Prover};

use self::store::{Job, Place, Store};
use self::under_way::{Delayed, Done, Hashing, Shown};
use crate::config::limits::{HASHERS_MAX, LOCKER_JOBS_MAX, LOCKERS_DEFAULT, LOCKERS_MAX};
use crate::config::options::Opt;
use crate::service::{
    BYE, CloseReason, ConsoleWord, Cx, Entry, Host, Kit, Lane, Peer, Service, ServiceCx, SourceId,
};
use crate::wire::line::Lines;

mod ask;
mod binary;
mod calls;
mod dialogue;
mod guard;
mod line;
mod mirror;
mod operator;
mod options;
mod outcome;
mod password;
mod rules;
mod store;
mod text;
mod under_way;
mod utc;

/// How `locker` is listed.
pub const ENTRY: Entry = Entry {
    name: "locker",
    summary: "lockers with passwords, in a database that survives a kill",
    about: "\
Lockers 0 to one less than count=. Each is free or in use, has a password and the items that were
put into it; one locker is never given to two. What was answered with 'ok' is on the disk.
Commands, a line each: show, register N PASSWORD, store N PASSWORD ITEM, retrieve N PASSWORD (all
items come out and the locker is free), reset N, backup PATH, help, quit. Every answer ends with
one line 'ok ...' or 'error: ...'.
wire=binary is the kiosk wire of the labs: native integers and blocks.
reset sets the password to 0000. It is done at once for an administrator: on a Unix socket the
server's own user, root, or a user of admins=; anybody else's waits for the operator ('lockers',
'approve N', 'deny N') while its connection lasts, at most 5 minutes.
A wrong password makes the next try for that locker wait, 250 ms at first, then twice as long each
time; a try that would wait more than 10 s is refused at once.
For 60 s after a retrieve the same password gets the same answer again.
Limits: a line has at most 4096 bytes, a password 1 to 128 (binary: 10), an item 1 to 256 (binary:
100); a locker holds 1000 items; there are at most 10000 lockers.
Try it:  printf 'register 1 pw\\nstore 1 pw a book\\nretrieve 1 pw\\nquit\\n' | nc 127.0.0.1 1052",
    options: &[
        Opt {
            key: "count",
            default: "as before",
            help: "how many lockers, 1 to 10000; new ones: asked on a terminal, else 16",
        },
        Opt {
            key: "wire",
            default: "text",
            help: "text or binary",
        },
        Opt {
            key: "admins",
            default: "none",
            help: "users who may reset at once: names or numbers, with commas",
        },
        Opt {
            key: "hash",
            default: "19456,2",
            help: "what a hash costs (Argon2id): KiB of memory, passes",
        },
    ],
    datagrams: None,
    console: &[
        ConsoleWord {
            word: "lockers",
            help: "shows the lockers in use and who calls the administrator",
        },
        ConsoleWord {
            word: "approve",
            help: "N: does what call N asks for: that locker's password becomes 0000",
        },
        ConsoleWord {
            word: "deny",
            help: "N: forgets call N",
        },
        ConsoleWord {
            word: "taken",
            help: "N: shows what was taken out of locker N last, and when",
        },
    ],
    transfers: false,
    secret: true,
    takes_lines: false,
    board: &[
        "tcp://127.0.0.1:1052",
        "unix:RUNTIME/locker.sock",
        "unix:RUNTIME/locker-binary.sock?wire=binary",
    ],
    build: |listeners| Host::build(listeners, |options| Shared::of(options).map(Lockers::new)),
};

/// The service: the lockers, and who waits for what.
pub struct Lockers {
    shared: Shared,
    lockers: Vec<Locker>,
    guard: Guard,
    /// Passwords that wait to be hashed.
    line: Line<(Hashing, password::HashJob)>,
    /// Jobs that the pool has.
    hashing: usize,
    /// Jobs that the pool may have.
    slots: usize,
    hasher: Lane<(Hashing, password::HashJob)>,
    store: Lane<(Source, Job)>,
    /// The outcome of a change is unknown, and the store has not read its database anew since.
    in_doubt: bool,
    calls: Calls,
    /// Lockers that the operator has said are to be reset, and who called for it.
    approved: Vec<(u32, SourceId)>,
    /// There from the start on.
    prover: Option<Prover>,
    /// The user whose process this is.
    user: u32,
}

/// One client.
pub struct Session {
    id: SourceId,
    wire: Wire,
    /// Where the search for line ends stands, on the text wire.
    lines: Lines,
    source: Source,
    /// May reset at once.
    is_admin: bool,
    /// What is under way: then the session is paused.
    asked: Option<Asked>,
    /// A try that has to wait first.
    delayed: Option<Box<Delayed>>,
    /// What is to be answered once it is known how the lockers are.
    doubted: Option<Box<Ask>>,
    /// The password that it has shown last.
    shown: Option<Box<Shown>>,
    /// The locker that the next block on the binary wire is an item for.
    item: Option<u32>,
    /// The client has ended its writing.
    ended: bool,
    /// The server goes down: an answer that is owed is the last.
    leaving: bool,
}

impl Lockers {
    fn new(shared: Shared) -> Self {
        Self {
            shared,
            lockers: Vec::new(),
            guard: Guard::default(),
            line: Line::default(),
            hashing: 0,
            slots: 0,
            hasher: Lane::default(),
            store: Lane::default(),
            in_doubt: false,
            calls: Calls::default(),
            approved: Vec::new(),
            prover: None,
            user: 0,
        }
    }

    /// The lanes, and the lockers as they are on the disk.
    fn open_store(&mut self, kit: &mut Kit<'_, Done>) -> Result<(), String> {
        let place = match kit.file("lockers.db")? {
            Some(path) => Place::File(path),
            None => Place::Memory,
        };
        let mut ask = || ask_for_count(kit);
        let (store, lockers) = Store::open(place, self.shared.count, &mut ask)?;
        let read = |locker| Locker::read(locker, crate::service::Moment::ZERO);
        self.lockers = lockers.into_iter().map(read).collect();
        let lane = (LOCKER_JOBS_MAX, LOCKER_JOBS_MAX);
        let mut store = store;
        self.store = kit
            .ordered("locker-store", lane, move |jobs, results| {
                outcome::run_store(&mut store, jobs, results);
            })
            .map_err(|error| format!("the thread of the store: {error}"))?;
        Ok(())
    }
}

impl Service for Lockers {
    type Options = Options;
    type Session = Session;
    type Done = Done;

    fn start(&mut self, kit: &mut Kit<'_, Done>) -> Result<(), String> {
        self.user = kit.user();
        self.prover = Some(Prover::random()?);
        self.open_store(kit)?;
        // One processor is left to the loop.
        let threads = kit.processors().saturating_sub(1).clamp(1, HASHERS_MAX);
        self.slots = 2 * threads;
        let cost = self.shared.cost;
        if cost.is_weak() {
            warn!(target: "switchboard", "locker: hash={cost} costs an attacker who has the database little");
        }
        self.hasher = kit
            .pool("argon2", (self.slots, threads), || {
                let mut hasher = Hasher::new(cost);
                move |(hashing, job)| Done::Hashed(hashing, hasher.run(job))
            })
            .map_err(|error| format!("the threads that hash passwords: {error}"))?;
        Ok(())
    }

    fn open(&mut self, cx: &mut Cx<'_, Self>) -> Session {
        let options = cx.options();
        let wire = options.wire;
        let is_admin = match cx.peer() {
            Peer::Unix { uid, .. } => self.is_admin(*uid) || options.admins.contains(uid),
            _ => false,
        };
        if wire == Wire::Binary {
            cx.send(&binary::greeting(self.count()));
        }
        Session {
            id: cx.id(),
            wire,
            lines: Lines::default(),
            source: Source::of(cx.peer()),
            is_admin,
            asked: None,
            delayed: None,
            doubted: None,
            shown: None,
            item: None,
            ended: false,
            leaving: false,
        }
    }

    fn receive(&mut self, s: &mut Session, input: &[u8], cx: &mut Cx<'_, Self>) -> usize {
        match s.wire {
            Wire::Text => self.read_text(s, input, cx),
            Wire::Binary => self.read_binary(s, input, cx),
        }
    }

    fn end_of_input(&mut self, s: &mut Session, rest: &[u8], cx: &mut Cx<'_, Self>) {
        s.ended = true;
        if s.wire == Wire::Text
            && let Some(line) = s.lines.last(rest)
        {
            self.say(s, text::read(line.strip_suffix(b"\r").unwrap_or(line)), cx);
        }
        if s.asked.is_none() && !cx.is_closing() {
            self.close_if_done(s, cx);
        }
    }

    fn deadline(&mut self, s: &mut Session, cx: &mut Cx<'_, Self>) {
        if let Some(delayed) = s.delayed.take() {
            if let Some(answer) = self.check(*delayed, cx) {
                self.finish(s, &answer, cx);
            }
        } else if s.ended {
            self.end_old_calls(&mut cx.service());
            self.close_if_done(s, cx);
        }
    }

    fn notified(&mut self, s: &mut Session, cx: &mut Cx<'_, Self>) {
        if !cx.operator_present() {
            // Nobody is left who could decide.
            self.withdraw_calls(s.id, "nobody is at the console", &mut cx.service());
        }
        if s.ended && s.asked.is_none() {
            self.close_if_done(s, cx);
        }
    }

    fn done(&mut self, s: &mut Session, done: Done, cx: &mut Cx<'_, Self>) {
        let answer = match done {
            Done::Hashed(hashing, outcome) => {
                self.hashing = self.hashing.saturating_sub(1);
                let answer = self.hashed(s, hashing, outcome, cx);
                self.feed(&mut cx.service());
                answer
            }
            Done::Kept(source, job, outcome) => self.kept(s, source, &job, outcome, cx),
            Done::Reread(lockers) => {
                self.reread(lockers, &mut cx.service());
                None
            }
        };
        if let Some(answer) = answer {
            self.finish(s, &answer, cx);
        }
    }

    fn orphaned(&mut self, done: Done, cx: &mut ServiceCx<'_>) {
        match done {
            Done::Hashed(hashing, outcome) => {
                self.hashing = self.hashing.saturating_sub(1);
                self.hashed_for_nobody(hashing, outcome, cx);
                self.feed(cx);
            }
            Done::Kept(source, job, outcome) => self.kept_for_nobody(source, &job, &outcome, cx),
            Done::Reread(lockers) => self.reread(lockers, cx),
        }
    }

    fn shutting_down(&mut self, s: &mut Session, cx: &mut Cx<'_, Self>) {
        // A try that waits out a delay is owed its answer as much as one that is being hashed.
        if s.asked.is_some() {
            s.leaving = true;
            return;
        }
        if s.wire == Wire::Text {
            cx.send(BYE);
        }
        cx.close(CloseReason::Shutdown);
    }

    fn operator(&mut self, line: &str, cx: &mut ServiceCx<'_>) {
        self.command(line, cx);
    }

    fn closed(&mut self, s: Session, cx: &mut ServiceCx<'_>) {
        self.forget(s, cx);
    }
}

/// A person's answer to how many lockers there are; `None` where nobody is there.
fn ask_for_count(kit: &mut Kit<'_, Done>) -> Option<u32> {
    const TRIES: usize = 3;
    for _ in 0..TRIES {
        let answer = kit.ask(&format!(
            "How many lockers are there, 1 to {LOCKERS_MAX}? [{LOCKERS_DEFAULT}]"
        ))?;
        if answer.is_empty() {
            return None;
        }
        match answer.parse() {
            Ok(count) if (1..=LOCKERS_MAX).contains(&count) => return Some(count),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests;
