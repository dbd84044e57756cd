//! The receiver against a peer that is played by hand.

use super::*;
use crate::config::limits::{TFTP_AGAIN_PAUSE, TFTP_UNWRITTEN_BYTES_MAX, TFTP_WRITE_BYTES};

const ROOM: Room = Room {
    kept: 0,
    most: 10_000_000,
};

struct Play {
    receiver: Receiver,
    now: Duration,
    effects: Effects,
}

fn request(text: &str) -> Vec<u8> {
    [b"\0\x02", text.replace(' ', "\0").as_bytes(), b"\0"].concat()
}

fn parsed(bytes: &[u8]) -> Request<'_> {
    match Packet::parse(bytes) {
        Ok(Packet::Write(request)) => request,
        other => panic!("{other:?} is no request"),
    }
}

impl Play {
    fn serve(text: &str, room: Room) -> Result<Self, Refusal> {
        let (bytes, mut effects) = (request(text), Effects::default());
        let receiver = Receiver::serve(&parsed(&bytes), room, Duration::ZERO, &mut effects)?;
        Ok(Self {
            receiver,
            now: Duration::ZERO,
            effects,
        })
    }

    fn get(text: &str) -> Self {
        let (bytes, mut effects) = (request(text), Effects::default());
        let now = Duration::ZERO;
        let receiver = Receiver::get(&parsed(&bytes), ROOM.most, now, &mut effects);
        Self {
            receiver,
            now,
            effects,
        }
    }

    fn give(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        packet.write(&mut bytes);
        self.receiver.receive(&bytes, self.now, &mut self.effects);
    }

    fn seen(&mut self) -> (Vec<String>, Vec<Effect>) {
        let packets = self.effects.packets().map(shown).collect();
        let list = self.effects.drain().collect();
        self.effects.clear();
        (packets, list)
    }

    /// Gives a block, and says what was sent for it.
    fn block(&mut self, block: u16, bytes: &[u8]) -> Vec<String> {
        self.give(&Packet::Data { block, bytes });
        let packets = self.effects.packets().map(shown).collect();
        let list: Vec<_> = self.effects.drain().collect();
        self.effects.clear();
        list.into_iter()
            .for_each(|effect| self.effects.push(effect));
        packets
    }

    fn wait(&mut self) {
        self.now = self.receiver.deadline().expect("something is due");
        self.receiver.expired(self.now, &mut self.effects);
    }
}

fn shown(datagram: &[u8]) -> String {
    match Packet::parse(datagram).expect("a packet") {
        Packet::Ack { block } => format!("ack {block}"),
        Packet::Oack(_) => {
            let text = String::from_utf8_lossy(&datagram[2..]).replace('\0', " ");
            format!("oack {}", text.trim_end())
        }
        Packet::Error { code, .. } => format!("error {}", code.0),
        Packet::Read(_) => "read".to_owned(),
        other => panic!("{other:?}"),
    }
}

fn write(offset: u64, bytes: &[u8]) -> Effect {
    let bytes = bytes.to_vec();
    Effect::Write { offset, bytes }
}

#[test]
fn the_last_block_is_acknowledged_once_the_file_is_published() {
    let mut play = Play::serve("f octet", ROOM).unwrap();
    assert_eq!(play.seen().0, ["ack 0"]);
    assert_eq!(play.block(1, &[7; 512]), ["ack 1"]);
    assert!(play.block(2, b"end").is_empty());
    let (_, list) = play.seen();
    let expected = [
        Effect::Proved,
        write(0, &[&[7; 512][..], b"end"].concat()),
        Effect::Publish { size: 515 },
    ];
    assert_eq!(list, expected);
    assert!(
        play.block(2, b"end").is_empty(),
        "it comes again, and waits"
    );
    play.give(&Packet::Error {
        code: Code::UNDEFINED,
        message: b"timeout",
    });
    assert_eq!(play.receiver.deadline(), None);
    play.receiver.published(play.now, &mut play.effects);
    assert!(play.receiver.is_whole());
    assert_eq!(play.seen().0, ["ack 2"]);
    // That was lost.
    play.now += TFTP_AGAIN_PAUSE;
    assert_eq!(play.block(2, b"end"), ["ack 2"]);
    play.wait();
    assert_eq!(play.seen().1, [Effect::Ended(End::Whole)]);
    assert!(play.receiver.has_ended() && play.block(2, b"end").is_empty());
}

#[test]
fn what_is_missing_is_said_once_and_what_comes_again_once_for_a_run() {
    let mut play = Play::serve("f octet blksize 8 windowsize 4", ROOM).unwrap();
    assert_eq!(play.seen().0, ["oack blksize 8 windowsize 4"]);
    assert!(play.block(1, &[1; 8]).is_empty() && play.block(2, &[2; 8]).is_empty());
    assert_eq!(play.block(4, &[4; 8]), ["ack 2"], "3 is missing");
    assert!(play.block(5, &[5; 8]).is_empty(), "that was said");
    for block in 3..6 {
        assert!(play.block(block, &[3; 8]).is_empty());
    }
    assert_eq!(play.block(6, &[6; 8]), ["ack 6"], "a window behind 2");
    play.now += TFTP_AGAIN_PAUSE;
    assert_eq!(
        play.block(3, &[3; 8]),
        ["ack 6"],
        "the sender has not heard it"
    );
    for block in 4..7 {
        assert!(play.block(block, &[9; 8]).is_empty());
    }
    play.now += TFTP_AGAIN_PAUSE;
    assert_eq!(play.block(3, &[3; 8]), ["ack 6"], "nor this time");
    assert!(play.block(100, &[0; 8]).is_empty(), "far away");
    assert!(play.block(7, b"").is_empty());
    let written = [1, 2, 3, 3, 3, 6].map(|byte| [byte; 8]).concat();
    let expected = [
        Effect::Proved,
        write(0, &written),
        Effect::Publish { size: 48 },
    ];
    assert_eq!(play.seen().1, expected);
}

#[test]
fn in_lock_step_each_block_that_comes_again_is_answered() {
    let mut play = Play::serve("f octet", ROOM).unwrap();
    play.seen();
    for block in 1..4 {
        for _ in 0..3 {
            assert_eq!(play.block(block, &[1; 512]), [format!("ack {block}")]);
            // The network has doubled it, and would double the answer's answer.
            assert!(play.block(block, &[1; 512]).is_empty());
            play.now += TFTP_AGAIN_PAUSE;
        }
    }
    assert!(play.block(2, &[1; 512]).is_empty(), "it is too old");
}

#[test]
fn the_clock_repeats_the_last_word_until_the_peer_is_given_up() {
    let mut play = Play::serve("f octet blksize 8", ROOM).unwrap();
    assert_eq!(play.seen().0, ["oack blksize 8"]);
    play.wait();
    play.wait();
    assert_eq!(play.seen().0, ["oack blksize 8"; 2]);
    play.wait();
    assert_eq!(play.seen(), (Vec::new(), vec![Effect::Ended(End::Silent)]));
    let mut play = Play::serve("f octet timeout 1", ROOM).unwrap();
    play.seen();
    assert_eq!(play.block(1, &[1; 512]), ["ack 1"]);
    while !play.receiver.has_ended() {
        play.wait();
    }
    let (packets, list) = play.seen();
    assert_eq!(packets, ["ack 1"; 10]);
    let expected = [
        Effect::Proved,
        write(0, &[1; 512]),
        Effect::Ended(End::Silent),
    ];
    assert_eq!(list, expected, "what has come can be resumed");
}

#[test]
fn acknowledgements_wait_for_a_slow_disk() {
    let size = 65_464;
    let mut play = Play::serve("f octet blksize 65464", ROOM).unwrap();
    play.seen();
    let (mut block, mut handed_on) = (0, 0);
    while play.receiver.deadline().is_some() {
        block += 1;
        let packets = play.block(block, &vec![1; size]);
        let writes = play.effects.drain().filter_map(|effect| match effect {
            Effect::Write { bytes, .. } => Some(bytes.len() as u64),
            _ => None,
        });
        handed_on += writes.sum::<u64>();
        assert_eq!(packets.is_empty(), handed_on > TFTP_UNWRITTEN_BYTES_MAX);
    }
    for block in [block, block + 1] {
        // It comes again; and the next without an acknowledgement.
        assert!(play.block(block, &vec![1; size]).is_empty());
        assert_eq!(play.effects.drain().next(), None);
    }
    play.receiver.written(1, play.now, &mut play.effects);
    assert!(play.seen().0.is_empty());
    play.receiver
        .written(handed_on, play.now, &mut play.effects);
    assert_eq!(play.seen().0, [format!("ack {block}")]);
    assert!(handed_on >= 2 * TFTP_WRITE_BYTES as u64);
}

#[test]
fn a_write_is_resumed_where_the_server_says() {
    let kept = Room {
        kept: 300,
        most: 1_000,
    };
    let mut play = Play::serve("f octet offset 400 tsize 305", kept).unwrap();
    assert_eq!(play.seen().0, ["oack tsize 305 offset 300"]);
    assert_eq!(play.receiver.terms().offset, 300);
    play.block(1, b"hello");
    let expected = [
        Effect::Proved,
        write(300, b"hello"),
        Effect::Publish { size: 305 },
    ];
    assert_eq!(play.seen().1, expected);
    let refusal = Play::serve("f octet tsize 1001", kept).err();
    assert_eq!(refusal.map(|refusal| refusal.code), Some(Code::DISK_FULL));
}

#[test]
fn too_much_too_long_and_too_short_are_errors() {
    let small = Room { kept: 0, most: 700 };
    let mut play = Play::serve("f octet", small).unwrap();
    play.block(1, &[1; 512]);
    assert_eq!(play.block(2, &[1; 512]), ["error 3"]);
    assert!(play.seen().1.contains(&write(0, &[1; 700])));
    let mut play = Play::serve("f octet blksize 8", ROOM).unwrap();
    play.seen();
    assert_eq!(play.block(1, &[1; 9]), ["error 4"]);
    let mut play = Play::serve("f octet tsize 9", ROOM).unwrap();
    play.seen();
    assert_eq!(play.block(1, &[1; 8]), ["error 0"], "9 were announced");
    let mut play = Play::serve("f netascii tsize 9", ROOM).unwrap();
    play.seen();
    assert!(play.block(1, b"a\r\nb\r\0").is_empty());
    assert!(play.seen().1.contains(&write(0, b"a\nb\r")));
}

#[test]
fn a_client_gets_a_file_with_and_without_options() {
    let mut play = Play::get("f octet blksize 1000 tsize 0 offset 20");
    assert_eq!(play.seen().0, ["read"]);
    play.wait();
    assert_eq!(play.seen().0, ["read"], "it was lost");
    let granted = Options {
        offset: Some(20),
        size: Some(25),
        ..Options::default()
    };
    play.give(&Packet::Oack(granted));
    let (packets, list) = play.seen();
    assert_eq!(packets, ["ack 0"]);
    assert_eq!(list, [Effect::Agreed(granted.terms())]);
    play.give(&Packet::Oack(granted));
    assert!(play.seen().0.is_empty(), "it came twice");
    play.now += TFTP_AGAIN_PAUSE;
    play.give(&Packet::Oack(granted));
    assert_eq!(play.seen().0, ["ack 0"], "it has not heard that");
    play.block(1, b"hello");
    let expected = [write(20, b"hello"), Effect::Publish { size: 25 }];
    assert_eq!(play.seen().1, expected);
    // A server that knows no options: from the beginning.
    let mut play = Play::get("f octet blksize 1000 offset 20");
    play.seen();
    assert!(play.block(2, b"no").is_empty());
    assert_eq!(play.block(1, &[1; 512]), ["ack 1"]);
    assert_eq!(play.seen().1, [Effect::Agreed(Terms::default())]);
    play.block(2, b"");
    assert!(play.seen().1.contains(&write(0, &[1; 512])));
}

#[test]
fn a_client_refuses_a_server_that_grants_otherwise() {
    let mut play = Play::get("f octet offset 20");
    play.seen();
    let granted = Options {
        offset: Some(19),
        ..Options::default()
    };
    play.give(&Packet::Oack(granted));
    assert_eq!(play.seen().0, ["error 8"]);
    let mut play = Play::get("f octet windowsize 4");
    play.seen();
    let (now, effects) = (play.now, &mut play.effects);
    play.receiver
        .receive(b"\0\x06windowsize\0x\0", now, effects);
    assert_eq!(play.seen().0, ["error 8"]);
    let mut play = Play::get("f octet");
    play.seen();
    let (code, message) = (Code::FILE_NOT_FOUND, b"no f");
    play.give(&Packet::Error { code, message });
    let end = End::Refused {
        code,
        message: message.to_vec(),
    };
    assert_eq!(play.seen(), (Vec::new(), vec![Effect::Ended(end)]));
}
