//! OpenTimelineIO: one video track with a clip for each scene. Its times are whole frames at the average rate.

use super::file_name;
use crate::scenes::Scenes;
use serde_json::{Value, json};

pub(super) fn scenes(scenes: &Scenes) -> String {
    let rate = scenes.frame_rate;
    let frame = |seconds: f64| (seconds * rate).round();
    let range = |start: f64, end: f64| {
        let time = |value: f64| json!({"OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": value});
        let (start, end) = (frame(start), frame(end));
        json!({"OTIO_SCHEMA": "TimeRange.1", "start_time": time(start), "duration": time(end - start)})
    };
    let whole = match (scenes.scenes.first(), scenes.scenes.last()) {
        (Some(first), Some(last)) => range(first.start, last.end),
        _ => Value::Null,
    };
    let name = file_name(scenes);
    let media = json!({
        "OTIO_SCHEMA": "ExternalReference.1", "name": name, "metadata": {},
        "target_url": scenes.path.to_string_lossy(), "available_range": whole,
    });
    let clip = |scene: &crate::scenes::Scene| {
        json!({
            "OTIO_SCHEMA": "Clip.2", "name": format!("Scene {}", scene.index + 1),
            "metadata": {"longsight": scene}, "source_range": range(scene.start, scene.end),
            "effects": [], "markers": [], "enabled": true,
            "media_references": {"DEFAULT_MEDIA": media}, "active_media_reference_key": "DEFAULT_MEDIA",
        })
    };
    let composition = |schema: &str, name: &str, children: Vec<Value>| {
        json!({
            "OTIO_SCHEMA": schema, "name": name, "metadata": {}, "source_range": null,
            "effects": [], "markers": [], "enabled": true, "children": children,
        })
    };
    let mut track = composition("Track.1", "Scenes", scenes.scenes.iter().map(clip).collect());
    track["kind"] = json!("Video");
    let timeline = json!({
        "OTIO_SCHEMA": "Timeline.1", "name": name, "metadata": {}, "global_start_time": null,
        "tracks": composition("Stack.1", "tracks", vec![track]),
    });
    format!("{timeline:#}\n")
}
