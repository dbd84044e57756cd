//! Client processes and client sockets, each with a limit on its time.

use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Instant;

use super::LIMIT;

/// Runs a program with `input` on its standard input, to its end; kills it and fails the test
/// where it takes longer than [`LIMIT`].
pub fn run(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    start(program, arguments, input).finish()
}

/// A client process that runs; killed on drop.
pub struct Running {
    child: Option<Child>,
    writer: Option<JoinHandle<()>>,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    line: String,
}

/// Starts a program with `input` on its standard input.
pub fn start(program: &str, arguments: &[&str], input: &[u8]) -> Running {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let line = format!("{program} {}", arguments.join(" "));
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{line}: {error}"));
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    let writer = std::thread::spawn(move || {
        // A client that ends before it has read everything is no fault of the test's.
        let _ = stdin.write_all(&input);
    });
    let stdout = collect(child.stdout.take().unwrap());
    let stderr = collect(child.stderr.take().unwrap());
    Running {
        child: Some(child),
        writer: Some(writer),
        stdout: Some(stdout),
        stderr: Some(stderr),
        line,
    }
}

fn collect(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        bytes
    })
}

impl Running {
    /// Waits for the end and returns everything.
    pub fn finish(mut self) -> Output {
        let mut child = self.child.take().unwrap();
        let end = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > end {
                let _ = child.kill();
                panic!("{} did not end within {LIMIT:?}", self.line);
            }
            std::thread::park_timeout(std::time::Duration::from_millis(2));
        };
        self.writer.take().unwrap().join().unwrap();
        let stdout = self.stdout.take().unwrap().join().unwrap();
        let stderr = self.stderr.take().unwrap().join().unwrap();
        Output {
            status,
            stdout,
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Reads to the end of the stream; fails the test on an error, a reset among them.
pub fn read_all(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap_or_else(|error| {
        panic!("after {} bytes: {error}", bytes.len());
    });
    bytes
}

/// One line, without its end.
pub fn read_line(stream: &mut impl Read) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

/// Breaks the connection off with a reset.
pub fn reset(stream: std::net::TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(std::time::Duration::ZERO)).unwrap();
}
