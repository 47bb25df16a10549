//! What an answer must rest on, and how a question was understood: the plan's last two tables.

use crate::recipe::{self, SearchMode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Frames per second of a closer look, unless the pipeline says otherwise.
const CLOSER_FPS: f64 = 4.0;
/// Seconds around a span that a closer look takes in: borders that are off by as much can still be put right.
const MARGIN_S: f64 = 4.0;
/// Spans of an answer that are looked at again.
const MAX_SPANS: usize = 8;
/// Short stretches of a look that are asked about one by one.
const MAX_PROBES: usize = 512;
/// Seconds of a part: the longest stretch that small models are still exact about.
const PART_S: f64 = 60.0;

/// What an answer must rest on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EvidencePlan {
    /// An answer without checked evidence is refused
    pub require: bool,
    /// Spans are looked at again before they are shown
    pub check: bool,
    /// Frames per second of the closer look, or the source's own
    pub fps: f64,
    /// Seconds before and behind a span that it takes in
    pub margin_s: f64,
    /// The most spans of an answer that are looked at again
    pub max_spans: usize,
    /// The most short stretches of one look that are asked about one by one, for yes or no; 0 asks of none
    pub max_probes: usize,
    /// When questions for a time are asked part by part
    pub search: SearchMode,
    /// Seconds of a part
    pub part_s: f64,
}

impl EvidencePlan {
    pub(super) fn resolve(options: &recipe::Evidence) -> Self {
        Self {
            require: options.require.unwrap_or(false),
            check: options.check.unwrap_or(true),
            fps: options.fps.unwrap_or(CLOSER_FPS),
            margin_s: options.margin.unwrap_or(MARGIN_S).max(0.0),
            max_spans: options.max_spans.unwrap_or(MAX_SPANS),
            max_probes: options.max_probes.unwrap_or(MAX_PROBES),
            search: options.search.unwrap_or_default(),
            part_s: options.part.unwrap_or(PART_S),
        }
    }
}

/// How a question was understood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QuestionPlan {
    /// What the model was asked
    pub asked: String,
    /// The conditions on time that were taken out of the question, and what they came to
    pub constraints: Vec<String>,
}
