//! Starts that must fail: the exit status and what standard error says.

use std::fs;
use std::process::Child;
use std::time::Instant;

use super::LIMIT;
use super::server::Builder;

/// How a start failed.
#[derive(Debug)]
pub struct Refusal {
    pub code: Option<i32>,
    pub stderr: String,
    pub stdout: String,
}

impl Refusal {
    /// Expects this exit status and these words in this order, and that nothing was served.
    #[track_caller]
    pub fn expect(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        let mut rest = self.stderr.as_str();
        for word in words {
            match rest.split_once(word) {
                Some((_, after)) => rest = after,
                None => panic!("no {word:?} in its place in: {self:?}"),
            }
        }
        assert_eq!(self.stdout, "", "it served");
    }
}

/// Starts a server that is expected to end by itself.
pub fn refused(builder: &Builder) -> Refusal {
    let mut child = builder.command().spawn().unwrap();
    let code = wait(&mut child);
    let mut stdout = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut stdout).unwrap();
    let stderr = fs::read_to_string(builder.folder().join("log")).unwrap();
    Refusal {
        code,
        stderr,
        stdout,
    }
}

/// The exit status of a process; it is killed, and the test fails, where it does not end.
pub fn wait(child: &mut Child) -> Option<i32> {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            panic!("a server that should have ended runs");
        }
        std::thread::park_timeout(std::time::Duration::from_millis(2));
    }
}
