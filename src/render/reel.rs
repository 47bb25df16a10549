//! Titled spans on the time line of a video: what scenes, evidence and moments have in common.

use super::plain::{clock, one_line};
use crate::decode::VideoInfo;
use crate::evidence::{Check, Coverage, Status};
use crate::run::{Answer, Captions, Moments};
use crate::scenes::{Scene, Scenes};
use longsight_models::Span;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Frames per second where a container gives no rate.
const USUAL_RATE: f64 = 25.0;

/// What time line formats need to know of a file besides what was found in it.
#[derive(Debug, Clone, Default)]
pub struct Media {
    /// The file, as given
    pub path: PathBuf,
    /// How a page reaches it: a relative or absolute path; `None` where it cannot (a pipe)
    pub player: Option<PathBuf>,
    /// Average frames per second, if the container says
    pub frame_rate: Option<f64>,
    /// First second of the video
    pub start_s: f64,
    /// Its end, if the container says
    pub end_s: Option<f64>,
    /// Where the shots begin and end, if anybody looked
    pub scenes: Vec<Span>,
    /// Pictures for a page
    pub thumbs: Vec<Thumb>,
}

/// A picture of a video.
#[derive(Debug, Clone)]
pub struct Thumb {
    /// When it is shown, in seconds on the source clock
    pub time_s: f64,
    /// JPEG
    pub jpeg: Vec<u8>,
}

impl Media {
    /// What the container says of the file that was given as `path`.
    #[must_use]
    pub fn new(path: &Path, info: &VideoInfo) -> Self {
        Self {
            path: path.to_path_buf(),
            frame_rate: info.frame_rate,
            start_s: info.start_s.unwrap_or(0.0),
            end_s: info.end_s(),
            ..Self::default()
        }
    }

    /// The number of the frame at `seconds`, counted at the average rate.
    fn frame(&self, seconds: f64) -> u64 {
        ((seconds - self.start_s) * self.rate()).round().max(0.0) as u64
    }

    fn rate(&self) -> f64 {
        self.frame_rate.filter(|rate| rate.is_finite() && *rate > 0.0).unwrap_or(USUAL_RATE)
    }
}

/// What the spans of a reel are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// All of the video, in order and without gaps
    Scenes,
    /// What answers rest on
    Evidence,
    /// What was looked for
    Moments,
    /// What happens, stretch after stretch
    Captions,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Scenes => "Scenes",
            Self::Evidence => "Evidence",
            Self::Moments => "Moments",
            Self::Captions => "Captions",
        }
    }
}

/// A titled span.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    /// Seconds on the source clock
    pub(super) span: Span,
    /// Number of its first frame, from 0
    pub(super) first_frame: u64,
    /// Number of the frame after its last
    pub(super) end_frame: u64,
    /// Its name: the question, the query, the scene's number; on one line
    pub(super) title: String,
    /// What is said of it: the answer; on one line, may be empty
    pub(super) text: String,
    /// 0 to 1
    pub(super) score: Option<f64>,
    /// Whether it was looked at again
    pub(super) verified: bool,
    /// Everything that is known of it
    pub(super) data: Value,
}

/// Marks that belong together: the scenes of a video, the evidence of an answer, the moments of a query.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// The question or the query; one line
    pub(super) heading: String,
    /// The answer, or how many there are; one line
    pub(super) text: String,
    /// How well the answer is supported, if it is one
    pub(super) status: Option<Status>,
    /// What was looked at, if that was not everything
    pub(super) coverage: Option<Coverage>,
    pub(super) warnings: Vec<String>,
    pub(super) marks: Vec<Mark>,
}

/// The spans of a video.
#[derive(Debug, Clone)]
pub(super) struct Reel<'a> {
    pub(super) kind: Kind,
    pub(super) media: &'a Media,
    pub(super) groups: Vec<Group>,
}

impl<'a> Reel<'a> {
    pub(super) fn of_scenes(scenes: &Scenes, media: &'a Media) -> Self {
        let marks: Vec<Mark> = scenes.scenes.iter().map(scene).collect();
        let whole =
            marks.last().map_or(0.0, |last| last.span.end) - marks.first().map_or(0.0, |first| first.span.start);
        let text = format!("{} scenes in {}, found by the {} detector.", marks.len(), clock(whole), scenes.detector);
        let warnings = scenes.warnings.clone();
        let group = Group { heading: String::new(), text, status: None, coverage: None, warnings, marks };
        Self { kind: Kind::Scenes, media, groups: vec![group] }
    }

    pub(super) fn of_answers(answers: &[Answer], media: &'a Media) -> Self {
        let group = |answer: &Answer| {
            let (heading, text) = (one_line(&answer.question), one_line(&answer.answer));
            let marks = answer.evidence.iter().map(|evidence| {
                let data = json!({
                    "question": answer.question, "answer": answer.answer, "status": answer.status, "evidence": evidence,
                });
                // A caption over a player has no column for what a closer look came to.
                let text = match evidence.check {
                    Check::Contradicted => format!("{text} (contradicted by a closer look)"),
                    _ => text.clone(),
                };
                let mark = Mark::new(media, evidence.span(), heading.clone(), text, data);
                Mark { score: Some(evidence.score), verified: evidence.verified, ..mark }
            });
            Group {
                marks: marks.collect(),
                status: Some(answer.status),
                coverage: Some(answer.coverage.clone()),
                warnings: answer.warnings.clone(),
                heading: heading.clone(),
                text: text.clone(),
            }
        };
        Self { kind: Kind::Evidence, media, groups: answers.iter().map(group).collect() }
    }

    pub(super) fn of_moments(found: &Moments, media: &'a Media) -> Self {
        let heading = one_line(&found.query);
        let marks = found.moments.iter().map(|moment| {
            let span = Span { start: moment.start, end: moment.end };
            let data = json!({"query": found.query, "moment": moment});
            Mark {
                score: Some(moment.score),
                verified: moment.verified,
                ..Mark::new(media, span, heading.clone(), String::new(), data)
            }
        });
        let marks: Vec<Mark> = marks.collect();
        let text = format!("{} {}", marks.len(), if marks.len() == 1 { "moment" } else { "moments" });
        let (coverage, warnings) = (Some(found.coverage.clone()), found.warnings.clone());
        let group = Group { text, status: None, coverage, warnings, marks, heading };
        Self { kind: Kind::Moments, media, groups: vec![group] }
    }

    pub(super) fn of_captions(told: &Captions, media: &'a Media) -> Self {
        let marks = told.captions.iter().map(|caption| {
            let span = Span { start: caption.start, end: caption.end };
            let mark = Mark::new(media, span, one_line(&caption.text), String::new(), json!(caption));
            Mark { score: Some(caption.score), ..mark }
        });
        Self::of_told(told, media, marks.collect(), "caption")
    }

    pub(super) fn of_chapters(told: &Captions, media: &'a Media) -> Self {
        let marks = told.chapters.iter().map(|chapter| {
            let span = Span { start: chapter.start, end: chapter.end };
            Mark::new(media, span, one_line(&chapter.title), String::new(), json!(chapter))
        });
        Self::of_told(told, media, marks.collect(), "chapter")
    }

    fn of_told(told: &Captions, media: &'a Media, marks: Vec<Mark>, what: &str) -> Self {
        let text = format!("{} {what}{}", marks.len(), if marks.len() == 1 { "" } else { "s" });
        let (coverage, warnings) = (Some(told.coverage.clone()), told.warnings.clone());
        let group = Group { heading: one_line(&told.prompt), text, status: None, coverage, warnings, marks };
        Self { kind: Kind::Captions, media, groups: vec![group] }
    }

    /// The file's own name, on one line.
    pub(super) fn name(&self) -> String {
        one_line(&self.media.path.file_name().unwrap_or_default().to_string_lossy())
    }

    /// Frames per second.
    pub(super) fn rate(&self) -> f64 {
        self.media.rate()
    }

    /// Every mark, group after group.
    pub(super) fn marks(&self) -> impl Iterator<Item = &Mark> {
        self.groups.iter().flat_map(|group| &group.marks)
    }

    /// Every mark in the order of time, at no negative time and none without length: what players ask of cues.
    pub(super) fn cues(&self) -> Vec<Mark> {
        let mut cues: Vec<Mark> = self.marks().cloned().collect();
        for cue in &mut cues {
            cue.span.start = cue.span.start.max(0.0);
            cue.span.end = cue.span.end.max(cue.span.start + 0.001);
        }
        cues.sort_by(|a, b| a.span.start.total_cmp(&b.span.start).then(a.span.end.total_cmp(&b.span.end)));
        cues
    }

    /// The same, where one ends at the latest when the next begins; of those that begin together, the last stays.
    pub(super) fn chapters(&self) -> Vec<Mark> {
        let mut chapters: Vec<Mark> = Vec::new();
        for cue in self.cues() {
            while chapters.last().is_some_and(|last| cue.span.start - last.span.start < 0.001) {
                chapters.pop();
            }
            if let Some(last) = chapters.last_mut() {
                last.span.end = last.span.end.min(cue.span.start);
            }
            chapters.push(cue);
        }
        chapters
    }
}

impl Mark {
    /// Name and text, each on a line of its own.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        [self.title.as_str(), self.text.as_str()].into_iter().filter(|line| !line.is_empty())
    }

    fn new(media: &Media, span: Span, title: String, text: String, data: Value) -> Self {
        let (first_frame, end_frame) = (media.frame(span.start), media.frame(span.end));
        let end_frame = end_frame.max(first_frame + 1);
        Self { span, first_frame, end_frame, title, text, score: None, verified: false, data }
    }
}

fn scene(scene: &Scene) -> Mark {
    Mark {
        span: Span { start: scene.start, end: scene.end },
        first_frame: scene.start_frame,
        end_frame: scene.end_frame,
        title: format!("Scene {}", scene.index + 1),
        text: String::new(),
        score: None,
        verified: false,
        data: json!(scene),
    }
}
