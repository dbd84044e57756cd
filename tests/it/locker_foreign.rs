//! Lockers and clients that nobody here wrote: each brings the whole answer, and leaves.

use crate::support::operator::Operated;
use crate::support::shell::{Line, line, run_all};

/// Commands with a `quit` behind them: whoever ends its writing or not, the server ends.
const WITH_QUIT: &[Line] = &[
    line(
        "nc.openbsd",
        r"printf 'show\nquit\n' | nc.openbsd -N $host $port | tail -2",
        "ok\nok bye\n",
    ),
    line(
        "nc.openbsd",
        r"printf 'show\nquit\n' | nc.openbsd $host $port | tail -2",
        "ok\nok bye\n",
    ),
    line(
        "nc.traditional",
        r"printf 'show\nquit\n' | nc.traditional $host $port | tail -2",
        "ok\nok bye\n",
    ),
    line(
        "ncat",
        r"printf 'show\nquit\n' | ncat $host $port | tail -2",
        "ok\nok bye\n",
    ),
    line(
        "socat",
        r"printf 'show\nquit\n' | socat -t3 - TCP:$host:$port | tail -2",
        "ok\nok bye\n",
    ),
    line(
        "busybox",
        r"printf 'show\nquit\n' | busybox nc $host $port | tail -2",
        "ok\nok bye\n",
    ),
    line(
        "curl",
        r"printf 'show\nquit\n' | curl -s telnet://$host:$port | tail -2",
        "ok\nok bye\n",
    ),
    line(
        "bash",
        r"exec 3<>/dev/tcp/$host/$port; printf 'show\nquit\n' >&3; tail -2 <&3",
        "ok\nok bye\n",
    ),
];

/// The lines of the manual, each with a locker of its own.
const OF_THE_MANUAL: &[Line] = &[
    line(
        "nc.openbsd",
        r"printf 'register 1 pw\nstore 1 pw a book\nquit\n' | nc.openbsd -N -U $path",
        "ok locker 1 is yours\nok 1 items\nok bye\n",
    ),
    line(
        "ncat",
        r"printf 'register 2 pw\nreset 2\nquit\n' | ncat -U $path",
        "ok locker 2 is yours\nok\nok bye\n",
    ),
    line(
        "socat",
        r"printf 'register 3 pw\nstore 3 pw a book\nretrieve 3 pw\nquit\n' |
            socat -t3 - UNIX-CONNECT:$path",
        "ok locker 3 is yours\nok 1 items\nitem a book\nok 1 items\nok bye\n",
    ),
];

#[test]
fn each_client_gets_the_whole_answer() {
    let lockers = "locker=unix:DIR/locker.sock?count=4&hash=8,1";
    let operated = Operated::start(&[lockers, "locker=tcp://127.0.0.1:0"]);
    let server = &operated.server;
    let variables = [
        ("host", "127.0.0.1".to_owned()),
        ("port", server.tcp("locker").port().to_string()),
        ("path", server.unix("locker").display().to_string()),
    ];
    run_all(OF_THE_MANUAL, &variables);
    run_all(WITH_QUIT, &variables);
    operated.server.stop();
}

#[test]
fn a_call_of_netcat_waits_for_the_operator() {
    let lockers = "locker=unix:DIR/locker.sock?count=4&hash=8,1";
    let mut operated = Operated::start(&[lockers, "locker=tcp://127.0.0.1:0"]);
    let variables = [
        ("host", "127.0.0.1".to_owned()),
        ("port", operated.server.tcp("locker").port().to_string()),
    ];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            run_all(
                &[line(
                    "nc.openbsd",
                    r"printf 'register 1 pw\nreset 1\n' | nc.openbsd -N $host $port",
                    "ok locker 1 is yours\nok waiting for the administrator\n",
                )],
                &variables,
            );
        });
        if !crate::support::have("nc.openbsd") {
            return;
        }
        operated.says("call 1: 127.0.0.1:");
        operated.types("approve 1");
        operated.says("locker 1 is reset, its password is 0000");
    });
    operated.server.stop();
}
