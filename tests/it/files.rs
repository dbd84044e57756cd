//! Files over real sockets: the labs' wire, the text wire with clients that nobody here wrote and our
//! own, what is refused, and the shutdown.

use std::fs;
use std::io::Write;

use rustix::process::Signal;

use crate::support::client::{read_all, run};
use crate::support::folder::{Filer, Folder, content};
use crate::support::server::Builder;
use crate::support::socket::Kind;
use crate::support::{have, wait_until};

const OWN: &str = env!("CARGO_BIN_EXE_switchboard");

fn lab() -> Vec<u8> {
    (0..=255).cycle().take(1_024).collect()
}

#[test]
fn the_labs_client_gets_the_rest_from_every_offset() {
    let folder = Folder::new();
    folder.write("source_file.txt", &lab());
    let server = folder.server("").start();
    for offset in 0..1_030 {
        let kind = Kind::BOTH[offset % 2];
        let mut client = kind.connect(&server, "files");
        let mut block = format!("{offset}\0").into_bytes();
        block.resize(10, 0xee);
        let cut = offset % 10;
        client
            .write_all(if offset % 3 == 0 { b"1\0" } else { b"2\0" })
            .unwrap();
        client.write_all(&block[..cut]).unwrap();
        client.write_all(&block[cut..]).unwrap();
        let rest = &lab()[offset.min(1_024)..];
        assert_eq!(read_all(&mut client), rest, "{offset}");
    }
    for command in [&b"0\0"[..], b"0\n", b"0\0what comes behind is nobody's"] {
        let mut client = server.connect("files");
        client.write_all(command).unwrap();
        assert_eq!(read_all(&mut client), lab());
    }
    // What can't be answered must not look like an empty file.
    fs::remove_file(folder.root().join("source_file.txt")).unwrap();
    for command in [&b"0\0"[..], b"9\0", b"2\0nonsense\0\0"] {
        let mut client = Filer::tcp(&server);
        client.say(command);
        let (bytes, end) = client.rest();
        assert!(bytes.is_empty() && end.is_err(), "{command:?}: {end:?}");
    }
    server.stop();
}

#[test]
fn netcat_and_python_fetch_and_store() {
    let folder = Folder::new();
    folder.write("a b.txt", b"with a blank\n");
    let server = folder.server("&upload=yes").start();
    let port = server.tcp("files").port().to_string();
    if have("nc") {
        let got = run(
            "nc",
            &["-N", "127.0.0.1", &port],
            b"size \"a b.txt\"\nget \"a b.txt\" 7\nquit\n",
        );
        let text = String::from_utf8(got.stdout).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "ok 13");
        assert!(lines[1].starts_with("ok 6 13 13-"), "{text}");
        assert_eq!(lines[2..], ["blank", "ok bye"]);
        let put = run("nc", &["-N", "127.0.0.1", &port], b"put new 6\nhello\n");
        assert_eq!(put.stdout, b"ok 0\nok\n");
        assert_eq!(fs::read(folder.root().join("new")).unwrap(), b"hello\n");
    }
    if have("python3") {
        let script = "\
import socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
f = s.makefile('rwb')
f.write(b'put python.bin 100000\\n'); f.flush()
assert f.readline() == b'ok 0\\n'
f.write(bytes(range(250)) * 400); f.flush()
assert f.readline() == b'ok\\n'
f.write(b'get python.bin 99990\\n'); f.flush()
count = int(f.readline().split()[1])
print(f.read(count) == bytes(range(240, 250)))
";
        let got = run("python3", &["-c", script, &port], b"");
        assert_eq!(String::from_utf8_lossy(&got.stdout), "True\n");
    }
    server.stop();
}

#[test]
fn our_clients_list_fetch_and_store() {
    let folder = Folder::new();
    let bytes = content(3_000_000, 1);
    folder.write("big", &bytes);
    folder.write("empty", b"");
    let server = folder.server("&upload=replace").start();
    let tcp = format!("tcp://{}", server.tcp("files"));
    let here = folder.beside("here");
    fs::create_dir(&here).unwrap();
    for endpoint in [&tcp, &folder.socket()] {
        let got = run(
            OWN,
            &[
                "get",
                endpoint,
                "big",
                "empty",
                "-o",
                here.to_str().unwrap(),
            ],
            b"",
        );
        assert!(got.status.success(), "{got:?}");
        assert_eq!(fs::read(here.join("big")).unwrap(), bytes);
        assert_eq!(fs::read(here.join("empty")).unwrap(), b"");
        let other = here.join("other");
        fs::write(&other, endpoint).unwrap();
        let put = run(OWN, &["put", endpoint, other.to_str().unwrap()], b"");
        assert!(put.status.success(), "{put:?}");
        assert_eq!(
            fs::read(folder.root().join("other")).unwrap(),
            endpoint.as_bytes()
        );
        let listed = run(OWN, &["ls", endpoint, "--json"], b"");
        let text = String::from_utf8(listed.stdout).unwrap();
        assert_eq!(text.lines().count(), 3, "{text}");
    }
    assert!(folder.partials().is_empty());
    server.stop();
}

#[test]
fn an_upload_that_is_too_large_or_not_wanted_is_refused() {
    let folder = Folder::new();
    folder.write("there", b"1");
    let server = folder.server("&upload=yes").start();
    let mut filer = Filer::tcp(&server);
    let large = filer.ask("put x 17179869185");
    assert_eq!(large, "error: an upload has at most 17179869184 bytes");
    let there = "error: there is a file of that name, and files are not replaced here";
    assert_eq!(filer.ask("put there 5"), there);
    for line in [
        "put x -1",
        "put x 99999999999999999999999",
        "put no/x 5",
        "put .x 5",
    ] {
        assert!(filer.ask(line).starts_with("error: "), "{line}");
    }
    assert_eq!(filer.ask("put x 5"), "ok 0");
    let mut other = Filer::new(Kind::Unix, &server);
    let busy = "error: a file of that name is being uploaded just now";
    assert_eq!(other.ask("put x 5"), busy);
    filer.say(b"12345");
    assert_eq!(filer.line(), "ok");
    assert_eq!(other.ask("put x 5"), there);
    server.stop();
}

#[test]
fn an_upload_into_a_folder_that_is_not_the_servers_is_refused_before_it_is_sent() {
    let folder = Folder::new();
    let theirs = folder.root().join("theirs");
    fs::create_dir(&theirs).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o555);
    fs::set_permissions(&theirs, mode).unwrap();
    // Root may do everything, unless it is told otherwise.
    let plain = ["setpriv", "--bounding-set", "-dac_override"];
    let is_root = rustix::process::geteuid().is_root();
    if is_root
        && !(have("setpriv")
            && run(plain[0], &[plain[1], plain[2], "true"], b"")
                .status
                .success())
    {
        eprintln!("skipped: root without setpriv");
        return;
    }
    let wrapper = if is_root { &plain[..] } else { &[] };
    let server = folder.server("&upload=yes").wrapped(wrapper).start();
    let mut filer = Filer::tcp(&server);
    let no = "error: the server has no permission for this";
    assert_eq!(filer.ask("put theirs/x 3"), no);
    assert_eq!(filer.ask("put x 0"), "ok 0");
    server.stop();
}

#[test]
fn an_upload_for_which_the_disk_has_no_room_is_refused() {
    let mount = "mount -t tmpfs -o size=300m tmpfs \"$0\"";
    let folder = Folder::new();
    let root = folder.root();
    let words = ["unshare", "-m", "sh", "-c", mount, root.to_str().unwrap()];
    let may = have("unshare") && run(words[0], &words[1..], b"").status.success();
    if !may {
        eprintln!("skipped: this user may not mount a file system");
        return;
    }
    let mount = format!("{mount} && exec \"$@\"");
    let wrapper = ["unshare", "-m", "sh", "-c", &mount, words[5]];
    let server = folder.server("&upload=yes").wrapped(&wrapper).start();
    let mut filer = Filer::tcp(&server);
    let little = "error: the disk has too little room for this";
    assert_eq!(filer.ask("put x 60000000"), little);
    // Two that run count with all that they announced.
    assert_eq!(filer.ask("put x 30000000"), "ok 0");
    let mut other = Filer::tcp(&server);
    assert_eq!(other.ask("put y 30000000"), little);
    filer.say(&content(30_000_000, 1));
    assert_eq!(filer.line(), "ok");
    server.stop();
}

#[test]
fn a_shutdown_finishes_the_file_that_is_being_sent() {
    let folder = Folder::new();
    let bytes = content(32 << 20, 1);
    folder.write("source_file.txt", &bytes);
    for command in [&b"get source_file.txt\n"[..], b"0\0"] {
        let mut server = folder.server("").start();
        let mut filer = Filer::tcp(&server);
        filer.say(command);
        let mut idle = Filer::tcp(&server);
        assert_eq!(
            idle.ask("size source_file.txt"),
            format!("ok {}", bytes.len())
        );
        if command[0] == b'g' {
            assert!(filer.line().starts_with("ok "));
        }
        let first = filer.bytes(100_000);
        server.signal(Signal::INT);
        assert_eq!(idle.line(), "bye: the server is shutting down");
        let (rest, end) = filer.rest();
        assert!(end.is_ok(), "{end:?}");
        assert_eq!(first.len() + rest.len(), bytes.len());
        assert!(bytes.starts_with(&first) && bytes.ends_with(&rest));
        assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    }
}

#[test]
fn the_default_folder_is_made_below_the_data() {
    let server = Builder::new(&["files=tcp://127.0.0.1:0"]).start();
    let root = server.folder().join("switchboard/files");
    fs::write(root.join("x"), b"12").unwrap();
    assert_eq!(Filer::tcp(&server).ask("size x"), "ok 2");
    server.stop();
}

/// The blocks of a page that are for a shell, with the test's own port.
fn shell_blocks(page: &str, port: u16) -> Vec<String> {
    let blocks = page.split("```sh\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    let port = port.to_string();
    blocks.map(|block| block.replace("5001", &port)).collect()
}

#[test]
fn the_commands_of_the_page_on_resuming_do_what_it_says() {
    if !have("nc") || !have("bash") {
        return;
    }
    let folder = Folder::new();
    let bytes = content(3_000_000, 5);
    folder.write("big.bin", &bytes);
    let server = folder.server("&upload=replace").start();
    let page = include_str!("../../docs/RESUMING.md");
    let blocks = shell_blocks(page, server.tcp("files").port());
    let [_ours, first, rest, compare, upload] = &blocks[..] else {
        panic!("{} blocks", blocks.len());
    };
    let here = folder.beside("here");
    fs::create_dir(&here).unwrap();
    let run_here = |script: String| {
        let script = format!("set -e; cd '{}'\n{script}", here.display());
        let ended = run("bash", &["-c", &script], b"");
        assert!(ended.status.success(), "{ended:?}");
        String::from_utf8(ended.stdout).unwrap()
    };
    // The answer is cut off in the middle.
    let cut = first.replacen('\n', "\ntruncate -s 1000000 answer\n", 1);
    let said = run_here(format!("{cut}{rest}{compare}"));
    let hashes: Vec<_> = said.lines().skip(2).collect();
    let [theirs, ours] = hashes[..] else {
        panic!("{said}");
    };
    assert_eq!(theirs.rsplit(' ').next(), ours.split(' ').next(), "{said}");
    assert!(fs::read(here.join("big.part")).unwrap() == bytes);

    let newer = content(3_000_000, 6);
    fs::write(here.join("big.bin"), &newer).unwrap();
    let mut filer = Filer::tcp(&server);
    assert_eq!(filer.ask("put big.bin 3000000"), "ok 0");
    filer.say(&newer[..1_000_000]);
    drop(filer);
    // Its name says how much of it is safe.
    wait_until("an upload that is left", || {
        let left = folder.partials();
        left.iter()
            .any(|path| path.to_str().unwrap().contains("-3000000-1000000-"))
    });
    let said = run_here(format!("{upload}echo $kept $answer\n"));
    assert_eq!(said, "1000000 ok\n");
    assert!(fs::read(folder.root().join("big.bin")).unwrap() == newer);
    server.stop();
}
