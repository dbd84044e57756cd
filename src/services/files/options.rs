//! What the listeners' options say.

use std::path::PathBuf;

use super::name::Name;
use crate::config::options::{FromValues, OptionError, Values};
use crate::service::BuildError;

/// How a client speaks; the first byte decides where the listener does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Auto,
    Text,
    Lab,
}

/// Whether clients may store files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upload {
    No,
    New,
    Replace,
}

/// Typed options of one listener.
pub struct Options {
    pub(super) wire: Wire,
    pub(super) upload: Upload,
    pub(super) default: Name,
    root: Option<PathBuf>,
}

impl FromValues for Options {
    fn from_values(values: &Values) -> Result<Self, OptionError> {
        let wires = [
            ("auto", Wire::Auto),
            ("text", Wire::Text),
            ("lab", Wire::Lab),
        ];
        let uploads = [
            ("no", Upload::No),
            ("yes", Upload::New),
            ("replace", Upload::Replace),
        ];
        let default = values.text("default").unwrap_or("source_file.txt");
        let default = Name::parse(default.as_bytes())
            .map_err(|error| OptionError::new("default", error.to_string()))?;
        let root = values.text("root").map(PathBuf::from);
        if root
            .as_ref()
            .is_some_and(|root| root.as_os_str().is_empty())
        {
            return Err(OptionError::new("root", "is empty"));
        }
        Ok(Self {
            wire: values.choice("wire", &wires, Wire::Auto)?,
            upload: values.choice("upload", &uploads, Upload::No)?,
            default,
            root,
        })
    }
}

/// What holds for all listeners.
pub(super) struct Shared {
    /// Named on any listener, and the same wherever it is named.
    pub(super) root: Option<PathBuf>,
    /// Some listener takes uploads.
    pub(super) uploads: bool,
}

impl Shared {
    pub(super) fn of(listeners: &[Options]) -> Result<Self, BuildError> {
        let mut root: Option<&PathBuf> = None;
        for (listener, options) in listeners.iter().enumerate() {
            let Some(named) = &options.root else {
                continue;
            };
            if root.is_some_and(|root| root != named) {
                let problem = "is another than on an earlier listener of files";
                let error = OptionError::new("root", problem);
                return Err(BuildError { listener, error });
            }
            root = Some(named);
        }
        Ok(Self {
            root: root.cloned(),
            uploads: listeners.iter().any(|options| options.upload != Upload::No),
        })
    }
}
