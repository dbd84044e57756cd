//! What to serve: endpoints, listener options, the default board and the limits.
//!
//! Everything here is pure but for [`board`], which reads the environment to find the
//! runtime directory. Nothing here opens a socket.

pub mod board;
pub mod endpoint;
pub mod limits;
pub mod options;
pub mod users;
