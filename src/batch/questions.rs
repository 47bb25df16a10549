//! A file of questions: one a line, in words or as JSON.

use super::gather::Source;
use super::selector::{Selector, SelectorError};
use crate::run::{Question, QuestionFault};
use serde::Deserialize;
use serde_json::Value;

/// The questions of a batch, in the order of their file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Questions(Vec<Asked>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    line: usize,
    question: Question,
    /// Which videos it is about; all if `None`
    video: Option<Selector>,
}

/// A line of JSON: `{"question": "...", "choices": ["A. red", "B. blue"], "video": "folder/*.mp4"}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    question: String,
    #[serde(default)]
    choices: Option<Vec<String>>,
    #[serde(default)]
    video: Option<String>,
}

/// Why a file of questions cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// A line of JSON that is none, or has keys that are not known
    #[error("line {line}: {message}")]
    Json {
        /// From 1
        line: usize,
        /// What is wrong
        message: String,
    },
    /// A line that is no question
    #[error("line {line}: {what}")]
    NoQuestion {
        /// From 1
        line: usize,
        /// What it is
        what: &'static str,
    },
    /// A question that cannot be asked
    #[error("line {line}: {source}")]
    Fault {
        /// From 1
        line: usize,
        /// Why
        source: QuestionFault,
    },
    /// A pattern that makes no sense
    #[error("line {line}: {source}")]
    Video {
        /// From 1
        line: usize,
        /// Why
        source: SelectorError,
    },
    /// Not one question
    #[error("there is no question in it")]
    None,
}

impl Questions {
    /// Reads a file's text. A line that begins with `{` is JSON, and so is one that is a string of JSON; any other is a question in words.
    /// Empty ones are skipped.
    ///
    /// # Errors
    /// At the first line that cannot be understood, or when there is no question.
    pub fn parse(text: &str) -> Result<Self, QuestionError> {
        let mut asked = Vec::new();
        for (number, text) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let text = text.trim();
            if !text.is_empty() {
                asked.push(Asked::parse(number + 1, text)?);
            }
        }
        if asked.is_empty() { Err(QuestionError::None) } else { Ok(Self(asked)) }
    }

    /// What is asked of a video, each question once.
    #[must_use]
    pub fn of(&self, source: &Source) -> Vec<Question> {
        let mut questions: Vec<Question> = Vec::new();
        for asked in self.0.iter().filter(|asked| asked.is_about(source)) {
            if !questions.contains(&asked.question) {
                questions.push(asked.question.clone());
            }
        }
        questions
    }

    /// Lines whose `video` is none of `sources`, with what they name.
    #[must_use]
    pub fn unmatched(&self, sources: &[Source]) -> Vec<(usize, &str)> {
        let named = self.0.iter().filter_map(|asked| Some((asked, asked.video.as_ref()?)));
        named
            .filter(|(asked, _)| !sources.iter().any(|source| asked.is_about(source)))
            .map(|(asked, video)| (asked.line, video.text()))
            .collect()
    }
}

impl Asked {
    fn parse(line: usize, text: &str) -> Result<Self, QuestionError> {
        let none = |what| Err(QuestionError::NoQuestion { line, what });
        if text.contains('\0') {
            return none("it holds NUL bytes, as no text does");
        }
        let written = match serde_json::from_str(text) {
            _ if text.starts_with('{') => serde_json::from_str(text).map_err(|error| json(line, &error))?,
            Ok(Value::String(question)) => Line { question, choices: None, video: None },
            Ok(Value::Array(_)) => return none("a list is no question"),
            Ok(_) => return none("a number or a constant of JSON is no question"),
            Err(_) => Line { question: text.to_owned(), choices: None, video: None },
        };
        if written.choices.as_ref().is_some_and(Vec::is_empty) {
            return none("there are no choices in `choices`");
        }
        let question = Question::read(&written.question, &written.choices.unwrap_or_default())
            .map_err(|source| QuestionError::Fault { line, source })?;
        let video = written.video.as_deref().map(Selector::new).transpose();
        Ok(Self { line, question, video: video.map_err(|source| QuestionError::Video { line, source })? })
    }

    fn is_about(&self, source: &Source) -> bool {
        self.video.as_ref().is_none_or(|video| {
            video.selects(&source.relative) || source.path.to_str().is_some_and(|path| video.text() == path)
        })
    }
}

/// What is wrong with a line of JSON: of the parser's place in it, the column, since the line is the file's.
fn json(line: usize, error: &serde_json::Error) -> QuestionError {
    let message = error.to_string();
    let fact = message.rsplit_once(" at line ").map_or(message.as_str(), |(fact, _)| fact);
    QuestionError::Json { line, message: format!("{fact} at column {}", error.column()) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn source(relative: &str) -> Source {
        Source { path: format!("in/{relative}").into(), relative: relative.to_owned(), ..Source::default() }
    }

    #[test]
    fn words_and_json_may_stand_in_one_file() {
        let text = "\u{feff}What is shown?\r\n\n{\"question\": \"Which?\", \"choices\": [\"A. x\", \"B. y\"], \"video\": \"b/*\"}\nWhat is shown?\n";
        let questions = Questions::parse(text).unwrap();
        let texts = |relative: &str| {
            questions
                .of(&source(relative))
                .into_iter()
                .map(|question| (question.text, question.choices.len()))
                .collect::<Vec<_>>()
        };
        assert_eq!(texts("a.mp4"), [("What is shown?".to_owned(), 0)]);
        assert_eq!(texts("b/c.mp4"), [("What is shown?".to_owned(), 0), ("Which?".to_owned(), 2)]);
        assert_eq!(questions.unmatched(&[source("a.mp4")]), [(3, "b/*")]);
        assert!(questions.unmatched(&[source("b/c.mp4")]).is_empty());
    }

    #[test]
    fn a_video_is_named_by_name_by_path_or_as_it_was_given() {
        for name in ["c.mp4", "b/c.mp4", "in/b/c.mp4"] {
            let questions = Questions::parse(&format!("{{\"question\": \"?\", \"video\": \"{name}\"}}")).unwrap();
            assert_eq!(questions.of(&source("b/c.mp4")).len(), 1, "{name}");
            assert_eq!(questions.of(&source("b/d.mp4")).len(), 0, "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, expected) in [
            ("", "no question"),
            ("ok\n{\"question\": \" \"}", "line 2: the question is empty"),
            ("{\"question\": \"a\", \"choices\": [\"\"]}", "line 1: a choice is empty"),
            ("ok\n{\"question\": \"a\", \"vidoe\": \"b\"}", "line 2: unknown field `vidoe`"),
            ("ok\n[\"a\"]", "line 2: a list is no question"),
            ("42", "line 1: a number"),
            ("ok\na\0b", "line 2: it holds NUL bytes"),
            ("{\"question\": \"a\", \"choices\": []}", "line 1: there are no choices"),
            ("{\"question\": \"a\", \"choices\": [\"A. x\"]}", "line 1: there is one choice"),
            ("{\"question\"", "line 1"),
            ("{\"question\": \"a\", \"video\": \"b[\"}", "`b[` is no pattern"),
        ] {
            let error = Questions::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
