//! The registry: the only list of services. A new service is a file here and a word in this list.

use crate::service::Entry;

macro_rules! services {
    ($($name:ident),* $(,)?) => {
        $(pub mod $name;)*
        /// Every service, in the order in which help shows them.
        pub const ALL: &[&Entry] = &[$(&$name::ENTRY),*];
    };
}

services! { slot, sum, locker, talk, echo, guess, files, exec }

/// The service of that name.
pub fn find(name: &str) -> Option<&'static Entry> {
    ALL.iter().copied().find(|entry| entry.name == name)
}
