//! Talk under any script, the operator's lines among it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::services::talk;

fuzz_target!(|input: &[u8]| switchboard_fuzz::service(&talk::ENTRY, "", input));
