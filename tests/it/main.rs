//! Integration: the real binary, and many real client processes. One test binary, so that support
//! is built once. Each module is one theme.

mod support;

mod guess;
mod guess_udp;
mod services;
mod talk;
mod udp;
mod udp_forged;
