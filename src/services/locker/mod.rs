//! `locker`, in parts so far: rules against guessing, the line for the hash threads, the passwords
//! themselves, and the store.

pub mod guard;
pub mod line;
pub mod password;
pub mod store;
