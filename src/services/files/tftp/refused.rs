//! Which of TFTP's errors says what a file's refusal says.

use super::super::name::NameError;
use super::super::refusal::Refusal as FileRefusal;
use crate::wire::tftp::{Code, Refusal};

/// The error for a name that can't be one.
pub(super) fn answer_to_name(error: NameError) -> Refusal {
    Refusal::new(Code::ACCESS_VIOLATION, error.to_string())
}

/// The error for what was refused about a file.
pub(super) fn answer_to_refusal(refusal: &FileRefusal) -> Refusal {
    let code = match refusal {
        FileRefusal::NoSuchFile => Code::FILE_NOT_FOUND,
        FileRefusal::IsFolder
        | FileRefusal::NoFolder
        | FileRefusal::NotRegular
        | FileRefusal::Link
        | FileRefusal::NoPermission
        | FileRefusal::OtherFileSystem
        | FileRefusal::ReadOnly => Code::ACCESS_VIOLATION,
        FileRefusal::Exists => Code::FILE_EXISTS,
        FileRefusal::TooLarge { .. }
        | FileRefusal::TooManyPartials
        | FileRefusal::NoRoom
        | FileRefusal::DiskFull
        | FileRefusal::ShareFull
        | FileRefusal::FileTooLarge => Code::DISK_FULL,
        FileRefusal::Beyond { .. } => Code::OPTION_REFUSED,
        FileRefusal::Moving
        | FileRefusal::Changed
        | FileRefusal::Uploading
        | FileRefusal::WrongSize { .. }
        | FileRefusal::DiskFailed
        | FileRefusal::NoDescriptors
        | FileRefusal::NotSafe(_)
        | FileRefusal::Other(_) => Code::UNDEFINED,
    };
    Refusal::new(code, refusal.to_string())
}
