//! What an answer is known by: hashes of 256 bits over everything that decides it.

use crate::recipe::Options;
use crate::run::{ModelFacts, Plan, Question};
use blake3::{Hash, Hasher};

/// Of what is hashed below: another order or other parts need another number.
const KEYS: &str = "longsight.batch-key/1";
/// Of the answers that are stored.
const ANSWER: &str = "longsight.answer/1";

/// A question about a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The question
    pub question: Question,
    /// Which answer it is: the video's place and the question. A later answer takes the place of an earlier one
    pub slot: Hash,
    /// What decides the answer: content, question, resolved plan, model
    pub key: Hash,
}

impl Job {
    /// The job of asking `question` about the content `fingerprint`, which lies at `place`.
    #[must_use]
    pub fn new(place: &str, fingerprint: &str, question: &Question, plan: &Plan, model: &ModelFacts) -> Self {
        Self {
            slot: slot(place, &question.text, &question.choices),
            key: key(fingerprint, question, plan, model),
            question: question.clone(),
        }
    }
}

/// Which answer of a batch a question about a place is.
pub(super) fn slot(place: &str, question: &str, choices: &[String]) -> Hash {
    let mut parts = Parts::new("slot");
    parts.add(place).add(question).all(choices);
    parts.hash()
}

fn key(fingerprint: &str, question: &Question, plan: &Plan, model: &ModelFacts) -> Hash {
    let mut parts = Parts::new("job");
    // What a pipeline is called decides nothing.
    let plan = Plan { pipeline: String::new(), ..plan.clone() };
    parts.add(ANSWER).add(fingerprint).add(&question.text).all(&question.choices).json(&plan).model(model);
    parts.hash()
}

/// What a failure is known by: the content, and what was tried on it. Not the questions: what cannot be decoded cannot be
/// decoded for any of them.
pub(super) fn attempt(fingerprint: &str, options: &Options, model: &ModelFacts) -> Hash {
    let mut parts = Parts::new("attempt");
    parts.add(ANSWER).add(fingerprint).json(options).model(model);
    parts.hash()
}

/// Parts of a hash, each with its length, so that no two lists of parts run together.
struct Parts(Hasher);

impl Parts {
    fn new(what: &str) -> Self {
        let mut parts = Self(Hasher::new());
        parts.add(KEYS).add(what);
        parts
    }

    fn add(&mut self, part: impl AsRef<[u8]>) -> &mut Self {
        let part = part.as_ref();
        self.0.update(&(part.len() as u64).to_le_bytes()).update(part);
        self
    }

    fn all(&mut self, parts: &[String]) -> &mut Self {
        self.0.update(&(parts.len() as u64).to_le_bytes());
        for part in parts {
            self.add(part);
        }
        self
    }

    fn json<T: serde::Serialize>(&mut self, value: &T) -> &mut Self {
        // Numbers, strings and maps with string keys serialise, always in the same order.
        let text = serde_json::to_vec(value).unwrap_or_default();
        self.add(text)
    }

    fn model(&mut self, model: &ModelFacts) -> &mut Self {
        self.add(&model.family).add(&model.revision).add(&model.dtype)
    }

    fn hash(&self) -> Hash {
        self.0.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(text: &str, choices: &[&str]) -> Question {
        Question { text: text.to_owned(), choices: choices.iter().map(|&choice| choice.to_owned()).collect() }
    }

    #[test]
    fn slots_differ_in_place_question_and_choices() {
        let of = |place: &str, question: &Question| slot(place, &question.text, &question.choices);
        let all = [
            of("a", &question("b", &[])),
            of("ab", &question("", &[])),
            of("a", &question("b", &["c"])),
            of("a", &question("b", &["c", ""])),
            of("a", &question("bc", &[])),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other != one), "{at}");
        }
        assert_eq!(all[0], of("a", &question("b", &[])));
    }

    #[test]
    fn an_attempt_changes_with_content_options_and_model() {
        let model = ModelFacts { id: "m".into(), revision: "1".into(), family: "f".into(), dtype: "f32".into() };
        let usual = attempt("x", &Options::default(), &model);
        let mut options = Options::default();
        options.decode.fps = Some(1.0);
        assert_ne!(usual, attempt("y", &Options::default(), &model));
        assert_ne!(usual, attempt("x", &options, &model));
        assert_ne!(usual, attempt("x", &Options::default(), &ModelFacts { dtype: "bf16".into(), ..model.clone() }));
        assert_eq!(usual, attempt("x", &Options::default(), &ModelFacts { id: "another name".into(), ..model }));
    }
}
