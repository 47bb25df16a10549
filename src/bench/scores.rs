//! When is an answer right, and how sure is a share?

use crate::evidence::spans_in;
use longsight_models::Span;
use longsight_world::questions::Kind;
use serde::Serialize;

/// Seconds that the answer to "how long" may be off: two frames at the default rate.
const DURATION_SLACK_S: f64 = 1.0;
/// Overlap from which a "when" is right.
const WHEN_IOU: f64 = 0.5;

/// Whether `answer` is right: word for word (but for case and the full stop); "when" from an IoU of 0.5 on, "how long"
/// within a second.
#[must_use]
pub fn right(kind: Kind, answer: &str, expected: &str) -> bool {
    let plain = |text: &str| text.trim().trim_end_matches('.').to_lowercase();
    if plain(answer) == plain(expected) {
        return true;
    }
    match kind {
        Kind::When => iou(&spans_in(answer), &spans_in(expected)) >= WHEN_IOU,
        Kind::Duration => match (seconds(answer), seconds(expected)) {
            (Some(answer), Some(expected)) => (answer - expected).abs() <= DURATION_SLACK_S,
            _ => false,
        },
        // A letter is enough for a choice: "B", "B. blue".
        Kind::Choice => answer.trim().chars().next().is_some_and(|letter| expected.starts_with(letter)),
        _ => false,
    }
}

fn seconds(text: &str) -> Option<f64> {
    text.split_whitespace().find_map(|word| word.parse().ok())
}

/// Intersection over union of two sets of spans; 0 when either is empty.
#[must_use]
pub fn iou(a: &[Span], b: &[Span]) -> f64 {
    let cut: f64 = a.iter().flat_map(|x| b.iter().map(|y| (x.end.min(y.end) - x.start.max(y.start)).max(0.0))).sum();
    let length = |spans: &[Span]| spans.iter().map(|span| span.duration()).sum::<f64>();
    let union = length(a) + length(b) - cut;
    if union > 0.0 { cut / union } else { 0.0 }
}

/// So many of so many, with Wilson's 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// How many
    pub hits: usize,
    /// Of how many
    pub of: usize,
    /// The share, 0 of none
    pub share: f64,
    /// Lower end
    pub low: f64,
    /// Upper end
    pub high: f64,
}

impl Share {
    /// `hits` of `of`.
    #[must_use]
    pub fn new(hits: usize, of: usize) -> Self {
        let (n, p) = (of as f64, if of == 0 { 0.0 } else { hits as f64 / of as f64 });
        if of == 0 {
            return Self { hits, of, share: p, low: 0.0, high: 1.0 };
        }
        let z: f64 = 1.96;
        let centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
        let reach = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        Self { hits, of, share: p, low: (centre - reach).max(0.0), high: (centre + reach).min(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_right_word_for_word_or_within_the_stated_slack() {
        for (kind, answer, expected, is) in [
            (Kind::Colour, "red", "Red.", true),
            (Kind::Colour, "Blue.", "Red.", false),
            (Kind::When, "From 1.0 to 5.0 seconds.", "From 1.0 to 4.0 seconds.", true),
            (Kind::When, "From 1.0 to 9.0 seconds.", "From 1.0 to 4.0 seconds.", false),
            (Kind::When, "Yes.", "From 1.0 to 4.0 seconds.", false),
            (Kind::Duration, "5.0 seconds.", "6.0 seconds.", true),
            (Kind::Duration, "5.0 seconds.", "6.5 seconds.", false),
            (Kind::Choice, "B. blue", "B.", true),
            (Kind::Choice, "A.", "B.", false),
        ] {
            assert_eq!(right(kind, answer, expected), is, "{answer} / {expected}");
        }
    }

    #[test]
    fn overlap_counts_every_span() {
        let spans = |list: &[(f64, f64)]| list.iter().map(|&(a, b)| Span::new(a, b)).collect::<Vec<_>>();
        assert!((iou(&spans(&[(0.0, 2.0), (4.0, 6.0)]), &spans(&[(0.0, 6.0)])) - 4.0 / 6.0).abs() < 1e-12);
        assert!(iou(&[], &spans(&[(0.0, 6.0)])).abs() < 1e-12);
    }

    #[test]
    fn an_interval_holds_its_share_and_narrows() {
        let (few, many) = (Share::new(8, 10), Share::new(800, 1000));
        assert!(few.low < 0.8 && 0.8 < few.high && many.high - many.low < few.high - few.low);
    }
}
