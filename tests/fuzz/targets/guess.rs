//! The games on streams under any script: numbers, or names, which are compared folded, as the
//! length of the input says. A list of one name, since each run reads it anew.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::services::guess;

const NAMES: &str = concat!(
    "game=name&tries=3&names=",
    env!("CARGO_MANIFEST_DIR"),
    "/../wire/names.list"
);

fuzz_target!(|input: &[u8]| {
    let options = match input.len() % 2 {
        0 => "max=3&tries=3",
        _ => NAMES,
    };
    switchboard_fuzz::service(&guess::ENTRY, options, input);
});
