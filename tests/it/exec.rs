//! `exec`: dialogues, what a program is given, and what it is not.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::Shutdown;

use rustix::process::{Pid, Signal, getpgid};

use crate::support::client::{self, read_all, read_line};
use crate::support::program::{running, serving};
use crate::support::server::{Builder, Server};
use crate::support::{have, process};

/// The examples of the documentation, each with netcat over TCP and Unix.
#[test]
fn a_dialogue_in_each_language_of_the_examples() {
    for (language, file) in [("python3", "py"), ("php", "php"), ("sh", "sh")] {
        if !have(language) || !have("nc.openbsd") {
            continue;
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples");
        let server = running(&format!("{folder}/dialog.{file}"), "", &[]).start();
        let port = server.tcp("exec").port().to_string();
        let path = server.unix("exec");
        let tcp = ["-N", "127.0.0.1", &port];
        let unix = ["-N", "-U", path.to_str().unwrap()];
        for arguments in [&tcp, &unix] {
            let output = client::run("nc.openbsd", arguments, b"Ann\nx\r\n021\n");
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(
                text.starts_with("What is your name?\nHello Ann. "),
                "{text}"
            );
            assert!(text.contains("\nThat is no whole number.\n"), "{text}");
            let last = "\nTwice 21 is 42. Goodbye Ann. ... connection closed\n";
            assert!(text.ends_with(last), "{language}: {text}");
            let output = client::run("nc.openbsd", arguments, b"");
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(text.ends_with("Goodbye. ... connection closed\n"), "{text}");
        }
        server.wait_for_log("says \"client: 127.0.0.1\"");
        server.wait_for_log("says \"client: local\"");
        server.stop();
    }
}

#[test]
fn an_answer_that_comes_long_after_the_half_close_is_delivered() {
    let idle = ["--idle-timeout", "100ms"];
    let server = serving("n=$(wc -c); sleep 0.7; echo $n", "", &idle).start();
    let input = vec![b'x'; 300_000];
    if have("nc.openbsd") {
        let port = server.tcp("exec").port().to_string();
        let output = client::run("nc.openbsd", &["-N", "127.0.0.1", &port], &input);
        assert_eq!(output.stdout, b"300000\n");
    }
    let mut unix = server.connect_unix("exec");
    unix.write_all(&input).unwrap();
    unix.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut unix), b"300000\n");
    server.wait_for_log("bytes not counted: the program ended it");
    server.stop();
}

fn variables(text: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    let pairs = text.lines().map(|line| line.split_once('=').unwrap());
    pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

#[test]
fn the_environment_is_the_list_and_nothing_else() {
    let words = [
        "HOME=/h",
        "LANG=C.UTF-8",
        "LD_BIND_NOW=1",
        "SECRET=1",
        "PATH=/usr/bin:/bin",
    ];
    let wrapper: Vec<_> = ["env"].into_iter().chain(words).collect();
    let server = running("/usr/bin/env", "", &[]).wrapped(&wrapper).start();
    let mut tcp = server.connect("exec");
    let (own, peer) = (tcp.local_addr().unwrap(), tcp.peer_addr().unwrap());
    let expected = [
        ("PATH", "/usr/bin:/bin"),
        ("HOME", "/h"),
        ("LANG", "C.UTF-8"),
        ("PROTO", "TCP"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("REMOTE_PORT", &own.port().to_string()),
        ("TCPREMOTEIP", "127.0.0.1"),
        ("TCPREMOTEPORT", &own.port().to_string()),
        ("TCPLOCALIP", "127.0.0.1"),
        ("TCPLOCALPORT", &peer.port().to_string()),
    ];
    let expected = expected.map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(variables(&read_all(&mut tcp)), BTreeMap::from(expected));
    let unix = variables(&read_all(&mut server.connect_unix("exec")));
    let keys: Vec<_> = unix.keys().map(String::as_str).collect();
    assert_eq!(keys, ["HOME", "LANG", "PATH", "PROTO"]);
    assert_eq!(unix["PROTO"], "UNIX");
    server.stop();
}

/// Over IPv6 the addresses are numbers too, without brackets.
#[test]
fn the_environment_of_an_ipv6_client() {
    let server = Server::start(&["exec=tcp://[::1]:0?run=/usr/bin/env"]);
    let found = variables(&read_all(&mut server.connect("exec")));
    assert_eq!(found["REMOTE_ADDR"], "::1");
    assert_eq!(found["TCPLOCALIP"], "::1");
    server.stop();
}

/// Started with signals ignored and blocked and with descriptors of a shell's, the server passes
/// none of that on.
#[test]
fn a_program_gets_default_signals_three_descriptors_and_a_group_of_its_own() {
    let wrapper = [
        "env",
        "--ignore-signal=HUP,QUIT,CHLD,USR2,PIPE",
        "--block-signal=USR2,WINCH,CHLD",
        "sh",
        "-c",
        "exec 7</etc/passwd 9>/dev/null; exec \"$@\"",
        "sh",
    ];
    let server = running("/bin/cat", "", &[]).wrapped(&wrapper).start();
    let mut tcp = server.connect("exec");
    tcp.write_all(b"x\n").unwrap();
    assert_eq!(read_line(&mut tcp), "x");
    let cat = process::named(server.pid(), "cat");
    assert!(
        inherited(server.pid()).contains(&"7".to_owned()),
        "the test's own premise"
    );
    assert_eq!(inherited(cat), ["0", "1", "2"]);
    // 32 and 33 belong to the C library, whose posix_spawn ignores them in every child.
    let own = !(1 << 31 | 1 << 32);
    for mask in ["SigIgn", "SigBlk", "SigCgt"] {
        let signals = u64::from_str_radix(&process::status(cat, mask), 16).unwrap();
        assert_eq!(signals & own, 0, "{mask}");
    }
    assert_eq!(getpgid(Some(cat)).unwrap(), cat);
    server.wait_for_log(&format!("handed over to program {cat}\n"));
    server.signal(Signal::USR1);
    server.wait_for_log(&format!("handed over to program {cat}, for"));
    drop(tcp);
    server.wait_for_log("has ended: exit status: 0");
    assert_eq!(process::children(server.pid()), []);
    server.stop();
}

fn inherited(pid: Pid) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// A reader and a writer that would both fail on a non-blocking socket.
#[test]
fn the_socket_blocks_as_a_program_expects() {
    let server = running("/bin/cat", "", &[]).start();
    let mut tcp = server.connect("exec");
    let sent = vec![b'y'; 3_000_000];
    let mut reader = tcp.try_clone().unwrap();
    let reading = std::thread::spawn(move || read_all(&mut reader));
    tcp.write_all(&sent).unwrap();
    tcp.shutdown(Shutdown::Write).unwrap();
    assert!(reading.join().unwrap() == sent);
    server.stop();
}

#[test]
fn what_a_program_complains_of_is_in_the_log_escaped_and_bounded() {
    let script = r#"printf 'red \033[31m\nhalf' >&2; i=0
        while [ $i -lt 2000 ]; do echo " line $i" >&2; i=$((i+1)); done; echo done"#;
    let server = serving(script, "", &[]).start();
    assert_eq!(read_all(&mut server.connect("exec")), b"done\n");
    server.wait_for_log("has ended: exit status: 0");
    let log = server.log();
    assert!(log.contains(r#"says "red \x1b[31m""#), "{log}");
    assert!(log.contains("says \"half line 0\""), "{log}");
    assert!(log.contains("more lines, which are not shown"), "{log}");
    assert!(log.lines().count() < 200, "{}", log.lines().count());
    server.stop();
}

#[test]
fn a_program_that_cant_be_started_is_one_error_line() {
    let builder = Builder::new(&[
        "exec=unix:DIR/absent.sock?run=DIR/absent",
        "exec=unix:DIR/plain.sock?run=DIR/plain",
        "exec=unix:DIR/folder.sock?run=DIR",
        "exec=unix:DIR/shebang.sock?run=DIR/shebang",
        "echo=tcp://127.0.0.1:0",
    ]);
    let folder = builder.folder().to_owned();
    fs::write(folder.join("plain"), "no program").unwrap();
    let script = format!("#!{}/nothing\n", folder.display());
    let path = folder.join("shebang");
    let write = [
        "-c",
        "cat >\"$0\" && chmod 755 \"$0\"",
        path.to_str().unwrap(),
    ];
    assert!(
        client::run("sh", &write, script.as_bytes())
            .status
            .success()
    );
    let server = builder.start();
    let before = process::descriptors(server.pid());
    for (name, problem) in [
        ("absent", "no such file or directory"),
        ("plain", "permission denied"),
        ("folder", "permission denied"),
        ("shebang", "no such file or directory"),
    ] {
        let at = folder.join(format!("{name}.sock"));
        for _ in 0..20 {
            let mut unix = std::os::unix::net::UnixStream::connect(&at).unwrap();
            unix.write_all(b"hello\n").unwrap();
            let answer = String::from_utf8(read_all(&mut unix)).unwrap();
            let expected = format!("error: the program can't be started: {problem}\n");
            assert_eq!(answer, expected, "{name}");
        }
    }
    server.wait_for_log(&format!(
        "can't start {}/absent: no such file",
        folder.display()
    ));
    server.wait_for_log("the program could not be started");
    let mut echo = server.connect("echo");
    echo.write_all(b"still here\n").unwrap();
    assert_eq!(read_line(&mut echo), "still here");
    drop(echo);
    crate::support::wait_until("descriptors as at the start", || {
        process::descriptors(server.pid()) == before
    });
    server.stop();
}

#[test]
fn a_working_directory_that_has_gone_is_one_error_line_too() {
    let builder = Builder::new(&["exec=tcp://127.0.0.1:0?run=dialog"]);
    let work = tempfile::tempdir().unwrap();
    let mut command = builder.command();
    let server = builder.start_as(command.current_dir(work.path()));
    work.close().unwrap();
    for _ in 0..3 {
        let mut client = server.connect("exec");
        client.write_all(b"hello\n").unwrap();
        let answer = String::from_utf8(read_all(&mut client)).unwrap();
        let expected = "error: the program can't be started: no such file or directory\n";
        assert_eq!(answer, expected);
    }
    server.stop();
}
