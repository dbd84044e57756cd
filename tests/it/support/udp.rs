//! Clients that speak in datagrams, and what the server says of them.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use rustix::process::Signal;

use super::server::Server;
use super::{LIMIT, wait_until};

/// The address of the `place`th UDP listener of echo.
pub fn udp(server: &Server, place: usize) -> SocketAddr {
    udp_of(server, "echo", place)
}

/// The address of the `place`th UDP listener of a service.
pub fn udp_of(server: &Server, service: &str, place: usize) -> SocketAddr {
    let endpoints = server.endpoints(service);
    let mut addresses = endpoints.iter().filter_map(|e| e.strip_prefix("udp://"));
    addresses.nth(place).unwrap().parse().unwrap()
}

/// A socket that hears only that address.
pub fn client(to: SocketAddr) -> UdpSocket {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let client = UdpSocket::bind(any).unwrap();
    client.connect(to).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client
}

/// Sends a datagram and waits for the next one.
pub fn ask(client: &UdpSocket, datagram: &[u8]) -> Vec<u8> {
    client.send(datagram).unwrap();
    hear(client)
}

/// Waits for a datagram.
pub fn hear(client: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let len = client.recv(&mut buffer).unwrap();
    buffer.truncate(len);
    buffer
}

/// Nothing comes, for a while.
pub fn hears_nothing(client: &UdpSocket) {
    client
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let heard = client.recv(&mut [0; 65_536]);
    assert!(heard.is_err(), "{heard:?} bytes came");
    client.set_read_timeout(Some(LIMIT)).unwrap();
}

/// The datagrams that the `place`th UDP listener has taken so far, by the table of SIGUSR1.
pub fn taken(server: &Server, place: usize) -> u64 {
    let address = udp(server, place).to_string();
    let line = report_line(server, &address);
    let words: Vec<_> = line.split(' ').collect();
    let at = words.iter().position(|word| *word == "datagrams").unwrap();
    words[at - 1].parse().unwrap()
}

/// The line about that listener in a table that is printed now.
pub fn report_line(server: &Server, address: &str) -> String {
    let tables = |log: &str| log.matches("taken in all").count();
    let before = tables(&server.log());
    server.signal(Signal::USR1);
    let mut found = String::new();
    wait_until("the table", || {
        let log = server.log();
        let text = log.rsplit("taken in all").next().unwrap_or("").to_owned();
        let line = text.lines().find(|line| line.contains(address));
        found = line.unwrap_or("").to_owned();
        tables(&log) > before && found.ends_with("waiting")
    });
    found
}
