//! Words that may stand in some places only, or nowhere.

use std::fs;

use crate::none;
use crate::source::{Source, sources};

/// A word in code, where it is looked for, where it may stand all the same, and why it may not.
struct Rule {
    words: &'static [&'static str],
    places: &'static [&'static str],
    except: &'static [&'static str],
    why: &'static str,
    /// Whether test modules are looked at as well.
    with_tests: bool,
}

const PURE: &[&str] = &["src/service/", "src/services/", "src/wire/"];

const RULES: &[Rule] = &[
    Rule {
        words: &["mio"],
        places: &["src/"],
        except: &["src/reactor/"],
        why: "only the reactor knows the poller",
        with_tests: true,
    },
    Rule {
        words: &[
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "UnixStream",
            "UnixListener",
            "UnixDatagram",
        ],
        places: &["src/service/", "src/services/", "src/wire/", "src/config/"],
        except: &[],
        why: "sockets belong to the reactor and the clients",
        with_tests: true,
    },
    Rule {
        words: &["Instant::now", "SystemTime", "UNIX_EPOCH"],
        places: &["src/"],
        except: &[
            "src/reactor/clock.rs",
            "src/client/",
            "src/services/locker/store/clock.rs",
        ],
        why: "the time comes in as an argument; one file of the reactor reads the clock, and one \
              that runs on the lockers' lane the calendar's",
        with_tests: false,
    },
    Rule {
        words: &[
            "println!",
            "eprintln!",
            "print!",
            "eprint!",
            "dbg!",
            "todo!",
            "unimplemented!",
        ],
        places: &["src/"],
        except: &[],
        why: "output goes by the logger or src/output.rs, which never stop the loop",
        with_tests: true,
    },
    Rule {
        words: &[".unwrap()", ".expect("],
        places: &["src/"],
        except: &["src/service/harness.rs"],
        why: "run-time errors close one connection and startup errors are returned",
        with_tests: false,
    },
    Rule {
        words: &["unsafe"],
        places: &["src/", "tests/"],
        except: &[],
        why: "a system call comes from a crate that wraps it",
        with_tests: true,
    },
    Rule {
        words: &["Rc<", "Rc::", "RefCell", "Mutex"],
        places: PURE,
        // The queue that the threads of a pool share.
        except: &["src/service/lane.rs"],
        why: "what sessions share is the service's own state",
        with_tests: true,
    },
    Rule {
        words: &["thread::", "std::thread"],
        places: &["src/"],
        except: &[
            "src/output.rs",
            "src/input.rs",
            "src/spawner.rs",
            "src/lanes.rs",
            "src/client/dial.rs",
        ],
        why: "the server has one thread; src/output.rs and src/input.rs have one for each stream \
              that may stall, src/spawner.rs one that starts programs, src/lanes.rs those of the \
              lanes; a client resolves names \
              on one, so that its timeout holds",
        with_tests: false,
    },
    Rule {
        words: &["sleep("],
        places: &["tests/"],
        except: &[],
        why: "a test waits for an event with a limit, or moves a virtual clock",
        with_tests: true,
    },
];

/// Whether the word stands there as a word, not as part of a longer one.
fn stands(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].ends_with(part) && word.starts_with(part);
        let after = line[at + word.len()..].starts_with(part) && word.ends_with(part);
        !before && !after
    })
}

fn broken(rule: &Rule, source: &Source) -> Vec<String> {
    let fits = |places: &[&str]| places.iter().any(|place| source.name.starts_with(place));
    if !fits(rule.places) || fits(rule.except) {
        return Vec::new();
    }
    let lines = match rule.with_tests {
        true => source
            .code
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line))
            .collect(),
        false => source.lines_without_tests(),
    };
    let found = lines.into_iter().flat_map(|(number, line)| {
        let words = rule.words.iter().filter(move |word| stands(line, word));
        words.map(move |word| format!("{}:{number}: {word}", source.name))
    });
    found.collect()
}

#[test]
fn no_word_stands_where_it_may_not() {
    let sources = sources(&["src", "tests"]);
    for rule in RULES {
        let faults: Vec<_> = sources
            .iter()
            .flat_map(|source| broken(rule, source))
            .collect();
        none(rule.why, &faults);
    }
}

#[test]
fn the_library_forbids_what_is_unsafe() {
    let library = fs::read_to_string(crate::root().join("src/lib.rs")).expect("src/lib.rs");
    assert!(library.contains("#![forbid(unsafe_code)]"));
}

#[test]
fn a_rule_finds_its_words_and_no_others() {
    assert!(stands("    println!();", "println!") && !stands("eprintln!()", "println!"));
    assert!(stands("use mio::Poll;", "mio") && !stands("mionic", "mio"));
    assert!(stands("x.unwrap()", ".unwrap()") && !stands("x.unwrap_or(1)", ".unwrap()"));
    assert!(stands("Rc<u8>", "Rc<") && !stands("Arc<u8>", "Rc<"));
    let code = "a.unwrap();\n#[cfg(test)]\nmod tests {\n    b.unwrap();\n}\nc.unwrap();\n";
    let source = Source {
        name: "src/wire/x.rs".to_owned(),
        text: code.to_owned(),
        code: code.to_owned(),
        is_test: false,
    };
    let rule = RULES
        .iter()
        .find(|rule| rule.words.contains(&".unwrap()"))
        .expect("listed");
    assert_eq!(
        broken(rule, &source),
        ["src/wire/x.rs:1: .unwrap()", "src/wire/x.rs:6: .unwrap()"]
    );
}
