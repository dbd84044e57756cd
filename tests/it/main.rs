//! Integration: the real binary, and many real client processes. One test binary, so that support
//! is built once. Each module is one theme.

mod support;

mod exec;
mod exec_ends;
mod exec_faults;
mod exec_load;
mod services;
