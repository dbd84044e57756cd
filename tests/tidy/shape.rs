//! How long files, functions and lines may be, and that each file says what it is.

use crate::none;
use crate::source::{Source, balance, sources};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 60;
const LINE_CHARS_MAX: usize = 110;

#[test]
fn files_and_lines_are_short() {
    let mut faults = Vec::new();
    for source in sources(&["src", "tests"]) {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            faults.push(format!(
                "{}: {lines} lines, {FILE_LINES_MAX} allowed",
                source.name
            ));
        }
        for (number, line) in source.text.lines().enumerate() {
            let chars = line.chars().count();
            if chars > LINE_CHARS_MAX {
                faults.push(format!(
                    "{}:{}: {chars} characters",
                    source.name,
                    number + 1
                ));
            }
        }
    }
    none(
        "a file has at most 400 lines, a line at most 110 characters",
        &faults,
    );
}

#[test]
fn functions_are_short() {
    let mut faults = Vec::new();
    for source in sources(&["src", "tests"]) {
        for (name, line, length) in functions(&source) {
            let bench_main = name == "main" && source.name.starts_with("tests/bench");
            if length > FUNCTION_LINES_MAX && !bench_main {
                faults.push(format!("{}:{line}: {name} has {length} lines", source.name));
            }
        }
    }
    none("a function has at most 60 lines", &faults);
}

#[test]
fn files_begin_with_what_they_are() {
    let faults: Vec<_> = sources(&["src", "tests"])
        .into_iter()
        .filter(|source| {
            let first = source.text.lines().find(|line| !line.starts_with("#!"));
            !first.is_some_and(|line| line.starts_with("//! "))
        })
        .map(|source| source.name)
        .collect();
    none("a file begins with a //! paragraph", &faults);
}

/// Every function with a body: its name, its first line, and how many lines it has.
fn functions(source: &Source) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    // Functions that are open: name, first line, and the depth outside of them.
    let mut open: Vec<(String, usize, isize)> = Vec::new();
    let mut awaited: Option<(String, usize)> = None;
    let mut depth = 0;
    for (number, line) in source.code.lines().enumerate() {
        if let Some(name) = name_in(line) {
            awaited = Some((name, number));
        }
        let before = depth;
        depth += balance(line);
        let opened = line.contains('{');
        if let Some((name, first)) = awaited.take_if(|_| opened) {
            open.push((name, first, before));
        } else if line.trim_end().ends_with(';') {
            // A declaration without a body.
            awaited = None;
        }
        while let Some((name, first, _)) = open.pop_if(|(_, _, outside)| depth <= *outside) {
            found.push((name, first + 1, number - first + 1));
        }
    }
    found
}

/// The name behind `fn` where a line begins a function.
fn name_in(line: &str) -> Option<String> {
    let before_name = [
        "pub",
        "pub(super)",
        "pub(crate)",
        "const",
        "async",
        "extern",
    ];
    let mut words = line
        .split_whitespace()
        .skip_while(|word| before_name.contains(word));
    let name = (words.next() == Some("fn"))
        .then(|| words.next())
        .flatten()?;
    Some(name.split(['(', '<']).next().unwrap_or_default().to_owned())
}

#[test]
fn the_lines_of_a_function_are_counted() {
    let code =
        "fn one() {}\ntrait T {\n    fn none(&self);\n    pub fn three(\n    ) {\n    }\n}\n";
    let source = Source {
        name: String::new(),
        text: String::new(),
        code: code.to_owned(),
        is_test: false,
    };
    let expected = [("one".to_owned(), 1, 1), ("three".to_owned(), 4, 3)];
    assert_eq!(functions(&source), expected);
}
