//! The game over datagrams under any script.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::services::guess;

fuzz_target!(|input: &[u8]| switchboard_fuzz::datagrams::service(
    &guess::ENTRY,
    "max=3&tries=3",
    input
));
