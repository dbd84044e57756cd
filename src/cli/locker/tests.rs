//! What the command lines of `kiosk` and `locker` may say.

use super::*;
use crate::cli::{Command, parse};

fn action(arguments: &[&str]) -> Action {
    let all = ["switchboard", "locker"].iter().chain(arguments);
    match parse(all.map(OsString::from).collect()).unwrap() {
        Command::Locker(locker) => locker.action,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_endpoint_left_out_is_the_default_boards_unix_socket() {
    let path = crate::config::board::runtime_directory().join("locker.sock");
    assert_eq!(given_or_board(None), Ok(Endpoint::Unix(path)));
}

#[test]
fn an_endpoint_comes_first_and_may_be_left_out() {
    let given: Endpoint = "unix:@x".parse().unwrap();
    for (arguments, expected) in [
        (&["register", "3"][..], None),
        (&["register", "unix:@x", "3"], Some(&given)),
        (&["register", "unix:@x", "--timeout=1s", "3"], Some(&given)),
    ] {
        let Action::Register { which, .. } = action(arguments) else {
            panic!("{arguments:?}")
        };
        let (place, number, rest) = place_number_and_rest(which.words).unwrap();
        assert_eq!((place.endpoint.as_ref(), number), (expected, 3));
        assert_eq!(none_left(&rest), Ok(()));
    }
    let Action::Backup { words, .. } = action(&["backup", "x.db"]) else {
        panic!("no backup")
    };
    let (place, file) = place_and_file(words).unwrap();
    assert_eq!((place.endpoint, file), (None, PathBuf::from("x.db")));
}

#[test]
fn a_file_is_one_word_and_never_an_endpoint() {
    for (words, part) in [
        (&["unix:@x"][..], "no file"),
        (&["unix:@x", "a", "b"], "'b' is more"),
    ] {
        let words = words.iter().map(OsString::from).collect();
        let Err(Failure::Usage(text)) = place_and_file(words) else {
            panic!("it was taken")
        };
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_store_has_a_locker_and_items() {
    let taken = |words: &[&str]| {
        let words = words.iter().map(OsString::from).collect();
        let found = place_number_and_items(words);
        found.map(|(place, number, items)| (place.endpoint, number, items))
    };
    let given: Endpoint = "unix:@x".parse().unwrap();
    let items = vec![b"a b".to_vec(), b"unix:@y".to_vec()];
    assert_eq!(
        taken(&["unix:@x", "3", "a b", "unix:@y"]),
        Ok((Some(given), 3, items))
    );
    for (words, part) in [
        (&["3"][..], "no item"),
        (&["unix:@x"], "no locker"),
        (&["-1", "x"], "'-1' is no number"),
        (&["tcp:x", "3", "y"], "'tcp:x'"),
    ] {
        let Err(Failure::Usage(text)) = taken(words) else {
            panic!("{words:?} was taken")
        };
        assert!(text.contains(part), "{text}");
    }
}
