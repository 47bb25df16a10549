//! Is evidence what it says? Questions for times on generated videos, with and without checks and search: how well spans
//! are placed, how many of the verified ones are right, and what a score means.

use super::constraints::{Condition, constraints};
use super::questions::ask_file;
use super::{Share, Timed, iou, timed};
use crate::evidence::{Check, Evidence, spans_in};
use crate::recipe::{Options, SearchMode};
use crate::run::{Answer, Cancel, Model, Question};
use longsight_models::Span;
use longsight_world::clip::encode;
use longsight_world::dice::{Dice, Split};
use longsight_world::media::EncodeOptions;
use longsight_world::questions::{self, Kind};
use longsight_world::script::{Script, Wishes};
use rayon::prelude::*;
use serde::Serialize;
use std::path::Path;

/// Overlap from which a span is right.
const RIGHT_IOU: f64 = 0.5;
/// The stream of choices that this bench draws from.
const PURPOSE: u8 = 90;
/// Bars of the reliability table.
const BARS: usize = 10;
/// How clips are filmed: what takes hours to watch should not take hours to film.
const SIDE: u32 = 192;
/// Pictures between key pictures.
const GOP: u32 = 40;
/// Clips at once.
const AT_ONCE: usize = 4;

/// What to measure on.
#[derive(Debug, Clone)]
pub struct EvidenceBench {
    /// Which seeds
    pub split: Split,
    /// The first
    pub seed: u64,
    /// How many clips
    pub clips: u64,
    /// Shortest and longest clip in seconds
    pub seconds: (f64, f64),
    /// The most questions of each sort about each clip
    pub questions: usize,
    /// Pictures a second of the clips
    pub rate: u32,
    /// Ask once more without checks and search
    pub single: bool,
    /// The pipeline's settings
    pub options: Options,
}

/// What a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sort {
    /// When something is that is there
    When,
    /// When something is that is not
    Absent,
    /// When something is, with a condition
    Constraint,
    /// What colour or shape something has, or what it says
    Claim,
}

/// A question, its answer, and what it was held against.
#[derive(Debug, Clone, Serialize)]
pub struct Asked {
    /// Of its clip
    pub seed: u64,
    /// What it asks for
    pub sort: Sort,
    /// Its condition
    pub condition: Option<Condition>,
    /// In words
    pub question: String,
    /// When that is
    pub truth: Vec<Span>,
    /// What was said
    pub answer: String,
    /// Whether a claim is right
    pub right: Option<bool>,
    /// Overlap of what was said with the truth; of a claim, that of the spans that were shown, and 0 if it is wrong
    pub iou: f64,
    /// The spans that were shown
    pub spans: Vec<Shown>,
}

/// A span of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shown {
    /// First second
    pub start: f64,
    /// First second after it
    pub end: f64,
    /// How sure
    pub score: f64,
    /// What the closer look came to
    pub check: Check,
    /// Overlap with the span of the truth that it overlaps most; 0 if it stands behind a wrong claim
    pub iou: f64,
}

/// Spans whose scores lie in one tenth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bar {
    /// Mean score
    pub score: f64,
    /// How many of them are right
    pub right: Share,
}

/// Answers with the highest scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Risk {
    /// Share of the questions that is answered
    pub coverage: f64,
    /// The least score among them
    pub score: f64,
    /// How many of the answers are wrong
    pub wrong: Share,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct EvidenceReport {
    /// `longsight.bench.evidence/1`
    pub schema: &'static str,
    /// Clips asked about
    pub clips: u64,
    /// Their length in seconds, all together
    pub seconds: f64,
    /// "When" as it is shown: searched and checked
    pub when: Timed,
    /// The same in one look
    pub single: Option<Timed>,
    /// Questions for a time answered, of those that have an answer, by kind of condition
    pub conditions: Vec<(Condition, Share)>,
    /// All of them
    pub constraints: Share,
    /// Claims that are right
    pub claims: Share,
    /// Claims with a verified span that are right, and the span too
    pub claims_verified: Share,
    /// Spans marked verified that are right, of all questions
    pub verified_right: Share,
    /// Questions about what is there that have a verified span
    pub verified_found: Share,
    /// Questions about what is not there that were answered with a verified span
    pub verified_absent: Share,
    /// What scores are worth
    pub reliability: Vec<Bar>,
    /// What leaving the unsure ones out is worth
    pub risk: Vec<Risk>,
    /// Mean seconds of an answer; those of its closer looks
    pub answer_s: (f64, f64),
    /// Visual tokens of the first looks, and prompt tokens of the closer ones, all together
    pub tokens: (u64, u64),
    /// Everything that was asked
    pub asked: Vec<Asked>,
}

/// A question before it is asked.
struct Ask {
    sort: Sort,
    condition: Option<Condition>,
    text: String,
    truth: Vec<Span>,
    /// The right answer, where it is no time
    expected: Option<String>,
}

struct OfClip {
    asked: Vec<Asked>,
    single: Vec<f64>,
    duration: f64,
    seconds: (f64, f64),
    tokens: (u64, u64),
}

/// Films each clip, asks about it, and holds what is shown against the script. `done` hears the number of clips finished.
///
/// # Errors
/// When a clip cannot be filmed or asked about.
pub fn evidence(
    model: &Model,
    bench: &EvidenceBench,
    cancel: &Cancel,
    done: &mut dyn FnMut(u64),
) -> Result<EvidenceReport, anyhow::Error> {
    let folder = tempfile::tempdir()?;
    let mut all: Vec<OfClip> = Vec::new();
    for start in (0..bench.clips).step_by(AT_ONCE) {
        let end = bench.clips.min(start + AT_ONCE as u64);
        let one = |number| clip(model, bench, bench.seed + number, folder.path(), cancel);
        all.extend((start..end).into_par_iter().map(one).collect::<Result<Vec<_>, _>>()?);
        done(end);
    }
    Ok(report(bench, all))
}

fn clip(
    model: &Model,
    bench: &EvidenceBench,
    seed: u64,
    folder: &Path,
    cancel: &Cancel,
) -> Result<OfClip, anyhow::Error> {
    let wishes = Wishes { shortest: bench.seconds.0, longest: bench.seconds.1 };
    let script = Script::write(bench.split, seed, &wishes);
    let path = folder.join(format!("{seed}.mp4"));
    let film = EncodeOptions {
        width: SIDE,
        height: SIDE,
        rate: (bench.rate, 1),
        preset: "ultrafast".to_owned(),
        gop: GOP,
        ..EncodeOptions::default()
    };
    encode(&script, &path, &film)?;
    let asks = asks(&script, bench.questions);
    let questions: Vec<Question> = asks.iter().map(|ask| Question::from(ask.text.as_str())).collect();
    let answers = ask_file(model, &path, &questions, &bench.options, false, cancel)?;
    let plain: Vec<usize> = (0..asks.len()).filter(|&place| asks[place].sort == Sort::When).collect();
    let mut single = Vec::new();
    if bench.single {
        let mut options = bench.options.clone();
        (options.evidence.check, options.evidence.search) = (Some(false), Some(SearchMode::Never));
        let questions: Vec<Question> = plain.iter().map(|&place| questions[place].clone()).collect();
        let answers = ask_file(model, &path, &questions, &options, false, cancel)?;
        single.extend(plain.iter().zip(answers).map(|(&place, answer)| iou(&said(&answer), &asks[place].truth)));
    }
    std::fs::remove_file(&path)?;
    let sum = |of: fn(&Answer) -> f64| answers.iter().map(of).sum::<f64>() / answers.len().max(1) as f64;
    let seconds = (sum(|answer| answer.timing_s.total), sum(|answer| answer.timing_s.check));
    let count = |of: fn(&Answer) -> u64| answers.iter().map(of).sum::<u64>();
    let tokens =
        (count(|answer| answer.coverage.visual_tokens_after), count(|answer| answer.usage.check_tokens as u64));
    let asked = asks.into_iter().zip(answers).map(|(ask, answer)| hold(seed, ask, &answer)).collect();
    Ok(OfClip { asked, single, duration: script.duration, seconds, tokens })
}

/// What is asked about a clip.
fn asks(script: &Script, most: usize) -> Vec<Ask> {
    let mut dice = Dice::new(script.split, script.seed, PURPOSE);
    let mut all = questions::ask(script, usize::MAX);
    dice.shuffle(&mut all);
    let of = |kind: Kind, sort: Sort| {
        let asked = all.iter().filter(|one| one.kind == kind && crate::question::asks_when(&one.text));
        let ask = move |one: &questions::Question| Ask {
            sort,
            condition: None,
            text: one.text.clone(),
            truth: spans(one),
            expected: None,
        };
        asked.take(most).map(ask).collect::<Vec<_>>()
    };
    let mut asks = of(Kind::When, Sort::When);
    asks.extend(of(Kind::Absent, Sort::Absent));
    let conditioned = constraints(script, &mut dice).into_iter().take(most);
    asks.extend(conditioned.map(|one| Ask {
        sort: Sort::Constraint,
        condition: Some(one.condition),
        text: one.question,
        truth: one.truth,
        expected: None,
    }));
    // What a sign says while something else can be seen is true of a part of the sign's time only.
    let open = |one: &&questions::Question| one.choices.is_empty() && !one.text.contains(" while ");
    let claims = all.iter().filter(open).filter(|one| crate::question::claims(&one.text));
    asks.extend(claims.take(most).map(|one| Ask {
        sort: Sort::Claim,
        condition: None,
        text: one.text.clone(),
        truth: spans(one),
        expected: Some(one.answer.clone()),
    }));
    asks
}

/// When it can be seen what a question asks for.
fn spans(question: &questions::Question) -> Vec<Span> {
    question.spans.iter().map(|span| Span::new(span[0], span[1])).collect()
}

/// The spans that an answer names.
fn said(answer: &Answer) -> Vec<Span> {
    spans_in(&answer.answer)
}

fn hold(seed: u64, ask: Ask, answer: &Answer) -> Asked {
    let right = ask.expected.as_ref().map(|expected| *expected == answer.answer);
    let best = |span: &Evidence| {
        let best = ask.truth.iter().map(|&truth| iou(&[span.into()], &[truth])).fold(0.0, f64::max);
        if right == Some(false) { 0.0 } else { best }
    };
    let overlap = match ask.sort {
        Sort::Claim if right == Some(false) => 0.0,
        Sort::Claim => iou(&answer.evidence.iter().map(Span::from).collect::<Vec<_>>(), &ask.truth),
        _ => iou(&said(answer), &ask.truth),
    };
    let spans = answer.evidence.iter().map(|span| Shown {
        start: span.start,
        end: span.end,
        score: span.score,
        check: span.check,
        iou: best(span),
    });
    Asked {
        seed,
        sort: ask.sort,
        condition: ask.condition,
        spans: spans.collect(),
        right,
        iou: overlap,
        question: ask.text,
        truth: ask.truth,
        answer: answer.answer.clone(),
    }
}

fn report(bench: &EvidenceBench, clips: Vec<OfClip>) -> EvidenceReport {
    let clip_count = clips.len().max(1) as f64;
    let mean = |of: fn(&OfClip) -> f64| clips.iter().map(of).sum::<f64>() / clip_count;
    let answer_s = (mean(|clip| clip.seconds.0), mean(|clip| clip.seconds.1));
    let tokens = clips.iter().fold((0, 0), |sum, clip| (sum.0 + clip.tokens.0, sum.1 + clip.tokens.1));
    let seconds = clips.iter().map(|clip| clip.duration).sum();
    let single: Vec<f64> = clips.iter().flat_map(|clip| clip.single.iter().copied()).collect();
    let asked: Vec<Asked> = clips.into_iter().flat_map(|clip| clip.asked).collect();
    let of = |sort: Sort| asked.iter().filter(move |one| one.sort == sort);
    let when: Vec<f64> = of(Sort::When).map(|one| one.iou).collect();
    let conditioned: Vec<&Asked> = of(Sort::Constraint).collect();
    let mut kinds: Vec<Condition> = conditioned.iter().filter_map(|one| one.condition).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let right = |one: &&&Asked| one.iou >= RIGHT_IOU;
    let conditions = kinds.into_iter().map(|kind| {
        let of = conditioned.iter().filter(|one| one.condition == Some(kind));
        (kind, Share::new(of.clone().filter(right).count(), of.count()))
    });
    let verified: Vec<&Shown> =
        asked.iter().flat_map(|one| &one.spans).filter(|span| span.check == Check::Verified).collect();
    let has_verified = |one: &&Asked| one.spans.iter().any(|span| span.check == Check::Verified);
    EvidenceReport {
        schema: "longsight.bench.evidence/1",
        clips: bench.clips,
        seconds,
        when: timed(&when),
        single: bench.single.then(|| timed(&single)),
        conditions: conditions.collect(),
        constraints: Share::new(conditioned.iter().filter(right).count(), conditioned.len()),
        claims: Share::new(of(Sort::Claim).filter(|one| one.right == Some(true)).count(), of(Sort::Claim).count()),
        claims_verified: Share::new(
            of(Sort::Claim).filter(has_verified).filter(|one| one.iou >= RIGHT_IOU).count(),
            of(Sort::Claim).filter(has_verified).count(),
        ),
        verified_right: Share::new(verified.iter().filter(|span| span.iou >= RIGHT_IOU).count(), verified.len()),
        verified_found: Share::new(of(Sort::When).filter(has_verified).count(), when.len()),
        verified_absent: Share::new(of(Sort::Absent).filter(has_verified).count(), of(Sort::Absent).count()),
        reliability: reliability(&asked),
        risk: risk(&asked),
        answer_s,
        tokens,
        asked,
    }
}

/// Every span that was looked at again, by its score.
fn reliability(asked: &[Asked]) -> Vec<Bar> {
    let spans = asked.iter().flat_map(|one| &one.spans).filter(|span| span.check != Check::Unchecked);
    let mut bars: Vec<Vec<&Shown>> = vec![Vec::new(); BARS];
    for span in spans {
        bars[((span.score * BARS as f64) as usize).min(BARS - 1)].push(span);
    }
    bars.retain(|bar| !bar.is_empty());
    let bar = |spans: Vec<&Shown>| Bar {
        score: spans.iter().map(|span| span.score).sum::<f64>() / spans.len() as f64,
        right: Share::new(spans.iter().filter(|span| span.iou >= RIGHT_IOU).count(), spans.len()),
    };
    bars.into_iter().map(bar).collect()
}

/// Questions whose answers show spans, surest first: how many are wrong among the first tenth, fifth, ...
fn risk(asked: &[Asked]) -> Vec<Risk> {
    let sure = |one: &Asked| one.spans.iter().map(|span| span.score).fold(1.0, f64::min);
    let mut answered: Vec<(f64, bool)> =
        asked.iter().filter(|one| !one.spans.is_empty()).map(|one| (sure(one), one.iou < RIGHT_IOU)).collect();
    answered.sort_by(|a, b| b.0.total_cmp(&a.0));
    let cut = |tenth: usize| {
        let first = &answered[..(answered.len() * tenth).div_ceil(BARS)];
        let wrong = Share::new(first.iter().filter(|(_, wrong)| *wrong).count(), first.len());
        let score = first.last().map_or(1.0, |(score, _)| *score);
        Risk { coverage: first.len() as f64 / asked.len().max(1) as f64, score, wrong }
    };
    (1..=BARS).map(cut).collect()
}
