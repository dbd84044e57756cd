//! Margins for what kernels say, and the cache asked at some places.

use super::*;
use crate::config::limits::READ_AHEAD_BYTES;
use mio::net::UnixStream;
use std::io::Write as _;

const MIB: u64 = 1 << 20;

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
fn large_buffers_are_counted_and_given_back() {
    let pages = Pages::with(None, None, None);
    let (stream, _other) = UnixStream::pair().unwrap();
    let stream = Stream::Unix(stream);
    let held: Vec<_> = (0..SEND_BUFFERS_MAX)
        .map(|_| pages.enlarge(&stream).unwrap())
        .collect();
    assert!(pages.enlarge(&stream).is_none());
    drop(held);
    assert!(pages.enlarge(&stream).is_some());
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
