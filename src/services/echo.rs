//! `echo`: every byte comes back, in order, until the client stops writing and all is back.

use crate::service::{Cx, Datagrams, Entry, Host, Never, Service};

/// How `echo` is listed.
pub const ENTRY: Entry = Entry {
    name: "echo",
    summary: "every byte comes back",
    about: "\
Every byte that a client sends comes back, in order. When the client stops writing and all of it
is back, the server ends the connection.
Limits: a client that does not read what comes back is itself not read; the server keeps at most
one read (64 KiB) for it above 32 KiB. At a shutdown what was read is sent back, without a goodbye
line: the stream holds the client's bytes and nothing else.
Datagrams: each comes back whole, up to 65,507 bytes, empty ones too; never to a port where a
server would echo again (7, 19, 53, 69 and others, and the server's own).
Try it:  printf 'hello\\n' | nc -N 127.0.0.1 8888
         printf 'hello\\n' | nc -u -w1 127.0.0.1 8888",
    options: &[],
    datagrams: Some(Datagrams::OneShot),
    console: &[],
    transfers: false,
    secret: false,
    takes_lines: false,
    board: &["tcp://127.0.0.1:8888", "udp://127.0.0.1:8888"],
    build: |listeners| Host::build(listeners, |_| Ok(Echo)),
};

/// The service; its sessions share nothing.
pub struct Echo;

impl Service for Echo {
    type Options = ();
    type Session = ();
    type Done = Never;
    const KNOWS_PEERS: bool = false;

    fn open(&mut self, _: &mut Cx<'_, Self>) {}

    fn receive(&mut self, (): &mut (), input: &[u8], cx: &mut Cx<'_, Self>) -> usize {
        cx.send(input);
        input.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::CloseReason;
    use crate::service::harness::Harness;

    #[test]
    fn every_byte_comes_back_until_the_client_stops_writing() {
        let mut t = Harness::new(&ENTRY, "");
        let a = t.open();
        t.feed(a, b"ab\0");
        t.feed(a, b"\xff\n");
        assert_eq!(t.take(a), b"ab\0\xff\n");
        t.end(a);
        assert_eq!(t.take(a), b"");
        assert_eq!(t.closed(a), Some(CloseReason::ClientEnded));
    }

    #[test]
    fn each_datagram_comes_back_whole_and_alone() {
        let mut t = Harness::new(&ENTRY, "");
        let a = t.open_datagram_at(0);
        for datagram in [&b"abc"[..], b"", b"hello udp", &[7; 65_507]] {
            t.feed(a, datagram);
            assert_eq!(t.take_datagrams(a), [datagram]);
        }
    }

    #[test]
    fn a_shutdown_adds_nothing_to_the_stream() {
        let mut t = Harness::new(&ENTRY, "");
        let a = t.open();
        t.feed(a, b"ab");
        t.shut_down();
        assert_eq!(t.take(a), b"ab");
        assert_eq!(t.closed(a), Some(CloseReason::Shutdown));
        assert_eq!(t.sessions(), 0);
    }
}
