//! `get` and `put` over datagrams, against a server that is made of the same pure machines.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use switchboard::wire::tftp::{
    Code, Effect, Effects, Options, Packet, Receiver, Refusal, Request, Room, Sender,
};

use crate::filer::sha256;
use crate::files::{content, names};
use crate::support::{CLOSED_PORT, Outcome, run};

/// What the server has, and how it errs.
#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    kept: BTreeMap<String, Vec<u8>>,
    /// After so many bytes of one transfer the server is silent.
    cut: Option<usize>,
    /// It knows no options of ours.
    is_plain: bool,
    /// Options of the requests so far.
    requests: Vec<Options>,
    /// Every so many datagrams to the client one is lost.
    loss: Option<usize>,
}

struct Tftp {
    endpoint: String,
    state: Arc<Mutex<State>>,
}

impl Tftp {
    fn start(files: &[(&str, &[u8])]) -> Self {
        let mut state = State::default();
        for (name, content) in files {
            state.files.insert((*name).to_owned(), content.to_vec());
        }
        let state = Arc::new(Mutex::new(state));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("udp://{}", socket.local_addr().unwrap());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            loop {
                let (count, from) = socket.recv_from(&mut buffer).unwrap();
                let (datagram, state) = (buffer[..count].to_vec(), Arc::clone(&shared));
                thread::spawn(move || transfer(&datagram, from, &state));
            }
        });
        Self { endpoint, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn get(&self, name: &str, folder: &Path, more: &[&str]) -> Outcome {
        let folder = folder.to_str().unwrap();
        run(&[&["get", &*self.endpoint, name, "-o", folder], more].concat())
    }

    fn put(&self, file: &Path, more: &[&str]) -> Outcome {
        run(&[&["put", &*self.endpoint, file.to_str().unwrap()], more].concat())
    }

    fn asked(&self) -> Vec<Options> {
        std::mem::take(&mut self.state().requests)
    }
}

/// A port of its own for one transfer.
struct Port<'a> {
    socket: UdpSocket,
    since: Instant,
    state: &'a Mutex<State>,
    sent: usize,
}

impl Port<'_> {
    fn send(&mut self, effects: &Effects) {
        let loss = self.state.lock().unwrap().loss;
        for packet in effects.packets() {
            self.sent += 1;
            if loss.is_none_or(|every| self.sent % every != 0) {
                let _ = self.socket.send(packet);
            }
        }
    }

    /// The next datagram, or none within the deadline.
    fn receive(&self, deadline: Option<Duration>, buffer: &mut [u8]) -> Option<usize> {
        let left = deadline.map(|deadline| deadline.saturating_sub(self.since.elapsed()));
        let left = left.map(|left| left.max(Duration::from_millis(1)));
        self.socket.set_read_timeout(left).unwrap();
        self.socket.recv(buffer).ok()
    }
}

fn transfer(datagram: &[u8], from: SocketAddr, state: &Mutex<State>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(from).unwrap();
    let mut port = Port {
        socket,
        since: Instant::now(),
        state,
        sent: 0,
    };
    let refused = match Packet::parse(datagram) {
        Ok(Packet::Read(request)) => read(&mut port, &request),
        Ok(Packet::Write(request)) => write(&mut port, &request),
        other => panic!("{other:?}"),
    };
    if let Err(refusal) = refused {
        port.socket.send(&refusal.packet()).unwrap();
    }
}

/// Notes what was asked for, and takes away what this server does not know.
fn begin<'a>(request: &Request<'a>, state: &Mutex<State>) -> (String, Request<'a>) {
    let mut state = state.lock().unwrap();
    state.requests.push(request.options);
    let options = match state.is_plain {
        true => Options::default(),
        false => request.options,
    };
    let name = String::from_utf8(request.name.to_vec()).unwrap();
    (
        name,
        Request {
            options,
            ..*request
        },
    )
}

fn read(port: &mut Port<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    let (name, request) = begin(request, port.state);
    let (file, cut) = {
        let mut state = port.state.lock().unwrap();
        let file = state.files.get(&name).cloned();
        let none = || Refusal::new(Code::FILE_NOT_FOUND, "there is no such file");
        (file.ok_or_else(none)?, state.cut.take())
    };
    let mut effects = Effects::default();
    let size = file.len() as u64;
    let mut sender = Sender::serve(&request, size, Duration::ZERO, &mut effects)?;
    let mut buffer = [0; 65_536];
    loop {
        port.send(&effects);
        let list: Vec<_> = effects.drain().collect();
        effects.clear();
        for effect in &list {
            if let Effect::Read { offset, len } = effect {
                let from = usize::try_from(*offset).unwrap();
                if cut.is_some_and(|cut| from >= cut) {
                    return Ok(());
                }
                let bytes = &file[from..(from + len).min(file.len())];
                sender.data(*offset, bytes, port.since.elapsed(), &mut effects);
            }
        }
        if sender.has_ended() {
            return Ok(());
        }
        if !list.is_empty() {
            continue;
        }
        match port.receive(sender.deadline(), &mut buffer) {
            Some(count) => sender.receive(&buffer[..count], port.since.elapsed(), &mut effects),
            None => sender.expired(port.since.elapsed(), &mut effects),
        }
    }
}

fn write(port: &mut Port<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    let (name, request) = begin(request, port.state);
    let (mut file, cut) = {
        let mut state = port.state.lock().unwrap();
        if state.files.contains_key(&name) {
            return Err(Refusal::new(Code::FILE_EXISTS, "it exists already"));
        }
        (
            state.kept.remove(&name).unwrap_or_default(),
            state.cut.take(),
        )
    };
    let room = Room {
        kept: file.len() as u64,
        most: 1 << 30,
    };
    let mut effects = Effects::default();
    let mut receiver = Receiver::serve(&request, room, Duration::ZERO, &mut effects)?;
    file.truncate(usize::try_from(receiver.terms().offset).unwrap());
    let mut buffer = [0; 65_536];
    loop {
        port.send(&effects);
        let list: Vec<_> = effects.drain().collect();
        effects.clear();
        for effect in &list {
            match effect {
                Effect::Write { bytes, .. } => {
                    file.extend_from_slice(bytes);
                    let count = bytes.len() as u64;
                    receiver.written(count, port.since.elapsed(), &mut effects);
                }
                Effect::Publish { .. } => {
                    let mut state = port.state.lock().unwrap();
                    state.files.insert(name.clone(), file.clone());
                    receiver.published(port.since.elapsed(), &mut effects);
                }
                _ => {}
            }
        }
        if cut.is_some_and(|cut| file.len() >= cut) {
            port.state.lock().unwrap().kept.insert(name, file);
            return Ok(());
        }
        if receiver.has_ended() {
            return Ok(());
        }
        if !list.is_empty() {
            continue;
        }
        match port.receive(receiver.deadline(), &mut buffer) {
            Some(count) => receiver.receive(&buffer[..count], port.since.elapsed(), &mut effects),
            None => receiver.expired(port.since.elapsed(), &mut effects),
        }
    }
}

fn assert_done(outcome: &Outcome) {
    assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""));
}

#[test]
fn files_of_every_size_come_and_go_over_datagrams() {
    let here = tempfile::tempdir().unwrap();
    for (at, size) in [0, 1, 1427, 1428, 1429, 300_000].into_iter().enumerate() {
        let bytes = content(size, at as u8);
        let server = Tftp::start(&[("x", &bytes)]);
        let got = server.get("x", here.path(), &["--json"]);
        assert_done(&got);
        let json: serde_json::Value = serde_json::from_str(&got.stdout).unwrap();
        assert_eq!(
            (&json["bytes"], &json["sha256"]),
            (&size.into(), &sha256(&bytes).into())
        );
        let file = here.path().join("x");
        assert_eq!(fs::read(&file).unwrap(), bytes);
        assert_done(&server.put(&file, &["--as", "new", "--block=512"]));
        assert_eq!(server.state().files["new"], bytes);
        let asked = server.asked();
        let sizes = asked.iter().map(|options| options.size);
        assert!(sizes.eq([Some(0), Some(size as u64)]));
        let blocks = asked
            .iter()
            .map(|options| options.block_bytes.unwrap().get());
        assert!(blocks.eq([1428, 512]));
        assert!(
            asked
                .iter()
                .all(|options| options.window.unwrap().get() == 16)
        );
        assert!(asked.iter().all(|options| options.offset.is_none()));
        assert_eq!(names(here.path()), ["x"]);
    }
}

#[test]
fn a_download_goes_on_where_it_was_left_and_compares_what_is_there() {
    let bytes = content(400_000, 1);
    let server = Tftp::start(&[("x", &bytes)]);
    let here = tempfile::tempdir().unwrap();
    server.state().cut = Some(200_000);
    let got = server.get("x", here.path(), &["--timeout=500ms"]);
    assert_eq!(got.code, Some(1));
    assert!(
        got.stderr.ends_with("no answer within 500ms\n"),
        "{}",
        got.stderr
    );
    let len = fs::metadata(here.path().join(".x.partial")).unwrap().len();
    assert!(len >= 200_000);
    let _ = server.asked();
    assert_done(&server.get("x", here.path(), &[]));
    assert_eq!(server.asked()[0].offset, Some(len - 65_536));
    assert_eq!(fs::read(here.path().join("x")).unwrap(), bytes);
    assert_eq!(names(here.path()), ["x"]);
    // Another file, of the same size or not; and a server that can't resume.
    let part = here.path().join(".x.partial");
    for (seed, note, is_plain, requests) in [
        (2, "size 400000", false, 2),
        (1, "size 400001", false, 2),
        (2, "", false, 1),
        (1, "size 400000", true, 1),
    ] {
        fs::write(&part, content(100_000, seed)).unwrap();
        fs::write(here.path().join(".x.partial.version"), note).unwrap();
        server.state().is_plain = is_plain;
        assert_done(&server.get("x", here.path(), &[]));
        assert_eq!(server.asked().len(), requests, "{seed} {note}");
        assert_eq!(fs::read(here.path().join("x")).unwrap(), bytes);
        assert_eq!(names(here.path()), ["x"]);
    }
}

#[test]
fn an_upload_goes_on_only_where_it_is_known_to_be_of_the_same_file() {
    let bytes = content(400_000, 1);
    let server = Tftp::start(&[]);
    let here = tempfile::tempdir().unwrap();
    let file = here.path().join("x");
    fs::write(&file, &bytes).unwrap();
    server.state().cut = Some(200_000);
    let put = server.put(&file, &["--timeout=500ms"]);
    assert_eq!(put.code, Some(1), "{}", put.stderr);
    assert_eq!(names(here.path()), [".x.sending", "x"]);
    let kept = server.state().kept["x"].len();
    let put = server.put(&file, &["--json"]);
    assert_done(&put);
    assert!(put.stdout.contains(&format!("\"resumed_from\":{kept}")));
    assert_eq!(server.state().files["x"], bytes);
    assert_eq!(names(here.path()), ["x"]);
    // What the server keeps under another name is of nobody knows whom.
    server.state().kept.insert("y".to_owned(), content(1000, 9));
    assert_done(&server.put(&file, &["--as=y"]));
    assert_eq!(server.state().files["y"], bytes);
    let refused = server.put(&file, &[]);
    let said = (Some(3), "error: it exists already\n");
    assert_eq!((refused.code, &*refused.stderr), said);
}

#[test]
fn what_is_lost_on_its_way_comes_again() {
    let bytes = content(100_000, 4);
    let server = Tftp::start(&[("x", &bytes)]);
    server.state().loss = Some(37);
    let here = tempfile::tempdir().unwrap();
    assert_done(&server.get("x", here.path(), &[]));
    assert_eq!(fs::read(here.path().join("x")).unwrap(), bytes);
}

#[test]
fn a_closed_port_a_refusal_and_a_list_are_told_apart() {
    let here = tempfile::tempdir().unwrap();
    let folder = here.path().to_str().unwrap();
    let got = run(&["get", CLOSED_PORT, "x", "y", "-o", folder]);
    let line = |name| format!("error: {name}: {CLOSED_PORT}: connection refused\n");
    let last = "error: 2 of 2 files were not fetched\n";
    let expected = format!("{}{}{last}", line("x"), line("y"));
    assert_eq!((got.code, got.stderr), (Some(1), expected));
    let server = Tftp::start(&[]);
    let got = server.get("x", here.path(), &[]);
    let said = (Some(3), "error: there is no such file\n");
    assert_eq!((got.code, &*got.stderr), said);
    assert_eq!(names(here.path()), [""; 0]);
    let listed = run(&["ls", "udp://127.0.0.1:1"]);
    assert_eq!(listed.code, Some(2));
    assert!(listed.stderr.contains("TFTP has no lists"));
}
