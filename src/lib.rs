//! Switchboard: the classic services of socket programming, to any client, from one readiness loop.
//!
//! The layers, from the inside out: [`service`] is the contract and knows no socket; [`wire`] turns
//! bytes into requests and back; [`services`] are the rules; [`reactor`] is the server's only user
//! of sockets, the clock and the poller; [`client`] has the subcommands that talk to a server;
//! [`config`] says what to serve; [`cli`] is the command line and [`serve`] joins it all.
//! `docs/ARCHITECTURE.md` is the map.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod cli;
pub mod client;
pub mod config;
pub mod exit;
pub mod input;
pub mod lanes;
pub mod output;
pub mod reactor;
pub mod serve;
pub mod service;
pub mod services;
pub mod spawner;
pub mod wire;
