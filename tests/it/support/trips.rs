//! How long an echo takes beside a load, and beside no load: a machine that is busy with something
//! else is slow for both.

use std::io::Write as _;
use std::time::{Duration, Instant};

use super::rounds::{Timely, below};
use super::server::Server;
use super::stream::Client;

/// Round trips to the server under load, and by turns to one that has nothing else to do.
pub struct Trips {
    loaded: (Client, Vec<Duration>),
    idle: (Client, Vec<Duration>),
    /// For as long as the connection to it is used.
    _idle_server: Server,
}

impl Trips {
    /// The server must have an `echo` over TCP.
    pub fn new(server: &Server) -> Self {
        let idle = Server::start(&["echo=tcp://127.0.0.1:0"]);
        Self {
            loaded: (Client::tcp(server, "echo"), Vec::new()),
            idle: (Client::tcp(&idle, "echo"), Vec::new()),
            _idle_server: idle,
        }
    }

    /// One to each of the two servers.
    pub fn trip(&mut self) {
        for (client, times) in [&mut self.loaded, &mut self.idle] {
            let start = Instant::now();
            client.write_all(b"sixteen bytes...").unwrap();
            client.receive(16);
            times.push(start.elapsed());
        }
    }

    /// How many were made.
    pub fn count(&self) -> usize {
        self.loaded.1.len()
    }

    /// Ends a series: 99 of 100 took less than this long; or, where the idle server was as slow as
    /// that, no more than three times as long as there.
    pub fn p99_below(&mut self, what: &str, limit: Duration) -> Timely {
        let of = |times: &mut Vec<Duration>| {
            let mut times = std::mem::take(times);
            times.sort_unstable();
            (times[times.len() / 2], times[times.len() * 99 / 100])
        };
        let count = self.count();
        let ((p50, p99), (idle50, idle99)) = (of(&mut self.loaded.1), of(&mut self.idle.1));
        eprintln!(
            "{what}: {count} round trips, p50 {p50:?}, p99 {p99:?}; idle server p50 {idle50:?}, \
             p99 {idle99:?}"
        );
        below(what, p99, limit.max(3 * idle99))
    }
}
