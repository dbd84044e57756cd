//! The sender against a peer that is played by hand.

use super::*;
use crate::wire::tftp::Code;

const SECOND: Duration = Duration::from_secs(1);

/// A sender, its file and its clock.
struct Play {
    sender: Sender,
    file: Vec<u8>,
    now: Duration,
    effects: Effects,
}

fn request(text: &str) -> Vec<u8> {
    [b"\0\x01", text.replace(' ', "\0").as_bytes(), b"\0"].concat()
}

fn parsed(bytes: &[u8]) -> Request<'_> {
    match Packet::parse(bytes) {
        Ok(Packet::Read(request) | Packet::Write(request)) => request,
        other => panic!("{other:?} is no request"),
    }
}

impl Play {
    /// Serves a file of so many bytes, all different as far as possible.
    fn serve(text: &str, size: usize) -> Result<Self, Refusal> {
        let file: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        Self::serve_file(text, &file)
    }

    fn serve_file(text: &str, file: &[u8]) -> Result<Self, Refusal> {
        let (bytes, mut effects) = (request(text), Effects::default());
        let size = file.len() as u64;
        let sender = Sender::serve(&parsed(&bytes), size, Duration::ZERO, &mut effects)?;
        Ok(Self {
            sender,
            file: file.to_vec(),
            now: Duration::ZERO,
            effects,
        })
    }

    /// What has been sent since, after all reads are done; the rest of the effects.
    fn seen(&mut self) -> (Vec<String>, Vec<Effect>) {
        let (mut packets, mut others) = (Vec::new(), Vec::new());
        loop {
            packets.extend(self.effects.packets().map(shown));
            let mut effects = std::mem::take(&mut self.effects);
            let list: Vec<_> = effects.drain().collect();
            if list.is_empty() {
                return (packets, others);
            }
            for effect in list {
                match effect {
                    Effect::Read { offset, len } => {
                        let from = usize::try_from(offset).unwrap();
                        let bytes = &self.file[from..from + len];
                        self.sender.data(offset, bytes, self.now, &mut self.effects);
                    }
                    other => others.push(other),
                }
            }
        }
    }

    fn packets(&mut self) -> Vec<String> {
        self.seen().0
    }

    fn ack(&mut self, block: u16) -> Vec<String> {
        self.give(&Packet::Ack { block });
        self.packets()
    }

    fn give(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        packet.write(&mut bytes);
        self.sender.receive(&bytes, self.now, &mut self.effects);
    }

    /// Goes to the deadline, and says how long that was.
    fn wait(&mut self) -> Duration {
        let due = self.sender.deadline().expect("something is due");
        let waited = due - self.now;
        self.now = due;
        self.sender.expired(self.now, &mut self.effects);
        waited
    }

    fn end(&mut self) -> Option<End> {
        self.seen().1.into_iter().find_map(|effect| match effect {
            Effect::Ended(end) => Some(end),
            _ => None,
        })
    }
}

/// `3:512` is block 3 with 512 bytes.
fn shown(datagram: &[u8]) -> String {
    match Packet::parse(datagram).expect("a packet") {
        Packet::Data { block, bytes } => format!("{block}:{}", bytes.len()),
        Packet::Oack(_) => {
            let text = String::from_utf8_lossy(&datagram[2..]).replace('\0', " ");
            format!("oack {}", text.trim_end())
        }
        Packet::Error { code, .. } => format!("error {}", code.0),
        Packet::Write(_) => "write".to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_goes_out_in_lock_step_and_the_last_block_may_be_empty() {
    for (size, expected) in [
        (0, vec!["1:0"]),
        (1, vec!["1:1"]),
        (511, vec!["1:511"]),
        (512, vec!["1:512", "2:0"]),
        (513, vec!["1:512", "2:1"]),
        (1_024, vec!["1:512", "2:512", "3:0"]),
    ] {
        let mut play = Play::serve("f octet", size).unwrap();
        for (number, packet) in expected.iter().enumerate() {
            let found = match number {
                0 => play.packets(),
                _ => play.ack(number as u16),
            };
            assert_eq!(found, [*packet], "{size} bytes");
        }
        play.give(&Packet::Ack {
            block: expected.len() as u16,
        });
        assert_eq!(play.end(), Some(End::Whole));
        assert!(play.sender.has_ended() && play.sender.deadline().is_none());
    }
}

#[test]
fn options_are_granted_first_and_block_one_waits_for_their_acknowledgement() {
    let mut play = Play::serve("f octet tsize 0 blksize 600 utimeout 5", 1_000).unwrap();
    assert_eq!(play.packets(), ["oack blksize 600 tsize 1000"]);
    assert!(play.ack(1).is_empty(), "nothing was sent that this is for");
    play.give(&Packet::Ack { block: 0 });
    let (packets, others) = play.seen();
    assert_eq!(
        (packets, others),
        (vec!["1:600".to_owned()], vec![Effect::Proved])
    );
    assert_eq!(play.ack(1), ["2:400"]);
    // A request whose options nobody knows is one without.
    assert_eq!(
        Play::serve("f octet rollover 1", 9).unwrap().packets(),
        ["1:9"]
    );
    assert_eq!(
        Play::serve("f octet tsize 0", 0).unwrap().packets(),
        ["1:0"]
    );
}

#[test]
fn only_the_clock_sends_again() {
    let mut play = Play::serve("f octet", 2_000).unwrap();
    assert_eq!(play.packets(), ["1:512"]);
    assert_eq!(play.ack(1), ["2:512"]);
    for _ in 0..5 {
        assert!(play.ack(1).is_empty(), "a duplicate");
        assert!(
            play.ack(0).is_empty() && play.ack(3).is_empty(),
            "a stranger"
        );
    }
    let again = request("f octet");
    play.sender.receive(&again, play.now, &mut play.effects);
    assert!(play.packets().is_empty(), "the request has come again");
    let waits: Vec<_> = (0..5).map(|_| play.wait().as_secs()).collect();
    assert_eq!(waits, [1, 2, 4, 8, 8]);
    assert_eq!(play.packets(), ["2:512"; 1].repeat(5));
    assert_eq!(play.ack(2), ["3:512"]);
    assert_eq!(play.wait(), SECOND, "progress ends the back-off");
}

#[test]
fn a_silent_requester_gets_three_packets() {
    for (text, packet) in [
        ("f octet", "1:512"),
        (
            "f octet blksize 65464 windowsize 64",
            "oack blksize 65464 windowsize 1",
        ),
    ] {
        let mut play = Play::serve(text, 1_000_000).unwrap();
        let mut packets = play.packets();
        while !play.sender.has_ended() {
            play.wait();
            packets.extend(play.effects.packets().map(shown));
            let ended = play
                .effects
                .drain()
                .any(|effect| effect == Effect::Ended(End::Silent));
            assert_eq!(ended, play.sender.has_ended());
            play.effects.clear();
        }
        assert_eq!(packets, [packet; 3]);
        assert_eq!(play.now, 7 * SECOND);
    }
}

#[test]
fn a_window_goes_out_at_once_and_slides() {
    let mut play = Play::serve("f octet blksize 8 windowsize 4", 8 * 9 + 3).unwrap();
    play.packets();
    assert_eq!(play.ack(0), ["1:8", "2:8", "3:8", "4:8"]);
    // Block 3 was lost: the window begins again behind 2.
    assert_eq!(play.ack(2), ["3:8", "4:8", "5:8", "6:8"]);
    assert!(play.ack(2).is_empty(), "a duplicate");
    // What went out twice goes out again by the clock only.
    assert_eq!(play.ack(3), ["7:8"]);
    play.wait();
    assert_eq!(play.packets(), ["4:8", "5:8", "6:8", "7:8"]);
    assert_eq!(play.ack(7), ["8:8", "9:8", "10:3"]);
    play.give(&Packet::Ack { block: 10 });
    assert_eq!(play.end(), Some(End::Whole));
}

#[test]
fn an_acknowledgement_that_comes_while_the_file_is_read_counts() {
    let mut play = Play::serve("f octet blksize 8 windowsize 2", 64).unwrap();
    play.packets();
    assert_eq!(play.ack(0), ["1:8", "2:8"]);
    play.give(&Packet::Ack { block: 1 });
    let list: Vec<_> = play.effects.drain().collect();
    assert_eq!(list, [Effect::Read { offset: 16, len: 8 }]);
    assert_eq!(play.sender.deadline(), None, "the disk is waited for");
    play.give(&Packet::Ack { block: 2 });
    let file = play.file.clone();
    play.sender
        .data(24, &file[24..32], play.now, &mut play.effects);
    assert_eq!(
        play.seen(),
        (Vec::new(), Vec::new()),
        "that was not asked for"
    );
    play.sender
        .data(16, &file[16..19], play.now, &mut play.effects);
    assert_eq!(
        play.packets(),
        ["3:8", "4:8"],
        "what was missing was read as well"
    );
    play.sender
        .data(16, &file[16..19], play.now, &mut play.effects);
    assert!(play.packets().is_empty(), "nobody has asked for it");
}

#[test]
fn numbers_wrap_to_zero() {
    let mut play = Play::serve("f octet blksize 8 windowsize 3", 8 * 65_540).unwrap();
    play.packets();
    play.ack(0);
    let mut last = 3_u32;
    while last < 65_535 {
        let packets = play.ack(last as u16);
        assert_eq!(packets.len(), 3);
        last += 3;
    }
    assert_eq!(play.ack(65_535), ["0:8", "1:8", "2:8"]);
    assert_eq!(play.ack(0), ["1:8", "2:8", "3:8"]);
    assert_eq!(play.ack(3), ["4:8", "5:0"]);
    play.give(&Packet::Ack { block: 5 });
    assert_eq!(play.end(), Some(End::Whole));
}

#[test]
fn an_offset_resumes_and_the_size_stays_the_whole() {
    let mut play = Play::serve("f octet offset 400 tsize 0", 1_000).unwrap();
    assert_eq!(play.packets(), ["oack tsize 1000 offset 400"]);
    assert_eq!(play.ack(0), ["1:512"]);
    assert_eq!(play.ack(1), ["2:88"]);
    let mut play = Play::serve("f octet offset 1000", 1_000).unwrap();
    play.packets();
    assert_eq!(play.ack(0), ["1:0"]);
    let refused = Play::serve("f octet offset 1001", 1_000).err();
    assert_eq!(
        refused.map(|refusal| refusal.code),
        Some(Code::OPTION_REFUSED)
    );
}

#[test]
fn netascii_pairs_are_split_over_blocks() {
    let mut play = Play::serve_file("f netascii blksize 8 tsize 0", b"abcdefg\nh\r").unwrap();
    assert_eq!(play.packets(), ["oack blksize 8"]);
    play.give(&Packet::Ack { block: 0 });
    let list: Vec<_> = play.effects.drain().collect();
    assert_eq!(list, [Effect::Proved, Effect::Read { offset: 0, len: 8 }]);
    play.sender
        .data(0, b"abcdefg\n", play.now, &mut play.effects);
    assert_eq!(
        play.effects.packets().next(),
        Some(&b"\0\x03\0\x01abcdefg\r"[..])
    );
    play.effects.clear();
    play.give(&Packet::Ack { block: 1 });
    let list: Vec<_> = play.effects.drain().collect();
    assert_eq!(list, [Effect::Read { offset: 8, len: 2 }]);
    play.sender.data(8, b"h\r", play.now, &mut play.effects);
    assert_eq!(
        play.effects.packets().next(),
        Some(&b"\0\x03\0\x02\nh\r\0"[..])
    );
}

#[test]
fn a_file_that_changes_ends_as_an_error() {
    let mut play = Play::serve("f octet", 2_000).unwrap();
    play.packets();
    play.sender.changed(&mut play.effects);
    assert_eq!(
        play.seen(),
        (
            vec!["error 0".to_owned()],
            vec![Effect::Ended(End::Changed)]
        )
    );
    assert!(play.ack(1).is_empty());
    let mut play = Play::serve("f octet", 2_000).unwrap();
    play.effects.clear();
    play.sender.data(0, b"", play.now, &mut play.effects);
    assert_eq!(play.end(), Some(End::Changed), "it has become shorter");
}

#[test]
fn an_error_of_the_peer_ends_it_without_an_answer() {
    let mut play = Play::serve("f octet", 2_000).unwrap();
    play.packets();
    let (code, message) = (Code::DISK_FULL, b"full");
    play.give(&Packet::Error { code, message });
    let end = End::Refused {
        code,
        message: message.to_vec(),
    };
    assert_eq!(play.seen(), (Vec::new(), vec![Effect::Ended(end)]));
}

#[test]
fn a_client_puts_a_file_with_the_options_that_it_gets() {
    let put = |text: &str, size: usize| {
        let (bytes, mut effects) = (request(text), Effects::default());
        let sender = Sender::put(&parsed(&bytes), size as u64, Duration::ZERO, &mut effects);
        Play {
            sender,
            file: vec![7; size],
            now: Duration::ZERO,
            effects,
        }
    };
    let mut play = put("f octet blksize 100 offset 50", 160);
    assert_eq!(play.packets(), ["write"]);
    play.wait();
    assert_eq!(play.packets(), ["write"], "it was lost");
    let granted = Options {
        offset: Some(40),
        ..Options::default()
    };
    play.give(&Packet::Oack(granted));
    let (packets, others) = play.seen();
    assert_eq!(
        packets,
        ["1:120"],
        "a smaller offset, and blocks of 512 bytes"
    );
    assert!(matches!(&others[..], [Effect::Agreed(terms)] if terms.offset == 40));
    let options = request("f netascii tsize 1 windowsize 999");
    let (mut effects, now) = (Effects::default(), Duration::ZERO);
    Sender::put(&parsed(&options), 1, now, &mut effects);
    let asked = effects.packets().next().map(<[u8]>::to_vec);
    assert_eq!(parsed(&asked.unwrap()).options.size, None);
    // A server that knows no options.
    let mut play = put("f octet blksize 100 offset 50", 160);
    play.packets();
    assert_eq!(play.ack(0), ["1:160"]);
    // One that grants what it may not.
    let mut play = put("f octet", 160);
    play.packets();
    play.give(&Packet::Oack(granted));
    assert_eq!(play.packets(), ["error 8"]);
    assert!(play.sender.has_ended());
}
