//! The administrator of the lockers: who is one, who has to be asked, and how a shutdown goes while
//! passwords are being hashed.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{ChildStdin, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rustix::process::Signal;
use switchboard::config::limits::LANES_STOP;

use crate::support::client::{read_line, start};
use crate::support::kiosk::{CHEAP, Kiosk, serving};
use crate::support::rounds::{ROUNDS, Timely, below, in_one_of};
use crate::support::server::{Builder, Server};
use crate::support::stream::one_at_a_time;
use crate::support::terminal::Terminal;
use crate::support::{have, wait_until};

const WAITING: &str = "ok waiting for the administrator";

/// A person at the console of a server, by pipes.
struct Operator {
    stdin: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Operator {
    fn of(builder: Builder) -> (Server, Self) {
        let mut command = builder.command();
        let mut server = builder.start_as(command.stdin(Stdio::piped()));
        let (stdin, mut stdout) = (server.stdin(), server.stdout());
        let shown = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                to.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        (server, Self { stdin, shown })
    }

    fn types(&mut self, line: &str) {
        self.stdin
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
    }

    fn sees(&self, text: &str) {
        wait_until(&format!("{text:?} on the console"), || {
            let shown = self.shown.lock().unwrap();
            String::from_utf8_lossy(&shown).contains(text)
        });
    }
}

#[test]
fn the_servers_own_user_resets_at_once_and_without_an_operator_nobody_else_does() {
    let server = serving(3, &[]).start();
    let (mut unix, mut tcp) = (Kiosk::unix(&server), Kiosk::tcp(&server));
    unix.expect("register 1 forgotten", "ok locker 1 is yours");
    unix.expect("store 1 forgotten a book", "ok 1 items");
    tcp.expect("reset 1", "error: no administrator is there");
    unix.expect("reset 1", "ok");
    unix.expect("reset 2", "error: locker 2 is free");
    tcp.expect("retrieve 1 forgotten", "error: wrong password for locker 1");
    // The items are kept.
    assert_eq!(
        Kiosk::unix(&server).ask("retrieve 1 0000"),
        ["item a book", "ok 1 items"]
    );
    server.stop();
}

#[test]
fn the_operator_approves_and_denies_calls_by_their_numbers() {
    let (server, mut operator) = Operator::of(serving(3, &[]));
    let (mut unix, mut tcp) = (Kiosk::unix(&server), Kiosk::tcp(&server));
    for locker in [0, 1] {
        unix.expect(
            &format!("register {locker} pw"),
            &format!("ok locker {locker} is yours"),
        );
        unix.expect(&format!("store {locker} pw a book"), "ok 1 items");
    }
    tcp.expect("reset 1", WAITING);
    operator.sees("call 1: 127.0.0.1:");
    operator.sees(" wants locker 1 reset; 'approve 1' or 'deny 1'\n");
    operator.types("lockers");
    operator.sees("2 lockers in use, 1 free\nlocker 0: 1 items\nlocker 1: 1 items\ncall 1: ");
    // Nothing has happened so far.
    unix.expect("store 1 pw a pen", "ok 2 items");
    operator.types("approve 2");
    operator.sees("there is no call 2\n");
    operator.types("approve 1");
    operator.sees("locker 1 is reset, its password is 0000\n");
    // The outcome is not sent: the next answer is that of the next command.
    tcp.expect("store 1 0000 a cup", "ok 3 items");
    unix.expect("store 1 pw more", "error: wrong password for locker 1");
    operator.types("lockers");
    operator.sees("locker 1: 3 items, password 0000 since a reset\n");
    tcp.expect("reset 0", WAITING);
    operator.types("deny 2");
    operator.sees("call 2 is denied\n");
    unix.expect("store 0 pw still mine", "ok 2 items");
    operator.types("taken 1");
    operator.sees("nothing was taken out of locker 1 so far\n");
    tcp.expect("retrieve 1 0000", "ok 3 items");
    operator.types("taken 1");
    operator.sees("locker 1: 3 items, taken out 2");
    operator.sees("\n  a book\n  a pen\n  a cup\n");
    server.stop();
}

#[test]
fn a_call_lasts_as_long_as_its_client_and_one_source_has_few() {
    let (server, mut operator) = Operator::of(serving(9, &[]));
    let mut unix = Kiosk::unix(&server);
    for locker in 0..6 {
        unix.expect(
            &format!("register {locker} pw"),
            &format!("ok locker {locker} is yours"),
        );
    }
    let mut leaving = Kiosk::tcp(&server);
    leaving.expect("reset 0", WAITING);
    operator.sees("call 1: ");
    drop(leaving);
    // Over TCP an end of writing may be a client that waits; a reset is none.
    let stream = server.connect("locker");
    (&stream).write_all(b"reset 0\n").unwrap();
    assert_eq!(read_line(&mut &stream), WAITING);
    operator.sees("call 2: ");
    crate::support::client::reset(stream);
    operator.sees("call 2 is withdrawn: its client has left\n");
    operator.types("approve 2");
    operator.sees("there is no call 2\n");
    unix.expect("store 0 pw still mine", "ok 1 items");
    let mut greedy = Kiosk::tcp(&server);
    let answers: Vec<_> = (1..6)
        .map(|locker| greedy.asks(&format!("reset {locker}")))
        .collect();
    let waiting = answers.iter().filter(|answer| *answer == WAITING).count();
    assert!((3..=4).contains(&waiting), "{answers:?}");
    assert_eq!(
        answers[4],
        "error: busy, too many wait for the administrator"
    );
    server.stop();
}

#[test]
fn a_netcat_that_has_ended_its_writing_stays_until_the_operator_has_decided() {
    if !have("nc.openbsd") {
        return;
    }
    let (server, mut operator) = Operator::of(serving(3, &[]));
    let mut unix = Kiosk::unix(&server);
    unix.expect("register 1 pw", "ok locker 1 is yours");
    let port = server.tcp("locker").port().to_string();
    for (number, decision) in [(1, "deny"), (2, "approve")] {
        let client = start("nc.openbsd", &["-N", "127.0.0.1", &port], b"reset 1\n");
        operator.sees(&format!("call {number}: "));
        operator.types(&format!("{decision} {number}"));
        let Output { status, stdout, .. } = client.finish();
        assert_eq!(
            (status.code(), &stdout[..]),
            (Some(0), &b"ok waiting for the administrator\n"[..])
        );
    }
    operator.sees("locker 1 is reset, its password is 0000\n");
    unix.expect("retrieve 1 0000", "ok 0 items");
    server.stop();
}

#[test]
fn on_a_terminal_the_operator_approves_as_on_a_pipe() {
    if !have("python3") {
        return;
    }
    let listener = format!("locker=tcp://127.0.0.1:0?count=3&{CHEAP}");
    let mut terminal = Terminal::serve(&[&listener]);
    let mut client = terminal.connect("locker");
    let mut say = |line: &str| {
        client.write_all(format!("{line}\n").as_bytes()).unwrap();
        read_line(&mut client)
    };
    assert_eq!(say("register 1 pw"), "ok locker 1 is yours");
    assert_eq!(say("reset 1"), WAITING);
    terminal.wait_for("'approve 1' or 'deny 1'");
    terminal.types(r"lockers\napprove 1\n");
    terminal.wait_for("1 lockers in use, 2 free");
    terminal.wait_for("locker 1 is reset, its password is 0000");
    assert_eq!(say("store 1 0000 x"), "ok 1 items");
    client.shutdown(Shutdown::Both).unwrap();
    terminal.types(r"\x03");
    assert_eq!(terminal.ended(), Some(0));
}

#[test]
fn users_whom_a_listener_names_reset_at_once_there() {
    const NOBODY: &str = "65534";
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can run a client as another user");
        return;
    }
    if !have("setpriv") || !have("nc.openbsd") {
        return;
    }
    let mut arguments = vec![format!("locker=unix:DIR/plain?mode=0666&count=9&{CHEAP}")];
    for (name, admins) in [
        ("name", "nobody"),
        ("number", NOBODY),
        ("another", "daemon"),
    ] {
        arguments.push(format!("locker=unix:DIR/{name}?mode=0666&admins={admins}"));
    }
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let (server, operator) = Operator::of(Builder::new(&arguments));
    fs::set_permissions(server.folder(), Permissions::from_mode(0o755)).unwrap();
    let mut owner = Kiosk::unix(&server);
    owner.expect("register 1 pw", "ok locker 1 is yours");
    let ask = |listener: &str| {
        let path = server.folder().join(listener).display().to_string();
        let words = [
            "--reuid",
            NOBODY,
            "--regid",
            NOBODY,
            "--clear-groups",
            "nc.openbsd",
            "-U",
            &path,
        ];
        let input = format!("reset 1\nbackup {path}.copy\nquit\n");
        let output = start("setpriv", &words, input.as_bytes()).finish();
        String::from_utf8(output.stdout).unwrap()
    };
    // A copy is for the server's own user alone.
    let rest = "error: a copy is for the server's own user, on a Unix socket\nok bye\n";
    for (listener, answer) in [
        ("plain", WAITING),
        ("name", "ok"),
        ("number", "ok"),
        ("another", WAITING),
    ] {
        assert_eq!(ask(listener), format!("{answer}\n{rest}"), "{listener}");
    }
    operator.sees("of user 65534 wants locker 1 reset");
    owner.expect("retrieve 1 0000", "ok 0 items");
    server.stop();
}

/// A server whose hashes cost this, with an idle client beside it. A busy machine may need long for
/// them: the grace is not what is looked at.
fn hashing(cost: &str) -> (Server, Kiosk) {
    let tcp = format!("locker=tcp://127.0.0.1:0?count=60&hash={cost}");
    let server = Server::start(&[&tcp, "locker=unix:DIR/locker.sock", "--grace", "60s"]);
    let mut idle = Kiosk::unix(&server);
    idle.ask("show");
    (server, idle)
}

const BYE: &str = "bye: the server is shutting down\n";

#[test]
fn at_a_shutdown_registrations_under_way_are_answered_and_the_database_is_closed_in_order() {
    const CROWD: usize = 40;
    let _turn = one_at_a_time();
    let (mut server, mut idle) = hashing("19456,2");
    let mut crowd: Vec<_> = (0..CROWD).map(|_| Kiosk::tcp(&server)).collect();
    for (locker, kiosk) in crowd.iter_mut().enumerate() {
        // What stands behind what is under way is not begun any more.
        kiosk.say(&format!("register {locker} pw\nshow\n"));
    }
    assert_eq!(crowd[0].last(), "ok locker 0 is yours");
    server.signal(Signal::INT);
    let mut owned = 1;
    for (locker, kiosk) in crowd.iter_mut().enumerate().skip(1) {
        let said = kiosk.rest();
        // One that was answered before the signal came may have got a turn more.
        let is_yours = format!("ok locker {locker} is yours\n");
        assert!(
            said.starts_with(&is_yours) || said == BYE,
            "{locker}: {said:?}"
        );
        owned += usize::from(said.starts_with(&is_yours));
    }
    assert_eq!(
        owned, CROWD,
        "the line was not full: all are owed an answer"
    );
    assert_eq!(idle.rest(), BYE);
    drop(crowd);
    assert_eq!(server.wait().code(), Some(0));
    assert!(!server.unix("locker").exists());
    let data = server.folder().join("switchboard");
    let names = fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    assert!(names.contains(&"lockers.db".to_owned()), "{names:?}");
    assert!(
        !names.iter().any(|name| name.ends_with("-wal")),
        "{names:?}"
    );
    // And they are theirs.
    let data = data.display().to_string();
    let after = Server::start(&["--data", &data, "locker=unix:DIR/locker.sock"]);
    let shown = Kiosk::unix(&after).ask("show");
    let in_use = shown.iter().filter(|line| line.ends_with(" in use"));
    assert_eq!(in_use.count(), CROWD);
    after.stop();
}

#[test]
fn a_second_interrupt_waits_for_no_line() {
    let _turn = one_at_a_time();
    in_one_of(ROUNDS, interrupt_twice);
}

fn interrupt_twice() -> Timely {
    // Seconds each, and six of them.
    let (mut server, mut idle) = hashing("65536,64");
    let mut crowd: Vec<_> = (0..6).map(|_| Kiosk::tcp(&server)).collect();
    for (locker, kiosk) in crowd.iter_mut().enumerate() {
        kiosk.say(&format!("register {locker} pw\n"));
    }
    server.signal(Signal::INT);
    assert_eq!(idle.rest(), BYE);
    let start = Instant::now();
    server.signal(Signal::INT);
    let status = server.wait();
    let took = start.elapsed();
    eprintln!("ended {took:?} after the second signal");
    assert_eq!(status.code(), Some(0));
    assert!(!server.unix("locker").exists());
    // The hashes take seconds, and nobody waits for them.
    below("the second interrupt", took, LANES_STOP / 2)
}
