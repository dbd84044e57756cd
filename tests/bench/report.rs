//! What a run prints: Markdown tables, promises kept or broken, and the exit code.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

/// The result of anything in a bench: an error ends the workload, not the run.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// The state of one run.
pub struct Report {
    /// Whether this is a short run that shows that everything works, not how fast.
    pub smoke: bool,
    failures: u32,
}

impl Report {
    pub fn new(smoke: bool) -> Self {
        Self { smoke, failures: 0 }
    }

    /// The first in a full run, the second in a short one.
    pub fn pick<T>(&self, full: T, smoke: T) -> T {
        if self.smoke { smoke } else { full }
    }

    /// Prints whether a promise holds; a broken one fails the run.
    pub fn check(&mut self, holds: bool, promise: &str) {
        if holds {
            println!("- holds: {promise}");
        } else {
            self.fail(promise);
        }
    }

    /// Prints whether a goal is met. A missed one does not fail the run: it depends on the machine.
    pub fn goal(&self, met: bool, goal: &str) {
        match met {
            true => println!("- goal met: {goal}"),
            false => println!("- goal MISSED: {goal}"),
        }
    }

    /// Prints what failed and makes the run end with status 1.
    pub fn fail(&mut self, what: &str) {
        self.failures += 1;
        println!("- FAILED: {what}");
    }

    pub fn conclude(self) -> ExitCode {
        match self.failures {
            0 => ExitCode::SUCCESS,
            failures => {
                eprintln!("{failures} failed");
                ExitCode::FAILURE
            }
        }
    }
}

/// A Markdown table, aligned so that it can be read as it is.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Self {
        Self {
            rows: vec![head.iter().map(ToString::to_string).collect()],
        }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.rows[0].len(), "a cell for each column");
        self.rows.push(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows[0].len();
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0).max(3)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (number, row) in self.rows.iter().enumerate() {
            for (cell, width) in row.iter().zip(&widths) {
                write!(f, "| {cell:width$} ")?;
            }
            writeln!(f, "|")?;
            if number == 0 {
                for width in &widths {
                    write!(f, "| {} ", "-".repeat(*width))?;
                }
                writeln!(f, "|")?;
            }
        }
        Ok(())
    }
}

/// The middle one, the lower of two.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values
        .get(values.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(f64::NAN)
}

/// `12,345`.
pub fn whole(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Microseconds with one place, `1,234` where they are many.
pub fn micros(value: f64) -> String {
    if value < 1000.0 {
        format!("{value:.1}")
    } else {
        whole(value)
    }
}

pub fn as_micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
