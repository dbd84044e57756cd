//! Uploads on the harness, packet by packet.

use std::fs;

use super::super::tests::{SECOND, ack, data, pattern, refused, say, served};
use crate::service::CloseReason;
use crate::service::harness::Harness;

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

/// Syncing a large file may take longer than a client waits before it repeats itself.
#[test]
fn a_last_block_that_comes_again_while_the_file_is_made_safe_changes_nothing() {
    let (folder, mut t) = served("&upload=yes");
    let (request, last) = (b"\0\x02new\0octet\0", data(1, b"end"));
    let a = t.open_datagram_at(0);
    assert_eq!(say(&mut t, a, request), [ack(0)]);
    t.hold_lanes();
    for _ in 0..70 {
        assert!(say(&mut t, a, &last).is_empty() && say(&mut t, a, request).is_empty());
        t.advance(SECOND);
    }
    assert_eq!(t.closed(a), None);
    t.work();
    assert_eq!(t.take_datagrams(a), [ack(1)]);
    t.advance(SECOND);
    assert_eq!(say(&mut t, a, &last), [ack(1)]);
    assert_eq!(fs::read(folder.path().join("new")).unwrap(), b"end");
    t.advance(10 * SECOND);
    assert_eq!(t.closed(a), Some(CloseReason::Answered));
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
