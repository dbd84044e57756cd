//! A loop of two calls: take a datagram, send it back.

use std::io;
use std::net::UdpSocket;
use std::path::Path;

use super::announce;

/// The largest datagram has some bytes less.
const DATAGRAM_BYTES_MAX: usize = 65_536;

pub fn serve(_: &Path) -> io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    announce(&[("echo", &format_args!("udp://{}", socket.local_addr()?))])?;
    let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let (len, from) = socket.recv_from(&mut datagram)?;
        socket.send_to(&datagram[..len], from)?;
    }
}
