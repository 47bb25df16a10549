//! What happens in a video, scene by scene: dense captions, and the chapters that they make.
//!
//! ```text
//! scenes -> stretches, none longer than a part of a search -> a look at each -> captions -> chapters
//! ```

use super::ask::Said;
use super::looker::{Keep, Looker};
use super::search::{self, parts};
use super::{Cancel, Event, Job, Model, ModelFacts, Plan, RunError, ScenesPlan, Sink, Timing, Usage};
use crate::decode::{Feed, VideoFacts};
use crate::evidence::{Coverage, SceneCoverage};
use crate::recipe::Options;
use crate::scenes::{Detector, Scene};
use longsight_models::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The name of the captions' schema.
pub const CAPTIONS_SCHEMA: &str = "longsight.captions/1";

/// What a stretch is described from at least, in frames: enough to tell which way something moves.
const LEAST_FRAMES: f64 = 4.0;
/// Neighbours that share more than this part of all their words are one chapter.
const ALIKE: f64 = 0.6;

/// `longsight.captions/1`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Captions {
    /// `longsight.captions/1`
    pub schema: String,
    /// The file
    pub video: VideoFacts,
    /// What was asked of every stretch
    pub prompt: String,
    /// In the order of time; a gap is a stretch that gave no frame, of which a warning tells
    pub captions: Vec<Caption>,
    /// Stretches whose captions are alike, in the order of time
    pub chapters: Vec<Chapter>,
    /// What was looked at
    pub coverage: Coverage,
    /// What was done; the numbers of tokens are those of all stretches
    pub plan: Plan,
    /// What described them
    pub model: ModelFacts,
    /// What it cost in tokens
    pub usage: Usage,
    /// What it cost in time
    pub timing_s: Timing,
    /// What a reader should know
    pub warnings: Vec<String>,
}

/// What happens in a scene, or in a part of a long one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Caption {
    /// First second, the time of a frame
    pub start: f64,
    /// First second after it
    pub end: f64,
    /// The scene's number, from 0
    pub scene: usize,
    /// What the model said
    pub text: String,
    /// The model's probability of these words, the geometric mean over the tokens: not calibrated, and no check of what they say
    pub score: f64,
    /// Frames that were seen
    pub frames_seen: u64,
}

/// Neighbours that are described alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Chapter {
    /// First second
    pub start: f64,
    /// First second after it
    pub end: f64,
    /// The first sentence of its longest caption
    pub title: String,
    /// How many captions it is made of
    pub captions: usize,
}

/// Describes every scene of an opened video by the job's first question, each in a look of its own.
///
/// # Errors
/// As [`super::ask`].
pub fn describe(
    model: &Model,
    feed: &Feed,
    job: &Job<'_>,
    detector: &dyn Detector,
    cancel: &Cancel,
    sink: &mut Sink<'_>,
) -> Result<Captions, RunError> {
    let looker = Looker::new(model, feed, job, cancel);
    let plan = Plan { scenes: Some(ScenesPlan::of(detector)), ..looker.plan(job.options)? };
    let started = std::time::Instant::now();
    let whole = Span { start: plan.decode.from, end: plan.decode.to.unwrap_or(f64::INFINITY) };
    let found = looker.scenes(detector, whole, sink)?;
    let scenes = started.elapsed().as_secs_f64();
    let stretches: Vec<(usize, Span)> = found
        .scenes
        .iter()
        .map(|scene| (scene.index, Span { start: scene.start, end: scene.end }))
        .flat_map(|(index, scene)| parts(scene, plan.evidence.part_s).into_iter().map(move |part| (index, part)))
        .collect();
    let (mut told, mut unseen) = (Vec::with_capacity(stretches.len()), Vec::new());
    for (number, &(scene, stretch)) in stretches.iter().enumerate() {
        sink(Event::Describing { stretch: number, of: stretches.len() });
        // A damaged stretch does not keep the others from being described.
        match looker.pass(&look(&looker, stretch, &plan), job.questions, &|_, _| None, Keep::Tokens, &mut |_| ()) {
            Ok(said) => told.extend(said.into_iter().next().map(|said| (scene, stretch, said))),
            Err(error @ RunError::NothingSeen { .. }) => unseen.push(error),
            Err(error) => return Err(error),
        }
    }
    let Some(mut captions) = together(&told, job, plan, whole) else {
        let (path, Span { start: from, end: to }) = (job.facts.path.clone(), whole);
        return Err(unseen.into_iter().next().unwrap_or(RunError::NothingSeen { path, from, to }));
    };
    captions.coverage.scenes = found.scenes.iter().map(|scene| covered(scene, &captions.captions)).collect();
    captions.warnings.extend(unseen.iter().map(|error| format!("not described: {error}")));
    captions.timing_s.scenes += scenes;
    captions.timing_s.total = started.elapsed().as_secs_f64();
    captions.warnings.splice(0..0, found.warnings);
    Ok(captions)
}

/// A scene as its captions have seen it: here scenes are known frame by frame.
fn covered(scene: &Scene, captions: &[Caption]) -> SceneCoverage {
    let seen = captions.iter().filter(|caption| caption.scene == scene.index).map(|caption| caption.frames_seen);
    SceneCoverage::new(Span { start: scene.start, end: scene.end }, seen.sum())
}

/// As the plan looks at the whole, but with frames enough where a stretch is short.
fn look(looker: &Looker<'_>, stretch: Span, plan: &Plan) -> Options {
    let mut options = looker.within(stretch);
    options.decode.fps = Some(plan.decode.fps.max(LEAST_FRAMES / stretch.duration()));
    options
}

fn together(told: &[(usize, Span, Said)], job: &Job<'_>, plan: Plan, whole: Span) -> Option<Captions> {
    let captions: Vec<Caption> = told
        .iter()
        .map(|(scene, stretch, said)| Caption {
            start: stretch.start,
            end: stretch.end,
            scene: *scene,
            text: said.answer.answer.clone(),
            score: said.probability,
            frames_seen: said.answer.coverage.frames_seen,
        })
        .collect();
    let answers = || told.iter().map(|(.., said)| &said.answer);
    let first = answers().next()?;
    let coverage = search::cover(answers(), whole);
    let mut timing_s = Timing::default();
    let mut warnings: Vec<String> = Vec::new();
    for answer in answers() {
        search::add(&mut timing_s, &answer.timing_s);
        for warning in &answer.warnings {
            if !warnings.contains(warning) {
                warnings.push(warning.clone());
            }
        }
    }
    let mut plan = Plan { decode: plan.decode, scenes: plan.scenes, ..first.plan.clone() };
    search::count(&mut plan, &coverage, answers());
    Some(Captions {
        schema: CAPTIONS_SCHEMA.to_owned(),
        video: job.facts.clone(),
        prompt: job.questions.first().map(|question| question.text.clone()).unwrap_or_default(),
        chapters: chapters(&captions),
        captions,
        coverage,
        plan,
        model: first.model.clone(),
        usage: search::usage(answers())?,
        timing_s,
        warnings,
    })
}

/// Neighbours whose captions share most of their words, made one.
fn chapters(captions: &[Caption]) -> Vec<Chapter> {
    let groups = captions.chunk_by(|one, next| likeness(&one.text, &next.text) > ALIKE);
    let chapter = |group: &[Caption]| {
        let (first, last) = (group.first()?, group.last()?);
        let length = |caption: &Caption| caption.end - caption.start;
        // Of equally long ones the first.
        let longest = group.iter().rev().max_by(|a, b| length(a).total_cmp(&length(b)))?;
        let title = first_sentence(&longest.text).to_owned();
        Some(Chapter { start: first.start, end: last.end, title, captions: group.len() })
    };
    groups.filter_map(chapter).collect()
}

/// The share of all words of two texts that are in both (Jaccard), 1 for the same words.
fn likeness(one: &str, other: &str) -> f64 {
    let words = |text: &str| -> BTreeSet<String> {
        text.split(|letter: char| !letter.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
    };
    let (one, other) = (words(one), words(other));
    let all = one.union(&other).count();
    if all == 0 { 1.0 } else { one.intersection(&other).count() as f64 / all as f64 }
}

/// Up to the first full stop, question or exclamation mark that ends a word; all of it where there is none.
fn first_sentence(text: &str) -> &str {
    let text = text.trim();
    let ends = text.match_indices(['.', '!', '?']).map(|(at, mark)| at + mark.len());
    ends.into_iter().find(|&end| text[end..].starts_with(char::is_whitespace)).map_or(text, |end| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caption(start: f64, end: f64, text: &str) -> Caption {
        Caption { start, end, scene: 0, text: text.to_owned(), score: 1.0, frames_seen: 4 }
    }

    #[test]
    fn neighbours_that_are_described_alike_are_one_chapter() {
        let captions = [
            caption(0.0, 2.0, "A red circle moves up."),
            caption(2.0, 9.5, "A red circle moves down. Nothing else."),
            caption(9.5, 11.0, "A red circle moves down. Nothing else at all."),
            caption(11.0, 12.0, "A sign says OPEN."),
            caption(12.0, 13.0, "A red circle moves up."),
        ];
        let found: Vec<(f64, f64, String, usize)> =
            chapters(&captions).into_iter().map(|one| (one.start, one.end, one.title, one.captions)).collect();
        let expected = [
            (0.0, 2.0, "A red circle moves up.", 1),
            (2.0, 11.0, "A red circle moves down.", 2),
            (11.0, 12.0, "A sign says OPEN.", 1),
            (12.0, 13.0, "A red circle moves up.", 1),
        ];
        assert_eq!(found, expected.map(|(start, end, title, count)| (start, end, title.to_owned(), count)));
        assert_eq!(chapters(&[]), []);
    }

    #[test]
    fn a_title_is_a_sentence() {
        assert_eq!(first_sentence(" It costs 3.50 euros. Then it rains. "), "It costs 3.50 euros.");
        assert_eq!(first_sentence("no end"), "no end");
        assert_eq!(first_sentence("Ende."), "Ende.");
        assert_eq!(first_sentence(""), "");
    }
}
