//! All that the kiosk says, in each language. A new language is one more value of [`Words`].
//!
//! `{}` stands for a number or for what the server said there.

use crate::wire::locker::Unsendable;

/// A language of the kiosk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lang {
    /// English.
    En,
    /// Korean.
    Ko,
}

impl Lang {
    /// Of what is spoken where these variables are set: the first of `LC_ALL`, `LC_MESSAGES` and
    /// `LANG` that is not empty; English unless that one's language is `ko`.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .filter_map(variable)
            .find(|value| !value.is_empty());
        // `ko_KR.UTF-8`: what stands before country, letters and variant.
        let set = set.unwrap_or_default();
        match set.split(['_', '.', '@']).next() {
            Some("ko") => Self::Ko,
            _ => Self::En,
        }
    }

    /// What is said in it.
    pub fn words(self) -> &'static Words {
        match self {
            Self::En => &EN,
            Self::Ko => &KO,
        }
    }
}

/// One item of the menu.
#[derive(Debug)]
pub struct Item {
    /// As it stands there.
    pub text: &'static str,
    /// In small letters, what may be typed for it beside its number and its text.
    pub words: &'static [&'static str],
}

/// A language.
#[derive(Debug)]
pub struct Words {
    /// The first line.
    pub title: &'static str,
    /// In the order of `menu::CHOICES`.
    pub choices: [Item; 6],
    /// Prompts, with the blank behind.
    pub choose: &'static str,
    /// Asks for the number of a locker.
    pub number: &'static str,
    /// Asks for a password.
    pub password: &'static str,
    /// Asks for a new password again.
    pub password_again: &'static str,
    /// Asks what is to be stored.
    pub item: &'static str,
    /// A locker that is free.
    pub free: &'static str,
    /// One that is not.
    pub in_use: &'static str,
    /// A locker was taken: its number.
    pub registered: &'static str,
    /// An item was stored: the locker, and how many it holds.
    pub stored: &'static str,
    /// All was taken out: the locker, and how many there were.
    pub retrieved: &'static str,
    /// A password was set to 0000: the locker.
    pub was_reset: &'static str,
    /// The administrator was called: the locker.
    pub called: &'static str,
    /// What was typed is no choice.
    pub no_choice: &'static str,
    /// What was typed is no number of a locker.
    pub no_number: &'static str,
    /// The new password was not typed the same again.
    pub differ: &'static str,
    /// Nothing was typed for a password.
    pub password_empty: &'static str,
    /// It has more than 128 bytes.
    pub password_long: &'static str,
    /// It holds a blank.
    pub password_blank: &'static str,
    /// Nothing was typed for an item.
    pub item_empty: &'static str,
    /// It has more than 256 bytes.
    pub item_long: &'static str,
    /// It holds a line end.
    pub item_line_end: &'static str,
    /// A typed line is too long: how many bytes one has at most.
    pub line_too_long: &'static str,
    /// The last word.
    pub bye: &'static str,
    /// The server has gone.
    pub lost: &'static str,
    /// Lines of the server, and what is shown instead; those that fit none are shown as they are.
    pub errors: &'static [(&'static str, &'static str)],
}

impl Words {
    /// Why something that was typed is not sent.
    pub fn unsendable(&self, why: Unsendable) -> &'static str {
        match why {
            Unsendable::EmptyPassword => self.password_empty,
            Unsendable::LongPassword => self.password_long,
            Unsendable::BlankInPassword => self.password_blank,
            Unsendable::EmptyItem => self.item_empty,
            Unsendable::LongItem => self.item_long,
            Unsendable::LineEndInItem => self.item_line_end,
        }
    }

    /// A line of the server in this language, where it is a known one.
    pub fn translated(&self, line: &str) -> Option<String> {
        let mut known = self.errors.iter();
        known.find_map(|(pattern, text)| Some(filled(text, &taken_out(pattern, line)?)))
    }
}

/// `text` with a value for each `{}`.
pub fn filled(text: &str, values: &[&str]) -> String {
    let mut parts = text.split("{}");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for (at, part) in parts.enumerate() {
        filled.push_str(values.get(at).copied().unwrap_or_default());
        filled.push_str(part);
    }
    filled
}

/// What stands in `line` where the pattern has `{}`; `None` where it does not fit.
fn taken_out<'a>(pattern: &str, line: &'a str) -> Option<Vec<&'a str>> {
    let mut parts = pattern.split("{}");
    let mut rest = line.strip_prefix(parts.next()?)?;
    let mut values = Vec::new();
    for part in parts {
        let end = match part.is_empty() {
            true => rest.len(),
            false => rest.find(part)?,
        };
        values.push(&rest[..end]);
        rest = &rest[end + part.len()..];
    }
    rest.is_empty().then_some(values)
}

const EN: Words = Words {
    title: "Lockers. Ctrl-D leaves.",
    choices: [
        Item {
            text: "Show the lockers",
            words: &["show", "list"],
        },
        Item {
            text: "Register a locker",
            words: &["register"],
        },
        Item {
            text: "Store an item",
            words: &["store", "put"],
        },
        Item {
            text: "Retrieve everything and free the locker",
            words: &["retrieve", "take"],
        },
        Item {
            text: "Call the administrator (lost password)",
            words: &["call", "reset", "administrator"],
        },
        Item {
            text: "Leave",
            words: &["quit", "exit"],
        },
    ],
    choose: "Number or word: ",
    number: "Locker number: ",
    password: "Password (not shown): ",
    password_again: "The same once more: ",
    item: "What do you store? ",
    free: "free",
    in_use: "in use",
    registered: "Locker {} is yours. Keep its password in mind.",
    stored: "Stored. Locker {} holds {} item(s) now.",
    retrieved: "Locker {} held {} item(s). It is free now.",
    was_reset: "The password of locker {} is 0000 now.",
    called: "The administrator was called for locker {}. Leaving takes the call back.",
    no_choice: "Please type a number from 1 to 6, or a word of the menu.",
    no_number: "That is no number of a locker.",
    differ: "The two passwords differ. Nothing was done.",
    password_empty: "A password is needed. Nothing was done.",
    password_long: "A password has at most 128 bytes. Nothing was done.",
    password_blank: "A password can't hold blanks. Nothing was done.",
    item_empty: "Nothing was typed. Nothing was stored.",
    item_long: "An item has at most 256 bytes. Nothing was stored.",
    item_line_end: "An item is one line. Nothing was stored.",
    line_too_long: "A line has at most {} bytes.",
    bye: "Goodbye.",
    lost: "The connection to the lockers was lost.",
    errors: &[],
};

const KO: Words = Words {
    title: "보관함 안내입니다. Ctrl-D를 누르면 종료됩니다.",
    choices: [
        Item {
            text: "보관함 보기",
            words: &["보기", "show"],
        },
        Item {
            text: "보관함 등록하기",
            words: &["등록", "register"],
        },
        Item {
            text: "물건 맡기기",
            words: &["맡기기", "보관", "store"],
        },
        Item {
            text: "물건 찾기 (보관함을 비웁니다)",
            words: &["찾기", "retrieve"],
        },
        Item {
            text: "관리자 호출하기 (비밀번호를 잊으셨을 때)",
            words: &["호출", "관리자", "call"],
        },
        Item {
            text: "나가기",
            words: &["종료", "leave", "quit"],
        },
    ],
    choose: "번호나 메뉴 이름을 입력해 주세요: ",
    number: "보관함 번호: ",
    password: "비밀번호 (화면에 표시되지 않습니다): ",
    password_again: "비밀번호를 한 번 더 입력해 주세요: ",
    item: "맡기실 물건: ",
    free: "비어 있음",
    in_use: "사용 중",
    registered: "{}번 보관함이 등록되었습니다. 비밀번호를 꼭 기억해 주세요.",
    stored: "{}번 보관함에 맡기셨습니다. 현재 물건은 {}개입니다.",
    retrieved: "{}번 보관함에서 물건 {}개를 찾으셨습니다. 이제 보관함이 비었습니다.",
    was_reset: "{}번 보관함의 비밀번호가 0000으로 초기화되었습니다.",
    called: "{}번 보관함 일로 관리자를 호출했습니다. 나가시면 호출이 취소됩니다.",
    no_choice: "1부터 6까지의 번호나 메뉴 이름을 입력해 주세요.",
    no_number: "올바른 보관함 번호가 아닙니다.",
    differ: "두 비밀번호가 서로 다릅니다. 처리되지 않았습니다.",
    password_empty: "비밀번호를 입력해 주세요. 처리되지 않았습니다.",
    password_long: "비밀번호는 128바이트까지 쓸 수 있습니다. 처리되지 않았습니다.",
    password_blank: "비밀번호에는 공백을 쓸 수 없습니다. 처리되지 않았습니다.",
    item_empty: "입력하신 내용이 없습니다. 처리되지 않았습니다.",
    item_long: "물건 이름은 256바이트까지 쓸 수 있습니다. 처리되지 않았습니다.",
    item_line_end: "물건 이름은 한 줄로 입력해 주세요. 처리되지 않았습니다.",
    line_too_long: "한 줄은 {}바이트까지 입력할 수 있습니다.",
    bye: "이용해 주셔서 감사합니다.",
    lost: "보관함 서버와의 연결이 끊어졌습니다.",
    errors: &[
        (
            "error: there is no locker {}; there are {} to {}",
            "{}번 보관함은 없습니다. {}번부터 {}번까지 있습니다.",
        ),
        (
            "error: locker {} is in use",
            "{}번 보관함은 이미 사용 중입니다.",
        ),
        (
            "error: locker {} is free",
            "{}번 보관함은 비어 있습니다. 먼저 등록해 주세요.",
        ),
        (
            "error: wrong password for locker {}",
            "{}번 보관함의 비밀번호가 맞지 않습니다.",
        ),
        (
            "error: too many wrong passwords for locker {}; try again in {} s",
            "{}번 보관함의 비밀번호를 여러 번 틀리셨습니다. {}초 후에 다시 시도해 주세요.",
        ),
        (
            "error: locker {} is full, {} items",
            "{}번 보관함이 가득 찼습니다. 물건이 {}개 들어 있습니다.",
        ),
        (
            "error: busy, try again",
            "지금은 이용이 많습니다. 잠시 후 다시 시도해 주세요.",
        ),
        (
            "error: busy, too many wait for the administrator",
            "관리자를 기다리는 분이 많습니다. 잠시 후 다시 호출해 주세요.",
        ),
        (
            "error: outcome unknown",
            "처리 결과를 확인할 수 없습니다. 보관함 상태를 확인해 주세요.",
        ),
        (
            "error: the disk is full; nothing was changed",
            "서버의 저장 공간이 부족하여 처리되지 않았습니다.",
        ),
        (
            "error: no administrator is there",
            "지금은 관리자가 없습니다.",
        ),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_that_of_the_first_variable_that_is_set() {
        let lang = |set: &[(&str, &str)]| {
            Lang::of_environment(|name| {
                let found = set.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(lang(&[]), Lang::En);
        assert_eq!(lang(&[("LANG", "ko_KR.UTF-8")]), Lang::Ko);
        assert_eq!(lang(&[("LANG", "ko")]), Lang::Ko);
        assert_eq!(lang(&[("LANG", "ko.UTF-8")]), Lang::Ko);
        assert_eq!(lang(&[("LANG", "kok_IN")]), Lang::En);
        let german = ("LC_MESSAGES", "de_DE");
        assert_eq!(lang(&[("LANG", "ko_KR"), german]), Lang::En);
        let all = [
            ("LANG", "C"),
            ("LC_MESSAGES", ""),
            ("LC_ALL", "ko_KR.UTF-8"),
        ];
        assert_eq!(lang(&all), Lang::Ko);
    }

    #[test]
    fn known_errors_are_translated_and_others_are_not() {
        let ko = |line| Lang::Ko.words().translated(line);
        for (line, text) in [
            (
                "error: there is no locker 99; there are 0 to 15",
                "99번 보관함은 없습니다. 0번부터 15번까지 있습니다.",
            ),
            (
                "error: locker 3 is in use",
                "3번 보관함은 이미 사용 중입니다.",
            ),
            (
                "error: too many wrong passwords for locker 1; try again in 12 s",
                "1번 보관함의 비밀번호를 여러 번 틀리셨습니다. 12초 후에 다시 시도해 주세요.",
            ),
        ] {
            assert_eq!(ko(line).as_deref(), Some(text));
        }
        assert_eq!(ko("error: busy, try again later"), None);
        assert_eq!(ko("error: the printer burns"), None);
        assert_eq!(
            Lang::En.words().translated("error: locker 3 is in use"),
            None
        );
    }

    #[test]
    fn a_text_has_as_many_values_in_each_language() {
        let count = |text: &str| text.matches("{}").count();
        let (en, ko) = (Lang::En.words(), Lang::Ko.words());
        for text in [
            |words: &Words| words.registered,
            |words: &Words| words.stored,
            |words: &Words| words.retrieved,
            |words: &Words| words.was_reset,
            |words: &Words| words.called,
            |words: &Words| words.line_too_long,
        ] {
            assert_eq!(count(text(en)), count(text(ko)));
        }
        for (pattern, text) in ko.errors {
            assert_eq!(count(pattern), count(text), "{pattern}");
        }
    }
}
