//! How far a file is, with rate and time left: on a terminal; elsewhere nothing is shown.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::wire::Readable;

/// One file's line on standard error.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    name: String,
    is_shown: bool,
}

/// Where the size is known; the rate and the time left are those of this call.
const KNOWN: &str = "{wide_msg} {bytes}/{total_bytes} {bytes_per_sec} {eta} left";
/// Where it is not.
const UNKNOWN: &str = "{wide_msg} {bytes} {bytes_per_sec}";
/// What it stops at.
const ENDED: &str = "{wide_msg} {bytes} in {elapsed}, {bytes_per_sec}";

impl Progress {
    /// Nothing is shown until it begins.
    pub fn new(name: &[u8]) -> Self {
        Self {
            bar: ProgressBar::hidden(),
            name: Readable(name).to_string(),
            is_shown: io::stderr().is_terminal(),
        }
    }

    /// Never shows anything.
    pub fn hidden() -> Self {
        Self {
            bar: ProgressBar::hidden(),
            name: String::new(),
            is_shown: false,
        }
    }

    /// Bytes come from here on, up to `total` if that is known.
    pub fn begin(&mut self, at: u64, total: Option<u64>) {
        if !self.is_shown {
            return;
        }
        self.bar.finish_and_clear();
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        bar.set_style(style(if total.is_some() { KNOWN } else { UNKNOWN }));
        bar.set_message(self.name.clone());
        let bar = bar.with_position(at);
        // What was there before was not fetched at any rate.
        bar.reset_eta();
        self.bar = bar;
    }

    /// The file is so far.
    pub fn set(&self, at: u64) {
        self.bar.set_position(at);
    }

    /// Something that only a person wants to know.
    pub fn say(&self, text: &str) {
        if self.is_shown {
            self.bar
                .suspend(|| super::report::say(format_args!("{}: {text}", self.name)));
        }
    }

    /// The last state stays on the terminal.
    pub fn end(&self, is_whole: bool) {
        if self.is_shown && !self.bar.is_hidden() {
            if is_whole {
                self.bar.set_style(style(ENDED));
            }
            self.bar.abandon();
            // It leaves the cursor behind itself.
            super::report::say("");
        }
    }

    /// Ctrl-C: what a person may want to know.
    pub fn interrupted(&self, bytes: u64) {
        if self.is_shown {
            let advice = "the same call goes on from there";
            super::report::say(format_args!(
                "{}: {bytes} bytes are there; {advice}",
                self.name
            ));
        }
    }
}

/// The plain style where a template could not be read, which the tests would show.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
