//! The lockers on the text wire under any script, the operator's lines among it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::services::locker;

fuzz_target!(|input: &[u8]| switchboard_fuzz::service(&locker::ENTRY, "count=2&hash=8,1", input));
