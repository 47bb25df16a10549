//! How is it handed over?
//!
//! Comes in: scenes, answers, moments or captions. Goes out: the text of an output format, one file for each format.
//! Never: a decision about what to show, or a place to write it to.
//!
//! ```text
//! scenes  --+                          +--> vtt, srt, ffmetadata      players
//! answers --+--> reels of titled spans +--> edl, otio                 editors
//! moments --+                          +--> markdown, html            people
//! captions -+
//! ```
//! Text, JSON, JSON lines and CSV say what each of the four is in words of its own.
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

pub use json::SCENES_SCHEMA;
pub(crate) use json::{Document as ScenesDocument, EvidenceLine};
pub use plain::{clock, one_line};
pub use reel::{Media, Thumb};

use crate::decode::VideoFacts;
use crate::run::{Answer, Captions, Moments};
use crate::scenes::Scenes;
use reel::Reel;

/// What scenes, answers, moments and captions can be written as.
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
    write(&OfScenes { scenes, video, media }, format)
}

/// Writes answers to questions about one video; ends with a line break.
#[must_use]
pub fn answers(answers: &[Answer], media: &Media, format: Format) -> String {
    write(&OfAnswers { answers, media }, format)
}

/// Writes what was found, a document for each video, each with its medium; ends with a line break.
///
/// # Errors
/// When the format speaks of one video only and there are several.
pub fn moments(found: &[(&Moments, &Media)], format: Format) -> Result<String, SeveralVideos> {
    if found.len() > 1 && !format.holds_several_videos() {
        return Err(SeveralVideos { format, videos: found.len() });
    }
    Ok(write(&OfMoments { found }, format))
}

/// Writes what happens in a video; ends with a line break.
#[must_use]
pub fn captions(told: &Captions, media: &Media, format: Format) -> String {
    write(&OfCaptions { told, media }, format)
}

/// What is handed over: in four formats with words of its own, in all others as spans on time lines.
trait Document {
    fn text(&self) -> String;
    fn json(&self) -> String;
    fn json_lines(&self) -> String;
    fn csv(&self) -> String;
    fn reels(&self) -> Vec<Reel<'_>>;

    /// The same for formats of chapters.
    fn chapters(&self) -> Vec<Reel<'_>> {
        self.reels()
    }
}

fn write(document: &dyn Document, format: Format) -> String {
    match format {
        Format::Text => document.text(),
        Format::Json => document.json(),
        Format::JsonLines => document.json_lines(),
        Format::Csv => document.csv(),
        Format::Srt => srt::captions(&document.reels()),
        Format::Vtt => vtt::captions(&document.reels()),
        Format::VttChapters => vtt::chapters(&document.chapters()),
        Format::VttMetadata => vtt::metadata(&document.reels()),
        Format::Edl => edl::edits(&document.reels()),
        Format::Otio => otio::timeline(&document.reels()),
        Format::FfMetadata => ffmetadata::chapters(&document.chapters()),
        Format::Markdown => markdown::document(&document.reels()),
        Format::Html => html::page(&document.reels()),
    }
}

struct OfScenes<'a> {
    scenes: &'a Scenes,
    video: &'a VideoFacts,
    media: &'a Media,
}

impl Document for OfScenes<'_> {
    fn text(&self) -> String {
        text::scenes(self.scenes)
    }

    fn json(&self) -> String {
        json::scenes(self.scenes, self.video)
    }

    fn json_lines(&self) -> String {
        json::scene_lines(self.scenes)
    }

    fn csv(&self) -> String {
        csv::scenes(self.scenes)
    }

    fn reels(&self) -> Vec<Reel<'_>> {
        vec![Reel::of_scenes(self.scenes, self.media)]
    }
}

struct OfAnswers<'a> {
    answers: &'a [Answer],
    media: &'a Media,
}

impl Document for OfAnswers<'_> {
    fn text(&self) -> String {
        text::answers(self.answers)
    }

    fn json(&self) -> String {
        self.answers.iter().map(json::line).collect()
    }

    fn json_lines(&self) -> String {
        json::evidence_lines(self.answers)
    }

    fn csv(&self) -> String {
        csv::answers(self.answers)
    }

    fn reels(&self) -> Vec<Reel<'_>> {
        vec![Reel::of_answers(self.answers, self.media)]
    }
}

struct OfMoments<'a> {
    found: &'a [(&'a Moments, &'a Media)],
}

impl OfMoments<'_> {
    fn documents(&self) -> impl Iterator<Item = &Moments> + Clone {
        self.found.iter().map(|(moments, _)| *moments)
    }
}

impl Document for OfMoments<'_> {
    fn text(&self) -> String {
        text::moments(self.documents())
    }

    fn json(&self) -> String {
        self.documents().map(json::line).collect()
    }

    fn json_lines(&self) -> String {
        json::moment_lines(self.documents())
    }

    fn csv(&self) -> String {
        csv::moments(self.documents())
    }

    fn reels(&self) -> Vec<Reel<'_>> {
        self.found.iter().map(|(moments, media)| Reel::of_moments(moments, media)).collect()
    }
}

struct OfCaptions<'a> {
    told: &'a Captions,
    media: &'a Media,
}

impl Document for OfCaptions<'_> {
    fn text(&self) -> String {
        text::captions(self.told)
    }

    fn json(&self) -> String {
        json::line(self.told)
    }

    fn json_lines(&self) -> String {
        json::caption_lines(self.told)
    }

    fn csv(&self) -> String {
        csv::captions(self.told)
    }

    fn reels(&self) -> Vec<Reel<'_>> {
        vec![Reel::of_captions(self.told, self.media)]
    }

    fn chapters(&self) -> Vec<Reel<'_>> {
        vec![Reel::of_chapters(self.told, self.media)]
    }
}

#[cfg(test)]
mod tests;
