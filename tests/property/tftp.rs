//! TFTP: packets come back as they were written, netascii does not care for cuts, and whatever a
//! peer sends, a machine keeps its promises.

use std::collections::HashMap;
use std::num::{NonZeroU8, NonZeroU16};
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use switchboard::wire::tftp::{
    BlockBytes, Code, Decoder, Effect, Effects, Encoder, End, Mode, Options, Packet, Receiver,
    Request, Room, Sender,
};

use crate::bytes::{bytes, cuts};
use crate::cases;

fn options() -> impl Strategy<Value = Options> {
    let block = (8_u16..=65_464).prop_map(BlockBytes::new);
    let timeout = (1_u8..).prop_map(NonZeroU8::new);
    let window = (1_u16..).prop_map(NonZeroU16::new);
    let parts = (
        prop_oneof![Just(None), block],
        option::of(any::<u64>()),
        prop_oneof![Just(None), timeout],
        prop_oneof![Just(None), window],
        option::of(any::<u64>()),
    );
    parts.prop_map(|(block_bytes, size, timeout_s, window, offset)| Options {
        block_bytes,
        size,
        timeout_s,
        window,
        offset,
    })
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Octet), Just(Mode::Netascii)]
}

fn written(packet: &Packet<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    packet.write(&mut out);
    out
}

/// Netascii as a whole, byte by byte.
fn naive(bytes: &[u8]) -> Vec<u8> {
    let pairs = bytes.iter().flat_map(|byte| match byte {
        b'\n' => vec![b'\r', b'\n'],
        b'\r' => vec![b'\r', 0],
        other => vec![*other],
    });
    pairs.collect()
}

fn decoded<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let (mut decoder, mut out) = (Decoder::default(), Vec::new());
    for piece in pieces {
        decoder.decode(piece, &mut out);
    }
    decoder.finish(&mut out);
    out
}

/// What a peer or the clock does.
#[derive(Debug, Clone)]
enum Act {
    Ack(u16),
    Data(u16, usize),
    Other(Vec<u8>),
    Clock,
    /// The file was read or written.
    Disk,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (0_u16..30).prop_map(Act::Ack),
        6 => (0_u16..30, 0_usize..10).prop_map(|(block, less)| Act::Data(block, less)),
        1 => any::<u16>().prop_map(Act::Ack),
        1 => bytes().prop_map(Act::Other),
        1 => options().prop_map(|options| Act::Other(written(&Packet::Oack(options)))),
        2 => Just(Act::Clock),
        6 => Just(Act::Disk),
    ];
    vec(act, 0..80)
}

fn request(mode: Mode, window: u16) -> Request<'static> {
    let options = Options {
        block_bytes: Some(BlockBytes::MIN),
        window: NonZeroU16::new(window),
        ..Options::default()
    };
    Request {
        name: b"f",
        mode,
        options,
    }
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn a_packet_is_read_as_it_was_written(
        name in vec(1_u8.., 1..80),
        message in vec(1_u8.., 0..80),
        data in vec(any::<u8>(), 0..80),
        mode in mode(),
        options in options(),
        number: u16,
    ) {
        let request = Request { name: &name, mode, options };
        for packet in [
            Packet::Read(request),
            Packet::Write(request),
            Packet::Data { block: number, bytes: &data },
            Packet::Ack { block: number },
            Packet::Error { code: Code(number), message: &message },
            Packet::Oack(options),
        ] {
            let datagram = written(&packet);
            prop_assert_eq!(Packet::parse(&datagram), Ok(packet));
        }
    }

    #[test]
    fn any_datagram_is_a_packet_or_a_fault(operation in 0_u8..9, rest in bytes(), junk in bytes()) {
        for datagram in [&[&[0, operation], &rest[..]].concat(), &junk] {
            match Packet::parse(datagram) {
                Ok(packet) => {
                    let again = written(&packet);
                    let cut = matches!(packet, Packet::Error { message, .. } if message.len() > 255);
                    prop_assert!(cut || Packet::parse(&again) == Ok(packet));
                }
                Err(fault) => {
                    prop_assert!(datagram.first_chunk() != Some(&[0, 5]), "an error is one");
                    fault.refusal();
                }
            }
        }
    }

    #[test]
    fn netascii_is_the_same_in_any_cut(
        bytes in bytes(),
        file_cuts in cuts(),
        text_cuts in cuts(),
        rooms in vec(1_usize..9, 1..9),
    ) {
        let text = naive(&bytes);
        let (mut encoder, mut out) = (Encoder::default(), Vec::new());
        let mut rooms = rooms.iter().cycle();
        for segment in file_cuts.cut(&bytes) {
            let mut rest = segment;
            while !rest.is_empty() {
                let (before, room) = (out.len(), *rooms.next().expect("endless"));
                rest = &rest[encoder.encode(rest, room, &mut out)..];
                prop_assert!(out.len() <= before + room);
            }
        }
        encoder.encode(&[], 1, &mut out);
        prop_assert!(encoder.is_empty());
        prop_assert_eq!(&out, &text);
        prop_assert_eq!(decoded(text_cuts.cut(&text)), bytes.clone());
        prop_assert_eq!(decoded(text_cuts.cut(&bytes)).len(), decoded([&bytes[..]]).len());
        prop_assert_eq!(decoded(text_cuts.cut(&bytes)), decoded([&bytes[..]]));
    }

    #[test]
    fn whatever_comes_a_sender_sends_its_file_and_no_block_three_times(
        file in vec(any::<u8>(), 0..120),
        mode in mode(),
        window in 1_u16..6,
        acts in acts(),
    ) {
        let (mut effects, mut now) = (Effects::default(), Duration::ZERO);
        let request = request(mode, window);
        let mut sender =
            Sender::serve(&request, file.len() as u64, now, &mut effects).expect("granted");
        let text = if mode == Mode::Octet { file.clone() } else { naive(&file) };
        let (mut reads, mut times) = (Vec::new(), HashMap::new());
        for act in acts {
            let had_ended = sender.has_ended();
            let mut is_clock = false;
            match act {
                Act::Ack(block) => {
                    sender.receive(&written(&Packet::Ack { block }), now, &mut effects);
                }
                Act::Data(block, _) => {
                    let bytes = b"no".as_slice();
                    sender.receive(&written(&Packet::Data { block, bytes }), now, &mut effects);
                }
                Act::Other(datagram) => sender.receive(&datagram, now, &mut effects),
                Act::Clock => {
                    now = sender.deadline().unwrap_or(now);
                    sender.expired(now, &mut effects);
                    is_clock = true;
                }
                Act::Disk => if let Some((offset, len)) = reads.pop() {
                    let from = usize::try_from(offset).expect("small");
                    sender.data(offset, &file[from..from + len], now, &mut effects);
                }
            }
            if is_clock {
                times.clear();
            }
            for packet in effects.packets() {
                let Ok(Packet::Data { block, bytes }) = Packet::parse(packet) else { continue };
                let from = (usize::from(block) - 1) * 8;
                prop_assert_eq!(bytes, &text[from..text.len().min(from + 8)]);
                let times = times.entry(block).or_insert(0);
                *times += 1;
                let most = if window == 1 { 1 } else { 2 };
                prop_assert!(*times <= most);
            }
            prop_assert!(!had_ended || effects.packets().next().is_none());
            reads.extend(effects.drain().filter_map(|effect| match effect {
                Effect::Read { offset, len } => Some((offset, len)),
                _ => None,
            }));
            prop_assert!(reads.len() <= 1, "one read at a time");
            effects.clear();
        }
    }

    #[test]
    fn whatever_comes_a_receiver_writes_on_and_publishes_once(
        mode in mode(),
        window in 1_u16..6,
        is_server: bool,
        acts in acts(),
    ) {
        let (mut effects, mut now) = (Effects::default(), Duration::ZERO);
        let request = request(mode, window);
        let room = Room { kept: 0, most: 120 };
        let mut receiver = match is_server {
            true => Receiver::serve(&request, room, now, &mut effects).expect("granted"),
            false => Receiver::get(&request, room.most, now, &mut effects),
        };
        let (mut written_to, mut published, mut answers) = (0, 0, 0);
        for act in acts {
            effects.clear();
            match act {
                Act::Ack(block) => {
                    receiver.receive(&written(&Packet::Ack { block }), now, &mut effects);
                }
                Act::Data(block, less) => {
                    let bytes = &b"a\r\nb\r\0cde"[less.min(8)..];
                    let bytes = &bytes[..bytes.len().min(8)];
                    receiver.receive(&written(&Packet::Data { block, bytes }), now, &mut effects);
                }
                Act::Other(datagram) => receiver.receive(&datagram, now, &mut effects),
                Act::Clock => {
                    now = receiver.deadline().unwrap_or(now);
                    receiver.expired(now, &mut effects);
                }
                Act::Disk if published == 1 => receiver.published(now, &mut effects),
                Act::Disk => receiver.written(written_to, now, &mut effects),
            }
            answers += effects.packets().count();
            prop_assert!(effects.packets().count() <= 1, "one answer to one datagram");
            for effect in effects.drain() {
                match effect {
                    Effect::Write { offset, bytes } => {
                        prop_assert_eq!(offset, written_to);
                        written_to += bytes.len() as u64;
                        prop_assert!(written_to <= room.most);
                    }
                    Effect::Publish { size } => {
                        prop_assert_eq!(size, written_to);
                        published += 1;
                    }
                    Effect::Ended(End::Whole) => prop_assert_eq!(published, 1),
                    _ => {}
                }
            }
            prop_assert!(published <= 1);
        }
        prop_assert!(answers <= 80);
    }
}
