//! What the server is held against: Redis, which syncs its file once for all that one turn of its
//! loop has taken.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::kiosks::{Kiosks, Wire};
use crate::link::{Address, Transport};
use crate::load::{Round, latencies};
use crate::machine;
use crate::report::Outcome;

/// How long it may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two tries to connect meanwhile.
const TRY_AGAIN: Duration = Duration::from_millis(5);

/// What it says when it is asked for its sync.
const ALWAYS: &[u8] = b"*2\r\n$11\r\nappendfsync\r\n$6\r\nalways\r\n";

/// A running redis-server with its kiosks; killed when it is let go.
pub struct Redis {
    child: Child,
    /// Of its socket; the data are in the bench's.
    _directory: TempDir,
    /// There once it listens.
    kiosks: Option<Kiosks>,
}

impl Redis {
    /// Starts one whose file is in this folder, and connects so many kiosks.
    pub fn new(folder: &Path, transport: Transport, kiosks: usize) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let socket = directory.path().join("redis.sock");
        // A port that is free now, as Redis does not choose one.
        let tcp = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]);
        command.args([
            "--appendfsync",
            "always",
            "--auto-aof-rewrite-percentage",
            "0",
        ]);
        command.args(["--tcp-backlog", "1024", "--maxclients", "2000"]);
        command.args(["--port", &tcp.port().to_string(), "--logfile", "/dev/null"]);
        command.arg("--unixsocket").arg(&socket);
        command.arg("--dir").arg(folder);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let address = match transport {
            Transport::Unix => Address::Unix(socket),
            _ => Address::Tcp(tcp),
        };
        let child = machine::on_server_core(|| command.spawn())?;
        // From here on it is ended, whatever happens.
        let mut redis = Self {
            child,
            _directory: directory,
            kiosks: None,
        };
        redis.wait(&address)?;
        // A list for each thousand items, as a locker holds no more.
        redis.kiosks = Some(Kiosks::connect(Wire::Redis, &address, kiosks, u32::MAX)?);
        Ok(redis)
    }

    /// Until it listens, and syncs as it is meant to.
    fn wait(&mut self, address: &Address) -> Outcome<()> {
        let start = Instant::now();
        let mut link = loop {
            match address.connect() {
                Ok(link) => break link,
                Err(_) if start.elapsed() < START_TIMEOUT => {}
                Err(error) => return Err(format!("it does not listen: {error}").into()),
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("it ended with {status}").into());
            }
            // Nobody wakes it: this is a pause.
            thread::park_timeout(TRY_AGAIN);
        };
        link.write_all(b"CONFIG GET appendfsync\r\n")?;
        let mut said = [0; ALWAYS.len()];
        link.read_exact(&mut said)?;
        match said == ALWAYS {
            true => Ok(()),
            false => Err("it does not sync always".into()),
        }
    }

    pub fn round(&mut self, warm_up: Duration, length: Duration) -> Outcome<Round> {
        let Some(kiosks) = &mut self.kiosks else {
            return Err("it has no kiosks".into());
        };
        kiosks.register()?;
        kiosks.drive(warm_up, None)?;
        let mut latency = latencies()?;
        let cpu = machine::cpu_time(self.child.id())?;
        let start = Instant::now();
        let done = kiosks.drive(length, Some(&mut latency))?;
        let elapsed = start.elapsed();
        let cpu = machine::cpu_time(self.child.id())?.saturating_sub(cpu);
        kiosks.finish()?;
        Ok(Round {
            done,
            elapsed,
            cpu,
            latency,
        })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
