//! Clients that nobody here wrote, line by line, on streams: which flag brings the answer, and
//! which one loses it in silence.
//!
//! Two kinds of service are asked. The slot answers 2 s after the message and needs no half-close.
//! A program of `exec` that counts what comes answers 1 s after the end of the client's writing.
//! A client that loses an answer does what it was told to; the manual has to say so, and the server
//! has to bear it.
//!
//! Not asked: TFTP clients and socket activation, for which there is nothing here yet; other hosts of
//! programs (inetd, `socat EXEC`), which are servers; `redis-cli`, which speaks a protocol of its
//! own; Python's `telnetlib`, which is gone. Some lines allow a second more than they would need.

use crate::support::program::serving;
use crate::support::shell::{Line, ending, line, run_all};

/// The half-close must reach the program, and its late answer the client.
const COUNT: &str = "n=$(wc -c); sleep 1; echo $n";

/// `printf hello | CLIENT` and an answer that is due after 2 s.
const SLOT_LIKE: &[Line] = &[
    line(
        "nc.openbsd",
        "printf hello | nc.openbsd $host $slot",
        "hello\0",
    ),
    line(
        "nc.openbsd",
        "printf hello | nc.openbsd -N $host $slot",
        "hello\0",
    ),
    line(
        "nc.openbsd",
        "printf hello | nc.openbsd -q1 $host $slot",
        "hello\0",
    ),
    // A second of quiet ends it.
    line(
        "nc.openbsd",
        "printf hello | nc.openbsd -w1 $host $slot",
        "",
    ),
    line(
        "nc.traditional",
        "printf hello | nc.traditional $host $slot",
        "hello\0",
    ),
    // -q is how long it stays after the end of its input.
    line(
        "nc.traditional",
        "printf hello | nc.traditional -q0 $host $slot",
        "",
    ),
    line(
        "nc.traditional",
        "printf hello | nc.traditional -q1 $host $slot",
        "",
    ),
    line("ncat", "printf hello | ncat $host $slot", "hello\0"),
    line(
        "ncat",
        "printf hello | ncat --no-shutdown $host $slot",
        "hello\0",
    ),
    line("ncat", "printf hello | ncat --send-only $host $slot", ""),
    ending("ncat", "printf hello | ncat -i1 $host $slot", "", 1),
    // It stays 0.5 s after the end of its input, or as long as -t says.
    line("socat", "printf hello | socat - TCP:$host:$slot", ""),
    line(
        "socat",
        "printf hello | socat -t3 - TCP:$host:$slot",
        "hello\0",
    ),
    line(
        "socat",
        "printf hello | socat -,ignoreeof TCP:$host:$slot",
        "hello\0",
    ),
    line(
        "busybox",
        "printf hello | busybox nc $host $slot",
        "hello\0",
    ),
    line(
        "curl",
        "printf hello | curl -s telnet://$host:$slot",
        "hello\0",
    ),
    ending(
        "curl",
        "printf hello | curl -s -m 1 telnet://$host:$slot",
        "",
        28,
    ),
    // It leaves at the end of its input and sends nothing.
    line(
        "telnet",
        "printf hello | telnet $host $slot | tail -n +4",
        "",
    ),
    line(
        "telnet",
        r"{ printf 'hello\n'; sleep 4; } | telnet $host $slot 2>&- | tail -n +4 | tr -d '\r'",
        "hello\n",
    ),
    line(
        "bash",
        "exec 3<>/dev/tcp/$host/$slot; printf hello >&3; cat <&3",
        "hello\0",
    ),
    line(
        "nc.openbsd",
        "printf hello | nc.openbsd -N -U $dir/slot",
        "hello\0",
    ),
    line("ncat", "printf hello | ncat -U $dir/slot", "hello\0"),
    line(
        "socat",
        "printf hello | socat -t3 - UNIX-CONNECT:$dir/slot",
        "hello\0",
    ),
];

/// `printf hello | CLIENT` and an answer 1 s after the end of its writing, if it ends it.
const COUNT_LIKE: &[Line] = &[
    ending(
        "nc.openbsd",
        "printf hello | timeout 3 nc.openbsd $host $count",
        "",
        124,
    ),
    line(
        "nc.openbsd",
        "printf hello | nc.openbsd -N $host $count",
        "5\n",
    ),
    line(
        "nc.openbsd",
        "printf hello | nc.openbsd -q1 $host $count",
        "5\n",
    ),
    // It has the answer after 1 s, and stays for 5 s.
    ending(
        "nc.openbsd",
        "printf hello | timeout 4 nc.openbsd -q5 $host $count",
        "5\n",
        124,
    ),
    ending(
        "nc.traditional",
        "printf hello | timeout 3 nc.traditional $host $count",
        "",
        124,
    ),
    // The table has -q2; a second more is for a busy machine.
    line(
        "nc.traditional",
        "printf hello | nc.traditional -q3 $host $count",
        "5\n",
    ),
    line("ncat", "printf hello | ncat $host $count", "5\n"),
    ending(
        "ncat",
        "printf hello | timeout 3 ncat --no-shutdown $host $count",
        "",
        124,
    ),
    line("socat", "printf hello | socat - TCP:$host:$count", ""),
    line(
        "socat",
        "printf hello | socat -t3 - TCP:$host:$count",
        "5\n",
    ),
    line("busybox", "printf hello | busybox nc $host $count", "5\n"),
    ending(
        "curl",
        "printf hello | curl -s -m 3 telnet://$host:$count",
        "",
        28,
    ),
    ending(
        "bash",
        "exec 3<>/dev/tcp/$host/$count; printf hello >&3; timeout 3 cat <&3",
        "",
        124,
    ),
    line(
        "nc.openbsd",
        "printf hello | nc.openbsd -N -U $dir/exec.sock",
        "5\n",
    ),
    line("ncat", "printf hello | ncat -U $dir/exec.sock", "5\n"),
    line(
        "socat",
        "printf hello | socat -t2 - UNIX-CONNECT:$dir/exec.sock",
        "5\n",
    ),
];

/// PHP and Perl, whose half-close has a name of its own; Python stands in `foreign`.
const LANGUAGES: &[Line] = &[
    line(
        "php",
        r#"php -r '$s = fsockopen($argv[1], $argv[2]); fwrite($s, "hello");
            stream_socket_shutdown($s, STREAM_SHUT_WR);
            echo stream_get_contents($s);' $host $count"#,
        "5\n",
    ),
    line(
        "php",
        r#"php -r '$s = fsockopen($argv[1], $argv[2]); fwrite($s, "hello");
            stream_socket_shutdown($s, STREAM_SHUT_WR);
            echo stream_get_contents($s);' $host $slot"#,
        "hello\0",
    ),
    // It waits for a newline or the end: a line is answered with a line.
    line(
        "php",
        r#"php -r '$s = fsockopen($argv[1], $argv[2]); fwrite($s, "hello\n");
            echo fgets($s);' $host $slot"#,
        "hello\n",
    ),
    line(
        "php",
        r#"php -r '$s = socket_create(AF_INET, SOCK_STREAM, SOL_TCP);
            socket_connect($s, $argv[1], $argv[2]); socket_write($s, "hello\n");
            echo socket_read($s, 100);' $host $slot"#,
        "hello\n",
    ),
    line(
        "php",
        r#"php -r '$s = socket_create(AF_INET, SOCK_STREAM, SOL_TCP);
            socket_connect($s, $argv[1], $argv[2]); socket_write($s, "hello\n");
            echo socket_read($s, 100, PHP_NORMAL_READ);' $host $slot"#,
        "hello\n",
    ),
    line(
        "perl",
        r#"perl -MIO::Socket::INET -e '
            $s = IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => $ARGV[1]);
            print $s "hello"; $s->flush; $s->shutdown(1); print <$s>;' $host $count"#,
        "5\n",
    ),
    line(
        "perl",
        r#"perl -MIO::Socket::UNIX -e '
            $s = IO::Socket::UNIX->new(Peer => $ARGV[0]);
            print $s "hello"; $s->flush; $s->shutdown(1); print <$s>;' $dir/exec.sock"#,
        "5\n",
    ),
];

#[test]
fn each_flag_brings_or_loses_the_answer_as_the_manual_says() {
    let server = serving(COUNT, "", &["slot=tcp://127.0.0.1:0", "slot=unix:DIR/slot"]).start();
    let variables = [
        ("host", "127.0.0.1".to_owned()),
        ("slot", server.tcp("slot").port().to_string()),
        ("count", server.tcp("exec").port().to_string()),
        ("dir", server.folder().display().to_string()),
    ];
    std::thread::scope(|scope| {
        for lines in [SLOT_LIKE, COUNT_LIKE, LANGUAGES] {
            let variables = &variables;
            scope.spawn(move || run_all(lines, variables));
        }
    });
    server.stop();
}
