//! The text wire of the lockers from the client's side: requests made, lines of answers read.
//!
//! The service reads requests and makes answers in a file of its own. Nothing here knows a socket.

use std::fmt;

use zeroize::Zeroizing;

use crate::config::limits::{LOCKER_ITEM_BYTES_MAX, LOCKER_PASSWORD_BYTES_MAX};

/// A request with its newline; overwritten when it is dropped, since it may hold a password.
pub type Request = Zeroizing<Vec<u8>>;

/// Asks for the state of every locker.
pub fn show() -> Request {
    request(&[b"show"])
}

/// Asks for a free locker.
pub fn register(locker: u32, password: &[u8]) -> Request {
    request(&[b"register", locker.to_string().as_bytes(), password])
}

/// Asks to put an item into a locker.
pub fn store(locker: u32, password: &[u8], item: &[u8]) -> Request {
    request(&[b"store", locker.to_string().as_bytes(), password, item])
}

/// Asks for all items of a locker, which is free then.
pub fn retrieve(locker: u32, password: &[u8]) -> Request {
    request(&[b"retrieve", locker.to_string().as_bytes(), password])
}

/// Calls the administrator, who sets the password of a locker to `0000`.
pub fn reset(locker: u32) -> Request {
    request(&[b"reset", locker.to_string().as_bytes()])
}

/// Asks for a copy of the database at this path of the server's machine.
pub fn backup(path: &[u8]) -> Request {
    request(&[b"backup", path])
}

/// Asks for the list of commands, which changes nothing.
pub fn help() -> Request {
    request(&[b"help"])
}

fn request(words: &[&[u8]]) -> Request {
    // As large as it gets at once: a vector that grows leaves copies behind.
    let len = words.iter().map(|word| word.len() + 1).sum();
    let mut request = Zeroizing::new(Vec::with_capacity(len));
    for (at, word) in words.iter().enumerate() {
        if at > 0 {
            request.push(b' ');
        }
        request.extend_from_slice(word);
    }
    request.push(b'\n');
    request
}

/// Why a password or an item can't be sent; the texts are the end of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsendable {
    /// A password without a byte.
    EmptyPassword,
    /// A password of more than [`LOCKER_PASSWORD_BYTES_MAX`] bytes.
    LongPassword,
    /// A password with a blank or a line end in it, where the wire would cut it.
    BlankInPassword,
    /// An item without anything but blanks.
    EmptyItem,
    /// An item of more than [`LOCKER_ITEM_BYTES_MAX`] bytes.
    LongItem,
    /// An item with a line end in it.
    LineEndInItem,
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyPassword => f.write_str("password is empty"),
            Self::LongPassword => write!(
                f,
                "password has more than {LOCKER_PASSWORD_BYTES_MAX} bytes"
            ),
            Self::BlankInPassword => f.write_str("password holds a blank and can't be sent"),
            Self::EmptyItem => f.write_str("item is empty"),
            Self::LongItem => write!(f, "item has more than {LOCKER_ITEM_BYTES_MAX} bytes"),
            Self::LineEndInItem => f.write_str("item holds a line end and can't be sent"),
        }
    }
}

/// Whether a password reaches the server as it is.
pub fn check_password(password: &[u8]) -> Result<(), Unsendable> {
    // Vertical tab is white space for C, and not for Rust.
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    match password {
        [] => Err(Unsendable::EmptyPassword),
        _ if password.iter().any(is_blank) => Err(Unsendable::BlankInPassword),
        _ if password.len() > LOCKER_PASSWORD_BYTES_MAX => Err(Unsendable::LongPassword),
        _ => Ok(()),
    }
}

/// Whether an item reaches the server as it is, but for blanks in front, which the wire drops.
pub fn check_item(item: &[u8]) -> Result<(), Unsendable> {
    match item {
        _ if item.iter().any(|byte| matches!(byte, b'\n' | b'\r')) => {
            Err(Unsendable::LineEndInItem)
        }
        _ if item.trim_ascii().is_empty() => Err(Unsendable::EmptyItem),
        _ if item.len() > LOCKER_ITEM_BYTES_MAX => Err(Unsendable::LongItem),
        _ => Ok(()),
    }
}

/// One line of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said<'a> {
    /// A locker, and whether it is in use.
    Locker {
        /// Its number.
        number: u32,
        /// It is not free.
        in_use: bool,
    },
    /// An item that was taken out, as the server shows it.
    Item(&'a [u8]),
    /// The end of an answer: it was done; what stands behind `ok`.
    Ok(&'a [u8]),
    /// The end of an answer: the server said no; the whole line.
    Error(&'a [u8]),
    /// Anything else.
    Other(&'a [u8]),
}

/// What a line means.
pub fn said(line: &[u8]) -> Said<'_> {
    if line == b"ok" {
        return Said::Ok(b"");
    }
    if let Some(rest) = line.strip_prefix(b"ok ") {
        return Said::Ok(rest);
    }
    if let Some(item) = line.strip_prefix(b"item ") {
        return Said::Item(item);
    }
    if line.starts_with(b"error: ") {
        return Said::Error(line);
    }
    let locker = [(&b" free"[..], false), (b" in use", true)]
        .into_iter()
        .find_map(|(state, in_use)| {
            let number = std::str::from_utf8(line.strip_suffix(state)?).ok()?;
            let number = number.parse().ok()?;
            Some(Said::Locker { number, in_use })
        });
    locker.unwrap_or(Said::Other(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_line() {
        assert_eq!(show().as_slice(), b"show\n");
        assert_eq!(register(3, b"pw").as_slice(), b"register 3 pw\n");
        assert_eq!(store(3, b"pw", b"a b").as_slice(), b"store 3 pw a b\n");
        assert_eq!(retrieve(0, b"pw").as_slice(), b"retrieve 0 pw\n");
        assert_eq!(reset(15).as_slice(), b"reset 15\n");
        assert_eq!(help().as_slice(), b"help\n");
        assert_eq!(backup(b"/a b").as_slice(), b"backup /a b\n");
    }

    #[test]
    fn lines_of_answers_are_told_apart() {
        let locker = |number, in_use| Said::Locker { number, in_use };
        assert_eq!(said(b"0 free"), locker(0, false));
        assert_eq!(said(b"12 in use"), locker(12, true));
        assert_eq!(said(b"item 12 in use"), Said::Item(b"12 in use"));
        assert_eq!(said(b"item "), Said::Item(b""));
        assert_eq!(said(b"ok"), Said::Ok(b""));
        assert_eq!(said(b"ok 2 items"), Said::Ok(b"2 items"));
        assert_eq!(said(b"error: busy"), Said::Error(b"error: busy"));
        for other in [&b"x free"[..], b"-1 free", b"okay", b"", b"bye"] {
            assert_eq!(said(other), Said::Other(other));
        }
    }

    #[test]
    fn what_would_be_cut_on_its_way_is_refused() {
        assert_eq!(check_password(&[b'x'; 128]), Ok(()));
        assert_eq!(check_password("비밀".as_bytes()), Ok(()));
        assert_eq!(check_password(b""), Err(Unsendable::EmptyPassword));
        assert_eq!(check_password(&[b'x'; 129]), Err(Unsendable::LongPassword));
        for password in [&b"a b"[..], b"a\t", b"a\r", b"\n", b"\x0b", b" "] {
            assert_eq!(check_password(password), Err(Unsendable::BlankInPassword));
        }
        assert_eq!(check_item(&[b'x'; 256]), Ok(()));
        assert_eq!(check_item(&[b'x'; 257]), Err(Unsendable::LongItem));
        assert_eq!(check_item(b" "), Err(Unsendable::EmptyItem));
        assert_eq!(check_item(b"a\nb"), Err(Unsendable::LineEndInItem));
    }
}
