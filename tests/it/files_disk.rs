//! Many clients that stop reading, and a slow disk: memory stays, and nobody else is held up.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::io::ioctl_fionread;
use rustix::process::Pid;
use switchboard::config::limits::{FILE_THREADS, SEND_BUFFERS_MAX};

use crate::support::folder::{Filer, Folder, content};
use crate::support::rounds::{ROUNDS, Timely, in_one_of};
use crate::support::socket::Kind;
use crate::support::stream::one_at_a_time;
use crate::support::trips::Trips;
use crate::support::{can_inject, process, wait_until};

const MIB: u64 = 1 << 20;

#[test]
fn two_hundred_clients_that_stop_reading_cost_no_memory() {
    let folder = Folder::new();
    folder.write("big", &content(64 * MIB as usize, 1));
    let _turn = one_at_a_time();
    let server = folder.server("").start();
    let mut first = Filer::tcp(&server);
    assert!(first.ask("get big").starts_with("ok "));
    first.bytes(1_000);
    let before = process::anonymous_bytes(server.pid());
    let mut stopped: Vec<_> = (0..200)
        .map(|number| {
            let mut filer = Filer::new(Kind::BOTH[number % 2], &server);
            assert!(filer.ask("get big").starts_with("ok 67108864 "));
            filer
        })
        .collect();
    let mut trips = Trips::new(&server);
    in_one_of(ROUNDS, || {
        for _ in 0..500 {
            trips.trip();
        }
        let grown = process::anonymous_bytes(server.pid()).saturating_sub(before);
        eprintln!(
            "200 clients that stopped reading: {} KiB more",
            grown / 1024
        );
        assert!(grown < 4 * MIB, "{grown} bytes");
        trips.p99_below("beside 200 that stopped", Duration::from_millis(10))
    });
    // One of them goes on, and gets all of it.
    let got = stopped[100].bytes(64 * MIB as usize);
    assert!(got == content(64 * MIB as usize, 1));
    drop(stopped);
    server.stop();
}

/// Bytes that the server has sent and its client has not read.
fn unread(filer: &Filer) -> u64 {
    filer.0.buffer().len() as u64 + ioctl_fionread(filer.0.get_ref().as_fd()).unwrap()
}

#[test]
fn who_leaves_the_end_unread_holds_one_of_the_large_buffers() {
    let folder = Folder::new();
    folder.write("x", &content(4 * MIB as usize, 1));
    let _turn = one_at_a_time();
    let server = folder.server("").start();
    let mut trips = Trips::new(&server);
    let kept: Vec<_> = (0..SEND_BUFFERS_MAX)
        .map(|_| {
            let mut filer = Filer::new(Kind::Unix, &server);
            assert!(filer.ask("get x").starts_with("ok 4194304 "));
            filer.bytes(4 * MIB as usize - (64 << 10));
            filer
        })
        .collect();
    // The server has its turns, and has sent all to them.
    for filer in &kept {
        wait_until("the end is sent", || unread(filer) == 64 << 10);
    }
    let mut one_more = Filer::new(Kind::Unix, &server);
    assert!(one_more.ask("get x").starts_with("ok 4194304 "));
    for _ in 0..50 {
        trips.trip();
    }
    // What the kernel gives by itself, and what is begun within it.
    let usual = fs::read_to_string("/proc/sys/net/core/wmem_default").unwrap();
    let most = usual.trim().parse::<u64>().unwrap() + (128 << 10);
    assert!(unread(&one_more) <= most, "{} bytes", unread(&one_more));
    // One that leaves makes room for another.
    drop(kept);
    wait_until("another has a large one", || {
        let mut another = Filer::new(Kind::Unix, &server);
        assert!(another.ask("get x").starts_with("ok 4194304 "));
        for _ in 0..50 {
            trips.trip();
        }
        unread(&another) > most
    });
    drop(one_more);
    server.stop();
}

/// Delays a call of these threads.
struct Slow(Child);

impl Slow {
    fn start(threads: &[Pid], call: &str, milliseconds: u32, trace: &Path) -> Self {
        let inject = format!("inject={call}:delay_enter={milliseconds}000");
        let mut command = Command::new("strace");
        command
            .args(["-e", &format!("trace={call}"), "-e", &inject, "-o"])
            .arg(trace);
        for thread in threads {
            command.args(["-p", &thread.to_string()]);
        }
        let log = fs::File::create(trace.with_extension("log")).unwrap();
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let slow = Self(child);
        wait_until("strace", || {
            let log = fs::read_to_string(trace.with_extension("log")).unwrap_or_default();
            log.matches("attached").count() >= threads.len()
        });
        slow
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        let pid = Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let _ = self.0.wait();
    }
}

/// The threads that read ahead and write; each gives itself its name when it first runs.
fn lane(pid: Pid) -> Vec<Pid> {
    wait_until("the threads of the lane", || {
        threads(pid, "files").len() >= FILE_THREADS
    });
    threads(pid, "files")
}

/// The server's threads of that name.
fn threads(pid: Pid, name: &str) -> Vec<Pid> {
    let all = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let named = all.filter(|task| {
        let comm = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        comm.trim_end() == name
    });
    let ids = named.map(|task| task.file_name().to_str().unwrap().parse().unwrap());
    ids.map(|id| Pid::from_raw(id).unwrap()).collect()
}

/// Drops the file from the page cache. False where it can't be: in memory only.
fn make_cold(path: &Path) -> bool {
    let file = fs::File::open(path).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let mut byte = [0];
    let mut slices = [std::io::IoSliceMut::new(&mut byte)];
    let flags = rustix::io::ReadWriteFlags::NOWAIT;
    matches!(
        rustix::io::preadv2(&file, &mut slices, MIB, flags),
        Err(rustix::io::Errno::AGAIN)
    )
}

#[test]
fn a_slow_disk_holds_up_nobody_else() {
    if !can_inject() {
        return;
    }
    let folder = Folder::new();
    // Several, as the kernel reads further ahead than it was asked.
    let bytes = content(2 * MIB as usize, 1);
    let names: Vec<_> = (0..6).map(|number| format!("cold{number}")).collect();
    for name in &names {
        folder.write(name, &bytes);
    }
    let cool = || {
        let mut paths = names.iter().map(|name| folder.root().join(name));
        paths.all(|path| make_cold(&path))
    };
    if !cool() {
        eprintln!("skipped: files here can't be dropped from the page cache");
        return;
    }
    let _turn = one_at_a_time();
    in_one_of(ROUNDS, || {
        cool();
        beside_a_slow_disk(&folder, &names, &bytes)
    });
}

/// A client fetches these files while each read takes half a second, and another echoes meanwhile.
fn beside_a_slow_disk(folder: &Folder, names: &[String], bytes: &[u8]) -> Timely {
    let server = folder.server("").start();
    let lane = lane(server.pid());
    let trace = folder.beside("trace");
    let slow = Slow::start(&lane, "pread64", 500, &trace);
    let address = server.tcp("files");
    let commands: String = names.iter().map(|name| format!("get {name}\n")).collect();
    let fetching = std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(commands.as_bytes()).unwrap();
        stream.write_all(b"quit\n").unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        got
    });
    let mut trips = Trips::new(&server);
    while !fetching.is_finished() {
        trips.trip();
    }
    let got = fetching.join().unwrap();
    drop(slow);
    let delayed = fs::read_to_string(&trace)
        .unwrap()
        .matches("pread64(")
        .count();
    eprintln!(
        "{} round trips beside {delayed} reads of 0.5 s",
        trips.count()
    );
    assert!(delayed >= 6, "{delayed}");
    let mut rest = &got[..];
    for _ in 0..6 {
        let head = rest.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        assert!(rest[head..].starts_with(bytes));
        rest = &rest[head + bytes.len()..];
    }
    assert_eq!(rest, b"ok bye\n");
    server.stop();
    trips.p99_below("beside a slow disk", Duration::from_millis(10))
}

#[test]
fn many_uploads_to_a_slow_disk_cost_little_memory_and_hold_up_nobody() {
    if !can_inject() {
        return;
    }
    let _turn = one_at_a_time();
    in_one_of(ROUNDS, beside_uploads_to_a_slow_disk);
}

fn beside_uploads_to_a_slow_disk() -> Timely {
    const UPLOADS: usize = 100;
    let folder = Folder::new();
    let bytes = content(2 * MIB as usize, 1);
    let server = folder.server("&upload=yes").start();
    let lane = lane(server.pid());
    let before = process::anonymous_bytes(server.pid());
    let slow = Slow::start(&lane, "pwrite64", 20, &folder.beside("trace"));
    let mut trips = Trips::new(&server);
    let mut most = 0;
    let sends = |number: usize| {
        let mut filer = Filer::tcp(&server);
        assert_eq!(filer.ask(&format!("put f{number} {}", bytes.len())), "ok 0");
        filer.say(&bytes);
        assert_eq!(filer.line(), "ok");
    };
    let sends = &sends;
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..UPLOADS)
            .map(|number| scope.spawn(move || sends(number)))
            .collect();
        while !all.iter().all(|one| one.is_finished()) {
            trips.trip();
            if trips.count().is_multiple_of(100) {
                most = most.max(process::anonymous_bytes(server.pid()));
            }
        }
    });
    drop(slow);
    let grown = most.saturating_sub(before) / 1024;
    eprintln!("{UPLOADS} uploads to a slow disk: {grown} KiB more");
    // Half a MiB each, with what one read brings on top, and what a vector keeps spare.
    assert!(grown < UPLOADS as u64 * 1_536, "{grown} KiB");
    for number in 0..UPLOADS {
        assert!(fs::read(folder.root().join(format!("f{number}"))).unwrap() == bytes);
    }
    server.stop();
    trips.p99_below("beside uploads to a slow disk", Duration::from_millis(10))
}

#[test]
fn whatever_sendfile_says_a_file_comes_whole_or_ends_as_one_that_did_not() {
    if !can_inject() {
        return;
    }
    let folder = Folder::new();
    let bytes = content(8 * MIB as usize, 1);
    folder.write("x", &bytes);
    for (what, end) in [
        ("error=EINVAL", None),
        ("error=ENOSYS:when=2", None),
        ("error=EIO:when=3", None),
        ("error=EINTR", None),
        ("error=EPIPE:when=2", Some("the client broke it off")),
        ("error=ETIMEDOUT:when=2", Some("the network lost it")),
        ("retval=0:when=2", Some("the file has changed meanwhile")),
    ] {
        let (inject, trace) = (format!("inject=sendfile:{what}"), folder.beside("trace"));
        let trace = trace.display().to_string();
        let server = folder
            .server("")
            .wrapped(&[
                "strace",
                "-f",
                "-o",
                &trace,
                "-e",
                "trace=sendfile",
                "-e",
                &inject,
            ])
            .start();
        let mut filer = Filer::new(Kind::Unix, &server);
        filer.say(b"get x\nquit\n");
        assert!(filer.line().starts_with("ok 8388608 "));
        let (rest, _) = filer.rest();
        match end {
            None => assert!(rest == [&bytes[..], b"ok bye\n"].concat(), "{what}"),
            Some(end) => {
                assert!(
                    rest.len() < bytes.len() && bytes.starts_with(&rest),
                    "{what}"
                );
                server.wait_for_log(end);
            }
        }
        server.stop();
    }
}
