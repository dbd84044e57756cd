//! Who is served when: events in place and in the queue, in a real loop over real sockets, one
//! iteration at a time.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::config::options::Values;
use crate::output::{Descriptors, Output};
use crate::reactor::{Settings, UnixOptions};
use crate::service::{Cx, Entry, Host, Never, Service};

/// Answers with the number of the callback among all of the service, and how much came.
#[derive(Default)]
struct Counting {
    calls: u32,
}

const COUNTING: Entry = Entry {
    name: "counting",
    summary: "",
    about: "",
    options: &[],
    datagrams: None,
    console: &[],
    transfers: false,
    secret: false,
    takes_lines: false,
    board: &[],
    build: |listeners| Host::build(listeners, |_| Ok(Counting::default())),
};

/// What a client says to get a deadline, with which it is no plain connection.
const WAIT: &[u8] = b"wait";

/// What it says to get one after the other, each of the moment in which it is asked for.
const RESTLESS: &[u8] = b"restless";

/// How far its deadline is.
const WAITS: Duration = Duration::from_secs(5);

impl Service for Counting {
    type Options = ();
    /// It asks for deadlines without end.
    type Session = bool;
    type Done = Never;
    const KNOWS_PEERS: bool = false;

    fn open(&mut self, _: &mut Cx<'_, Self>) -> bool {
        false
    }

    fn receive(&mut self, restless: &mut bool, input: &[u8], cx: &mut Cx<'_, Self>) -> usize {
        match input {
            WAIT => cx.set_deadline(WAITS),
            RESTLESS => {
                *restless = true;
                cx.set_deadline(Duration::ZERO);
            }
            _ => {
                self.calls += 1;
                cx.send_text(format_args!("{}: {}. ", self.calls, input.len()));
            }
        }
        input.len()
    }

    fn deadline(&mut self, restless: &mut bool, cx: &mut Cx<'_, Self>) {
        self.calls += 1;
        cx.send_text(format_args!("{}: late. ", self.calls));
        if *restless {
            cx.set_deadline(Duration::ZERO);
        }
    }
}

struct Loop {
    reactor: Reactor,
    directory: TempDir,
}

fn start(idle_timeout: Option<Duration>) -> Loop {
    let settings = Settings {
        grace: Duration::from_secs(5),
        idle_timeout,
        connections_max: 10,
        descriptors_max: 10,
        accepts: None,
        poll_for: Duration::ZERO,
        seed: None,
    };
    // Other tests have sockets open meanwhile.
    let shared = Descriptors::Shared;
    let (stdout, stderr) = (
        Output::stdout(shared).unwrap(),
        Output::stderr(shared).unwrap(),
    );
    let mut reactor = Reactor::new(settings, stdout, stderr).unwrap();
    let host = (COUNTING.build)(&[Values::default()]).unwrap();
    let service = reactor.add_service(&COUNTING, host);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let spec = format!("counting=unix:{}", path.display());
    let options = UnixOptions {
        mode: None,
        group: None,
        notify: false,
    };
    let spec = spec.parse().unwrap();
    reactor.listen(service, 0, &spec, &options).unwrap();
    Loop { reactor, directory }
}

impl Loop {
    /// So many clients whose connections the poller watches.
    fn clients<const COUNT: usize>(&mut self) -> [UnixStream; COUNT] {
        let path = self.directory.path().join("socket");
        let clients = [(); COUNT].map(|()| UnixStream::connect(&path).unwrap());
        while self.reactor.live < COUNT {
            self.iterate();
        }
        // Nothing has come from them, so the loop would ask them itself for a while.
        self.reactor.watch_fresh();
        clients
    }

    /// A client whose connection the poller does not watch.
    fn newcomer(&mut self) -> UnixStream {
        let client = UnixStream::connect(self.directory.path().join("socket")).unwrap();
        let live = self.reactor.live;
        while self.reactor.live == live {
            self.iterate();
        }
        client
    }

    /// One iteration. Whoever calls this knows of something to do.
    fn iterate(&mut self) {
        self.reactor.iterate().unwrap();
    }

    /// Has a client say something, and the loop take it.
    fn say(&mut self, mut client: &UnixStream, what: &[u8]) {
        client.write_all(what).unwrap();
        self.iterate();
    }
}

/// Each says one byte, in this order.
fn speak(clients: &[&UnixStream]) {
    for &client in clients {
        let mut client = client;
        client.write_all(b"x").unwrap();
    }
}

/// What has come for a client so far.
fn hear(mut client: &UnixStream) -> String {
    let mut buffer = [0; 2000];
    client.set_nonblocking(true).unwrap();
    match client.read(&mut buffer) {
        Ok(count) => String::from_utf8(buffer[..count].to_vec()).unwrap(),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            String::new()
        }
    }
}

#[test]
fn whoever_is_served_in_place_overtakes_nobody() {
    let mut t = start(None);
    let [a, b, c] = t.clients();
    // One that waits is not plain, so its turn is in the queue.
    t.say(&b, WAIT);
    let mut calls = 0;
    for order in [[&a, &b, &c], [&b, &a, &c], [&a, &c, &b], [&c, &b, &a]] {
        speak(&order);
        t.iterate();
        for client in order {
            calls += 1;
            assert_eq!(hear(client), format!("{calls}: 1. "));
        }
    }
}

#[test]
fn whoever_has_more_to_read_has_one_turn_in_each_iteration() {
    let mut t = start(None);
    let [a, b, c, d] = t.clients();
    t.say(&c, WAIT);
    t.say(&d, WAIT);
    t.reactor.clock.skip(WAITS);
    let much = vec![0; READ_BYTES_MAX + 7];
    (&a).write_all(&much).unwrap();
    speak(&[&b, &c]);
    t.iterate();
    assert_eq!(hear(&a), format!("1: {READ_BYTES_MAX}. "));
    assert_eq!(hear(&b), "2: 1. ");
    assert_eq!(hear(&c), "3: 1. 4: late. ");
    assert_eq!(
        hear(&d),
        "5: late. ",
        "and the deadlines come before the rest"
    );
    // It stands in the queue, before those whose events come now.
    speak(&[&b, &c]);
    t.iterate();
    assert_eq!(hear(&a), "6: 7. ");
    assert_eq!(hear(&b), "7: 1. ");
    assert_eq!(hear(&c), "8: 1. ");
}

#[test]
fn a_deadline_of_this_moment_is_no_second_turn() {
    let mut t = start(None);
    let [a, b] = t.clients();
    (&a).write_all(RESTLESS).unwrap();
    speak(&[&b]);
    for calls in [1, 3, 4] {
        t.iterate();
        assert_eq!(hear(&a), format!("{calls}: late. "));
    }
    assert_eq!(hear(&b), "2: 1. ");
}

#[test]
fn the_idle_limit_begins_anew_with_each_turn_in_place_and_still_comes() {
    let second = Duration::from_secs(1);
    let mut t = start(Some(10 * second));
    let [a] = t.clients();
    for calls in 1..4 {
        t.reactor.clock.skip(9 * second);
        t.say(&a, b"x");
        assert_eq!(hear(&a), format!("{calls}: 1. "));
    }
    // What had come when the limit passed is in time.
    t.reactor.clock.skip(11 * second);
    t.say(&a, b"x");
    assert_eq!(hear(&a), "4: 1. ");
    let said = t.reactor.clock.now();
    while t.reactor.services[0].host.sessions() == 1 {
        let now = t.reactor.clock.now();
        let until = t.reactor.wake_at(now);
        t.reactor.clock.skip(until.since(now));
        t.iterate();
    }
    let lasted = t.reactor.clock.now().since(said);
    assert!(lasted > 9 * second && lasted < 12 * second, "{lasted:?}");
}

#[test]
fn whoever_ends_its_writing_is_read_to_the_end() {
    let mut t = start(None);
    let [a, b] = t.clients();
    (&a).write_all(b"xyz").unwrap();
    a.shutdown(std::net::Shutdown::Write).unwrap();
    speak(&[&b]);
    while t.reactor.services[0].host.sessions() == 2 {
        t.iterate();
    }
    assert_eq!(hear(&a), "1: 3. ");
    assert_eq!(hear(&b), "2: 1. ");
}

#[test]
fn what_a_new_connection_sent_in_time_comes_before_a_deadline() {
    let mut t = start(None);
    let [a, b] = t.clients();
    let (mut calls, mut stay) = (0, Vec::new());
    for others in [false, true, true, true, true] {
        let new = t.newcomer();
        t.say(&a, WAIT);
        t.reactor.clock.skip(WAITS);
        if others {
            speak(&[&b]);
        }
        speak(&[&new]);
        t.iterate();
        for client in [&b, &new].into_iter().skip(usize::from(!others)) {
            calls += 1;
            assert_eq!(hear(client), format!("{calls}: 1. "));
        }
        calls += 1;
        assert_eq!(hear(&a), format!("{calls}: late. "));
        stay.push(new);
    }
}
