//! The wire of the labs' client: a digit and a NUL, perhaps an offset, and then the rest of the one
//! file until the end.

use super::task::Task;
use super::work::Work;
use super::{Files, Session};
use crate::service::Cx;
use crate::wire::block::unpadded;

/// Bytes of the command: a digit and whatever terminates it.
const COMMAND: usize = 2;
/// Bytes of an offset: digits, a NUL, and rubbish.
const OFFSET: usize = 10;

/// What a client asks for, and how many bytes that takes; `None` where more has to come. At the end
/// of the client's writing what is there has to do.
fn read(input: &[u8], ended: bool) -> Option<(Result<u64, &'static str>, usize)> {
    let (Some(digit), true) = (input.first(), input.len() >= COMMAND || ended) else {
        return None;
    };
    match digit {
        b'0' => Some((Ok(0), COMMAND.min(input.len()))),
        b'1' | b'2' => {
            let whole = COMMAND + OFFSET;
            if input.len() < whole && !ended {
                return None;
            }
            let block = &input[COMMAND.min(input.len())..whole.min(input.len())];
            Some((offset(block), whole.min(input.len())))
        }
        _ => Some((Err("it is no command of the labs' wire"), input.len())),
    }
}

/// An offset in decimal digits; what stands behind its NUL may be anything.
fn offset(block: &[u8]) -> Result<u64, &'static str> {
    let digits = unpadded(block).trim_ascii();
    let text = std::str::from_utf8(digits).ok();
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    text.filter(|_| plain)
        .and_then(|text| text.parse().ok())
        .ok_or("its offset is no number")
}

impl Files {
    /// Reads the one command of a connection; what comes behind it is nobody's.
    pub(super) fn read_lab(
        &mut self,
        s: &mut Session,
        input: &[u8],
        ended: bool,
        cx: &mut Cx<'_, Self>,
    ) -> usize {
        if s.task.is_some() {
            return input.len();
        }
        let Some((asked, used)) = read(input, ended) else {
            return 0;
        };
        match asked {
            Ok(offset) => {
                let name = cx.options().default.clone();
                let version = None;
                self.begin(s, Task::Get { offset, version }, Work::Open(name), cx);
            }
            Err(why) => self.refuse(s, why, cx),
        }
        used
    }
}
