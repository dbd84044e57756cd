//! A server of lockers, started on some files, told some commands, and killed at each call by which
//! it writes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use rustix::process::{Signal, kill_process};

use super::lockers::{Data, Kiosk, Known};
use super::points::{self, Point, WRITING, for_all, injected, traced, was_killed};
use super::server::{Builder, Server};

/// What a server is killed at.
pub struct Scenario<'a> {
    /// What it is started on.
    pub data: Data,
    /// What lies in its lockers then.
    pub known: Known,
    /// Behind the options of the listener.
    pub options: &'a str,
    /// Only calls whose line in a trace fits this are points.
    pub only: fn(&str) -> bool,
    /// What a client says, with DATA for the folder; then the server is asked to end.
    pub commands: &'a [&'a str],
    /// What is in the folder after the next start and its clean end.
    pub leaves: &'a [&'a str],
    /// What else holds then.
    pub after: fn(&Data),
}

impl Scenario<'_> {
    /// Runs it to its end, or to the server's. What was under way then: the start, a command, the
    /// end; `None` where the server ended by itself.
    fn run(&self, data: &Data, builder: Builder, known: &mut Known) -> Option<String> {
        let mut command = builder.command();
        let mut server = match builder.try_start_as(&mut command) {
            Ok(server) => server,
            Err((builder, status)) => {
                let log = fs::read_to_string(builder.folder().join("log")).unwrap();
                assert!(was_killed(status), "{status}: {log}");
                return Some("the start".to_owned());
            }
        };
        if let Some(part) = self.converse(data, &server, known) {
            // Only then its locks are free.
            assert!(was_killed(server.wait()), "{}", server.log());
            return Some(part);
        }
        // It may just have been killed.
        let _ = kill_process(server.pid(), Signal::INT);
        let status = server.wait();
        if was_killed(status) {
            return Some("the end".to_owned());
        }
        assert_eq!(status.code(), Some(0), "{}", server.log());
        None
    }

    fn converse(&self, data: &Data, server: &Server, known: &mut Known) -> Option<String> {
        // A server that is killed while it takes the client has begun the first command.
        let Some(mut kiosk) = Kiosk::unix(server) else {
            return Some("the start".to_owned());
        };
        for line in self.commands {
            let line = line.replace("DATA", data.folder().to_str().unwrap());
            match known.say(&mut kiosk, &line) {
                Some(answer) => assert!(answer.starts_with("ok"), "{line}: {answer}"),
                None => return Some(line.split(' ').next().unwrap().to_owned()),
            }
        }
        None
    }

    /// The calls by which a server writes.
    pub fn points(&self) -> BTreeSet<Point> {
        let data = self.data.copy();
        let trace = data.beside("trace");
        let writing = format!("trace={WRITING}");
        let builder = traced(data.server(self.options), &trace, &["-e", &writing]);
        assert_eq!(self.run(&data, builder, &mut self.known.clone()), None);
        let trace = fs::read_to_string(trace).unwrap();
        points::points(&trace, &data.folder(), self.only)
    }

    /// Kills a server at each point; how many points lay in each part.
    pub fn kill_everywhere(&self, name: &str) -> BTreeMap<String, usize> {
        let points = self.points();
        assert!(points.len() > 20, "{name}: {points:?}");
        self.kill_at_all(&points, name)
    }

    /// Kills a server at each of these points; how many of them lay in each part.
    pub fn kill_at_all(&self, points: &BTreeSet<Point>, name: &str) -> BTreeMap<String, usize> {
        let parts = for_all(points, |point| self.kill_at(point, name));
        eprintln!("{name}: {} points: {parts:?}", points.len());
        parts
    }

    fn kill_at(&self, point: &Point, name: &str) -> Option<String> {
        let (data, mut known) = (self.data.copy(), self.known.clone());
        let server = injected(&data, self.options, point, "signal=SIGKILL");
        let part = self.run(&data, server, &mut known);
        let what = format!("{name}, killed at {point:?} in {part:?}");
        assert!(point.fits(part.is_some()), "{what}");
        self.check_again(&data, &known, &what);
        part
    }

    /// After the next start everything is as it is known.
    fn check_again(&self, data: &Data, known: &Known, what: &str) {
        let server = data.server(self.options).start();
        known.check(&server, what);
        server.stop();
        data.read();
        let mut names = data.names();
        // A backup that was killed leaves a part of itself; a finished journal that could not be
        // removed stays, and goes when another would be made.
        names.retain(|name| !name.starts_with("copy.db") && !name.ends_with(".new-journal"));
        assert_eq!(names, self.leaves, "{what}");
        (self.after)(data);
    }

    /// Lets each call fail with this error, up to the first command: the server starts all the
    /// same, or ends with status 1 and one sentence, and the next one finds everything.
    pub fn fail_everywhere(&self, name: &str, error: &str) {
        let mut points = self.points();
        points.retain(|point| !["write", "sendto"].contains(&point.call.as_str()));
        let parts = for_all(&points, |point| {
            let (data, mut known) = (self.data.copy(), self.known.clone());
            let what = format!("{name}, {error} at {point:?}");
            let effect = format!("error={error}");
            let server = injected(&data, self.options, point, &effect);
            let part = self.start_at_least(&data, server, &mut known, &what);
            self.check_again(&data, &known, &what);
            Some(part)
        });
        eprintln!("{name}, {error} at {} points: {parts:?}", points.len());
    }

    fn start_at_least(&self, data: &Data, on: Builder, known: &mut Known, what: &str) -> String {
        let mut command = on.command();
        let mut server = match on.try_start_as(&mut command) {
            Ok(server) => server,
            Err((builder, status)) => {
                let log = fs::read_to_string(builder.folder().join("log")).unwrap();
                assert_eq!(status.code(), Some(1), "{what}: {log}");
                let errors = log.lines().filter(|line| line.starts_with("error: "));
                let errors: Vec<_> = errors.collect();
                let names_it = |line: &&&str| line.contains(data.folder().to_str().unwrap());
                assert_eq!(errors.iter().filter(names_it).count(), 1, "{what}: {log}");
                return "no start".to_owned();
            }
        };
        let mut kiosk = Kiosk::unix(&server).unwrap();
        let mut answers = self.commands.iter().map(|line| known.say(&mut kiosk, line));
        let told = answers.find(|answer| !answer.as_deref().unwrap().starts_with("ok"));
        let told = told.flatten();
        drop(kiosk);
        server.signal(Signal::INT);
        assert_eq!(server.wait().code(), Some(0), "{what}: {}", server.log());
        told.unwrap_or_else(|| "no trouble".to_owned())
    }
}
