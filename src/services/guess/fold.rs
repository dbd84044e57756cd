//! Names in the form in which they are compared: case, spacing, accents and punctuation gone.
//!
//! Letters of the Latin alphabet with a mark become the plain letter by the table below, and a few
//! become two (`ß` is `ss`, `æ` is `ae`). Letters of other alphabets stay, in lower case; the
//! usual accents of Greek and Cyrillic go too. Digits stay. All else goes. Text that is no UTF-8 is
//! taken for Latin-1, as older terminals send it.

/// The form of a name in which it is compared; empty where it has neither letter nor digit.
pub fn folded(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(text) => fold(text.chars()),
        Err(_) => fold(name.iter().copied().map(char::from)),
    }
}

fn fold(text: impl Iterator<Item = char>) -> String {
    let mut folded = String::new();
    // By way of the upper case, which is one where there are two lower ones: ς and σ, µ and μ.
    let upper = text.flat_map(char::to_uppercase);
    for c in upper.flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => folded.push(c),
            // Marks that stand alone behind their letter, and those that are letters only by class.
            '\u{2b0}'..='\u{2ff}' | '\u{300}'..='\u{36f}' => {}
            _ if c.is_ascii() => {}
            _ => match TABLE.iter().find(|(letters, _)| letters.contains(c)) {
                Some((_, plain)) => folded.push_str(plain),
                None if c.is_alphanumeric() => folded.push(c),
                None => {}
            },
        }
    }
    folded
}

/// Letters in lower case, and what they become.
const TABLE: &[(&str, &str)] = &[
    ("àáâãäåāăąǎǟǡǻȁȃȧạảấầẩẫậắằẳẵặª", "a"),
    ("æǣǽ", "ae"),
    ("ḃḅḇƀɓ", "b"),
    ("çćĉċčḉƈ", "c"),
    ("ďđðḋḍḏḑḓɖɗ", "d"),
    ("èéêëēĕėęěȅȇȩḕḗḙḛḝẹẻẽếềểễệə", "e"),
    ("ḟƒ", "f"),
    ("ĝğġģǥǧǵḡɠ", "g"),
    ("ĥħȟḣḥḧḩḫẖ", "h"),
    ("ìíîïĩīĭįıǐȉȋḭḯỉị", "i"),
    ("ĳ", "ij"),
    ("ĵǰ", "j"),
    ("ķĸǩḱḳḵƙ", "k"),
    ("ĺļľŀłḷḹḻḽ", "l"),
    ("ḿṁṃ", "m"),
    ("ñńņňŉŋǹṅṇṉṋ", "n"),
    ("òóôõöøōŏőơǒǫǭǿȍȏȫȭȯȱṍṏṑṓọỏốồổỗộớờởỡợº", "o"),
    ("œ", "oe"),
    ("ṕṗ", "p"),
    ("ŕŗřȑȓṙṛṝṟ", "r"),
    ("śŝşšșſṡṣṥṧṩ", "s"),
    ("ßẞ", "ss"),
    ("ţťŧțṫṭṯṱẗ", "t"),
    ("þ", "th"),
    ("ùúûüũūŭůűųưǔǖǘǚǜȕȗṳṵṷṹṻụủứừửữự", "u"),
    ("ṽṿ", "v"),
    ("ŵẁẃẅẇẉẘ", "w"),
    ("ẋẍ", "x"),
    ("ýÿŷȳẏẙỳỵỷỹ", "y"),
    ("źżžƶẑẓẕ", "z"),
    ("ά", "α"),
    ("έ", "ε"),
    ("ή", "η"),
    ("ίϊΐ", "ι"),
    ("ό", "ο"),
    ("ύϋΰ", "υ"),
    ("ώ", "ω"),
    ("ς", "σ"),
    ("ёѐ", "е"),
    ("йѝ", "и"),
    ("ї", "і"),
];

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    #[test]
    fn case_spacing_accents_and_punctuation_make_no_difference() {
        for (written, compared) in [
            ("Albert Einstein", "alberteinstein"),
            ("  ALBERT\teinstein. ", "alberteinstein"),
            ("Kurt Gödel", "kurtgodel"),
            ("Rene\u{301} Descartes", "renedescartes"),
            ("René Descartes", "renedescartes"),
            ("Søren Kierkegaard", "sorenkierkegaard"),
            ("Antonín Dvořák", "antonindvorak"),
            ("Carl Friedrich Gauß", "carlfriedrichgauss"),
            ("CARL FRIEDRICH GAUẞ", "carlfriedrichgauss"),
            ("İsmet", "ismet"),
            ("Łukasiewicz", "lukasiewicz"),
            ("Ægir Œuvre Þor", "aegiroeuvrethor"),
            ("O'Neill-Smith, Jr.", "oneillsmithjr"),
            ("Trần Hưng Đạo", "tranhungdao"),
            ("Henry VIII. (1491)", "henryviii1491"),
            ("Чайковский", "чаиковскии"),
            ("Σωκράτης", "σωκρατησ"),
            ("孔子", "孔子"),
            ("Liliʻuokalani", "liliuokalani"),
            ("---  ?!", ""),
            ("\u{1b}[2J", "2j"),
        ] {
            assert_eq!(folded(written.as_bytes()), compared, "{written}");
        }
    }

    #[test]
    fn what_is_no_utf_8_is_taken_for_latin_1() {
        assert_eq!(folded(b"G\xf6del"), "godel");
        assert_eq!(folded(b"Gau\xdf"), "gauss");
    }

    #[test]
    fn the_table_holds_each_letter_once_in_lower_case_and_gives_plain_ones() {
        let mut seen = Vec::new();
        for (letters, plain) in TABLE {
            for c in letters.chars() {
                assert!(!seen.contains(&c), "{c} stands twice");
                seen.push(c);
                assert!(!c.is_ascii() && !plain.contains(c), "{c}");
                assert!(c.is_lowercase() || c == 'ẞ', "{c}");
            }
            assert_eq!(fold(plain.chars()), *plain);
        }
    }

    #[test]
    fn every_letter_of_western_and_central_europe_becomes_plain() {
        for c in ('\u{c0}'..='\u{ff}').filter(|c| c.is_alphabetic()) {
            assert!(fold([c].into_iter()).is_ascii(), "{c}");
        }
        for c in ('\u{100}'..='\u{17f}').filter(|c| c.is_alphabetic()) {
            let folded = fold([c].into_iter());
            assert!(folded.is_ascii() && !folded.is_empty(), "{c}: {folded}");
        }
    }

    /// All letters that names of Europe are written with, in either case.
    fn letters() -> impl Iterator<Item = char> {
        let all = ('\u{20}'..='\u{24f}').chain('\u{370}'..='\u{45f}');
        all.chain('\u{1e00}'..='\u{1eff}')
            .filter(|c| c.is_alphabetic())
    }

    #[test]
    fn a_letter_is_compared_alike_in_either_case() {
        for c in letters() {
            let (small, large) = (fold(c.to_lowercase()), fold(c.to_uppercase()));
            assert_eq!(small, large, "{c}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// What is compared is compared as it is.
        #[test]
        fn folding_twice_is_folding_once(name in any::<String>(), bytes in any::<Vec<u8>>()) {
            for folded_once in [folded(name.as_bytes()), folded(&bytes)] {
                prop_assert_eq!(folded(folded_once.as_bytes()), folded_once);
            }
        }

        /// Case, accents behind letters, blanks and punctuation, wherever they are put.
        #[test]
        fn how_a_name_is_written_makes_no_difference(
            name in vec(select(letters().collect::<Vec<_>>()), 1..20),
            between in vec(select(vec!["", " ", "\t", "-", "'", ".", "\u{301}", "\u{308}"]), 20),
            large: bool,
        ) {
            let plain: String = name.iter().collect();
            let written: String = name
                .iter()
                .zip(&between)
                .map(|(c, between)| format!("{c}{between}"))
                .collect();
            let written = if large { written.to_uppercase() } else { written };
            prop_assert_eq!(folded(written.as_bytes()), folded(plain.as_bytes()));
        }
    }
}
