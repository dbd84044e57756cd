//! Help that is made from the registry: a page for each service, and the default board.

use std::ffi::OsString;
use std::fmt::Write as _;

use crate::config::options::{self, Opt};
use crate::service::Entry;
use crate::services;

/// The pages of the services that `serve SERVICE... --help` names; `None` where it is another
/// command line.
pub fn pages_asked_for(arguments: &[OsString]) -> Option<String> {
    let [_, command, rest @ ..] = arguments else {
        return None;
    };
    let is_help = |argument: &&OsString| *argument == "--help" || *argument == "-h";
    if command != "serve" || !rest.iter().any(|argument| is_help(&argument)) {
        return None;
    }
    let names = rest.iter().filter(|argument| !is_help(argument));
    let entries: Option<Vec<_>> = names.map(|name| services::find(name.to_str()?)).collect();
    let pages: Vec<_> = entries?.into_iter().map(page).collect();
    (!pages.is_empty()).then(|| pages.join("\n"))
}

/// What `serve --help` says about every service, the options of Unix and UDP listeners and the
/// default board.
pub fn services() -> String {
    let mut text = "Services:\n\n".to_owned();
    for entry in services::ALL {
        text.push_str(&page(entry));
        text.push('\n');
    }
    text.push_str("Options of every listener on a Unix socket:\n\n");
    push_options(&mut text, "  ", options::UNIX);
    text.push_str("\nOptions of every listener on a UDP socket:\n\n");
    push_options(&mut text, "  ", options::UDP);
    text.push_str("\nThe default board:\n\n");
    for entry in services::ALL {
        for endpoint in entry.board {
            push_line(&mut text, "  ", &format!("{}={endpoint}", entry.name));
        }
    }
    text.push_str("\nRUNTIME is $XDG_RUNTIME_DIR/switchboard, else /tmp/switchboard-UID.");
    text
}

/// One service: name, summary, what it does, options.
fn page(entry: &Entry) -> String {
    let mut text = format!("{}: {}\n\n", entry.name, entry.summary);
    for line in entry.about.lines() {
        push_line(&mut text, "  ", line);
    }
    if !entry.options.is_empty() {
        text.push_str("\n  Options:\n");
        push_options(&mut text, "    ", entry.options);
    }
    text
}

/// The key, and below it what it does and what holds without it.
fn push_options(text: &mut String, indent: &str, table: &[Opt]) {
    for Opt { key, default, help } in table {
        push_line(text, indent, &format!("{key}="));
        let mut line = String::new();
        for word in format!("{help} [default: {default}]").split_inclusive(' ') {
            if line.len() + word.trim_end().len() > HELP_COLUMNS {
                push_line(text, indent, &format!("    {}", line.trim_end()));
                line.clear();
            }
            line.push_str(word);
        }
        push_line(text, indent, &format!("    {line}"));
    }
}

/// Columns of an option's help, which leave room for its indent in a line of 100.
const HELP_COLUMNS: usize = 90;

/// An empty line stays empty.
fn push_line(text: &mut String, indent: &str, line: &str) {
    let indent = if line.is_empty() { "" } else { indent };
    // Writing to a String does not fail.
    let _ = writeln!(text, "{indent}{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn every_service_every_option_and_every_endpoint_is_in_the_help() {
        let text = services();
        for entry in services::ALL {
            let page = page(entry);
            assert!(text.contains(&page));
            assert!(page.starts_with(&format!("{}: {}\n", entry.name, entry.summary)));
            for opt in entry.options {
                assert!(page.contains(&format!("    {}=\n", opt.key)), "{page}");
                assert!(page.contains(&format!("[default: {}]", opt.default)));
            }
            for endpoint in entry.board {
                assert!(text.contains(&format!("  {}={endpoint}\n", entry.name)));
            }
        }
        for opt in options::UNIX.iter().chain(options::UDP) {
            assert!(text.contains(&format!("  {}=\n", opt.key)));
        }
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }

    #[test]
    fn a_page_is_printed_where_only_services_are_named() {
        for asked in ["x serve slot --help", "x serve -h slot"] {
            let page = pages_asked_for(&arguments(asked)).unwrap();
            assert!(
                page.starts_with("slot: ") && !page.contains("\nsum: "),
                "{page}"
            );
        }
        for other in [
            "x serve --help",
            "x serve nosuch --help",
            "x serve slot",
            "x sum slot --help",
            "x serve slot=tcp://h:1 --help",
            "x",
        ] {
            assert_eq!(pages_asked_for(&arguments(other)), None, "{other}");
        }
    }
}
