//! Times in answers, and their overlap with the truth, as the grounding scorers count them.

use regex::Regex;
use std::sync::LazyLock;

#[expect(clippy::expect_used, reason = "the patterns are constants, and a test compiles each")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

/// Overlap over hull: what the scorers of single spans divide by (lmms-eval, `charades_sta/eval_tvg.py`, `iou`; TimeLens
/// and moment_detr's paired overlap likewise). It is the union where the spans overlap, and both are 0 where they do not.
/// Spans that are both the same moment without length, for which the scorers divide by 0, count as 0.
pub(super) fn overlap(a: [f64; 2], b: [f64; 2]) -> f64 {
    let hull = a[1].max(b[1]) - a[0].min(b[0]);
    if hull > 0.0 { (a[1].min(b[1]) - a[0].max(b[0])).max(0.0) / hull } else { 0.0 }
}

static DASH: LazyLock<Regex> = LazyLock::new(|| pattern(r"(\d+\.*\d*)\s*-\s*(\d+\.*\d*)"));
static NUMBER: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b(\d+\.\d+\b|\b\d+)\b"));
const TIME_WORDS: [&str; 8] = ["starts", "ends", "happens in", "start time", "end time", "start", "end", "happen"];

/// The one span of an answer by the rule of lmms-eval (`charades_sta/eval_tvg.py`, `extract_time`): in lower case, every
/// "to" a dash, also within words; the first `a - b`; else the first number of each sentence that speaks of starting,
/// ending or happening, two by two. Sentences end at `!`, `?` and line breaks, not at full stops. The rule's last step, for
/// `HH:MM:SS`, is never reached: the numbers of such a time satisfy the step before it.
pub(super) fn lmms_span(answer: &str) -> Option<[f64; 2]> {
    let text = answer.to_lowercase().replace("a specific example is : 20.8 - 30.0 seconds", "").replace("to", "-");
    let dashed = DASH.captures(&text).map(|found| [number(&found[1]), number(&found[2])]);
    let span = match dashed {
        Some([start, end]) => [start?, end?],
        None => {
            let speaks = |sentence: &&str| TIME_WORDS.iter().any(|word| sentence.contains(word));
            let sentences = text.split(['!', '?', '\n']).filter(speaks);
            let mut numbers = sentences.filter_map(|sentence| number(NUMBER.find(sentence)?.as_str()));
            [numbers.next()?, numbers.next()?]
        }
    };
    Some(if span[1] > span[0] { span } else { [span[1], span[0]] })
}

static CLOCK: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b(\d{1,2}:\d{2}:\d{2}(?:\.\d+)?|\d{1,2}:\d{2}(?:\.\d+)?)\b"));
static DASHED: LazyLock<Regex> = LazyLock::new(|| pattern(r"(\d+\.?\d*)\s*-\s*(\d+\.?\d*)"));
static WORDED: LazyLock<Regex> = LazyLock::new(|| pattern(r"(\d+\.?\d*)\s+to\s+(\d+\.?\d*)"));

/// The spans of an answer by the rule of TimeLens (`timelens/utils.py`, `extract_time`): clock times two by two; else every
/// `a - b`; else every `a to b`; else numbers two by two. Their ends are left in the order in which they were written.
pub(super) fn timelens_spans(answer: &str) -> Vec<[f64; 2]> {
    let text = answer.to_lowercase();
    let twos = |numbers: Vec<f64>| numbers.chunks_exact(2).map(|two| [two[0], two[1]]).collect::<Vec<_>>();
    let clocks = twos(CLOCK.find_iter(&text).filter_map(|found| clock(found.as_str())).collect());
    if !clocks.is_empty() {
        return clocks;
    }
    for between in [&*DASHED, &*WORDED] {
        let pairs = between.captures_iter(&text).filter_map(|found| Some([number(&found[1])?, number(&found[2])?]));
        let pairs: Vec<_> = pairs.collect();
        if !pairs.is_empty() {
            return pairs;
        }
    }
    twos(NUMBER.find_iter(&text).filter_map(|found| number(found.as_str())).collect())
}

fn clock(text: &str) -> Option<f64> {
    text.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + number(part)?))
}

/// A number as Python's `float` reads it; `12..5`, at which the scorer stops, is none.
fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_is_over_the_hull() {
        assert!((overlap([0.0, 10.0], [5.0, 15.0]) - 5.0 / 15.0).abs() < 1e-12);
        assert!((overlap([0.0, 10.0], [2.0, 4.0]) - 0.2).abs() < 1e-12);
        assert_eq!(overlap([0.0, 1.0], [5.0, 6.0]), 0.0);
        assert_eq!(overlap([3.0, 3.0], [3.0, 3.0]), 0.0);
    }

    #[test]
    fn lmms_eval_reads_answers_so() {
        for (answer, span) in [
            ("The event happens in the 24.3 - 30.4 seconds.", Some([24.3, 30.4])),
            ("From 12.0 to 17.5 seconds.", Some([12.0, 17.5])),
            ("30 - 20", Some([20.0, 30.0])),
            ("Start time: 0.8 seconds\nEnd time: 1.1 seconds", Some([0.8, 1.1])),
            // One sentence gives one number, and one number is no span: full stops end no sentence.
            ("It starts at 3 seconds. It ends at 9 seconds.", None),
            // A clock time is cut at its colon.
            ("starts at 00:00:18\nends at 00:00:23", Some([0.0, 0.0])),
            ("12..5 - 13", None),
            ("never", None),
        ] {
            assert_eq!(lmms_span(answer), span, "{answer}");
        }
    }

    #[test]
    fn timelens_reads_answers_so() {
        for (answer, spans) in [
            ("The event happens in 0.0 - 5.0 seconds.", vec![[0.0, 5.0]]),
            ("From 12.0 to 17.5 and from 20 to 24.5 seconds", vec![[12.0, 17.5], [20.0, 24.5]]),
            ("from 1:05 to 00:01:10.5", vec![[65.0, 70.5]]),
            ("9 - 3", vec![[9.0, 3.0]]),
            ("starts 3 ends 9 and 12", vec![[3.0, 9.0]]),
            ("Not in the video.", vec![]),
        ] {
            assert_eq!(timelens_spans(answer), spans, "{answer}");
        }
    }
}
