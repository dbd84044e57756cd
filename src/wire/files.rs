//! The text wire of `files` from the client's side: commands made, lines of answers read.
//!
//! The service reads commands and makes answers in files of its own. Nothing here knows a socket.

use std::fmt;

/// The sentence of a refusal that passes: somebody sends a file of that name, or the server still
/// puts away what an earlier try has left.
pub const UPLOADING: &str = "a file of that name is being uploaded just now";

/// The sentence of the refusal that a whole upload gets which has not the hash that was announced.
pub const ANOTHER: &str = "the file that came is another one; nothing was kept";

/// The sentence of the refusal to hash a file that somebody writes to: a second time may do.
pub const CHANGED: &str = "the file has changed meanwhile; start over";

/// The sentence of a refusal that says nothing about the file.
pub const BUSY: &str = "busy, try again";

/// Why a name can't be written in a command; the texts are the end of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwritable {
    /// There is none.
    Empty,
    /// It holds a line end, or another control character.
    Control,
    /// It begins with a quote, or holds a quote and a blank: the wire has no escapes.
    Quote,
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the name is empty",
            Self::Control => "a name has no control characters",
            Self::Quote => "a name with '\"' in front, or with '\"' and a blank, can't be sent",
        })
    }
}

/// A name as it stands in a command: in quotes where there is a blank in it.
///
/// # Errors
/// Where it can't be written.
pub fn written(name: &[u8]) -> Result<Vec<u8>, Unwritable> {
    if name.is_empty() {
        return Err(Unwritable::Empty);
    }
    if name.iter().any(u8::is_ascii_control) {
        return Err(Unwritable::Control);
    }
    match (name.contains(&b' '), name.contains(&b'"')) {
        (true, true) => Err(Unwritable::Quote),
        (true, false) => Ok([b"\"", name, b"\""].concat()),
        (false, _) if name.starts_with(b"\"") => Err(Unwritable::Quote),
        (false, _) => Ok(name.to_vec()),
    }
}

/// Asks what is in a folder, or in the root.
///
/// # Errors
/// Where the name can't be written.
pub fn list(folder: Option<&[u8]>) -> Result<Vec<u8>, Unwritable> {
    match folder {
        None => Ok(b"list\n".to_vec()),
        Some(folder) => command("list", folder, ""),
    }
}

/// Asks for the hash of a file, or of its first `length` bytes.
///
/// # Errors
/// Where the name can't be written.
pub fn hash(name: &[u8], length: Option<u64>) -> Result<Vec<u8>, Unwritable> {
    let rest = length.map_or_else(String::new, |length| format!(" {length}"));
    command("hash", name, &rest)
}

/// Asks for a file from `offset` on, of that version if one is given.
///
/// # Errors
/// Where the name can't be written.
pub fn get(name: &[u8], offset: u64, version: Option<&str>) -> Result<Vec<u8>, Unwritable> {
    let rest = match (offset, version) {
        (0, None) => String::new(),
        (_, None) => format!(" {offset}"),
        (_, Some(version)) => format!(" {offset} {version}"),
    };
    command("get", name, &rest)
}

/// Asks to take a file of `size` bytes with that hash, of which the server may keep as many as
/// `offset` from an earlier try.
///
/// # Errors
/// Where the name can't be written.
pub fn put(name: &[u8], size: u64, offset: u64, hash: &str) -> Result<Vec<u8>, Unwritable> {
    command("put", name, &format!(" {size} {offset} {hash}"))
}

fn command(verb: &str, name: &[u8], rest: &str) -> Result<Vec<u8>, Unwritable> {
    let name = written(name)?;
    Ok([verb.as_bytes(), b" ", &name, rest.as_bytes(), b"\n"].concat())
}

/// One line of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said<'a> {
    /// It was done; what stands behind `ok`.
    Ok(&'a [u8]),
    /// The server said no; the whole line.
    Error(&'a [u8]),
    /// Anything else.
    Other(&'a [u8]),
}

/// What a line means.
pub fn said(line: &[u8]) -> Said<'_> {
    match line {
        b"ok" => Said::Ok(b""),
        [b'o', b'k', b' ', rest @ ..] => Said::Ok(rest),
        _ if line.starts_with(b"error: ") => Said::Error(line),
        _ => Said::Other(line),
    }
}

/// Whether a line is the refusal of that sentence.
pub fn is_refusal(line: &str, sentence: &str) -> bool {
    line.strip_prefix("error: ") == Some(sentence)
}

/// What `get` is answered: bytes of the file follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coming {
    /// How many follow.
    pub bytes: u64,
    /// How many the whole file has.
    pub total: u64,
    /// Which state of the file it is: one word.
    pub version: String,
}

impl Coming {
    /// Reads what stands behind `ok`; `None` where it is something else, or not what was asked for.
    pub fn parse(text: &[u8], offset: u64) -> Option<Self> {
        let words = words(text)?;
        let [bytes, total, version] = words[..] else {
            return None;
        };
        let coming = Self {
            bytes: number(bytes)?,
            total: number(total)?,
            version: version.to_owned(),
        };
        (coming.total.checked_sub(offset)? == coming.bytes).then_some(coming)
    }
}

/// The SHA-256, in lower case, that stands behind the `ok` of `hash`; `None` where it is none.
pub fn sha256(text: &[u8]) -> Option<String> {
    let words = words(text)?;
    let ["sha256", hex] = words[..] else {
        return None;
    };
    let is_hex = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| hex.to_ascii_lowercase())
}

/// The offset that stands behind the `ok` of `put`, which is not beyond the file's size.
pub fn offset(text: &[u8], size: u64) -> Option<u64> {
    let words = words(text)?;
    let [offset] = words[..] else {
        return None;
    };
    number(offset).filter(|offset| *offset <= size)
}

/// One line of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// In bytes; 0 for a folder.
    pub size: u64,
    /// When it last changed, in seconds since 1970.
    pub time: i64,
    /// Without quotes and without the `/` behind a folder.
    pub name: &'a [u8],
    /// It is a folder.
    pub is_folder: bool,
}

impl<'a> Entry<'a> {
    /// Reads a line; `None` where it is something else.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(3, |byte| *byte == b' ');
        let size = number(std::str::from_utf8(parts.next()?).ok()?)?;
        let time = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
        let name = parts.next()?;
        let name = match name {
            [b'"', quoted @ .., b'"'] => quoted,
            _ => name,
        };
        let folder = name.strip_suffix(b"/");
        let name = folder.unwrap_or(name);
        (!name.is_empty()).then_some(Self {
            size,
            time,
            name,
            is_folder: folder.is_some(),
        })
    }
}

fn words(text: &[u8]) -> Option<Vec<&str>> {
    let text = std::str::from_utf8(text).ok()?;
    Some(text.split_ascii_whitespace().collect())
}

/// Digits only: no plus sign.
fn number(word: &str) -> Option<u64> {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| word.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(command: Result<Vec<u8>, Unwritable>) -> String {
        String::from_utf8(command.unwrap()).unwrap()
    }

    #[test]
    fn a_command_is_one_line() {
        assert_eq!(text(list(None)), "list\n");
        assert_eq!(text(list(Some(b"a b/c"))), "list \"a b/c\"\n");
        assert_eq!(text(hash(b"x", None)), "hash x\n");
        assert_eq!(text(hash(b"x", Some(1 << 33))), "hash x 8589934592\n");
        assert_eq!(text(get(b"x", 0, None)), "get x\n");
        assert_eq!(text(get(b"x", 7, None)), "get x 7\n");
        assert_eq!(text(get(b"x", 0, Some("7-a-b"))), "get x 0 7-a-b\n");
        assert_eq!(text(put(b"a b", 9, 8, "00")), "put \"a b\" 9 8 00\n");
    }

    #[test]
    fn a_name_that_would_be_read_otherwise_is_refused() {
        for (name, why) in [
            (&b""[..], Unwritable::Empty),
            (b"a\nb", Unwritable::Control),
            (b"a\tb", Unwritable::Control),
            (b"a\0", Unwritable::Control),
            (b"\"a", Unwritable::Quote),
            (b"a \"b\"", Unwritable::Quote),
        ] {
            assert_eq!(written(name), Err(why), "{name:?}");
            assert_eq!(get(name, 0, None), Err(why));
        }
        assert_eq!(written(b"a\"b"), Ok(b"a\"b".to_vec()));
        assert_eq!(written("비밀".as_bytes()), Ok("비밀".into()));
    }

    #[test]
    fn answers_are_read_only_where_they_make_sense() {
        let coming = |bytes, total| Coming {
            bytes,
            total,
            version: "v-1".to_owned(),
        };
        assert_eq!(Coming::parse(b"3 10 v-1", 7), Some(coming(3, 10)));
        assert_eq!(Coming::parse(b"0 0 v-1", 0), Some(coming(0, 0)));
        for bad in [
            &b"3 10 v-1"[..],
            b"3 10",
            b"+3 3 v",
            b"-1 2 v",
            b"",
            b"3 3 v w",
            b"\xff",
        ] {
            assert_eq!(Coming::parse(bad, 0), None, "{bad:?}");
        }
        assert_eq!(Coming::parse(b"3 10 v", 11), None);
        let hex = "AB".repeat(32);
        let answer = format!("sha256 {hex}");
        assert_eq!(sha256(answer.as_bytes()), Some("ab".repeat(32)));
        assert_eq!(sha256(b"sha256 abcd"), None);
        assert_eq!(sha256(format!("blake3 {hex}").as_bytes()), None);
        assert_eq!((offset(b"5", 5), offset(b"6", 5)), (Some(5), None));
        assert_eq!((offset(b"", 5), offset(b"1 2", 5)), (None, None));
    }

    #[test]
    fn lines_are_told_apart() {
        assert_eq!(said(b"ok"), Said::Ok(b""));
        assert_eq!(said(b"ok 5"), Said::Ok(b"5"));
        assert_eq!(said(b"error: no"), Said::Error(b"error: no"));
        for other in [&b"okay"[..], b"", b"5 6 x", b"error"] {
            assert_eq!(said(other), Said::Other(other));
        }
    }

    #[test]
    fn a_line_of_a_list_has_its_name_without_quotes() {
        let entry = |size, time, name, is_folder| {
            Some(Entry {
                size,
                time,
                name,
                is_folder,
            })
        };
        assert_eq!(Entry::parse(b"5 -6 x"), entry(5, -6, b"x", false));
        assert_eq!(Entry::parse(b"5 6 \"a b\""), entry(5, 6, b"a b", false));
        assert_eq!(Entry::parse(b"0 6 \"a b/\""), entry(0, 6, b"a b", true));
        assert_eq!(Entry::parse(b"0 6 a/"), entry(0, 6, b"a", true));
        for other in [&b"5 6 "[..], b"5 6", b"x 6 a", b"5 y a", b"", b"0 0 /"] {
            assert_eq!(Entry::parse(other), None, "{other:?}");
        }
    }
}
