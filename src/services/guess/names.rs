//! The people of `game=name`: the built-in list, and files of one's own in the same form.
//!
//! A line is `HINT | NAME | OTHER SPELLING ...`. Empty lines and lines that begin with `#` are
//! passed over.

use std::fs::File;
use std::io::{self, Read as _};

use super::fold::folded;
use crate::config::limits::{NAMES_BYTES_MAX, NAMES_FIELD_BYTES_MAX, NAMES_MAX};

/// Somebody to be guessed.
#[derive(Debug, PartialEq, Eq)]
pub struct Person {
    /// What the client is told at first.
    pub hint: Box<str>,
    /// The name as the outcome shows it.
    pub name: Box<str>,
    /// Everything that is right, in the form in which names are compared.
    spellings: Vec<Box<str>>,
}

impl Person {
    /// Whether a guess, in the form in which names are compared, is this person.
    pub fn is(&self, guess: &str) -> bool {
        self.spellings.iter().any(|spelling| **spelling == *guess)
    }
}

/// The list that is compiled in.
pub const BUILT_IN: &str = include_str!("names.txt");

/// Reads a file of people; the error names the file, and the line where one is wrong.
pub fn read(path: &str) -> Result<Vec<Person>, String> {
    let named = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.escape_debug());
    let bytes = contents(path).map_err(|error| named(&error))?;
    if bytes.len() > NAMES_BYTES_MAX {
        return Err(named(&format!("has more than {NAMES_BYTES_MAX} bytes")));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        named(&format!("line {line}: is not UTF-8"))
    })?;
    parse(text).map_err(|problem| named(&problem))
}

/// At most one byte more than allowed.
fn contents(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = NAMES_BYTES_MAX as u64 + 1;
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads the text of such a file; the error names the line.
pub fn parse(text: &str) -> Result<Vec<Person>, String> {
    let mut people = Vec::new();
    // A mark that some editors put in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if people.len() == NAMES_MAX {
            return Err(format!("line {number}: more than {NAMES_MAX} names"));
        }
        people.push(person(line).map_err(|problem| format!("line {number}: {problem}"))?);
    }
    match people.is_empty() {
        true => Err("has no line 'HINT | NAME | OTHER SPELLING ...'".to_owned()),
        false => Ok(people),
    }
}

fn person(line: &str) -> Result<Person, String> {
    let mut fields = line.split('|').map(str::trim);
    let hint = checked(fields.next().unwrap_or_default(), "hint")?;
    let names: Vec<_> = fields.collect();
    let Some(name) = names.first() else {
        return Err("has no name; write HINT | NAME | OTHER SPELLING ...".to_owned());
    };
    let mut spellings: Vec<Box<str>> = Vec::new();
    for spelling in &names {
        let compared = folded(checked(spelling, "name")?.as_bytes());
        if compared.is_empty() {
            return Err("a name has neither letter nor digit".to_owned());
        }
        if !spellings.contains(&compared.as_str().into()) {
            spellings.push(compared.into());
        }
    }
    Ok(Person {
        hint: hint.into(),
        name: (*name).into(),
        spellings,
    })
}

/// A field that may be shown: not empty, not long, without control characters.
fn checked<'a>(field: &'a str, what: &str) -> Result<&'a str, String> {
    if field.is_empty() {
        return Err(format!("a {what} is empty"));
    }
    if field.len() > NAMES_FIELD_BYTES_MAX {
        return Err(format!(
            "a {what} has more than {NAMES_FIELD_BYTES_MAX} bytes"
        ));
    }
    if field.contains(char::is_control) {
        return Err(format!("a {what} holds a control character"));
    }
    Ok(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_list_is_long_enough_and_nobody_shares_a_spelling() {
        let people = parse(BUILT_IN).unwrap();
        assert!(people.len() >= 60, "{}", people.len());
        let mut seen = std::collections::HashMap::new();
        for person in &people {
            assert!(person.spellings.len() > 1 || person.name.contains(' '));
            for spelling in &person.spellings {
                let other = seen.insert(spelling.clone(), person.name.clone());
                assert_eq!(other, None, "{spelling} is {} too", person.name);
            }
        }
    }

    #[test]
    fn everybody_is_known_by_each_spelling_as_it_is_written() {
        for line in BUILT_IN.lines().filter(|line| !line.starts_with('#')) {
            let person = person(line).unwrap();
            for spelling in line.split('|').skip(1) {
                let upper = spelling.to_uppercase();
                let dense = spelling.replace([' ', '-', '.', '\''], "");
                for written in [spelling, &upper, &dense] {
                    assert!(person.is(&folded(written.as_bytes())), "{written}");
                }
            }
            assert!(!person.is(&folded(b"Nobody")));
            assert!(!person.is(""));
        }
    }

    #[test]
    fn a_hint_does_not_give_the_name_away() {
        for person in parse(BUILT_IN).unwrap() {
            let hint = folded(person.hint.as_bytes());
            for spelling in &person.spellings {
                assert!(!hint.contains(&**spelling), "{}", person.name);
            }
        }
    }

    #[test]
    fn a_file_is_read_and_a_wrong_one_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("names").display().to_string();
        let of = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(&path)
        };
        let people =
            of("\u{feff}# ours\r\n\r\nbig | Ann Äpfel|apfel |  Ann\r\nold|Bo".as_bytes()).unwrap();
        assert_eq!(people.len(), 2);
        assert_eq!((&*people[0].hint, &*people[0].name), ("big", "Ann Äpfel"));
        assert_eq!(people[0].spellings.len(), 3);
        assert!(people[1].is("bo"));
        let long = format!("{} | x\n", "h".repeat(NAMES_FIELD_BYTES_MAX + 1));
        let many = "h|n\n".repeat(NAMES_MAX + 1);
        for (bytes, problem) in [
            (&b"ok | a\nhint\n"[..], ": line 2: has no name"),
            (b"| a\n", ": line 1: a hint is empty"),
            (b"h | a | \n", ": line 1: a name is empty"),
            (b"h | ?!\n", ": line 1: a name has neither letter nor digit"),
            (
                b"h\x1b[2J | a\n",
                ": line 1: a hint holds a control character",
            ),
            (b"h | a\n\nh | \xff\n", ": line 3: is not UTF-8"),
            (b"# nobody\n", ": has no line"),
            (long.as_bytes(), ": line 1: a hint has more than"),
            (many.as_bytes(), "more than 10000 names"),
            (
                &vec![b'#'; NAMES_BYTES_MAX + 1],
                ": has more than 1048576 bytes",
            ),
        ] {
            let error = of(bytes).unwrap_err();
            assert!(error.contains(problem), "{error}");
            assert!(error.starts_with(&path), "{error}");
        }
        let missing = read(&format!("{path}.not")).unwrap_err();
        assert!(missing.contains("No such file"), "{missing}");
    }
}
