//! The files over TFTP under any script of packets, hostile ones among them, with a real folder.
//!
//! Whatever comes: a peer that has acknowledged nothing is sent three packets at most, of a block
//! each, and a word as the server goes down; a packet brings a window at most; every packet is one;
//! nothing is said after the end; no byte leaves that is not below the root, and none comes to stand
//! outside it; the folder grows by no more than what was sent to it.

#![no_main]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, fs, process};

use libfuzzer_sys::fuzz_target;
use switchboard::config::limits::{TFTP_WINDOW_BLOCKS_MAX, TFTP_WINDOW_BYTES_MAX};
use switchboard::service::harness::Harness;
use switchboard::services::files;
use switchboard::wire::tftp::Packet;

/// Addresses of a script; a byte names one of them.
const PEERS: usize = 4;

/// What no packet may have in it: it stands in files that are not served.
const SECRET: &[u8] = b"nobody may read this";

/// Bytes of a block without options.
const BLOCK: usize = 512;

/// The largest block that an option can ask for.
const BLOCK_MAX: usize = 65_464;

/// Repeats that one silence can bring, and the first packets.
const SENDINGS_MAX: usize = 12;

const NAMES: [&str; 12] = [
    "short",
    "/block",
    "long",
    "sub/text",
    "empty",
    "new",
    "sub/new",
    "nosuch",
    "../secret",
    "link",
    ".hidden",
    "sub",
];

const OPTIONS: [&str; 12] = [
    "octet\0",
    "netascii\0",
    "octet\0blksize\x008\0windowsize\x0064\0",
    "octet\0blksize\x0065464\0windowsize\x0065535\0tsize\x000\0",
    "octet\0tsize\x00600\0timeout\x001\0offset\x005\0",
    "octet\0offset\x00999999999\0",
    "netascii\0blksize\x0016\0windowsize\x003\0offset\x001\0tsize\x003\0",
    "octet\0timeout\x00255\0",
    "octet\0BLKSIZE\x001428\0WindowSize\x002\0blksize\x009\0",
    "octet\0windowsize\x000\0",
    "mail\0",
    "octet\0tsize\x0018446744073709551615\0offset\x00",
];

/// The folder of this process, beside which the secret stands.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let all = env::temp_dir();
        const PREFIX: &str = "switchboard-fuzz-";
        // A run that was stopped could not remove its own.
        for entry in fs::read_dir(&all).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            let pid = name.strip_prefix(PREFIX);
            if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let folder = all.join(format!("{PREFIX}{}", process::id()));
        fs::create_dir_all(folder.join("root/sub")).expect("a folder");
        fs::write(folder.join("secret"), SECRET).expect("a file");
        folder
    })
}

/// The files that are served, and one that is not.
fn served() -> [(&'static str, Vec<u8>); 6] {
    let bytes = |len: usize| (0..len).map(|at| (at % 251) as u8).collect::<Vec<u8>>();
    [
        ("short", bytes(5)),
        ("block", bytes(BLOCK)),
        ("long", bytes(200_000)),
        ("empty", Vec::new()),
        ("sub/text", b"one\ntwo\rthree\r\nfour".repeat(50)),
        (".hidden", SECRET.to_vec()),
    ]
}

/// Makes the root what it was, but for its folders of unfinished uploads; says how many bytes it had
/// too many, and how many files.
fn tidy(root: &Path) -> (u64, usize) {
    let (mut bytes, mut files) = (0, 0);
    let mut keep = BTreeSet::from([root.join("link"), root.join("sub")]);
    for (name, content) in served() {
        let path = root.join(name);
        let found = fs::read(&path).unwrap_or_default();
        if found != content || !path.exists() {
            bytes += found.len() as u64;
            fs::write(&path, content).expect("a file");
        }
        keep.insert(path);
    }
    let link = root.join("link");
    if !link.is_symlink() {
        std::os::unix::fs::symlink("../secret", &link).expect("a link");
    }
    let partials = [".partial", "sub/.partial"].map(|name| root.join(name));
    keep.extend(partials.iter().cloned());
    let folders = [root.to_owned(), root.join("sub")];
    for folder in folders.iter().chain(&partials) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if !keep.contains(&entry.path()) {
                bytes += entry.metadata().map_or(0, |found| found.len());
                files += 1;
                let is_removed = fs::remove_file(entry.path());
                is_removed.expect("only files are made");
            }
        }
    }
    (bytes, files)
}

/// A peer whose session is open.
#[derive(Default)]
struct Talk {
    place: usize,
    /// It has sent an acknowledgement or a block, right or wrong.
    has_answered: bool,
    packets: usize,
    /// The number of the last block or acknowledgement that it was sent.
    last: u16,
}

struct Play {
    harness: Harness,
    talks: [Option<Talk>; PEERS],
    /// Bytes that were sent to the server.
    fed: u64,
    /// It goes down, and says so to whoever has an upload under way.
    is_leaving: bool,
}

impl Play {
    fn feed(&mut self, peer: usize, datagram: &[u8]) {
        self.fed += datagram.len() as u64;
        let harness = &mut self.harness;
        let talk = self.talks[peer].get_or_insert_with(|| Talk {
            place: harness.open_datagram_at(0),
            ..Talk::default()
        });
        talk.has_answered |= matches!(datagram, [0, 3 | 4, ..]);
        harness.feed(talk.place, datagram);
        let most = usize::from(TFTP_WINDOW_BLOCKS_MAX);
        self.look(Some(peer), most);
    }

    /// Looks at what went out, so many packets to the one who was heard at most; to others nothing.
    fn look(&mut self, heard: Option<usize>, most: usize) {
        for (peer, place) in self.talks.iter_mut().enumerate() {
            let Some(talk) = place else { continue };
            let packets = self.harness.take_datagrams(talk.place);
            let allowed = heard.is_none_or(|heard| heard == peer);
            assert!(packets.len() <= if allowed { most } else { 0 });
            talk.packets += packets.len();
            let silent_most = 3 + usize::from(self.is_leaving);
            assert!(
                talk.has_answered || talk.packets <= silent_most,
                "three to a silent peer"
            );
            let bytes: usize = packets.iter().map(Vec::len).sum();
            let window = TFTP_WINDOW_BYTES_MAX.max(BLOCK_MAX) + 4 * packets.len();
            assert!(bytes <= window * SENDINGS_MAX);
            for packet in &packets {
                assert!(
                    talk.has_answered || packet.len() <= 4 + BLOCK,
                    "no large block"
                );
                check(packet);
                if let [0, 3 | 4, high, low, ..] = packet[..] {
                    talk.last = u16::from_be_bytes([high, low]);
                }
            }
            if self.harness.closed(talk.place).is_some() {
                *place = None;
            }
        }
        let open = self.talks.iter().flatten().count();
        assert_eq!(
            self.harness.sessions(),
            open,
            "a session for each open peer"
        );
    }

    fn last(&self, peer: usize) -> u16 {
        self.talks[peer].as_ref().map_or(0, |talk| talk.last)
    }
}

fn check(packet: &[u8]) {
    let is_one = matches!(
        Packet::parse(packet),
        Ok(Packet::Data { .. } | Packet::Ack { .. } | Packet::Oack(_) | Packet::Error { .. })
    );
    assert!(is_one, "{}", packet.escape_ascii());
    assert!(packet.windows(SECRET.len()).all(|part| part != SECRET));
}

fn numbered(operation: u8, block: u16, bytes: &[u8]) -> Vec<u8> {
    [&[0, operation][..], &block.to_be_bytes(), bytes].concat()
}

fn run(play: &mut Play, mut input: &[u8]) {
    while let [what, much, rest @ ..] = input {
        input = rest;
        let peer = usize::from(what >> 4) % PEERS;
        let few = usize::from(*much);
        let next = play.last(peer).wrapping_add(1);
        match what & 15 {
            0 | 1 => {
                let (datagram, after) = rest.split_at(few.min(rest.len()));
                input = after;
                play.feed(peer, datagram);
            }
            operation @ (2 | 3) => {
                let (name, options) = (NAMES[few % 12], OPTIONS[few / 12 % 12]);
                let packet = format!("\0{}{name}\0{options}", char::from(operation - 1));
                play.feed(peer, packet.as_bytes());
            }
            4 | 5 => play.feed(peer, &numbered(4, next.wrapping_sub(1), &[])),
            6 => play.feed(peer, &numbered(4, u16::from(*much), &[])),
            7 => play.feed(peer, &numbered(3, next, &vec![b'\r'; few])),
            8 => play.feed(peer, &numbered(3, next, &vec![*much; BLOCK])),
            9 => {
                let (bytes, after) = rest.split_at(few.min(rest.len()));
                input = after;
                play.feed(peer, &numbered(3, next, bytes));
            }
            10 => play.feed(peer, &numbered(3, u16::from(*much), b"\0")),
            11 => play.feed(peer, &numbered(5, u16::from(*much), b"no\x1b[2J\0")),
            12 | 13 => {
                let time = match what & 1 {
                    0 => Duration::from_millis(few as u64),
                    _ => Duration::from_secs(few as u64),
                };
                play.harness.advance(time);
                play.look(None, SENDINGS_MAX * usize::from(TFTP_WINDOW_BLOCKS_MAX));
            }
            14 => {
                if let Some(talk) = play.talks[peer].take() {
                    play.harness.vanish(talk.place);
                }
            }
            _ if few == 255 => {
                play.is_leaving = true;
                play.harness.shut_down();
                play.look(None, 1);
            }
            _ => {}
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let (kind, input) = input.split_first().unwrap_or((&0, &[]));
    let upload = ["no", "yes", "replace"][usize::from(*kind) % 3];
    let root = folder().join("root");
    tidy(&root);
    let options = format!("root={}&upload={upload}", root.display());
    let mut play = Play {
        harness: Harness::new(&files::ENTRY, &options),
        talks: Default::default(),
        fed: 0,
        is_leaving: false,
    };
    run(&mut play, input);
    let fed = play.fed;
    drop(play);
    let beside = fs::read_dir(folder()).expect("a folder").flatten();
    let beside: BTreeSet<OsString> = beside.map(|entry| entry.file_name()).collect();
    assert_eq!(beside, BTreeSet::from(["root".into(), "secret".into()]));
    assert_eq!(
        fs::read(folder().join("secret")).ok().as_deref(),
        Some(SECRET)
    );
    let (bytes, files) = tidy(&root);
    assert!(bytes <= fed, "{bytes} bytes from {fed}");
    assert!(files == 0 || upload != "no");
});
