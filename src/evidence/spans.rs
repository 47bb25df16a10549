//! Times in free text -> spans.

use longsight_models::Span;
use regex::{Captures, Regex};
use std::sync::LazyLock;

/// One time: `1:02:03.5`, `12:30`, `12.5`, `12.5s`, `12.5 seconds`.
const TIME: &str = r"(?:(\d+:[0-5]?\d(?::[0-5]?\d)?(?:\.\d+)?)|(\d+(?:\.\d+)?))\s*(s\b|sec\b|secs\b|seconds?\b)?";

/// A span between two times; bare numbers count only when a unit stands somewhere after them in the same clause.
static BETWEEN: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"(?i){TIME}\s*(?:to|until|till|through|and|-|–|—)\s*{TIME}")));
/// A single moment.
static MOMENT: LazyLock<Regex> = LazyLock::new(|| pattern(&format!(r"(?i)(?:\bat|\baround|\babout|@|<)\s*{TIME}")));

#[expect(clippy::expect_used, reason = "the patterns are constants, and a test compiles both")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

/// The spans that `text` names, in its order; a moment is a span of no length. Numbers that carry no sign of being
/// times (no unit, no colon) are not times: "3 to 5 people" names none.
#[must_use]
pub fn spans_in(text: &str) -> Vec<Span> {
    let spans: Vec<Span> = BETWEEN.captures_iter(text).filter_map(|found| between(text, &found)).collect();
    if !spans.is_empty() {
        return spans;
    }
    MOMENT.captures_iter(text).filter_map(|found| moment(&found)).collect()
}

/// Spans as a sentence that [`spans_in`] reads back: "From 2.0 to 5.0 and from 20.0 to 24.25 seconds."
#[must_use]
pub fn in_words(spans: &[Span]) -> String {
    let words: Vec<String> =
        spans.iter().map(|span| format!("from {} to {}", decimal(span.start), decimal(span.end))).collect();
    let text = format!("{} seconds.", words.join(" and "));
    text.replacen('f', "F", 1)
}

/// Seconds to the hundredth, with one digit where that is enough.
fn decimal(seconds: f64) -> String {
    let text = format!("{seconds:.2}");
    text.strip_suffix('0').map_or(text.clone(), str::to_owned)
}

/// `text` with spans that begin before `end` and end behind it ending there, as the times of a video have to.
#[must_use]
pub fn clipped(text: &str, end: f64) -> String {
    let mut clipped = String::with_capacity(text.len());
    let mut done = 0;
    for found in BETWEEN.captures_iter(text) {
        let Some(span) = between(text, &found).filter(|span| span.start < end && span.end > end + SAME_S) else {
            continue;
        };
        // The later of both may stand first.
        let last = [(1, 2), (4, 5)].into_iter().find_map(|(clock, plain)| {
            let (clock, plain) = (found.get(clock), found.get(plain));
            (seconds(clock, plain) == Some(span.end)).then(|| Some((clock.or(plain)?.range(), clock.is_some())))?
        });
        let Some((range, is_clock)) = last else { continue };
        clipped.push_str(&text[done..range.start]);
        clipped.push_str(&if is_clock { clock(end) } else { decimal(end) });
        done = range.end;
    }
    clipped.push_str(&text[done..]);
    clipped
}

/// Times that are further apart are told apart: models speak of tenths.
const SAME_S: f64 = 0.1;

/// Seconds as `M:SS` or `H:MM:SS`, with hundredths where there are some.
fn clock(seconds: f64) -> String {
    let hundredths = (seconds * 100.0).round().max(0.0) as u64;
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    let rest = if rest == 0 { String::new() } else { format!(".{rest:02}") };
    match hours {
        0 => format!("{minutes}:{seconds:02}{rest}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}{rest}"),
    }
}

fn between(text: &str, found: &Captures<'_>) -> Option<Span> {
    let clock = found.get(1).is_some() || found.get(4).is_some();
    let unit = found.get(3).is_some() || found.get(6).is_some() || unit_follows(&text[found.get(0)?.end()..]);
    if !clock && !unit {
        return None;
    }
    Some(Span::new(seconds(found.get(1), found.get(2))?, seconds(found.get(4), found.get(5))?))
}

fn moment(found: &Captures<'_>) -> Option<Span> {
    if found.get(1).is_none() && found.get(3).is_none() {
        return None;
    }
    let at = seconds(found.get(1), found.get(2))?;
    Some(Span::new(at, at))
}

/// "From 2.0 to 5.0 and from 20.0 to 24.5 seconds": the unit of the list stands at its end.
fn unit_follows(rest: &str) -> bool {
    // A full stop between digits is a decimal point, so a sentence ends at a stop followed by a space.
    let end = rest.find(". ").unwrap_or(rest.len());
    rest[..end].contains("second")
}

fn seconds(clock: Option<regex::Match<'_>>, plain: Option<regex::Match<'_>>) -> Option<f64> {
    match (clock, plain) {
        (Some(clock), _) => {
            clock.as_str().split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))
        }
        (None, Some(plain)) => plain.as_str().parse().ok(),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_in_words_are_read_back() {
        let spans = [Span::new(2.0, 5.5), Span::new(3_600.25, 3_605.0)];
        assert_eq!(in_words(&spans), "From 2.0 to 5.5 and from 3600.25 to 3605.0 seconds.");
        assert_eq!(spans_in(&in_words(&spans)), spans);
    }

    #[test]
    fn spans_end_with_the_video() {
        for (text, expected) in [
            ("From 20.0 to 35.0 seconds.", "From 20.0 to 27.5 seconds."),
            ("From 2.0 to 5.0 and from 20.0 to 99.0 seconds.", "From 2.0 to 5.0 and from 20.0 to 27.5 seconds."),
            (
                "A star is there from 0:20 to 1:02:03, and a ring too.",
                "A star is there from 0:20 to 0:27.50, and a ring too.",
            ),
            ("From 35.0 to 20.0 seconds.", "From 27.5 to 20.0 seconds."),
            ("From 20.0 to 27.55 seconds.", "From 20.0 to 27.55 seconds."),
            ("From 30.0 to 35.0 seconds.", "From 30.0 to 35.0 seconds."),
            ("There are 3 to 50 people.", "There are 3 to 50 people."),
        ] {
            assert_eq!(clipped(text, 27.5), expected);
        }
        assert_eq!(clipped("From 2:46:00 to 2:50:00.", 10_000.0), "From 2:46:00 to 2:46:40.");
    }

    #[test]
    fn spans_are_read_in_the_ways_people_write_them() {
        for (text, expected) in [
            ("From 12.0 to 17.5 seconds.", vec![(12.0, 17.5)]),
            ("From 2.0 to 5.0 and from 20.0 to 24.5 seconds.", vec![(2.0, 5.0), (20.0, 24.5)]),
            ("It happens from 0:12 to 0:17.", vec![(12.0, 17.0)]),
            ("00:01:02.5 - 00:01:10", vec![(62.5, 70.0)]),
            ("from 1234:56 to 20:35:00", vec![(74_096.0, 74_100.0)]),
            ("at 1000:00:01", vec![(3_600_001.0, 3_600_001.0)]),
            ("12012.5 to 12014.25 seconds", vec![(12_012.5, 12_014.25)]),
            ("between 12s and 17s", vec![(12.0, 17.0)]),
            ("12.5s–17s", vec![(12.5, 17.0)]),
            ("The goal is at 1:02:03.", vec![(3723.0, 3723.0)]),
            ("at 12.5 seconds", vec![(12.5, 12.5)]),
            ("<3.5 seconds>", vec![(3.5, 3.5)]),
            ("from 17.5 to 12.0 seconds", vec![(12.0, 17.5)]),
            ("There are 3 to 5 people.", vec![]),
            ("There are 3 to 5 people. It lasts some seconds.", vec![]),
            ("Red.", vec![]),
            ("at 3 tables", vec![]),
            ("", vec![]),
        ] {
            let found: Vec<(f64, f64)> = spans_in(text).iter().map(|span| (span.start, span.end)).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
