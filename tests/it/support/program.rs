//! Servers whose `exec` runs a small program of the test's.

use super::client;
use super::server::Builder;

/// A server of `exec` over TCP and Unix that runs this shell script, and an echo beside it.
/// `options` stand behind `run=`, each with its `&`.
pub fn serving(script: &str, options: &str, arguments: &[&str]) -> Builder {
    let tcp = format!("exec=tcp://127.0.0.1:0?run=DIR/program{options}");
    let unix = format!("exec=unix:DIR/exec.sock?run=DIR/program{options}");
    let mut all = vec![tcp.as_str(), unix.as_str(), "echo=tcp://127.0.0.1:0"];
    all.extend(arguments);
    let builder = Builder::new(&all);
    let path = builder.folder().join("program");
    // Another process writes it: were it open for writing here, a child that another test starts
    // just then would have it open too, and the kernel would call it busy.
    let write = [
        "-c",
        "cat >\"$0\" && chmod 755 \"$0\"",
        path.to_str().unwrap(),
    ];
    let text = format!("#!/bin/sh\n{script}\n");
    assert!(client::run("sh", &write, text.as_bytes()).status.success());
    builder
}

/// A server of `exec` over TCP and Unix that runs this program of the system's.
pub fn running(program: &str, options: &str, arguments: &[&str]) -> Builder {
    let tcp = format!("exec=tcp://127.0.0.1:0?run={program}{options}");
    let unix = format!("exec=unix:DIR/exec.sock?run={program}{options}");
    let mut all = vec![tcp.as_str(), unix.as_str(), "echo=tcp://127.0.0.1:0"];
    all.extend(arguments);
    Builder::new(&all)
}
