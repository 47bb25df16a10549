//! What the index is worth: the first question about a video beside later ones, and what keys and values cost in each format.
//!
//! One long video with needles gives times and sizes; short clips with many questions say how often answers are the same. Answers are held
//! against those without an index before anything is timed: in full precision they have to be the same to the last bit.

use super::niah::{film, needles};
use super::{Share, median};
use crate::decode::{Feed, Limits, VideoFacts};
use crate::index::{KvFormat, Shelf, Store};
use crate::recipe::{self, Options};
use crate::run::{self, Answer, Cancel, Job, Model, Question};
use anyhow::{Context, ensure};
use candle_core::Tensor;
use longsight_world::clip::encode;
use longsight_world::dice::Split;
use longsight_world::media::EncodeOptions;
use longsight_world::questions;
use longsight_world::script::{Script, Wishes};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What is asked about a needle's time.
const WHEN: &str = "When does the sign appear?";

/// What to measure.
#[derive(Debug, Clone)]
pub struct IndexBench {
    /// Length of the long video in minutes
    pub minutes: f64,
    /// Timed runs of every question
    pub runs: usize,
    /// Short clips on which answers are compared
    pub clips: u64,
    /// The most questions about each
    pub questions: usize,
    /// The first held-out seed
    pub seed: u64,
    /// The pipeline's settings
    pub options: Options,
}

/// One format.
#[derive(Debug, Clone, Serialize)]
pub struct IndexRow {
    /// How keys and values are kept
    pub kv: KvFormat,
    /// Seconds that `index` took for the long video
    pub index_s: f64,
    /// Bytes of all its entries
    pub bytes: u64,
    /// Seconds to load the whole video's entry, the median of the runs
    pub load_s: f64,
    /// Norm of the error of keys, as a share of their norm
    pub keys_off: f64,
    /// The same of values
    pub values_off: f64,
    /// The questions about the long video
    pub asked: Vec<IndexAsked>,
    /// Answers about the clips that are the same as in full precision, word for word
    pub agree: Share,
}

/// One question about the long video.
#[derive(Debug, Clone, Serialize)]
pub struct IndexAsked {
    /// In words
    pub question: String,
    /// Whether answer and evidence are those without an index, to the last bit
    pub same: bool,
    /// Seconds without the index, the median of the runs
    pub first_s: f64,
    /// Seconds with it
    pub second_s: f64,
    /// How many times less that is
    pub gain: f64,
}

/// A video, and how it is asked about.
struct Asked<'a> {
    model: &'a Model,
    path: PathBuf,
    options: Options,
    cancel: &'a Cancel,
}

impl Asked<'_> {
    /// The answers, and the seconds from opening the file to the last of them.
    fn ask(&self, questions: &[Question], store: Option<&Store>) -> Result<(Vec<Answer>, f64), anyhow::Error> {
        let begun = Instant::now();
        let video = Feed::open(&self.path, &Limits::default())?;
        let facts = VideoFacts::new(&video, &self.path)?;
        let shelf = store.map(|store| store.shelf(&self.path, &facts.fingerprint));
        let answers =
            run::ask(self.model, &video, &self.job(&facts, questions, shelf.as_ref()), self.cancel, &mut |_| ())?;
        Ok((answers, begun.elapsed().as_secs_f64()))
    }

    /// Puts the video into an index; gives the seconds, and the key of the whole.
    fn index(&self, store: &Store) -> Result<(f64, run::Indexed), anyhow::Error> {
        let begun = Instant::now();
        let video = Feed::open(&self.path, &Limits::default())?;
        let facts = VideoFacts::new(&video, &self.path)?;
        let shelf = store.shelf(&self.path, &facts.fingerprint);
        let done = run::index(self.model, &video, &self.job(&facts, &[], None), &shelf, self.cancel, &mut |_| ())?;
        let whole = done.into_iter().next().context("nothing was indexed")?;
        Ok((begun.elapsed().as_secs_f64(), whole))
    }

    fn job<'j>(&'j self, facts: &'j VideoFacts, questions: &'j [Question], index: Option<&'j Shelf<'j>>) -> Job<'j> {
        let pipeline = recipe::DEFAULT;
        Job { facts, questions, pipeline, options: &self.options, index, rates: None, blind: false }
    }
}

fn with(options: &Options, kv: KvFormat) -> Options {
    let mut options = options.clone();
    options.prefill.kv = Some(kv);
    options
}

/// Measures each format. `done` hears what is finished.
///
/// # Errors
/// When a video cannot be filmed, indexed or asked about, and when an answer differs in full precision.
pub fn index(
    model: &Model,
    bench: &IndexBench,
    formats: &[KvFormat],
    cancel: &Cancel,
    done: &mut dyn FnMut(&str),
) -> Result<Vec<IndexRow>, anyhow::Error> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("long.mp4");
    let haystack = film(Split::HeldOut, bench.seed, (bench.minutes, 0.5), &path)?;
    let mut texts: Vec<Question> = needles(&haystack).iter().map(|(_, text, _)| text.as_str().into()).collect();
    texts.push(WHEN.into());
    done("filmed");
    let clips = film_clips(bench, folder.path())?;
    let agree = agreement(model, bench, &clips, formats, folder.path(), cancel)?;
    done("clips asked about");
    let mut full = None;
    let mut rows = Vec::new();
    for (&kv, agree) in formats.iter().zip(agree) {
        let asked = Asked { model, path: path.clone(), options: with(&bench.options, kv), cancel };
        let root = folder.path().join(kv.name());
        let store = Store::at(root.clone());
        let (index_s, whole) = asked.index(&store)?;
        let bytes = store.list()?.iter().map(|entry| entry.bytes).sum();
        let mut loads = Vec::new();
        for _ in 0..bench.runs.max(1) {
            let begun = Instant::now();
            store.get(&whole.key)?.context("the entry is gone")?;
            loads.push(begun.elapsed().as_secs_f64());
        }
        let kept = store.get(&whole.key)?.context("the entry is gone")?;
        let tokens = kept.reading.prefix.len();
        let (keys, values): (Vec<Tensor>, Vec<Tensor>) = kept.kv.into_iter().unzip();
        let full = full.get_or_insert_with(|| (keys.clone(), values.clone()));
        let (keys_off, values_off) = (off(&keys, &full.0, tokens)?, off(&values, &full.1, tokens)?);
        let questions = texts.iter().map(|text| timed(&asked, text, &store, bench.runs.max(1)));
        let questions = questions.collect::<Result<Vec<_>, _>>()?;
        rows.push(IndexRow {
            kv,
            index_s,
            bytes,
            load_s: median(&loads),
            keys_off,
            values_off,
            asked: questions,
            agree,
        });
        std::fs::remove_dir_all(root)?;
        done(kv.name());
    }
    Ok(rows)
}

/// First and later questions in turns, so that both meet the machine as it is.
fn timed(asked: &Asked<'_>, text: &Question, store: &Store, runs: usize) -> Result<IndexAsked, anyhow::Error> {
    let questions = std::slice::from_ref(text);
    let (first, _) = asked.ask(questions, None)?;
    let (second, _) = asked.ask(questions, Some(store))?;
    ensure!(second.iter().all(|answer| answer.index.is_some()), "the index was not used for {text:?}");
    let same = first.iter().zip(&second).all(|(a, b)| substance(a) == substance(b));
    let full = asked.options.prefill.kv == Some(KvFormat::F32);
    ensure!(same || !full, "in full precision, {text:?} is answered otherwise: {first:?}, and {second:?} by the index");
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        without.push(asked.ask(questions, None)?.1);
        with.push(asked.ask(questions, Some(store))?.1);
    }
    let (first_s, second_s) = (median(&without), median(&with));
    Ok(IndexAsked { question: text.text.clone(), same, first_s, second_s, gain: first_s / second_s })
}

/// An answer without what says where it came from and how long it took.
fn substance(answer: &Answer) -> Answer {
    let mut answer = Answer { index: None, timing_s: run::Timing::default(), ..answer.clone() };
    // How much of the prompt was run is what differs.
    answer.plan.prefill.density = None;
    answer
}

/// The norm of the difference of the first `tokens` tokens, as a share of the norm of `full`.
fn off(kept: &[Tensor], full: &[Tensor], tokens: usize) -> Result<f64, anyhow::Error> {
    let (mut error, mut norm) = (0.0, 0.0);
    for (kept, full) in kept.iter().zip(full) {
        let (kept, full) = (kept.narrow(1, 0, tokens)?, full.narrow(1, 0, tokens)?);
        let square =
            |x: &Tensor| -> Result<f64, anyhow::Error> { Ok(f64::from(x.sqr()?.sum_all()?.to_scalar::<f32>()?)) };
        error += square(&(&kept - &full)?)?;
        norm += square(&full)?;
    }
    Ok((error / norm.max(f64::MIN_POSITIVE)).sqrt())
}

/// A clip and what is asked about it.
type Clip = (PathBuf, Vec<Question>);

fn film_clips(bench: &IndexBench, folder: &Path) -> Result<Vec<Clip>, anyhow::Error> {
    let film = |number: u64| -> Result<Clip, anyhow::Error> {
        let script = Script::write(Split::HeldOut, bench.seed + number, &Wishes { shortest: 10.0, longest: 60.0 });
        let path = folder.join(format!("{number}.mp4"));
        encode(&script, &path, &EncodeOptions { preset: "veryfast".to_owned(), ..EncodeOptions::default() })?;
        let ask = |one: questions::Question| Question { text: one.text, choices: one.choices };
        Ok((path, questions::ask(&script, bench.questions).into_iter().map(ask).collect()))
    };
    (0..bench.clips).map(film).collect()
}

/// For each format, the answers that are those in full precision.
fn agreement(
    model: &Model,
    bench: &IndexBench,
    clips: &[Clip],
    formats: &[KvFormat],
    folder: &Path,
    cancel: &Cancel,
) -> Result<Vec<Share>, anyhow::Error> {
    let mut hits = vec![0; formats.len()];
    let mut of = 0;
    let store = Store::at(folder.join("clips"));
    for (path, texts) in clips {
        let plain = Asked { model, path: path.clone(), options: bench.options.clone(), cancel };
        let (full, _) = plain.ask(texts, None)?;
        of += full.len();
        for (&kv, hits) in formats.iter().zip(&mut hits) {
            let asked = Asked { model, path: path.clone(), options: with(&bench.options, kv), cancel };
            asked.index(&store)?;
            let (answers, _) = asked.ask(texts, Some(&store))?;
            *hits += full.iter().zip(&answers).filter(|(a, b)| a.answer == b.answer).count();
        }
    }
    Ok(hits.into_iter().map(|hits| Share::new(hits, of)).collect())
}
