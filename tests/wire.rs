//! Plays every recorded conversation of `tests/wire/` to its service, in every segmentation, and
//! wants exactly the recorded bytes and the recorded closing back.
//!
//! The clock is virtual and stands still but for the waits of the recordings. One shape of the slot
//! (no end, writing side open) is decided by time: it waits longer by the gap, and cuts do not
//! matter to it because no gap passes between its segments.

#[path = "sim/random.rs"]
mod random;
#[path = "wire/recording.rs"]
mod recording;

use std::time::Duration;

use random::Random;
use recording::{Peer, Recording, Step, parse, play, play_step};
use switchboard::service::harness::Harness;
use switchboard::services;

/// A file of recordings, its service, and the options under which it holds.
struct File {
    text: &'static str,
    service: &'static str,
    options: &'static [&'static str],
}

const FILES: [File; 12] = [
    File {
        text: include_str!("wire/files-lab.txt"),
        service: "files",
        options: &["root=tests/wire/files", "root=tests/wire/files&wire=lab"],
    },
    File {
        text: include_str!("wire/files-text.txt"),
        service: "files",
        options: &["root=tests/wire/files", "root=tests/wire/files&wire=text"],
    },
    File {
        text: include_str!("wire/locker-binary.txt"),
        service: "locker",
        options: &["count=3&hash=8,1&wire=binary"],
    },
    File {
        text: include_str!("wire/locker-text.txt"),
        service: "locker",
        options: &["count=3&hash=8,1", "count=3&hash=8,1&wire=text"],
    },
    File {
        text: include_str!("wire/talk.txt"),
        service: "talk",
        options: &["reply=hello from server"],
    },
    File {
        text: include_str!("wire/guess.txt"),
        service: "guess",
        options: &["", "max=6&tries=1"],
    },
    File {
        text: include_str!("wire/guess-name.txt"),
        service: "guess",
        options: &["game=name&names=tests/wire/names.list&tries=2"],
    },
    File {
        text: include_str!("wire/slot.txt"),
        service: "slot",
        options: &["", "delay=2s"],
    },
    File {
        text: include_str!("wire/sum-binary.txt"),
        service: "sum",
        options: &["wire=binary", "wire=auto"],
    },
    File {
        text: include_str!("wire/sum-text.txt"),
        service: "sum",
        options: &["wire=text", "wire=auto"],
    },
    File {
        text: include_str!("wire/sum-auto.txt"),
        service: "sum",
        options: &["", "wire=auto"],
    },
    File {
        text: include_str!("wire/echo.txt"),
        service: "echo",
        options: &[""],
    },
];

/// The slot's gap where no option says otherwise.
const GAP: Duration = Duration::from_millis(50);
/// Wrong passwords are forgotten after this long.
const PENALTY_KEPT: Duration = Duration::from_secs(600);
/// Random cuts of one recording, as long as they come to no more bytes than this in all.
const RANDOM_CUTS: usize = 2_000;
const RANDOM_CUT_BYTES: usize = 50_000;
/// Recordings of at most so many bytes are cut in three in every way.
const THREE_WAYS_BYTES_MAX: usize = 64;

/// A session of the harness, as the recordings see it.
struct OnHarness<'a> {
    harness: &'a mut Harness,
    place: usize,
}

impl Peer for OnHarness<'_> {
    fn send(&mut self, segment: &[u8]) {
        self.harness.feed(self.place, segment);
    }

    fn end(&mut self) {
        self.harness.end(self.place);
    }

    fn wait(&mut self, wait: Duration) -> Result<(), String> {
        let instant = Duration::from_nanos(1);
        self.harness.advance(wait - instant);
        let early = self.harness.take(self.place);
        self.harness.advance(instant);
        match early.is_empty() {
            true => Ok(()),
            false => Err(format!("too early: \"{}\"", early.escape_ascii())),
        }
    }

    fn received(&mut self, _: usize) -> Vec<u8> {
        self.harness.take(self.place)
    }

    fn closed(&mut self) -> bool {
        self.harness.closed(self.place).is_some()
    }
}

/// Calls `f` with a maker of harnesses for every recording under each of its options.
fn each(f: impl FnMut(&dyn Fn() -> Harness, &Recording)) {
    each_where(|_| true, f);
}

/// As [`each`], for the services of that name.
fn each_where(which: impl Fn(&str) -> bool, mut f: impl FnMut(&dyn Fn() -> Harness, &Recording)) {
    for file in FILES.iter().filter(|file| which(file.service)) {
        let entry = services::find(file.service).expect("the service is listed");
        for options in file.options {
            for mut recording in parse(file.text).expect("the file is well formed") {
                if recording.has_no_end() {
                    lengthen(&mut recording);
                }
                f(&|| Harness::new(entry, options), &recording);
            }
        }
    }
}

/// The one case in which time decides: the recorded wait runs from the end of the message, and
/// where nothing shows that end it is the gap that does.
fn lengthen(recording: &mut Recording) {
    for step in &mut recording.steps {
        if let Step::Wait(wait) = step {
            *wait += GAP;
        }
    }
}

fn check(make: &dyn Fn() -> Harness, recording: &Recording, cuts: &[usize]) {
    let mut harness = make();
    let place = harness.open();
    let mut peer = OnHarness {
        harness: &mut harness,
        place,
    };
    if let Err(error) = play(&recording.cut(cuts), &mut peer) {
        panic!("{}, cut at {cuts:?}: {error}", recording.title);
    }
    assert_eq!(harness.sessions(), 0, "{}", recording.title);
}

#[test]
fn recordings_hold_in_every_cut_in_two_and_in_three() {
    each(|make, recording| {
        let bytes = recording.client_bytes();
        for first in 0..=bytes {
            check(make, recording, &[first]);
            if bytes <= THREE_WAYS_BYTES_MAX {
                for second in first + 1..bytes {
                    check(make, recording, &[first, second]);
                }
            }
        }
    });
}

#[test]
fn recordings_hold_bytewise_and_as_they_were_recorded() {
    each(|make, recording| {
        let all: Vec<_> = (0..recording.client_bytes()).collect();
        check(make, recording, &all);
        let mut harness = make();
        let place = harness.open();
        let played = play(
            &recording.steps,
            &mut OnHarness {
                harness: &mut harness,
                place,
            },
        );
        assert_eq!(played, Ok(()), "{}", recording.title);
    });
}

#[test]
fn recordings_hold_in_random_cuts() {
    let mut random = Random(1);
    each(|make, recording| {
        let bytes = recording.client_bytes();
        for _ in 0..RANDOM_CUTS.min(RANDOM_CUT_BYTES / bytes.max(1)) {
            let rarity = 1 + random.below(8);
            let cuts: Vec<_> = (0..bytes).filter(|_| random.one_in(rarity)).collect();
            check(make, recording, &cuts);
        }
    });
}

#[test]
fn a_hundred_sessions_at_once_are_served_alike() {
    let mut random = Random(2);
    // Kiosks share the lockers: see below.
    let apart = |service: &str| service != "locker";
    each_where(apart, |make, recording| {
        let mut harness = make();
        let places: Vec<_> = (0..100).map(|_| harness.open()).collect();
        // Each is cut in its own way; they go on together where the recording itself pauses.
        let mut rest: Vec<_> = places
            .iter()
            .map(|_| {
                let cuts: Vec<_> = (0..recording.client_bytes())
                    .filter(|_| random.one_in(3))
                    .collect();
                recording.cut(&cuts).into_iter().peekable()
            })
            .collect();
        loop {
            let mut wait = None;
            let mut went_on = false;
            for (place, steps) in places.iter().zip(&mut rest) {
                if matches!(steps.peek(), Some(Step::Wait(_)) | None) {
                    continue;
                }
                went_on = true;
                if let Some(step) = steps.next() {
                    let mut peer = OnHarness {
                        harness: &mut harness,
                        place: *place,
                    };
                    play_step(&step, &mut peer).expect(&recording.title);
                }
            }
            if went_on {
                continue;
            }
            for steps in &mut rest {
                wait = steps.next().or(wait);
            }
            let Some(Step::Wait(length)) = wait else {
                break;
            };
            harness.advance(length);
        }
        assert_eq!(harness.sessions(), 0, "{}", recording.title);
    });
}

/// All are connected from the start on. Each recording leaves its lockers free, so that another kiosk
/// finds what the first one found.
#[test]
fn a_second_and_a_hundredth_kiosk_play_what_the_first_played() {
    let mut random = Random(3);
    each_where(
        |service| service == "locker",
        |make, recording| {
            let mut harness = make();
            let places: Vec<_> = (0..100).map(|_| harness.open()).collect();
            for (number, place) in places.into_iter().enumerate() {
                let cuts: Vec<_> = (0..recording.client_bytes())
                    .filter(|_| random.one_in(3))
                    .collect();
                let mut peer = OnHarness {
                    harness: &mut harness,
                    place,
                };
                if let Err(error) = play(&recording.cut(&cuts), &mut peer) {
                    panic!("{}, kiosk {}: {error}", recording.title, number + 1);
                }
                assert_eq!(harness.sessions(), 99 - number, "{}", recording.title);
                // A wrong password is in it, for which the next kiosk would have to wait.
                harness.advance(PENALTY_KEPT);
            }
        },
    );
}

/// A datagram is not cut: each line of a client is one, and so is each line of the server.
#[test]
fn datagrams_are_answered_as_they_were_recorded() {
    let recordings = parse(include_str!("wire/echo-udp.txt")).expect("the file is well formed");
    let entry = services::find("echo").expect("the service is listed");
    for recording in &recordings {
        let mut harness = Harness::new(entry, "");
        let clients: Vec<_> = (0..100).map(|_| harness.open_datagram_at(0)).collect();
        for step in &recording.steps {
            for client in &clients {
                match step {
                    Step::Client(datagram) => harness.feed(*client, datagram),
                    Step::Server(datagram) => {
                        assert_eq!(harness.take_datagrams(*client), [&datagram[..]]);
                    }
                    other => panic!("{other:?} among datagrams"),
                }
            }
        }
    }
    let steps: Vec<_> = recordings.iter().map(|one| one.steps.len()).collect();
    assert_eq!(steps, [4], "the file as it was recorded");
}

#[test]
fn every_service_has_a_recording() {
    // What stands on the wire of `exec` is its program's; `tests/it/exec.rs` plays that.
    for entry in services::ALL.iter().filter(|entry| entry.name != "exec") {
        assert!(
            FILES.iter().any(|file| file.service == entry.name),
            "{}",
            entry.name
        );
    }
}
