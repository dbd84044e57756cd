//! `files`, its parts: names, opening beneath the root, versions, hashes, uploads, cold files.
//!
//! All that blocks here is made for a lane. What only decides is apart from what reads or writes.

pub mod cached;
pub mod hash;
pub mod name;
pub mod refusal;
pub mod root;
pub mod uploads;
pub mod version;
