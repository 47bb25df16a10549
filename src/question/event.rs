//! Stretches that another event bounds: "after the red star appears", "while the red star is visible".

use super::forms::noun_when;
use super::text::{is_end, pattern, without};
use longsight_models::Span;
use regex::Regex;
use std::sync::LazyLock;

/// Where a stretch lies, seen from the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Up to it
    Before,
    /// From it on
    After,
    /// As long as it lasts
    During,
}

/// Which side of the event's own span is meant; of no matter to what lies within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// Where it begins ("appears")
    Start,
    /// Where it ends ("disappears")
    End,
}

/// Another event, and where the stretch lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Where the stretch lies
    pub relation: Relation,
    /// From or up to which side of the event
    pub edge: Edge,
    /// As it was written, with its connecting word
    pub words: String,
    /// The question whose answer says when it is
    pub when: String,
}

impl Event {
    /// The stretch of a video, given when the event is: from or up to the side that was meant.
    #[must_use]
    pub fn stretch(&self, event: Span, video: Span) -> Option<Span> {
        let edge = match self.edge {
            Edge::Start => event.start,
            Edge::End => event.end,
        };
        let (start, end) = match self.relation {
            Relation::Before => (video.start, edge),
            Relation::After => (edge, video.end),
            Relation::During => (event.start, event.end),
        };
        let (start, end) = (start.max(video.start), end.min(video.end));
        (start < end).then_some(Span { start, end })
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.words)
    }
}

/// A thing in a sentence's middle: "the red star", "her brother's dog".
const THING: &str = r"(?:the|a|an|his|her|their|its|our|my|this|that)(?: [\w'’-]+){1,8}?";
const APPEARS: &str = "(?:first )?(?:appears?|appeared|shows? up|comes? into view|is (?:first )?(?:visible|shown|seen)|can (?:first )?be seen|begins?|starts?)";
const VANISHES: &str =
    "(?:disappears?|disappeared|vanishe[sd]|vanish|is gone|goes away|is no longer visible|ends?|stops?)";

const LASTS: &str = "(?:is (?:visible|shown|seen|on screen|on the screen|in view|in the picture|there)|can be seen)";

static FORMS: LazyLock<Vec<(Regex, Edge)>> = LazyLock::new(|| {
    let form = |text: String, edge| (pattern(&format!("(?i)(?:^|,? ){text}")), edge);
    let link = "(?P<link>before|after|until|till|since|once)";
    vec![
        form(format!("{link} (?P<thing>{THING}) {VANISHES}"), Edge::End),
        form(format!("{link} (?P<thing>{THING}) {APPEARS}"), Edge::Start),
        form(format!("(?P<link>while) (?P<thing>{THING}) {LASTS}"), Edge::Start),
    ]
});

/// A thing alone, at the end or before a comma: "before the goal".
static ALONE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:^|,? )(?P<link>before|after|until|till|since) (?P<thing>(?:the|a|an|his|her|their) [\w'’-]+(?: [\w'’-]+){0,2})",
    )
});

/// Questions for what comes next or came before, which are about the order itself: "What appears after the star?"
static SUCCESSION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^(?:what|who|which(?: [\w-]+){0,3})(?: else)? (?:is |are |was |were )?(?:appears?|comes?|came|happens?|happened|follows?|occurs?|shown|seen|visible|next|first|last|there)(?: next| first| last| directly| right| immediately)?,?$",
    )
});

/// What stands before the connecting word so that it bounds nothing ("before or after").
static ASKED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:\b(?:or|than|not|shortly|soon|long|right|just|immediately|directly|next|seconds|minutes|hours|times)$)|^how (?:long|soon|many (?:seconds|minutes|hours))\b",
    )
});

/// The phrase that names another event, and the question without it. It stands at the question's end, or before a comma.
pub(super) fn take(question: &str) -> Option<(Event, String)> {
    let forms = FORMS.iter().map(|(form, edge)| (form, Some(*edge))).chain([(&*ALONE, None)]);
    for (form, edge) in forms {
        let Some(found) = form.captures(question) else { continue };
        let range = found.get(0)?.range();
        let trailing = range.start > 0 && is_end(question, range.end);
        let leading = range.start == 0 && question[range.end..].starts_with(',');
        let before = question[..range.start].trim_end();
        if !(trailing || leading) || ASKED.is_match(before) {
            continue;
        }
        let relation = match found["link"].to_lowercase().as_str() {
            "before" | "until" | "till" => Relation::Before,
            "while" => Relation::During,
            _ => Relation::After,
        };
        // "What appears after the star?" and "What appears after the star appears?" both ask for the next thing.
        if trailing && SUCCESSION.is_match(before) {
            continue;
        }
        // Of a thing alone, "before" means its start and "after" its end.
        let edge = edge.unwrap_or(if relation == Relation::Before { Edge::Start } else { Edge::End });
        let words = found.get(0)?.as_str().trim_start_matches(',').trim().to_owned();
        let when = noun_when(&found["thing"]);
        return Some((Event { relation, edge, words, when }, without(question, &range)?));
    }
    None
}
