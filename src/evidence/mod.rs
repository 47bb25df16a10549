//! May it be believed? Comes in: the answer's text and the frames that the model saw. Goes out: spans on real frame
//! times, a status, the coverage. Never: a time that no frame stands behind.

mod coverage;
mod judge;
mod spans;

pub use coverage::{Coverage, SceneCoverage};
pub use judge::{Check, Clues, iou, judge, status};
pub use spans::{clipped, in_words, spans_in};

use crate::question;
use longsight_models::{FrameRef, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How well the answer is supported by what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Every span that it rests on was looked at again, and holds
    Supported,
    /// It rests on no span, or only some of its spans hold, or they were not looked at again, or it denies what could lie between the
    /// frames that were seen
    Partly,
    /// It rests on spans of which none lies on a frame that was seen, or none holds
    Unsupported,
    /// It says that the video does not show it, and nothing of a second or more could hide between the frames that were seen
    Unanswerable,
}

/// A frame that an answer rests on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SeenFrame {
    /// Presentation timestamp in ticks of the stream's time base
    pub pts: i64,
    /// The same in seconds on the source clock
    pub time_s: f64,
}

impl From<&FrameRef> for SeenFrame {
    fn from(frame: &FrameRef) -> Self {
        Self { pts: frame.time.pts, time_s: frame.time.seconds() }
    }
}

/// What kind of signal the evidence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Pictures
    Visual,
}

/// A span that the answer rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// First second, the time of a frame that was seen
    pub start: f64,
    /// First second after it
    pub end: f64,
    /// How sure, 0 to 1: after a closer look a calibrated probability that the span is right, before it the model's own
    /// probability of the answer it gave (geometric mean over its tokens)
    pub score: f64,
    /// What kind of signal
    pub source: Source,
    /// The frames seen inside the span
    pub frames: Vec<SeenFrame>,
    /// Whether the span was looked at again, closer, and holds
    pub verified: bool,
    /// What the closer look came to
    #[serde(default)]
    pub check: Check,
}

impl Evidence {
    /// From its first second to the first after it.
    #[must_use]
    pub fn span(&self) -> Span {
        Span { start: self.start, end: self.end }
    }
}

/// What the answer's text rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// How well it is supported
    pub status: Status,
    /// The spans
    pub evidence: Vec<Evidence>,
    /// What a reader should know
    pub warnings: Vec<String>,
}

/// Reads the spans out of `answer` and holds them against the frames that were `seen` (in presentation order).
///
/// A border is moved to the nearest seen frame; a span with no seen frame inside is reported, not shown.
#[must_use]
pub fn weigh(answer: &str, score: f64, seen: &[FrameRef], coverage: &Coverage) -> Finding {
    let absent = denies(answer);
    if (absent || question::says_no(answer)) && denial(coverage) == Status::Partly {
        let warnings = vec![uncertain(answer, coverage)];
        return Finding { status: Status::Partly, evidence: Vec::new(), warnings };
    }
    if absent {
        return Finding { status: denial(coverage), evidence: Vec::new(), warnings: Vec::new() };
    }
    let named = spans_in(answer);
    let mut warnings = Vec::new();
    let mut evidence = Vec::new();
    for span in &named {
        match snap(*span, seen, coverage) {
            Some((span, frames)) => evidence.push(Evidence {
                start: span.start,
                end: span.end,
                score,
                source: Source::Visual,
                frames,
                verified: false,
                check: Check::Unchecked,
            }),
            None => warnings
                .push(format!("the answer names {:.1} to {:.1} s, where no frame was seen", span.start, span.end)),
        }
    }
    let status = match (named.len(), evidence.len()) {
        (0, _) => Status::Partly,
        (_, 0) => Status::Unsupported,
        (named, held) if named == held => Status::Supported,
        _ => Status::Partly,
    };
    Finding { status, evidence, warnings }
}

/// Events that questions are about last so long at least, unless they say otherwise.
const SHORT_EVENT_S: f64 = 1.0;

/// How well a denial is supported by what was seen: what could lie between two frames cannot be denied.
#[must_use]
pub fn denial(coverage: &Coverage) -> Status {
    if coverage.smallest_event_s > SHORT_EVENT_S { Status::Partly } else { Status::Unanswerable }
}

/// What is told beside a denial that is only partly supported.
#[must_use]
pub fn uncertain(answer: &str, coverage: &Coverage) -> String {
    let seconds = coverage.smallest_event_s;
    format!(
        "what is shorter than {seconds:.1} s can lie between the frames that were seen: \"{answer}\" is not certain"
    )
}

/// Whether the answer says that the video does not show what was asked for.
#[must_use]
pub fn denies(answer: &str) -> bool {
    let text = answer.to_lowercase();
    ["not in the video", "not shown in the video", "does not appear in the video", "not visible in the video"]
        .iter()
        .any(|phrase| text.contains(phrase))
}

/// The span with its borders on seen frames (the end may be the end of what was looked at), and the frames inside.
fn snap(span: Span, seen: &[FrameRef], coverage: &Coverage) -> Option<(Span, Vec<SeenFrame>)> {
    let times: Vec<f64> = seen.iter().map(|frame| frame.time.seconds()).collect();
    let nearest = |to: f64| times.iter().copied().min_by(|a, b| (a - to).abs().total_cmp(&(b - to).abs()));
    let reach = coverage.max_gap_s.max(1.0);
    let start = nearest(span.start).filter(|time| (time - span.start).abs() <= reach)?;
    let end = times
        .iter()
        .copied()
        .chain([coverage.to])
        .min_by(|a, b| (a - span.end).abs().total_cmp(&(b - span.end).abs()))?;
    // A moment ("at 12.0 seconds") is the frame that shows it: up to the next one.
    let end = if end > start { end } else { times.iter().copied().find(|&time| time > start).unwrap_or(coverage.to) };
    let snapped = Span::new(start, end.max(start));
    let frames: Vec<SeenFrame> =
        seen.iter().map(SeenFrame::from).filter(|frame| snapped.contains(frame.time_s)).collect();
    (!frames.is_empty()).then_some((snapped, frames))
}

#[cfg(test)]
mod tests {
    use super::*;
    use longsight_models::{TimeBase, Timestamp};

    fn seen() -> (Vec<FrameRef>, Coverage) {
        let base = TimeBase { num: 1, den: 90_000 };
        let at = |i: u64| FrameRef { index: i * 15, time: Timestamp { pts: i as i64 * 45_045, base } };
        let frames: Vec<FrameRef> = (0..40).map(at).collect();
        let coverage = Coverage::of(0.0, 20.0, 600, &frames, 720, 720);
        (frames, coverage)
    }

    #[test]
    fn borders_move_to_real_frame_times() {
        let (frames, coverage) = seen();
        let finding = weigh("From 5.0 to 9.5 seconds.", 0.9, &frames, &coverage);
        assert_eq!(finding.status, Status::Supported);
        let span = &finding.evidence[0];
        assert_eq!((span.start, span.end), (5.005, 9.5095));
        assert_eq!(span.frames.first().map(|frame| frame.pts), Some(450_450));
        assert!(span.frames.iter().all(|frame| frame.time_s >= span.start && frame.time_s < span.end));
        assert!(!span.verified);
    }

    #[test]
    fn the_end_of_the_video_is_a_border_too() {
        let (frames, coverage) = seen();
        let finding = weigh("From 15.0 to 20.0 seconds.", 0.9, &frames, &coverage);
        assert_eq!(finding.evidence[0].end, 20.0);
    }

    #[test]
    fn a_moment_is_the_frame_that_shows_it() {
        let (frames, coverage) = seen();
        let finding = weigh("At 5.0 seconds.", 0.9, &frames, &coverage);
        assert_eq!(finding.evidence[0].frames.len(), 1);
    }

    #[test]
    fn a_time_outside_the_video_is_reported_and_not_shown() {
        let (frames, coverage) = seen();
        let finding = weigh("From 100.0 to 120.0 seconds.", 0.9, &frames, &coverage);
        assert_eq!((finding.status, finding.evidence.len(), finding.warnings.len()), (Status::Unsupported, 0, 1));
        let finding = weigh("From 2.0 to 4.0 and from 100.0 to 120.0 seconds.", 0.9, &frames, &coverage);
        assert_eq!((finding.status, finding.evidence.len()), (Status::Partly, 1));
    }

    #[test]
    fn an_answer_without_times_is_partly_supported_and_an_absence_unanswerable() {
        let (frames, coverage) = seen();
        assert_eq!(weigh("Red.", 0.9, &frames, &coverage).status, Status::Partly);
        assert_eq!(weigh("It is not in the video.", 0.9, &frames, &coverage).status, Status::Unanswerable);
    }

    #[test]
    fn what_could_lie_between_frames_is_not_denied() {
        let (frames, _) = seen();
        let few: Vec<FrameRef> = frames.iter().copied().step_by(8).collect();
        let coverage = Coverage::of(0.0, 20.0, 600, &few, 90, 90);
        assert!(coverage.smallest_event_s > SHORT_EVENT_S);
        for answer in ["It is not in the video.", "No.", "no, there is none"] {
            let finding = weigh(answer, 0.9, &few, &coverage);
            assert_eq!((finding.status, finding.warnings.len()), (Status::Partly, 1), "{answer}");
        }
        assert!(weigh("North.", 0.9, &few, &coverage).warnings.is_empty());
    }
}
