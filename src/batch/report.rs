//! What a batch writes and counts.

use super::item::Stage;
use crate::run::Answer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The code of failures of files that are no readable videos.
pub(super) const UNREADABLE: &str = "input";

/// A line of `answers.jsonl`: the answer object of `ask`, and what the batch knows it by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// `longsight.answer/1`
    #[serde(flatten)]
    pub answer: Answer,
    /// Which job it answers
    pub job: JobFacts,
}

/// Which job an answer belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobFacts {
    /// Hash of content, question, choices, plan, model revision, dtype and schema, in hex
    pub key: String,
    /// Where the video's own file of answers lies below `videos/`, without its ending
    pub place: String,
    /// As they were given
    pub choices: Vec<String>,
}

/// A line of `failed.jsonl`: `longsight.failure/1`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailureRecord {
    /// `longsight.failure/1`
    pub schema: String,
    /// The file
    pub video: String,
    /// Its place below `videos/`, where answers would be
    pub place: String,
    /// Hash of the content and of what was tried on it; null if it could not even be read
    pub attempt: Option<String>,
    /// How far it came
    pub stage: Stage,
    /// The word for the failure, as in the error object
    pub code: String,
    /// What happened
    pub message: String,
    /// What to do, empty if there is nothing to do
    pub hint: String,
    /// Whether the same may succeed later
    pub retryable: bool,
    /// It did not react to being stopped, and was left behind
    pub left_behind: bool,
    /// Shell commands that do the same again
    pub command: String,
}

/// An error in the words of the user's interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// A stable word; `input` for files that are no readable videos
    pub code: &'static str,
    /// What happened
    pub message: String,
    /// What to do
    pub hint: String,
    /// Whether the same may succeed later
    pub retryable: bool,
    /// Shell commands that do the same again
    pub command: String,
}

/// How far a batch came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    /// Videos of this run
    pub videos: u64,
    /// Videos whose questions are all answered
    pub done: u64,
    /// Of those, the ones that were so before this run
    pub done_before: u64,
    /// Videos that failed, in this run or before it
    pub failed: u64,
    /// Of those, the ones that failed before and were not tried again
    pub failed_before: u64,
    /// Of those, the ones that are no readable videos
    pub failed_input: u64,
    /// Videos that are still being written
    pub skipped: u64,
    /// Videos that nothing is asked of
    pub unasked: u64,
    /// Items that did not react to being stopped
    pub left_behind: u64,
    /// Answers that the model gave in this run
    pub answers: u64,
    /// Answers taken over from another file with the same content
    pub answers_shared: u64,
    /// Answers that were there before
    pub answers_before: u64,
}
