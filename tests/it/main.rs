//! Integration: the real binary, and many real client processes. One test binary, so that support
//! is built once. Each module is one theme.

mod support;

mod guess;
mod services;
mod talk;
mod tour;
