//! A visual needle in a haystack (V-NIAH, after LongVA, Zhang et al. 2024): a few seconds hidden at a known depth of a long
//! video, and a question that only they answer.

use super::questions::ask_file;
use super::{Share, right};
use crate::evidence::Status;
use crate::recipe::Options;
use crate::run::{Cancel, Model, Question};
use longsight_world::clip::encode;
use longsight_world::dice::Split;
use longsight_world::media::{EncodeOptions, MediaError};
use longsight_world::questions::Kind;
use longsight_world::script::Haystack;
use longsight_world::words::sentence;
use serde::Serialize;
use std::path::Path;

/// How haystacks are filmed: a long video is mostly decoded, not looked at, and this decodes fast.
const SIDE: u32 = 192;
const RATE: (u32, u32) = (4, 1);

/// Which haystacks.
#[derive(Debug, Clone)]
pub struct NiahBench {
    /// Which seeds
    pub split: Split,
    /// The first
    pub seed: u64,
    /// Lengths in minutes
    pub minutes: Vec<f64>,
    /// Where the needles are: 0 is the start, 1 the end
    pub depths: Vec<f64>,
    /// Haystacks of each length and depth, with three needles each
    pub haystacks: u64,
    /// Seconds that a needle is seen
    pub needle_s: f64,
    /// The pipeline's settings
    pub options: Options,
}

/// One length and depth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NiahCell {
    /// Length in minutes
    pub minutes: f64,
    /// Where the needles are
    pub depth: f64,
    /// Needles found
    pub found: Share,
    /// What lasts at least so long was seen in at least one frame, in seconds (`coverage.smallest_event_s`), at worst
    pub smallest_event_s: f64,
    /// Of the needles not found, those whose answer claims no support: it is `partly` or `unsupported`
    pub doubted: Share,
    /// Tokens of the longest prompt
    pub prompt_tokens: usize,
    /// Seconds of the first question's prefill, mean of the haystacks
    pub prefill: f64,
    /// Share of dense attention's scores that the prefill computed, mean of the haystacks; `None` if it was dense
    pub density: Option<f64>,
    /// Seconds from opening the file to the last answer, mean of the haystacks
    pub seconds: f64,
}

/// A needle that was not found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missed {
    /// Of its haystack
    pub seed: u64,
    /// What was asked
    pub question: String,
    /// What was answered
    pub answer: String,
    /// What is right
    pub expected: String,
}

/// The whole grid.
#[derive(Debug, Clone, Serialize)]
pub struct NiahReport {
    /// `longsight.bench.niah/1`
    pub schema: &'static str,
    /// Lengths first, then depths
    pub cells: Vec<NiahCell>,
    /// All needles together
    pub found: Share,
    /// Those not found
    pub missed: Vec<Missed>,
}

/// Films each haystack, asks for its needles, and counts. `done` hears every finished cell.
///
/// # Errors
/// When a haystack cannot be filmed or asked about.
pub fn niah(
    model: &Model,
    bench: &NiahBench,
    cancel: &Cancel,
    done: &mut dyn FnMut(&NiahCell),
) -> Result<NiahReport, anyhow::Error> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("haystack.mp4");
    let (mut cells, mut missed, mut seed) = (Vec::new(), Vec::new(), bench.seed);
    for &minutes in &bench.minutes {
        for &depth in &bench.depths {
            let (mut hits, mut of, mut prompt_tokens) = (0, 0, 0);
            let (mut smallest_event_s, mut doubted) = (0.0_f64, 0);
            let (mut prefill, mut density, mut seconds) = (0.0, None::<f64>, 0.0);
            for _ in 0..bench.haystacks {
                let haystack = Haystack::with_needles(bench.split, seed, minutes * 60.0, (depth, bench.needle_s));
                shoot(&haystack, &path)?;
                let asked = needles(&haystack);
                let texts: Vec<Question> = asked.iter().map(|(_, text, _)| text.as_str().into()).collect();
                let answers = ask_file(model, &path, &texts, &bench.options, false, cancel)?;
                seconds += answers.iter().map(|answer| answer.timing_s.prefill + answer.timing_s.generate).sum::<f64>();
                seconds += answers.first().map_or(0.0, |answer| answer.timing_s.decode + answer.timing_s.vision);
                prefill += answers.first().map_or(0.0, |answer| answer.timing_s.prefill);
                let share = answers.first().and_then(|answer| answer.plan.prefill.density);
                density = share.map(|share| density.unwrap_or(0.0) + share / bench.haystacks.max(1) as f64);
                for ((kind, question, expected), answer) in asked.into_iter().zip(answers) {
                    let found = right(kind, &answer.answer, &expected);
                    (hits, of) = (hits + usize::from(found), of + 1);
                    prompt_tokens = prompt_tokens.max(answer.usage.prompt_tokens);
                    smallest_event_s = smallest_event_s.max(answer.coverage.smallest_event_s);
                    if !found {
                        doubted += usize::from(matches!(answer.status, Status::Partly | Status::Unsupported));
                        missed.push(Missed { seed, question, answer: answer.answer, expected });
                    }
                }
                seed += 1;
            }
            let mean = |seconds: f64| seconds / bench.haystacks.max(1) as f64;
            let (prefill, seconds) = (mean(prefill), mean(seconds));
            let (found, doubted) = (Share::new(hits, of), Share::new(doubted, of - hits));
            let cell =
                NiahCell { minutes, depth, found, smallest_event_s, doubted, prompt_tokens, prefill, density, seconds };
            done(&cell);
            cells.push(cell);
        }
    }
    let sum = |count: fn(&Share) -> usize| cells.iter().map(|cell| count(&cell.found)).sum();
    let found = Share::new(sum(|share| share.hits), sum(|share| share.of));
    Ok(NiahReport { schema: "longsight.bench.niah/1", cells, found, missed })
}

/// Writes the film of a haystack of (minutes, depth) to `path`.
///
/// # Errors
/// When it cannot be encoded or written.
pub fn film(split: Split, seed: u64, (minutes, depth): (f64, f64), path: &Path) -> Result<Haystack, MediaError> {
    let haystack = Haystack::write(split, seed, minutes * 60.0, depth);
    shoot(&haystack, path)?;
    Ok(haystack)
}

fn shoot(haystack: &Haystack, path: &Path) -> Result<(), MediaError> {
    let film = EncodeOptions {
        width: SIDE,
        height: SIDE,
        rate: RATE,
        preset: "ultrafast".to_owned(),
        ..EncodeOptions::default()
    };
    encode(&haystack.script, path, &film)
}

/// What is asked for each needle, and its right answer.
pub(super) fn needles(haystack: &Haystack) -> [(Kind, String, String); 3] {
    let (shaped, coloured) = (haystack.shaped.0, haystack.coloured.0);
    [
        (Kind::Reading, "What does the sign say?".to_owned(), format!("{}.", haystack.sign.0)),
        (Kind::Colour, format!("What colour is the {}?", shaped.shape.word()), sentence(shaped.colour.word())),
        (Kind::Shape, format!("What shape is the {} object?", coloured.colour.word()), sentence(coloured.shape.word())),
    ]
}
