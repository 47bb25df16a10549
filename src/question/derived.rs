//! Questions that the times of other events answer: how long something is, and which of two things comes first. A model reads its
//! answer off the pictures all at once; here the times are asked for, looked at again, and the answer follows by arithmetic.

use super::forms::noun_when;
use super::text::{pattern, tidy};
use longsight_models::Span;
use regex::Regex;
use std::sync::LazyLock;

/// A question that is worked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Derived {
    /// How long something can be seen: the length of its spans together
    Duration {
        /// The question for its times
        when: String,
    },
    /// Whether one thing comes before or after another: by the first time of each
    Order {
        /// The questions for their times
        when: [String; 2],
    },
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

/// The times that a question can be worked out of; `None` if it has to be asked as it is.
#[must_use]
pub fn derived(question: &str) -> Option<Derived> {
    let question = tidy(question);
    if let Some(found) = DURATION.captures(&question) {
        return Some(Derived::Duration { when: noun_when(&found["thing"]) });
    }
    let found = ORDER.iter().find_map(|form| form.captures(&question))?;
    let other = VERB.replace(&found["other"], "");
    Some(Derived::Order { when: [noun_when(&found["one"]), noun_when(&other)] })
}

impl Derived {
    /// The questions whose times are needed.
    #[must_use]
    pub fn questions(&self) -> &[String] {
        match self {
            Self::Duration { when } => std::slice::from_ref(when),
            Self::Order { when } => when,
        }
    }

    /// The answer, of the spans of each of [`Self::questions`]; `None` if one has none, or they tell nothing.
    #[must_use]
    pub fn answer(&self, spans: &[Vec<Span>]) -> Option<String> {
        if spans.len() != self.questions().len() || spans.iter().any(Vec::is_empty) {
            return None;
        }
        match self {
            Self::Duration { .. } => {
                let seconds: f64 = spans.iter().flatten().map(|span| span.duration()).sum();
                Some(format!("{seconds:.1} seconds."))
            }
            Self::Order { .. } => {
                let first = |spans: &[Span]| spans.iter().map(|span| span.start).fold(f64::INFINITY, f64::min);
                match first(&spans[0]).total_cmp(&first(&spans[1])) {
                    std::cmp::Ordering::Less => Some("Before.".to_owned()),
                    std::cmp::Ordering::Greater => Some("After.".to_owned()),
                    std::cmp::Ordering::Equal => None,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_and_in_which_order_are_worked_out() {
        for (question, when) in [
            ("How long is the red star visible?", "When is the red star visible?"),
            ("For how long can the sign EXIT be seen?", "When is the sign EXIT visible?"),
            ("How many seconds is a dog shown in the video?", "When is the dog visible?"),
        ] {
            assert_eq!(derived(question), Some(Derived::Duration { when: when.to_owned() }), "{question}");
        }
        let when = ["When is the red star visible?", "When is the blue bar visible?"].map(str::to_owned);
        for question in [
            "Does the red star appear before or after the blue bar?",
            "Is the red star first seen before or after the blue bar?",
            "Does the red star appear before or after the blue bar appears?",
            "Did the red star appear before the blue bar or after it?",
        ] {
            assert_eq!(derived(question), Some(Derived::Order { when: when.clone() }), "{question}");
        }
        for question in [
            "How long is the bridge?",
            "How long does the man talk?",
            "When is the red star visible?",
            "What appears after the red star?",
            "Does the dog bark before or after dinner is served by him?",
        ] {
            assert_eq!(derived(question), None, "{question}");
        }
    }

    #[test]
    fn answers_follow_from_spans() {
        let span = Span::new;
        let long = Derived::Duration { when: String::new() };
        assert_eq!(long.answer(&[vec![span(1.0, 2.5), span(4.0, 6.0)]]).as_deref(), Some("3.5 seconds."));
        assert_eq!(long.answer(&[vec![]]), None);
        let order = Derived::Order { when: [String::new(), String::new()] };
        let (early, late) = (vec![span(7.0, 8.0), span(1.0, 2.0)], vec![span(3.0, 9.0)]);
        assert_eq!(order.answer(&[early.clone(), late.clone()]).as_deref(), Some("Before."));
        assert_eq!(order.answer(&[late.clone(), early]).as_deref(), Some("After."));
        assert_eq!(order.answer(&[late.clone(), late.clone()]), None);
        assert_eq!(order.answer(&[late, vec![]]), None);
    }
}
