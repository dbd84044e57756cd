//! Endpoints, listeners and durations out of any text: no panic, and what is taken is written so
//! that it is read back as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard::config::endpoint::{Endpoint, ListenerSpec};
use switchboard::config::options::parse_duration;

fuzz_target!(|text: &str| {
    if let Ok(endpoint) = text.parse::<Endpoint>() {
        let written = endpoint.to_string();
        assert!(
            !written.contains(char::is_control),
            "{written:?} is one line"
        );
        assert_eq!(written.parse(), Ok(endpoint), "{written:?}");
    }
    if let Ok(listener) = text.parse::<ListenerSpec>() {
        let written = listener.to_string();
        let read: ListenerSpec = written.parse().expect("what was written is read");
        assert_eq!(
            (read.service, read.endpoint),
            (listener.service, listener.endpoint)
        );
    }
    let _ = parse_duration(text);
});
