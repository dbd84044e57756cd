//! Passwords stand nowhere: in no file, in no line of the log at its most talkative, on no output
//! and in no argument list.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal};

use crate::support::client::start;
use crate::support::kiosk::{Kiosk, serving};
use crate::support::socket::Kind;
use crate::support::{LIMIT, have, process, wait_until};

/// Passwords that were right, wrong, refused, on both wires, and cut by the end of a dump's line.
const PASSWORDS: [&str; 6] = [
    "Xq7right-over-TCP",
    "Xq7right-over-Unix",
    "Xq7wrong",
    "Xq7-never-taken",
    "Xq7binary",
    "Xq7-behind-a-long-command-that-is-cut-by-the-lines-of-a-dump",
];

/// What is no secret; an echo and an item show that the search finds what is there.
const ECHOED: &str = "Xq7-said-to-the-echo-and-more-than-a-line-of-a-dump";
const ITEM: &str = "Xq7-an-item-is-no-secret";

/// Whether these bytes hold the text: plainly, or as a hex dump whose lines cut it.
fn holds(bytes: &[u8], text: &str) -> bool {
    let plainly = |bytes: &[u8]| {
        let text = text.as_bytes();
        bytes.windows(text.len()).any(|window| window == text)
    };
    let log = String::from_utf8_lossy(bytes);
    let (mut numbers, mut characters) = (Vec::new(), Vec::new());
    for line in log.lines() {
        // "0010  68 65 ... 6f  he...o", behind an indent.
        let Some((row, rest)) = line.trim_start().split_once("  ") else {
            continue;
        };
        let is_dump = row.len() == 4 && row.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (true, Some(hex), Some(shown)) = (is_dump, rest.get(..47), rest.get(49..)) else {
            continue;
        };
        let bytes = hex.split_whitespace();
        numbers.extend(bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()));
        characters.extend_from_slice(shown.as_bytes());
    }
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    plainly(bytes)
        || plainly(&numbers)
        || plainly(&characters)
        || log.contains(&hex)
        || log.contains(&hex.to_uppercase())
}

/// All regular files below a folder, with their bytes.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match fs::symlink_metadata(&path) {
            Ok(about) if about.is_dir() => files(&path, found),
            Ok(about) if about.is_file() => {
                found.push((path.display().to_string(), fs::read(&path).unwrap()));
            }
            _ => {}
        }
    }
}

/// Fails if any of these holds a password; `what` is to hold this too, so that the search is one.
fn assert_none(places: &[(String, Vec<u8>)], marks: &[&str]) {
    for (name, bytes) in places {
        for password in PASSWORDS {
            assert!(!holds(bytes, password), "{password} stands in {name}");
        }
    }
    for mark in marks {
        let found = places.iter().any(|(_, bytes)| holds(bytes, mark));
        assert!(found, "{mark} is not found where it must be");
    }
}

/// The argument lists of these processes and of all below them.
fn argument_lists(pids: &[Pid]) -> Vec<(String, Vec<u8>)> {
    let all = pids.iter().flat_map(|pid| process::descendants(*pid));
    let read = |pid: Pid| {
        let path = format!("/proc/{pid}/cmdline");
        (path.clone(), fs::read(path).unwrap_or_default())
    };
    all.map(read).collect()
}

/// Passwords of all kinds, on all wires.
fn talk(server: &crate::support::server::Server) {
    let [tcp, unix, wrong, never, binary, long] = PASSWORDS;
    let mut kiosk = Kiosk::tcp(server);
    kiosk.expect(&format!("register 0 {tcp}"), "ok locker 0 is yours");
    kiosk.expect(&format!("store 0 {tcp} {ITEM}"), "ok 1 items");
    kiosk.expect(&format!("register 0 {never}"), "error: locker 0 is in use");
    kiosk.expect(&format!("retrieve 2 {never}"), "error: locker 2 is free");
    kiosk.expect(
        &format!("register 99 {never}"),
        "error: there is no locker 99; there are 0 to 3",
    );
    // What is no command may be a password that was typed too early; long ones are not repeated.
    assert!(kiosk.asks(long).starts_with("error: that is no command"));
    assert!(
        kiosk
            .asks(&format!("register {never} 1 1"))
            .starts_with("error: write register")
    );
    let mut kiosk = Kiosk::unix(server);
    let wrong = format!("retrieve 0 {wrong}");
    kiosk.expect(&wrong, "error: wrong password for locker 0");
    kiosk.expect(
        &format!("{:50}register 1 {unix}", ""),
        "ok locker 1 is yours",
    );
    kiosk.expect(
        &format!("register 2{:40}{long}", ""),
        "ok locker 2 is yours",
    );
    // Cut between segments as well.
    kiosk.say(&format!("store 1 {}", &unix[..9]));
    server.wait_for_log("receives 17 bytes, which may hold secrets");
    kiosk.say(&format!("{} {ITEM}\n", &unix[9..]));
    assert_eq!(kiosk.last(), "ok 1 items");
    kiosk.expect(&format!("retrieve 1 {unix}"), "ok 1 items");
    let path = server.folder().join("binary.sock");
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let say = |choice: i32| {
        let mut block = binary.as_bytes().to_vec();
        block.resize(10, 0);
        [&choice.to_ne_bytes()[..], &3_i32.to_ne_bytes(), &block].concat()
    };
    stream.write_all(&[say(2), say(3)].concat()).unwrap();
    stream.read_exact(&mut [0; 8]).unwrap();
    let mut echo = Kind::Tcp.connect(server, "echo");
    echo.write_all(ECHOED.as_bytes()).unwrap();
    echo.read_exact(&mut [0; ECHOED.len()]).unwrap();
}

#[test]
fn no_password_stands_in_a_file_the_log_an_output_or_an_argument() {
    let builder = serving(4, &["echo=tcp://127.0.0.1:0"]).log("trace");
    let mut command = builder.command();
    let mut server = builder.start_as(command.stdin(Stdio::piped()));
    let (mut operator, mut stdout) = (server.stdin(), server.stdout());
    talk(&server);
    operator.write_all(b"lockers\ntaken 1\n").unwrap();

    // A client that is given its password as one should: not as an argument.
    let port = server.tcp("locker").port().to_string();
    // The server and the clients are all below this process.
    let here = Pid::from_raw(std::process::id().cast_signed()).unwrap();
    let mut lists = argument_lists(&[here]);
    if have("nc") {
        let said = format!("store 0 {} more\n", PASSWORDS[0]);
        let _client = start("nc", &["127.0.0.1", &port], said.as_bytes());
        wait_until("a client at work", || {
            lists = argument_lists(&[here]);
            lists.iter().any(|(_, list)| list.starts_with(b"nc\0"))
        });
    }
    assert_none(&lists, &["switchboard"]);

    // While it runs: the write-ahead log is there, and so is the trace.
    server.wait_for_log("Xq7-said-to-the");
    let mut found = Vec::new();
    files(server.folder(), &mut found);
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["lockers.db", "lockers.db-wal", "/log"] {
        assert!(names.iter().any(|found| found.ends_with(name)), "{names:?}");
    }
    assert_none(&found, &[ECHOED, ITEM]);
    let log = server.log();
    assert!(log.contains(" bytes, which may hold secrets"));
    assert!(
        !log.contains("locker #1 receives\n"),
        "a dump of what a kiosk sent"
    );

    // And afterwards, with all that the console showed.
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(0));
    let mut shown = Vec::new();
    stdout.read_to_end(&mut shown).unwrap();
    assert_none(&[("the console".to_owned(), shown)], &[ITEM]);
    let mut found = Vec::new();
    files(server.folder(), &mut found);
    assert!(
        !found.iter().any(|(name, _)| name.ends_with("-wal")),
        "it was not closed in order"
    );
    assert_none(&found, &[ECHOED, ITEM]);
}
