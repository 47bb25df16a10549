//! What was seen and what was not.

use super::error::{Warning, WarningKind};
use super::info::VideoInfo;
use super::limits::MAX_WARNINGS;
use super::walk::Walked;
use longsight_models::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// Pictures that end this much before the header's time are worth a warning: containers round, and count the audio.
const EARLY_S: f64 = 1.0;

/// What was seen of a video, and what was not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecodeReport {
    /// Frames decoded, wanted or not
    pub frames_decoded: u64,
    /// Frames given
    pub frames_yielded: u64,
    /// Time of the first frame given, in seconds
    pub first_s: Option<f64>,
    /// Time of the last frame given, in seconds
    pub last_s: Option<f64>,
    /// The stretch that was looked at: what was asked for, less what the file does not hold
    pub coverage: Span,
    /// The longest stretch of it without a frame given, in seconds, ends included
    pub max_gap_s: f64,
    /// What was wrong with the file
    pub warnings: Vec<Warning>,
}

impl DecodeReport {
    pub(super) fn new(asked: Span) -> Self {
        Self {
            frames_decoded: 0,
            frames_yielded: 0,
            first_s: None,
            last_s: None,
            coverage: asked,
            max_gap_s: 0.0,
            warnings: Vec::new(),
        }
    }

    /// Whether a report can say this, where another process gives it.
    pub(super) fn is_sane(&self) -> bool {
        let times =
            [self.first_s, self.last_s, Some(self.coverage.start), Some(self.coverage.end), Some(self.max_gap_s)];
        times.iter().flatten().all(|time| time.is_finite())
    }

    /// Notes a frame that is given.
    pub(super) fn see(&mut self, time: Timestamp) {
        let now = time.seconds();
        let before = *self.last_s.get_or_insert(self.coverage.start.min(now));
        self.max_gap_s = self.max_gap_s.max(now - before);
        self.first_s.get_or_insert(now);
        self.last_s = Some(now);
        self.frames_yielded += 1;
    }

    /// Notes something that went wrong outside the reader.
    pub(super) fn warn(&mut self, after: Timestamp, kind: WarningKind) {
        self.warnings.push(Warning { after_s: Some(after.seconds()), kind, count: 1 });
    }

    /// Closes the books over all walks; one that came to the end of the file says where that was.
    pub(super) fn finish(mut self, info: &VideoInfo, walks: Vec<Walked>) -> Self {
        self.frames_decoded = walks.iter().map(|walked| walked.decoded).sum();
        let end_s = walks.iter().filter_map(|walked| walked.end_s).reduce(f64::max);
        self.warnings.extend(walks.into_iter().flat_map(|walked| walked.warnings));
        if let Some(end) = end_s {
            let header = info.end_s().unwrap_or(end);
            let asked = self.coverage.end.min(header);
            if !info.duration_is_guess && header - end > EARLY_S && asked > end + EARLY_S {
                let kind = WarningKind::EndsEarly { end_s: end, header_s: header };
                self.warnings.push(Warning { after_s: None, kind, count: 1 });
            }
            if header - end > EARLY_S || !self.coverage.end.is_finite() || end > header {
                self.coverage.end = self.coverage.end.min(end);
            }
        }
        if !self.coverage.end.is_finite() {
            self.coverage.end = self.last_s.unwrap_or(self.coverage.start);
        }
        self.coverage = Span::new(self.coverage.start, self.coverage.end.max(self.coverage.start));
        let last = self.last_s.unwrap_or(self.coverage.start);
        self.max_gap_s = self.max_gap_s.max(self.coverage.end - last);
        self
    }
}

/// A bounded list of warnings; equal ones in a row are counted together.
#[derive(Debug, Clone, Default)]
pub(super) struct Warnings(Vec<Warning>);

impl Warnings {
    pub(super) fn push(&mut self, after_s: Option<f64>, kind: WarningKind) {
        let full = self.0.len() >= MAX_WARNINGS;
        match self.0.last_mut() {
            Some(last) if last.kind == kind || (full && last.kind == WarningKind::More) => {
                last.count = last.count.saturating_add(1);
            }
            _ if full => self.0.push(Warning { after_s: None, kind: WarningKind::More, count: 1 }),
            _ => self.0.push(Warning { after_s, kind, count: 1 }),
        }
    }

    pub(super) fn list(&self) -> &[Warning] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_warnings_are_counted_and_the_list_stays_short() {
        let mut warnings = Warnings::default();
        for at in 0..5 {
            warnings.push(Some(f64::from(at)), WarningKind::Undecodable);
        }
        assert_eq!(warnings.list(), [Warning { after_s: Some(0.0), kind: WarningKind::Undecodable, count: 5 }]);
        for at in 0..1000 {
            let kind = if at % 2 == 0 { WarningKind::Concealed } else { WarningKind::Undecodable };
            warnings.push(None, kind);
        }
        assert_eq!(warnings.list().len(), MAX_WARNINGS + 1);
        assert_eq!(warnings.list().last().map(|last| &last.kind), Some(&WarningKind::More));
    }
}
