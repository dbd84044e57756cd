//! Codecs shared by services and clients. Pure: bytes in, bytes out; it knows no service.

pub mod block;
mod escape;
pub mod files;
pub mod line;
pub mod locker;
pub mod tftp;

pub use escape::{Escaped, Readable};
