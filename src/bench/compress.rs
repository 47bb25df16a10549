//! What compression costs and saves: every method at every share on the same clips and haystacks as no compression at all.

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
use longsight_world::script::{Script, Wishes};
use rayon::prelude::*;
use serde::Serialize;

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
    /// Peak of resident memory over the haystacks; `None` where the system does not tell
    pub peak_bytes: Option<u64>,
}

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
    cancel: &Cancel,
    done: &mut dyn FnMut(&str),
) -> Result<Vec<CompressRow>, anyhow::Error> {
    let mut settings = vec![("none".to_owned(), 1.0)];
    settings.extend(bench.settings.iter().filter(|(name, _)| name != "none").cloned());
    let options: Vec<Options> = settings
        .iter()
        .map(|(method, keep)| {
            let mut options = bench.options.clone();
            (options.compress.method, options.compress.keep) = (Some(method.clone()), Some(*keep));
            // A closer look would see what compression has lost.
            (options.evidence.check, options.evidence.search) = (Some(false), Some(SearchMode::Never));
            options
        })
        .collect();
    let answered = clips(model, bench, &options, cancel, done)?;
    let found = haystacks(model, bench, &options, cancel, done)?;
    let row = |(((method, keep), outcomes), found): (((String, f64), Vec<Outcome>), Found)| CompressRow {
        method,
        keep,
        kept: found.after as f64 / found.before.max(1) as f64,
        right: share_of(&outcomes, |_| true, |one| one.right),
        when: timed(&ious(&outcomes)),
        needles: Share::new(found.hits, found.of),
        prefill_s: found.prefill_s,
        peak_bytes: found.peak_bytes,
    };
    Ok(settings.into_iter().zip(answered).zip(found).map(row).collect())
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

/// What came of the haystacks by one setting.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    hits: usize,
    of: usize,
    before: u64,
    after: u64,
    prefill_s: f64,
    peak_bytes: Option<u64>,
}

fn haystacks(
    model: &Model,
    bench: &CompressBench,
    options: &[Options],
    cancel: &Cancel,
    done: &mut dyn FnMut(&str),
) -> Result<Vec<Found>, anyhow::Error> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("haystack.mp4");
    let mut all = vec![Found::default(); options.len()];
    let lengths = bench.minutes.iter().flat_map(|&minutes| (0..bench.haystacks).map(move |number| (minutes, number)));
    for (place, (minutes, number)) in lengths.enumerate() {
        let depth = DEPTHS[number as usize % DEPTHS.len()];
        let haystack = film(Split::HeldOut, HAYSTACK_SEED + place as u64, (minutes, depth), &path)?;
        let asked = needles(&haystack);
        let texts: Vec<Question> = asked.iter().map(|(_, text, _)| text.as_str().into()).collect();
        for (found, options) in all.iter_mut().zip(options) {
            forget_peak();
            let answers = ask_file(model, &path, &texts, options, false, cancel)?;
            found.peak_bytes = found.peak_bytes.max(super::peak_bytes());
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
        done(&format!("haystack of {minutes} min, depth {depth}"));
    }
    Ok(all)
}

/// Starts the high-water mark of resident memory anew, where the system can (Linux, `clear_refs`).
fn forget_peak() {
    // Without it the mark is that of all settings so far, which the first, dense one has the largest of.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
