//! TFTP packets, read and written (RFC 1350 section 5, RFC 2347).

use std::fmt;

use super::Options;
use crate::config::limits::TFTP_MESSAGE_BYTES_MAX;

/// One packet; names, data and messages are those of the datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// RRQ: send me this file.
    Read(Request<'a>),
    /// WRQ: take this file from me.
    Write(Request<'a>),
    /// DATA: a block, the last one shorter than the others, perhaps empty.
    Data {
        /// Its number, counted from 1; 0 follows 65,535.
        block: u16,
        /// What it carries.
        bytes: &'a [u8],
    },
    /// ACK: all up to this block has come.
    Ack {
        /// The number of the last block.
        block: u16,
    },
    /// ERROR: the transfer is over; it is never answered.
    Error {
        /// What kind of error it is.
        code: Code,
        /// The same in words, as its sender wrote them.
        message: &'a [u8],
    },
    /// OACK: what a server grants of the options that it was asked for (RFC 2347).
    Oack(Options),
}

/// What a read or a write asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// The name of the file: not empty, no NUL in it; nothing else is checked.
    pub name: &'a [u8],
    /// How the file is put into bytes.
    pub mode: Mode,
    /// What is asked for beyond that.
    pub options: Options,
}

/// How a file is put into bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As it is.
    Octet,
    /// As text with line ends of the network: see [`Encoder`](super::Encoder).
    Netascii,
}

/// The number of an error (RFC 1350 appendix; 8 is of RFC 2347).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub u16);

impl Code {
    /// See the message.
    pub const UNDEFINED: Self = Self(0);
    /// There is no such file.
    pub const FILE_NOT_FOUND: Self = Self(1);
    /// It may not be read, or not be written.
    pub const ACCESS_VIOLATION: Self = Self(2);
    /// There is no room for it.
    pub const DISK_FULL: Self = Self(3);
    /// The packet makes no sense, or not there.
    pub const ILLEGAL_OPERATION: Self = Self(4);
    /// The packet belongs to no transfer of this port ("unknown transfer id").
    pub const UNKNOWN_TRANSFER: Self = Self(5);
    /// There is a file of that name.
    pub const FILE_EXISTS: Self = Self(6);
    /// There is no such user (only mail had one).
    pub const NO_SUCH_USER: Self = Self(7);
    /// An option can't be granted, or not be taken.
    pub const OPTION_REFUSED: Self = Self(8);
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match *self {
            Self::FILE_NOT_FOUND => "file not found",
            Self::ACCESS_VIOLATION => "access violation",
            Self::DISK_FULL => "disk full",
            Self::ILLEGAL_OPERATION => "illegal operation",
            Self::UNKNOWN_TRANSFER => "unknown transfer",
            Self::FILE_EXISTS => "file exists",
            Self::NO_SUCH_USER => "no such user",
            Self::OPTION_REFUSED => "option refused",
            _ => return write!(f, "error {}", self.0),
        };
        f.write_str(words)
    }
}

/// An error that we send: a transfer ends with it, or never begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of error it is.
    pub code: Code,
    /// The same in words for the peer.
    pub message: String,
}

impl Refusal {
    /// An error with a message of one line.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }

    /// It as a datagram.
    pub fn packet(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.as_packet().write(&mut bytes);
        bytes
    }

    pub(super) fn as_packet(&self) -> Packet<'_> {
        Packet::Error {
            code: self.code,
            message: self.message.as_bytes(),
        }
    }
}

/// Why a datagram is no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is too short, or a number in it is missing. Not worth an answer.
    Malformed,
    /// It begins with none of the known numbers.
    Operation,
    /// A request that has no name, or whose name or mode has no end.
    Request,
    /// A request in another mode than octet or netascii.
    Mode,
    /// An option of that name has a value that can't be granted or taken.
    Option(&'static str),
}

impl Fault {
    /// What a server answers to whoever sent it; `None` where nothing is answered.
    pub fn refusal(self) -> Option<Refusal> {
        let (code, message) = match self {
            Self::Malformed => return None,
            Self::Operation => (Code::ILLEGAL_OPERATION, "that is no TFTP packet".to_owned()),
            Self::Request => (
                Code::ILLEGAL_OPERATION,
                "a request has a name and a mode, each with a NUL behind it".to_owned(),
            ),
            Self::Mode => (
                Code::ILLEGAL_OPERATION,
                "the mode is octet or netascii".to_owned(),
            ),
            Self::Option(name) => (
                Code::OPTION_REFUSED,
                format!("the value of {name} is out of range"),
            ),
        };
        Some(Refusal { code, message })
    }
}

const RRQ: u16 = 1;
const WRQ: u16 = 2;
const DATA: u16 = 3;
const ACK: u16 = 4;
const ERROR: u16 = 5;
const OACK: u16 = 6;

impl<'a> Packet<'a> {
    /// Reads a datagram.
    ///
    /// Generous where it does no harm: bytes behind an ACK are ignored, so are an option without a
    /// value and a second one of the same name, and the message of an error needs no NUL behind it.
    /// A request may be longer than the 512 bytes of RFC 2347.
    ///
    /// # Errors
    /// Says why it is no packet. Whatever follows [`Packet::Error`]'s number counts as one, because
    /// nothing that looks like an error may be answered.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Fault> {
        let (operation, rest) = number(datagram)?;
        match operation {
            RRQ => Ok(Self::Read(Request::parse(rest)?)),
            WRQ => Ok(Self::Write(Request::parse(rest)?)),
            DATA => number(rest).map(|(block, bytes)| Self::Data { block, bytes }),
            ACK => number(rest).map(|(block, _)| Self::Ack { block }),
            ERROR => {
                let (code, message) = number(rest).unwrap_or((0, &[]));
                let message = message.split(|byte| *byte == 0).next();
                Ok(Self::Error {
                    code: Code(code),
                    message: message.unwrap_or_default(),
                })
            }
            OACK => Options::granted(rest).map(Self::Oack),
            _ => Err(Fault::Operation),
        }
    }

    /// Writes it behind what `out` holds.
    ///
    /// The message of an error ends at its first NUL, and is cut after [`TFTP_MESSAGE_BYTES_MAX`].
    pub fn write(&self, out: &mut Vec<u8>) {
        let operation = match self {
            Self::Read(_) => RRQ,
            Self::Write(_) => WRQ,
            Self::Data { .. } => DATA,
            Self::Ack { .. } => ACK,
            Self::Error { .. } => ERROR,
            Self::Oack(_) => OACK,
        };
        out.extend_from_slice(&operation.to_be_bytes());
        match self {
            Self::Read(request) | Self::Write(request) => request.write(out),
            Self::Data { block, bytes } => {
                out.extend_from_slice(&block.to_be_bytes());
                out.extend_from_slice(bytes);
            }
            Self::Ack { block } => out.extend_from_slice(&block.to_be_bytes()),
            Self::Error { code, message } => {
                out.extend_from_slice(&code.0.to_be_bytes());
                let message = message.iter().copied().take_while(|byte| *byte != 0);
                out.extend(message.take(TFTP_MESSAGE_BYTES_MAX));
                out.push(0);
            }
            Self::Oack(options) => options.write(out),
        }
    }
}

impl<'a> Request<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
        let (name, rest) = text(bytes).ok_or(Fault::Request)?;
        let (mode, rest) = text(rest).ok_or(Fault::Request)?;
        if name.is_empty() {
            return Err(Fault::Request);
        }
        let mode = match mode {
            mode if mode.eq_ignore_ascii_case(b"octet") => Mode::Octet,
            mode if mode.eq_ignore_ascii_case(b"netascii") => Mode::Netascii,
            _ => return Err(Fault::Mode),
        };
        let options = Options::asked(rest)?;
        Ok(Self {
            name,
            mode,
            options,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        debug_assert!(!self.name.is_empty() && !self.name.contains(&0));
        out.extend_from_slice(self.name);
        out.push(0);
        out.extend_from_slice(match self.mode {
            Mode::Octet => b"octet\0",
            Mode::Netascii => b"netascii\0",
        });
        self.options.write(out);
    }
}

/// A number of two bytes, and what follows it.
fn number(bytes: &[u8]) -> Result<(u16, &[u8]), Fault> {
    let (number, rest) = bytes.split_first_chunk().ok_or(Fault::Malformed)?;
    Ok((u16::from_be_bytes(*number), rest))
}

/// A text with a NUL behind it, and what follows that.
pub(super) fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(packet: &Packet<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        packet.write(&mut out);
        out
    }

    #[test]
    fn the_packets_of_debians_clients_are_read() {
        // curl, tftp-hpa, busybox.
        let curl = b"\0\x01f\0octet\0tsize\x000\0blksize\x00512\0timeout\x006\0";
        let Ok(Packet::Read(request)) = Packet::parse(curl) else {
            panic!("a read");
        };
        assert_eq!((request.name, request.mode), (&b"f"[..], Mode::Octet));
        let options = request.options;
        assert_eq!(options.size, Some(0));
        assert_eq!(options.block_bytes.map(|block| block.get()), Some(512));
        assert_eq!(options.timeout_s.map(|timeout| timeout.get()), Some(6));
        let hpa = b"\0\x02dir/f\0NetASCII\0";
        let expected = Request {
            name: b"dir/f",
            mode: Mode::Netascii,
            options: Options::default(),
        };
        assert_eq!(Packet::parse(hpa), Ok(Packet::Write(expected)));
        let busybox = b"\0\x01f\0octet\0blksize\x0065464\0tsize\x000\0";
        assert!(matches!(Packet::parse(busybox), Ok(Packet::Read(_))));
    }

    #[test]
    fn every_packet_is_written_as_the_rfc_has_it() {
        let data = Packet::Data {
            block: 0x0102,
            bytes: b"xy",
        };
        assert_eq!(written(&data), b"\0\x03\x01\x02xy");
        assert_eq!(written(&Packet::Ack { block: 65_535 }), b"\0\x04\xff\xff");
        let refusal = Refusal::new(Code::FILE_NOT_FOUND, "no f");
        assert_eq!(refusal.packet(), b"\0\x05\0\x01no f\0");
        assert_eq!(refusal.code.to_string(), "file not found");
        assert_eq!(Code(99).to_string(), "error 99");
        let long = Refusal::new(Code::UNDEFINED, "x".repeat(300));
        assert_eq!(long.packet().len(), 4 + TFTP_MESSAGE_BYTES_MAX + 1);
    }

    #[test]
    fn what_is_no_packet_is_refused_as_far_as_it_may_be() {
        let fault = |datagram| Packet::parse(datagram).expect_err("a fault");
        let code = |datagram| fault(datagram).refusal().map(|refusal| refusal.code);
        for short in [&b""[..], b"\0", b"\0\x03", b"\0\x03\0", b"\0\x04\0"] {
            assert_eq!(fault(short), Fault::Malformed);
            assert_eq!(code(short), None);
        }
        for request in [
            &b"\0\x01"[..],
            b"\0\x01f",
            b"\0\x01f\0octet",
            b"\0\x02\0octet\0",
        ] {
            assert_eq!(fault(request), Fault::Request, "{request:?}");
        }
        assert_eq!(fault(b"\0\x01f\0mail\0"), Fault::Mode);
        assert_eq!(fault(b"\0\x07\0\0"), Fault::Operation);
        assert_eq!(code(b"GET / HTTP/1.0"), Some(Code::ILLEGAL_OPERATION));
        let timeout = b"\0\x01f\0octet\0timeout\x000\0";
        assert_eq!(fault(timeout), Fault::Option("timeout"));
        assert_eq!(code(timeout), Some(Code::OPTION_REFUSED));
    }

    #[test]
    fn whatever_looks_like_an_error_is_one() {
        for datagram in [&b"\0\x05"[..], b"\0\x05\0", b"\0\x05\0\0", b"\0\x05\0\0no"] {
            assert!(matches!(Packet::parse(datagram), Ok(Packet::Error { .. })));
        }
        let expected = Packet::Error {
            code: Code(1),
            message: b"no",
        };
        assert_eq!(Packet::parse(b"\0\x05\0\x01no\0behind"), Ok(expected));
    }
}
