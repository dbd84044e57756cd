//! Which layer may know which: every `crate::` path in a source is held against one table.

use switchboard::services;

use crate::none;
use crate::source::{Source, sources};

/// What files whose names begin with the first may mention: paths behind `crate::`.
///
/// The first line that fits a file counts. A file may always mention its own layer.
const MAY_KNOW: &[(&str, &[&str])] = &[
    (
        "src/service/",
        &["service", "config::options", "config::limits"],
    ),
    ("src/services/mod.rs", &["service", "services"]),
    (
        "src/services/",
        &[
            "service",
            "wire",
            "config::options",
            "config::limits",
            "config::users",
        ],
    ),
    ("src/wire/", &["wire", "config::limits"]),
    ("src/config/", &["config"]),
    (
        "src/reactor",
        &[
            "reactor",
            "service",
            "config",
            "wire::Escaped",
            "input",
            "lanes",
            "output",
            "spawner",
            "exit::words",
        ],
    ),
    (
        "src/spawner.rs",
        &["service", "config::limits", "exit::words"],
    ),
    ("src/lanes.rs", &["service"]),
    ("src/client", &["client", "wire", "config", "exit"]),
    (
        "src/cli",
        &[
            "cli", "client", "config", "exit", "output", "serve", "service", "services", "wire",
        ],
    ),
];

/// What stands behind each `crate::` in a line, groups in braces taken apart by hand.
fn mentioned(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '$')) {
            continue;
        }
        let line = code[..at].lines().count().max(1);
        let rest = &code[at + "crate::".len()..];
        paths(rest)
            .into_iter()
            .for_each(|path| found.push((line, path)));
    }
    found
}

/// `config::{limits::X, options}` gives both; `wire::Escaped` gives itself.
fn paths(rest: &str) -> Vec<String> {
    let stem: String = rest
        .chars()
        .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':'))
        .collect();
    let Some(group) = rest[stem.len()..].strip_prefix('{') else {
        return vec![stem];
    };
    let mut depth = 0;
    let mut names = vec![String::new()];
    for c in group.chars().filter(|c| !c.is_whitespace()) {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(String::new()),
            _ if depth == 0 => names.last_mut().expect("never empty").push(c),
            _ => {}
        }
    }
    names
        .iter()
        .filter(|name| !name.is_empty())
        .map(|name| format!("{stem}{name}"))
        .collect()
}

fn may_know(source: &Source, path: &str) -> bool {
    let Some((_, allowed)) = MAY_KNOW
        .iter()
        .find(|(place, _)| source.name.starts_with(place))
    else {
        return true;
    };
    let within = |allowed: &str| {
        path.strip_prefix(allowed)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    // The tests of a service run on the harness, and may use what its clients use.
    allowed.iter().any(|known| within(known))
}

#[test]
fn no_layer_knows_more_than_it_may() {
    let mut faults = Vec::new();
    for source in sources(&["src"]) {
        for (line, path) in mentioned(&source.code) {
            if !may_know(&source, &path) {
                faults.push(format!("{}:{line}: crate::{path}", source.name));
            }
        }
    }
    none(
        "layers know only what the table in tests/tidy/layers.rs allows",
        &faults,
    );
}

#[test]
fn no_service_knows_another() {
    let mut faults = Vec::new();
    for source in sources(&["src/services"]) {
        let Some((own, _)) = source.name["src/services/".len()..].split_once(['.', '/']) else {
            continue;
        };
        if own == "mod" {
            continue;
        }
        // So many steps lead out of it; fewer reach its own modules, which may be called like a service.
        let inside = source.name["src/services/".len()..].trim_end_matches("/mod.rs");
        let up = "super::".repeat(inside.split('/').count());
        let others = services::ALL.iter().filter(|entry| entry.name != own);
        for other in others {
            for way in [&*up, "services::"] {
                if source.code.contains(&format!("{way}{}::", other.name)) {
                    faults.push(format!("{}: {way}{}", source.name, other.name));
                }
            }
        }
    }
    none("a service does not know another", &faults);
}

#[test]
fn groups_of_paths_are_taken_apart() {
    let code = "use crate::config::{limits::X, options::{A, B}};\nuse crate::wire::Escaped;";
    let expected = [
        (1, "config::limits::X"),
        (1, "config::options::"),
        (2, "wire::Escaped"),
    ];
    assert_eq!(
        mentioned(code),
        expected.map(|(line, path)| (line, path.to_owned()))
    );
    let wire = Source {
        name: "src/wire/line.rs".to_owned(),
        text: String::new(),
        code: String::new(),
        is_test: false,
    };
    assert!(may_know(&wire, "config::limits::X") && !may_know(&wire, "config::options::A"));
    assert!(!may_know(&wire, "service::Cx") && !may_know(&wire, "wired"));
}
