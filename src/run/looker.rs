//! One video, looked at as often as it takes.

use super::ask::{Look, Probe, Said, look, pass};
use super::inquire::asks;
use super::reading;
use super::{Cancel, Event, Job, Model, Plan, PlanError, Question, RunError, Sink};
use crate::decode::{DecodeError, Feed, VideoInfo};
use crate::recipe::Options;
use crate::scenes::{self, Detector, Scenes};
use longsight_models::Span;
use std::time::Instant;

/// Looks at stretches of one video, so that only what is asked for is decoded.
pub(super) struct Looker<'a> {
    pub(super) model: &'a Model,
    pub(super) job: Job<'a>,
    pub(super) cancel: &'a Cancel,
    feed: &'a Feed,
}

impl<'a> Looker<'a> {
    pub(super) fn new(model: &'a Model, feed: &'a Feed, job: &Job<'a>, cancel: &'a Cancel) -> Self {
        Self { model, job: *job, cancel, feed }
    }

    /// What the container says.
    pub(super) fn info(&self) -> &VideoInfo {
        self.feed.info()
    }

    /// The scenes of a stretch.
    pub(super) fn scenes(
        &self,
        detector: &dyn Detector,
        stretch: Span,
        sink: &mut Sink<'_>,
    ) -> Result<Scenes, DecodeError> {
        let whole = stretch.start <= self.video().start && stretch.end >= self.video().end;
        let (range, end) = ((!whole).then_some(stretch), stretch.end.min(self.video().end));
        let mut report = |seconds: f64| sink(Event::Surveying { seconds, of: end });
        scenes::detect(self.feed, detector, range, &mut report)
    }

    /// From the first second to the last; the end is open if the file does not say.
    pub(super) fn video(&self) -> Span {
        whole(self.info())
    }

    /// The job's settings for a stretch of the video alone.
    pub(super) fn within(&self, stretch: Span) -> Options {
        within(self.job.options, stretch)
    }

    /// What would be done with these settings.
    pub(super) fn plan(&self, options: &Options) -> Result<Plan, PlanError> {
        Ok(self.resolve(options)?.0)
    }

    /// The same with what a user may not expect. All looks at a video are planned for the same questions, those of the job.
    fn resolve(&self, options: &Options) -> Result<(Plan, Vec<String>), PlanError> {
        let (processor, patterns) = (self.model.vlm().processor(), self.model.patterns());
        let Job { pipeline, rates, questions, .. } = self.job;
        Plan::resolve(pipeline, options, self.info(), processor, patterns, rates, questions.iter().map(asks).sum())
    }

    /// Reads what `options` name, or recalls it where the index has it. What is seen anew is kept there if `keep` says so.
    pub(super) fn see(
        &self,
        options: &Options,
        questions: &[Question],
        keep: Keep,
        sink: &mut Sink<'_>,
    ) -> Result<Look, RunError> {
        if self.cancel.is_cancelled() {
            return Err(RunError::Cancelled);
        }
        let job = Job { questions, options, ..self.job };
        let (plan, planned) = self.resolve(options)?;
        let recalling = Instant::now();
        let mut look = match reading::recalled(self.model, &job, &plan) {
            Some((key, kept)) => Look::recalled(plan, key.name().to_owned(), kept, recalling.elapsed().as_secs_f64()),
            None => {
                let seen = look(self.model, self.feed, &job, &plan, self.cancel, sink)?;
                let look = Look::new(plan, seen);
                if let (Keep::Tokens, Some(shelf)) = (keep, self.job.index) {
                    reading::keep_tokens(self.model, &job, shelf, &look);
                }
                look
            }
        };
        look.planned = planned.len();
        look.seen.warnings.splice(0..0, planned);
        Ok(look)
    }

    /// Reads what `options` name and asks every question about it, and what `probe` makes of the answers of one short stretch after
    /// the other.
    pub(super) fn pass(
        &self,
        options: &Options,
        questions: &[Question],
        probe: Probe<'_>,
        keep: Keep,
        sink: &mut Sink<'_>,
    ) -> Result<Vec<Said>, RunError> {
        let mut look = self.see(options, questions, keep, sink)?;
        let job = Job { questions, options, ..self.job };
        pass(self.model, &mut look, &job, probe, self.cancel, sink)
    }
}

/// From a video's first second to its last; the end is open if the file does not say.
pub(super) fn whole(info: &VideoInfo) -> Span {
    Span { start: info.start_s.unwrap_or(0.0), end: info.end_s().unwrap_or(f64::INFINITY) }
}

/// Settings for a stretch of the video alone.
pub(super) fn within(options: &Options, stretch: Span) -> Options {
    let mut options = options.clone();
    options.decode.from = Some(stretch.start);
    options.decode.to = Some(stretch.end).filter(|end| end.is_finite());
    options
}

/// What becomes of a look that the index does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// It is forgotten
    Nothing,
    /// What was seen is kept, where the video is indexed: a look that decoding made dear and that holds little
    Tokens,
}
