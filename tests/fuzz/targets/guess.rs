//! The games on streams under any script: numbers, or names, which are compared folded, as the
//! length of the input says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::services::guess;

fuzz_target!(|input: &[u8]| {
    let options = match input.len() % 2 {
        0 => "max=3&tries=3",
        _ => "game=name&tries=3",
    };
    switchboard_fuzz::service(&guess::ENTRY, options, input);
});
