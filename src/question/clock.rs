//! Stretches of the clock in words.

use super::text::{pattern, without};
use longsight_models::Span;
use regex::{Captures, Regex};
use std::ops::Range;
use std::sync::LazyLock;

/// How far "at 1:30" reaches to either side, in seconds: some frames, so that something can be seen to move.
const AT_REACH_S: f64 = 1.0;
/// How far "around 1:30" does.
const AROUND_REACH_S: f64 = 5.0;

/// A stretch of a video, by the clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Clock {
    /// From this second of the source clock on
    After(f64),
    /// Up to this second
    Before(f64),
    /// Between two seconds
    Between(f64, f64),
    /// This second
    At(f64),
    /// Some seconds around this one
    Around(f64),
    /// The first so many seconds of the video
    First(f64),
    /// The last so many
    Last(f64),
    /// From one share of the video's length to another
    Part(f64, f64),
}

impl Clock {
    /// The stretch of a video from `video.start` to `video.end`; `None` if it lies outside, or if the end of the video has
    /// to be known and is not.
    #[must_use]
    pub fn stretch(&self, video: Span) -> Option<Span> {
        let (start, end) = match *self {
            Self::After(from) => (from, video.end),
            Self::Before(to) => (video.start, to),
            Self::Between(from, to) => (from.min(to), from.max(to)),
            Self::At(time) if video.contains(time) => (time - AT_REACH_S, time + AT_REACH_S),
            Self::Around(time) if video.contains(time) => (time - AROUND_REACH_S, time + AROUND_REACH_S),
            Self::At(_) | Self::Around(_) => return None,
            Self::First(seconds) => (video.start, video.start + seconds),
            Self::Last(_) | Self::Part(..) if !video.end.is_finite() => return None,
            Self::Last(seconds) => (video.end - seconds, video.end),
            Self::Part(from, to) => {
                let at = |share: f64| video.start + share * video.duration();
                (at(from), at(to))
            }
        };
        let (start, end) = (start.max(video.start), end.min(video.end));
        (start < end).then_some(Span { start, end })
    }
}

impl std::fmt::Display for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::After(time) => write!(f, "after {time} s"),
            Self::Before(time) => write!(f, "before {time} s"),
            Self::Between(from, to) => write!(f, "between {from} and {to} s"),
            Self::At(time) => write!(f, "at {time} s"),
            Self::Around(time) => write!(f, "around {time} s"),
            Self::First(seconds) => write!(f, "the first {seconds} s"),
            Self::Last(seconds) => write!(f, "the last {seconds} s"),
            Self::Part(from, to) => write!(f, "from {:.0} to {:.0} % of the video", from * 100.0, to * 100.0),
        }
    }
}

const UNITS: &str = "seconds?|secs?|s|minutes?|mins?|hours?|hrs?|h";
const WORDS: [&str; 20] = [
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "fifteen",
    "twenty", "thirty", "forty", "fifty", "sixty", "ninety", "hundred",
];
const VALUES: [f64; 20] =
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 90.0, 100.0];
/// What may follow a stretch of the video without changing it.
const OF_VIDEO: &str = r"(?: (?:of|in|into|from) (?:the|this) (?:video|clip|film|movie|recording|footage|tape))?";

/// Ways to name stretches, most specific first.
static FORMS: LazyLock<Vec<(Regex, Kind)>> = LazyLock::new(|| {
    let words = WORDS.join("|");
    let clock = r"\d+:[0-5]\d(?::[0-5]\d)?(?:\.\d+)?";
    let amount = format!(r"(?:(?:\d+(?:\.\d+)?|{words}) ?(?:{UNITS})\b|half an? (?:minute|hour)|an? (?:minute|hour))");
    // "minute 5" and "the 5 minute mark" are points too.
    let point = format!(r"(?:{clock}|(?:the )?{amount}(?:[ -]mark)?|(?:minute|second|hour) \d+(?:\.\d+)?)");
    let bare = r"\d+(?:\.\d+)?";
    let within = "(?:in|during|within|over|throughout|for)";
    let form = |text: String, kind| (pattern(&format!(r"(?i)\b{text}{OF_VIDEO}\b")), kind);
    vec![
        form(format!(r"(?:between|from) (?P<a>{point}) (?:and|to|until) (?P<b>{point})"), Kind::Between),
        form(format!(r"(?:between|from) (?P<a>{bare}) (?:and|to|until) (?P<b>{amount})"), Kind::Between),
        form(format!(r"{within} the (?:very )?first (?P<a>{amount}|minute|hour|second)"), Kind::First),
        form(format!(r"{within} the (?:very )?(?:last|final) (?P<a>{amount}|minute|hour|second)"), Kind::Last),
        form(format!(r"after the first (?P<a>{amount}|minute|hour)"), Kind::After),
        form(format!(r"before the last (?P<a>{amount}|minute|hour)"), Kind::UpToLast),
        form(format!(r"{within} the (?P<a>first|second|third|last|final) (?P<b>half|third|quarter)"), Kind::Part),
        form(format!(r"(?:after|since|from) (?P<a>{point})(?: on(?:wards?)?)?"), Kind::After),
        form(format!(r"(?:before|until|till|up to) (?P<a>{point})"), Kind::Before),
        form(format!(r"(?:around|about|near|at (?:around|about)) (?P<a>{point})"), Kind::Around),
        form(format!(r"at (?:exactly )?(?P<a>{point})"), Kind::At),
    ]
});

#[derive(Clone, Copy)]
enum Kind {
    After,
    Before,
    Between,
    At,
    Around,
    First,
    Last,
    UpToLast,
    Part,
}

/// What stands before a phrase so that it is no stretch to look in ("before or after 1:30", "how long after 1:30").
static ASKED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:\b(?:or|and|than|not|shortly|soon|long|right|just|immediately|seconds|minutes|hours)$)|^how (?:long|soon|many (?:seconds|minutes|hours))\b",
    )
});
/// What stands behind it so that it is none ("after 5 minutes of play", "at 10:30 pm").
static MORE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)^ ?(?:of|or|later|earlier|long|pm|am|p\.m|a\.m|o'clock|%|each|per|every)\b"));

/// The first phrase that names a stretch, and the question without it.
pub(super) fn take(question: &str) -> Option<(Clock, String)> {
    let found = FORMS.iter().find_map(|(form, kind)| {
        form.captures_iter(question).find_map(|found| {
            let range = found.get(0)?.range();
            let clock = if is_asked_about(question, &range) { None } else { stretch(*kind, &found) }?;
            Some((clock, range))
        })
    })?;
    let (clock, range) = found;
    Some((clock, without(question, &range)?))
}

fn is_asked_about(question: &str, range: &Range<usize>) -> bool {
    ASKED.is_match(question[..range.start].trim_end()) || MORE.is_match(&question[range.end..])
}

fn stretch(kind: Kind, found: &Captures<'_>) -> Option<Clock> {
    let (a, b) = (found.name("a")?.as_str(), found.name("b").map(|b| b.as_str()));
    Some(match kind {
        Kind::After => Clock::After(seconds(a)?),
        Kind::Before => Clock::Before(seconds(a)?),
        Kind::At => Clock::At(seconds(a)?),
        Kind::Around => Clock::Around(seconds(a)?),
        Kind::First => Clock::First(seconds(a)?),
        Kind::Last => Clock::Last(seconds(a)?),
        Kind::UpToLast => return None,
        Kind::Between => {
            let b = b?;
            // "between 5 and 10 minutes": the unit stands once.
            let unit = b.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.' || letter == ' ');
            Clock::Between(seconds(a).or_else(|| seconds(&format!("{a} {unit}")))?, seconds(b)?)
        }
        Kind::Part => {
            let parts = match b? {
                half if half.eq_ignore_ascii_case("half") => 2.0,
                third if third.eq_ignore_ascii_case("third") => 3.0,
                _ => 4.0,
            };
            let place = match a.to_lowercase().as_str() {
                "first" => 0.0,
                "second" => 1.0,
                "third" => 2.0,
                _ => parts - 1.0,
            };
            if place >= parts {
                return None;
            }
            Clock::Part(place / parts, (place + 1.0) / parts)
        }
    })
}

/// `1:30`, `90 s`, `ten minutes`, `half an hour`, `minute 5`, `the 5 minute mark`, `minute` in seconds.
fn seconds(text: &str) -> Option<f64> {
    let text = text.to_lowercase();
    if text.contains(':') {
        return text.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?));
    }
    let text = text.trim_start_matches("the ").trim_end_matches("mark").trim_end_matches(['-', ' ']);
    let digits = text.find(|letter: char| letter.is_ascii_alphabetic()).filter(|&at| at > 0);
    let (number, unit) = match (digits, text.split_once(' ')) {
        (Some(at), _) => (text[..at].trim_end().trim_end_matches('-').parse().ok()?, text[at..].trim()),
        (None, Some(("half", rest))) => (0.5, rest.trim_start_matches("an ").trim_start_matches("a ")),
        (None, Some(("a" | "an", rest))) => (1.0, rest),
        (None, Some((unit @ ("minute" | "second" | "hour"), number))) => (number.parse().ok()?, unit),
        (None, Some((word, unit))) => (VALUES[WORDS.iter().position(|known| *known == word)?], unit),
        (None, None) => (1.0, text),
    };
    match unit.chars().next()? {
        's' => Some(number),
        'm' => Some(number * 60.0),
        'h' => Some(number * 3600.0),
        _ => None,
    }
}
