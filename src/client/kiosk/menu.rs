//! The six choices: how they are shown, and by which words they are chosen.

use super::words::Words;

/// What somebody at the kiosk can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// See which lockers are free.
    Show,
    /// Take a free locker.
    Register,
    /// Put something into a locker.
    Store,
    /// Take everything out of a locker.
    Retrieve,
    /// Call the administrator, who resets a password.
    Call,
    /// End the kiosk.
    Leave,
}

/// In the order of the menu, and of the words of each language.
pub const CHOICES: [Choice; 6] = [
    Choice::Show,
    Choice::Register,
    Choice::Store,
    Choice::Retrieve,
    Choice::Call,
    Choice::Leave,
];

/// The menu, a numbered line each, without the last line's end.
pub fn shown(words: &Words) -> String {
    let lines = words
        .choices
        .iter()
        .enumerate()
        .map(|(at, choice)| format!("  {} {}", at + 1, choice.text));
    lines.collect::<Vec<_>>().join("\n")
}

/// The choice that a typed line means: its number, or one of its words in any case.
pub fn chosen(words: &Words, line: &str) -> Option<Choice> {
    let line = line.trim().to_lowercase();
    let numbered = CHOICES.into_iter().zip(&words.choices).zip(1..);
    let mut found = numbered.filter(|((_, choice), number)| {
        line == number.to_string()
            || line == choice.text.to_lowercase()
            || choice.words.contains(&line.as_str())
    });
    found.next().map(|((choice, _), _)| choice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::kiosk::Lang;

    #[test]
    fn a_choice_is_its_number_or_one_of_its_words() {
        for lang in [Lang::En, Lang::Ko] {
            let words = lang.words();
            for (at, choice) in CHOICES.into_iter().enumerate() {
                let found = |line: &str| chosen(words, line) == Some(choice);
                assert!(found(&format!(" {} ", at + 1)));
                assert!(found(words.choices[at].text));
                assert!(words.choices[at].words.iter().all(|word| found(word)));
            }
            for none in ["0", "7", "12", "x", "1 2"] {
                assert_eq!(chosen(words, none), None);
            }
        }
        assert_eq!(chosen(Lang::En.words(), "LEAVE"), Some(Choice::Leave));
        assert_eq!(chosen(Lang::Ko.words(), "나가기"), Some(Choice::Leave));
    }

    #[test]
    fn the_menu_is_numbered() {
        let menu = shown(Lang::En.words());
        assert!(menu.starts_with("  1 Show the lockers\n  2 "), "{menu}");
        assert_eq!(menu.lines().count(), 6);
    }
}
