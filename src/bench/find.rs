//! Which video of many shows it? A moment planted in each, and a search for each through all of them, by what is kept of
//! them: whether the right one comes first, and the moment in it.

use super::niah::film;
use super::{Share, iou};
use crate::decode::{Feed, Limits, VideoFacts};
use crate::index::Store;
use crate::recipe::{self, Options};
use crate::run::{self, Cancel, Event, Job, Model, Moments};
use longsight_models::Span;
use longsight_world::dice::Split;
use longsight_world::script::Haystack;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Overlap from which a moment is in its place.
const RIGHT_IOU: f64 = 0.5;
/// Where in its video a moment lies, one video after the other.
const DEPTHS: [f64; 5] = [0.1, 0.3, 0.5, 0.7, 0.9];

/// What to search.
#[derive(Debug, Clone)]
pub struct FindBench {
    /// Which seeds
    pub split: Split,
    /// The first
    pub seed: u64,
    /// How many videos
    pub videos: usize,
    /// Length of each in minutes
    pub minutes: f64,
    /// How many of the moments are searched for
    pub queries: usize,
    /// The pipeline's settings
    pub options: Options,
}

/// A search that went wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NotFirst {
    /// What was searched for
    pub query: String,
    /// Number of the video that has it, from 0
    pub right: usize,
    /// Number of the one that came first; `None` if there was none
    pub first: Option<usize>,
    /// The scores of the best moments of both
    pub scores: (f64, f64),
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct FindReport {
    /// `longsight.bench.find/1`
    pub schema: &'static str,
    /// Videos searched
    pub videos: usize,
    /// Searches in which the right video came first, alone
    pub first: Share,
    /// Searches whose best moment in the right video lies in its place
    pub placed: Share,
    /// Seconds to read a video for the index, mean
    pub read_s: f64,
    /// Seconds to search a video by what is kept of it, mean
    pub search_s: f64,
    /// The others
    pub missed: Vec<NotFirst>,
}

/// A video, and what only it shows.
struct Planted {
    path: PathBuf,
    text: String,
    span: Span,
    facts: VideoFacts,
}

/// Films the videos, reads each for the index, and searches all of them for some of the moments. `done` hears what is done.
///
/// # Errors
/// When a video cannot be filmed, read or searched.
pub fn find(
    model: &Model,
    bench: &FindBench,
    cancel: &Cancel,
    done: &mut dyn FnMut(&str),
) -> Result<FindReport, anyhow::Error> {
    let folder = tempfile::tempdir()?;
    let store = Store::at(folder.path().join("index"));
    let search = Search { model, store: &store, options: &bench.options, cancel };
    let videos = plant(bench, folder.path())?;
    done(&format!("{} videos filmed", videos.len()));
    let reading = Instant::now();
    for planted in &videos {
        search.read(planted)?;
    }
    let read_s = reading.elapsed().as_secs_f64() / videos.len().max(1) as f64;
    done("all of them read");
    let (mut first, mut placed, mut missed) = (0, 0, Vec::new());
    let searching = Instant::now();
    let queries = bench.queries.min(videos.len());
    for right in 0..queries {
        // Spread over all videos.
        let right = right * videos.len() / queries;
        let query = format!("the sign says {}", videos[right].text);
        let found = videos.iter().map(|one| search.find(one, &query)).collect::<Result<Vec<_>, _>>()?;
        let best: Vec<f64> = found.iter().map(|one| one.moments.first().map_or(0.0, |moment| moment.score)).collect();
        let top = (0..best.len()).filter(|&one| best[one] > 0.0).max_by(|&a, &b| best[a].total_cmp(&best[b]));
        let alone = best.iter().enumerate().all(|(one, &score)| one == right || score < best[right]);
        first += usize::from(alone);
        if !alone {
            let scores = (best[right], top.map_or(0.0, |top| best[top]));
            missed.push(NotFirst { query: query.clone(), right, first: top, scores });
        }
        let moment = found[right].moments.first().map(|moment| Span { start: moment.start, end: moment.end });
        placed += usize::from(moment.is_some_and(|moment| iou(&[moment], &[videos[right].span]) >= RIGHT_IOU));
        done(&query);
    }
    let search_s = searching.elapsed().as_secs_f64() / (queries * videos.len()).max(1) as f64;
    Ok(FindReport {
        schema: "longsight.bench.find/1",
        videos: videos.len(),
        first: Share::new(first, queries),
        placed: Share::new(placed, queries),
        read_s,
        search_s,
        missed,
    })
}

/// Videos with one sign each, of which no two say the same.
fn plant(bench: &FindBench, folder: &Path) -> Result<Vec<Planted>, anyhow::Error> {
    let (mut videos, mut texts) = (Vec::new(), BTreeSet::new());
    for seed in bench.seed.. {
        let number = videos.len();
        if number == bench.videos {
            break;
        }
        let depth = DEPTHS[number % DEPTHS.len()];
        let (text, _) = Haystack::write(bench.split, seed, bench.minutes * 60.0, depth).sign;
        if !texts.insert(text) {
            continue;
        }
        let path = folder.join(format!("{number}.mp4"));
        let Haystack { sign: (text, span), .. } = film(bench.split, seed, (bench.minutes, depth), &path)?;
        let facts = VideoFacts::new(&Feed::open(&path, &Limits::default())?, &path)?;
        videos.push(Planted { path, text, span: Span::new(span[0], span[1]), facts });
    }
    Ok(videos)
}

struct Search<'a> {
    model: &'a Model,
    store: &'a Store,
    options: &'a Options,
    cancel: &'a Cancel,
}

impl Search<'_> {
    fn read(&self, planted: &Planted) -> Result<(), anyhow::Error> {
        self.with(planted, |video, job| {
            let shelf = self.store.shelf(&planted.path, &planted.facts.fingerprint);
            run::index(self.model, video, job, &shelf, self.cancel, &mut |_: Event| ())?;
            Ok(())
        })
    }

    fn find(&self, planted: &Planted, query: &str) -> Result<Moments, anyhow::Error> {
        self.with(planted, |video, job| Ok(run::find(self.model, video, job, query, self.cancel, &mut |_: Event| ())?))
    }

    fn with<T>(
        &self,
        planted: &Planted,
        what: impl FnOnce(&Feed, &Job<'_>) -> Result<T, anyhow::Error>,
    ) -> Result<T, anyhow::Error> {
        let shelf = self.store.shelf(&planted.path, &planted.facts.fingerprint);
        let job = Job {
            facts: &planted.facts,
            questions: &[],
            pipeline: recipe::DEFAULT,
            options: self.options,
            index: Some(&shelf),
            rates: None,
            blind: false,
        };
        what(&Feed::open(&planted.path, &Limits::default())?, &job)
    }
}
