//! What the listeners' options say: some hold for all of the service, some for one listener.

use super::password::Cost;
use crate::config::limits::LOCKERS_MAX;
use crate::config::options::{FromValues, OptionError, Values};
use crate::config::users::user_ids;
use crate::service::BuildError;

/// How a listener's clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Text,
    Binary,
}

/// Typed options of one listener.
pub struct Options {
    pub(super) wire: Wire,
    /// Users who may reset at once, beside the server's own and root.
    pub(super) admins: Vec<u32>,
    count: Option<u32>,
    cost: Option<Cost>,
}

impl FromValues for Options {
    fn from_values(values: &Values) -> Result<Self, OptionError> {
        let wires = [("text", Wire::Text), ("binary", Wire::Binary)];
        let count = values.number("count", 1..=u64::from(LOCKERS_MAX))?;
        let cost = values.text("hash").map(Cost::parse).transpose();
        Ok(Self {
            wire: values.choice("wire", &wires, Wire::Text)?,
            admins: values
                .text("admins")
                .map_or(Ok(Vec::new()), |list| user_ids("admins", list))?,
            count: count.and_then(|count| u32::try_from(count).ok()),
            cost: cost.map_err(|problem| OptionError::new("hash", problem))?,
        })
    }
}

/// What holds for all listeners: it may stand on any, and is the same wherever it stands.
pub(super) struct Shared {
    pub(super) count: Option<u32>,
    pub(super) cost: Cost,
}

impl Shared {
    pub(super) fn of(listeners: &[Options]) -> Result<Self, BuildError> {
        let count = same(listeners, "count", |options| options.count)?;
        let cost = same(listeners, "hash", |options| options.cost)?;
        Ok(Self {
            count,
            cost: cost.unwrap_or_default(),
        })
    }
}

fn same<T: Copy + PartialEq>(
    listeners: &[Options],
    key: &'static str,
    get: impl Fn(&Options) -> Option<T>,
) -> Result<Option<T>, BuildError> {
    let mut found = None;
    for (listener, value) in listeners.iter().map(get).enumerate() {
        if value.is_some() && found.is_some() && value != found {
            let error = OptionError::new(key, "is another than on an earlier listener of lockers");
            return Err(BuildError { listener, error });
        }
        found = found.or(value);
    }
    Ok(found)
}
