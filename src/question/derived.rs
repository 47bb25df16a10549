//! Questions that other questions answer: how long something is and which of two things comes first follow from times, and of some choices one
//! is nearest to a time, seen first, or what is said where nothing is given to choose from. A model reads such answers off the
//! pictures all at once; here the parts are asked for, looked at again, and the rest is arithmetic.

use super::forms::{asks_when, noun_when};
use super::text::{pattern, tidy};
use longsight_models::Span;
use regex::Regex;
use std::sync::LazyLock;

/// One of the choices of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// `A`; empty where choices have none
    pub label: String,
    /// What follows the label
    pub text: String,
    /// The times that it names
    pub spans: Vec<Span>,
}

/// A question that others answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    /// What has to be asked
    pub questions: Vec<String>,
    rule: Rule,
    /// The choices; where there is a question for each, in their order
    choices: Vec<Choice>,
}

/// How an answer follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// The length of all spans together
    Duration,
    /// Whether the first thing is seen before or after the second, by the first time of each
    Order,
    /// The choice that is seen first
    First,
    /// The choice that is seen last, by the first time of each
    Last,
    /// The only choice that is seen
    There,
    /// The choice whose time is nearest
    Nearest,
    /// The choice that is said
    Said,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The answer
    pub said: String,
    /// The spans that hold
    pub spans: Vec<Span>,
}

static DURATION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^(?:for )?how (?:long|many seconds) (?:is|are|was|were|can|does|do|did) (?P<thing>.+?) (?:visible|shown|(?:be )?seen|on screen|in view|there|stay visible|remain visible|stay on screen)(?: in the video)?\?*$",
    )
});
static ORDER: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    const SEEN: &str = "(?:first )?(?:appear|appears|seen|visible|shown|show up|come into view)";
    [
        format!(r"(?i)^(?:does|do|did|is|are|was|were) (?P<one>.+?) {SEEN} before or after (?P<other>.+?)\?*$"),
        format!(
            r"(?i)^(?:does|do|did|is|are|was|were) (?P<one>.+?) {SEEN} before (?P<other>.+?) or after (?:it|them)\?*$"
        ),
    ]
    .iter()
    .map(|text| pattern(text))
    .collect()
});
/// What may follow the second thing of an order: "the star appears".
static VERB: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i) (?:appears?|appeared|is (?:first )?(?:seen|visible|shown)|does|do|did|is|was)$"));
/// Which of some things comes first or last.
static OF_THESE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^(?:which|what|who)(?: of (?:these|the following)(?: \w+)?)? (?:appears?|appeared|comes?|came|is seen|is shown|is visible|can be seen) (?P<place>first|last)(?: in the video)?\?*$",
    )
});
/// Which of some things is there at all.
static THERE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^which of (?:these|the following)(?: \w+)? (?:is|are|appears?|can be seen|is seen|is shown|is visible)(?: in the (?:video|clip|film))?\?*$",
    )
});

/// Words of a choice that is the name of a thing.
const MOST_WORDS: usize = 6;
/// Overlap (intersection over union) from which a choice's time is that of the event.
const SAME: f64 = 0.3;

/// The questions by which one with `choices`, or with none, can be answered; `None` if it has to be asked as it is.
#[must_use]
pub fn derived(question: &str, choices: &[Choice]) -> Option<Derived> {
    let question = tidy(question);
    let of = |questions: Vec<String>, rule| Some(Derived { questions, rule, choices: choices.to_vec() });
    if choices.is_empty() {
        if let Some(found) = DURATION.captures(&question) {
            return of(vec![noun_when(&found["thing"])], Rule::Duration);
        }
        let found = ORDER.iter().find_map(|form| form.captures(&question))?;
        let other = VERB.replace(&found["other"], "");
        return of(vec![noun_when(&found["one"]), noun_when(&other)], Rule::Order);
    }
    let things = choices.iter().all(|choice| (1..=MOST_WORDS).contains(&choice.text.split_whitespace().count()));
    let each = || choices.iter().map(|choice| noun_when(choice.text.trim_end_matches('.'))).collect();
    if let (Some(found), true) = (OF_THESE.captures(&question), things) {
        let first = found["place"].eq_ignore_ascii_case("first");
        return of(each(), if first { Rule::First } else { Rule::Last });
    }
    if THERE.is_match(&question) {
        return if things { of(each(), Rule::There) } else { None };
    }
    match choices.iter().filter(|choice| !choice.spans.is_empty()).count() {
        all if all == choices.len() && asks_when(&question) => of(vec![question], Rule::Nearest),
        0 => of(vec![question], Rule::Said),
        _ => None,
    }
}

impl Derived {
    /// The answer, of what came of each of the questions: of choices, the label; `None` if it does not follow.
    #[must_use]
    pub fn answer(&self, found: &[Found]) -> Option<String> {
        let seen: Vec<(usize, f64)> = (0..)
            .zip(found)
            .filter(|(_, found)| !found.spans.is_empty())
            .map(|(place, found)| (place, found.spans.iter().map(|span| span.start).fold(f64::INFINITY, f64::min)))
            .collect();
        let label = |place: usize| match self.choices.get(place)? {
            Choice { label, text, .. } if label.is_empty() => Some(text.clone()),
            Choice { label, .. } => Some(format!("{label}.")),
        };
        let by_start = |a: &&(usize, f64), b: &&(usize, f64)| a.1.total_cmp(&b.1);
        match self.rule {
            Rule::Duration => {
                let seconds: f64 = found.iter().flat_map(|found| &found.spans).map(|span| span.duration()).sum();
                (seconds > 0.0).then(|| format!("{seconds:.1} seconds."))
            }
            Rule::Order => match seen.as_slice() {
                [(_, one), (_, other)] if one < other => Some("Before.".to_owned()),
                [(_, one), (_, other)] if one > other => Some("After.".to_owned()),
                _ => None,
            },
            Rule::First | Rule::Last if seen.len() < 2 => None,
            Rule::First => label(seen.iter().min_by(by_start)?.0),
            Rule::Last => label(seen.iter().max_by(by_start)?.0),
            Rule::There => {
                if let [(only, _)] = seen.as_slice() {
                    label(*only)
                } else {
                    None
                }
            }
            Rule::Nearest => {
                let spans = &found.first()?.spans;
                let overlap = |choice: &Choice| {
                    let pairs = choice.spans.iter().flat_map(|a| spans.iter().map(|b| a.iou(*b)));
                    pairs.fold(0.0, f64::max)
                };
                let overlaps = (0..).zip(&self.choices).map(|(place, choice)| (place, overlap(choice)));
                let (place, most) = overlaps.max_by(|a, b| a.1.total_cmp(&b.1))?;
                if most >= SAME { label(place) } else { None }
            }
            Rule::Said => {
                let said = plain(&found.first()?.said);
                label(self.choices.iter().position(|choice| plain(&choice.text) == said)?)
            }
        }
    }
}

/// What two wordings of the same have in common.
fn plain(text: &str) -> String {
    let text = text.trim().trim_end_matches(['.', '!']).to_lowercase();
    ["the ", "a ", "an "].iter().find_map(|article| text.strip_prefix(article)).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(texts: &[&str]) -> Vec<Choice> {
        let choice = |(label, text): (char, &&str)| Choice {
            label: label.to_string(),
            text: (*text).to_owned(),
            spans: Vec::new(),
        };
        ('A'..).zip(texts).map(choice).collect()
    }

    fn at(spans: &[(f64, f64)]) -> Found {
        Found { said: String::new(), spans: spans.iter().map(|&(start, end)| Span::new(start, end)).collect() }
    }

    fn asked(question: &str, choices: &[Choice]) -> Vec<String> {
        derived(question, choices).map(|derived| derived.questions).unwrap_or_default()
    }

    fn answer(question: &str, choices: &[Choice], found: &[Found]) -> Option<String> {
        derived(question, choices)?.answer(found)
    }

    #[test]
    fn how_long_and_in_which_order_are_worked_out() {
        for (question, when) in [
            ("How long is the red star visible?", "When is the red star visible?"),
            ("For how long can the sign EXIT be seen?", "When is the sign EXIT visible?"),
            ("How many seconds is a dog shown in the video?", "When is the dog visible?"),
        ] {
            assert_eq!(asked(question, &[]), [when], "{question}");
            assert_eq!(answer(question, &[], &[at(&[(1.0, 2.5), (4.0, 6.0)])]).as_deref(), Some("3.5 seconds."));
            assert_eq!(answer(question, &[], &[at(&[])]), None);
        }
        for question in [
            "Does the red star appear before or after the blue bar?",
            "Is the red star first seen before or after the blue bar?",
            "Does the red star appear before or after the blue bar appears?",
            "Did the red star appear before the blue bar or after it?",
        ] {
            let when = ["When is the red star visible?", "When is the blue bar visible?"];
            assert_eq!(asked(question, &[]), when, "{question}");
            let (early, late) = (at(&[(7.0, 8.0), (1.0, 2.0)]), at(&[(3.0, 9.0)]));
            assert_eq!(answer(question, &[], &[early.clone(), late.clone()]).as_deref(), Some("Before."));
            assert_eq!(answer(question, &[], &[late.clone(), early]).as_deref(), Some("After."));
            assert_eq!(answer(question, &[], &[late.clone(), late.clone()]), None);
            assert_eq!(answer(question, &[], &[late, at(&[])]), None);
        }
        for question in [
            "How long is the bridge?",
            "How long does the man talk?",
            "When is the red star visible?",
            "What appears after the red star?",
            "Which of these appears first?",
        ] {
            assert_eq!(derived(question, &[]), None, "{question}");
        }
    }

    #[test]
    fn one_of_some_things_is_seen_first_or_last_or_alone() {
        let things = choices(&["the red star", "a blue bar", "the sign EXIT"]);
        let whens =
            ["When is the red star visible?", "When is the blue bar visible?", "When is the sign EXIT visible?"];
        let found = [at(&[(4.0, 5.0)]), at(&[]), at(&[(2.0, 9.0)])];
        for (question, right) in [
            ("Which of these appears first?", Some("C.")),
            ("What is seen first in the video?", Some("C.")),
            ("Which of the following objects comes last?", Some("A.")),
            ("Which of these is in the video?", None),
        ] {
            assert_eq!(asked(question, &things), whens, "{question}");
            assert_eq!(answer(question, &things, &found).as_deref(), right, "{question}");
        }
        let alone = [at(&[]), at(&[(1.0, 2.0)]), at(&[])];
        assert_eq!(answer("Which of these is in the video?", &things, &alone).as_deref(), Some("B."));
        assert_eq!(answer("Which of these appears first?", &things, &alone), None);
        let sentences = choices(&["the man leaves the house and closes the door", "it rains"]);
        assert_eq!(derived("Which of these is in the video?", &sentences), None);
    }

    #[test]
    fn a_choice_is_the_nearest_in_time_or_what_is_said_without_choices() {
        let mut times = choices(&["from 1.0 to 4.0 seconds", "from 10.0 to 12.0 seconds"]);
        (times[0].spans, times[1].spans) = (vec![Span::new(1.0, 4.0)], vec![Span::new(10.0, 12.0)]);
        let question = "When is the red star visible?";
        assert_eq!(asked(question, &times), [question]);
        assert_eq!(answer(question, &times, &[at(&[(9.5, 12.0)])]).as_deref(), Some("B."));
        assert_eq!(answer(question, &times, &[at(&[(5.0, 9.0)])]), None);
        let colours = choices(&["red", "Dark green."]);
        let said = |said: &str| [Found { said: said.to_owned(), spans: Vec::new() }];
        let question = "What colour is the car?";
        assert_eq!(answer(question, &colours, &said("dark green")).as_deref(), Some("B."));
        assert_eq!(answer(question, &colours, &said("The red.")).as_deref(), Some("A."));
        assert_eq!(answer(question, &colours, &said("Blue.")), None);
    }
}
