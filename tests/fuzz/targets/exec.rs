//! The places of programs under any script; no program is started.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::services::exec;

fuzz_target!(|input: &[u8]| switchboard_fuzz::service(&exec::ENTRY, "run=/bin/true&max=2", input));
