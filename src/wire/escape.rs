//! Bytes of a peer, made safe for a log or a terminal.

use std::fmt::{self, Write as _};

/// Shows bytes with everything escaped that could move a cursor or forge a line: control
/// characters, line ends, the escape byte, and all that is not printable ASCII.
///
/// Cut after `SHOWN_BYTES_MAX` bytes, with the number of the rest.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a [u8]);

/// How many bytes [`Escaped`] shows.
pub const SHOWN_BYTES_MAX: usize = 64;

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(SHOWN_BYTES_MAX)];
        write!(f, "\"{}\"", shown.escape_ascii())?;
        match self.0.len() - shown.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more bytes"),
        }
    }
}

/// Text of a peer for a person to read: whole, unquoted, letters of every script as they are;
/// control characters, line ends, marks of direction and invalid bytes escaped.
#[derive(Debug, Clone, Copy)]
pub struct Readable<'a>(pub &'a [u8]);

impl fmt::Display for Readable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match is_harmless(c) {
                    true => f.write_char(c)?,
                    false => write!(f, "{}", c.escape_default())?,
                }
            }
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

/// Whether a character can neither move a cursor nor reorder what stands beside it.
fn is_harmless(c: char) -> bool {
    // Line ends and marks of direction.
    const MARKS: &str = "\
        \u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\
        \u{2066}\u{2067}\u{2068}\u{2069}";
    !c.is_control() && !MARKS.contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_gets_through() {
        let shown = Escaped(b"a\x1b[2J\n\"\xe2\x80\xae").to_string();
        assert_eq!(shown, "\"a\\x1b[2J\\n\\\"\\xe2\\x80\\xae\"");
        let long = Escaped(&[b'x'; 100]).to_string();
        assert!(long.ends_with("\" and 36 more bytes"));
    }

    #[test]
    fn readable_text_keeps_letters_and_nothing_that_moves_a_cursor() {
        let shown = Readable("grüße \\ \"x\" \x1b[2J\u{9b}\u{202e}\r\n".as_bytes()).to_string();
        assert_eq!(shown, "grüße \\ \"x\" \\u{1b}[2J\\u{9b}\\u{202e}\\r\\n");
        assert_eq!(Readable(b"a\xffb\0").to_string(), "a\\xffb\\u{0}");
    }
}
