//! OpenTimelineIO: one video track with a clip for each span. Its times are whole frames at the average rate.

use super::reel::{Mark, Reel};
use serde_json::{Value, json};

pub(super) fn timeline(reels: &[Reel]) -> String {
    let name = reels.first().map_or_else(String::new, Reel::name);
    let kind = reels.first().map_or("", |reel| reel.kind.word());
    let clips = reels.iter().flat_map(|reel| {
        let media = media(reel);
        reel.marks().map(move |mark| clip(mark, reel.rate(), &media)).collect::<Vec<_>>()
    });
    let mut track = composition("Track.1", kind, &clips.collect::<Vec<_>>());
    track["kind"] = json!("Video");
    let timeline = json!({
        "OTIO_SCHEMA": "Timeline.1", "name": name, "metadata": {}, "global_start_time": null,
        "tracks": composition("Stack.1", "tracks", &[track]),
    });
    format!("{timeline:#}\n")
}

fn clip(mark: &Mark, rate: f64, media: &Value) -> Value {
    json!({
        "OTIO_SCHEMA": "Clip.2", "name": mark.title,
        "metadata": {"longsight": mark.data}, "source_range": range(mark.span.start, mark.span.end, rate),
        "effects": [], "markers": [], "enabled": true,
        "media_references": {"DEFAULT_MEDIA": media}, "active_media_reference_key": "DEFAULT_MEDIA",
    })
}

/// The file; what of it is there is said where it is known.
fn media(reel: &Reel) -> Value {
    let start = reel.media.start_s.min(reel.marks().map(|mark| mark.span.start).fold(f64::INFINITY, f64::min));
    let last = reel.marks().map(|mark| mark.span.end).fold(f64::NEG_INFINITY, f64::max);
    let end = reel.media.end_s.unwrap_or(last).max(last);
    let whole = if end > start { range(start, end, reel.rate()) } else { Value::Null };
    json!({
        "OTIO_SCHEMA": "ExternalReference.1", "name": reel.name(), "metadata": {},
        "target_url": reel.media.path.to_string_lossy(), "available_range": whole,
    })
}

fn range(start: f64, end: f64, rate: f64) -> Value {
    let time = |value: f64| json!({"OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": value});
    let (start, end) = ((start * rate).round(), (end * rate).round());
    json!({"OTIO_SCHEMA": "TimeRange.1", "start_time": time(start), "duration": time(end - start)})
}

fn composition(schema: &str, name: &str, children: &[Value]) -> Value {
    json!({
        "OTIO_SCHEMA": schema, "name": name, "metadata": {}, "source_range": null,
        "effects": [], "markers": [], "enabled": true, "children": children,
    })
}
