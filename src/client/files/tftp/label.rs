//! What a `put` over datagrams remembers of itself, beside the file that it sends.

use std::fs;
use std::path::PathBuf;

use super::super::put::Source;
use super::super::{Run, Transfer};
use crate::config::limits::TRANSFER_LABEL_BYTES_MAX;
use crate::wire::Readable;

/// That an upload of this very file to this place was begun, beside the file: `.NAME.sending`.
///
/// TFTP can't say of what the server has kept a part, so only who finds this goes on. Without it,
/// as in a folder that can't be written, an upload begins anew.
pub struct Label {
    path: PathBuf,
    text: String,
}

impl Label {
    /// That of an upload.
    pub fn new(run: &Run<'_>, transfer: &Transfer, source: &Source<'_>) -> Self {
        let own = transfer.path.file_name().unwrap_or_default();
        let mut name = std::ffi::OsString::from(".");
        name.push(own);
        name.push(".sending");
        let (endpoint, at) = (run.files.endpoint, Readable(&transfer.name));
        Self {
            path: transfer.path.with_file_name(name),
            text: format!("{endpoint} {at} {}\n", source.version()),
        }
    }

    /// Whether it was left by an earlier call.
    pub fn is_there(&self) -> bool {
        let is_small = fs::symlink_metadata(&self.path)
            .is_ok_and(|there| there.is_file() && there.len() <= TRANSFER_LABEL_BYTES_MAX);
        is_small && fs::read(&self.path).is_ok_and(|text| text == self.text.as_bytes())
    }

    /// Leaves it for a later call.
    pub fn write(&self) {
        if !self.is_there() {
            // Never through a link.
            let _ = fs::remove_file(&self.path);
            let made = fs::File::create_new(&self.path);
            let _ = made.and_then(|mut file| {
                use std::io::Write as _;
                file.write_all(self.text.as_bytes())
            });
        }
    }

    /// Takes it away.
    pub fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }
}
