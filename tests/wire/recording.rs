//! Reads the recorded conversations of this folder, cuts what the client sends into any segments,
//! and plays them to a peer. It knows no service and no socket: whoever includes it brings a
//! [`Peer`], on the harness or on a real connection.

use std::time::Duration;

/// One thing that happens in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The client sends one segment.
    Client(Vec<u8>),
    /// The client ends its writing.
    ClientEnds,
    /// Nothing comes before this is over.
    Wait(Duration),
    /// The server has sent exactly these bytes since the last step of this kind.
    Server(Vec<u8>),
    /// The server has closed, and sent nothing more.
    ServerCloses,
}

/// One conversation of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// The last comment before it.
    pub title: String,
    /// What happens, in order, as it was recorded.
    pub steps: Vec<Step>,
}

/// The client's side of a connection to a service.
pub trait Peer {
    /// Sends one segment.
    fn send(&mut self, segment: &[u8]);
    /// Ends the writing.
    fn end(&mut self);
    /// Lets this much time pass, and sees that nothing comes before it is over.
    fn wait(&mut self, wait: Duration) -> Result<(), String>;
    /// What has come since the last call; `expected` is how many bytes are to come.
    fn received(&mut self, expected: usize) -> Vec<u8>;
    /// Whether the server has closed.
    fn closed(&mut self) -> bool;
}

/// Reads a file; blank lines separate its conversations.
pub fn parse(text: &str) -> Result<Vec<Recording>, String> {
    let mut recordings = Vec::new();
    let (mut title, mut steps) = (String::new(), Vec::new());
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_end();
        let wrong = || format!("line {}: '{line}'", number + 1);
        match line.split_once(' ').unwrap_or((line, "")) {
            ("", _) if steps.is_empty() => {}
            ("", _) => {
                recordings.push(Recording {
                    title: std::mem::take(&mut title),
                    steps: std::mem::take(&mut steps),
                });
            }
            ("#", comment) => match wait(comment) {
                Some(wait) => steps.push(Step::Wait(wait)),
                None => title = comment.to_owned(),
            },
            ("C" | "C?", bytes) => steps.push(Step::Client(hex(bytes).ok_or_else(wrong)?)),
            ("S", bytes) => {
                let bytes = hex(bytes).ok_or_else(wrong)?;
                // An answer of several lines comes as one: where a stream is cut says nothing.
                match steps.last_mut() {
                    Some(Step::Server(before)) => before.extend(bytes),
                    _ => steps.push(Step::Server(bytes)),
                }
            }
            ("C.", "") => steps.push(Step::ClientEnds),
            ("S.", "") => steps.push(Step::ServerCloses),
            _ => return Err(wrong()),
        }
    }
    if !steps.is_empty() {
        recordings.push(Recording { title, steps });
    }
    Ok(recordings)
}

/// `2 s` and `50 ms` are waits; any other comment is none.
fn wait(comment: &str) -> Option<Duration> {
    let (number, unit) = comment.split_once(' ')?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "s" => Some(Duration::from_secs(number)),
        "ms" => Some(Duration::from_millis(number)),
        _ => None,
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.split_ascii_whitespace().map(|word| match word.len() {
        2 => u8::from_str_radix(word, 16).ok(),
        _ => None,
    });
    bytes.collect()
}

impl Recording {
    /// How many bytes the client sends in all.
    pub fn client_bytes(&self) -> usize {
        let sizes = self.steps.iter().map(|step| match step {
            Step::Client(bytes) => bytes.len(),
            _ => 0,
        });
        sizes.sum()
    }

    /// The same conversation with the client's bytes cut in these places and nowhere else, but for
    /// where the recording itself waits for the server. `places` count all of the client's bytes.
    pub fn cut(&self, places: &[usize]) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        let mut sent = 0;
        for step in &self.steps {
            let Step::Client(bytes) = step else {
                steps.push(step.clone());
                continue;
            };
            for byte in bytes {
                match steps.last_mut() {
                    Some(Step::Client(segment)) if !places.contains(&sent) => segment.push(*byte),
                    _ => steps.push(Step::Client(vec![*byte])),
                }
                sent += 1;
            }
        }
        steps
    }

    /// Whether the client's message shows no end: no newline, no NUL, no end of the writing. Then
    /// time alone ends it, and a reply comes later by the service's gap.
    pub fn has_no_end(&self) -> bool {
        !self.steps.iter().any(|step| match step {
            Step::Client(bytes) => bytes.iter().any(|byte| matches!(byte, b'\n' | 0)),
            Step::ClientEnds => true,
            _ => false,
        })
    }
}

/// Takes one step; the error says what was expected and what came.
pub fn play_step(step: &Step, peer: &mut impl Peer) -> Result<(), String> {
    match step {
        Step::Client(segment) => peer.send(segment),
        Step::ClientEnds => peer.end(),
        Step::Wait(wait) => peer.wait(*wait)?,
        Step::Server(expected) => {
            let received = peer.received(expected.len());
            if received != *expected {
                let (received, expected) = (received.escape_ascii(), expected.escape_ascii());
                return Err(format!("expected \"{expected}\", received \"{received}\""));
            }
        }
        Step::ServerCloses => {
            let rest = peer.received(0);
            if !rest.is_empty() {
                return Err(format!(
                    "expected no more, received \"{}\"",
                    rest.escape_ascii()
                ));
            }
            if !peer.closed() {
                return Err("expected the server to close".to_owned());
            }
        }
    }
    Ok(())
}

/// Takes all steps, one after the other.
pub fn play(steps: &[Step], peer: &mut impl Peer) -> Result<(), String> {
    for (number, step) in steps.iter().enumerate() {
        play_step(step, peer).map_err(|error| format!("step {}: {error}", number + 1))?;
    }
    Ok(())
}
