//! The lockers on the kiosk wire under any script.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::services::locker;

fuzz_target!(|input: &[u8]| switchboard_fuzz::service(
    &locker::ENTRY,
    "count=2&hash=8,1&wire=binary",
    input
));
