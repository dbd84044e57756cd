//! One client process and tiny servers in threads; everything has a timeout and an owner.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Far longer than anything here takes; only a fault waits for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a process left behind.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A client process; killed when dropped.
pub struct Client {
    child: Child,
    pub stdin: Option<ChildStdin>,
    stdout: Option<Receiver<Vec<u8>>>,
    stderr: Receiver<Vec<u8>>,
}

impl Client {
    /// Starts the program with pipes on all three standard streams.
    pub fn start(arguments: &[&str]) -> Self {
        let mut client = Self::start_unread(arguments);
        client.read_stdout();
        client
    }

    /// The same, but nobody reads its standard output until it is taken.
    pub fn start_unread(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_switchboard"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = collect(child.stderr.take().unwrap());
        Self {
            stdin: child.stdin.take(),
            child,
            stdout: None,
            stderr,
        }
    }

    /// Reads its standard output from now on.
    pub fn read_stdout(&mut self) {
        self.stdout = self.child.stdout.take().map(collect);
    }

    /// Its standard output, line by line as it comes; ends when it does.
    pub fn lines(&mut self) -> Receiver<String> {
        let stdout = BufReader::new(self.child.stdout.take().unwrap());
        let (give, take) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                let _ = give.send(line.unwrap());
            }
        });
        take
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&self) {
        self.signal(rustix::process::Signal::INT);
    }

    /// Sends it any signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, signal).unwrap();
    }

    /// Waits until it has read something of a file, as its descriptors tell (proc_pid_fdinfo(5)).
    pub fn wait_until_it_reads(&self, path: &Path) {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let is_read = || {
            fs::read_dir(process.join("fd"))
                .unwrap()
                .flatten()
                .any(|fd| {
                    let info = fs::read_to_string(process.join("fdinfo").join(fd.file_name()));
                    fs::read_link(fd.path()).is_ok_and(|file| file == path)
                        && info.is_ok_and(|info| !info.starts_with("pos:\t0\n"))
                })
        };
        let since = Instant::now();
        while !is_read() {
            assert!(since.elapsed() < PATIENCE);
            thread::yield_now();
        }
    }

    /// How many bytes of its standard output wait to be read.
    pub fn unread(&self) -> u64 {
        let stdout = self.child.stdout.as_ref();
        stdout.map_or(0, |stdout| rustix::io::ioctl_fionread(stdout).unwrap())
    }

    /// Closes the reading end of its standard output.
    pub fn close_stdout(&mut self) {
        drop(self.child.stdout.take());
    }

    /// Whether it ends within `time`.
    pub fn ends_within(&mut self, time: Duration) -> bool {
        let ended = self.stderr.recv_timeout(time);
        ended != Err(RecvTimeoutError::Timeout)
    }

    /// Waits for its end; standard input stays as it is.
    pub fn bytes(&mut self) -> (Option<i32>, Vec<u8>, String) {
        // The streams end with the process, and unlike it they can be waited for with a timeout.
        let stderr = self.stderr.recv_timeout(PATIENCE).expect("it ends");
        let stdout = match &self.stdout {
            Some(stdout) => stdout.recv_timeout(PATIENCE).expect("it ends"),
            None => Vec::new(),
        };
        let status = self.child.wait().unwrap();
        (status.code(), stdout, String::from_utf8(stderr).unwrap())
    }

    /// The same, as text.
    pub fn outcome(&mut self) -> Outcome {
        let (code, stdout, stderr) = self.bytes();
        let stdout = String::from_utf8(stdout).unwrap();
        Outcome {
            code,
            stdout,
            stderr,
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the program with nothing on its standard input.
pub fn run(arguments: &[&str]) -> Outcome {
    let mut client = Client::start(arguments);
    client.stdin = None;
    client.outcome()
}

/// Runs it with `input` on its standard input, which then ends.
pub fn run_with(arguments: &[&str], input: &[u8]) -> Outcome {
    let mut client = Client::start(arguments);
    // A client that has ended takes no more.
    let _ = client.stdin.take().unwrap().write_all(input);
    client.outcome()
}

fn collect(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (give, take) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        let _ = give.send(bytes);
    });
    take
}

/// A server for one connection.
pub struct Server<T> {
    pub endpoint: String,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Server<T> {
    /// Serves the first connection with `serve`, whose sockets time out.
    pub fn start(serve: impl FnOnce(TcpStream) -> T + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
        let thread = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_write_timeout(Some(PATIENCE)).unwrap();
            serve(stream)
        });
        Self { endpoint, thread }
    }

    /// What `serve` returned. The connection was made if the client has ended without complaint.
    pub fn result(self) -> T {
        self.thread.join().unwrap()
    }
}

/// A server for datagrams from anybody, until it is dropped or `serve` says false.
pub struct DatagramServer {
    pub endpoint: String,
    thread: Option<JoinHandle<()>>,
    address: SocketAddr,
}

/// What ends a [`DatagramServer`]; no client sends this.
const STOP: &[u8] = b"stop the server of this test";

impl DatagramServer {
    /// Gives each datagram to `serve`, which answers with any number of datagrams.
    pub fn start(mut serve: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            loop {
                let (count, from) = socket.recv_from(&mut buffer).unwrap();
                if &buffer[..count] == STOP {
                    return;
                }
                for answer in serve(&buffer[..count]) {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        Self {
            endpoint: format!("udp://{address}"),
            thread: Some(thread),
            address,
        }
    }
}

impl Drop for DatagramServer {
    fn drop(&mut self) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(STOP, self.address).unwrap();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A port of UDP where nobody listens.
pub const CLOSED_PORT: &str = "udp://127.0.0.1:1";

/// Reads as far as the first `end`, and answers; returns what was read.
pub fn answer(stream: &mut TcpStream, end: &[u8], reply: &[u8]) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end) {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap() == 0 {
            break;
        }
        bytes.push(byte[0]);
    }
    stream.write_all(reply).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Closes with a reset instead of an end.
pub fn reset(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
}
