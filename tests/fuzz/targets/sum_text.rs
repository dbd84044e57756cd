//! The sums on the text wire under any script.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::services::sum;

fuzz_target!(|input: &[u8]| switchboard_fuzz::service(&sum::ENTRY, "wire=text", input));
