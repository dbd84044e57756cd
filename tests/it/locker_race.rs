//! Fifty kiosks race for sixteen lockers: no locker ever has two owners, whatever the order, and
//! whenever the server is killed.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::history::{Asked, Operation, Told, check};
use crate::support::kiosk::{CHEAP, Kiosk, serving};
use crate::support::server::{Builder, Server};
use crate::support::socket::Kind;
use crate::support::stream::one_at_a_time;

const KIOSKS: u32 = 50;
const LOCKERS: u32 = 16;

/// What all kiosks share.
struct Race {
    start: Instant,
    /// Registrations to be made in all.
    wanted: usize,
    made: AtomicUsize,
    items: AtomicU32,
    /// A history for each locker.
    histories: Vec<Mutex<Vec<Operation>>>,
}

/// One kiosk, with the number that its password is made of.
struct Racer<'a> {
    number: u32,
    race: &'a Race,
    kiosk: Kiosk,
    random: u32,
    /// It has tried its own password on somebody else's locker.
    has_tried: bool,
}

impl Race {
    fn new(wanted: usize) -> Self {
        Self {
            start: Instant::now(),
            wanted,
            made: AtomicUsize::new(0),
            items: AtomicU32::new(0),
            histories: (0..LOCKERS).map(|_| Mutex::default()).collect(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap()
    }

    fn is_over(&self) -> bool {
        self.made.load(Ordering::Relaxed) >= self.wanted
    }

    /// Sees that each locker's history has an order, and says how much there was of it.
    fn check(self, what: &str) {
        let took = self.start.elapsed();
        let histories = self
            .histories
            .into_iter()
            .map(|of| of.into_inner().unwrap());
        let histories: Vec<_> = histories.collect();
        let all: usize = histories.iter().map(Vec::len).sum();
        let lost = histories
            .iter()
            .flatten()
            .filter(|one| one.told.is_none())
            .count();
        let made = self.made.into_inner();
        for (locker, history) in histories.into_iter().enumerate() {
            check(history).unwrap_or_else(|error| panic!("locker {locker}: {error}"));
        }
        eprintln!(
            "{what}: {made} registrations and {all} operations in {took:?}, {lost} without an \
             answer; checked by {:?}",
            self.start.elapsed()
        );
    }
}

impl<'a> Racer<'a> {
    fn new(number: u32, race: &'a Race, server: &Server) -> Self {
        Self {
            number,
            race,
            kiosk: Kiosk::new(Kind::BOTH[number as usize % 2], server),
            random: number.wrapping_mul(2_654_435_761) | 1,
            has_tried: false,
        }
    }

    fn chance(&mut self, below: u32) -> u32 {
        // Marsaglia's xorshift.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random % below
    }

    /// Asks, and writes down what came of it; `Err` where the server has gone.
    fn asks(&mut self, locker: u32, asked: Asked) -> Result<Option<Told>, u32> {
        let password = format!("own{}", self.number);
        let command = match asked {
            Asked::Register => format!("register {locker} {password}"),
            Asked::Store(item) => format!("store {locker} {password} {item}"),
            Asked::Retrieve => format!("retrieve {locker} {password}"),
        };
        let invoked = self.race.now();
        let answer = self.kiosk.try_ask(&command);
        let returned = self.race.now();
        let told = answer.as_ref().ok().map(|lines| told(asked, lines));
        // What was not even tried has no place in the history.
        if told != Some(None) {
            let operation = Operation {
                kiosk: self.number,
                asked,
                told: told.clone().flatten(),
                invoked,
                returned,
            };
            let history = &self.race.histories[locker as usize];
            history.lock().unwrap().push(operation);
        }
        told.ok_or(locker)
    }

    /// Registers, stores and retrieves again and again; where the server has gone, the locker that
    /// was asked for then.
    fn race(&mut self) -> Option<u32> {
        while !self.race.is_over() {
            if let Err(locker) = self.turn() {
                return Some(locker);
            }
        }
        None
    }

    fn turn(&mut self) -> Result<(), u32> {
        let locker = self.chance(LOCKERS);
        match self.asks(locker, Asked::Register)? {
            Some(Told::Done(_)) => {}
            Some(Told::InUse) => {
                // Once only: guessing costs time.
                if !self.has_tried {
                    self.has_tried = true;
                    self.asks(locker, Asked::Retrieve)?;
                }
                let pause = Duration::from_micros(u64::from(self.chance(4_000)));
                thread::park_timeout(pause);
                return Ok(());
            }
            other => panic!("a registration of {locker}: {other:?}"),
        }
        self.race.made.fetch_add(1, Ordering::Relaxed);
        let item = self.race.items.fetch_add(1, Ordering::Relaxed);
        let stored = self.asks(locker, Asked::Store(item))?;
        assert_eq!(stored, Some(Told::Holds(1)), "locker {locker}");
        let taken = self.asks(locker, Asked::Retrieve)?;
        assert_eq!(taken, Some(Told::Done(vec![item])), "locker {locker}");
        Ok(())
    }
}

/// What an answer says; `None` where nothing was tried.
fn told(asked: Asked, lines: &[String]) -> Option<Told> {
    let (last, items) = lines.split_last().unwrap();
    let item = |line: &String| line.strip_prefix("item ").unwrap().parse().unwrap();
    Some(match (last.as_str(), asked) {
        (last, Asked::Store(_)) if last.starts_with("ok ") => {
            let count = last.split(' ').nth(1).unwrap();
            Told::Holds(count.parse().unwrap())
        }
        (last, _) if last.starts_with("ok ") => Told::Done(items.iter().map(item).collect()),
        (last, _) if last.ends_with(" is in use") => Told::InUse,
        (last, _) if last.ends_with(" is free") => Told::Free,
        (last, _) if last.starts_with("error: wrong password") => Told::WrongPassword,
        (last, _) if last.starts_with("error: too many wrong") => return None,
        ("error: busy, try again", _) => return None,
        (last, _) => panic!("{asked:?}: {last}"),
    })
}

/// Fifty kiosks at once; for each the locker that it asked for when the server went.
fn run(race: &Race, server: &Server) -> Vec<Option<u32>> {
    thread::scope(|scope| {
        let kiosks: Vec<_> = (0..KIOSKS)
            .map(|number| {
                let mut racer = Racer::new(number, race, server);
                scope.spawn(move || racer.race())
            })
            .collect();
        let ends = kiosks.into_iter().map(|kiosk| kiosk.join().unwrap());
        ends.collect()
    })
}

#[test]
fn ten_thousand_registrations_and_never_two_owners() {
    let _turn = one_at_a_time();
    let server = serving(LOCKERS, &[]).log("warn").start();
    let race = Race::new(10_000);
    let ends = run(&race, &server);
    assert!(ends.iter().all(Option::is_none), "the server went away");
    let mut last = Kiosk::tcp(&server);
    assert!(!last.ask("show").iter().any(|line| line.ends_with("in use")));
    server.stop();
    race.check("without a fault");
}

/// A server on the data of an earlier one.
fn on(data: &Path) -> Server {
    let tcp = format!("locker=tcp://127.0.0.1:0?count={LOCKERS}&{CHEAP}");
    let unix = "locker=unix:DIR/locker.sock";
    let data = data.display().to_string();
    let arguments = ["--data", &data, tcp.as_str(), unix];
    Builder::new(&arguments).log("warn").start()
}

#[test]
fn what_was_answered_holds_when_the_server_is_killed_in_the_middle() {
    let _turn = one_at_a_time();
    let data = tempfile::tempdir().unwrap();
    let race = Race::new(1_500);
    for kill in 1..=3 {
        let mut server = on(&data.path().join("data"));
        let ends = thread::scope(|scope| {
            let running = scope.spawn(|| run(&race, &server));
            let enough = race.made.load(Ordering::Relaxed) + 300;
            crate::support::wait_until("three hundred registrations", || {
                race.made.load(Ordering::Relaxed) >= enough
            });
            server.signal(Signal::KILL);
            running.join().unwrap()
        });
        server.wait();
        assert!(ends.iter().all(Option::is_some), "kill {kill}");
        let server = on(&data.path().join("data"));
        // Each asks for what it may have left in the locker where it was.
        for (number, locker) in (0..).zip(&ends) {
            let mut racer = Racer::new(number, &race, &server);
            racer.asks(locker.unwrap(), Asked::Retrieve).unwrap();
        }
        let mut last = Kiosk::tcp(&server);
        let shown = last.ask("show");
        assert!(
            !shown.iter().any(|line| line.ends_with("in use")),
            "{shown:?}"
        );
        server.stop();
    }
    race.check("killed three times");
}

#[test]
fn of_two_at_the_same_time_the_second_does_not_get_in_with_its_own_password() {
    let server = serving(200, &[]).start();
    let mut both: [Kiosk; 2] = [Kiosk::tcp(&server), Kiosk::unix(&server)];
    let mut lost = 0;
    for locker in 0..200 {
        for (kiosk, password) in both.iter_mut().zip(["a", "b"]) {
            kiosk.say(&format!("register {locker} {password}\n"));
        }
        let answers = both.each_mut().map(Kiosk::last);
        let owners = answers
            .each_ref()
            .map(|answer| answer.ends_with("is yours"));
        assert_ne!(owners[0], owners[1], "{answers:?}");
        let loser = usize::from(owners[0]);
        let command = format!("retrieve {locker} {}", ["a", "b"][loser]);
        let wrong = format!("error: wrong password for locker {locker}");
        both[loser].expect(&command, &wrong);
        lost += loser;
    }
    eprintln!("of 200 races the second connection lost {lost}");
    server.stop();
}
