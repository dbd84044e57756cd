//! What became of each file: lines of JSON, lines on standard error, and how it all ends.

use std::io::{self, Write as _};

use super::{Failure, Stop, output};
use crate::client::patience::Since;
use crate::wire::Readable;

/// What is known of one file so far; kept up to date while it is transferred.
#[derive(Debug)]
pub struct Report {
    name: String,
    since: Since,
    /// Bytes of the file that are at their place, those of earlier calls included.
    pub bytes: u64,
    /// Where this call began.
    pub resumed_from: u64,
    /// Of the whole file, once it is known.
    pub sha256: Option<String>,
}

impl Report {
    /// Time counts from now on.
    pub fn begin(name: &[u8]) -> Self {
        Self {
            name: String::from_utf8_lossy(name).into_owned(),
            since: Since::now(),
            bytes: 0,
            resumed_from: 0,
            sha256: None,
        }
    }

    fn json(&self, result: &Result<(), Stop>) -> serde_json::Value {
        let (outcome, error) = match result {
            Ok(()) => ("done", None),
            Err(Stop::Interrupted) => ("interrupted", None),
            Err(Stop::Failed(failure)) => (outcome(failure), Some(reason(failure))),
        };
        let milliseconds = self.since.elapsed().as_millis();
        let mut value = serde_json::json!({
            "name": self.name,
            "bytes": self.bytes,
            "resumed_from": self.resumed_from,
            "seconds": milliseconds as f64 / 1000.0,
            "sha256": self.sha256,
            "outcome": outcome,
        });
        if let Some(error) = error {
            value["error"] = error.into();
        }
        value
    }
}

/// The files of one call.
#[derive(Debug)]
pub struct Reports {
    count: usize,
    /// What each should be: `fetched`.
    done: String,
    is_json: bool,
    failed: usize,
    /// Of the failures so far the one that counts most.
    worst: Option<Failure>,
}

impl Reports {
    /// For so many files.
    pub fn new(count: usize, done: &str, is_json: bool) -> Self {
        Self {
            count,
            done: done.to_owned(),
            is_json,
            failed: 0,
            worst: None,
        }
    }

    /// Says what became of the next one.
    ///
    /// # Errors
    /// Where standard output can't be written.
    pub fn add(&mut self, report: &Report, result: Result<(), Stop>) -> Result<(), Failure> {
        if self.is_json {
            print_json(&report.json(&result))?;
        }
        let Err(Stop::Failed(failure)) = result else {
            return Ok(());
        };
        self.failed += 1;
        if self.count > 1 {
            let (name, reason) = (Readable(report.name.as_bytes()), reason(&failure));
            say(format_args!(
                "error: {name}: {}",
                Readable(reason.as_bytes())
            ));
        }
        if self
            .worst
            .as_ref()
            .is_none_or(|worst| weight(&failure) > weight(worst))
        {
            self.worst = Some(failure);
        }
        Ok(())
    }

    /// How the call ends.
    ///
    /// # Errors
    /// Of one file its failure; of several, how many were not done.
    pub fn finish(self) -> Result<(), Failure> {
        let Some(worst) = self.worst else {
            return Ok(());
        };
        if self.count == 1 {
            return Err(worst);
        }
        let text = format!(
            "{} of {} files were not {}",
            self.failed, self.count, self.done
        );
        Err(match worst {
            Failure::Usage(_) => Failure::Usage(text),
            Failure::Lost(_) => Failure::Lost(text),
            Failure::Refused(_) => Failure::Refused(format!("error: {text}")),
        })
    }
}

/// A line of JSON as a result; false where nobody reads it any more.
pub fn print_json(value: &serde_json::Value) -> Result<bool, Failure> {
    output::write_while_read(format!("{value}\n").as_bytes())
}

/// A line on standard error, in one write.
pub fn say(text: impl std::fmt::Display) {
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// A call that may succeed when it is repeated counts more than a no that stays.
fn weight(failure: &Failure) -> u8 {
    match failure {
        Failure::Refused(_) => 1,
        Failure::Lost(_) => 2,
        Failure::Usage(_) => 3,
    }
}

fn outcome(failure: &Failure) -> &'static str {
    match failure {
        Failure::Refused(_) => "refused",
        Failure::Lost(_) => "failed",
        Failure::Usage(_) => "usage",
    }
}

/// Without the word that the line of a server begins with.
fn reason(failure: &Failure) -> String {
    let text = failure.to_string();
    match text.strip_prefix("error: ") {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}
