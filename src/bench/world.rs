//! The generated world: accuracy by kind of question, the overlap of "when", and the same without looking.

use super::questions::ask_file;
use super::{Share, iou, right};
use crate::evidence::spans_in;
use crate::recipe::Options;
use crate::run::{Cancel, Model, Question, RunError};
use longsight_models::Span;
use longsight_world::clip::encode;
use longsight_world::dice::Split;
use longsight_world::media::EncodeOptions;
use longsight_world::questions::{self, Kind, NOT_THERE};
use longsight_world::script::{Script, Wishes};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

/// What to measure on.
#[derive(Debug, Clone)]
pub struct WorldBench {
    /// Which seeds; training never saw those of `HeldOut`
    pub split: Split,
    /// The first
    pub seed: u64,
    /// How many clips
    pub clips: u64,
    /// Shortest and longest clip in seconds
    pub seconds: (f64, f64),
    /// The most questions about each
    pub questions: usize,
    /// How they are filmed: size, rate and quality are no part of what happens, and should not matter to answers
    pub film: EncodeOptions,
    /// Ask again with grey pictures
    pub blind: bool,
    /// The pipeline's settings
    pub options: Options,
}

/// Looking, and not looking.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sides {
    /// With the pictures
    pub seeing: Share,
    /// With grey pictures, if that was asked for
    pub blind: Option<Share>,
    /// Always giving the most frequent right answer of the kind
    pub majority: Share,
}

/// One kind of question.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct KindScore {
    /// Which
    pub kind: Kind,
    /// How many were right
    #[serde(flatten)]
    pub sides: Sides,
}

/// "When" questions about things that are there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Timed {
    /// How many
    pub of: usize,
    /// Mean intersection over union
    pub mean_iou: f64,
    /// Half of its 95 % interval
    pub mean_iou_margin: f64,
    /// From 0.5 on
    pub recall_50: Share,
    /// From 0.7 on
    pub recall_70: Share,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct WorldReport {
    /// `longsight.bench.world/1`
    pub schema: &'static str,
    /// Clips asked about
    pub clips: u64,
    /// By kind, in the world's order
    pub kinds: Vec<KindScore>,
    /// Counts whose right answer is at most four
    pub small_counts: Share,
    /// Questions about what is there that were answered as if it were not
    pub false_refusals: Share,
    /// "When" with the pictures
    pub when: Timed,
    /// "When" without
    pub when_blind: Option<Timed>,
    /// Every answer given with the pictures
    pub answers: Vec<Answered>,
}

/// One answer.
#[derive(Debug, Clone, Serialize)]
pub struct Answered {
    /// The clip's
    pub seed: u64,
    /// Kind of question
    pub kind: Kind,
    /// What was asked
    pub question: String,
    /// The right answer
    pub expected: String,
    /// The one given
    pub answer: String,
    /// Whether it counts as right
    pub right: bool,
}

/// Clips between two reports.
const AT_ONCE: usize = 10;

/// One question's outcome.
pub(super) struct Outcome {
    kind: Kind,
    question: String,
    expected: String,
    answer: String,
    pub(super) right: bool,
    refused: bool,
    iou: Option<f64>,
}

impl Outcome {
    fn answered(&self, seed: u64) -> Answered {
        let (question, expected, answer) = (self.question.clone(), self.expected.clone(), self.answer.clone());
        Answered { seed, kind: self.kind, question, expected, answer, right: self.right }
    }
}

/// Films each clip, asks about it, and counts. `done` hears the number of clips finished.
///
/// # Errors
/// When a clip cannot be filmed or asked about.
pub fn world(
    model: &Model,
    bench: &WorldBench,
    cancel: &Cancel,
    done: &mut dyn FnMut(u64),
) -> Result<WorldReport, anyhow::Error> {
    let folder = tempfile::tempdir()?;
    let (mut seeing, mut blind, mut answers) = (Vec::new(), Vec::new(), Vec::new());
    let wishes = Wishes { shortest: bench.seconds.0, longest: bench.seconds.1 };
    let one = |number: u64| -> Result<(Vec<Outcome>, Vec<Outcome>), anyhow::Error> {
        let script = Script::write(bench.split, bench.seed + number, &wishes);
        let path = folder.path().join(format!("{number}.mp4"));
        encode(&script, &path, &bench.film)?;
        let asked = questions::ask(&script, bench.questions);
        let seeing = outcomes(model, &path, &asked, &bench.options, false, cancel)?;
        let blind =
            if bench.blind { outcomes(model, &path, &asked, &bench.options, true, cancel)? } else { Vec::new() };
        std::fs::remove_file(&path)?;
        Ok((seeing, blind))
    };
    // Filming a clip takes one core, so that several are filmed at once.
    for start in (0..bench.clips).step_by(AT_ONCE) {
        let end = bench.clips.min(start + AT_ONCE as u64);
        let clips: Vec<_> = (start..end).into_par_iter().map(one).collect::<Result<_, _>>()?;
        for (seed, (of_clip, without)) in (bench.seed + start..).zip(clips) {
            answers.extend(of_clip.iter().map(|one| one.answered(seed)));
            seeing.extend(of_clip);
            blind.extend(without);
        }
        done(end);
    }
    let blind = bench.blind.then_some(blind);
    Ok(WorldReport {
        schema: "longsight.bench.world/1",
        clips: bench.clips,
        kinds: by_kind(&seeing, blind.as_deref()),
        small_counts: share_of(&seeing, |one| one.kind == Kind::Count && is_small(&one.expected), |one| one.right),
        false_refusals: share_of(&seeing, |one| one.kind != Kind::Absent, |one| one.refused),
        when: timed(&ious(&seeing)),
        when_blind: blind.as_deref().map(|blind| timed(&ious(blind))),
        answers,
    })
}

pub(super) fn outcomes(
    model: &Model,
    path: &std::path::Path,
    asked: &[questions::Question],
    options: &Options,
    blind: bool,
    cancel: &Cancel,
) -> Result<Vec<Outcome>, RunError> {
    let ask = |one: &questions::Question| Question { text: one.text.clone(), choices: one.choices.clone() };
    let texts: Vec<Question> = asked.iter().map(ask).collect();
    let answers = ask_file(model, path, &texts, options, blind, cancel)?;
    let outcome = |(one, answer): (&questions::Question, crate::run::Answer)| {
        let truth: Vec<Span> = one.spans.iter().map(|span| Span::new(span[0], span[1])).collect();
        Outcome {
            kind: one.kind,
            question: one.text.clone(),
            expected: one.answer.clone(),
            right: right(one.kind, &answer.answer, &one.answer),
            refused: right(Kind::Absent, &answer.answer, NOT_THERE),
            iou: (one.kind == Kind::When).then(|| iou(&spans_in(&answer.answer), &truth)),
            answer: answer.answer,
        }
    };
    Ok(asked.iter().zip(answers).map(outcome).collect())
}

fn is_small(count: &str) -> bool {
    count.trim_end_matches('.').parse::<u32>().is_ok_and(|count| count <= 4)
}

/// Of the outcomes that are `asked` about, those that `hit`.
pub(super) fn share_of(
    outcomes: &[Outcome],
    asked: impl Fn(&Outcome) -> bool,
    hit: impl Fn(&Outcome) -> bool,
) -> Share {
    let of = outcomes.iter().filter(|&one| asked(one));
    Share::new(of.clone().filter(|&one| hit(one)).count(), of.count())
}

fn by_kind(seeing: &[Outcome], blind: Option<&[Outcome]>) -> Vec<KindScore> {
    let mut kinds: Vec<Kind> = seeing.iter().map(|outcome| outcome.kind).collect();
    kinds.sort();
    kinds.dedup();
    let share = |outcomes: &[Outcome], kind: Kind| share_of(outcomes, |one| one.kind == kind, |one| one.right);
    kinds
        .into_iter()
        .map(|kind| {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for outcome in seeing.iter().filter(|outcome| outcome.kind == kind) {
                *counts.entry(&outcome.expected).or_default() += 1;
            }
            let majority = Share::new(counts.values().copied().max().unwrap_or(0), counts.values().sum());
            let sides = Sides { seeing: share(seeing, kind), blind: blind.map(|blind| share(blind, kind)), majority };
            KindScore { kind, sides }
        })
        .collect()
}

pub(super) fn ious(outcomes: &[Outcome]) -> Vec<f64> {
    outcomes.iter().filter_map(|outcome| outcome.iou).collect()
}

/// Overlaps in figures.
pub(super) fn timed(ious: &[f64]) -> Timed {
    let (of, n) = (ious.len(), ious.len().max(1) as f64);
    let mean = |of: &dyn Fn(f64) -> f64| ious.iter().fold(0.0, |sum, &iou| sum + of(iou)) / n;
    let mean_iou = mean(&|iou| iou);
    let variance = mean(&|iou| (iou - mean_iou).powi(2));
    let recall = |least: f64| Share::new(ious.iter().filter(|&&iou| iou >= least).count(), of);
    Timed {
        of,
        mean_iou,
        mean_iou_margin: 1.96 * (variance / n).sqrt(),
        recall_50: recall(0.5),
        recall_70: recall(0.7),
    }
}
