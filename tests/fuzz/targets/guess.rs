//! The games on streams under any script: numbers, and names, which are compared folded.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::services::guess;

fuzz_target!(|input: &[u8]| {
    switchboard_fuzz::service(&guess::ENTRY, "max=3&tries=3", input);
    switchboard_fuzz::service(&guess::ENTRY, "game=name&tries=3", input);
});
