//! From `key=value` to typed options: durations, numbers, choices and switches.
//!
//! The table of [`Opt`] that a service exports is what is checked, what is parsed and what
//! `--help` prints, so the three can't differ.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::limits::DURATION_MAX;

/// One option of a listener, as help shows it.
#[derive(Debug)]
pub struct Opt {
    /// The word before `=`.
    pub key: &'static str,
    /// What holds where it is not given, in words.
    pub default: &'static str,
    /// What it does, its unit and its limits.
    pub help: &'static str,
}

/// What every listener on a Unix socket takes, beside the options of its service.
///
/// `mode` and `group` belong to a socket with a path; one in the abstract namespace has neither.
pub const UNIX: &[Opt] = &[
    Opt {
        key: "mode",
        default: "0666 less the umask",
        help: "permissions of the socket's path, in octal, exactly these, in force before the \
               first client can connect",
    },
    Opt {
        key: "group",
        default: "the server's",
        help: "name of the group that the socket's path belongs to",
    },
    Opt {
        key: "notify",
        default: "nobody",
        help: "usr1: at shutdown each connected process is sent SIGUSR1",
    },
];

/// Why an option was not taken; names the key and what is wrong with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionError {
    /// The key as it was written.
    pub key: String,
    /// What is wrong, in words, without the key.
    pub problem: String,
}

impl OptionError {
    /// An error about `key`.
    pub fn new(key: &str, problem: impl Into<String>) -> Self {
        Self {
            key: key.to_owned(),
            problem: problem.into(),
        }
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "option {}: {}", self.key.escape_debug(), self.problem)
    }
}

impl std::error::Error for OptionError {}

/// The `key=value` pairs of one listener.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values {
    pairs: Vec<(String, String)>,
}

impl Values {
    /// Takes the part behind the `?` of a listener: `KEY=VALUE[&KEY=VALUE]...`.
    ///
    /// In a value `%XX` stands for the byte with that hexadecimal number (`%26` for `&`).
    pub fn parse(text: &str) -> Result<Self, OptionError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in text.split('&') {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(OptionError::new(pair, "needs a value: KEY=VALUE"));
            };
            if pairs.iter().any(|(seen, _)| seen == key) {
                return Err(OptionError::new(key, "is given twice"));
            }
            let bytes = percent_decoded(value).ok_or_else(|| {
                OptionError::new(key, "has a % that no two hexadecimal digits follow")
            })?;
            let value = String::from_utf8(bytes)
                .map_err(|_| OptionError::new(key, "has bytes that are not UTF-8"))?;
            pairs.push((key.to_owned(), value));
        }
        Ok(Self { pairs })
    }

    /// Refuses a key that is in none of `tables`, and says which there are.
    pub fn check_keys(&self, tables: &[&[Opt]]) -> Result<(), OptionError> {
        let known = || {
            tables
                .iter()
                .flat_map(|table| table.iter())
                .map(|opt| opt.key)
        };
        match self
            .pairs
            .iter()
            .find(|(key, _)| !known().any(|k| k == key))
        {
            None => Ok(()),
            Some((key, _)) => {
                let list: Vec<_> = known().collect();
                let problem = match list.is_empty() {
                    true => "is unknown; this listener takes no options".to_owned(),
                    false => format!("is unknown; this listener takes {}", list.join(", ")),
                };
                Err(OptionError::new(key, problem))
            }
        }
    }

    /// The value of `key` as it was written, if it was given.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    }

    /// A duration, or `default`.
    pub fn duration(&self, key: &str, default: Duration) -> Result<Duration, OptionError> {
        self.text(key).map_or(Ok(default), |text| {
            parse_duration(text).map_err(|problem| OptionError::new(key, problem))
        })
    }

    /// A whole number within `range`, or `None` where it was not given.
    pub fn number(
        &self,
        key: &str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, OptionError> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse::<u64>() {
            Ok(number) if digits && range.contains(&number) => Ok(Some(number)),
            _ => Err(OptionError::new(
                key,
                format!(
                    "'{}' is no whole number from {} to {}",
                    text.escape_debug(),
                    range.start(),
                    range.end()
                ),
            )),
        }
    }

    /// One of the named choices, or `default`.
    pub fn choice<T: Copy>(
        &self,
        key: &str,
        choices: &[(&str, T)],
        default: T,
    ) -> Result<T, OptionError> {
        let Some(text) = self.text(key) else {
            return Ok(default);
        };
        choices
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, value)| *value)
            .ok_or_else(|| {
                let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
                let problem = format!("'{}' is none of {}", text.escape_debug(), names.join(", "));
                OptionError::new(key, problem)
            })
    }
}

/// The options of every UDP listener, beside those of its service.
pub const UDP: &[Opt] = &[Opt {
    key: "rate",
    default: "10000, loopback exempt",
    help: "datagrams a second from each source (an address, or an IPv6 /64); 0 is no limit",
}];

/// Typed options of one listener of a service.
pub trait FromValues: Sized {
    /// Reads the service's own keys; those of the listener itself are not its business.
    fn from_values(values: &Values) -> Result<Self, OptionError>;
}

impl FromValues for () {
    fn from_values(_: &Values) -> Result<Self, OptionError> {
        Ok(())
    }
}

/// Reads `250ms`, `2s`, `10m`, `1h` or a bare `0`; the error says what is wrong.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        let shown = text.escape_debug();
        format!("'{shown}' is no duration; write one like 250ms, 2s or 10m (0 is allowed)")
    };
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "" if number == 0 => 1,
        _ => return Err(wrong()),
    };
    let duration = number.checked_mul(unit_ms).map(Duration::from_millis);
    duration
        .filter(|d| *d <= DURATION_MAX)
        .ok_or_else(|| format!("'{}' is longer than 365 days", text.escape_debug()))
}

/// `%XX` to bytes; `None` where a `%` is not followed by two hexadecimal digits.
fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let high = char::from(rest.next()?).to_digit(16)?;
        let low = char::from(rest.next()?).to_digit(16)?;
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_percent_sign_is_said() {
        for (text, problem) in [
            ("run=%", "has a % that no two hexadecimal digits follow"),
            ("run=%4", "has a % that no two hexadecimal digits follow"),
            ("run=%4g", "has a % that no two hexadecimal digits follow"),
            ("run=%ff", "has bytes that are not UTF-8"),
        ] {
            let expected = OptionError::new("run", problem);
            assert_eq!(Values::parse(text), Err(expected), "{text}");
        }
        let values = Values::parse("run=a%26%c3%a9").unwrap();
        assert_eq!(values.text("run"), Some("a&\u{e9}"));
    }

    #[test]
    fn durations_take_every_unit_and_refuse_the_rest() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(parse_duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(parse_duration("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        for wrong in [
            "",
            "s",
            "2",
            "-1s",
            "+1s",
            " 1s",
            "1 s",
            "1.5s",
            "1S",
            "99999999999999999999s",
        ] {
            assert!(
                parse_duration(wrong)
                    .unwrap_err()
                    .contains("is no duration"),
                "{wrong}"
            );
        }
        for long in ["9000h", "18446744073709551615m"] {
            assert!(
                parse_duration(long)
                    .unwrap_err()
                    .contains("longer than 365 days"),
                "{long}"
            );
        }
    }

    #[test]
    fn values_name_the_key_that_is_wrong() {
        let problem = |text: &str| Values::parse(text).unwrap_err().to_string();
        assert_eq!(problem("delay"), "option delay: needs a value: KEY=VALUE");
        assert_eq!(problem("a=1&a=2"), "option a: is given twice");
        assert!(problem("a=%2").contains("has a %"));
        let values = Values::parse("a=x%26y&n=7").unwrap();
        assert_eq!(values.text("a"), Some("x&y"));
        assert_eq!(values.number("n", 1..=9), Ok(Some(7)));
        assert!(
            values
                .number("n", 8..=9)
                .unwrap_err()
                .to_string()
                .contains("from 8 to 9")
        );
        assert!(values.number("a", 8..=9).is_err());
        assert_eq!(values.number("b", 8..=9), Ok(None));
        let table = [Opt {
            key: "a",
            default: "",
            help: "",
        }];
        let error = values.check_keys(&[&table]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "option n: is unknown; this listener takes a"
        );
    }
}
