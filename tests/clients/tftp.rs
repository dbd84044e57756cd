//! `get` and `put` over datagrams, against a server that is made of the same pure machines.

use std::fs;
use std::net::UdpSocket;

use rustix::process::Signal;
use switchboard::wire::files::UPLOADING;
use switchboard::wire::tftp::{BUSY, CHANGED, Code, LEAVING, Refusal};

use crate::filer::sha256;
use crate::files::{content, names, wait_for_part};
use crate::support::{CLOSED_PORT, Client, Outcome, run};
use crate::tftp_server::Tftp;

fn assert_done(outcome: &Outcome) {
    assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""));
}

#[test]
fn files_of_every_size_come_and_go_over_datagrams() {
    let here = tempfile::tempdir().unwrap();
    for (at, size) in [0, 1, 1427, 1428, 1429, 300_000].into_iter().enumerate() {
        let bytes = content(size, at as u8);
        let server = Tftp::start(&[("x", &bytes)]);
        let got = server.get("x", here.path(), &["--json"]);
        assert_done(&got);
        let json: serde_json::Value = serde_json::from_str(&got.stdout).unwrap();
        assert_eq!(
            (&json["bytes"], &json["sha256"]),
            (&size.into(), &sha256(&bytes).into())
        );
        let file = here.path().join("x");
        assert_eq!(fs::read(&file).unwrap(), bytes);
        assert_done(&server.put(&file, &["--as", "new", "--block=512"]));
        assert_eq!(server.state().files["new"], bytes);
        let asked = server.asked();
        let sizes = asked.iter().map(|options| options.size);
        assert!(sizes.eq([Some(0), Some(size as u64)]));
        let blocks = asked
            .iter()
            .map(|options| options.block_bytes.unwrap().get());
        assert!(blocks.eq([1428, 512]));
        assert!(
            asked
                .iter()
                .all(|options| options.window.unwrap().get() == 16)
        );
        assert!(asked.iter().all(|options| options.offset.is_none()));
        assert_eq!(names(here.path()), ["x"]);
    }
}

/// On a text line there is no way to write it; a packet has no quotes.
#[test]
fn a_name_with_a_quote_and_a_blank_goes_over_datagrams() {
    let here = tempfile::tempdir().unwrap();
    let name = "it's \"q\"";
    let server = Tftp::start(&[(name, b"x")]);
    assert_done(&server.get(name, here.path(), &[]));
    assert_eq!(fs::read(here.path().join(name)).unwrap(), b"x");
    assert_done(&server.put(&here.path().join(name), &["--as", "\"new\" x"]));
    assert_eq!(server.state().files["\"new\" x"], b"x");
    let got = server.get("a\nb", here.path(), &[]);
    assert_eq!(got.code, Some(2), "{}", got.stderr);
}

#[test]
fn a_download_goes_on_where_it_was_left_and_compares_what_is_there() {
    let bytes = content(400_000, 1);
    let server = Tftp::start(&[("x", &bytes)]);
    let here = tempfile::tempdir().unwrap();
    server.state().cut = Some(200_000);
    // Shorter than the second after which it asks again: nobody has that port any more.
    let got = server.get("x", here.path(), &["--timeout=900ms"]);
    assert_eq!(got.code, Some(1));
    assert!(
        got.stderr.ends_with("no answer within 900ms\n"),
        "{}",
        got.stderr
    );
    let len = fs::metadata(here.path().join(".x.partial")).unwrap().len();
    assert!(len >= 200_000);
    let _ = server.asked();
    assert_done(&server.get("x", here.path(), &[]));
    assert_eq!(server.asked()[0].offset, Some(len - 65_536));
    assert_eq!(fs::read(here.path().join("x")).unwrap(), bytes);
    assert_eq!(names(here.path()), ["x"]);
    // Another file, of the same size or not; and a server that can't resume.
    let part = here.path().join(".x.partial");
    for (seed, note, is_plain, requests) in [
        (2, "size 400000", false, 2),
        (1, "size 400001", false, 2),
        (2, "", false, 1),
        (1, "size 400000", true, 1),
    ] {
        fs::write(&part, content(100_000, seed)).unwrap();
        fs::write(here.path().join(".x.partial.version"), note).unwrap();
        server.state().is_plain = is_plain;
        assert_done(&server.get("x", here.path(), &[]));
        assert_eq!(server.asked().len(), requests, "{seed} {note}");
        assert_eq!(fs::read(here.path().join("x")).unwrap(), bytes);
        assert_eq!(names(here.path()), ["x"]);
    }
}

#[test]
fn an_upload_goes_on_only_where_it_is_known_to_be_of_the_same_file() {
    let bytes = content(400_000, 1);
    let server = Tftp::start(&[]);
    let here = tempfile::tempdir().unwrap();
    let file = here.path().join("x");
    fs::write(&file, &bytes).unwrap();
    server.state().cut = Some(200_000);
    let put = server.put(&file, &["--timeout=900ms"]);
    assert_eq!(put.code, Some(1), "{}", put.stderr);
    assert_eq!(names(here.path()), [".x.sending", "x"]);
    let kept = server.state().kept["x"].len();
    let put = server.put(&file, &["--json"]);
    assert_done(&put);
    assert!(put.stdout.contains(&format!("\"resumed_from\":{kept}")));
    assert_eq!(server.state().files["x"], bytes);
    assert_eq!(names(here.path()), ["x"]);
    // What the server keeps under another name is of nobody knows whom.
    server.state().kept.insert("y".to_owned(), content(1000, 9));
    assert_done(&server.put(&file, &["--as=y"]));
    assert_eq!(server.state().files["y"], bytes);
    server.state().cut = Some(200_000);
    let put = server.put(&file, &["--timeout=900ms", "--as=z"]);
    assert_eq!(put.code, Some(1));
    server.state().is_strict = true;
    assert_done(&server.put(&file, &["--as=z"]));
    assert_eq!(server.state().files["z"], bytes);
    let refused = server.put(&file, &[]);
    let said = (Some(3), "error: it exists already\n");
    assert_eq!((refused.code, &*refused.stderr), said);
}

#[test]
fn what_is_lost_on_its_way_comes_again() {
    let bytes = content(100_000, 4);
    let server = Tftp::start(&[("x", &bytes)]);
    server.state().loss = Some(37);
    let here = tempfile::tempdir().unwrap();
    assert_done(&server.get("x", here.path(), &[]));
    assert_eq!(fs::read(here.path().join("x")).unwrap(), bytes);
}

#[test]
fn the_largest_blocks_are_taken() {
    let bytes = content(3_000_000, 5);
    let server = Tftp::start(&[("x", &bytes)]);
    let here = tempfile::tempdir().unwrap();
    assert_done(&server.get("x", here.path(), &["--block=65464"]));
    assert_eq!(fs::read(here.path().join("x")).unwrap(), bytes);
    assert_done(&server.put(&here.path().join("x"), &["--block=65464", "--as=y"]));
    assert_eq!(server.state().files["y"], bytes);
}

#[test]
fn a_closed_port_a_refusal_and_a_list_are_told_apart() {
    let here = tempfile::tempdir().unwrap();
    let folder = here.path().to_str().unwrap();
    let got = run(&["get", CLOSED_PORT, "x", "y", "-o", folder]);
    let line = |name| format!("error: {name}: {CLOSED_PORT}: connection refused\n");
    let last = "error: 2 of 2 files were not fetched\n";
    let expected = format!("{}{}{last}", line("x"), line("y"));
    assert_eq!((got.code, got.stderr), (Some(1), expected));
    let server = Tftp::start(&[]);
    let got = server.get("x", here.path(), &[]);
    let said = (Some(3), "error: there is no such file\n");
    assert_eq!((got.code, &*got.stderr), said);
    assert_eq!(names(here.path()), [""; 0]);
    let listed = run(&["ls", "udp://127.0.0.1:1"]);
    assert_eq!(listed.code, Some(2));
    assert!(listed.stderr.contains("TFTP has no lists"));
}

#[test]
fn offsets_have_64_bits_and_a_refused_part_stays() {
    let server = Tftp::start(&[]);
    let here = tempfile::tempdir().unwrap();
    let part = here.path().join(".x.partial");
    let bytes = 5 * 1024 * 1024 * 1024 + 7;
    // It has no blocks on the disk.
    fs::File::create(&part).unwrap().set_len(bytes).unwrap();
    fs::write(here.path().join(".x.partial.version"), "size 9000000000\n").unwrap();
    assert_eq!(server.get("x", here.path(), &[]).code, Some(3));
    let offsets: Vec<_> = server
        .asked()
        .iter()
        .map(|options| options.offset)
        .collect();
    assert_eq!(offsets, [Some(bytes - 65_536), None]);
    assert_eq!(fs::metadata(&part).unwrap().len(), bytes);
}

#[test]
fn ctrl_c_leaves_a_part_over_datagrams_too() {
    let bytes = content(400_000, 1);
    let server = Tftp::start(&[("x", &bytes)]);
    let here = tempfile::tempdir().unwrap();
    let folder = here.path().to_str().unwrap();
    server.state().cut = Some(200_000);
    let mut client = Client::start(&["get", &server.endpoint, "x", "-o", folder]);
    wait_for_part(here.path(), 100_000);
    client.interrupt();
    assert_eq!(client.bytes().0, None);
    let _ = server.asked();
    assert_done(&server.get("x", here.path(), &[]));
    assert!(server.asked()[0].offset > Some(0));
    assert_eq!(fs::read(here.path().join("x")).unwrap(), bytes);
}

#[test]
fn nobody_else_is_heard_however_early_it_came() {
    let here = tempfile::tempdir().unwrap();
    let [asked, a, b] = std::array::from_fn(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
    let endpoint = format!("udp://{}", asked.local_addr().unwrap());
    let folder = here.path().to_str().unwrap();
    let mut client = Client::start(&["get", &endpoint, "x", "-o", folder]);
    let mut buffer = [0; 2000];
    let (_, to) = asked.recv_from(&mut buffer).unwrap();
    // Both are there before the client can say that it hears only the first.
    client.signal(Signal::STOP);
    a.send_to(&[&[0, 3, 0, 1][..], &[7; 512]].concat(), to)
        .unwrap();
    b.send_to(b"\0\x05\0\0another transfer\0", to).unwrap();
    client.signal(Signal::CONT);
    let count = a.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..count], [0, 4, 0, 1]);
    a.send_to(&[0, 3, 0, 2, 7], to).unwrap();
    assert_done(&client.outcome());
    assert_eq!(fs::read(here.path().join("x")).unwrap(), [7; 513]);
}

#[test]
fn an_error_that_passes_costs_no_part_and_says_that_another_call_may_do() {
    let bytes = content(100_000, 1);
    let server = Tftp::start(&[("x", &bytes)]);
    let here = tempfile::tempdir().unwrap();
    let refuse = |words: &str| {
        let refusal = Refusal::new(Code::UNDEFINED, words);
        server.state().refusals = [refusal].into();
    };
    for (words, status) in [(BUSY, 3), (LEAVING, 1)] {
        fs::write(here.path().join(".x.partial"), &bytes[..90_000]).unwrap();
        fs::write(here.path().join(".x.partial.version"), "size 100000\n").unwrap();
        refuse(words);
        let got = server.get("x", here.path(), &[]);
        assert_eq!(got.code, Some(status), "{words}");
        assert!(
            got.stderr.ends_with(&format!("{words}\n")),
            "{}",
            got.stderr
        );
        assert!(server.asked().is_empty(), "it is not asked again");
        assert_done(&server.get("x", here.path(), &[]));
        assert_eq!(server.asked()[0].offset, Some(90_000 - 65_536));
        assert_eq!(fs::read(here.path().join("x")).unwrap(), bytes);
    }
    refuse(CHANGED);
    let got = server.get("x", here.path(), &[]);
    assert_eq!(got.code, Some(1), "{}", got.stderr);
    // Somebody sends it, or what an earlier call has left is put away.
    let file = here.path().join("x");
    let uploading = Refusal::new(Code::UNDEFINED, UPLOADING);
    server.state().refusals = [uploading.clone(), uploading.clone()].into();
    assert_done(&server.put(&file, &["--as", "new"]));
    server.state().refusals = vec![uploading; 1000].into();
    let put = server.put(&file, &["--as", "newer", "--timeout=300ms"]);
    assert_eq!(
        (put.code, put.stderr),
        (Some(3), format!("error: {UPLOADING}\n"))
    );
}
