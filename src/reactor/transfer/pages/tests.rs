//! Margins for what kernels say, and the cache asked at some places.

use super::*;
use crate::config::limits::READ_AHEAD_BYTES;
use crate::reactor::transfer::Files;
use crate::service::{CloseReason, Moment, OpenFile, Peer, SendFile};
use mio::net::{TcpStream, UnixStream};
use rustix::net::sockopt::set_tcp_user_timeout;
use std::io::Write as _;
use std::sync::Arc;

const MIB: u64 = 1 << 20;

struct Plain(File);

impl OpenFile for Plain {
    fn file(&self) -> &File {
        &self.0
    }
}

#[test]
fn the_margin_is_what_both_ends_may_hold() {
    // What Linux sets by itself: 6 and 4 MiB, 208 KiB for those who ask.
    let usual = Pages::with(
        Some((6 * MIB, 212_992)),
        Some((4 * MIB, 212_992)),
        Some(212_992),
    );
    assert_eq!(usual.margin_tcp, (6 + 4 + 1) * MIB);
    assert_eq!(
        usual.buffer_tcp, None,
        "the kernel's own choice may be larger"
    );
    let wide = Pages::with(
        Some((6 * MIB, 8 * MIB)),
        Some((4 * MIB, 64 * MIB)),
        Some(8 * MIB),
    );
    assert_eq!(wide.margin_tcp, (16 + 8 + 1) * MIB);
    assert_eq!(wide.margin_unix, 9 * MIB);
    assert_eq!(wide.buffer_tcp, Some(SEND_BUFFER_TCP));
    let unknown = Pages::with(None, None, None);
    assert!(unknown.margin_tcp > 2 * 1024 * MIB);
    assert_eq!(unknown.buffer_tcp, None);
}

#[test]
fn the_end_of_a_range_is_copied_and_a_piece_is_one_budget() {
    let pages = Pages::with(None, None, None);
    let (stream, _other) = UnixStream::pair().unwrap();
    let stream = Stream::Unix(stream);
    let margin = pages.margin(&stream).unwrap();
    assert_eq!(pages.piece(&stream, margin), 0);
    assert_eq!(pages.piece(&stream, margin + 5), 5);
    assert_eq!(pages.piece(&stream, u64::MAX), PAGES_BYTES_MAX);
    let flow = Stream::Flow {
        number: 0,
        ends_itself: true,
    };
    assert_eq!(pages.piece(&flow, u64::MAX), 0);
}

#[test]
fn large_buffers_are_counted_until_their_connections_are_closed() {
    let mut pages = Pages::with(None, None, None);
    let (stream, _other) = UnixStream::pair().unwrap();
    let stream = Stream::Unix(stream);
    let id = |key| SourceId { key, generation: 1 };
    for key in 0..2 * u32::try_from(SEND_BUFFERS_MAX).unwrap() {
        pages.enlarge(id(key), &stream);
        pages.enlarge(id(key), &stream);
    }
    assert_eq!(pages.large.len(), SEND_BUFFERS_MAX);
    assert!(pages.large.contains(&id(5)));
    pages.closed(id(5));
    pages.closed(id(5));
    assert_eq!(pages.large.len(), SEND_BUFFERS_MAX - 1);
    pages.enlarge(id(9_999), &stream);
    assert!(pages.large.contains(&id(9_999)));
}

#[test]
fn a_file_that_ends_before_is_not_cached() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&vec![1; READ_AHEAD_BYTES]).unwrap();
    assert!(is_cached(&file, 0, READ_AHEAD_BYTES));
    assert!(is_cached(&file, 5, 1));
    assert!(!is_cached(&file, 5, READ_AHEAD_BYTES));
    assert!(!is_cached(&file, READ_AHEAD_BYTES as u64, 1));
}

#[test]
fn a_peer_that_has_vanished_is_not_called_one_that_broke_off() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let _silent = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    // The kernel gives up a peer that takes nothing for so many milliseconds.
    set_tcp_user_timeout(&stream, 100).unwrap();
    let stream = Stream::Tcp(TcpStream::from_std(stream));
    let mut c = Connection::new(stream, Peer::Gone, 1, 0, Moment::from_nanos(1));
    let file = tempfile::tempfile().unwrap();
    file.set_len(1 << 40).unwrap();
    c.send_file(SendFile {
        file: Arc::new(Plain(file)),
        from: 0,
        len: 1 << 40,
    });
    let mut files = Files::default();
    let mut pump = |c: &mut Connection| {
        // As if the lane had just read it.
        c.warmed(Ok(()));
        c.pump(SourceId::NOBODY, &mut files)
    };
    while c.writable {
        assert!(matches!(pump(&mut c), Pumped::Moved | Pumped::Blocked));
    }
    let socket = c.stream.socket().unwrap();
    let minute = Timespec::try_from(std::time::Duration::from_mins(1)).unwrap();
    poll(
        &mut [PollFd::from_borrowed_fd(socket, PollFlags::empty())],
        Some(&minute),
    )
    .unwrap();
    assert!(matches!(pump(&mut c), Pumped::Blocked));
    assert_eq!(c.reason, Some(CloseReason::Vanished));
}
