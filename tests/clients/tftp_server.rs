//! A TFTP server in memory, made of the pure machines: a port for each transfer, cuts and loss.

use std::collections::{BTreeMap, VecDeque};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use switchboard::wire::tftp::{
    Code, Effect, Effects, Options, Packet, Receiver, Refusal, Request, Room, Sender,
};

use crate::support::{Outcome, run};

/// What the server has, and how it errs.
#[derive(Default)]
pub struct State {
    pub files: BTreeMap<String, Vec<u8>>,
    pub kept: BTreeMap<String, Vec<u8>>,
    /// After so many bytes of one transfer the server is silent.
    pub cut: Option<usize>,
    /// It knows no options of ours.
    pub is_plain: bool,
    /// It refuses an offset instead of passing it over.
    pub is_strict: bool,
    /// What it says to the next requests instead of serving them.
    pub refusals: VecDeque<Refusal>,
    /// Options of the requests so far.
    pub requests: Vec<Options>,
    /// Every so many datagrams to the client one is lost.
    pub loss: Option<usize>,
}

/// The server; it goes with the process.
pub struct Tftp {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

impl Tftp {
    /// With these files.
    pub fn start(files: &[(&str, &[u8])]) -> Self {
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

    /// To be looked at or changed.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Fetches a file into a folder.
    pub fn get(&self, name: &str, folder: &Path, more: &[&str]) -> Outcome {
        let folder = folder.to_str().unwrap();
        run(&[&["get", &*self.endpoint, name, "-o", folder], more].concat())
    }

    /// Sends a file.
    pub fn put(&self, file: &Path, more: &[&str]) -> Outcome {
        run(&[&["put", &*self.endpoint, file.to_str().unwrap()], more].concat())
    }

    /// Options of the requests since the last call.
    pub fn asked(&self) -> Vec<Options> {
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
            if loss.is_none_or(|every| !self.sent.is_multiple_of(every)) {
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
    let next = state.lock().unwrap().refusals.pop_front();
    let refused = match Packet::parse(datagram) {
        _ if next.is_some() => next.map_or(Ok(()), Err),
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
        if state.is_strict && request.options.offset.is_some() {
            return Err(Refusal::new(Code::OPTION_REFUSED, "what is an offset?"));
        }
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
