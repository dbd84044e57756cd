//! Bytes of a peer, made safe for a log or a terminal.

use std::fmt;

/// Shows bytes with everything escaped that could move a cursor or forge a line: control
/// characters, line ends, the escape byte, and all that is not printable ASCII.
///
/// Cut after [`SHOWN_BYTES_MAX`] bytes, with the number of the rest.
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
}
