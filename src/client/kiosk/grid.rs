//! The lockers as a grid that is as wide as the terminal, in columns that stay straight.

use std::io::{self, IsTerminal};

use rustix::termios::tcgetwinsize;

/// How lockers are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid<'a> {
    /// The word for a locker that is free.
    free: &'a str,
    /// The word for one that is in use.
    in_use: &'a str,
    /// Columns of the terminal.
    width: usize,
    /// With colours: free ones green, the others red.
    is_coloured: bool,
}

/// Columns where nothing says how many there are.
const WIDTH: usize = 80;

/// Blanks between two lockers of a row.
const GAP: usize = 2;

impl<'a> Grid<'a> {
    /// As wide as the terminal that is standard output, else as `COLUMNS` says, else 80; coloured
    /// on a terminal that is not `dumb`, unless `NO_COLOR` is set.
    pub fn for_stdout(free: &'a str, in_use: &'a str) -> Self {
        let stdout = io::stdout();
        let variable = |name| std::env::var(name).unwrap_or_default();
        let is_terminal = stdout.is_terminal();
        let of_terminal = match is_terminal {
            true => tcgetwinsize(&stdout).map_or(0, |size| size.ws_col),
            false => 0,
        };
        let width = match of_terminal {
            0 => variable("COLUMNS").parse().unwrap_or(WIDTH),
            columns => columns.into(),
        };
        Self {
            free,
            in_use,
            width,
            is_coloured: is_terminal
                && variable("NO_COLOR").is_empty()
                && variable("TERM") != "dumb",
        }
    }

    /// One row after the other, each ended by a newline. A locker that is wider than the terminal
    /// has a row of its own.
    pub fn drawn(&self, lockers: &[(u32, bool)]) -> String {
        let digits = |number: u32| number.to_string().len();
        let digits = lockers.iter().map(|(number, _)| digits(*number)).max();
        let digits = digits.unwrap_or_default();
        let word_width = width_of(self.free).max(width_of(self.in_use));
        let cell = digits + 1 + word_width;
        let columns = (self.width.saturating_add(GAP) / (cell + GAP)).max(1);
        let mut text = String::new();
        for row in lockers.chunks(columns) {
            for (at, (number, in_use)) in row.iter().enumerate() {
                let word = self.word(*in_use);
                text.push_str(&format!("{number:>digits$} {}", self.coloured(*in_use)));
                // No blanks at the end of a row.
                if at + 1 < row.len() {
                    let blanks = word_width - width_of(word) + GAP;
                    text.push_str(&" ".repeat(blanks));
                }
            }
            text.push('\n');
        }
        text
    }

    fn word(&self, in_use: bool) -> &'a str {
        match in_use {
            true => self.in_use,
            false => self.free,
        }
    }

    fn coloured(&self, in_use: bool) -> String {
        let word = self.word(in_use);
        match (self.is_coloured, in_use) {
            (false, _) => word.to_owned(),
            (true, true) => format!("\x1b[31m{word}\x1b[0m"),
            (true, false) => format!("\x1b[32m{word}\x1b[0m"),
        }
    }
}

/// How many columns a word of ours takes: Hangul takes two for a character.
fn width_of(word: &str) -> usize {
    let width = |c: char| match c {
        '\u{ac00}'..='\u{d7a3}' => 2,
        _ => 1,
    };
    word.chars().map(width).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(free: &'static str, in_use: &'static str, width: usize) -> Grid<'static> {
        Grid {
            free,
            in_use,
            width,
            is_coloured: false,
        }
    }

    const LOCKERS: [(u32, bool); 4] = [(8, false), (9, true), (10, false), (11, true)];

    #[test]
    fn a_row_has_as_many_lockers_as_fit() {
        let drawn = |width| grid("free", "in use", width).drawn(&LOCKERS);
        assert_eq!(drawn(20), " 8 free     9 in use\n10 free    11 in use\n");
        assert_eq!(drawn(200), " 8 free     9 in use  10 free    11 in use\n");
        // What COLUMNS may say.
        assert_eq!(drawn(usize::MAX), drawn(200));
        // One column less than two take, and less than one takes.
        for width in [19, 3, 0] {
            assert_eq!(drawn(width), " 8 free\n 9 in use\n10 free\n11 in use\n");
        }
    }

    #[test]
    fn columns_are_straight_in_letters_of_two_columns() {
        let drawn = grid("비어 있음", "사용 중", 40).drawn(&LOCKERS);
        assert_eq!(
            drawn,
            " 8 비어 있음   9 사용 중    10 비어 있음\n11 사용 중\n"
        );
        for row in drawn.lines() {
            assert!(width_of(row) <= 40);
        }
    }

    #[test]
    fn colours_take_no_room() {
        let mut grid = grid("free", "in use", 20);
        grid.is_coloured = true;
        let drawn = grid.drawn(&LOCKERS[..2]);
        assert_eq!(drawn, "8 \x1b[32mfree\x1b[0m    9 \x1b[31min use\x1b[0m\n");
        assert_eq!(grid.drawn(&[]), "");
    }
}
