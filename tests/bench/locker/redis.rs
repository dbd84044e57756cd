//! What the server is held against: Redis, which syncs its file once for all that one turn of its
//! loop has taken.

use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::kiosks::{Kiosks, Wire};
use crate::link::Transport;
use crate::load::{Round, latencies};
use crate::peers::{installed, redis::PROGRAM};
use crate::report::Outcome;
use crate::server::Server;

/// What it says when it is asked for its sync.
const ALWAYS: &[u8] = b"*2\r\n$11\r\nappendfsync\r\n$6\r\nalways\r\n";

/// A running redis-server with its kiosks.
pub struct Redis {
    server: Server,
    kiosks: Kiosks,
}

impl Redis {
    /// Starts one whose file is in this folder, and connects so many kiosks.
    pub fn new(folder: &Path, transport: Transport, kiosks: usize) -> Outcome<Self> {
        if installed(PROGRAM).is_none() {
            return Err("it is not installed".into());
        }
        let server = Server::with_redis(&format!(
            "dir \"{}\"\nappendonly yes\nappendfsync always\nauto-aof-rewrite-percentage 0\n",
            folder.display()
        ))?;
        let address = server.address("echo", transport)?;
        let mut link = address.connect()?;
        link.write_all(b"CONFIG GET appendfsync\r\n")?;
        let mut said = [0; ALWAYS.len()];
        link.read_exact(&mut said)?;
        if said != ALWAYS {
            return Err("it does not sync always".into());
        }
        // A list for each thousand items, as a locker holds no more.
        let kiosks = Kiosks::connect(Wire::Redis, address, kiosks, u32::MAX)?;
        Ok(Self { server, kiosks })
    }

    pub fn round(&mut self, warm_up: Duration, length: Duration) -> Outcome<Round> {
        let Self { server, kiosks } = self;
        kiosks.register()?;
        kiosks.drive(warm_up, None)?;
        let mut latency = latencies()?;
        let cpu = server.cpu_time()?;
        let start = Instant::now();
        let done = kiosks.drive(length, Some(&mut latency))?;
        let elapsed = start.elapsed();
        let cpu = server.cpu_time()?.saturating_sub(cpu);
        kiosks.finish()?;
        Ok(Round {
            done,
            elapsed,
            cpu,
            latency,
        })
    }
}
