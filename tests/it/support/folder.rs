//! A folder of files that servers serve, one after the other, and a client of their text wire.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::server::{Builder, Server};
use super::socket::{Kind, Socket};

/// The folder, and beside it a place for sockets and what clients fetch.
pub struct Folder {
    whole: TempDir,
}

impl Folder {
    /// An empty one.
    pub fn new() -> Self {
        let whole = tempfile::tempdir().unwrap();
        fs::create_dir(whole.path().join("root")).unwrap();
        Self { whole }
    }

    /// What is served.
    pub fn root(&self) -> PathBuf {
        self.whole.path().join("root")
    }

    /// A path of that name that is not served.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.whole.path().join(name)
    }

    /// The socket on which every server of this folder listens.
    pub fn socket(&self) -> String {
        format!("unix:{}", self.beside("sock").display())
    }

    /// Writes a served file.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.root().join(name), bytes).unwrap();
    }

    /// A server of the folder, over TCP and the socket, and of echo.
    pub fn server(&self, options: &str) -> Builder {
        let tcp = format!(
            "files=tcp://127.0.0.1:0?root={}{options}",
            self.root().display()
        );
        let also = options.trim_start_matches('&');
        let mut unix = format!("files={}", self.socket());
        if !also.is_empty() {
            unix = format!("{unix}?{also}");
        }
        Builder::new(&[&tcp, &unix, "echo=tcp://127.0.0.1:0"]).log("info")
    }

    /// The unfinished uploads' paths.
    pub fn partials(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(self.root().join(".partial"));
        let all = all
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        all.filter(|path| !path.ends_with("lock")).collect()
    }

    /// How many bytes the largest of them has.
    pub fn partial_bytes(&self) -> u64 {
        let sizes = self.partials().into_iter().map(|path| size(&path));
        sizes.max().unwrap_or(0)
    }
}

/// A file's size in bytes; 0 where there is none.
pub fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Bytes that repeat nowhere nearby.
pub fn content(size: usize, seed: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + 8);
    let mut state = seed;
    while bytes.len() < size {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        bytes.extend_from_slice(&(state ^ (state >> 29)).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// A connection on the text wire.
pub struct Filer(pub BufReader<Socket>);

impl Filer {
    pub fn new(kind: Kind, server: &Server) -> Self {
        Self(BufReader::new(kind.connect(server, "files")))
    }

    pub fn tcp(server: &Server) -> Self {
        Self::new(Kind::Tcp, server)
    }

    /// The next line, without its end.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Says a command, and reads one line.
    pub fn ask(&mut self, line: &str) -> String {
        self.say(format!("{line}\n").as_bytes());
        self.line()
    }

    pub fn say(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// The next bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// All that still comes, and how it ends.
    pub fn rest(&mut self) -> (Vec<u8>, std::io::Result<usize>) {
        let mut bytes = Vec::new();
        let end = self.0.read_to_end(&mut bytes);
        (bytes, end)
    }
}
