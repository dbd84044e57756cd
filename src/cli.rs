//! The command line, as far as the loop needs it to be tried: its full form follows.
use crate::config::endpoint::ListenerSpec;
use crate::exit::Exit;
use std::path::PathBuf;
use std::time::Duration;
/// x
pub struct ServeArgs {
    /// x
    pub listeners: Vec<ListenerSpec>,
    /// x
    pub accepts: Option<u64>,
    /// x
    pub grace: Duration,
    /// x
    pub max_connections: Option<usize>,
    /// x
    pub idle_timeout: Option<Duration>,
    /// x
    pub data: Option<PathBuf>,
}
/// x
pub fn usage_error(m: &str) -> Exit {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "error: {m}");
    Exit::Usage
}
/// x
pub fn run() -> Exit {
    let mut a = ServeArgs {
        listeners: vec![],
        accepts: None,
        grace: Duration::from_secs(5),
        max_connections: None,
        idle_timeout: Some(Duration::from_secs(600)),
        data: None,
    };
    let mut it = std::env::args().skip(2);
    while let Some(x) = it.next() {
        match x.as_str() {
            "--accepts" => a.accepts = it.next().and_then(|v| v.parse().ok()),
            "--max-connections" => a.max_connections = it.next().and_then(|v| v.parse().ok()),
            "--idle-timeout" => {
                a.idle_timeout = it
                    .next()
                    .and_then(|v| crate::config::options::parse_duration(&v).ok())
                    .filter(|d| !d.is_zero())
            }
            "--grace" => {
                a.grace = it
                    .next()
                    .and_then(|v| crate::config::options::parse_duration(&v).ok())
                    .unwrap_or_default()
            }
            _ => match x.parse() {
                Ok(l) => a.listeners.push(l),
                Err(e) => return usage_error(&format!("{e}")),
            },
        }
    }
    if a.listeners.is_empty() {
        a.listeners =
            crate::config::board::listeners(crate::services::ALL.iter().map(|e| (e.name, e.board)))
                .unwrap_or_default();
    }
    crate::serve::run(&a)
}
