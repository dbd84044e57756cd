//! The message slot under any script.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::services::slot;

fuzz_target!(|input: &[u8]| switchboard_fuzz::service(&slot::ENTRY, "", input));
