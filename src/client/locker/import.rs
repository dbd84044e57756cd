//! A lab server's `lock_information` file: C structs as they lay in memory, one for each locker.
//!
//! A record has 116 bytes: the locker's number (a native 32-bit integer), the password (10 bytes,
//! ended by a NUL), one byte that is not 0 where the locker is in use, an item (100 bytes, ended
//! by a NUL) and a byte of padding. Passwords are in clear: only the server's hash of them is kept.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::conversation::Conversation;
use super::{print, say};
use crate::client::Failure;
use crate::client::password::Password;
use crate::config::limits::{LOCK_INFORMATION_BYTES_MAX, LOCKER_IMPORT_PAUSE, LOCKER_IMPORT_TRIES};
use crate::exit::words;
use crate::wire::block::unpadded;
use crate::wire::locker as wire;
use crate::wire::{Escaped, Readable};

/// Bytes of a record.
const RECORD_BYTES: usize = 116;

/// Where the fields of a record end.
const NUMBER_END: usize = 4;
const PASSWORD_END: usize = NUMBER_END + 10;
const FLAG_AT: usize = PASSWORD_END;
const ITEM_END: usize = FLAG_AT + 1 + 100;

const _: () = assert!(ITEM_END + 1 == RECORD_BYTES);

/// What a record says. It can't be printed: it holds a password.
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub struct Record {
    number: i32,
    password: Password,
    in_use: bool,
    /// Empty where nothing is in it.
    item: Vec<u8>,
}

/// Reads a file whole; everything that is wrong with it is a usage failure that names it.
pub fn read(path: &Path) -> Result<Vec<Record>, Failure> {
    let shown = Readable(path.as_os_str().as_encoded_bytes()).to_string();
    let usage = |why: String| Failure::Usage(format!("{shown}: {why}"));
    // With a byte more, which tells that it is too large. All at once: a vector that grows leaves
    // copies of passwords behind.
    let room = LOCK_INFORMATION_BYTES_MAX + 1;
    let mut bytes = Password::new(Vec::with_capacity(room));
    File::open(path)
        .and_then(|file| {
            let limit = u64::try_from(room).unwrap_or(u64::MAX);
            file.take(limit).read_to_end(&mut bytes)
        })
        .map_err(|error| usage(words(&error)))?;
    parse(&bytes).map_err(usage)
}

/// The records of a file, or what is wrong with it.
fn parse(bytes: &[u8]) -> Result<Vec<Record>, String> {
    let len = bytes.len();
    if len > LOCK_INFORMATION_BYTES_MAX {
        return Err(format!(
            "has more than {LOCK_INFORMATION_BYTES_MAX} bytes, the most that is imported"
        ));
    }
    if len == 0 || !len.is_multiple_of(RECORD_BYTES) {
        return Err(format!(
            "has {len} bytes, which are no whole records of {RECORD_BYTES} bytes"
        ));
    }
    let records: Vec<_> = bytes.chunks_exact(RECORD_BYTES).map(record).collect();
    let mut numbers = HashSet::new();
    match records.iter().find(|record| !numbers.insert(record.number)) {
        Some(twice) => Err(format!("has two records of locker {}", twice.number)),
        None => Ok(records),
    }
}

fn record(bytes: &[u8]) -> Record {
    let mut number = [0; NUMBER_END];
    number.copy_from_slice(&bytes[..NUMBER_END]);
    Record {
        number: i32::from_ne_bytes(number),
        password: Password::new(unpadded(&bytes[NUMBER_END..PASSWORD_END]).to_vec()),
        in_use: bytes[FLAG_AT] != 0,
        item: unpadded(&bytes[FLAG_AT + 1..ITEM_END]).to_vec(),
    }
}

impl Record {
    /// The locker's number where all of it can be sent, else the end of a sentence.
    fn checked(&self) -> Result<u32, String> {
        let number = u32::try_from(self.number).map_err(|_| "is no number of a locker")?;
        wire::check_password(&self.password).map_err(|why| format!("its {why}"))?;
        if !self.item.is_empty() {
            wire::check_item(&self.item).map_err(|why| format!("its {why}"))?;
        }
        Ok(number)
    }
}

/// Registers and fills a locker for each record in use, and prints how many there were.
pub fn run(conversation: &mut Conversation, records: &[Record]) -> Result<(), Failure> {
    let (mut imported, mut free, mut refused) = (0, 0, 0);
    for record in records {
        if !record.in_use {
            free += 1;
            continue;
        }
        let done = match record.checked() {
            Ok(number) => import(conversation, number, record),
            Err(why) => Ok(Err(why)),
        };
        match done {
            Ok(Ok(())) => imported += 1,
            Ok(Err(why)) => {
                refused += 1;
                say(format_args!("locker {}: {why}", record.number));
            }
            Err(failure) => {
                say(format_args!(
                    "locker {}: not known whether it was imported; {imported} were before it",
                    record.number
                ));
                return Err(failure);
            }
        }
    }
    print(format!("{imported} imported, {free} free, {refused} refused").as_bytes())?;
    match refused {
        0 => Ok(()),
        _ => Err(Failure::Refused(format!(
            "error: {refused} of {} records were refused",
            records.len()
        ))),
    }
}

/// One record; what the server refused of it is inside.
fn import(
    conversation: &mut Conversation,
    number: u32,
    record: &Record,
) -> Result<Result<(), String>, Failure> {
    let registered = ask(conversation, &wire::register(number, &record.password))?;
    if let Err(line) = registered {
        return Ok(Err(without_locker(&line, number)));
    }
    if record.item.is_empty() {
        return Ok(Ok(()));
    }
    let request = wire::store(number, &record.password, &record.item);
    Ok(ask(conversation, &request)?.map_err(|line| {
        let why = without_locker(&line, number);
        format!(
            "is registered, but without {}: {why}",
            Escaped(&record.item)
        )
    }))
}

/// Asks, and asks again while the server is busy: it hashes a password for each request.
fn ask(conversation: &mut Conversation, request: &[u8]) -> Result<Result<(), String>, Failure> {
    let mut tries = 1;
    loop {
        match conversation.change(request) {
            Ok(_) => return Ok(Ok(())),
            Err(Failure::Refused(line))
                if line.starts_with("error: busy") && tries < LOCKER_IMPORT_TRIES =>
            {
                tries += 1;
                conversation.pause(LOCKER_IMPORT_PAUSE)?;
            }
            Err(Failure::Refused(line)) => return Ok(Err(line)),
            Err(failure) => return Err(failure),
        }
    }
}

/// `error: locker 3 is in use` as the end of `locker 3: `.
fn without_locker(line: &str, number: u32) -> String {
    let text = line.strip_prefix("error: ").unwrap_or(line);
    let own = format!("locker {number} ");
    text.strip_prefix(&own).unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(number: i32, password: &[u8], flag: u8, item: &[u8]) -> Vec<u8> {
        let mut bytes = number.to_ne_bytes().to_vec();
        bytes.extend_from_slice(password);
        bytes.resize(PASSWORD_END, 0);
        bytes.push(flag);
        bytes.extend_from_slice(item);
        bytes.resize(RECORD_BYTES, 0);
        bytes
    }

    #[test]
    fn a_record_is_taken_apart() {
        let file = [bytes(3, b"pw", 1, b"book"), bytes(0, b"0123456789", 0, b"")].concat();
        let records = parse(&file).unwrap();
        let record = |number, password: &[u8], in_use, item: &[u8]| Record {
            number,
            password: Password::new(password.to_vec()),
            in_use,
            item: item.to_vec(),
        };
        let expected = [
            record(3, b"pw", true, b"book"),
            record(0, b"0123456789", false, b""),
        ];
        assert_eq!(records, expected);
        assert_eq!(records[0].checked(), Ok(3));
    }

    #[test]
    fn a_file_that_is_none_is_named_by_its_fault() {
        let two = [bytes(1, b"a", 1, b""), bytes(1, b"b", 0, b"")].concat();
        for (file, why) in [
            (&[0; 115][..], "has 115 bytes, which are no whole records"),
            (&[], "has 0 bytes, "),
            (&[0; 117], "has 117 bytes, "),
            (&two, "has two records of locker 1"),
            (
                &vec![0; LOCK_INFORMATION_BYTES_MAX + 116],
                "has more than 1160000 bytes",
            ),
        ] {
            let error = parse(file).unwrap_err();
            assert!(error.starts_with(why), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_said_before_anything_is() {
        for (record, why) in [
            (bytes(-1, b"pw", 1, b""), "is no number of a locker"),
            (bytes(1, b"", 1, b"x"), "its password is empty"),
            (
                bytes(1, b"a b", 1, b"x"),
                "its password holds a blank and can't be sent",
            ),
            (
                bytes(1, b"pw", 1, b"a\nb"),
                "its item holds a line end and can't be sent",
            ),
        ] {
            assert_eq!(super::record(&record).checked(), Err(why.to_owned()));
        }
    }

    #[test]
    fn a_refusal_is_the_end_of_a_sentence() {
        assert_eq!(without_locker("error: locker 3 is in use", 3), "is in use");
        let other = "there is no locker 30; there are 0 to 15";
        assert_eq!(without_locker(&format!("error: {other}"), 30), other);
    }
}
