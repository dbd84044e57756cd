//! Transfers on the harness, packet by packet.

use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::super::ENTRY;
use crate::service::CloseReason;
use crate::service::harness::Harness;

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn served(options: &str) -> (TempDir, Harness) {
    let folder = tempfile::tempdir().unwrap();
    for size in [0, 511, 512, 2000] {
        fs::write(folder.path().join(size.to_string()), pattern(size)).unwrap();
    }
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join(".hidden"), b"secret").unwrap();
    let root = folder.path().display();
    let t = Harness::new(&ENTRY, &format!("root={root}{options}"));
    (folder, t)
}

pub(super) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

pub(super) fn data(block: u16, bytes: &[u8]) -> Vec<u8> {
    [&[0, 3][..], &block.to_be_bytes(), bytes].concat()
}

pub(super) fn ack(block: u16) -> Vec<u8> {
    [[0, 4], block.to_be_bytes()].concat()
}

/// Says a packet and hears what comes.
pub(super) fn say(t: &mut Harness, who: usize, packet: &[u8]) -> Vec<Vec<u8>> {
    t.feed(who, packet);
    t.take_datagrams(who)
}

/// The code and message of the error that a first packet gets.
pub(super) fn refused(t: &mut Harness, packet: &[u8]) -> (u8, String) {
    let who = t.open_datagram_at(0);
    let answers = say(t, who, packet);
    assert_eq!(answers.len(), 1, "{}", packet.escape_ascii());
    let [0, 5, 0, code, message @ .., 0] = &*answers[0] else {
        panic!("no error: {:?}", answers[0]);
    };
    assert_eq!(t.closed(who), Some(CloseReason::RequestRefused));
    (*code, String::from_utf8(message.to_vec()).unwrap())
}

#[test]
fn a_file_goes_out_a_block_for_each_acknowledgement() {
    let (_folder, mut t) = served("");
    for (name, size) in [("0", 0), ("/511", 511), ("512", 512), ("2000", 2000)] {
        let a = t.open_datagram_at(0);
        let request = [b"\0\x01", name.as_bytes(), b"\0octet\0"].concat();
        let mut answers = say(&mut t, a, &request);
        let (mut got, mut block) = (Vec::new(), 1);
        loop {
            assert_eq!(answers.len(), 1, "{name} {block}");
            assert!(answers[0].starts_with(&data(block, b"")));
            got.extend_from_slice(&answers[0][4..]);
            let is_last = answers[0].len() < 516;
            // Neither the request again nor an old acknowledgement has anything go out.
            assert!(say(&mut t, a, &request).is_empty());
            assert!(say(&mut t, a, &ack(block - 1)).is_empty());
            answers = say(&mut t, a, &ack(block));
            block += 1;
            if is_last {
                break;
            }
        }
        assert!(answers.is_empty() && got == pattern(size), "{name}");
        assert_eq!(t.closed(a), Some(CloseReason::Answered));
    }
    assert_eq!(t.sessions(), 0);
}

#[test]
fn options_are_granted_and_an_offset_resumes() {
    let (_folder, mut t) = served("");
    let a = t.open_datagram_at(0);
    let request =
        b"\0\x012000\0octet\0tsize\x000\0blksize\x00100\0windowsize\x003\0offset\x001500\0";
    let granted = b"\0\x06blksize\x00100\0tsize\x002000\0windowsize\x003\0offset\x001500\0";
    assert_eq!(say(&mut t, a, request), [granted]);
    let whole = pattern(2000);
    let block = |n: usize| data(n as u16, &whole[1400 + 100 * n..(1500 + 100 * n).min(2000)]);
    assert_eq!(say(&mut t, a, &ack(0)), [block(1), block(2), block(3)]);
    let last = data(6, b"");
    assert_eq!(say(&mut t, a, &ack(3)), [block(4), block(5), last]);
    assert!(say(&mut t, a, &ack(6)).is_empty());
    assert_eq!(t.closed(a), Some(CloseReason::Answered));
    let (code, message) = refused(&mut t, b"\0\x01511\0octet\0offset\x00512\0");
    assert_eq!((code, message.contains("511 bytes")), (8, true));
}

#[test]
fn whoever_says_nothing_is_sent_three_packets() {
    let (_folder, mut t) = served("");
    let a = t.open_datagram_at(0);
    let mut all = say(&mut t, a, b"\0\x012000\0octet\0");
    for _ in 0..60 {
        t.advance(SECOND);
        all.append(&mut t.take_datagrams(a));
    }
    assert_eq!(all, vec![data(1, &pattern(512)); 3]);
    assert_eq!(t.closed(a), Some(CloseReason::Vanished));
}

#[test]
fn what_is_no_request_or_asks_for_no_file_is_an_error() {
    let (folder, mut t) = served("");
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
    for (packet, code) in [
        (&b"\0\x01nosuch\0octet\0"[..], 1),
        (b"\0\x01sub\0octet\0", 2),
        (b"\0\x01link\0octet\0", 2),
        (b"\0\x01.hidden\0octet\0", 2),
        (b"\0\x01../etc/passwd\0octet\0", 2),
        (b"\0\x01//512\0octet\0", 2),
        (b"\0\x02new\0octet\0", 2),
        (b"\0\x01512\0mail\0", 4),
        (b"\0\x01512\0octet", 4),
        (b"\0\x09what", 4),
        (b"\0\x03\0\x01x", 5),
        (b"\0\x04\0\x01", 5),
        (b"\0\x01512\0octet\0blksize\x007\0", 8),
    ] {
        assert_eq!(refused(&mut t, packet).0, code, "{}", packet.escape_ascii());
    }
    let long = [&b"\0\x01512\0octet\0"[..], &b"x\0y\0".repeat(509)].concat();
    assert_eq!(long.len(), 2048);
    let a = t.open_datagram_at(0);
    assert_eq!(say(&mut t, a, &long)[0].len(), 516);
    let (code, message) = refused(&mut t, &[&long[..], b"z"].concat());
    assert_eq!((code, &*message), (4, "a request has at most 2048 bytes"));
    for packet in [&b"\0\x05\0\x01no\0"[..], b"\0", b""] {
        let a = t.open_datagram_at(0);
        assert!(say(&mut t, a, packet).is_empty());
        assert_eq!(t.closed(a), Some(CloseReason::NotAnswered));
    }
}

#[test]
fn text_comes_and_goes_with_the_line_ends_of_the_network() {
    let (folder, mut t) = served("&upload=replace");
    let a = t.open_datagram_at(0);
    assert_eq!(say(&mut t, a, b"\0\x02512\0netascii\0"), [ack(0)]);
    assert_eq!(say(&mut t, a, &data(1, b"a\r\nb\r\0c")), [ack(1)]);
    assert_eq!(fs::read(folder.path().join("512")).unwrap(), b"a\nb\rc");
    let b = t.open_datagram_at(0);
    let text = data(1, b"a\r\nb\r\0c");
    assert_eq!(say(&mut t, b, b"\0\x01512\0NETASCII\0"), [text]);
}

#[test]
fn a_file_that_changes_is_not_handed_over() {
    let (folder, mut t) = served("");
    let a = t.open_datagram_at(0);
    assert_eq!(say(&mut t, a, b"\0\x012000\0octet\0").len(), 1);
    fs::write(folder.path().join("2000"), pattern(1999)).unwrap();
    let answers = say(&mut t, a, &ack(1));
    assert!(answers.len() == 1 && answers[0].starts_with(b"\0\x05\0\0"));
    assert_eq!(t.closed(a), Some(CloseReason::FileChanged));
}

#[test]
fn another_request_from_the_same_port_ends_the_transfer() {
    let (_folder, mut t) = served("&upload=replace");
    let a = t.open_datagram_at(0);
    assert_eq!(say(&mut t, a, b"\0\x012000\0octet\0").len(), 1);
    assert!(say(&mut t, a, b"\0\x01512\0octet\0").is_empty());
    assert_eq!(t.closed(a), Some(CloseReason::ClientLeft));
    // The same is another one only once the last was answered.
    let b = t.open_datagram_at(0);
    let request = b"\0\x02new\0octet\0";
    assert_eq!(say(&mut t, b, request), [ack(0)]);
    assert!(say(&mut t, b, request).is_empty());
    assert_eq!(say(&mut t, b, &data(1, b"x")), [ack(1)]);
    assert_eq!(t.closed(b), None);
    assert!(say(&mut t, b, request).is_empty());
    assert_eq!(t.closed(b), Some(CloseReason::ClientLeft));
}

#[test]
fn a_machine_that_was_started_anew_gets_the_file_from_its_beginning() {
    let (_folder, mut t) = served("");
    let a = t.open_datagram_at(0);
    let request = b"\0\x012000\0octet\0";
    assert_eq!(say(&mut t, a, request), [data(1, &pattern(512))]);
    assert_eq!(say(&mut t, a, &ack(1)).len(), 1);
    // Just late, it says nothing.
    assert!(say(&mut t, a, request).is_empty());
    assert_eq!(t.closed(a), None);
    t.advance(SECOND);
    assert_eq!(t.take_datagrams(a).len(), 1);
    assert!(say(&mut t, a, request).is_empty());
    assert_eq!(t.closed(a), Some(CloseReason::ClientLeft));
}

#[test]
fn at_a_shutdown_a_file_is_owed_and_an_upload_is_not() {
    let (_folder, mut t) = served("&upload=yes");
    let (a, b) = (t.open_datagram_at(0), t.open_datagram_at(0));
    assert_eq!(say(&mut t, a, b"\0\x01512\0octet\0").len(), 1);
    assert_eq!(say(&mut t, b, b"\0\x02new\0octet\0"), [ack(0)]);
    t.shut_down();
    assert!(t.take_datagrams(b)[0].starts_with(b"\0\x05\0\0the server is shutting"));
    assert_eq!(t.closed(b), Some(CloseReason::Shutdown));
    assert_eq!(say(&mut t, a, &ack(1)), [data(2, b"")]);
    assert!(say(&mut t, a, &ack(2)).is_empty());
    assert_eq!(t.closed(a), Some(CloseReason::Answered));
}
