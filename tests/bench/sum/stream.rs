//! One long stream of integers, as lines and as 32 bits each: what a gigabyte costs.

use std::io::{Read as _, Write as _};
use std::time::Instant;

use crate::link::{Link, Transport};
use crate::load::{Round, Series, in_turns, latencies};
use crate::report::{Outcome, Report, Table, median};
use crate::server::{Kind, Server};

pub const ABOUT: &str = "\
One connection sends 128 MiB of integers as fast as it can, then a 0: lines of 1 to 10 digits, every
second one negative, or 32 bits each. The answer is checked. `plain loop` reads 64 KiB and goes
through the lines byte by byte, as C programs of a lab do, or through the words one by one; `reads
only` reads 64 KiB and looks at nothing: it is what the sockets allow.";

/// Bytes of the piece that is sent again and again; it stays in the cache of the load's core.
const PIECE_BYTES: usize = 512 * 1024;

/// Pieces of one round: 128 MiB.
const PIECES: usize = 256;

/// Rounds of each server.
const ROUNDS: u32 = 15;

const KINDS: [Kind; 3] = [Kind::Switchboard, Kind::Sums, Kind::Sink];

/// How integers go over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Text,
    Binary,
}

/// Whole integers, and what they come to.
struct Piece {
    wire: Wire,
    bytes: Vec<u8>,
    sum: i128,
}

pub fn run(report: &mut Report) -> Outcome<()> {
    let rounds = report.pick(ROUNDS, 1);
    let pieces = report.pick(PIECES, 8);
    let mut table = Table::new(&[
        "load",
        "server",
        "GB/s",
        "server CPU s/GB",
        "switchboard's rate ÷ this",
        "switchboard's CPU ÷ this",
    ]);
    for wire in [Wire::Text, Wire::Binary] {
        let piece = Piece::new(wire);
        for transport in [Transport::Tcp, Transport::Unix] {
            let all = in_turns(&KINDS, rounds, |server| {
                stream(server, transport, &piece, pieces)
            })?;
            let load = match wire {
                Wire::Text => format!("{transport}, lines"),
                Wire::Binary => format!("{transport}, 32 bits"),
            };
            add_rows(&mut table, &load, &all);
        }
    }
    println!("{table}");
    Ok(())
}

impl Piece {
    fn new(wire: Wire) -> Self {
        // A plain sequence (Knuth's MMIX): the same integers in every run.
        let mut state = 1_u64;
        let mut next = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        let (mut bytes, mut sum) = (Vec::with_capacity(PIECE_BYTES + 16), 0);
        while bytes.len() < PIECE_BYTES {
            // The length is what is drawn, so that no branch predictor knows it.
            let digits = u32::try_from(next() % 10).unwrap_or(0);
            let least = 10_u64.pow(digits);
            let value = i64::try_from(least + next() * 5 % (least * 9)).unwrap_or(1);
            let value = if next() % 2 == 0 { value } else { -value };
            match wire {
                Wire::Text => {
                    bytes.extend_from_slice(format!("{value}\n").as_bytes());
                    sum += i128::from(value);
                }
                Wire::Binary => {
                    // The first one is not to look like text, and none is 0.
                    let value = i32::try_from(value).unwrap_or(i32::MIN);
                    bytes.extend_from_slice(&value.to_ne_bytes());
                    sum += i128::from(value);
                }
            }
        }
        Self { wire, bytes, sum }
    }

    fn service(&self, kind: Kind) -> &'static str {
        match (kind, self.wire) {
            (Kind::Sink, _) => "sink",
            (Kind::Sums, Wire::Binary) => "sum-binary",
            _ => "sum",
        }
    }

    fn end(&self) -> &'static [u8] {
        match self.wire {
            Wire::Text => b"0\n",
            Wire::Binary => &[0; 4],
        }
    }
}

/// One stream; done are its bytes.
fn stream(server: &Server, transport: Transport, piece: &Piece, pieces: usize) -> Outcome<Round> {
    let mut link = server
        .address(piece.service(server.kind), transport)?
        .connect()?;
    let cpu = server.cpu_time()?;
    let start = Instant::now();
    for _ in 0..pieces {
        link.write_all(&piece.bytes)?;
    }
    link.write_all(piece.end())?;
    if server.kind == Kind::Sink {
        link.end_writing()?;
    }
    let reply = reply(&mut link)?;
    let elapsed = start.elapsed();
    let cpu = server.cpu_time()?.saturating_sub(cpu);
    let sum = match server.kind {
        Kind::Sink => 0,
        _ => piece.sum * i128::try_from(pieces)?,
    };
    if reply.trim_end_matches(['\n', '\0']) != format!("Result = {sum}") {
        return Err(format!("a wrong sum: {reply:?}, not {sum}").into());
    }
    Ok(Round {
        done: u64::try_from(piece.bytes.len() * pieces)?,
        elapsed,
        cpu,
        latency: latencies()?,
    })
}

fn reply(link: &mut Link) -> Outcome<String> {
    let mut reply = String::new();
    link.read_to_string(&mut reply)?;
    Ok(reply)
}

fn add_rows(table: &mut Table, load: &str, all: &[Series]) {
    let rate = |round: &Round| round.rate() / 1e9;
    let cost = |round: &Round| round.cpu.as_secs_f64() / round.done as f64 * 1e9;
    for (number, series) in all.iter().enumerate() {
        let compared = |figure: &dyn Fn(&Round) -> f64| match number {
            0 => String::new(),
            _ => {
                let pairs = all[0].rounds.iter().zip(&series.rounds);
                let ratios = pairs.map(|(one, two)| figure(one) / figure(two));
                format!("{:.2}", median(ratios.collect()))
            }
        };
        table.row(vec![
            load.to_owned(),
            series.name.clone(),
            format!("{:.2}", series.middle(rate)),
            format!("{:.3}", series.middle(cost)),
            compared(&rate),
            compared(&cost),
        ]);
    }
}
