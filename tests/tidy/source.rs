//! Reads the sources, with what is no code blanked out.

use std::fs;
use std::path::Path;

use crate::root;

/// One source file.
pub struct Source {
    /// Its name from the top of the repository, with slashes.
    pub name: String,
    /// As it is.
    pub text: String,
    /// Of the same lines and lengths, with comments, texts and characters blanked out.
    pub code: String,
    /// Whether all of it is test code: `tests.rs`, and everything under `tests`.
    pub is_test: bool,
}

impl Source {
    /// Lines of code with their numbers; test modules are left out.
    pub fn lines_without_tests(&self) -> Vec<(usize, &str)> {
        if self.is_test {
            return Vec::new();
        }
        let mut lines = Vec::new();
        let mut depth = None;
        for (number, line) in self.code.lines().enumerate() {
            if depth.is_none() && line.trim() == "#[cfg(test)]" {
                // `mod tests;` is one line; a module with braces ends where they balance.
                depth = Some(0_isize);
                continue;
            }
            let Some(open) = depth.as_mut() else {
                lines.push((number + 1, line));
                continue;
            };
            *open += balance(line);
            let ends = line.contains('}') || line.contains(';');
            if *open == 0 && ends {
                depth = None;
            }
        }
        lines
    }
}

/// Braces opened less braces closed.
pub fn balance(line: &str) -> isize {
    line.chars()
        .map(|c| match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        })
        .sum()
}

/// All Rust sources below these folders, built or fetched ones left out.
pub fn sources(folders: &[&str]) -> Vec<Source> {
    let mut names = Vec::new();
    for folder in folders {
        collect(&root().join(folder), folder, &mut names);
    }
    names.sort();
    let read = names.into_iter().map(|name| {
        let text = fs::read_to_string(root().join(&name)).expect("a source is readable text");
        let code = blanked(&text);
        let is_test = name.starts_with("tests/") || name.ends_with("/tests.rs");
        Source {
            name,
            text,
            code,
            is_test,
        }
    });
    read.collect()
}

fn collect(folder: &Path, shown: &str, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{shown}/{name}");
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && name != "target" => collect(&entry.path(), &path, names),
            Ok(kind) if kind.is_file() && name.ends_with(".rs") => names.push(path),
            _ => {}
        }
    }
}

/// Replaces comments, texts and characters by blanks; lines stay where they are.
pub fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = at + literal_len(&chars[at..], at.checked_sub(1).map(|before| chars[before]));
        match end == at {
            true => {
                code.push(chars[at]);
                at += 1;
            }
            false => {
                code.extend(
                    chars[at..end]
                        .iter()
                        .map(|c| if *c == '\n' { '\n' } else { ' ' }),
                );
                at = end;
            }
        }
    }
    code
}

/// How many characters at the front are a comment or a literal; 0 where they are code.
fn literal_len(rest: &[char], before: Option<char>) -> usize {
    let after_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    match rest {
        ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => until(rest, 2, &['*', '/']),
        ['"', ..] => quoted(rest, 1, '"'),
        ['b' | 'c', '"', ..] if !after_word => quoted(rest, 2, '"'),
        ['r', '"' | '#', ..] if !after_word => raw(rest, 1),
        ['b', 'r', '"' | '#', ..] if !after_word => raw(rest, 2),
        ['\'', '\\', ..] | ['\'', _, '\'', ..] => quoted(rest, 1, '\''),
        _ => 0,
    }
}

fn quoted(rest: &[char], from: usize, end: char) -> usize {
    let mut at = from;
    while at < rest.len() && rest[at] != end {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

fn raw(rest: &[char], from: usize) -> usize {
    let marks = rest[from..].iter().take_while(|c| **c == '#').count();
    if rest.get(from + marks) != Some(&'"') {
        return 0;
    }
    let mut end = vec!['"'];
    end.resize(1 + marks, '#');
    until(rest, from + marks + 1, &end)
}

fn until(rest: &[char], from: usize, end: &[char]) -> usize {
    let found = rest[from..]
        .windows(end.len())
        .position(|window| window == end);
    found.map_or(rest.len(), |at| from + at + end.len())
}

#[test]
fn only_code_is_left() {
    let text = "a('{'); // }\nlet s = \"}\\\"}\"; r#\"}\"}\"#; b'\\''; /* { */ x: &'a str";
    let code = blanked(text);
    assert_eq!(code.len(), text.len());
    assert_eq!(
        code.split_whitespace().collect::<String>(),
        "a();lets=;;b;x:&'astr"
    );
}
