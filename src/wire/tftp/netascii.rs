//! Netascii, the text of the network (RFC 764, as RFC 1350 section 1 asks for it): a line end is CR
//! LF, and a CR that ends no line is CR NUL. A file that went through both is what it was, byte by
//! byte, whatever it holds. Both are streams: a pair may be split over two blocks.

/// A file into netascii: LF becomes CR LF, CR becomes CR NUL.
#[derive(Debug, Clone, Copy, Default)]
pub struct Encoder {
    /// The second byte of a pair, for which there was no room.
    pending: Option<u8>,
}

impl Encoder {
    /// Encodes from the front of `bytes`, at most `room` bytes behind what `out` holds.
    ///
    /// Returns how many of `bytes` were used; the rest is to come again. All are, unless the room
    /// is used up.
    pub fn encode(&mut self, bytes: &[u8], room: usize, out: &mut Vec<u8>) -> usize {
        let end = out.len() + room;
        if out.len() < end {
            out.extend(self.pending.take());
        }
        let mut used = 0;
        while used < bytes.len() && out.len() < end {
            let rest = &bytes[used..];
            let plain = &rest[..rest.len().min(end - out.len())];
            let stop = plain.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let plain = &plain[..stop.unwrap_or(plain.len())];
            out.extend_from_slice(plain);
            used += plain.len();
            if stop.is_none() {
                continue;
            }
            let second = if bytes[used] == b'\n' { b'\n' } else { 0 };
            out.push(b'\r');
            used += 1;
            match out.len() < end {
                true => out.push(second),
                false => self.pending = Some(second),
            }
        }
        used
    }

    /// Whether everything that was used has come out.
    pub fn is_empty(&self) -> bool {
        self.pending.is_none()
    }
}

/// Netascii into a file: CR LF becomes LF, CR NUL becomes CR.
///
/// A CR before anything else, or at the end, should not be; it stays as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Decoder {
    /// The last byte was a CR; what it means shows with the next.
    is_pending: bool,
}

impl Decoder {
    /// Decodes all of `bytes` behind what `out` holds, at most one byte more than they are.
    pub fn decode(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some((first, behind)) = rest.split_first() {
            if self.is_pending {
                self.is_pending = false;
                match first {
                    b'\n' => out.push(b'\n'),
                    0 => out.push(b'\r'),
                    _ => {
                        out.push(b'\r');
                        continue;
                    }
                }
                rest = behind;
                continue;
            }
            let stop = rest.iter().position(|byte| *byte == b'\r');
            out.extend_from_slice(&rest[..stop.unwrap_or(rest.len())]);
            self.is_pending = stop.is_some();
            rest = stop.map_or(&[], |at| &rest[at + 1..]);
        }
    }

    /// Nothing more comes.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.is_pending) {
            out.push(b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: &[u8], room: usize) -> Vec<u8> {
        let (mut encoder, mut out, mut used) = (Encoder::default(), Vec::new(), 0);
        while used < bytes.len() || !encoder.is_empty() {
            let before = out.len();
            used += encoder.encode(&bytes[used..], room, &mut out);
            assert!(out.len() > before && out.len() <= before + room);
        }
        out
    }

    fn decoded(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut decoder, mut out) = (Decoder::default(), Vec::new());
        pieces
            .iter()
            .for_each(|piece| decoder.decode(piece, &mut out));
        decoder.finish(&mut out);
        out
    }

    #[test]
    fn line_ends_become_those_of_the_network_and_come_back() {
        let file = b"\none\r\ntwo\r\r\n\0\n\r";
        let text = b"\r\none\r\0\r\ntwo\r\0\r\0\r\n\0\r\n\r\0";
        for room in 1..=text.len() + 1 {
            assert_eq!(encoded(file, room), text, "room for {room}");
        }
        for cut in 0..=text.len() {
            assert_eq!(decoded(&[&text[..cut], &text[cut..]]), file, "cut at {cut}");
        }
        let bytes: Vec<_> = text.chunks(1).collect();
        assert_eq!(decoded(&bytes), file);
    }

    #[test]
    fn a_carriage_return_that_means_nothing_stays() {
        assert_eq!(decoded(&[b"a\rb\r\rc\r"]), b"a\rb\r\rc\r");
        assert_eq!(decoded(&[b"\r", b"\r", b"\n"]), b"\r\n");
        assert_eq!(decoded(&[b"a\nb\0c"]), b"a\nb\0c");
    }
}
