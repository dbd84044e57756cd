//! A thread for each connection, blocking sockets.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread::{self, JoinHandle};

use super::{BUFFER_BYTES, add, announce};

pub fn serve(directory: &Path) -> io::Result<()> {
    let echo_path = directory.join("echo.sock");
    let sum_path = directory.join("sum.sock");
    let echo_tcp = TcpListener::bind("127.0.0.1:0")?;
    let sum_tcp = TcpListener::bind("127.0.0.1:0")?;
    let echo_unix = UnixListener::bind(&echo_path)?;
    let sum_unix = UnixListener::bind(&sum_path)?;
    announce(&[
        ("echo", &format_args!("tcp://{}", echo_tcp.local_addr()?)),
        ("sum", &format_args!("tcp://{}", sum_tcp.local_addr()?)),
        ("echo", &format_args!("unix:{}", echo_path.display())),
        ("sum", &format_args!("unix:{}", sum_path.display())),
    ])?;
    let acceptors = [
        accept_tcp(echo_tcp, echo),
        accept_tcp(sum_tcp, sum),
        accept_unix(echo_unix, echo),
        accept_unix(sum_unix, sum),
    ];
    // None of them returns.
    acceptors
        .into_iter()
        .for_each(|acceptor| drop(acceptor.join()));
    Ok(())
}

fn accept_tcp(listener: TcpListener, talk: fn(TcpStream) -> io::Result<()>) -> JoinHandle<()> {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                stream.set_nodelay(true)?;
                talk(stream)
            });
        }
    })
}

fn accept_unix(listener: UnixListener, talk: fn(UnixStream) -> io::Result<()>) -> JoinHandle<()> {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || talk(stream));
        }
    })
}

fn echo(mut stream: impl Read + Write) -> io::Result<()> {
    let mut buffer = [0; BUFFER_BYTES];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            len => stream.write_all(&buffer[..len])?,
        }
    }
}

fn sum(stream: impl Read + Write) -> io::Result<()> {
    let mut stream = BufReader::with_capacity(BUFFER_BYTES, stream);
    let mut line = String::new();
    let mut sum = 0;
    while stream.read_line(&mut line)? > 0 && add(&mut sum, &line) {
        line.clear();
    }
    stream
        .get_mut()
        .write_all(format!("Result = {sum}\n").as_bytes())
}
