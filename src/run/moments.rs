//! Where in a video does the described moment happen?

use super::inquire::inquire;
use super::looker::Looker;
use super::{Cancel, Job, Model, ModelFacts, Plan, Question, RunError, Sink, Timing};
use crate::decode::{Feed, VideoFacts};
use crate::evidence::Coverage;
use crate::question::{self, Reading};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of the moments' schema.
pub const MOMENTS_SCHEMA: &str = "longsight.moments/1";

/// Moments of a video that are looked at again, unless the pipeline says otherwise: a query may have many.
const MAX_SPANS: usize = 32;

/// `longsight.moments/1`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Moments {
    /// `longsight.moments/1`
    pub schema: String,
    /// The file
    pub video: VideoFacts,
    /// As it was asked for
    pub query: String,
    /// Where it happens, surest first
    pub moments: Vec<Moment>,
    /// What was looked at
    pub coverage: Coverage,
    /// What was done
    pub plan: Plan,
    /// What found them
    pub model: ModelFacts,
    /// The index entry that spared reading the video; null if it was read
    pub index: Option<String>,
    /// What it cost in time
    pub timing_s: Timing,
    /// What a reader should know
    pub warnings: Vec<String>,
}

/// A stretch of a video that shows what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Moment {
    /// First second, the time of a frame that was seen
    pub start: f64,
    /// First second after it
    pub end: f64,
    /// The probability that it is one: calibrated where it was looked at again
    pub score: f64,
    /// Whether it was looked at again, closer, and holds
    pub verified: bool,
}

/// Finds `query` (a noun, a sentence or a question for a time, with conditions on time or without) in an opened video. The
/// job's own questions are not asked.
///
/// # Errors
/// As [`super::ask`].
pub fn find(
    model: &Model,
    video: &Feed,
    job: &Job<'_>,
    query: &str,
    cancel: &Cancel,
    sink: &mut Sink<'_>,
) -> Result<Moments, RunError> {
    let read = question::read(query);
    let reading = Reading { content: question::when(&read.content), ..read };
    let mut options = job.options.clone();
    options.evidence.max_spans.get_or_insert(MAX_SPANS);
    let questions = [Question::from(reading.content.as_str())];
    let job = Job { questions: &questions, options: &options, ..*job };
    let looker = Looker::new(model, video, &job, cancel);
    let answer = inquire(&looker, &[reading], sink)?.pop().ok_or(RunError::Cancelled)?;
    let mut moments: Vec<Moment> = answer
        .evidence
        .iter()
        .map(|span| Moment { start: span.start, end: span.end, score: span.score, verified: span.verified })
        .collect();
    moments.sort_by(|a, b| b.score.total_cmp(&a.score));
    Ok(Moments {
        schema: MOMENTS_SCHEMA.to_owned(),
        video: answer.video,
        query: query.to_owned(),
        moments,
        coverage: answer.coverage,
        plan: answer.plan,
        model: answer.model,
        index: answer.index,
        timing_s: answer.timing_s,
        warnings: answer.warnings,
    })
}
