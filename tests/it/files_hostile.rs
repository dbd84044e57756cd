//! Names that would lead out, what is no file, and a folder that turns into a link while it is used.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};

use crate::support::folder::{Filer, Folder};
use crate::support::rounds::{ROUNDS, Timely, in_one_of};
use crate::support::server::Server;
use crate::support::trips::Trips;

/// How often a folder and a link change places; `SWITCHBOARD_SWAPS=100000` for more.
fn swaps() -> usize {
    let swaps = std::env::var("SWITCHBOARD_SWAPS").ok();
    swaps.and_then(|text| text.parse().ok()).unwrap_or(10_000)
}

/// What a client might write.
const NAMES: [&str; 36] = [
    "../secret",
    "sub/../../secret",
    "/etc/passwd",
    "//etc/passwd",
    "sub//x",
    "./sub/x",
    "sub/.",
    "sub/..",
    "..",
    ".",
    ".hidden",
    ".partial/lock",
    "-rf",
    "sub/-x",
    "link",
    "inside",
    "linked/x",
    "magic/0",
    "loop",
    "socket",
    "pipe",
    "device",
    "sub",
    "sub/x/y",
    "%2e%2e/secret",
    "..%2fsecret",
    "..\\secret",
    "~/secret",
    "no",
    "\"\"",
    "\"..\"",
    "\"../secret\"",
    "\"a",
    "sub\u{7f}",
    "a\0b",
    "x\u{85}",
];

/// How often a file is asked for meanwhile, at least.
const ASKED: usize = 1_000;

/// Fills a folder with what must not be opened; the socket lives as long as its listener.
fn set_traps(folder: &Folder) -> UnixListener {
    let root = folder.root();
    fs::write(folder.beside("secret"), b"secret").unwrap();
    fs::create_dir(root.join("sub")).unwrap();
    folder.write("sub/x", b"x");
    folder.write(".hidden", b"secret");
    symlink(folder.beside("secret"), root.join("link")).unwrap();
    symlink("sub/x", root.join("inside")).unwrap();
    symlink("sub", root.join("linked")).unwrap();
    symlink("/proc/self/fd", root.join("magic")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    let socket = UnixListener::bind(root.join("socket")).unwrap();
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, root.join("pipe"), FileType::Fifo, mode, 0).unwrap();
    // The device /dev/zero, where that may be made.
    let zero = rustix::fs::makedev(1, 5);
    let device = mknodat(
        CWD,
        root.join("device"),
        FileType::CharacterDevice,
        mode,
        zero,
    );
    if device.is_err() {
        eprintln!("skipped: this user may make no device");
    }
    socket
}

#[test]
fn no_name_leads_out_and_nothing_but_files_is_opened() {
    let folder = Folder::new();
    let _socket = set_traps(&folder);
    let server = folder.server("&upload=replace").start();
    in_one_of(ROUNDS, || ask_for_bad_names(&server));
    assert_eq!(fs::read(folder.beside("secret")).unwrap(), b"secret");
    server.stop();
}

/// All of them with every command, and meanwhile an echo.
fn ask_for_bad_names(server: &Server) -> Timely {
    let mut trips = Trips::new(server);
    let mut filer = Filer::tcp(server);
    let (long, part) = ("a/".repeat(600) + "a", "b".repeat(256));
    for name in NAMES.into_iter().chain([&*long, &*part]) {
        for command in [
            "size NAME",
            "get NAME",
            "hash NAME",
            "put NAME/new 3",
            "list NAME/no",
        ] {
            if (name, command) == ("sub", "put NAME/new 3") {
                continue;
            }
            let line = command.replace("NAME", name);
            let answer = filer.ask(&line);
            assert!(
                answer.starts_with("error: ") && answer.len() < 200,
                "{line:?}: {answer}"
            );
        }
        if !["no", "device", "sub\u{7f}"].contains(&name) && !name.contains(['%', '\\', '~']) {
            let answer = filer.ask(&format!("put {name} 3"));
            assert!(answer.starts_with("error: "), "put {name:?}: {answer}");
        }
        trips.trip();
    }
    for bytes in [&b"get \xff\xfe\n"[..], b"get a\rb\n", b"get \x1b[2J\n"] {
        filer.say(bytes);
        let answer = filer.line();
        assert!(
            answer.starts_with("error: ") && !answer.contains('\x1b'),
            "{answer:?}"
        );
    }
    filer.say(&[b"get ", &[b'x'; 5_000][..], b"\n"].concat());
    assert_eq!(
        filer.line(),
        "error: a line has at most 4096 bytes; this one is skipped"
    );
    assert_eq!(filer.ask("size sub/x"), "ok 1");
    // A pipe that nobody writes into must hold up nobody.
    trips.p99_below("names", std::time::Duration::from_millis(50))
}

#[test]
fn a_folder_that_turns_into_a_link_leads_nowhere() {
    let folder = Folder::new();
    let root = folder.root();
    let outside = folder.beside("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("x"), b"secret").unwrap();
    fs::create_dir(root.join("d")).unwrap();
    folder.write("d/x", b"inside");
    symlink(&outside, root.join("l")).unwrap();
    let server = folder.server("&upload=replace").start();
    let (swapped, asked) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let goes_on =
        || swapped.load(Ordering::Relaxed) < swaps() || asked.load(Ordering::Relaxed) < ASKED;
    let (mut inside, mut refused, mut put) = (0, 0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let (d, l) = (root.join("d"), root.join("l"));
            while goes_on() {
                renameat_with(CWD, &d, CWD, &l, RenameFlags::EXCHANGE).unwrap();
                swapped.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut filer = Filer::tcp(&server);
        while goes_on() {
            asked.fetch_add(1, Ordering::Relaxed);
            let answer = filer.ask("get d/x");
            if answer.starts_with("ok 6 6 ") {
                assert_eq!(filer.bytes(6), b"inside");
                inside += 1;
            } else {
                assert!(answer.starts_with("error: "), "{answer}");
                refused += 1;
            }
            let answer = filer.ask("put d/new 3");
            if answer == "ok 0" {
                filer.say(b"abc");
                let answer = filer.line();
                assert!(answer == "ok" || answer.starts_with("error: "), "{answer}");
                put += u32::from(answer == "ok");
            }
        }
    });
    eprintln!(
        "{} swaps: {inside} fetched, {refused} refused, {put} stored",
        swaps()
    );
    let names: Vec<_> = fs::read_dir(&outside)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["x"], "nothing was stored outside");
    server.stop();
}
