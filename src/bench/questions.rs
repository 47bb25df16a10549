//! Questions with expected answers about files: the demo's protocol.

use super::right;
use crate::decode::{self, Feed, Limits, VideoFacts};
use crate::recipe::{self, Options};
use crate::run::{self, Answer, Cancel, Event, Job, Model, Question, RunError};
use longsight_world::questions::Kind;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A line of a questions file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Expected {
    /// File name, beside the questions file
    pub clip: PathBuf,
    /// What it asks for, which decides when an answer is right
    pub kind: Kind,
    /// In words
    pub question: String,
    /// Empty for an open question
    #[serde(default)]
    pub choices: Vec<String>,
    /// The right answer
    pub expected: String,
}

/// An answer held against what was expected.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// What was expected
    pub expected: String,
    /// Whether it is right
    pub pass: bool,
    /// The whole answer
    pub answer: Answer,
}

/// Asks everything; questions about one clip share one reading of it. `each` hears every checked answer as it comes.
///
/// # Errors
/// The first that stops an `ask`.
pub fn check_questions(
    model: &Model,
    folder: &Path,
    expected: &[Expected],
    cancel: &Cancel,
    each: &mut dyn FnMut(&Checked),
) -> Result<Vec<Checked>, RunError> {
    let mut checked = Vec::new();
    for group in expected.chunk_by(|a, b| a.clip == b.clip) {
        let path = folder.join(&group[0].clip);
        let ask = |one: &Expected| Question { text: one.question.clone(), choices: one.choices.clone() };
        let questions: Vec<Question> = group.iter().map(ask).collect();
        let answers = ask_file(model, &path, &questions, &Options::default(), false, cancel)?;
        for (one, answer) in group.iter().zip(answers) {
            let pass = right(one.kind, &answer.answer, &one.expected);
            checked.push(Checked { expected: one.expected.clone(), pass, answer });
            checked.last().into_iter().for_each(&mut *each);
        }
    }
    Ok(checked)
}

/// `ask` with these settings, silently.
pub(super) fn ask_file(
    model: &Model,
    path: &Path,
    questions: &[Question],
    options: &Options,
    blind: bool,
    cancel: &Cancel,
) -> Result<Vec<Answer>, RunError> {
    let video = Feed::open(path, &Limits::default())?;
    let facts = VideoFacts::new(&video, path)
        .map_err(|source| decode::DecodeError::Unreadable { path: path.to_path_buf(), source })?;
    let job = Job { facts: &facts, questions, pipeline: recipe::DEFAULT, options, index: None, rates: None, blind };
    run::ask(model, &video, &job, cancel, &mut |_: Event| ())
}
