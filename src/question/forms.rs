//! Question forms: what a question asks for, and the other questions that can honestly be made of it.

use super::text::{capital, pattern, tidy};
use regex::Regex;
use std::sync::LazyLock;

/// Questions for a time.
static WHEN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^(?:from when (?:to|until) when|when|at (?:what|which) (?:time|moment|point|second)|(?:at|in) what part of the video)\b",
    )
});
/// Questions for when a thing can be seen, and the thing.
static SEEN: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r"(?i)^(?:from when (?:to|until) when|when|at (?:what|which) (?:time|moment|point)) (?:is|are|was|were) (?P<thing>.+?) (?:visible|shown|seen|on screen|in view|there)(?: in the video)?\?*$",
        r"(?i)^(?:when|at (?:what|which) (?:time|moment|point)) can (?P<thing>.+?) be seen(?: in the video)?\?*$",
        r"(?i)^(?:when|at (?:what|which) (?:time|moment|point)) (?:can|do|does) (?:you|one|we|i) see (?P<thing>.+?)(?: in the video)?\?*$",
        r"(?i)^(?:when|at (?:what|which) (?:time|moment|point)) (?:does|do|did) (?P<thing>.+?) (?:appear|show up|come into view)(?: in the video)?\?*$",
    ]
    .iter()
    .map(|text| pattern(text))
    .collect()
});
/// Whether something is there, and the thing.
static EXISTS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r"(?i)^(?:is|are|was|were) there (?P<thing>.+?) (?:in|anywhere in) the (?:video|clip|film|recording|footage)\?*$",
        r"(?i)^can (?P<thing>.+?) be seen in the (?:video|clip|film|recording|footage)\?*$",
        r"(?i)^(?:does|do|did) (?P<thing>.+?) appear in the (?:video|clip|film|recording|footage)\?*$",
    ]
    .iter()
    .map(|text| pattern(text))
    .collect()
});
/// Any other question for a time: what is left makes a question for yes or no.
static DOES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^(?:when|at (?:what|which) (?:time|moment|point)) (?P<rest>(?:does|do|did|is|are|was|were|can) .+?)\?*$",
    )
});
/// "a red star appears"
static SEEN_SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^(?P<thing>.+?) (?:appears?|is (?:visible|shown|seen)|can be seen|shows? up|comes? into view)(?: in the video)?$",
    )
});
/// "the sign says EXIT", "a sign that says EXIT"
static SAYS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?i)^(?:(?:the|a) )?sign (?:that |which )?(?:says?|said|reads?|saying|reading|with the word|with) ["']?(?P<says>[^"']+?)["']?$"#,
    )
});
static SIGN: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?P<sign>.*\bsign) (?P<says>[A-Z0-9][A-Z0-9 :'-]*)$"));

/// Whether a thing is there, as it is asked of short stretches.
pub(super) const SEEN_QUESTION: &str = "Can {} be seen in the video?";

/// Whether a question asks for a time.
#[must_use]
pub fn asks_when(question: &str) -> bool {
    WHEN.is_match(question)
}

/// The thing whose time or presence a question asks for: "the red star" of "When does the red star appear?", "a red star"
/// of "Is there a red star in the video?".
#[must_use]
pub fn thing(question: &str) -> Option<&str> {
    let found = SEEN.iter().chain(EXISTS.iter()).find_map(|form| form.captures(question));
    found.and_then(|found| found.name("thing")).map(|thing| thing.as_str())
}

/// The question for when a thing can be seen: "When is the red star visible?" of "a red star".
#[must_use]
pub fn noun_when(thing: &str) -> String {
    format!("When is {} visible?", definite(&tidy(thing)))
}

/// The question for when something is, of a question for a time, of one for presence, of a sentence ("a red star appears",
/// "the sign says EXIT") or of a noun.
#[must_use]
pub fn when(query: &str) -> String {
    let query = tidy(query);
    if asks_when(&query) {
        return query;
    }
    if let Some(thing) = thing(&query) {
        return noun_when(thing);
    }
    let plain = query.trim_end_matches(['?', '.', '!', ' ']);
    if let Some(found) = SAYS.captures(plain) {
        return noun_when(&format!("the sign {}", &found["says"]));
    }
    noun_when(
        SEEN_SENTENCE.captures(plain).map_or(plain, |found| found.name("thing").map_or(plain, |thing| thing.as_str())),
    )
}

/// The question for yes or no that a question for a time implies: "Can a red star be seen in the video?" of "When does the
/// red star appear?", "Does the dog jump?" of "When does the dog jump?". `None` where no such question can be made.
#[must_use]
pub fn existence(question: &str) -> Option<String> {
    if let Some(thing) = thing(question) {
        return Some(SEEN_QUESTION.replace("{}", &indefinite(thing)));
    }
    let found = DOES.captures(question)?;
    Some(format!("{} in the video?", capital(found["rest"].trim_end_matches(" in the video"))))
}

/// What is read where a thing says something: the question for it, and what the answer should be: "What does the sign say?" and "EXIT" of
/// "When is the sign EXIT visible?". `None` where nothing is said to be read.
#[must_use]
pub fn reading(question: &str) -> Option<(String, String)> {
    let thing = indefinite(thing(question)?);
    let (on, says) = thing.split_once(" that says ")?;
    let on = on.split_once(' ').map_or(on, |(_, on)| on);
    Some((format!("What does the {on} say?"), says.to_owned()))
}

/// Whether one of two texts may have been read for the other: of one length, and either numbers or alike but for one letter.
#[must_use]
pub fn mistakable(a: &str, b: &str) -> bool {
    let differ = a.chars().zip(b.chars()).filter(|(a, b)| a != b).count();
    let numbers = [a, b].iter().all(|text| text.chars().all(|letter| letter.is_ascii_digit()));
    a.chars().count() == b.chars().count() && (differ == 1 || numbers && differ > 0)
}

/// Whether an answer begins with yes.
#[must_use]
pub fn says_yes(answer: &str) -> bool {
    first_word(answer).eq_ignore_ascii_case("yes")
}

/// Whether an answer begins with no.
#[must_use]
pub fn says_no(answer: &str) -> bool {
    first_word(answer).eq_ignore_ascii_case("no")
}

fn first_word(answer: &str) -> &str {
    answer.trim_start().split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default()
}

/// "the red star" of "a red star" and of "red star"; what has another determiner or is a name keeps it.
fn definite(thing: &str) -> String {
    let (first, rest) = thing.split_once(' ').unwrap_or((thing, ""));
    let lower = first.to_lowercase();
    match lower.as_str() {
        "a" | "an" | "the" if !rest.is_empty() => format!("the {rest}"),
        "his" | "her" | "their" | "its" | "our" | "my" | "this" | "that" | "these" | "those" | "someone"
        | "somebody" | "something" | "people" | "anyone" => thing.to_owned(),
        _ if first.chars().next().is_some_and(char::is_uppercase) => thing.to_owned(),
        _ => format!("the {thing}"),
    }
}

/// "a red star" of "the red star"; "the sign EXIT" is a sign that says EXIT. Plurals keep their article.
pub(super) fn indefinite(thing: &str) -> String {
    let said = SIGN.replace(thing, "$sign that says $says");
    let Some(rest) = said.strip_prefix("the ").or_else(|| said.strip_prefix("The ")) else { return said.into_owned() };
    let head = rest.split(" that ").next().unwrap_or(rest);
    if head.ends_with('s') && !head.ends_with("ss") && !head.ends_with("us") {
        return said.into_owned();
    }
    let vowel = rest.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O']) || rest.starts_with("hour");
    format!("{} {rest}", if vowel { "an" } else { "a" })
}
