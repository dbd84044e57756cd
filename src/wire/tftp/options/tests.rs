//! Options as clients write them, and as servers answer.

use super::*;

fn asked(text: &str) -> Result<Options, Fault> {
    Options::asked(text.replace(' ', "\0").as_bytes())
}

fn granted(text: &str) -> Result<Options, Fault> {
    Options::granted(text.replace(' ', "\0").as_bytes())
}

fn written(options: Options) -> String {
    let mut out = Vec::new();
    options.write(&mut out);
    String::from_utf8(out).unwrap().replace('\0', " ")
}

#[test]
fn values_that_cannot_be_meant_are_ignored_bounded_or_refused() {
    for (text, expected) in [
        ("blksize 1428 ", Ok("blksize 1428 ")),
        ("BLKSize 8 TIMEOUT 255 ", Ok("blksize 8 timeout 255 ")),
        ("blksize 7 ", Err("blksize")),
        ("blksize 65465 ", Ok("blksize 65464 ")),
        ("blksize 70000 ", Ok("blksize 65464 ")),
        ("blksize abc ", Ok("")),
        ("blksize  ", Ok("")),
        ("blksize -8 ", Ok("")),
        ("timeout 0 ", Err("timeout")),
        ("timeout 256 ", Err("timeout")),
        ("windowsize 0 ", Err("windowsize")),
        ("windowsize 65536 ", Ok("windowsize 65535 ")),
        ("tsize 0 offset 5 ", Ok("tsize 0 offset 5 ")),
        (
            "offset 99999999999999999999 ",
            Ok("offset 18446744073709551615 "),
        ),
        ("rollover 1 tsize 3 ", Ok("tsize 3 ")),
        ("tsize 3 tsize 4 ", Ok("tsize 3 ")),
        ("tsize 3 timeout", Ok("tsize 3 ")),
        ("tsize", Ok("")),
    ] {
        let found = asked(text).map(written);
        let expected = expected.map(str::to_owned).map_err(Fault::Option);
        assert_eq!(found, expected, "{text:?}");
    }
    for text in [
        "blksize 65465 ",
        "blksize 70000 ",
        "windowsize 65536 ",
        "tsize x ",
    ] {
        let name = text.split(' ').next().unwrap();
        let fault = granted(text).expect_err("out of range");
        assert!(matches!(fault, Fault::Option(named) if named == name));
    }
    assert_eq!(granted("utimeout 5 tsize 7 ").unwrap().size, Some(7));
}

#[test]
fn a_server_grants_only_what_was_asked_for_and_never_more() {
    let grant = |text: &str, mode, size| asked(text).unwrap().grant_read(mode, size);
    let told = |text: &str, mode, size| grant(text, mode, size).map(written).unwrap();
    assert_eq!(told("tsize 0 ", Mode::Octet, 9), "tsize 9 ");
    assert_eq!(told("tsize 0 ", Mode::Octet, 0), "");
    assert_eq!(told("tsize 0 ", Mode::Netascii, 9), "");
    assert_eq!(
        told("offset 4 tsize 0 ", Mode::Octet, 9),
        "tsize 9 offset 4 "
    );
    assert_eq!(told("offset 9 ", Mode::Octet, 9), "offset 9 ");
    let refusal = grant("offset 10 ", Mode::Octet, 9).expect_err("beyond the end");
    assert_eq!(refusal.code, Code::OPTION_REFUSED);
    assert_eq!(told("windowsize 65535 ", Mode::Octet, 9), "windowsize 64 ");
    let large = told("windowsize 65535 blksize 65464 ", Mode::Octet, 9);
    assert_eq!(large, "blksize 65464 windowsize 1 ");
    let write = asked("tsize 20 offset 12 ").unwrap();
    assert_eq!(
        written(write.grant_write(Mode::Octet, 7)),
        "tsize 20 offset 7 "
    );
    assert_eq!(written(write.grant_write(Mode::Netascii, 99)), "offset 12 ");
}

#[test]
fn a_client_takes_only_what_it_has_asked_for() {
    let ours = asked("blksize 1428 tsize 0 timeout 3 windowsize 8 offset 100 ").unwrap();
    let settle = |text: &str, is_reader| ours.settle(granted(text).unwrap(), is_reader);
    let terms = settle("blksize 512 windowsize 8 tsize 400 offset 100 ", true).unwrap();
    assert_eq!((terms.block_bytes.get(), terms.window), (512, 8));
    assert_eq!(
        (terms.offset, terms.size, terms.timeout),
        (100, Some(400), None)
    );
    assert_eq!(settle("", true), Ok(Terms::default()));
    for bad in [
        "blksize 1429 ",
        "windowsize 9 ",
        "timeout 2 ",
        "offset 101 ",
        "offset 99 ",
    ] {
        let refusal = settle(bad, true).expect_err(bad);
        assert_eq!(refusal.code, Code::OPTION_REFUSED);
    }
    assert_eq!(
        settle("offset 99 ", false).map(|terms| terms.offset),
        Ok(99)
    );
    assert!(settle("offset 101 ", false).is_err());
    let nothing = Options::default();
    assert!(nothing.settle(granted("tsize 5 ").unwrap(), true).is_err());
}
