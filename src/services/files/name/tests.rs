//! Hostile names, and lines that are hard to cut.

use super::*;

#[test]
fn hostile_names_are_refused_with_what_is_wrong() {
    let long_part = [b'x'; NAME_PART_BYTES_MAX + 1];
    let long = b"ab/".repeat(NAME_BYTES_MAX / 3 + 1);
    let table: &[(&[u8], NameError)] = &[
        (b"", NameError::Empty),
        (b"/", NameError::Absolute),
        (b"/etc/passwd", NameError::Absolute),
        (b"//etc/passwd", NameError::Absolute),
        (b".", NameError::Dots),
        (b"..", NameError::Dots),
        (b"../x", NameError::Dots),
        (b"a/../../x", NameError::Dots),
        (b"a/..", NameError::Dots),
        (b"a/./b", NameError::Dots),
        (b"...", NameError::Hidden),
        (b"..x", NameError::Hidden),
        (b".partial/x", NameError::Hidden),
        (b"a/.ssh/id", NameError::Hidden),
        (b"-rf", NameError::Dash),
        (b"a/-o", NameError::Dash),
        (b"a//b", NameError::EmptyPart),
        (b"a/", NameError::EmptyPart),
        (b"a\0b", NameError::Control),
        (b"a/../x\0", NameError::Dots),
        (b"a\nb", NameError::Control),
        (b"a\rb", NameError::Control),
        (b"a\tb", NameError::Control),
        (b"\x1b[2J", NameError::Control),
        (b"a\x7f", NameError::Control),
        ("a\u{9b}2J".as_bytes(), NameError::Control),
        (&long_part, NameError::LongPart),
        (&long, NameError::Long),
    ];
    for (name, error) in table {
        let shown = name.escape_ascii().to_string();
        assert_eq!(Name::parse(name), Err(*error), "{shown}");
        assert!(!error.to_string().contains('\n'), "{shown}");
    }
}

#[test]
fn other_names_are_taken_as_they_are() {
    let longest = [b'x'; NAME_PART_BYTES_MAX];
    let table: &[&[u8]] = &[
        b"a",
        b"a.b",
        b"a..b",
        b"a-b",
        b"a b",
        b" ",
        b"a\\..\\b",
        b"C:",
        b"%2e%2e",
        b"con",
        b"~",
        b"*",
        b"a\"b",
        b"a/b/c.txt",
        "grüße".as_bytes(),
        // Not UTF-8, and a way to write "." that nobody but a wrong decoder reads as one.
        b"\xff\xfe",
        b"\xc0\xae\xc0\xae",
        &longest,
    ];
    for name in table {
        let parsed = Name::parse(name).expect("a name");
        assert_eq!(parsed.as_bytes(), *name);
        assert!(!parsed.as_path().is_absolute());
    }
    let most = [&b"ab/".repeat(NAME_BYTES_MAX / 3)[..], b"a"].concat();
    assert_eq!(most.len(), NAME_BYTES_MAX);
    assert!(Name::parse(&most).is_ok());
}

#[test]
fn a_name_is_cut_into_its_folder_and_its_last_part() {
    let name = Name::parse(b"a/b/c").expect("a name");
    let (folder, last) = name.split();
    assert_eq!(
        (folder, last.as_bytes()),
        (Name::parse(b"a/b").ok(), &b"c"[..])
    );
    let name = Name::parse(b"c").expect("a name");
    assert_eq!((None, "c".as_ref()), name.split());
}

/// All words of a line.
fn words(mut line: &[u8]) -> Result<Vec<&[u8]>, WordError> {
    let mut words = Vec::new();
    while let Some(word) = next_word(&mut line)? {
        words.push(word);
    }
    Ok(words)
}

#[test]
fn lines_are_cut_into_words() {
    let table: &[(&[u8], &[&[u8]])] = &[
        (b"", &[]),
        (b"  \t ", &[]),
        (b"get a 5", &[b"get", b"a", b"5"]),
        (b" get\t\ta ", &[b"get", b"a"]),
        (b"get \"a b\" 5", &[b"get", b"a b", b"5"]),
        (b"get \"\"", &[b"get", b""]),
        (b"get a\"b", &[b"get", b"a\"b"]),
        (b"get a\"b c\"", &[b"get", b"a\"b", b"c\""]),
        (b"get a\\ b", &[b"get", b"a\\", b"b"]),
        (b"get \"a\\\" b", &[b"get", b"a\\", b"b"]),
    ];
    for (line, expected) in table {
        let cut = words(line);
        assert_eq!(cut.as_deref(), Ok(*expected), "{}", line.escape_ascii());
    }
    assert_eq!(words(b"get \"a b"), Err(WordError::Open));
    assert_eq!(words(b"get \""), Err(WordError::Open));
    assert_eq!(words(b"get \"a\"b"), Err(WordError::Joined));
}

#[test]
fn what_can_be_written_is_read_back() {
    let table: &[(&[u8], Option<&[u8]>)] = &[
        (b"a", Some(b"a")),
        (b"a b", Some(b"\"a b\"")),
        (b"", Some(b"\"\"")),
        (b"a\"b", Some(b"a\"b")),
        (b"\"a", None),
        (b"a \"b", None),
    ];
    for (name, expected) in table {
        let line = written(name);
        assert_eq!(line.as_deref(), *expected);
        if let Some(line) = line {
            assert_eq!(words(&line).as_deref(), Ok(&[*name][..]));
        }
    }
}
