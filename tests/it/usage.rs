//! What is wrong with a command line is said before anything is bound, and the exit status is 2.

use crate::support::refusal::refused;
use crate::support::server::Builder;

#[test]
fn a_wrong_option_is_a_usage_error_that_names_the_listener_and_the_key() {
    for (argument, words) in [
        (
            "slot=tcp://127.0.0.1:0?delay=soon",
            "option delay: 'soon' is no duration",
        ),
        (
            "slot=tcp://127.0.0.1:0?size=1",
            "option size: '1' is no whole number",
        ),
        (
            "slot=unix:/nowhere/slot?mode=rw",
            "option mode: 'rw' is no mode",
        ),
        (
            "slot=unix:/nowhere/slot?notify=hup",
            "option notify: 'hup' is none of usr1",
        ),
        (
            "sum=tcp://127.0.0.1:0?wire=morse",
            "option wire: 'morse' is none of auto, text, binary",
        ),
    ] {
        // The one before it is in order, and must not be bound.
        let refusal = refused(&Builder::new(&["echo=unix:DIR/echo", argument]));
        let listener = argument.split('?').next().unwrap();
        refusal.expect(2, &["error: ", listener, words]);
        assert!(!refusal.stderr.contains("echo=unix"), "{refusal:?}");
    }
    let both = [
        "slot=tcp://127.0.0.1:0?size=10",
        "slot=unix:/nowhere/slot?size=20",
    ];
    refused(&Builder::new(&both)).expect(2, &["slot=unix:/nowhere/slot: option size"]);
}
