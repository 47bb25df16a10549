//! Small operations on sentences.

use regex::Regex;
use std::ops::Range;

/// Fewest words of what is left of a question when a phrase is taken out: below that it was no phrase.
const FEWEST_WORDS: usize = 2;

#[expect(clippy::expect_used, reason = "the patterns are constants, and the tests compile all of them")]
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

/// The sentence with single spaces, none before its punctuation and none around it.
pub(super) fn tidy(sentence: &str) -> String {
    let words: Vec<&str> = sentence.split_whitespace().collect();
    let mut text = words.join(" ");
    for mark in ["?", "!", ",", "."] {
        text = text.replace(&format!(" {mark}"), mark);
    }
    text
}

/// The sentence without the phrase at `range` and the comma that set it off; `None` if hardly anything would be left.
pub(super) fn without(sentence: &str, range: &Range<usize>) -> Option<String> {
    let before = sentence[..range.start].trim_end().trim_end_matches(',').trim_end();
    let after = sentence[range.end..].trim_start().trim_start_matches(',').trim_start();
    let rest = tidy(&format!("{before} {after}"));
    (rest.split(' ').count() >= FEWEST_WORDS).then(|| capital(&rest))
}

/// The sentence with a capital first letter.
pub(super) fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Whether nothing but punctuation stands at `at` and behind it.
pub(super) fn is_end(sentence: &str, at: usize) -> bool {
    sentence[at..].chars().all(|letter| matches!(letter, '?' | '.' | '!' | ' '))
}
