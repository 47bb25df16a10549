//! What compression costs and saves: every method at every share on the same clips and haystacks as no compression at all.
//!
//! Haystacks are asked by a process of their own for each method and share: an allocator keeps what the first of them took, so that in one
//! process all but the first would seem to take nothing.

use super::niah::{film, needles};
use super::questions::ask_file;
use super::world::{Outcome, Timed, ious, outcomes, share_of, timed};
use super::{Share, right};
use crate::recipe::{Options, SearchMode};
use crate::run::{Cancel, Model, Question};
use longsight_world::clip::encode;
use longsight_world::dice::Split;
use longsight_world::media::EncodeOptions;
use longsight_world::questions;
use longsight_world::script::{Haystack, Script, Wishes};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What to measure.
#[derive(Debug, Clone)]
pub struct CompressBench {
    /// Methods with the share of tokens that each keeps; `("none", 1.0)` is measured first in any case
    pub settings: Vec<(String, f64)>,
    /// Seeds of the clips, from this one on
    pub seed: u64,
    /// Clips of 10 to 60 s of the generated world
    pub clips: u64,
    /// The most questions about each
    pub questions: usize,
    /// Lengths of the haystacks in minutes
    pub minutes: Vec<f64>,
    /// Haystacks of each length, at depths that go round
    pub haystacks: u64,
    /// Whether clips are asked about as users see it: with closer looks at what an answer says, which see everything
    pub check: bool,
    /// The pipeline's other settings
    pub options: Options,
}

/// One method at one share.
#[derive(Debug, Clone, Serialize)]
pub struct CompressRow {
    /// The method's name
    pub method: String,
    /// The share that it was to keep
    pub keep: f64,
    /// The share of visual tokens that it kept, over the haystacks
    pub kept: f64,
    /// Right answers about the clips
    pub right: Share,
    /// "When" about the clips
    pub when: Timed,
    /// Needles found
    pub needles: Share,
    /// Seconds of prefill of the haystacks' first questions, summed
    pub prefill_s: f64,
    /// Peak of resident memory of a process that asks the haystacks and does nothing else, model and decoding included; `None` where the
    /// system does not tell
    pub peak_bytes: Option<u64>,
}

/// What came of the haystacks by one method at one share.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct InHaystacks {
    /// Needles found
    pub hits: usize,
    /// Of so many
    pub of: usize,
    /// Visual tokens before
    pub before: u64,
    /// And after
    pub after: u64,
    /// As in [`CompressRow`]
    pub prefill_s: f64,
    /// As in [`CompressRow`], of this process
    pub peak_bytes: Option<u64>,
}

/// Has the haystacks in a folder asked by a method that keeps a share, in another process ([`in_haystacks`]).
pub type Elsewhere<'a> = &'a dyn Fn(&Path, &str, f64) -> Result<InHaystacks, anyhow::Error>;

/// Where the needles lie.
const DEPTHS: [f64; 5] = [0.1, 0.5, 0.9, 0.3, 0.7];
/// Seeds of the haystacks, apart from those of `bench niah`.
const HAYSTACK_SEED: u64 = 5_000_000;
/// Clips between two reports.
const AT_ONCE: usize = 10;

/// Films everything once and asks it by every method. `done` hears what was finished.
///
/// # Errors
/// When something cannot be filmed or asked about.
pub fn compress(
    model: &Model,
    bench: &CompressBench,
    elsewhere: Elsewhere<'_>,
    cancel: &Cancel,
    done: &mut dyn FnMut(&str),
) -> Result<Vec<CompressRow>, anyhow::Error> {
    let mut settings = vec![("none".to_owned(), 1.0)];
    settings.extend(bench.settings.iter().filter(|(name, _)| name != "none").cloned());
    let options: Vec<Options> = settings.iter().map(|(method, keep)| compressed(bench, method, *keep)).collect();
    let answered = clips(model, bench, &options, cancel, done)?;
    let folder = tempfile::tempdir()?;
    for (place, one) in haystacks(bench).enumerate() {
        film(Split::HeldOut, HAYSTACK_SEED + place as u64, one, &folder.path().join(name(place)))?;
    }
    let mut rows = Vec::with_capacity(settings.len());
    for ((method, keep), outcomes) in settings.into_iter().zip(answered) {
        let found = elsewhere(folder.path(), &method, keep)?;
        done(&format!("haystacks by {method} at {keep}"));
        rows.push(CompressRow {
            method,
            keep,
            kept: found.after as f64 / found.before.max(1) as f64,
            right: share_of(&outcomes, |_| true, |one| one.right),
            when: timed(&ious(&outcomes)),
            needles: Share::new(found.hits, found.of),
            prefill_s: found.prefill_s,
            peak_bytes: found.peak_bytes,
        });
    }
    Ok(rows)
}

/// The bench's settings with a method at a share.
fn compressed(bench: &CompressBench, method: &str, keep: f64) -> Options {
    let mut options = bench.options.clone();
    (options.compress.method, options.compress.keep) = (Some(method.to_owned()), Some(keep));
    if !bench.check {
        // A closer look would see what compression has lost.
        (options.evidence.check, options.evidence.search) = (Some(false), Some(SearchMode::Never));
    }
    options
}

/// Minutes and depths of the haystacks.
fn haystacks(bench: &CompressBench) -> impl Iterator<Item = (f64, f64)> {
    let depth = |number: u64| DEPTHS[number as usize % DEPTHS.len()];
    bench.minutes.iter().flat_map(move |&minutes| (0..bench.haystacks).map(move |number| (minutes, depth(number))))
}

/// The file of a haystack.
fn name(place: usize) -> String {
    format!("haystack-{place}.mp4")
}

/// The outcomes of every setting, over all clips.
fn clips(
    model: &Model,
    bench: &CompressBench,
    options: &[Options],
    cancel: &Cancel,
    done: &mut dyn FnMut(&str),
) -> Result<Vec<Vec<Outcome>>, anyhow::Error> {
    let folder = tempfile::tempdir()?;
    let one = |number: u64| -> Result<Vec<Vec<Outcome>>, anyhow::Error> {
        let script = Script::write(Split::HeldOut, bench.seed + number, &Wishes { shortest: 10.0, longest: 60.0 });
        let path = folder.path().join(format!("{number}.mp4"));
        encode(&script, &path, &EncodeOptions { preset: "veryfast".to_owned(), ..EncodeOptions::default() })?;
        let asked = questions::ask(&script, bench.questions);
        let of_each = options.iter().map(|options| outcomes(model, &path, &asked, options, false, cancel));
        let of_each = of_each.collect::<Result<_, _>>()?;
        std::fs::remove_file(&path)?;
        Ok(of_each)
    };
    let mut all: Vec<Vec<Outcome>> = options.iter().map(|_| Vec::new()).collect();
    for start in (0..bench.clips).step_by(AT_ONCE) {
        let end = bench.clips.min(start + AT_ONCE as u64);
        for clip in (start..end).into_par_iter().map(one).collect::<Result<Vec<_>, _>>()? {
            all.iter_mut().zip(clip).for_each(|(all, of_clip)| all.extend(of_clip));
        }
        done(&format!("{end} of {} clips", bench.clips));
    }
    Ok(all)
}

/// Asks the haystacks that [`compress`] has filmed into `folder`.
///
/// # Errors
/// When one of them cannot be asked about.
pub fn in_haystacks(
    model: &Model,
    bench: &CompressBench,
    (method, keep): (&str, f64),
    folder: &Path,
    cancel: &Cancel,
) -> Result<InHaystacks, anyhow::Error> {
    let options = compressed(bench, method, keep);
    let mut found = InHaystacks::default();
    for (place, (minutes, depth)) in haystacks(bench).enumerate() {
        let haystack = Haystack::write(Split::HeldOut, HAYSTACK_SEED + place as u64, minutes * 60.0, depth);
        let asked = needles(&haystack);
        let texts: Vec<Question> = asked.iter().map(|(_, text, _)| text.as_str().into()).collect();
        let answers = ask_file(model, &folder.join(name(place)), &texts, &options, false, cancel)?;
        if let Some(first) = answers.first() {
            found.prefill_s += first.timing_s.prefill;
            found.before += first.coverage.visual_tokens_before;
            found.after += first.coverage.visual_tokens_after;
        }
        for ((kind, _, expected), answer) in asked.iter().zip(answers) {
            found.hits += usize::from(right(*kind, &answer.answer, expected));
            found.of += 1;
        }
    }
    found.peak_bytes = super::peak_bytes();
    Ok(found)
}
