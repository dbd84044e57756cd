//! Cold and warm told apart, on files dropped from the page cache.

use std::io::Write as _;

use super::*;

const SIZE: u64 = 8 * 1024 * 1024;

/// A file that is on the disk and not in memory; `None` where this file system keeps it there.
fn cold_file() -> Option<File> {
    // The folder of the build is on a disk; that of temporary files may be memory itself.
    let folder = std::env::current_exe().unwrap();
    let mut file = tempfile::tempfile_in(folder.parent().unwrap()).unwrap();
    let chunk: Vec<u8> = (0..FILE_READ_BYTES).map(|at| at as u8).collect();
    for _ in 0..SIZE / FILE_READ_BYTES as u64 {
        file.write_all(&chunk).unwrap();
    }
    drop_cache(&file);
    let cold = read_warm(&file, &mut [0], SIZE / 2).unwrap() == Warm::Cold;
    // Asking may itself have begun to fetch the page.
    drop_cache(&file);
    cold.then_some(file)
}

fn drop_cache(file: &File) {
    file.sync_all().unwrap();
    fadvise(file, 0, None, Advice::DontNeed).unwrap();
}

/// How much of a range, from its start, is in memory; `None` where this file system cannot tell.
fn warm_bytes(file: &File, range: &Range<u64>, scratch: &mut [u8]) -> io::Result<Option<u64>> {
    let mut at = range.start;
    while at < range.end {
        let wanted = usize::try_from(range.end - at).unwrap();
        let room = wanted.min(scratch.len());
        match read_warm(file, &mut scratch[..room], at)? {
            Warm::Read(0) | Warm::Cold => break,
            Warm::Read(read) => at += read as u64,
            Warm::Unknown => return Ok(None),
        }
    }
    Ok(Some(at - range.start))
}

#[test]
fn what_was_read_is_warm_and_what_was_dropped_is_cold() {
    let Some(file) = cold_file() else {
        log::warn!("skipped: this file system cannot drop a file from memory");
        return;
    };
    let mut buffer = vec![0; 64 * 1024];
    assert_eq!(read_warm(&file, &mut buffer, SIZE / 2).unwrap(), Warm::Cold);
    drop_cache(&file);
    let warm = |range: &Range<u64>| warm_bytes(&file, range, &mut [0; 5000]).unwrap();
    assert_eq!(warm(&(0..SIZE)), Some(0));
    drop_cache(&file);

    let range = 1024 * 1024..2 * 1024 * 1024;
    let mut scratch = Vec::new();
    let warmed = warm_up(&file, &range, &mut scratch).unwrap();
    assert_eq!(warmed, 1024 * 1024);
    assert_eq!(warm(&range), Some(1024 * 1024));
    let inner = range.start + 5..range.start + 4098;
    assert_eq!(warm(&inner), Some(4093));
    let read = read_warm(&file, &mut buffer, range.start).unwrap();
    assert_eq!(read, Warm::Read(buffer.len()));
    assert_eq!(
        buffer[..300],
        std::array::from_fn::<u8, 300, _>(|at| at as u8)
    );
    assert_eq!(read_warm(&file, &mut buffer, SIZE - 1).unwrap(), Warm::Cold);
}

#[test]
fn the_end_of_a_file_is_not_cold() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[7; 5000]).unwrap();
    let mut buffer = [0; 100];
    assert_eq!(read_warm(&file, &mut buffer, 4990).unwrap(), Warm::Read(10));
    assert_eq!(read_warm(&file, &mut buffer, 5000).unwrap(), Warm::Read(0));
    let warm = |range: &Range<u64>| warm_bytes(&file, range, &mut [0; 7]).unwrap();
    assert_eq!(warm(&(4990..6000)), Some(10));
    assert_eq!(warm(&(9000..9001)), Some(0));
    assert_eq!(warm(&(10..10)), Some(0));
    assert_eq!(warm_up(&file, &(4990..6000), &mut Vec::new()).unwrap(), 10);
    assert!(read_warm(&file, &mut buffer, u64::MAX).is_err());
}
