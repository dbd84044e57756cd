//! The kiosk wire: native 32-bit integers and fixed blocks, as the labs' own programs speak it.
//!
//! A choice and what belongs to it is read as a whole; only the item of a `store` comes after an
//! answer of ours.

use super::ask::{Answer, Ask, Purpose};
use super::password::Secret;
use crate::wire::block::unpadded;

/// Bytes of an integer.
const INTEGER: usize = 4;
/// Bytes of a password's block.
const PASSWORD: usize = 10;
/// Bytes of an item's block.
const ITEM: usize = 100;

/// What stands at the front of the input.
#[derive(Debug)]
pub(super) enum Said {
    /// A choice, and how many bytes it takes.
    Ask(Ask, usize),
    /// The client leaves.
    Leave,
    /// A choice that does not exist, or one that names no locker; it is passed over.
    Nothing(usize),
    /// Not all of it is there.
    Incomplete,
}

/// Reads a choice; or, with `item` naming a locker, the item that was announced for it.
pub(super) fn read(input: &[u8], item: Option<u32>) -> Said {
    if let Some(locker) = item {
        return match input.get(..ITEM) {
            None => Said::Incomplete,
            Some(block) => match unpadded(block) {
                // Nothing to keep, and nobody to tell.
                [] => Said::Nothing(ITEM),
                text => Said::Ask(
                    Ask::Put {
                        locker,
                        item: text.to_vec(),
                    },
                    ITEM,
                ),
            },
        };
    }
    let Some(choice) = integer(input, 0) else {
        return Said::Incomplete;
    };
    match choice {
        1 => Said::Ask(Ask::Show, INTEGER),
        2 => with_password(input, |locker, password| Ask::Register { locker, password }),
        3 => with_password(input, |locker, password| Ask::Open {
            locker,
            password,
            purpose: Purpose::Check,
        }),
        4 => with_password(input, |locker, password| Ask::Open {
            locker,
            password,
            purpose: Purpose::Retrieve,
        }),
        5 => match integer(input, INTEGER) {
            Some(locker) => Said::Ask(
                Ask::Reset {
                    locker: number(locker),
                },
                2 * INTEGER,
            ),
            None => Said::Incomplete,
        },
        6 => Said::Leave,
        _ => Said::Nothing(INTEGER),
    }
}

fn with_password(input: &[u8], ask: impl FnOnce(u32, Secret) -> Ask) -> Said {
    let whole = 2 * INTEGER + PASSWORD;
    let (Some(locker), Some(block)) = (integer(input, INTEGER), input.get(2 * INTEGER..whole))
    else {
        return Said::Incomplete;
    };
    let password = Secret::new(unpadded(block));
    Said::Ask(ask(number(locker), password), whole)
}

fn integer(input: &[u8], at: usize) -> Option<i32> {
    let bytes = input.get(at..at + INTEGER)?;
    bytes.try_into().ok().map(i32::from_ne_bytes)
}

/// A negative number is a locker that there is not.
fn number(locker: i32) -> u32 {
    u32::try_from(locker).unwrap_or(u32::MAX)
}

/// How many lockers there are: what the server says first.
pub(super) fn greeting(count: u32) -> [u8; INTEGER] {
    native(i32::try_from(count).unwrap_or(i32::MAX))
}

/// What an answer is on this wire; `None` where it has none. Of an outcome that nobody knows it
/// can't say anything that is true: the connection has to end.
pub(super) fn write(answer: &Answer, purpose: Asked) -> Option<Vec<u8>> {
    match (answer, purpose) {
        (_, Asked::Item) => None,
        (Answer::Lockers(free), _) => {
            let mut bytes = Vec::with_capacity(free.len() * 2 * INTEGER);
            for (locker, free) in (0..).zip(free) {
                bytes.extend(native(locker));
                bytes.extend(native(i32::from(*free)));
            }
            Some(bytes)
        }
        (Answer::Right, _) => Some(native(0).to_vec()),
        (_, Asked::Check) => Some(native(1).to_vec()),
        (Answer::Retrieved(_), _) => Some(native(1).to_vec()),
        (_, Asked::Retrieve) => Some(native(0).to_vec()),
        (_, Asked::Other) => None,
    }
}

impl Asked {
    pub(super) fn of(ask: &Ask) -> Self {
        match ask {
            Ask::Open {
                purpose: Purpose::Check,
                ..
            } => Self::Check,
            Ask::Open { .. } => Self::Retrieve,
            Ask::Put { .. } => Self::Item,
            _ => Self::Other,
        }
    }
}

/// What was asked for, as far as it decides what a refusal looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// The password, before an item.
    Check,
    Retrieve,
    /// To take an item that was asked for.
    Item,
    /// Something that has no refusal on this wire.
    Other,
}

fn native(number: i32) -> [u8; INTEGER] {
    number.to_ne_bytes()
}
