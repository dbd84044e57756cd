//! `locker`: rules against guessing, the line for the hash threads, and the passwords themselves.

pub mod guard;
pub mod line;
pub mod password;
