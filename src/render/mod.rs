//! How is it handed over?
//!
//! Comes in: scenes, answers or moments. Goes out: the text of an output format, one file for each format.
//! Never: a decision about what to show, or a place to write it to.
//!
//! ```text
//! scenes  --+                          +--> vtt, srt, ffmetadata      players
//! answers --+--> reels of titled spans +--> edl, otio                 editors
//! moments --+                          +--> markdown, html            people
//! ```
//! Text, JSON, JSON lines and CSV say what each of the three is in words of its own.
//!
//! File names, questions and answers are what somebody else wrote: every format takes them as text that may be hostile.

mod csv;
mod edl;
mod ffmetadata;
mod html;
mod json;
mod markdown;
mod otio;
mod plain;
mod reel;
mod srt;
mod text;
mod vtt;

pub(crate) use json::Document as ScenesDocument;
pub use json::SCENES_SCHEMA;
pub use plain::clock;
pub use reel::{Media, Thumb};

use crate::decode::VideoFacts;
use crate::run::{Answer, Moments};
use crate::scenes::Scenes;
use reel::Reel;

/// What scenes, answers and moments can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people: a table of scenes, the words of an answer
    Text,
    /// The whole object, a line each
    Json,
    /// One object for each span, a line each
    JsonLines,
    /// Comma-separated values, a row for each span; scenes with PySceneDetect's columns
    Csv,
    /// SubRip captions
    Srt,
    /// WebVTT captions
    Vtt,
    /// WebVTT chapters
    VttChapters,
    /// WebVTT metadata: JSON in every cue, for scripts of a page
    VttMetadata,
    /// CMX 3600 edit decision list
    Edl,
    /// OpenTimelineIO
    Otio,
    /// Chapters as FFmpeg reads them
    FfMetadata,
    /// Markdown
    Markdown,
    /// A page of its own with a player and a time line
    Html,
}

impl Format {
    /// Every format and its name.
    pub const ALL: [(&'static str, Self); 13] = [
        ("text", Self::Text),
        ("json", Self::Json),
        ("jsonl", Self::JsonLines),
        ("csv", Self::Csv),
        ("srt", Self::Srt),
        ("vtt", Self::Vtt),
        ("vtt-chapters", Self::VttChapters),
        ("vtt-metadata", Self::VttMetadata),
        ("edl", Self::Edl),
        ("otio", Self::Otio),
        ("ffmetadata", Self::FfMetadata),
        ("markdown", Self::Markdown),
        ("html", Self::Html),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, format)| *format == self).map_or("", |(name, _)| name)
    }

    /// Whether one document can speak of several videos.
    #[must_use]
    pub fn holds_several_videos(self) -> bool {
        !matches!(self, Self::Srt | Self::Vtt | Self::VttChapters | Self::VttMetadata | Self::FfMetadata)
    }
}

/// Why something cannot be written in a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} speaks of one video, and there are {videos}", format.name())]
pub struct SeveralVideos {
    /// Which format
    pub format: Format,
    /// How many videos
    pub videos: usize,
}

/// Writes a list of scenes; ends with a line break.
#[must_use]
pub fn scenes(scenes: &Scenes, video: &VideoFacts, media: &Media, format: Format) -> String {
    match format {
        Format::Text => text::scenes(scenes),
        Format::Json => json::scenes(scenes, video),
        Format::JsonLines => json::scene_lines(scenes),
        Format::Csv => csv::scenes(scenes),
        _ => timeline(&[Reel::of_scenes(scenes, media)], format),
    }
}

/// Writes answers to questions about one video; ends with a line break.
#[must_use]
pub fn answers(answers: &[Answer], media: &Media, format: Format) -> String {
    match format {
        Format::Text => text::answers(answers),
        Format::Json => answers.iter().map(json::line).collect(),
        Format::JsonLines => json::evidence_lines(answers),
        Format::Csv => csv::answers(answers),
        _ => timeline(&[Reel::of_answers(answers, media)], format),
    }
}

/// Writes what was found, a document for each video, each with its medium; ends with a line break.
///
/// # Errors
/// When the format speaks of one video only and there are several.
pub fn moments(found: &[(&Moments, &Media)], format: Format) -> Result<String, SeveralVideos> {
    if found.len() > 1 && !format.holds_several_videos() {
        return Err(SeveralVideos { format, videos: found.len() });
    }
    let documents = || found.iter().map(|(moments, _)| *moments);
    Ok(match format {
        Format::Text => text::moments(documents()),
        Format::Json => documents().map(json::line).collect(),
        Format::JsonLines => json::moment_lines(documents()),
        Format::Csv => csv::moments(documents()),
        _ => {
            let reels: Vec<Reel> = found.iter().map(|(moments, media)| Reel::of_moments(moments, media)).collect();
            timeline(&reels, format)
        }
    })
}

/// The formats that know only titled spans on a time line.
fn timeline(reels: &[Reel], format: Format) -> String {
    match format {
        Format::Srt => srt::captions(reels),
        Format::Vtt => vtt::captions(reels),
        Format::VttChapters => vtt::chapters(reels),
        Format::VttMetadata => vtt::metadata(reels),
        Format::FfMetadata => ffmetadata::chapters(reels),
        Format::Edl => edl::edits(reels),
        Format::Otio => otio::timeline(reels),
        Format::Markdown => markdown::document(reels),
        // The others are written before reels are made; a page shows whatever it is given.
        Format::Html | Format::Text | Format::Json | Format::JsonLines | Format::Csv => html::page(reels),
    }
}

#[cfg(test)]
mod tests;
