//! `switchboard locker` against the real lockers: every action with every exit status, where it
//! looks without an endpoint, a lab server's file, a copy of the database, and that no password
//! gets into a command line or a log.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rusqlite::{Connection, OpenFlags};
use rustix::process::Signal;

use crate::support::client::{run, start};
use crate::support::job::Terminal;
use crate::support::operator::Operated;
use crate::support::process::descendants;
use crate::support::server::{Builder, Server};
use crate::support::{have, wait_until};

const BINARY: &str = env!("CARGO_BIN_EXE_switchboard");

/// Four lockers over Unix, where the server knows its own user, and over TCP.
const LISTENERS: [&str; 2] = [
    "locker=unix:DIR/locker.sock?count=4&hash=8,1",
    "locker=tcp://127.0.0.1:0",
];

fn unix(server: &Server) -> String {
    format!("unix:{}", server.unix("locker").display())
}

fn tcp(server: &Server) -> String {
    format!("tcp://{}", server.tcp("locker"))
}

/// What is left of a client: its status, and both of its outputs.
fn parts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let status = output.status.code();
    (status, text(&output.stdout), text(&output.stderr))
}

/// Runs `locker ACTION ENDPOINT REST...` with this on its standard input.
fn locker(action: &str, endpoint: &str, rest: &[&str], input: &str) -> Output {
    let arguments = [&["locker", action, endpoint], rest].concat();
    run(BINARY, &arguments, input.as_bytes())
}

/// The same, which must do its job and print this.
#[track_caller]
fn does(endpoint: &str, action: &str, rest: &[&str], input: &str, printed: &str) {
    let output = locker(action, endpoint, rest, input);
    let done = (Some(0), printed.to_owned(), String::new());
    assert_eq!(parts(&output), done, "{action} {rest:?}");
}

/// The same, which the server must refuse with this.
#[track_caller]
fn is_refused(endpoint: &str, action: &str, rest: &[&str], input: &str, why: &str) {
    let output = locker(action, endpoint, rest, input);
    let refused = (Some(3), String::new(), format!("error: {why}\n"));
    assert_eq!(parts(&output), refused, "{action} {rest:?}");
}

#[test]
fn each_action_does_its_job_over_unix_and_tcp() {
    let server = Server::start(&LISTENERS);
    for endpoint in [&unix(&server), &tcp(&server)] {
        does(
            endpoint,
            "show",
            &[],
            "",
            "0 free\n1 free\n2 free\n3 free\n",
        );
        does(endpoint, "register", &["1"], "pw\n", "locker 1 is yours\n");
        let shown = "0 free\n1 in use\n2 free\n3 free\n";
        does(endpoint, "show", &[], "", shown);
        let items = ["1", "a red book", "우산", "\u{1b}[31m"];
        does(endpoint, "store", &items, "pw\n", "3 items\n");
        // What comes out of a pipe is what the server sent, which has it escaped.
        let retrieved = "a red book\n우산\n\\u{1b}[31m\n";
        does(endpoint, "retrieve", &["1"], "pw\n", retrieved);
        // The same answer again, as where the first was lost.
        does(endpoint, "retrieve", &["1"], "pw\n", retrieved);
    }
    let here = unix(&server);
    does(&here, "register", &["2"], "pw\n", "locker 2 is yours\n");
    let reset = "the password of locker 2 is 0000 now\n";
    does(&here, "reset", &["2"], "", reset);
    does(&here, "retrieve", &["2"], "0000\n", "");
    server.stop();
}

#[test]
fn what_the_server_refuses_is_status_3_and_said() {
    let server = Server::start(&LISTENERS);
    let (here, there) = (&unix(&server), &tcp(&server));
    does(here, "register", &["1"], "pw\n", "locker 1 is yours\n");
    let in_use = "locker 1 is in use";
    is_refused(there, "register", &["1"], "x\n", in_use);
    let wrong = "wrong password for locker 1";
    is_refused(here, "store", &["1", "x"], "x\n", wrong);
    is_refused(here, "retrieve", &["2"], "pw\n", "locker 2 is free");
    is_refused(here, "reset", &["2"], "", "locker 2 is free");
    let none = "there is no locker 4; there are 0 to 3";
    for action in ["register", "retrieve"] {
        is_refused(there, action, &["4"], "pw\n", none);
    }
    // Nobody is at the console, and over TCP the server does not know its own user.
    is_refused(there, "reset", &["1"], "", "no administrator is there");
    let copy = server.folder().join("copy.db");
    let copy = copy.to_str().unwrap();
    let output = locker("backup", there, &[copy], "");
    assert_eq!(output.status.code(), Some(3), "{:?}", parts(&output));
    assert!(!Path::new(copy).exists());
    fs::write(copy, "mine").unwrap();
    let taken = format!("{copy}: is there already; it was left as it is");
    is_refused(here, "backup", &[copy], "", &taken);
    assert_eq!(fs::read(copy).unwrap(), b"mine");
    server.stop();
}

#[test]
fn no_server_a_lost_one_and_a_slow_one_are_status_1() {
    let mut server = Server::start(&LISTENERS);
    let here = unix(&server);
    does(&here, "register", &["1"], "pw\n", "locker 1 is yours\n");
    // Each wrong password doubles the wait for the answer to the next.
    for _ in 0..4 {
        let why = "wrong password for locker 1";
        is_refused(&here, "retrieve", &["1"], "no\n", why);
    }
    let slow = locker("retrieve", &here, &["1", "--timeout=200ms"], "no\n");
    let said = format!("error: {here}: no answer within 200ms\n");
    assert_eq!(parts(&slow), (Some(1), String::new(), said));
    // It waits for the answer to the next when the server is killed.
    let opened = || server.log().matches(": opened").count();
    let before = opened();
    let waiting = start(BINARY, &["locker", "retrieve", &here, "1"], b"no\n");
    wait_until("the client to be connected", || opened() > before);
    server.signal(Signal::KILL);
    server.wait();
    let (status, stdout, stderr) = parts(&waiting.finish());
    assert_eq!((status, stdout.as_str()), (Some(1), ""), "{stderr}");
    // The path of a killed server is left behind, and nobody answers there.
    let none = locker("show", &here, &[], "");
    let said = format!("error: {here}: connection refused\n");
    assert_eq!(parts(&none), (Some(1), String::new(), said));
}

#[test]
fn what_cannot_be_asked_is_status_2_and_asks_nothing() {
    let server = Server::start(&LISTENERS);
    let here = &unix(&server);
    let before = fs::read(server.folder().join("switchboard/lockers.db")).unwrap();
    for (action, rest, input) in [
        ("register", &["1"][..], ""),
        ("register", &["1"], "a b\n"),
        ("register", &["one"], "pw\n"),
        ("store", &["1"], "pw\n"),
        ("store", &["1", "a\nb"], "pw\n"),
        ("backup", &[], ""),
        ("import", &["/nonexistent/lock_information"], ""),
    ] {
        let output = locker(action, here, rest, input);
        assert_eq!(output.status.code(), Some(2), "{:?}", parts(&output));
        assert!(output.stdout.is_empty());
    }
    let all = "0 free\n1 free\n2 free\n3 free\n";
    does(here, "show", &[], "", all);
    let after = fs::read(server.folder().join("switchboard/lockers.db")).unwrap();
    assert!(before == after);
    server.stop();
}

#[test]
fn a_reset_over_tcp_waits_for_the_operator() {
    let mut operated = Operated::start(&LISTENERS);
    let there = tcp(&operated.server);
    does(&there, "register", &["1"], "pw\n", "locker 1 is yours\n");
    let reset = ["locker", "reset", "--timeout=10s", &there, "1"];
    for (call, word, said) in [
        (1, "deny", "call 1 is denied"),
        (2, "approve", "locker 1 is reset, its password is 0000"),
    ] {
        let waiting = start(BINARY, &reset, b"");
        operated.says(&format!("'approve {call}' or 'deny {call}'"));
        operated.types(&format!("{word} {call}"));
        operated.says(said);
        let (status, stdout, stderr) = parts(&waiting.finish());
        assert_eq!((status, stdout.as_str()), (Some(0), ""));
        let told = "waiting for the administrator; Ctrl-C takes the call back\n\
            the call has ended: it was decided, or nobody came in time\n";
        assert_eq!(stderr, told);
    }
    does(&there, "retrieve", &["1"], "0000\n", "");
    operated.server.stop();
}

#[test]
fn ctrl_c_takes_a_call_back_and_is_status_130() {
    if !have("python3") {
        return;
    }
    let operated = Operated::start(&LISTENERS);
    let there = tcp(&operated.server);
    does(&there, "register", &["1"], "pw\n", "locker 1 is yours\n");
    let mut terminal = Terminal::start(80, &["locker", "reset", &there, "1"], &[]);
    terminal.wait_for("waiting for the administrator", 1);
    operated.says("call 1: 127.0.0.1:");
    terminal.types("\x03");
    assert_eq!(terminal.report(), "ended 130, echo on");
    operated.says("call 1 is withdrawn: its client has left");
    operated.server.stop();
}

#[test]
fn without_an_endpoint_it_is_the_socket_in_the_runtime_directory() {
    let builder = Builder::new(&["locker=unix:DIR/switchboard/locker.sock?count=2&hash=8,1"]);
    let runtime = builder.folder().join("switchboard");
    fs::create_dir(&runtime).unwrap();
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).unwrap();
    let server = builder.start();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(BINARY);
        command
            .args(arguments)
            .env("XDG_RUNTIME_DIR", server.folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    };
    let shown = command(&["locker", "show"]).output().unwrap();
    let printed = "0 free\n1 free\n".to_owned();
    assert_eq!(parts(&shown), (Some(0), printed, String::new()));
    let mut kiosk = command(&["kiosk", "--lang=en"]).spawn().unwrap();
    let typed = "register\n1\npw\nshow\nleave\n";
    let mut keyboard = kiosk.stdin.take().unwrap();
    keyboard.write_all(typed.as_bytes()).unwrap();
    drop(keyboard);
    let (status, stdout, stderr) = parts(&kiosk.wait_with_output().unwrap());
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    assert!(stdout.contains("Locker 1 is yours."), "{stdout}");
    assert!(stdout.contains("0 free    1 in use\n"), "{stdout}");
    server.stop();
}

/// A record of `lock_information`, as the labs' C server wrote it.
fn record(number: i32, password: &[u8], flag: u8, item: &str) -> Vec<u8> {
    let mut bytes = number.to_ne_bytes().to_vec();
    bytes.extend_from_slice(password);
    bytes.resize(14, 0);
    bytes.push(flag);
    bytes.extend_from_slice(item.as_bytes());
    bytes.resize(116, 0);
    bytes
}

#[test]
fn a_lab_servers_file_is_imported_and_each_locker_opens_with_its_password() {
    let server = Server::start(&LISTENERS);
    let there = &tcp(&server);
    let records = [
        record(1, b"pw1", 1, "book"),
        record(2, b"0123456789", 1, ""),
        record(3, "열쇠".as_bytes(), 1, "빨간 우산"),
    ];
    let file = server.folder().join("lock_information");
    fs::write(&file, records.concat()).unwrap();
    let file = file.to_str().unwrap();
    let imported = "3 imported, 0 free, 0 refused\n";
    does(there, "import", &[file], "", imported);
    // Once more: they are in use by now.
    let again = locker("import", there, &[file], "");
    let (status, stdout, stderr) = parts(&again);
    assert_eq!(status, Some(3));
    assert_eq!(stdout, "0 imported, 0 free, 3 refused\n");
    assert!(stderr.starts_with("locker 1: is in use\nlocker 2: is in use\n"));
    let shown = "0 free\n1 in use\n2 in use\n3 in use\n";
    does(there, "show", &[], "", shown);
    does(there, "retrieve", &["1"], "pw1\n", "book\n");
    does(there, "retrieve", &["2"], "0123456789\n", "");
    does(there, "retrieve", &["3"], "열쇠\n", "빨간 우산\n");
    server.stop();
}

#[test]
fn a_backup_is_whole_and_a_server_serves_it() {
    let server = Server::start(&LISTENERS);
    let here = &unix(&server);
    does(here, "register", &["1"], "pw\n", "locker 1 is yours\n");
    does(here, "store", &["1", "a book"], "pw\n", "1 items\n");
    let copy = server.folder().join("copy.db");
    let output = locker("backup", here, &[copy.to_str().unwrap()], "");
    let metadata = fs::metadata(&copy).unwrap();
    let printed = format!("{} bytes\n", metadata.len());
    assert_eq!(parts(&output), (Some(0), printed, String::new()));
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
    // What comes later is not in it.
    does(here, "retrieve", &["1"], "pw\n", "a book\n");
    let db = Connection::open_with_flags(&copy, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let text = |query: &str| db.query_row(query, (), |row| row.get::<_, String>(0));
    assert_eq!(text("PRAGMA integrity_check").unwrap(), "ok");
    let item = "SELECT item FROM items WHERE locker = 1";
    assert_eq!(text(item).unwrap(), "a book");
    drop(db);
    let builder = Builder::new(&LISTENERS);
    let data = builder.folder().join("switchboard");
    fs::create_dir(&data).unwrap();
    fs::copy(&copy, data.join("lockers.db")).unwrap();
    let restored = builder.start();
    does(&unix(&restored), "retrieve", &["1"], "pw\n", "a book\n");
    restored.stop();
    server.stop();
}

/// What nobody may see, and how the hex dump of a log would show its first bytes.
const SECRET: &str = "Zyzzyva-77";
const SECRET_IN_HEX: &str = "5a 79 7a";

/// The same of an item, which is nobody's business either.
const ITEM_IN_HEX: &str = "61 20 62 6f";

#[test]
fn no_password_is_in_a_command_line_or_in_the_log() {
    if !have("python3") {
        return;
    }
    let server = Builder::new(&LISTENERS).log("trace").start();
    let file = server.folder().join("secret");
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    let file = ["--password-file", file.to_str().unwrap()];
    let secret = format!("{SECRET}\n");
    for endpoint in [&unix(&server), &tcp(&server)] {
        let taken = [&["1"], &file[..]].concat();
        does(endpoint, "register", &taken, "", "locker 1 is yours\n");
        does(endpoint, "store", &["1", "a book"], &secret, "1 items\n");
        let kiosk = ["kiosk", "--lang=en", endpoint];
        let mut terminal = Terminal::start(80, &kiosk, &[]);
        for (prompt, typed) in [
            ("Number or word: ", "retrieve"),
            ("Locker number: ", "1"),
            ("Password (not shown): ", SECRET),
        ] {
            terminal.wait_for(prompt, 1);
            terminal.types(&format!("{typed}\n"));
        }
        terminal.wait_for("- a book\n", 1);
        let this = rustix::process::getpid();
        for pid in descendants(this) {
            for what in ["cmdline", "environ"] {
                // One that another test started may have gone by now.
                let bytes = fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
                let text = String::from_utf8_lossy(&bytes);
                assert!(!text.contains(SECRET), "{what} of {pid}");
            }
        }
        terminal.wait_for("Number or word: ", 2);
        terminal.types("6\n");
        assert_eq!(terminal.report(), "ended 0, echo on");
        assert!(!terminal.shown().contains(SECRET));
    }
    let log = server.log();
    assert!(log.contains("TRACE"), "{log}");
    assert!(
        !log.contains(SECRET) && !log.contains(SECRET_IN_HEX),
        "{log}"
    );
    assert!(
        !log.contains("a book") && !log.contains(ITEM_IN_HEX),
        "{log}"
    );
    // Not in clear in the database either, nor in its log.
    for entry in fs::read_dir(server.folder().join("switchboard")).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        let is_in = bytes
            .windows(SECRET.len())
            .any(|part| part == SECRET.as_bytes());
        assert!(!is_in);
    }
    server.stop();
}
