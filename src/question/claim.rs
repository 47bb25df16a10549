//! What a question and its answer say together: "a red star can be seen" of "What colour is the star?" and "Red." Short stretches of the
//! video can be asked for that, one by one, which neither the question nor the answer allows alone.

use super::forms::{SEEN_QUESTION, indefinite, says_no, says_yes};
use super::text::{pattern, tidy};
use regex::Regex;
use std::sync::LazyLock;

/// Words of an answer that is still a name or a property, and no sentence.
const MOST_WORDS: usize = 5;

/// Questions for a property that stands before its thing: "red" of "star".
static PROPERTY: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r"(?i)^(?:what|which) (?:colou?r|shape|size|material) (?:is|are|was|were|does|do|did) (?P<thing>.+?)(?: have| has)?(?: in the video)?\?*$",
        r"(?i)^what (?:is|are|was|were) the (?:colou?r|shape|size|material) of (?P<thing>.+?)(?: in the video)?\?*$",
    ]
    .iter()
    .map(|text| pattern(text))
    .collect()
});
/// Questions for what is written somewhere: "a sign that says EXIT" of "EXIT".
static WRITTEN: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    const ON: &str =
        r"(?P<on>(?:[\w-]+ )?(?:sign|poster|banner|board|billboard|screen|label|plate|card|shirt|door|wall|page))";
    [
        format!(r"(?i)^what (?:does|do|did) (?:the |a )?{ON} (?:say|read)\b"),
        format!(r"(?i)^(?:what|which [\w ]+?) (?:is|was) (?:written|printed|said) on (?:the |a )?{ON}\b"),
        format!(
            r"(?i)^which (?:word|number|name|text)(?: or (?:word|number|name|text))? (?:is|was) on (?:the |a )?{ON}\b"
        ),
        format!(r"(?i)^which {ON} can be read\b"),
    ]
    .iter()
    .map(|text| pattern(text))
    .collect()
});
/// "the first sign" is a sign.
static ORDINAL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)^(?:first|second|third|fourth|fifth|last|next|previous|other|only) "));
/// What has a property and no name: "the pink object" that is a heart is a pink heart.
static NAMELESS: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^(?P<rest>.+) (?:object|thing|figure|shape|item)$"));

/// Whether answers to a question can be [claims](claim).
#[must_use]
pub fn claims(question: &str) -> bool {
    WRITTEN.iter().chain(PROPERTY.iter()).any(|form| form.is_match(question))
}

/// The question for yes or no that asks for what a question and its answer say together: "Can a red star be seen in the video?" of
/// "What colour is the star?" and "Red."; `None` where no such question can be made.
#[must_use]
pub fn claim(question: &str, answer: &str) -> Option<String> {
    let answer = tidy(answer);
    let answer = answer.trim_end_matches(['.', '!']).trim_matches(['"', '\'']);
    let words = answer.split(' ').filter(|word| !word.is_empty()).count();
    if words == 0 || words > MOST_WORDS || says_yes(answer) || says_no(answer) {
        return None;
    }
    if let Some(found) = WRITTEN.iter().find_map(|form| form.captures(question)) {
        let on = ORDINAL.replace(&found["on"], "").to_lowercase();
        return Some(SEEN_QUESTION.replace("{}", &indefinite(&format!("the {on} that says {answer}"))));
    }
    let found = PROPERTY.iter().find_map(|form| form.captures(question))?;
    let thing = tidy(&found["thing"]);
    let thing = ["the ", "a ", "an ", "The "].iter().find_map(|article| thing.strip_prefix(article)).unwrap_or(&thing);
    let property = lower(answer);
    let whole = match NAMELESS.captures(thing) {
        Some(nameless) if question.to_lowercase().contains("shape") => format!("{} {property}", &nameless["rest"]),
        _ => format!("{property} {thing}"),
    };
    Some(SEEN_QUESTION.replace("{}", &indefinite(&format!("the {whole}"))))
}

/// With a small first letter, unless it is written in capitals.
fn lower(answer: &str) -> String {
    let mut letters = answer.chars();
    let Some(first) = letters.next() else { return String::new() };
    if letters.clone().next().is_none_or(char::is_uppercase) {
        return answer.to_owned();
    }
    first.to_lowercase().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_and_its_answer_are_a_claim() {
        for (question, answer, expected) in [
            ("What colour is the star?", "Red.", "Can a red star be seen in the video?"),
            ("Which colour does the arrow have?", "Orange.", "Can an orange arrow be seen in the video?"),
            ("What is the color of the car in the video?", "dark green", "Can a dark green car be seen in the video?"),
            ("What shape is the pink object?", "Heart.", "Can a pink heart be seen in the video?"),
            ("Which shape does the window have?", "Round.", "Can a round window be seen in the video?"),
            ("What does the sign say?", "MUSIC.", "Can a sign that says MUSIC be seen in the video?"),
            ("What does the second sign say?", "42.", "Can a sign that says 42 be seen in the video?"),
            (
                "What does the sign say while the red star is visible?",
                "EXIT.",
                "Can a sign that says EXIT be seen in the video?",
            ),
            ("Which word or number is on the sign?", "7.", "Can a sign that says 7 be seen in the video?"),
            ("What is written on the poster?", "\"Open Day\"", "Can a poster that says Open Day be seen in the video?"),
        ] {
            assert!(claims(question), "{question}");
            assert_eq!(claim(question, answer).as_deref(), Some(expected), "{question} {answer}");
        }
    }

    #[test]
    fn what_is_no_claim_is_none() {
        for (question, answer) in [
            ("What colour is the star?", ""),
            ("What colour is the star?", "No."),
            ("What colour is the star?", "I cannot tell from what I see here."),
            ("How many stars are there?", "3."),
            ("When is the red star visible?", "From 1.0 to 2.0 seconds."),
            ("What does the man say to the dog?", "Sit."),
        ] {
            assert_eq!(claim(question, answer), None, "{question} {answer}");
        }
    }
}
