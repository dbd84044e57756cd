//! Endpoints, durations and options: nothing that is written makes them panic, and what they
//! accept means what it says.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use switchboard::config::endpoint::{Endpoint, ListenerSpec};
use switchboard::config::options::{Values, parse_duration};

use crate::cases;

/// Text that is nearly an endpoint or a listener.
fn nearly() -> impl Strategy<Value = String> {
    let parts = vec![
        "tcp://",
        "udp://",
        "unix:",
        "unix://",
        "@",
        "/",
        "[",
        "]",
        ":",
        "::1",
        "127.0.0.1",
        "0",
        "65535",
        "65536",
        "localhost",
        "slot=",
        "?",
        "&",
        "=",
        "delay",
        "2s",
        "%26",
        "%",
        "%zz",
        ".",
        "\0",
        "\n",
        "\"",
    ];
    let part = prop_oneof![4 => select(parts).prop_map(str::to_owned), 1 => ".{0,4}"];
    vec(part, 0..9).prop_map(|parts| parts.concat())
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}]")),
        "[a-z][a-z0-9.-]{0,20}",
    ]
}

fn endpoint() -> impl Strategy<Value = String> {
    prop_oneof![
        (host(), any::<u16>()).prop_map(|(host, port)| format!("tcp://{host}:{port}")),
        (host(), any::<u16>()).prop_map(|(host, port)| format!("udp://{host}:{port}")),
        "unix:/?[ -.0->A-~é]{0,20}[a-z]",
        "unix:////{1,3}[a-z]",
        "unix:@[ ->@-~é]{1,20}",
    ]
}

fn decoded(text: &str) -> String {
    text.replace("%26", "&").replace("%25", "%")
}

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn an_endpoint_is_written_as_it_was_read(text in endpoint()) {
        let read: Endpoint = text.parse().map_err(|error| TestCaseError::fail(format!("{error}")))?;
        prop_assert_eq!(read.to_string(), text);
    }

    #[test]
    fn whatever_is_taken_for_an_endpoint_is_read_back_from_its_own_form(text in nearly()) {
        if let Ok(read) = text.parse::<Endpoint>() {
            let written = read.to_string();
            prop_assert!(!written.contains(char::is_control), "{written:?} is one line");
            prop_assert_eq!(written.parse::<Endpoint>(), Ok(read));
            prop_assert!(Endpoint::looks_like(&text));
        }
        let _ = text.parse::<ListenerSpec>();
    }

    #[test]
    fn a_listener_keeps_its_service_its_endpoint_and_its_options(
        service in "[a-z]{1,9}", at in endpoint(), value in "[a-z0-9.%26]{0,9}",
    ) {
        let value = value.replace('%', "%25");
        let text = format!("{service}={at}?key={value}&other=1");
        let read: ListenerSpec = text.parse().map_err(|error| TestCaseError::fail(format!("{error}")))?;
        prop_assert_eq!(read.service, service);
        prop_assert_eq!(read.endpoint.to_string(), at);
        let expected = decoded(&value);
        prop_assert_eq!(read.values.text("key"), Some(expected.as_str()));
        prop_assert_eq!(read.values.number("other", 0..=1), Ok(Some(1)));
    }

    #[test]
    fn durations_mean_what_they_say(number in 0_u64..9_000, unit in select(vec!["ms", "s", "m", "h"])) {
        let unit_ms = match unit { "ms" => 1, "s" => 1_000, "m" => 60_000, _ => 3_600_000 };
        let read = parse_duration(&format!("{number}{unit}"));
        match number * unit_ms <= 365 * 24 * 3_600_000 {
            true => prop_assert_eq!(read, Ok(Duration::from_millis(number * unit_ms))),
            false => prop_assert!(read.is_err()),
        }
    }

    #[test]
    fn no_text_makes_a_duration_or_options_panic(text in "\\PC*", digits in "[0-9]{0,25}[a-zé]{0,3}") {
        let _ = (parse_duration(&text), parse_duration(&digits));
        if let Ok(values) = Values::parse(&text) {
            let _ = values.check_keys(&[]);
        }
    }

    #[test]
    fn values_are_found_by_their_keys(number: u64, low: u64, high: u64, text in nearly()) {
        let Ok(values) = Values::parse(&format!("a={number}&{text}")) else { return Ok(()) };
        let expected = (low..=high).contains(&number);
        prop_assert_eq!(values.number("a", low..=high).is_ok(), expected);
        prop_assert!(values.check_keys(&[]).is_err(), "a is in no table");
        prop_assert_eq!(values.text("never given"), None);
    }
}
