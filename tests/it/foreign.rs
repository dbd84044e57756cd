//! Clients that nobody here wrote: netcats, socat, curl, bash and Python, all at once, with each
//! service. What their flags do is in `foreign_streams`, `foreign_datagrams` and `foreign_ends`.
//!
//! Which of them half-closes decides what it can do: an echo and a sum without its 0 end with the
//! client's writing, and some clients never end it.

use std::fmt::Write as _;

use crate::support::client::{Running, start};
use crate::support::have;
use crate::support::program::serving;
use crate::support::server::{Builder, Server};

/// A client program and how it is told where to go.
struct Foreign {
    program: &'static str,
    /// `HOST`, `PORT`, `PATH` and `COUNT` (of an echo's bytes, else empty) in them are replaced.
    arguments: &'static [&'static str],
    /// Whether it ends its writing at the end of its input.
    half_closes: bool,
}

impl Foreign {
    const fn new(program: &'static str, arguments: &'static [&'static str]) -> Self {
        Self {
            program,
            arguments,
            half_closes: true,
        }
    }

    /// Starts it against a service; with `input` on its standard input.
    fn start(&self, server: &Server, service: &str, input: &[u8]) -> Running {
        let address = server.tcp(service);
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let path = server.unix(service).display().to_string();
        let count = match service {
            "echo" => input.len().to_string(),
            _ => String::new(),
        };
        let words = [
            ("HOST", host),
            ("PORT", port),
            ("PATH", path),
            ("COUNT", count),
        ];
        let arguments = self.arguments.iter().map(|argument| {
            let argument = (*argument).to_owned();
            words
                .iter()
                .fold(argument, |text, (word, value)| text.replace(word, value))
        });
        let arguments: Vec<_> = arguments.collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        start(self.program, &arguments, input)
    }
}

const CREATE_CONNECTION: &str = "
import socket, sys, threading
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def write():
    s.sendall(sys.stdin.buffer.read())
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=write).start()
while part := s.recv(65536):
    sys.stdout.buffer.write(part)
";

const ASYNCIO: &str = "
import asyncio, sys
async def main():
    reader, writer = await asyncio.open_connection(sys.argv[1], int(sys.argv[2]))
    writer.write(sys.stdin.buffer.read())
    writer.write_eof()
    sys.stdout.buffer.write(await reader.read())
    writer.close()
asyncio.run(main())
";

const ASYNCIO_UNIX: &str = "
import asyncio, sys
async def main():
    reader, writer = await asyncio.open_unix_connection(sys.argv[1])
    writer.write(sys.stdin.buffer.read())
    writer.write_eof()
    sys.stdout.buffer.write(await reader.read())
    writer.close()
asyncio.run(main())
";

/// It never ends its writing, so that the server must end; for an echo it counts what is due.
const BASH: &str = "
exec 3<>/dev/tcp/HOST/PORT
cat >&3 <&0 &
if [ -n \"$1\" ]; then head -c \"$1\" <&3; else cat <&3; fi
";

const CLIENTS: [Foreign; 14] = [
    Foreign::new("nc.openbsd", &["-N", "HOST", "PORT"]),
    Foreign::new("nc.openbsd", &["-q1", "HOST", "PORT"]),
    Foreign::new("nc.openbsd", &["-N", "-U", "PATH"]),
    // It stays for the answer only as long as that, and without it never ends its writing.
    Foreign::new("nc.traditional", &["-q9", "HOST", "PORT"]),
    Foreign::new("ncat", &["HOST", "PORT"]),
    Foreign::new("ncat", &["-U", "PATH"]),
    Foreign::new("socat", &["-t3", "-", "TCP:HOST:PORT"]),
    Foreign::new("socat", &["-t3", "-", "UNIX-CONNECT:PATH"]),
    Foreign::new("busybox", &["nc", "HOST", "PORT"]),
    Foreign::new("python3", &["-c", CREATE_CONNECTION, "HOST", "PORT"]),
    Foreign::new("python3", &["-c", ASYNCIO, "HOST", "PORT"]),
    Foreign::new("python3", &["-c", ASYNCIO_UNIX, "PATH"]),
    Foreign {
        half_closes: false,
        ..Foreign::new("bash", &["-c", BASH, "bash", "COUNT"])
    },
    Foreign {
        half_closes: false,
        ..Foreign::new("curl", &["-sN", "telnet://HOST:PORT"])
    },
];

/// What one client is asked, and what it must print.
struct Asked {
    input: Vec<u8>,
    expected: Vec<Vec<u8>>,
}

/// Starts every client that is installed and that `ask` has something for, all at once, and
/// checks what each of them prints and that it ends with 0.
fn all_at_once(server: &Server, service: &str, ask: impl Fn(usize, &Foreign) -> Option<Asked>) {
    let mut running = Vec::new();
    for (place, client) in CLIENTS.iter().enumerate() {
        if have(client.program)
            && let Some(asked) = ask(place, client)
        {
            running.push((client, client.start(server, service, &asked.input), asked));
        }
    }
    let mut wrong = String::new();
    for (client, running, asked) in running {
        let output = running.finish();
        if output.status.success() && asked.expected.contains(&output.stdout) {
            continue;
        }
        let length = output.stdout.len();
        let start = String::from_utf8_lossy(&output.stdout[..length.min(60)]);
        let said = String::from_utf8_lossy(&output.stderr);
        let name = format!("{} {:?}", client.program, client.arguments.last());
        writeln!(
            wrong,
            "{name}: {}, {length} bytes {start:?}, {said:?}",
            output.status
        )
        .unwrap();
    }
    assert!(wrong.is_empty(), "{service}:\n{wrong}");
}

fn server() -> Server {
    let arguments = [
        "slot=tcp://127.0.0.1:0",
        "slot=unix:DIR/slot",
        "sum=tcp://127.0.0.1:0",
        "sum=unix:DIR/sum",
        "echo=tcp://127.0.0.1:0",
        "echo=unix:DIR/echo",
        "talk=tcp://127.0.0.1:0?reply=later",
        "talk=unix:DIR/talk?reply=later",
        "guess=tcp://127.0.0.1:0?game=name&names=DIR/people",
        "guess=unix:DIR/guess?game=name&names=DIR/people",
    ];
    let builder = Builder::new(&arguments).log("info");
    let people = builder.folder().join("people");
    std::fs::write(people, "the only one | Søren Example | Example\n").unwrap();
    builder.start()
}

#[test]
fn each_client_gets_a_message_of_the_slot_framed_as_its_own() {
    let server = server();
    std::thread::scope(|scope| {
        for end in ["", "\n"] {
            let server = &server;
            scope.spawn(move || {
                let framed = |place: usize, end: &str| format!("client {place}{end}").into_bytes();
                all_at_once(server, "slot", |place, _| {
                    let input = framed(place, end);
                    let reply_end = if end.is_empty() { "\0" } else { end };
                    let expected = (0..CLIENTS.len()).map(|other| framed(other, reply_end));
                    Some(Asked {
                        input,
                        expected: expected.collect(),
                    })
                });
            });
        }
    });
    server.stop();
}

#[test]
fn each_client_gets_its_sum() {
    let server = server();
    all_at_once(&server, "sum", |place, client| {
        let end = if client.half_closes { "" } else { "0\n" };
        let input = format!("1000\n-7\nno integer\n{}\n{end}", place + 1).into_bytes();
        let total = 994 + place;
        Some(Asked {
            input,
            expected: vec![format!("Result = {total}\n").into_bytes()],
        })
    });
    server.stop();
}

#[test]
fn each_client_gets_an_answer_to_its_message() {
    let server = server();
    all_at_once(&server, "talk", |place, _| {
        Some(Asked {
            input: format!("client {place}\n").into_bytes(),
            expected: vec![b"later\n".to_vec()],
        })
    });
    server.stop();
}

#[test]
fn each_client_plays_to_the_end() {
    let server = server();
    all_at_once(&server, "guess", |_, _| {
        let won = "Guess who: the only one\nCorrect, you win: it was Søren Example.\n";
        Some(Asked {
            input: b"SOREN example\n".to_vec(),
            expected: vec![won.into()],
        })
    });
    server.stop();
}

#[test]
fn each_client_that_half_closes_gets_a_programs_late_answer() {
    let server = serving("n=$(wc -c); sleep 1; echo $n", "", &[]).start();
    all_at_once(&server, "exec", |place, client| {
        client.half_closes.then(|| Asked {
            input: vec![b'x'; 10_000 + place],
            expected: vec![format!("{}\n", 10_000 + place).into_bytes()],
        })
    });
    server.stop();
}

#[test]
fn three_megabytes_come_back_to_each_client_at_once() {
    let server = server();
    all_at_once(&server, "echo", |place, client| {
        // Its telnet doubles some bytes, and it never ends its writing.
        let echoes = client.program != "curl";
        let seed = u32::try_from(place).unwrap();
        let pattern = (seed..).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]);
        let input: Vec<_> = pattern.take(ECHO_BYTES).collect();
        echoes.then(|| Asked {
            expected: vec![input.clone()],
            input,
        })
    });
    server.stop();
}

const ECHO_BYTES: usize = 3_000_000;

#[test]
fn a_connection_that_is_only_probed_is_no_error() {
    if !have("nc.openbsd") {
        return;
    }
    let server = server();
    for service in ["slot", "sum", "echo", "talk", "guess"] {
        let (address, path) = (server.tcp(service), server.unix(service));
        let port = address.port().to_string();
        let tcp = start("nc.openbsd", &["-z", "127.0.0.1", &port], b"").finish();
        let unix = start("nc.openbsd", &["-zU", path.to_str().unwrap()], b"").finish();
        assert!(
            tcp.status.success() && unix.status.success(),
            "{tcp:?} {unix:?}"
        );
    }
    crate::support::wait_until("ten ends in the log", || {
        server.log().matches("closed after").count() == 10
    });
    server.expect_no_warning();
    server.stop();
}
