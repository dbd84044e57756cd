//! The options of TFTP: asked for, granted, taken (RFC 2347, 2348, 2349, 7440).
//!
//! What a value that can't be meant does, in a request:
//!
//! | value | `blksize` | `timeout` | `windowsize` | `tsize`, `offset` |
//! | --- | --- | --- | --- | --- |
//! | no decimal number | ignored | ignored | ignored | ignored |
//! | too small | error 8 | error 8 | error 8 | |
//! | too large | 65,464 is granted | error 8 | at most 65,535 is granted | as the largest number |
//!
//! An ignored option is left out of the OACK, as is one that nobody knows, so the client knows.
//! `blksize` and `windowsize` may be granted smaller than asked, so a large one harms nobody; a
//! `timeout` is granted as asked or not at all. In an OACK each such value is error 8, because no
//! server grants what nobody can have asked for.

use std::num::{NonZeroU8, NonZeroU16};
use std::time::Duration;

use super::packet::text;
use super::{Code, Fault, Mode, Refusal};
use crate::config::limits::{TFTP_WINDOW_BLOCKS_MAX, TFTP_WINDOW_BYTES_MAX};

/// The bytes of each block but the last: 8 to 65,464 (RFC 2348).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockBytes(u16);

impl BlockBytes {
    /// The fewest.
    pub const MIN: Self = Self(8);
    /// The most: with the headers of TFTP, UDP and IPv4, 65,496 bytes.
    pub const MAX: Self = Self(65_464);

    /// `None` where it is out of range.
    pub fn new(bytes: u16) -> Option<Self> {
        let block = Self(bytes);
        (Self::MIN..=Self::MAX).contains(&block).then_some(block)
    }

    /// How many.
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

/// Where nobody asks for another size (RFC 1350, section 2).
impl Default for BlockBytes {
    fn default() -> Self {
        Self(512)
    }
}

/// Options of a request, or of an OACK; `None` for those that are not in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// `blksize` (RFC 2348).
    pub block_bytes: Option<BlockBytes>,
    /// `tsize` (RFC 2349): bytes of the whole file; 0 where a reader asks.
    pub size: Option<u64>,
    /// `timeout` (RFC 2349): seconds until a packet is sent again.
    pub timeout_s: Option<NonZeroU8>,
    /// `windowsize` (RFC 7440): blocks for each acknowledgement.
    pub window: Option<NonZeroU16>,
    /// `offset`, ours: bytes of the file that the receiver has already.
    pub offset: Option<u64>,
}

/// Who wrote options.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Request,
    Oack,
}

impl Options {
    /// Options of a request.
    pub(super) fn asked(bytes: &[u8]) -> Result<Self, Fault> {
        Self::parse(bytes, From::Request)
    }

    /// Options of an OACK.
    pub(super) fn granted(bytes: &[u8]) -> Result<Self, Fault> {
        Self::parse(bytes, From::Oack)
    }

    fn parse(mut bytes: &[u8], from: From) -> Result<Self, Fault> {
        let mut options = Self::default();
        while let Some((name, rest)) = text(bytes) {
            let Some((value, rest)) = text(rest) else {
                break;
            };
            options.take(name, value, from)?;
            bytes = rest;
        }
        Ok(options)
    }

    /// Takes one option in; the first of a name counts.
    fn take(&mut self, name: &[u8], value: &[u8], from: From) -> Result<(), Fault> {
        const NAMES: [&str; 5] = ["blksize", "tsize", "timeout", "windowsize", "offset"];
        let known = NAMES
            .into_iter()
            .find(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        let Some(known) = known else {
            return Ok(());
        };
        let Some(number) = number(value) else {
            return match from {
                From::Request => Ok(()),
                From::Oack => Err(Fault::Option(known)),
            };
        };
        let bad = Fault::Option(known);
        let small = match (u16::try_from(number), from) {
            (Err(_), From::Request) => u16::MAX,
            (Err(_), From::Oack) if matches!(known, "blksize" | "windowsize") => return Err(bad),
            (small, _) => small.unwrap_or(u16::MAX),
        };
        match known {
            "blksize" => {
                let small = match from {
                    From::Request => small.min(BlockBytes::MAX.0),
                    From::Oack => small,
                };
                self.block_bytes
                    .get_or_insert(BlockBytes::new(small).ok_or(bad)?);
            }
            "timeout" => {
                let seconds = u8::try_from(number).ok().and_then(NonZeroU8::new);
                self.timeout_s.get_or_insert(seconds.ok_or(bad)?);
            }
            "windowsize" => {
                self.window
                    .get_or_insert(NonZeroU16::new(small).ok_or(bad)?);
            }
            "tsize" => {
                self.size.get_or_insert(number);
            }
            _ => {
                self.offset.get_or_insert(number);
            }
        }
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let values = [
            ("blksize", self.block_bytes.map(|block| u64::from(block.0))),
            ("tsize", self.size),
            (
                "timeout",
                self.timeout_s.map(|seconds| seconds.get().into()),
            ),
            ("windowsize", self.window.map(|blocks| blocks.get().into())),
            ("offset", self.offset),
        ];
        for (name, value) in values {
            let Some(value) = value else { continue };
            out.extend_from_slice(name.as_bytes());
            out.push(0);
            out.extend_from_slice(value.to_string().as_bytes());
            out.push(0);
        }
    }

    /// These, with a window that our own limits allow.
    fn bounded(self) -> Self {
        let block = self.block_bytes.unwrap_or_default().get();
        let most = (TFTP_WINDOW_BYTES_MAX / block).min(usize::from(TFTP_WINDOW_BLOCKS_MAX));
        let most = u16::try_from(most).ok().and_then(NonZeroU16::new);
        let most = most.unwrap_or(NonZeroU16::MIN);
        Self {
            window: self.window.map(|window| window.min(most)),
            ..self
        }
    }

    /// What a client asks for: a window within our limits, and no `tsize` with netascii, for which
    /// tftpd-hpa sends an error.
    pub(super) fn askable(self, mode: Mode) -> Self {
        Self {
            size: self.size.filter(|_| mode == Mode::Octet),
            ..self.bounded()
        }
    }

    /// What a server that has a file of `size` bytes grants to a reader.
    ///
    /// `tsize` is left out for an empty file, which curl takes for an error, and with netascii,
    /// where nobody knows how long the file will be before it was sent.
    ///
    /// # Errors
    /// Where the offset is beyond the end of the file.
    pub(super) fn grant_read(self, mode: Mode, size: u64) -> Result<Self, Refusal> {
        if self.offset.is_some_and(|offset| offset > size) {
            let message = format!("the offset is beyond the end; the file has {size} bytes");
            return Err(Refusal::new(Code::OPTION_REFUSED, message));
        }
        let is_told = self.size.is_some() && mode == Mode::Octet && size > 0;
        Ok(Self {
            size: is_told.then_some(size),
            ..self.bounded()
        })
    }

    /// What a server that has `kept` bytes of the file already grants to a writer.
    ///
    /// The offset may be smaller than asked. `tsize` comes back as it was sent (RFC 2349), but not 0,
    /// and not with netascii, where it says nothing about the file.
    pub(super) fn grant_write(self, mode: Mode, kept: u64) -> Self {
        Self {
            size: self.size.filter(|size| mode == Mode::Octet && *size > 0),
            offset: self.offset.map(|offset| offset.min(kept)),
            ..self.bounded()
        }
    }

    /// What a client that has asked for these is to do once the server has granted `granted`.
    ///
    /// # Errors
    /// Where the server grants what was not asked for, or more (RFC 2347, 2348, 2349, 7440); an
    /// `offset` to a reader only as asked, to a writer a smaller one too.
    pub(super) fn settle(self, granted: Self, is_reader: bool) -> Result<Terms, Refusal> {
        let offsets = (self.offset, granted.offset);
        let bad = match granted {
            _ if exceeds(self.block_bytes, granted.block_bytes) => "blksize",
            _ if exceeds(self.window, granted.window) => "windowsize",
            _ if granted.timeout_s.is_some() && granted.timeout_s != self.timeout_s => "timeout",
            _ if granted.size.is_some() && self.size.is_none() => "tsize",
            _ if exceeds(self.offset, granted.offset) => "offset",
            _ if is_reader && granted.offset.is_some() && offsets.0 != offsets.1 => "offset",
            _ => return Ok(granted.terms()),
        };
        let message = format!("{bad} was granted otherwise than it was asked for");
        Err(Refusal::new(Code::OPTION_REFUSED, message))
    }

    /// What holds once these were granted.
    pub(super) fn terms(self) -> Terms {
        Terms {
            block_bytes: self.block_bytes.unwrap_or_default(),
            window: self.window.map_or(1, |window| window.get().into()),
            timeout: self
                .timeout_s
                .map(|seconds| Duration::from_secs(seconds.get().into())),
            offset: self.offset.unwrap_or(0),
            size: self.size,
        }
    }
}

/// What both ends have agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Bytes of each block but the last.
    pub block_bytes: BlockBytes,
    /// Blocks for each acknowledgement.
    pub window: u64,
    /// Until a packet is sent again; ours, with back-off, where there is none.
    pub timeout: Option<Duration>,
    /// Where in the file block 1 begins. A client that has asked for another one starts over there.
    pub offset: u64,
    /// Bytes of the whole file, where the server has said so.
    pub size: Option<u64>,
}

/// Without options (RFC 1350).
impl Default for Terms {
    fn default() -> Self {
        Options::default().terms()
    }
}

fn exceeds<T: PartialOrd>(asked: Option<T>, granted: Option<T>) -> bool {
    granted.is_some_and(|granted| asked.is_none_or(|asked| granted > asked))
}

/// Decimal digits; `None` for anything else. What is too large for 64 bits is the largest number.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    })
}

#[cfg(test)]
mod tests;
