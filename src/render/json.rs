//! JSON: a contract, with a schema.

use crate::decode::VideoFacts;
use crate::evidence::{Evidence, Status};
use crate::run::{Answer, Captions, Moments};
use crate::scenes::{Scene, Scenes};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// The name of the scenes' schema.
pub const SCENES_SCHEMA: &str = "longsight.scenes/1";

pub(super) fn scenes(scenes: &Scenes, video: &VideoFacts) -> String {
    let mut detector = json!({"name": scenes.detector});
    if let (Value::Object(detector), Value::Object(settings)) = (&mut detector, &scenes.settings) {
        detector.extend(settings.clone());
    }
    line(&Document { schema: SCENES_SCHEMA, video, detector, scenes: &scenes.scenes, warnings: &scenes.warnings })
}

pub(super) fn scene_lines(scenes: &Scenes) -> String {
    scenes.scenes.iter().map(line).collect()
}

/// A line for each span of evidence, with what it is evidence of; an answer without any has one line without a span.
pub(super) fn evidence_lines(answers: &[Answer]) -> String {
    let mut text = String::new();
    for answer in answers {
        let of = |evidence| line(&EvidenceLine::of(answer, evidence));
        if answer.evidence.is_empty() {
            text.push_str(&of(None));
        }
        answer.evidence.iter().for_each(|evidence| text.push_str(&of(Some(evidence))));
    }
    text
}

/// A line for each moment, with where and what it is.
pub(super) fn moment_lines<'a>(found: impl Iterator<Item = &'a Moments>) -> String {
    let lines = found.flat_map(|one| {
        one.moments.iter().map(|moment| {
            line(&merged(json!({"video": one.video.path, "query": one.query}), &json!(moment), &json!({})))
        })
    });
    lines.collect()
}

/// A line for each stretch, with where it is.
pub(super) fn caption_lines(told: &Captions) -> String {
    let about = json!({"video": told.video.path, "prompt": told.prompt});
    told.captions.iter().map(|caption| line(&merged(about.clone(), &json!(caption), &json!({})))).collect()
}

fn merged(mut about: Value, more: &Value, most: &Value) -> Value {
    if let Value::Object(map) = &mut about {
        for fields in [more, most].into_iter().filter_map(Value::as_object) {
            map.extend(fields.clone());
        }
    }
    about
}

/// One object on a line of its own.
pub(super) fn line<T: Serialize>(value: &T) -> String {
    // Strings, numbers and lists of them serialise.
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

/// A line of `ask --format jsonl`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct EvidenceLine<'a> {
    schema: &'static str,
    video: &'a str,
    question: &'a str,
    answer: &'a str,
    /// The choice that the answer names, as it was given
    choice: Option<&'a str>,
    status: Status,
    /// The span; none of its keys are there if the answer rests on none
    #[serde(flatten)]
    evidence: Option<&'a Evidence>,
}

impl<'a> EvidenceLine<'a> {
    fn of(answer: &'a Answer, evidence: Option<&'a Evidence>) -> Self {
        Self {
            schema: "longsight.evidence/1",
            video: &answer.video.path,
            question: &answer.question,
            answer: &answer.answer,
            choice: answer.choice.as_deref(),
            status: answer.status,
            evidence,
        }
    }
}

/// What `scenes --json` prints.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Document<'a> {
    schema: &'static str,
    video: &'a VideoFacts,
    detector: Value,
    scenes: &'a [Scene],
    warnings: &'a [String],
}
