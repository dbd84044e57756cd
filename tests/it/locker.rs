//! `locker` over real sockets: both wires, one state; one-shot conversations; a crowd that comes and
//! goes, and a client that does not read.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use switchboard::config::limits::HIGH_WATER_BYTES;

use self::recording::{Peer, Recording, parse, play};
use crate::support::client::{read_all, run};
use crate::support::kiosk::{Kiosk, serving};
use crate::support::rounds::{ROUNDS, in_one_of};
use crate::support::server::Server;
use crate::support::socket::{Kind, allow_descriptors};
use crate::support::stream::{Client, one_at_a_time};
use crate::support::trips::Trips;
use crate::support::{LIMIT, have, process, wait_until};

#[path = "../wire/recording.rs"]
mod recording;

const RECORDED: &str = include_str!("../wire/locker-binary.txt");
const KIB: u64 = 1024;

/// A kiosk of the binary wire.
struct Binary(UnixStream);

impl Binary {
    fn new(server: &Server) -> Self {
        let endpoints = server.endpoints("locker");
        let path = endpoints.iter().find_map(|endpoint| {
            let path = endpoint.strip_prefix("unix:")?;
            path.contains("binary").then_some(path)
        });
        let stream = UnixStream::connect(path.unwrap()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self(stream)
    }

    /// A choice, a locker, and a block that has so many bytes.
    fn say(&mut self, choice: i32, locker: i32, (text, size): (&str, usize)) {
        let mut block = text.as_bytes().to_vec();
        block.resize(size, 0);
        let numbers = [choice.to_ne_bytes(), locker.to_ne_bytes()].concat();
        self.0.write_all(&[numbers, block].concat()).unwrap();
    }

    fn number(&mut self) -> i32 {
        let mut bytes = [0; 4];
        self.0.read_exact(&mut bytes).unwrap();
        i32::from_ne_bytes(bytes)
    }
}

impl Peer for Binary {
    fn send(&mut self, segment: &[u8]) {
        self.0.write_all(segment).unwrap();
    }

    fn end(&mut self) {
        self.0.shutdown(std::net::Shutdown::Write).unwrap();
    }

    fn wait(&mut self, _: Duration) -> Result<(), String> {
        Err("the locker's recording has no waits".to_owned())
    }

    fn received(&mut self, expected: usize) -> Vec<u8> {
        let mut bytes = vec![0; expected];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn closed(&mut self) -> bool {
        read_all(&mut self.0).is_empty()
    }
}

fn recorded() -> Recording {
    let mut recordings = parse(RECORDED).unwrap();
    assert_eq!(recordings.len(), 1);
    let recording = recordings.remove(0);
    assert!(!recording.title.is_empty() && !recording.has_no_end());
    recording
}

#[test]
fn the_recorded_conversation_is_served_to_the_first_the_second_and_the_hundredth_kiosk() {
    let server = serving(3, &[]).start();
    let recording = recorded();
    let bytewise: Vec<_> = (0..recording.client_bytes()).collect();
    for places in [&[][..], &bytewise] {
        // All are there before the first of them has said anything.
        let mut kiosks: Vec<_> = (0..100).map(|_| Binary::new(&server)).collect();
        let steps = recording.cut(places);
        for place in [0, 1, 99, 50] {
            let kiosk = &mut kiosks[place];
            play(&steps, kiosk).unwrap_or_else(|error| panic!("kiosk {place}: {error}"));
            assert!(kiosk.closed(), "more came than was recorded");
        }
        // The others were greeted and are served still.
        assert_eq!(kiosks[98].number(), 3);
        kiosks[98].0.write_all(&1_i32.to_ne_bytes()).unwrap();
        let shown: Vec<_> = (0..6).map(|_| kiosks[98].number()).collect();
        assert_eq!(shown, [0, 1, 1, 1, 2, 1]);
    }
    server.stop();
}

#[test]
fn each_wire_sees_what_the_others_did() {
    let server = serving(3, &[]).start();
    let mut binary = Binary::new(&server);
    let (mut tcp, mut unix) = (Kiosk::tcp(&server), Kiosk::unix(&server));
    assert_eq!(binary.number(), 3);
    binary.say(2, 1, ("pw1", 10));
    // It has no answer; the next one shows that it was done.
    binary.say(3, 1, ("pw1", 10));
    assert_eq!(binary.number(), 0);
    let mut block = b"book".to_vec();
    block.resize(100, 0);
    binary.0.write_all(&block).unwrap();
    wait_until("the item", || tcp.asks("store 1 pw1 a pen") == "ok 2 items");
    assert_eq!(unix.ask("show")[1], "1 in use");
    assert_eq!(
        unix.ask("retrieve 1 pw1"),
        ["item book", "item a pen", "ok 2 items"]
    );
    unix.expect("register 2 text", "ok locker 2 is yours");
    binary.0.write_all(&1_i32.to_ne_bytes()).unwrap();
    let shown: Vec<_> = (0..6).map(|_| binary.number()).collect();
    assert_eq!(shown, [0, 1, 1, 1, 2, 0]);
    binary.say(4, 2, ("wrong", 10));
    assert_eq!(binary.number(), 0);
    binary.say(4, 2, ("text", 10));
    assert_eq!(binary.number(), 1);
    tcp.expect("register 2 next", "ok locker 2 is yours");
    server.stop();
}

#[test]
fn a_one_shot_conversation_gets_all_its_answers() {
    if !have("nc") {
        return;
    }
    let server = serving(3, &[]).start();
    let port = server.tcp("locker").port().to_string();
    let path = server.unix("locker").display().to_string();
    let said = "register 1 pw\nstore 1 pw a book\nSTORE 1 pw a pen\r\nshow\nfrob\nretrieve 1 pw\n";
    let answers = "ok locker 1 is yours\nok 1 items\nok 2 items\n0 free\n1 in use\n2 free\nok\n\
                   error: 'frob' is no command; 'help' lists them\n\
                   item a book\nitem a pen\nok 2 items\n";
    for target in [&["127.0.0.1", &port][..], &["-U", &path]] {
        let half_closing = [&["-N"], target].concat();
        for (arguments, quit, bye) in [(&half_closing[..], "", ""), (target, "quit\n", "ok bye\n")]
        {
            let input = format!("{said}{quit}");
            let output = run("nc", arguments, input.as_bytes());
            let printed = String::from_utf8(output.stdout).unwrap();
            assert_eq!(printed, format!("{answers}{bye}"), "{arguments:?}");
            assert!(output.status.success(), "{arguments:?}");
        }
    }
    // The last line needs no newline.
    let output = run(
        "nc",
        &["-N", "127.0.0.1", &port],
        b"register 0 pw\nstore 0 pw x",
    );
    assert_eq!(output.stdout, b"ok locker 0 is yours\nok 1 items\n");
    server.stop();
}

#[test]
fn memory_and_descriptors_are_as_before_when_a_thousand_kiosks_have_gone() {
    if !allow_descriptors(2_500) {
        return;
    }
    const CROWD: usize = 1_000;
    const WAVE: usize = 50;
    const ROUNDS: usize = 4;
    let _turn = one_at_a_time();
    let server = serving(1_000, &[]).start();
    let descriptors = process::descriptors(server.pid());
    let mut memory = Vec::new();
    for _ in 0..ROUNDS {
        let mut crowd: Vec<_> = (0..CROWD)
            .map(|place| Kiosk::new(Kind::BOTH[place % 2], &server))
            .collect();
        // No more at once than may wait for their hash.
        for (wave, kiosks) in crowd.chunks_mut(WAVE).enumerate() {
            for (place, kiosk) in (wave * WAVE..).zip(&mut *kiosks) {
                kiosk.say(&format!("register {place} pw\nstore {place} pw x\n"));
                kiosk.say(&format!("retrieve {place} pw\nshow\n"));
            }
            for kiosk in kiosks {
                assert!(kiosk.last().ends_with(" is yours"));
                for last in ["ok 1 items", "ok 1 items", "ok"] {
                    assert_eq!(kiosk.last(), last);
                }
            }
        }
        drop(crowd);
        wait_until("the descriptors of the start", || {
            process::descriptors(server.pid()) == descriptors
        });
        memory.push(process::anonymous_bytes(server.pid()));
    }
    // What the database got from all rounds but the first: its pages stay in a cache with a bound.
    let path = server.folder().join("copy");
    let copied = Kiosk::unix(&server).asks(&format!("backup {}", path.display()));
    let bytes = copied
        .strip_prefix("ok ")
        .and_then(|rest| rest.strip_suffix(" bytes"));
    let bytes: u64 = bytes.unwrap_or_else(|| panic!("{copied}")).parse().unwrap();
    let pages = bytes * (ROUNDS - 1) as u64 / ROUNDS as u64;
    let grown = memory[ROUNDS - 1].saturating_sub(memory[0]);
    eprintln!("memory after each thousand: {memory:?} bytes; the database has {bytes}");
    assert!(grown < pages + 256 * KIB, "{memory:?}, {pages} of pages");
    server.stop();
}

#[test]
fn ten_thousand_shows_of_ten_thousand_lockers_cost_little_and_disturb_nobody() {
    const SHOWS: usize = 10_000;
    let _turn = one_at_a_time();
    let server = serving(10_000, &["echo=tcp://127.0.0.1:0"]).start();
    // One answer has been made, so that the room for it is part of the start.
    let size: usize = Kiosk::tcp(&server)
        .ask("show")
        .iter()
        .map(|line| line.len() + 1)
        .sum();
    assert!(size > 70_000);
    let memory = process::anonymous_bytes(server.pid());
    let mut greedy = Client::tcp(&server, "locker");
    greedy.write_all("show\n".repeat(SHOWS).as_bytes()).unwrap();
    let mut trips = Trips::new(&server);
    let mut grown = 0;
    let mut look = || {
        grown = grown.max(process::anonymous_bytes(server.pid()).saturating_sub(memory));
    };
    // A debug build takes some milliseconds of the processor to write one answer.
    let limit = Duration::from_millis(if cfg!(debug_assertions) { 50 } else { 10 });
    // It reads nothing for a while, and then a good part.
    in_one_of(ROUNDS, || {
        while trips.count() < 300 {
            trips.trip();
            look();
        }
        trips.p99_below("beside 10,000 shows that nobody reads", limit)
    });
    in_one_of(ROUNDS, || {
        let (mut read, mut part) = (0, vec![0; size]);
        while read < 300 * size {
            read += greedy.read(&mut part).unwrap();
            trips.trip();
            look();
        }
        trips.p99_below("beside 300 shows that are read", limit)
    });
    // What waits for it to be read: the bound of what waits, and the answer that went over it; and
    // the next one while it is made.
    let bound = HIGH_WATER_BYTES as u64 + 4 * size as u64;
    eprintln!("{SHOWS} shows of {size} bytes: grown {grown} bytes of {bound}");
    assert!(grown < bound, "{grown} of {bound}");
    drop(greedy);
    server.stop();
}
