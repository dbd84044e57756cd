//! Transfers on the harness, packet by packet.

use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::super::ENTRY;
use crate::service::CloseReason;
use crate::service::harness::Harness;

const SECOND: Duration = Duration::from_secs(1);

fn served(options: &str) -> (TempDir, Harness) {
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

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

fn data(block: u16, bytes: &[u8]) -> Vec<u8> {
    [&[0, 3][..], &block.to_be_bytes(), bytes].concat()
}

fn ack(block: u16) -> Vec<u8> {
    [[0, 4], block.to_be_bytes()].concat()
}

/// Says a packet and hears what comes.
fn say(t: &mut Harness, who: usize, packet: &[u8]) -> Vec<Vec<u8>> {
    t.feed(who, packet);
    t.take_datagrams(who)
}

/// The code and message of the error that a first packet gets.
fn refused(t: &mut Harness, packet: &[u8]) -> (u8, String) {
    let who = t.open_datagram_at(0);
    let answers = say(t, who, packet);
    assert_eq!(answers.len(), 1, "{}", packet.escape_ascii());
    let [0, 5, 0, code, message @ .., 0] = &*answers[0] else {
        panic!("no error: {:?}", answers[0]);
    };
    assert_eq!(t.closed(who), Some(CloseReason::NotAnswered));
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
    for packet in [&b"\0\x05\0\x01no\0"[..], b"\0", b""] {
        let a = t.open_datagram_at(0);
        assert!(say(&mut t, a, packet).is_empty());
        assert_eq!(t.closed(a), Some(CloseReason::NotAnswered));
    }
}

#[test]
fn an_upload_appears_with_the_last_acknowledgement() {
    let (folder, mut t) = served("&upload=yes");
    let a = t.open_datagram_at(0);
    assert_eq!(say(&mut t, a, b"\0\x02new\0octet\0"), [ack(0)]);
    let bytes = pattern(700);
    assert_eq!(say(&mut t, a, &data(1, &bytes[..512])), [ack(1)]);
    assert!(!folder.path().join("new").exists());
    assert_eq!(say(&mut t, a, &data(2, &bytes[512..])), [ack(2)]);
    assert_eq!(fs::read(folder.path().join("new")).unwrap(), bytes);
    // It stays for a client that has not heard it.
    t.advance(5 * SECOND);
    assert_eq!(say(&mut t, a, &data(2, &bytes[512..])), [ack(2)]);
    t.advance(10 * SECOND);
    assert_eq!(t.closed(a), Some(CloseReason::Answered));
    assert_eq!(refused(&mut t, b"\0\x02new\0octet\0").0, 6);
    assert_eq!(refused(&mut t, b"\0\x02nosuch/new\0octet\0").0, 1);
    let large = b"\0\x02large\0octet\0tsize\x0099999999999999\0";
    assert_eq!(refused(&mut t, large).0, 3);
}

/// What the log says of an upload that failed: kept is only what can be gone on with.
#[test]
fn a_failed_upload_ends_with_what_became_of_its_bytes() {
    let (folder, mut t) = served("&upload=yes");
    let begin = |t: &mut Harness| {
        let a = t.open_datagram_at(0);
        assert_eq!(say(t, a, b"\0\x02new\0octet\0"), [ack(0)]);
        a
    };
    let failed = |t: &mut Harness, who: usize, block: u16, bytes: &[u8]| {
        let answers = say(t, who, &data(block, bytes));
        assert!(answers.last().unwrap().starts_with(b"\0\x05"));
        t.closed(who)
    };
    // Its first block is none.
    let a = begin(&mut t);
    let reason = failed(&mut t, a, 1, &pattern(513));
    assert_eq!(reason, Some(CloseReason::UploadRefused));
    // A later one is none.
    let a = begin(&mut t);
    assert_eq!(say(&mut t, a, &data(1, &pattern(512))), [ack(1)]);
    let reason = failed(&mut t, a, 2, &pattern(513));
    assert_eq!(reason, Some(CloseReason::UploadCut));
    let a = begin(&mut t);
    assert_eq!(say(&mut t, a, &data(1, &pattern(512))), [ack(1)]);
    // Meanwhile somebody puts a file there.
    fs::write(folder.path().join("new"), b"another").unwrap();
    let reason = failed(&mut t, a, 2, b"end");
    assert_eq!(reason, Some(CloseReason::UploadRefused));
    fs::remove_file(folder.path().join("new")).unwrap();
    // The server goes down behind the first block.
    let a = begin(&mut t);
    assert_eq!(say(&mut t, a, &data(1, &pattern(512))), [ack(1)]);
    t.shut_down();
    assert_eq!(t.closed(a), Some(CloseReason::UploadCut));
}

/// A crash between two writes that are done in any order would leave a hole in what is kept.
#[test]
fn what_is_written_of_an_upload_never_has_a_hole() {
    let (folder, mut t) = served("&upload=yes");
    let a = t.open_datagram_at(0);
    let request = b"\0\x02new\0octet\0blksize\x0065464\0windowsize\x004\0";
    assert_eq!(say(&mut t, a, request).len(), 1);
    let bytes = pattern(65464 * 4 + 9);
    let mut blocks = bytes.chunks(65464).zip(1..);
    let (first, number) = blocks.next().unwrap();
    t.feed(a, &data(number, first));
    t.hold_lanes();
    for (block, number) in blocks {
        t.feed(a, &data(number, block));
    }
    // However many threads there are, and however often they look.
    let busy = (0..t.workers()).filter(|worker| t.work_on(*worker)).count();
    assert_eq!(busy, 1);
    t.work();
    assert_eq!(t.take_datagrams(a).last(), Some(&ack(5)));
    assert_eq!(fs::read(folder.path().join("new")).unwrap(), bytes);
}

/// Whoever tries again at once is not told that the name is being uploaded.
#[test]
fn the_error_of_a_failed_upload_goes_out_once_its_name_is_free() {
    let (_folder, mut t) = served("&upload=yes");
    let request = b"\0\x02new\0octet\0";
    let a = t.open_datagram_at(0);
    assert_eq!(say(&mut t, a, request), [ack(0)]);
    assert_eq!(say(&mut t, a, &data(1, &pattern(512))), [ack(1)]);
    t.hold_lanes();
    assert!(say(&mut t, a, &data(2, &pattern(513))).is_empty());
    // Nor does anything else: it has ended.
    assert!(say(&mut t, a, &data(2, &pattern(512))).is_empty());
    assert_eq!(t.closed(a), None);
    t.work();
    assert!(t.take_datagrams(a)[0].starts_with(b"\0\x05\0\x04"));
    assert_eq!(t.closed(a), Some(CloseReason::UploadCut));
    // Nothing that the first has asked of a lane is left to be done.
    let b = t.open_datagram_at(0);
    t.feed(b, request);
    t.work();
    assert_eq!(t.take_datagrams(b), [ack(0)]);
    t.feed(b, &data(1, &pattern(512)));
    t.work();
    assert_eq!(t.take_datagrams(b), [ack(1)]);
}

/// Requests are easily forged, and at most 256 uploads can be unfinished.
#[test]
fn an_upload_takes_nothing_before_its_first_block() {
    let (folder, mut t) = served("&upload=yes");
    let request = |name: &str| [b"\0\x02", name.as_bytes(), b"\0octet\0"].concat();
    for number in 0..300 {
        let forged = t.open_datagram_at(0);
        let answers = say(&mut t, forged, &request(&format!("new{number}")));
        assert_eq!(answers, [ack(0)], "{number}");
    }
    let partials = || {
        let all = fs::read_dir(folder.path().join(".partial")).unwrap();
        all.filter(|entry| entry.as_ref().unwrap().file_name() != "lock")
            .count()
    };
    assert_eq!(partials(), 0);
    // Nor is the name taken; whoever sends first has it.
    let (a, b) = (t.open_datagram_at(0), t.open_datagram_at(0));
    for client in [a, b] {
        assert_eq!(say(&mut t, client, &request("new7")), [ack(0)]);
    }
    assert_eq!(say(&mut t, a, &data(1, &pattern(512))), [ack(1)]);
    assert_eq!(partials(), 1);
    let answers = say(&mut t, b, &data(1, &pattern(512)));
    assert!(
        answers.last().unwrap().starts_with(b"\0\x05\0\0"),
        "{answers:?}"
    );
    assert_eq!(t.closed(b), Some(CloseReason::UploadRefused));
    assert_eq!(say(&mut t, a, &data(2, b"end")), [ack(2)]);
    assert_eq!((partials(), folder.path().join("new7").exists()), (0, true));
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
fn an_upload_that_was_cut_goes_on_where_it_was() {
    let (folder, mut t) = served("&upload=yes");
    let bytes = pattern(3000);
    let request = |offset: usize| {
        let options = format!("tsize\x003000\0blksize\x001000\0offset\x00{offset}\0");
        [b"\0\x02new\0octet\0", options.as_bytes()].concat()
    };
    let a = t.open_datagram_at(0);
    let granted = |offset: usize| {
        let options = format!("blksize\x001000\0tsize\x003000\0offset\x00{offset}\0");
        [b"\0\x06", options.as_bytes()].concat()
    };
    assert_eq!(say(&mut t, a, &request(0)), [granted(0)]);
    assert_eq!(say(&mut t, a, &data(1, &bytes[..1000])), [ack(1)]);
    t.feed(a, b"\0\x05\0\0enough\0");
    assert_eq!(t.closed(a), Some(CloseReason::ClientLeft));
    let b = t.open_datagram_at(0);
    assert_eq!(say(&mut t, b, &request(3000)), [granted(1000)]);
    assert_eq!(say(&mut t, b, &data(1, &bytes[1000..2000])), [ack(1)]);
    assert_eq!(say(&mut t, b, &data(2, &bytes[2000..])), [ack(2)]);
    assert_eq!(say(&mut t, b, &data(3, b"")), [ack(3)]);
    assert_eq!(fs::read(folder.path().join("new")).unwrap(), bytes);
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
