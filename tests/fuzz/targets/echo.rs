//! The echo under any script.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::services::echo;

fuzz_target!(|input: &[u8]| switchboard_fuzz::service(&echo::ENTRY, "", input));
