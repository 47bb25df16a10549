//! One of several times: "the second time", "the last time".

use super::forms::{asks_when, noun_when};
use super::text::{capital, is_end, pattern, without};
use regex::Regex;
use std::sync::LazyLock;

/// Which of several times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordinal {
    /// Counted from 1
    Nth(usize),
    /// The last one
    Last,
}

impl Ordinal {
    /// The one that is meant, of several in the order of time.
    #[must_use]
    pub fn pick<'a, T>(&self, times: &'a [T]) -> Option<&'a T> {
        match *self {
            Self::Nth(place) => times.get(place.checked_sub(1)?),
            Self::Last => times.last(),
        }
    }
}

impl std::fmt::Display for Ordinal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Nth(place) => write!(f, "time number {place}"),
            Self::Last => f.write_str("the last time"),
        }
    }
}

const PLACES: [&str; 10] =
    ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];

static TIME: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!("(?i),? (?:for )?(?:the|a) (?:very )?(?P<place>{}) time\\b", places())));
/// "When is the second time that the star appears?"
static OF_TIME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        "(?i)^when (?:is|was) the (?P<place>{}) time (?:that )?(?P<thing>the .+?) (?:appears?|appeared|is (?:visible|shown|seen)|can be seen|shows? up)\\?*$",
        places()
    ))
});
/// "When does the star first appear?"
static ADVERB: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        "(?i)^when (?:does|do|did|is|are|was|were|can) .+?(?P<word> (?P<place>first|last)) (?:appear|show up|visible|shown|seen|be seen|happen|come)\\b",
    )
});

fn places() -> String {
    format!(r"{}|last|final|\d+(?:st|nd|rd|th)", PLACES.join("|"))
}

/// Which time is meant, and the question for all of them. Only questions for a time have several to choose from.
pub(super) fn take(question: &str) -> Option<(Ordinal, String)> {
    if let Some(found) = OF_TIME.captures(question) {
        return Some((place(&found["place"])?, noun_when(&found["thing"])));
    }
    if !asks_when(question) {
        return None;
    }
    if let Some(found) = TIME.captures(question) {
        let range = found.get(0)?.range();
        return if is_end(question, range.end) {
            Some((place(&found["place"])?, without(question, &range)?))
        } else {
            None
        };
    }
    let found = ADVERB.captures(question)?;
    Some((place(&found["place"])?, capital(&without(question, &found.name("word")?.range())?)))
}

fn place(word: &str) -> Option<Ordinal> {
    let word = word.to_lowercase();
    if word == "last" || word == "final" {
        return Some(Ordinal::Last);
    }
    let named = PLACES.iter().position(|known| *known == word).map(|place| place + 1);
    let counted = || word.trim_end_matches(|letter: char| letter.is_ascii_alphabetic()).parse().ok();
    named.or_else(counted).filter(|&place: &usize| place > 0).map(Ordinal::Nth)
}
