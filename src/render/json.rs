//! JSON: a contract, with a schema.

use crate::decode::VideoFacts;
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

fn line<T: Serialize>(value: &T) -> String {
    // Strings, numbers and lists of them serialise.
    serde_json::to_string(value).unwrap_or_default() + "\n"
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
