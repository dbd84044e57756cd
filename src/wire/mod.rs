//! Codecs shared by services and clients. Pure: bytes in, bytes out; it knows no service.

pub mod block;
mod escape;
pub mod line;

pub use escape::{Escaped, Readable};
