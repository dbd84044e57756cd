//! Everything that the poller can report, in one slab, behind ids that a late event can't misuse.

use mio::Token;
use slab::Slab;

use super::children::RunningProgram;
use super::connection::Connection;
use super::console::Console;
use super::datagram::DatagramSocket;
use super::listener::Listener;
use super::program_log::ProgramLog;
use super::signals::Signals;
use crate::service::{Moment, SourceId};

/// One thing that the poller reports. The rare kinds are boxed so that they don't widen the slot.
pub(super) enum Source {
    Signals(Box<Signals>),
    Console(Box<Console>),
    /// A thread has finished something.
    Waker,
    /// A near deadline has come; which, the heap knows.
    Timer,
    Listener(Box<Listener>),
    Datagram(Box<DatagramSocket>),
    Connection(Connection),
    /// A program that has a connection's socket.
    Program(Box<RunningProgram>),
    /// The standard error of such a program.
    ProgramLog(Box<ProgramLog>),
}

impl Source {
    /// What the timer heap holds for this source.
    pub(super) fn armed(&self) -> Moment {
        match self {
            Self::Signals(_)
            | Self::Waker
            | Self::Timer
            | Self::Console(_)
            | Self::Datagram(_)
            | Self::Program(_)
            | Self::ProgramLog(_) => Moment::NEVER,
            Self::Listener(listener) => listener.armed,
            Self::Connection(c) => c.armed,
        }
    }
}

/// The slab, with the generation of each of its places.
pub(super) struct Sources<T = Source> {
    slab: Slab<T>,
    generations: Vec<u32>,
}

impl<T> Sources<T> {
    /// Room for `capacity` sources is reserved at once: pages that are not touched cost nothing,
    /// and a vector that doubled would hold twice what it needs.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            slab: Slab::with_capacity(capacity),
            generations: Vec::with_capacity(capacity),
        }
    }

    /// The id that the next source will get.
    pub(super) fn next_id(&self) -> SourceId {
        let key = self.slab.vacant_key();
        let generation = self.generations.get(key).copied().unwrap_or(0);
        // Keys are fewer than descriptors, of which a process has fewer than 2^31.
        SourceId {
            key: u32::try_from(key).unwrap_or(u32::MAX),
            generation,
        }
    }

    /// Puts a source into the place that [`Sources::next_id`] named.
    pub(super) fn insert(&mut self, source: T) -> SourceId {
        let id = self.next_id();
        let key = self.slab.insert(source);
        if key >= self.generations.len() {
            self.generations.resize(key + 1, 0);
        }
        debug_assert_eq!(key, id.key as usize);
        id
    }

    /// The id of whatever has that place now.
    pub(super) fn id_at(&self, key: u32) -> SourceId {
        let generation = self.generations.get(key as usize).copied().unwrap_or(0);
        SourceId { key, generation }
    }

    /// The source of that id; `None` where it is gone, whoever has its place now.
    pub(super) fn get(&self, id: SourceId) -> Option<&T> {
        self.holds(id)
            .then(|| self.slab.get(id.key as usize))
            .flatten()
    }

    /// As [`Sources::get`], to change it.
    pub(super) fn get_mut(&mut self, id: SourceId) -> Option<&mut T> {
        self.holds(id)
            .then(|| self.slab.get_mut(id.key as usize))
            .flatten()
    }

    /// Takes a source out; its id finds nothing from here on.
    pub(super) fn remove(&mut self, id: SourceId) -> Option<T> {
        if !self.holds(id) {
            return None;
        }
        let key = id.key as usize;
        let source = self.slab.try_remove(key)?;
        self.generations[key] = self.generations[key].wrapping_add(1);
        Some(source)
    }

    /// Every source with its id.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SourceId, &T)> {
        self.slab.iter().map(|(key, source)| {
            let generation = self.generations.get(key).copied().unwrap_or(0);
            (
                SourceId {
                    key: u32::try_from(key).unwrap_or(u32::MAX),
                    generation,
                },
                source,
            )
        })
    }

    fn holds(&self, id: SourceId) -> bool {
        self.generations.get(id.key as usize) == Some(&id.generation)
    }
}

impl Sources {
    /// The connection of that id.
    pub(super) fn connection(&mut self, id: SourceId) -> Option<&mut Connection> {
        match self.get_mut(id)? {
            Source::Connection(connection) => Some(connection),
            _ => None,
        }
    }

    /// The listener of that id.
    pub(super) fn listener(&mut self, id: SourceId) -> Option<&mut Listener> {
        match self.get_mut(id)? {
            Source::Listener(listener) => Some(listener),
            _ => None,
        }
    }

    /// Every open connection with its id.
    pub(super) fn connections(&self) -> impl Iterator<Item = (SourceId, &Connection)> {
        self.iter().filter_map(|(id, source)| match source {
            Source::Connection(connection) => Some((id, connection)),
            _ => None,
        })
    }

    /// Every listener with its id.
    pub(super) fn listeners(&self) -> impl Iterator<Item = (SourceId, &Listener)> {
        self.iter().filter_map(|(id, source)| match source {
            Source::Listener(listener) => Some((id, &**listener)),
            _ => None,
        })
    }

    /// The UDP socket of that id.
    pub(super) fn datagram(&mut self, id: SourceId) -> Option<&mut DatagramSocket> {
        match self.get_mut(id)? {
            Source::Datagram(socket) => Some(socket),
            _ => None,
        }
    }

    /// Every UDP socket with its id.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = (SourceId, &DatagramSocket)> {
        self.iter().filter_map(|(id, source)| match source {
            Source::Datagram(socket) => Some((id, &**socket)),
            _ => None,
        })
    }
}

/// The number under which a source is registered: its generation in the upper half.
pub(super) fn token(id: SourceId) -> Token {
    Token((id.generation as usize) << 32 | id.key as usize)
}

/// The id behind a token.
pub(super) fn id(token: Token) -> SourceId {
    // Both halves are 32 bits by construction.
    SourceId {
        key: token.0 as u32,
        generation: (token.0 >> 32) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn a_token_carries_the_whole_id() {
        for (key, generation) in [(0, 0), (7, u32::MAX), (u32::MAX, 1)] {
            let expected = SourceId { key, generation };
            assert_eq!(id(token(expected)), expected);
        }
    }

    proptest! {
        /// Against a map: an id finds its own source or nothing, never the next one in its place.
        #[test]
        fn a_stale_id_never_finds_a_stranger(steps in prop::collection::vec(any::<u8>(), 1..400)) {
            let mut sources: Sources<usize> = Sources::with_capacity(4);
            let (mut live, mut dead) = (HashMap::new(), Vec::new());
            for (value, step) in steps.into_iter().enumerate() {
                if step % 2 == 0 || live.is_empty() {
                    let next = sources.next_id();
                    let id = sources.insert(value);
                    prop_assert_eq!(id, next);
                    prop_assert!(live.insert(id, value).is_none());
                } else {
                    let id = *live.keys().nth(usize::from(step) % live.len()).unwrap();
                    prop_assert_eq!(sources.remove(id), live.remove(&id));
                    dead.push(id);
                }
                for (id, value) in &live {
                    prop_assert_eq!(sources.get(*id), Some(value));
                }
                for id in &dead {
                    prop_assert!(sources.get(*id).is_none());
                    prop_assert!(sources.get_mut(*id).is_none());
                    prop_assert!(sources.remove(*id).is_none());
                }
                prop_assert_eq!(sources.iter().count(), live.len());
            }
        }
    }
}
