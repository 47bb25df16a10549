//! How is it handed over?
//!
//! Comes in: scenes (and later moments and answers). Goes out: the text of an output format, one file for each format.
//! Never: a decision about what to show, or a place to write it to.

mod csv;
mod edl;
mod html;
mod json;
mod otio;
mod table;
mod vtt;

pub(crate) use json::Document as ScenesDocument;
pub use json::SCENES_SCHEMA;

use crate::decode::VideoFacts;
use crate::scenes::Scenes;

/// What a list of scenes can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A table for people
    Table,
    /// One object, `longsight.scenes/1`
    Json,
    /// One object for each scene, a line each
    JsonLines,
    /// Comma-separated values with PySceneDetect's columns
    Csv,
    /// WebVTT, a cue for each scene
    Vtt,
    /// CMX 3600 edit decision list
    Edl,
    /// OpenTimelineIO
    Otio,
    /// A page of its own with a timeline
    Html,
}

impl Format {
    /// Every format and its name.
    pub const ALL: [(&'static str, Self); 8] = [
        ("table", Self::Table),
        ("json", Self::Json),
        ("jsonl", Self::JsonLines),
        ("csv", Self::Csv),
        ("vtt", Self::Vtt),
        ("edl", Self::Edl),
        ("otio", Self::Otio),
        ("html", Self::Html),
    ];
}

/// Writes a list of scenes; ends with a line break.
#[must_use]
pub fn scenes(scenes: &Scenes, video: &VideoFacts, format: Format) -> String {
    match format {
        Format::Table => table::scenes(scenes),
        Format::Json => json::scenes(scenes, video),
        Format::JsonLines => json::scene_lines(scenes),
        Format::Csv => csv::scenes(scenes),
        Format::Vtt => vtt::scenes(scenes),
        Format::Edl => edl::scenes(scenes),
        Format::Otio => otio::scenes(scenes),
        Format::Html => html::scenes(scenes),
    }
}

/// Seconds as `HH:MM:SS.mmm`; negative times, which edit lists can cause, keep their sign.
#[must_use]
pub fn clock(seconds: f64) -> String {
    let sign = if seconds < 0.0 { "-" } else { "" };
    let millis = (seconds.abs() * 1000.0).round() as u64;
    let (hours, minutes, rest) = (millis / 3_600_000, millis / 60_000 % 60, millis % 60_000);
    format!("{sign}{hours:02}:{minutes:02}:{:02}.{:03}", rest / 1000, rest % 1000)
}

/// The file's own name.
fn file_name(scenes: &Scenes) -> String {
    scenes.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
