//! `sum` over real sockets: exact on every wire, however the bytes are cut.

use std::io::Write;
use std::thread;

use crate::support::client::read_all;
use crate::support::server::{Builder, Server};
use crate::support::socket::{Kind, Socket};
use crate::support::wait_until;

/// A wire of the service, and what a client speaks on it.
#[derive(Debug, Clone, Copy)]
struct Wire {
    option: &'static str,
    binary: bool,
}

const WIRES: [Wire; 4] = [
    Wire {
        option: "text",
        binary: false,
    },
    Wire {
        option: "binary",
        binary: true,
    },
    Wire {
        option: "auto",
        binary: false,
    },
    Wire {
        option: "auto",
        binary: true,
    },
];

impl Wire {
    fn builder(self) -> Builder {
        let option = self.option;
        let tcp = format!("sum=tcp://127.0.0.1:0?wire={option}");
        let unix = format!("sum=unix:DIR/sum?wire={option}");
        Builder::new(&[&tcp, &unix])
    }

    /// The integers as this wire has them.
    fn integers(self, values: &[i32]) -> Vec<u8> {
        match self.binary {
            true => values
                .iter()
                .flat_map(|value| value.to_ne_bytes())
                .collect(),
            false => values
                .iter()
                .flat_map(|value| format!("{value}\n").into_bytes())
                .collect(),
        }
    }

    fn reply(self, total: i128) -> Vec<u8> {
        let mut reply = format!("Result = {total}").into_bytes();
        match self.binary {
            true => reply.resize(128, 0),
            false => reply.push(b'\n'),
        }
        reply
    }
}

/// Runs `talk` on every wire, over TCP and Unix, each with a connection of its own.
fn everywhere(level: &str, talk: impl Fn(Wire, &Server, &mut Socket) -> (Vec<u8>, Vec<u8>)) {
    for wire in WIRES {
        let server = wire.builder().log(level).start();
        for kind in Kind::BOTH {
            let mut socket = kind.connect(&server, "sum");
            let (got, expected) = talk(wire, &server, &mut socket);
            let (got, expected) = (
                String::from_utf8_lossy(&got),
                String::from_utf8_lossy(&expected),
            );
            assert_eq!(got, expected, "{wire:?} {kind:?}");
        }
        server.stop();
    }
}

#[test]
fn several_integers_in_one_segment_are_all_added() {
    everywhere("debug", |wire, _, socket| {
        let segment = wire.integers(&[5, -7, i32::MAX, i32::MAX, 1_000_000, i32::MIN, -1, 0]);
        socket.write_all(&segment).unwrap();
        let total = 5 - 7 + i128::from(i32::MAX) + 1_000_000 - 2;
        (read_all(socket), wire.reply(total))
    });
}

#[test]
fn nothing_behind_the_zero_counts() {
    everywhere("debug", |wire, _, socket| {
        socket.write_all(&wire.integers(&[5, 0, 6, 0, 7])).unwrap();
        (read_all(socket), wire.reply(5))
    });
}

#[test]
fn the_end_of_the_writing_counts_as_zero() {
    everywhere("debug", |wire, _, socket| {
        socket.write_all(&wire.integers(&[5, -12])).unwrap();
        socket.end_writing();
        (read_all(socket), wire.reply(-7))
    });
}

#[test]
fn an_integer_that_is_cut_anywhere_between_two_segments_is_read_whole() {
    for wire in WIRES {
        let bytes = wire.integers(&[-1_234_567, 300, 0]);
        let server = wire.builder().log("trace").start();
        let mut segments = 0;
        for (cut, kind) in (1..bytes.len()).flat_map(|cut| Kind::BOTH.map(|kind| (cut, kind))) {
            let mut socket = kind.connect(&server, "sum");
            socket.write_all(&bytes[..cut]).unwrap();
            segments += 1;
            wait_until("the first segment was received by itself", || {
                server.log().matches(" receives").count() == segments
            });
            socket.write_all(&bytes[cut..]).unwrap();
            segments += 1;
            let got = read_all(&mut socket);
            assert_eq!(
                got,
                wire.reply(-1_234_267),
                "{wire:?} {kind:?} cut at {cut}"
            );
        }
        server.stop();
    }
}

#[test]
fn integers_that_come_byte_by_byte_are_read_whole() {
    everywhere("info", |wire, _, socket| {
        for byte in wire.integers(&[-1, 1_000_000_000, 7, -80_000, 0]) {
            socket.write_all(&[byte]).unwrap();
        }
        (read_all(socket), wire.reply(999_920_006))
    });
}

#[test]
fn a_million_integers_in_one_stream_are_added_exactly() {
    const COUNT: usize = 1_000_000;
    // A sequence with all bits in use (Knuth's MMIX constants), never 0.
    let mut state = 1_u64;
    let values: Vec<i32> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i32::from_ne_bytes(((state >> 32) as u32).to_ne_bytes())
    })
    .filter(|value| *value != 0)
    .take(COUNT)
    .collect();
    let total: i128 = values.iter().map(|value| i128::from(*value)).sum();
    thread::scope(|scope| {
        for wire in WIRES {
            let values = &values;
            scope.spawn(move || {
                // On `auto` the bytes of the first integer tell the wire.
                let mut stream = wire.integers(&[1]);
                stream.extend(wire.integers(values));
                stream.extend(wire.integers(&[0]));
                let server = wire.builder().log("info").start();
                for kind in Kind::BOTH {
                    let mut socket = kind.connect(&server, "sum");
                    socket.write_all(&stream).unwrap();
                    let got = read_all(&mut socket);
                    assert_eq!(got, wire.reply(total + 1), "{wire:?} {kind:?}");
                }
                server.stop();
            });
        }
    });
}

#[test]
fn sums_pass_64_bits_without_wrapping() {
    for wire in WIRES.into_iter().filter(|wire| !wire.binary) {
        let server = wire.builder().start();
        for (kind, value) in Kind::BOTH
            .into_iter()
            .flat_map(|k| [(k, i64::MAX), (k, i64::MIN)])
        {
            let mut socket = kind.connect(&server, "sum");
            let line = format!("{value}\n");
            socket.write_all(line.repeat(1000).as_bytes()).unwrap();
            socket.end_writing();
            let total = i128::from(value) * 1000;
            assert_eq!(
                read_all(&mut socket),
                wire.reply(total),
                "{wire:?} {kind:?}"
            );
        }
        server.stop();
    }
}

#[test]
fn binary_sums_pass_32_bits_without_wrapping() {
    for wire in WIRES.into_iter().filter(|wire| wire.binary) {
        let server = wire.builder().start();
        for (kind, value) in Kind::BOTH
            .into_iter()
            .flat_map(|k| [(k, i32::MAX), (k, i32::MIN)])
        {
            let mut socket = kind.connect(&server, "sum");
            socket
                .write_all(&wire.integers(&vec![value; 10_000]))
                .unwrap();
            socket.end_writing();
            let total = i128::from(value) * 10_000;
            assert_eq!(
                read_all(&mut socket),
                wire.reply(total),
                "{wire:?} {kind:?}"
            );
        }
        server.stop();
    }
}

#[test]
fn rubbish_between_lines_is_ignored_and_logged() {
    const RUBBISH: [&[u8]; 12] = [
        b"",
        b"   ",
        b"abc",
        b"1.5",
        b"0x10",
        b"1 2",
        b"--1",
        b"9223372036854775808",
        b"1_000",
        b"\xff\xfe\x00",
        "\u{0663}".as_bytes(),
        b"5a",
    ];
    for wire in WIRES.into_iter().filter(|wire| !wire.binary) {
        let server = wire.builder().start();
        for kind in Kind::BOTH {
            let mut socket = kind.connect(&server, "sum");
            let mut stream = b"1000\r\n".to_vec();
            for rubbish in RUBBISH {
                stream.extend_from_slice(rubbish);
                stream.extend_from_slice(b"\n \t+7 \r\n");
            }
            stream.extend_from_slice(&[b'1'; 5000]);
            stream.extend_from_slice(b"\n-1\n2");
            socket.write_all(&stream).unwrap();
            socket.end_writing();
            let expected = "error: a line has at most 4096 bytes; this one is skipped\n\
                            Result = 1085\n";
            let got = String::from_utf8_lossy(&read_all(&mut socket)).into_owned();
            assert_eq!(got, expected, "{wire:?} {kind:?}");
        }
        server.wait_for_log("ignored \"abc\"");
        server.stop();
    }
}

#[test]
fn a_last_binary_integer_that_is_not_whole_is_ignored_and_logged() {
    for wire in WIRES.into_iter().filter(|wire| wire.binary) {
        let server = wire.builder().start();
        for kind in Kind::BOTH {
            let mut socket = kind.connect(&server, "sum");
            let mut stream = wire.integers(&[5, 6]);
            stream.extend_from_slice(&[1, 2, 3]);
            socket.write_all(&stream).unwrap();
            socket.end_writing();
            assert_eq!(read_all(&mut socket), wire.reply(11), "{wire:?} {kind:?}");
        }
        server.wait_for_log("fewer bytes than an integer has");
        server.stop();
    }
}
