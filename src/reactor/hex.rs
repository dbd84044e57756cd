//! The bytes themselves, for the log at `trace`.

use std::fmt;

use crate::config::limits::DUMP_BYTES_MAX;

/// Shows bytes as a hex dump: offset, sixteen numbers, and the printable characters, a line each.
pub(super) struct Dump<'a>(pub &'a [u8]);

/// As [`Dump`] for what a peer of a service sent or is sent; of what is secret only the length.
pub(super) struct Said<'a> {
    pub bytes: &'a [u8],
    pub secret: bool,
}

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.secret {
            true => write!(f, " {} bytes, which may hold secrets", self.bytes.len()),
            false => Dump(self.bytes).fmt(f),
        }
    }
}

impl fmt::Display for Dump<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(DUMP_BYTES_MAX)];
        for (row, bytes) in shown.chunks(16).enumerate() {
            write!(f, "\n  {:04x} ", row * 16)?;
            for at in 0..16 {
                match bytes.get(at) {
                    Some(byte) => write!(f, " {byte:02x}")?,
                    None => f.write_str("   ")?,
                }
            }
            f.write_str("  ")?;
            for byte in bytes {
                let printable = matches!(byte, b' '..=b'~');
                write!(f, "{}", if printable { char::from(*byte) } else { '.' })?;
            }
        }
        match self.0.len() - shown.len() {
            0 => Ok(()),
            more => write!(f, "\n  ... and {more} more bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_shows_numbers_and_characters_and_no_control_byte() {
        let text = Dump(b"hello\x1b\n0123456789x").to_string();
        assert_eq!(
            text,
            "\n  0000  68 65 6c 6c 6f 1b 0a 30 31 32 33 34 35 36 37 38  hello..012345678\
             \n  0010  39 78                                            9x"
        );
        assert!(
            Dump(&[0; 2000])
                .to_string()
                .ends_with("... and 976 more bytes")
        );
    }
}
