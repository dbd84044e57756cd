//! The services over real sockets.

use std::io::Write;
use std::net::Shutdown;

use crate::support::client::read_all;
use crate::support::server::Server;

#[test]
fn one_server_serves_all_services_over_tcp_and_unix() {
    let server = Server::start(&[
        "slot=tcp://127.0.0.1:0?delay=10ms",
        "sum=unix:DIR/sum.sock",
        "echo=tcp://127.0.0.1:0",
    ]);
    let mut slot = server.connect("slot");
    slot.write_all(b"hello\n").unwrap();
    assert_eq!(read_all(&mut slot), b"hello\n");
    let mut sum = server.connect_unix("sum");
    sum.write_all(b"5\n-7\n").unwrap();
    sum.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut sum), b"Result = -2\n");
    let mut echo = server.connect("echo");
    echo.write_all(b"every byte").unwrap();
    echo.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut echo), b"every byte");
    server.stop();
}
