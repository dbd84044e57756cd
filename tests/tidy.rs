//! The rules of this repository, checked by reading its files: what a layer may know, how long a
//! file, a function and a line may be, and words that may not stand somewhere.
//!
//! The reading is simple on purpose: comments and texts are blanked first, then words are looked
//! for, braces are counted. A rule that fails names the file and the line.

#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use switchboard::services;

/// The top of the repository.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Names of the files under version control; `None`, said aloud, where git is not there to ask.
fn tracked() -> Option<Vec<String>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root())
        .output();
    match listed {
        Ok(output) if output.status.success() => {
            let names = String::from_utf8_lossy(&output.stdout).into_owned();
            Some(
                names
                    .split('\0')
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned)
                    .collect(),
            )
        }
        _ => {
            eprintln!("skipped: git cannot say which files are under version control here");
            None
        }
    }
}

/// Fails with all the faults, one a line.
fn none(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{rule}:\n  {}", faults.join("\n  "));
}

#[test]
fn the_top_of_the_repository_holds_nothing_else() {
    const TOP: [&str; 9] = [
        ".ci",
        ".gitignore",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "docs",
        "src",
        "tests",
    ];
    let Some(tracked) = tracked() else { return };
    let others: Vec<_> = tracked
        .into_iter()
        .filter(|name| !TOP.contains(&name.split('/').next().unwrap_or_default()))
        .collect();
    none(
        "the top holds src, tests, docs, .ci and the files that tools want there",
        &others,
    );
}

#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    // Put together here, so that this file does not name them either.
    let places = ["work", "root"].map(|folder| format!("/{folder}/"));
    let mut faults = Vec::new();
    for name in tracked().unwrap_or_default() {
        let text =
            String::from_utf8_lossy(&fs::read(root().join(&name)).unwrap_or_default()).into_owned();
        for (number, line) in text.lines().enumerate() {
            if places.iter().any(|place| line.contains(place)) {
                faults.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none("paths are relative, or those of the system", &faults);
}

#[test]
fn every_service_is_described() {
    let page = fs::read_to_string(root().join("docs/PROTOCOLS.md")).unwrap_or_default();
    let mut faults = Vec::new();
    for entry in services::ALL {
        let heading = ["##", "###"].map(|marks| format!("{marks} `{}`", entry.name));
        let plain = ["##", "###"].map(|marks| format!("{marks} {}", entry.name));
        let described = page.lines().any(|line| {
            let is = |heading: &String| {
                line.strip_prefix(heading.as_str())
                    .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
            };
            heading.iter().chain(&plain).any(is)
        });
        if !described {
            faults.push(format!("{}: no heading in docs/PROTOCOLS.md", entry.name));
        }
    }
    none("every service has its chapter", &faults);
}

#[test]
fn every_service_is_tested() {
    let player = fs::read_to_string(root().join("tests/wire.rs")).expect("tests/wire.rs");
    let mut faults = Vec::new();
    for entry in services::ALL {
        let name = entry.name;
        let places = [format!("{name}.rs"), format!("{name}/mod.rs")];
        let code: String = places
            .iter()
            .filter_map(|place| fs::read_to_string(root().join("src/services").join(place)).ok())
            .collect();
        if !code.contains("#[cfg(test)]\nmod tests") {
            faults.push(format!("{name}: no module of tests"));
        }
        // What stands on the wire of `exec` is its program's.
        if name != "exec" && !player.contains(&format!("service: \"{name}\"")) {
            faults.push(format!("{name}: no recording in tests/wire"));
        }
    }
    none("every service has unit tests and recordings", &faults);
}
