//! Clients of one folder, on both wires, while the lanes work step by step in any order: commands
//! are answered in order, what is read is always some whole file, and what is on the disk is what
//! was acknowledged last, or an upload whose client has gone before it was told.

use std::fs;

use switchboard::service::{BYE, CloseReason, Entry, Moment, Peer};
use switchboard::services::files;
use tempfile::TempDir;

use crate::files_client::{
    Client, Command, FIXED, LAB, LOADED, Put, SIZES, any, content, fixed, sha,
};
use crate::random::Random;
use crate::world::{Rules, Seen};

pub struct Filers {
    folder: TempDir,
    loaded: [Loaded; LOADED.len()],
}

/// What is known about a name that is uploaded.
#[derive(Default)]
struct Loaded {
    /// The size that was acknowledged last; the size says the content.
    last: Option<usize>,
    /// Uploads that have come whole and were not answered yet.
    pending: Vec<usize>,
    /// Whether anything was acknowledged: from then on there is a file.
    exists: bool,
}

impl Filers {
    /// What that name can hold now, by sizes.
    fn sizes(&self, name: &str) -> Vec<usize> {
        match (fixed(name), LOADED.contains(&name)) {
            (Some(size), _) => vec![size],
            // Who opened it long ago may still read an older one.
            (None, true) => SIZES.to_vec(),
            (None, false) => Vec::new(),
        }
    }

    /// Takes the answers that have come, one after the other.
    fn take(&mut self, client: &mut Client) -> Result<(), String> {
        while client.waits() {
            let Some((line, behind)) = client.line() else {
                return Ok(());
            };
            if line.as_bytes() == BYE.trim_ascii_end() {
                return Ok(());
            }
            if let Some((put, _)) = client.uploading.take() {
                client.received.drain(..behind);
                self.check_uploaded(put, &line)?;
                continue;
            }
            let (command, _) = client.commands.front().cloned().expect("it waits");
            let Some(used) = self.check(client, &command, &line, behind)? else {
                return Ok(());
            };
            client.received.drain(..used);
            client.commands.pop_front();
        }
        Ok(())
    }

    fn check_uploaded(&mut self, put: Put, line: &str) -> Result<(), String> {
        let loaded = &mut self.loaded[put.name];
        let place = loaded.pending.iter().position(|size| *size == put.size);
        loaded
            .pending
            .swap_remove(place.expect("it has come whole"));
        match (line, put.hash) {
            ("ok", None | Some(true)) => {
                loaded.last = Some(put.size);
                loaded.exists = true;
                Ok(())
            }
            ("error: the file that came is another one; nothing was kept", Some(false)) => Ok(()),
            // It came there meanwhile, by a listener that replaces nothing.
            (line, _) if line.starts_with("error: there is a file of that name") => Ok(()),
            _ => Err(format!("\"{line}\" to {put:?}")),
        }
    }

    /// How many bytes the answer has; `None` while it is not whole.
    fn check(
        &mut self,
        client: &mut Client,
        command: &Command,
        line: &str,
        behind: usize,
    ) -> Result<Option<usize>, String> {
        let wrong = || Err(format!("\"{line}\" to {command:?}"));
        if line == "error: there is no file or folder of that name" {
            let name = match command {
                Command::Size(name) | Command::Hash(name, _) | Command::Get(name, _) => *name,
                Command::Wrong("list nosuch") => return Ok(Some(behind)),
                _ => return wrong(),
            };
            let loaded = LOADED.iter().position(|loaded| *loaded == name);
            let is_there = loaded.map_or(fixed(name).is_some(), |place| client.known[place]);
            return if is_there { wrong() } else { Ok(Some(behind)) };
        }
        let fits = match command {
            Command::Size(name) => {
                let sizes = self.sizes(name);
                sizes.iter().any(|size| line == format!("ok {size}"))
            }
            Command::Hash(name, length) => self.sizes(name).iter().any(|size| {
                let whole = content(name, *size);
                let length = if *length == usize::MAX {
                    *size
                } else {
                    *length
                };
                match whole.get(..length) {
                    Some(bytes) => line == format!("ok sha256 {}", sha(bytes)),
                    None => line == format!("error: the file has only {size} bytes"),
                }
            }),
            Command::Get(name, offset) => {
                return self.check_get((name, *offset), client, line, behind);
            }
            Command::List => return self.check_list(client),
            Command::Put(put) => self.check_put(client, *put, line),
            Command::Wrong(_) => line.starts_with("error: "),
            Command::Quit => {
                client.left = true;
                line == "ok bye"
            }
        };
        if fits { Ok(Some(behind)) } else { wrong() }
    }

    fn check_get(
        &self,
        (name, offset): (&str, usize),
        client: &Client,
        line: &str,
        behind: usize,
    ) -> Result<Option<usize>, String> {
        let words: Vec<_> = line.split(' ').collect();
        let sizes = self.sizes(name);
        if let Some(size) = line.strip_prefix("error: the file has only ") {
            let beyond = sizes
                .iter()
                .any(|one| size == format!("{one} bytes") && *one < offset);
            return if beyond {
                Ok(Some(behind))
            } else {
                Err(line.to_owned())
            };
        }
        let ["ok", count, total, version] = words[..] else {
            return Err(format!("\"{line}\" to get {name} {offset}"));
        };
        let total: usize = total.parse().map_err(|_| line.to_owned())?;
        let is_one = sizes.contains(&total) && version.starts_with(&format!("{total}-"));
        if !is_one || count.parse() != Ok(total - offset) {
            return Err(format!("\"{line}\" to get {name} {offset}"));
        }
        let end = behind + total - offset;
        match client.received.get(behind..end) {
            None => Ok(None),
            Some(bytes) if bytes == &content(name, total)[offset..] => Ok(Some(end)),
            Some(_) => Err(format!("another content of {name} of {total} bytes")),
        }
    }

    fn check_list(&self, client: &Client) -> Result<Option<usize>, String> {
        let received = String::from_utf8_lossy(&client.received).into_owned();
        let mut used = 0;
        let mut names = Vec::new();
        for line in received.split_inclusive('\n') {
            used += line.len();
            if line == "ok\n" {
                let all = FIXED.iter().all(|(name, _)| names.contains(name));
                let known =
                    (0..LOADED.len()).all(|at| !client.known[at] || names.contains(&LOADED[at]));
                let sorted = names.is_sorted();
                let fits = all && known && sorted;
                return if fits {
                    Ok(Some(used))
                } else {
                    Err(format!("listed: {names:?}"))
                };
            }
            let Some(line) = line.strip_suffix('\n') else {
                return Ok(None);
            };
            let words: Vec<_> = line.split(' ').collect();
            let [size, _, name] = words[..] else {
                return Err(format!("\"{line}\" in a list"));
            };
            if !self.sizes(name).iter().any(|one| size == one.to_string()) {
                return Err(format!("\"{line}\" in a list"));
            }
            names.push(
                LOADED
                    .into_iter()
                    .chain(FIXED.map(|one| one.0))
                    .find(|one| *one == name)
                    .unwrap_or(""),
            );
        }
        Ok(None)
    }

    fn check_put(&mut self, client: &mut Client, put: Put, line: &str) -> bool {
        if let Some(kept) = line.strip_prefix("ok ") {
            let Ok(kept) = kept.parse::<usize>() else {
                return false;
            };
            if client.listener == 1 || kept > put.asked() {
                return false;
            }
            client.more = content(LOADED[put.name], put.size)[kept..].to_vec();
            client.planned += client.more.len();
            client.uploading = Some((put, client.planned));
            if client.is_whole() {
                self.loaded[put.name].pending.push(put.size);
            }
            let next = client.plan();
            client.more.extend(next);
            return true;
        }
        client.more = client.plan();
        match client.listener {
            1 => line == "error: nothing is uploaded here",
            3 if line.starts_with("error: there is a file of that name") => true,
            _ => line == "error: a file of that name is being uploaded just now",
        }
    }
}

impl Rules for Filers {
    const ENTRY: &Entry = &files::ENTRY;
    const LISTENERS: &[&str] = &["upload=replace", "", "wire=lab", "upload=yes&wire=text"];
    const LANES: bool = true;
    const STEPS_EACH: usize = 20;
    type Client = Client;

    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, size) in FIXED {
            fs::write(folder.path().join(name), content(name, size)).expect("a file");
        }
        Self {
            folder,
            loaded: Default::default(),
        }
    }

    fn listeners(&self) -> Vec<String> {
        let root = format!("root={}", self.folder.path().display());
        let mut all: Vec<_> = Self::LISTENERS
            .iter()
            .map(|one| (*one).to_owned())
            .collect();
        all[0] = format!("{root}&{}", all[0]);
        all
    }

    /// Some share an address, and so may go on with each other's uploads.
    fn peer(&self, number: usize) -> Option<Peer> {
        let low = u8::try_from(number % 2).expect("small");
        Some(Peer::from(std::net::SocketAddr::from((
            [10, 0, 0, low],
            4_000,
        ))))
    }

    fn come(&mut self, listener: usize, _: usize, random: &mut Random) -> (Client, Vec<u8>) {
        let known = self.loaded.each_ref().map(|loaded| loaded.exists);
        let mut client = Client::new(listener, known);
        if listener == LAB || listener < 2 && random.one_in(8) {
            let from = [0, 1, 1_000, 1_024, 99_999][random.below(5)];
            client.lab = Some(from);
            let mut plan = format!("{}\0", 1 + random.below(2)).into_bytes();
            plan.extend(format!("{from}\0").into_bytes());
            plan.resize(12, 0xee);
            client.planned = plan.len();
            return (client, plan);
        }
        let count = 1 + random.below(6);
        client.later = (0..count).map(|_| any(random)).collect();
        let quit = client.later.iter().position(|one| *one == Command::Quit);
        client.later.truncate(quit.map_or(count, |at| at + 1));
        let plan = client.plan();
        (client, plan)
    }

    fn sent(&mut self, client: &mut Client, bytes: &[u8], _: Moment) {
        let was_whole = client.is_whole();
        client.sent += bytes.len();
        if let (false, true, Some((put, _))) = (was_whole, client.is_whole(), client.uploading) {
            self.loaded[put.name].pending.push(put.size);
        }
    }

    fn ended(&mut self, client: &mut Client, _: Moment) {
        client.ended = true;
        if client.lab.is_some() {
            client.cut = client.sent < client.planned;
            return;
        }
        let rest = client.commands.iter().find(|(_, end)| *end > client.sent);
        let Some((command, end)) = rest else {
            return;
        };
        let line = command.line();
        let start = end - line.len();
        // Without its line end it is the same line.
        let content = start + line.trim_end().len();
        client.cut = client.sent > start && client.sent < content;
        if client.sent >= content && client.sent > start {
            client.sent = *end;
        }
    }

    fn passed(&mut self, _: &mut Client, _: Moment) {}

    fn told(&mut self, client: &mut Client) {
        client.told = true;
    }

    fn more(&mut self, client: &mut Client) -> Vec<u8> {
        std::mem::take(&mut client.more)
    }

    fn drained(&mut self) {
        for (name, loaded) in LOADED.iter().zip(&mut self.loaded) {
            let on_disk = fs::read(self.folder.path().join(name)).ok();
            let size = on_disk.as_ref().map(Vec::len);
            let is_whole = on_disk.is_none_or(|bytes| bytes == content(name, bytes.len()));
            let pending = std::mem::take(&mut loaded.pending);
            let fits = size == loaded.last || size.is_some_and(|size| pending.contains(&size));
            assert!(
                is_whole && fits,
                "{name} has {size:?} bytes, whole {is_whole}; acknowledged: {:?}, perhaps {pending:?}",
                loaded.last
            );
            loaded.last = size;
            loaded.exists = size.is_some();
        }
        let names = fs::read_dir(self.folder.path()).expect("the folder");
        for entry in names {
            let name = entry.expect("an entry").file_name();
            let name = name.to_str().expect("plain");
            let ours = LOADED.contains(&name) || fixed(name).is_some();
            assert!(ours || name.starts_with('.'), "{name} is in the folder");
        }
    }

    fn judge(&mut self, client: &mut Client, seen: &Seen<'_>) -> Result<(), String> {
        client.received.extend_from_slice(seen.received);
        if let (Some(from), false) = (client.lab, client.received.is_empty()) {
            let whole = content("source_file.txt", 1_024);
            let rest = &whole[from.min(whole.len())..];
            let fits = client.received == rest || client.cut && whole.ends_with(&client.received);
            if fits && seen.closed == Some(CloseReason::Answered) {
                client.received.clear();
            }
        } else {
            self.take(client)?;
        }
        if client.told && seen.closed == Some(CloseReason::Shutdown) && client.received == BYE {
            client.received.clear();
        }
        let partial = client.waits() && seen.closed.is_none();
        if !client.received.is_empty() && !client.cut && !partial {
            let rest = client.received.escape_ascii();
            return Err(format!("no answer to {:?}: \"{rest}\"", client.commands));
        }
        match client.is_closed_rightly(seen.closed) {
            true => Ok(()),
            false => Err(format!(
                "commands {:?}, uploading {:?}, sent {} of {}, ended {}, told {}, cut {}",
                client.commands,
                client.uploading,
                client.sent,
                client.planned,
                client.ended,
                client.told,
                client.cut
            )),
        }
    }
}
