//! A server of files in memory that speaks the text wire, and breaks off or lies where a test says.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use sha2::{Digest as _, Sha256};

use crate::support::PATIENCE;

/// What it has, and what it does.
#[derive(Default)]
pub struct State {
    /// Files by name: content and version.
    pub files: BTreeMap<String, (Vec<u8>, String)>,
    /// What is kept of uploads that were cut.
    pub kept: BTreeMap<String, Vec<u8>>,
    /// After so many bytes of a file, in either direction, the connection ends: one for each.
    pub cuts: VecDeque<usize>,
    /// After so many bytes of a download nothing more is sent.
    pub stall: Option<usize>,
    /// Names that are answered by this line, whatever is asked.
    pub refused: BTreeMap<String, String>,
    /// At the next end of a download the file becomes this one.
    pub changes: VecDeque<Vec<u8>>,
    /// An upload that is whole is not answered.
    pub is_mute: bool,
    /// All commands so far.
    pub commands: Vec<String>,
}

/// The server; it goes with the process.
pub struct Filer {
    pub endpoint: String,
    pub unix: String,
    state: Arc<Mutex<State>>,
    stalled: Receiver<()>,
    _folder: tempfile::TempDir,
}

impl Filer {
    /// With these files.
    pub fn start(files: &[(&str, &[u8])]) -> Self {
        let mut state = State::default();
        for (name, content) in files {
            let version = format!("{}-1-1", content.len());
            state
                .files
                .insert((*name).to_owned(), (content.to_vec(), version));
        }
        let state = Arc::new(Mutex::new(state));
        let (give, stalled) = mpsc::channel();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("tcp://{}", tcp.local_addr().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("files.sock");
        let unix = UnixListener::bind(&path).unwrap();
        let (shared, tell) = (Arc::clone(&state), give.clone());
        thread::spawn(move || {
            for stream in tcp.incoming() {
                let stream = stream.unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_write_timeout(Some(PATIENCE)).unwrap();
                let (state, tell) = (Arc::clone(&shared), tell.clone());
                thread::spawn(move || serve(stream.try_clone().unwrap(), stream, &state, &tell));
            }
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in unix.incoming() {
                let stream = stream.unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let (state, tell) = (Arc::clone(&shared), give.clone());
                thread::spawn(move || serve(stream.try_clone().unwrap(), stream, &state, &tell));
            }
        });
        Self {
            endpoint,
            unix: format!("unix:{}", path.display()),
            state,
            stalled,
            _folder: folder,
        }
    }

    /// To be looked at or changed.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Waits until a download stands still.
    pub fn wait_for_stall(&self) {
        self.stalled.recv_timeout(PATIENCE).unwrap();
    }

    /// The commands since the last call.
    pub fn commands(&self) -> Vec<String> {
        std::mem::take(&mut self.state().commands)
    }
}

/// As `sha256sum` says.
pub fn sha256(bytes: &[u8]) -> String {
    let digits = Sha256::digest(bytes);
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The words of a line, where one may be in quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap(),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = behind.trim_start();
    }
    words
}

fn serve(from: impl Read, mut to: impl Write, state: &Mutex<State>, tell: &Sender<()>) {
    let mut from = BufReader::new(from);
    let mut line = String::new();
    while from.read_line(&mut line).is_ok_and(|count| count > 0) {
        let command = line.trim_end().to_owned();
        line.clear();
        state.lock().unwrap().commands.push(command.clone());
        let words = words(&command);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let refused = words
            .get(1)
            .and_then(|name| state.lock().unwrap().refused.get(*name).cloned());
        let goes_on = match (refused, &words[..]) {
            (Some(refused), _) => say(&mut to, &refused),
            (None, ["list", ..]) => say(&mut to, &list(&state.lock().unwrap())),
            (None, ["hash", name, length @ ..]) => say(&mut to, &hash(state, name, length)),
            (None, ["get", name, rest @ ..]) => get(&mut from, &mut to, state, tell, name, rest),
            (None, ["put", name, size, offset, hash]) => {
                let numbers = (size.parse().unwrap(), offset.parse().unwrap());
                put(&mut from, &mut to, state, name, numbers, hash)
            }
            _ => say(&mut to, "error: that is no command"),
        };
        if !goes_on {
            return;
        }
    }
}

fn say(to: &mut impl Write, line: &str) -> bool {
    to.write_all(format!("{line}\n").as_bytes()).is_ok()
}

fn list(state: &State) -> String {
    let line = |(name, (content, _)): (&String, &(Vec<u8>, String))| {
        let name = match name.contains(' ') {
            true => format!("\"{name}\""),
            false => name.clone(),
        };
        format!("{} 1795274042 {name}\n", content.len())
    };
    let lines: String = state.files.iter().map(line).collect();
    format!("{lines}0 0 folder/\nok")
}

fn hash(state: &Mutex<State>, name: &str, length: &[&str]) -> String {
    let state = state.lock().unwrap();
    let Some((content, _)) = state.files.get(name) else {
        return format!("error: there is no file {name}");
    };
    let length = length
        .first()
        .map_or(content.len(), |word| word.parse().unwrap());
    match content.get(..length) {
        Some(front) => format!("ok sha256 {}", sha256(front)),
        None => format!("error: {name} has {} bytes", content.len()),
    }
}

fn get(
    from: &mut impl Read,
    to: &mut impl Write,
    state: &Mutex<State>,
    tell: &Sender<()>,
    name: &str,
    rest: &[&str],
) -> bool {
    let (answer, bytes, cut, stall) = {
        let mut state = state.lock().unwrap();
        let Some((content, version)) = state.files.get(name).cloned() else {
            return say(to, &format!("error: there is no file {name}"));
        };
        let offset = rest.first().map_or(0, |word| word.parse().unwrap());
        if rest.get(1).is_some_and(|known| *known != version) {
            return say(
                to,
                &format!("error: {name} has changed: it is now {version}"),
            );
        }
        let Some(bytes) = content.get(offset..) else {
            return say(to, &format!("error: {name} has {} bytes", content.len()));
        };
        let answer = format!("ok {} {} {version}", bytes.len(), content.len());
        if let Some(next) = state.changes.pop_front() {
            let version = format!("{}-{}-1", next.len(), 2 + state.changes.len());
            state.files.insert(name.to_owned(), (next, version));
        }
        (answer, bytes.to_vec(), state.cuts.pop_front(), state.stall)
    };
    if !say(to, &answer) {
        return false;
    }
    let end = cut.or(stall).unwrap_or(usize::MAX).min(bytes.len());
    if to.write_all(&bytes[..end]).is_err() || cut.is_some() {
        return false;
    }
    if stall.is_some() {
        let _ = tell.send(());
        // Until the client leaves.
        let _ = from.read(&mut [0]);
        return false;
    }
    true
}

fn put(
    from: &mut impl Read,
    to: &mut impl Write,
    state: &Mutex<State>,
    name: &str,
    (size, asked): (usize, usize),
    hash: &str,
) -> bool {
    let (mut content, cut) = {
        let mut state = state.lock().unwrap();
        if state.files.contains_key(name) {
            return say(to, &format!("error: {name} exists already"));
        }
        let mut kept = state.kept.remove(name).unwrap_or_default();
        kept.truncate(asked.min(size));
        (kept, state.cuts.pop_front())
    };
    if !say(to, &format!("ok {}", content.len())) {
        return false;
    }
    let missing = size - content.len();
    let end = cut.unwrap_or(usize::MAX).min(missing);
    let came = from.take(end as u64).read_to_end(&mut content);
    let mut state = state.lock().unwrap();
    if came.ok() != Some(missing) || cut.is_some() {
        state.kept.insert(name.to_owned(), content);
        return false;
    }
    if sha256(&content) != hash {
        return say(
            to,
            "error: the file that came is another one; nothing was kept",
        );
    }
    let version = format!("{size}-9-9");
    state.files.insert(name.to_owned(), (content, version));
    !state.is_mute && say(to, "ok")
}
