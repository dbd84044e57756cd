//! Known hashes, steps, and files that change under the reader.

use std::fs::{self, OpenOptions};
use std::path::Path;

use tempfile::TempDir;

use super::super::name::Name;
use super::super::root::Root;
use super::*;

/// A root with one file of that content.
fn file(content: &[u8]) -> (TempDir, Opened) {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("a"), content).unwrap();
    let opened = opened(place.path());
    (place, opened)
}

fn opened(place: &Path) -> Opened {
    let root = Root::at(place).unwrap();
    root.open(&Name::parse(b"a").unwrap()).unwrap()
}

/// The hash, and in how many steps it came.
fn hashed(opened: Opened, length: Option<u64>) -> Result<(String, u32), Refusal> {
    let mut buffer = Vec::new();
    let mut hashing = Hashing::new(opened, length)?;
    let mut steps = 1;
    loop {
        match hashing.step(&mut buffer)? {
            Step::Done(hash) => return Ok((hash, steps)),
            Step::More(more) => hashing = *more,
        }
        assert_eq!(hashing.progress().0, u64::from(steps) * HASH_STEP_BYTES);
        steps += 1;
    }
}

#[test]
fn hashes_are_those_of_the_standard() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let (_place, nothing) = file(b"");
    assert_eq!(hashed(nothing, None), Ok((empty.to_owned(), 1)));
    let (place, opened_abc) = file(b"abcd");
    assert_eq!(hashed(opened_abc, Some(3)), Ok((abc.to_owned(), 1)));
    assert_eq!(
        hashed(opened(place.path()), Some(0)),
        Ok((empty.to_owned(), 1))
    );
    let beyond = hashed(opened(place.path()), Some(5));
    assert_eq!(beyond, Err(Refusal::Beyond { size: 4 }));
    let beyond = hashed(opened(place.path()), Some(u64::MAX));
    assert_eq!(beyond, Err(Refusal::Beyond { size: 4 }));
}

#[test]
fn a_large_file_takes_several_steps() {
    let (place, _) = file(b"");
    let file = OpenOptions::new()
        .write(true)
        .open(place.path().join("a"))
        .unwrap();
    let size = HASH_STEP_BYTES + 1;
    file.set_len(size).unwrap();
    let (hash, steps) = hashed(opened(place.path()), None).unwrap();
    let mut whole = Sha256::new();
    let zeros = vec![0; FILE_READ_BYTES];
    for _ in 0..HASH_STEP_BYTES / FILE_READ_BYTES as u64 {
        whole.update(&zeros);
    }
    whole.update([0]);
    assert_eq!((hash, steps), (hex(&whole.finalize()), 2));
}

#[test]
fn a_file_that_is_cut_or_rewritten_between_steps_is_noticed() {
    for cut in [true, false] {
        let (place, _) = file(b"");
        let path = place.path().join("a");
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(HASH_STEP_BYTES + 1).unwrap();
        let mut buffer = Vec::new();
        let hashing = Hashing::new(opened(place.path()), None).unwrap();
        let Ok(Step::More(more)) = hashing.step(&mut buffer) else {
            panic!("one step is not enough");
        };
        match cut {
            true => file.set_len(10).unwrap(),
            false => file.write_all_at(b"x", 5).unwrap(),
        }
        assert_eq!(more.step(&mut buffer).err(), Some(Refusal::Changed));
    }
}
