//! What a transfer is about, and what happens to it: all drawn from the seed.

use std::num::{NonZeroU8, NonZeroU16};
use std::time::Duration;

use switchboard::wire::tftp::{BlockBytes, Mode, Options};

use crate::random::Random;

/// One transfer.
#[derive(Debug, Clone)]
pub struct Plan {
    pub file: Vec<u8>,
    pub mode: Mode,
    /// The client has the file; else the server.
    pub is_put: bool,
    /// What the client asks for.
    pub options: Options,
    /// What the server knows of options.
    pub server: Server,
    /// Bytes of the file that the receiver has already.
    pub kept: usize,
    /// Of a hundred packets so many are lost, so many come twice.
    pub lost: usize,
    pub doubled: usize,
    /// A packet takes that long; so many of a hundred take more, at most twice that, and are
    /// overtaken by others.
    pub delay: Duration,
    pub late: usize,
    /// So does a read, a write, a publication.
    pub disk: Duration,
    pub trouble: Trouble,
}

/// What a server knows of options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    Ours,
    /// Only `blksize` and `tsize`.
    Old,
    /// None.
    Oldest,
}

/// What goes wrong beside the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    Nothing,
    /// The sender's file changes then.
    Change(Duration),
    /// The client, or the server, is gone from then on.
    ClientGoes(Duration),
    ServerGoes(Duration),
    /// No write is taken that goes beyond so many bytes.
    Full(usize),
    /// The offset is beyond the end.
    Beyond,
}

impl Plan {
    pub fn draw(random: &mut Random) -> Self {
        let block = block_bytes(random);
        let most = [4, 16, 70][random.below(3)];
        let window = random.one_in(2).then(|| 1 + random.below(most));
        let file = file(random, block.unwrap_or_default().get());
        let mode = [Mode::Octet, Mode::Octet, Mode::Netascii][random.below(3)];
        let offset = random.one_in(4).then(|| random.below(file.len() + 1));
        let mut plan = Self {
            mode,
            is_put: random.one_in(2),
            options: Options {
                block_bytes: block,
                window: window.and_then(|window| NonZeroU16::new(window as u16)),
                timeout_s: [None, None, NonZeroU8::new(1 + random.below(3) as u8)][random.below(3)],
                size: None,
                offset: offset.map(|offset| offset as u64),
            },
            server: [Server::Ours, Server::Ours, Server::Old, Server::Oldest][random.below(4)],
            kept: offset.map_or(0, |offset| random.below(offset + 1)),
            lost: [0, random.below(31), random.below(31)][random.below(3)],
            doubled: [0, 5, 30][random.below(3)],
            delay: Duration::from_millis([1, 20, 200, 2_000][random.below(4)]),
            late: [0, 5, 100][random.below(3)],
            disk: Duration::from_millis([0, 2, 50][random.below(3)]),
            trouble: Trouble::Nothing,
            file,
        };
        if random.one_in(2) {
            let size = plan.file.len() as u64;
            plan.options.size = Some(if plan.is_put { size } else { 0 });
        }
        if !plan.is_put {
            // Who resumes asks for what it has not.
            plan.kept = offset.unwrap_or(0);
        }
        plan.draw_trouble(random);
        plan
    }

    fn draw_trouble(&mut self, random: &mut Random) {
        let when = Duration::from_millis(random.below(2_000) as u64);
        self.trouble = match random.below(40) {
            0 | 1 => Trouble::Change(when),
            2 => Trouble::ClientGoes(when),
            3 => Trouble::ServerGoes(when),
            4 => Trouble::Full(random.below(self.file.len() + 1)),
            5 if !self.is_put && self.server == Server::Ours => {
                self.options.offset = Some(self.file.len() as u64 + 1);
                Trouble::Beyond
            }
            _ => Trouble::Nothing,
        };
    }

    /// A transfer whose blocks are counted beyond 65,535.
    pub fn long(is_put: bool, random: &mut Random) -> Self {
        let options = Options {
            block_bytes: Some(BlockBytes::MIN),
            window: NonZeroU16::new(32),
            ..Options::default()
        };
        Self {
            file: bytes(8 * 66_000, random),
            mode: Mode::Octet,
            is_put,
            options,
            server: Server::Ours,
            kept: 0,
            lost: 1,
            doubled: 1,
            delay: Duration::from_millis(1),
            late: 1,
            disk: Duration::ZERO,
            trouble: Trouble::Nothing,
        }
    }

    /// What the server reads of the options of a request.
    pub fn understood(&self, options: Options) -> Options {
        match self.server {
            Server::Ours => options,
            Server::Old => Options {
                block_bytes: options.block_bytes,
                size: options.size,
                ..Options::default()
            },
            Server::Oldest => Options::default(),
        }
    }

    /// Whether nothing can keep it from its end.
    pub fn is_quiet(&self) -> bool {
        self.lost == 0
            && self.trouble == Trouble::Nothing
            && self.delay < Duration::from_millis(400)
    }
}

fn block_bytes(random: &mut Random) -> Option<BlockBytes> {
    let bytes = match random.below(4) {
        0 => return None,
        1 => 8 + random.below(8),
        2 => 8 + random.below(1_500),
        _ => 1_428,
    };
    BlockBytes::new(bytes as u16)
}

/// A file of some blocks, or about a border between them.
fn file(random: &mut Random, block: usize) -> Vec<u8> {
    let blocks = [2, 10, 100][random.below(3)];
    let near = (random.below(blocks) * block + random.below(3)).saturating_sub(1);
    let len = [near, random.below(blocks * block), 0][[0, 0, 0, 1, 1, 1, 1, 2][random.below(8)]];
    bytes(len.min(30_000), random)
}

/// Many line ends among them.
fn bytes(len: usize, random: &mut Random) -> Vec<u8> {
    let byte = |random: &mut Random| match random.below(6) {
        0 => b'\r',
        1 => b'\n',
        2 => 0,
        _ => (random.next() & 0xff) as u8,
    };
    (0..len).map(|_| byte(random)).collect()
}
