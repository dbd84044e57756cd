//! Clients that nobody here wrote, line by line, with datagrams.
//!
//! What they do with datagrams on Unix sockets is not asked: no service listens on one.

use std::net::UdpSocket;

use crate::support::rounds::{ROUNDS, in_one_of};
use crate::support::server::{Builder, Server};
use crate::support::shell::{Line, ending, line, run_all, run_one};
use crate::support::udp::{taken, udp, udp_of};
use crate::support::{have, wait_until};

const LINES: &[Line] = &[
    line(
        "nc.openbsd",
        "printf hello | nc.openbsd -u -w1 $host $echo",
        "hello",
    ),
    ending(
        "nc.openbsd",
        "printf hello | timeout 3 nc.openbsd -u $host $echo",
        "hello",
        124,
    ),
    // It no longer reads when its input has ended.
    line(
        "nc.openbsd",
        "printf hello | nc.openbsd -u -q1 $host $echo",
        "",
    ),
    line(
        "nc.traditional",
        "printf hello | nc.traditional -u -q1 $host $echo",
        "hello",
    ),
    line(
        "nc.traditional",
        "printf hello | nc.traditional -u -w1 $host $echo",
        "hello",
    ),
    // It leaves at the end of its input, so its input is kept open.
    line(
        "ncat",
        "{ printf hello; sleep 1; } | ncat -u $host $echo",
        "hello",
    ),
    // Without that it is chance whether the answer is there in time; the end comes at once.
    line(
        "ncat",
        "printf hello | timeout 3 ncat -u $host $echo >/dev/null",
        "",
    ),
    line(
        "ncat",
        "printf hello | timeout 3 ncat -u -i1 $host $echo >/dev/null",
        "",
    ),
    line("socat", "printf hello | socat - UDP:$host:$echo", "hello"),
    line(
        "socat",
        "printf hello | socat -t3 - UDP:$host:$echo",
        "hello",
    ),
    line(
        "bash",
        "exec 3<>/dev/udp/$host/$echo; printf hello >&3; head -c 5 <&3",
        "hello",
    ),
    line(
        "php",
        r#"php -r '$s = stream_socket_client("udp://$argv[1]:$argv[2]"); fwrite($s, "hello");
            echo fread($s, 65507);' $host $echo"#,
        "hello",
    ),
    // One socket, so one game: the first datagram may hold anything, the second is a guess.
    line(
        "nc.openbsd",
        r"{ echo; sleep 0.5; echo 3; } | nc.openbsd -u -w1 $host $guess",
        "Guess a number between 1 and 2.\nerror: that is no number from 1 to 2\n",
    ),
    // Nobody is there: only socat tells.
    line(
        "nc.openbsd",
        "printf hello | nc.openbsd -u -w1 $host $closed",
        "",
    ),
    ending(
        "socat",
        "printf hello | socat - UDP:$host:$closed 2>/dev/null",
        "",
        1,
    ),
];

#[test]
fn each_line_with_datagrams_does_what_the_manual_says() {
    let arguments = ["echo=udp://127.0.0.1:0", "guess=udp://127.0.0.1:0?max=2"];
    let server = Builder::new(&arguments).log("info").start();
    // It hears one peer only: to all others its port is closed, and nobody else gets it.
    let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
    elsewhere.connect(udp(&server, 0)).unwrap();
    let closed = elsewhere.local_addr().unwrap().port();
    let variables = [
        ("host", "127.0.0.1".to_owned()),
        ("echo", udp(&server, 0).port().to_string()),
        ("guess", udp_of(&server, "guess", 0).port().to_string()),
        ("closed", closed.to_string()),
    ];
    run_all(LINES, &variables);
    server.expect_no_warning();
    server.stop();
}

/// Sends the file with this line, expects that many datagrams, and as many bytes back.
fn sends(server: &Server, line: &Line, datagrams: u64) {
    if !have(line.program) {
        return;
    }
    let variables = [
        ("host", "127.0.0.1".to_owned()),
        ("echo", udp(server, 0).port().to_string()),
        ("dir", server.folder().display().to_string()),
    ];
    in_one_of(ROUNDS, || {
        let before = taken(server, 0);
        let done = run_one(line, &variables);
        wait_until("its datagrams", || taken(server, 0) >= before + datagrams);
        assert_eq!(taken(server, 0), before + datagrams, "{}", line.script);
        done
    });
}

#[test]
fn each_client_cuts_its_input_as_the_manual_says() {
    let server = Server::start(&["echo=udp://127.0.0.1:0"]);
    for len in [5_000, 20_000] {
        let file = server.folder().join(len.to_string());
        std::fs::write(file, vec![b'x'; len]).unwrap();
    }
    for (line, datagrams) in [
        (
            line(
                "socat",
                "socat - UDP:$host:$echo <$dir/5000 | wc -c",
                "5000\n",
            ),
            1,
        ),
        // It takes 16,384 bytes at a time.
        (
            line(
                "nc.openbsd",
                "nc.openbsd -u -w1 $host $echo <$dir/20000 | wc -c",
                "20000\n",
            ),
            2,
        ),
        // An empty datagram goes out, and comes back as one: socat takes it for the end.
        (
            line(
                "socat",
                "socat -,null-eof UDP:$host:$echo,shut-null </dev/null",
                "",
            ),
            1,
        ),
        // Without those words it sends none.
        (line("socat", "socat - UDP:$host:$echo </dev/null", ""), 0),
    ] {
        sends(&server, &line, datagrams);
    }
    server.stop();
}
