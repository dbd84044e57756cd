//! The real binary as a client, against servers that do what no good server does.

mod echo;
mod sum;
mod support;
mod usage;
mod write;
