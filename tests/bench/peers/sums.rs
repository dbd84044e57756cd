//! Sums of one long stream as the labs' programs make them, and a sink: what reading alone costs.
//!
//! Each connection has a thread, blocking reads of 64 KiB, and an answer when its client has ended
//! its writing or a 0 has come.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;

use super::announce;

/// Bytes of one read.
const READ_BYTES: usize = 64 * 1024;

/// What becomes of a stream: its answer.
type Answer = fn(&mut dyn Read) -> io::Result<i128>;

const SERVICES: [(&str, Answer); 3] = [("sum", text), ("sum-binary", binary), ("sink", sink)];

pub fn serve(directory: &Path) -> io::Result<()> {
    let mut names = Vec::new();
    let mut acceptors = Vec::new();
    for (service, answer) in SERVICES {
        let path = directory.join(service);
        let tcp = TcpListener::bind("127.0.0.1:0")?;
        let unix = UnixListener::bind(&path)?;
        names.push((service, format!("tcp://{}", tcp.local_addr()?)));
        names.push((service, format!("unix:{}", path.display())));
        acceptors.push(thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                thread::spawn(move || talk(stream, answer));
            }
        }));
        acceptors.push(thread::spawn(move || {
            for stream in unix.incoming().flatten() {
                thread::spawn(move || talk(stream, answer));
            }
        }));
    }
    let names: Vec<(&str, &dyn std::fmt::Display)> = names
        .iter()
        .map(|(service, endpoint)| (*service, endpoint as &dyn std::fmt::Display))
        .collect();
    announce(&names)?;
    // None of them returns.
    acceptors
        .into_iter()
        .for_each(|acceptor| drop(acceptor.join()));
    Ok(())
}

fn talk(mut stream: impl Read + Write, answer: Answer) -> io::Result<()> {
    let sum = answer(&mut stream)?;
    stream.write_all(format!("Result = {sum}\n").as_bytes())
}

/// Lines, a byte at a time.
fn text(stream: &mut dyn Read) -> io::Result<i128> {
    let mut buffer = vec![0; READ_BYTES];
    let (mut sum, mut value, mut negative) = (0_i128, 0_i64, false);
    loop {
        let len = stream.read(&mut buffer)?;
        if len == 0 {
            return Ok(sum);
        }
        for byte in &buffer[..len] {
            match byte {
                b'\n' if value == 0 => return Ok(sum),
                b'\n' => {
                    sum += i128::from(if negative { -value } else { value });
                    (value, negative) = (0, false);
                }
                b'-' => negative = true,
                digit => value = value * 10 + i64::from(digit - b'0'),
            }
        }
    }
}

/// Integers of 32 bits, each as it stands in memory; reads may cut them.
fn binary(stream: &mut dyn Read) -> io::Result<i128> {
    let mut buffer = vec![0; READ_BYTES];
    let (mut sum, mut kept) = (0_i64, 0);
    loop {
        let len = stream.read(&mut buffer[kept..])?;
        if len == 0 {
            return Ok(i128::from(sum));
        }
        let (words, rest) = buffer[..kept + len].as_chunks::<4>();
        for word in words {
            match i32::from_le_bytes(*word) {
                0 => return Ok(i128::from(sum)),
                value => sum += i64::from(value),
            }
        }
        kept = rest.len();
        let used = words.len() * 4;
        buffer.copy_within(used..used + kept, 0);
    }
}

fn sink(stream: &mut dyn Read) -> io::Result<i128> {
    let mut buffer = vec![0; READ_BYTES];
    while stream.read(&mut buffer)? > 0 {}
    Ok(0)
}
