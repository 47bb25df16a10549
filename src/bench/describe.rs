//! Is it what happens? Captions of generated videos, sentence by sentence, held against the script.

use super::Share;
use crate::decode::{Feed, Limits, VideoFacts};
use crate::recipe::{self, Options};
use crate::run::{self, Cancel, Caption, Event, Job, Model, Question};
use crate::scenes::Content;
use longsight_world::clip::encode;
use longsight_world::dice::Split;
use longsight_world::media::EncodeOptions;
use longsight_world::questions::{CAPTION, captions};
use longsight_world::script::{Script, Wishes};
use serde::Serialize;
use std::path::Path;

/// How clips are filmed.
const SIDE: u32 = 320;
/// Seconds that a stretch and a scene share at least, where a sentence of the one may be true of the other.
const SHARED_S: f64 = 0.5;

/// What to measure on.
#[derive(Debug, Clone)]
pub struct DescribeBench {
    /// Which seeds
    pub split: Split,
    /// The first
    pub seed: u64,
    /// How many clips
    pub clips: u64,
    /// Shortest and longest clip in seconds
    pub seconds: (f64, f64),
    /// The pipeline's settings
    pub options: Options,
}

/// A scene that was not described word for word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Misdescribed {
    /// Of its clip
    pub seed: u64,
    /// What happens
    pub expected: String,
    /// What was said
    pub caption: String,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct DescribeReport {
    /// `longsight.bench.describe/1`
    pub schema: &'static str,
    /// Clips described
    pub clips: u64,
    /// Scenes whose caption is right word for word
    pub exact: Share,
    /// Things that happen which are told in a caption of their scene
    pub told: Share,
    /// Sentences that are true of a scene that they are told of
    pub holds: Share,
    /// Seconds to describe a clip, mean
    pub seconds: f64,
    /// The other scenes
    pub misdescribed: Vec<Misdescribed>,
}

/// Films each clip, describes it, and compares. `done` hears the number of clips finished.
///
/// # Errors
/// When a clip cannot be filmed or described.
pub fn describe(
    model: &Model,
    bench: &DescribeBench,
    cancel: &Cancel,
    done: &mut dyn FnMut(u64),
) -> Result<DescribeReport, anyhow::Error> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("clip.mp4");
    let (mut exact, mut told, mut holds) = ((0, 0), (0, 0), (0, 0));
    let (mut seconds, mut misdescribed) = (0.0, Vec::new());
    for seed in bench.seed..bench.seed + bench.clips {
        let wishes = Wishes { shortest: bench.seconds.0, longest: bench.seconds.1 };
        let script = Script::write(bench.split, seed, &wishes);
        let film =
            EncodeOptions { width: SIDE, height: SIDE, preset: "ultrafast".to_owned(), ..EncodeOptions::default() };
        encode(&script, &path, &film)?;
        let said = tell(model, &path, &bench.options, cancel)?;
        seconds += said.timing_s.total;
        let truth = captions(&script);
        for scene in &truth {
            let span = scene.spans[0];
            let best = said.captions.iter().max_by(|a, b| shared(a, span).total_cmp(&shared(b, span)));
            let caption = best.map_or("", |caption| caption.text.as_str());
            let right = caption == scene.answer;
            exact = (exact.0 + usize::from(right), exact.1 + 1);
            let said: Vec<&str> = sentences(caption).collect();
            for sentence in sentences(&scene.answer) {
                told = (told.0 + usize::from(said.contains(&sentence)), told.1 + 1);
            }
            if !right {
                let (expected, caption) = (scene.answer.clone(), caption.to_owned());
                misdescribed.push(Misdescribed { seed, expected, caption });
            }
        }
        for caption in &said.captions {
            let of = || truth.iter().filter(|scene| shared(caption, scene.spans[0]) >= SHARED_S);
            for sentence in sentences(&caption.text) {
                let right = of().any(|scene| sentences(&scene.answer).any(|one| one == sentence));
                holds = (holds.0 + usize::from(right), holds.1 + 1);
            }
        }
        done(seed - bench.seed + 1);
    }
    Ok(DescribeReport {
        schema: "longsight.bench.describe/1",
        clips: bench.clips,
        exact: Share::new(exact.0, exact.1),
        told: Share::new(told.0, told.1),
        holds: Share::new(holds.0, holds.1),
        seconds: seconds / bench.clips.max(1) as f64,
        misdescribed,
    })
}

fn tell(model: &Model, path: &Path, options: &Options, cancel: &Cancel) -> Result<run::Captions, anyhow::Error> {
    let video = Feed::open(path, &Limits::default())?;
    let facts = VideoFacts::new(&video, path)?;
    let questions = [Question::from(CAPTION)];
    let job = Job {
        facts: &facts,
        questions: &questions,
        pipeline: recipe::DEFAULT,
        options,
        index: None,
        rates: None,
        blind: false,
    };
    Ok(run::describe(model, &video, &job, &Content::default(), cancel, &mut |_: Event| ())?)
}

/// Seconds that a caption and a scene have in common.
fn shared(caption: &Caption, [start, end]: [f64; 2]) -> f64 {
    caption.end.min(end) - caption.start.max(start)
}

fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('.').map(str::trim).filter(|sentence| !sentence.is_empty())
}
