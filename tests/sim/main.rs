//! Simulation: every service with crowds of clients that send in random cuts, pause, end, vanish
//! and come again, until the server goes down. What must hold is checked after every step. TFTP has
//! a network of its own, which loses, doubles, delays and reorders.
//!
//! A failure names its seed; `SWITCHBOARD_SIM_SEED=N` plays that one again, and
//! `SWITCHBOARD_SIM_SEEDS=N` says how many are played.

mod echo;
mod exec;
mod files;
mod files_client;
mod guess;
mod guess_udp;
mod locker;
mod locker_model;
mod locker_words;
mod random;
mod slot;
mod sum;
mod talk;
mod tftp;
mod world;

use std::env;
use std::ops::Range;

use world::{Rules, World};

/// Seeds played where the environment does not say; with a database in each, fewer.
const SEEDS: u64 = 400;
const SEEDS_WITH_LANES: u64 = 100;

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number")),
    )
}

/// Says which seed it was, whatever went wrong while it was played.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "the seed was {0}; play it again with SWITCHBOARD_SIM_SEED={0}",
                self.0
            );
        }
    }
}

/// The seeds to be played; so many where the environment does not say.
fn seeds(usual: u64) -> Range<u64> {
    match number("SWITCHBOARD_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SWITCHBOARD_SIM_SEEDS").unwrap_or(usual),
    }
}

fn play<R: Rules>() {
    for seed in seeds([SEEDS, SEEDS_WITH_LANES][usize::from(R::LANES)]) {
        let seed = Seed(seed);
        World::<R>::new(seed.0).run();
    }
}

#[test]
fn slot_holds_under_a_crowd() {
    play::<slot::Writers>();
}

#[test]
fn sum_holds_under_a_crowd() {
    play::<sum::Adders>();
}

#[test]
fn echo_holds_under_a_crowd() {
    play::<echo::Callers>();
}

#[test]
fn guess_holds_under_a_crowd() {
    play::<guess::Players>();
}

#[test]
fn guess_over_datagrams_holds_under_a_crowd() {
    play::<guess_udp::Players>();
}

#[test]
fn exec_holds_under_a_crowd() {
    play::<exec::Clients>();
}

#[test]
fn talk_holds_under_a_crowd() {
    play::<talk::Talkers>();
}

#[test]
fn locker_holds_under_a_crowd() {
    play::<locker::Kiosks>();
}

#[test]
fn files_holds_under_a_crowd() {
    play::<files::Filers>();
}

#[test]
fn every_service_is_simulated() {
    let names = [
        slot::Writers::ENTRY,
        sum::Adders::ENTRY,
        echo::Callers::ENTRY,
        guess::Players::ENTRY,
        talk::Talkers::ENTRY,
        exec::Clients::ENTRY,
        locker::Kiosks::ENTRY,
        files::Filers::ENTRY,
    ]
    .map(|entry| entry.name);
    for entry in switchboard::services::ALL {
        assert!(names.contains(&entry.name), "{}", entry.name);
    }
}
