//! Properties: the lines of the contract in `src/service/mod.rs`, for every service and all its
//! options; each service against a model written from its description; codecs and options.
//!
//! A failure shows the smallest script that fails; nothing is written to the tree.

mod bytes;
mod codecs;
mod config;
mod contract;
mod datagrams;
mod guess;
mod lanes;
mod lanes_probe;
mod locker_crowd;
mod locker_history;
mod locker_model;
mod mail;
mod probe;
mod script;
mod slot;
mod slot_model;
mod sum;
mod talk;
mod tftp;
mod unread;

use proptest::test_runner::Config;

/// The settings of every property here: so many cases, and no files of old failures.
fn cases(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    }
}
