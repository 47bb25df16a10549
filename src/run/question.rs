//! A question as somebody wrote it: one line of words, not too long, with choices that can be told apart.

use super::Question;
use super::ask::parted;

/// Characters of the longest question: some pages of text, and far below what any model reads beside a video.
pub const MAX_QUESTION_CHARS: usize = 8_000;

/// Why something cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionFault {
    /// No words
    #[error("the question is empty")]
    Empty,
    /// Too many
    #[error("the question has {chars} characters; {MAX_QUESTION_CHARS} is the limit")]
    TooLong {
        /// How many
        chars: usize,
    },
    /// One choice is none
    #[error("there is one choice, `{0}`; a question with choices has two at least")]
    OneChoice(String),
    /// A choice without words
    #[error("a choice is empty")]
    EmptyChoice,
    /// Two choices that an answer could not tell apart
    #[error("two choices are called `{0}`")]
    SameChoice(String),
}

impl Question {
    /// Makes a question of what was written: white space and control characters between words become single spaces. Choices stay as
    /// they are.
    ///
    /// # Errors
    /// When there are no words or too many, or the choices are no choice.
    pub fn read(text: &str, choices: &[String]) -> Result<Self, QuestionFault> {
        let words = text.split(|letter: char| letter.is_whitespace() || letter.is_control());
        let text = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        let chars = text.chars().count();
        if text.is_empty() {
            return Err(QuestionFault::Empty);
        }
        if chars > MAX_QUESTION_CHARS {
            return Err(QuestionFault::TooLong { chars });
        }
        check(choices)?;
        Ok(Self { text, choices: choices.to_vec() })
    }
}

fn check(choices: &[String]) -> Result<(), QuestionFault> {
    if choices.iter().any(|choice| choice.trim().is_empty()) {
        return Err(QuestionFault::EmptyChoice);
    }
    if let [only] = choices {
        return Err(QuestionFault::OneChoice(only.clone()));
    }
    // By its label, or where it has none, by its text.
    let name = |choice: &String| match parted(choice) {
        ("", text) => text.to_lowercase(),
        (label, _) => label.to_lowercase(),
    };
    let mut names: Vec<String> = Vec::with_capacity(choices.len());
    for choice in choices {
        if names.contains(&name(choice)) {
            return Err(QuestionFault::SameChoice(name(choice)));
        }
        names.push(name(choice));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, choices: &[&str]) -> Result<Question, QuestionFault> {
        Question::read(text, &choices.iter().map(|&choice| choice.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_question_is_one_line_of_words() {
        assert_eq!(
            read(" What\n\tis  \u{1b}shown?\r\n", &[]).map(|question| question.text),
            Ok("What is shown?".to_owned())
        );
        assert_eq!(read("\n \0", &[]), Err(QuestionFault::Empty));
        assert!(read(&"a".repeat(MAX_QUESTION_CHARS), &[]).is_ok());
        let chars = MAX_QUESTION_CHARS + 1;
        assert_eq!(read(&"é".repeat(chars), &[]), Err(QuestionFault::TooLong { chars }));
    }

    #[test]
    fn choices_can_be_told_apart() {
        assert!(read("Which?", &["A. red", "B. red"]).is_ok() && read("Which?", &["red", "blue"]).is_ok());
        assert_eq!(read("Which?", &["A. red"]), Err(QuestionFault::OneChoice("A. red".to_owned())));
        assert_eq!(read("Which?", &["A. red", " "]), Err(QuestionFault::EmptyChoice));
        assert_eq!(read("Which?", &["A. red", "a) blue"]), Err(QuestionFault::SameChoice("a".to_owned())));
        assert_eq!(read("Which?", &["red", "blue", " Red"]), Err(QuestionFault::SameChoice("red".to_owned())));
    }
}
