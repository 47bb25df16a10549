//! The public benchmarks: their annotation files in, their prediction files out, their scorers' numbers.
//!
//! ```text
//! annotation file --Source--> items --run, video by video--> predictions --> the benchmark's own file, and scores
//! ```
//! A benchmark is one file and one line in [`BENCHMARKS`]. It knows how its annotations read, how a question is put, how
//! predictions are written and read, and how its official scorer counts, oddities included: numbers are worth something
//! only where they are everybody's numbers. Each scorer's source is named where its rule stands.

mod activitynet;
mod charades;
mod choice;
mod journal;
mod longvideobench;
mod lvbench;
mod mlvu;
mod qvhighlights;
mod run;
mod single;
mod source;
mod spans;
mod timelens;
mod videomme;
mod videomme_v2;
mod videos;

pub use journal::Settings;
pub use run::{Progress, PublicReport, PublicRun, Unasked, score};
pub use source::Source;
pub use videos::Videos;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Every benchmark, in reading order.
pub const BENCHMARKS: [&dyn Benchmark; 9] = [
    &charades::CharadesSta,
    &activitynet::ActivityNetCaptions,
    &qvhighlights::QvHighlights,
    &timelens::TimeLens,
    &videomme::VideoMme,
    &videomme_v2::VideoMmeV2,
    &longvideobench::LongVideoBench,
    &lvbench::LvBench,
    &mlvu::Mlvu,
];

/// A benchmark of this name.
#[must_use]
pub fn benchmark(name: &str) -> Option<&'static dyn Benchmark> {
    BENCHMARKS.into_iter().find(|benchmark| benchmark.name() == name)
}

/// A public benchmark.
pub trait Benchmark: Sync {
    /// Its name on the command line
    fn name(&self) -> &'static str;

    /// What it asks for
    fn task(&self) -> Task;

    /// How a question is put to a model: `{}` is the query or the question with its options
    fn wording(&self) -> &'static str;

    /// What is asked.
    ///
    /// # Errors
    /// When the annotations are not in the benchmark's format.
    fn items(&self, source: &Source) -> Result<Vec<Item>, PublicError>;

    /// The benchmark's own file of predictions, for those items that have one.
    fn write(&self, items: &[Item], predictions: &Predictions) -> String;

    /// Predictions out of such a file, by item key.
    ///
    /// # Errors
    /// When the file is not in the benchmark's format.
    fn read(&self, items: &[Item], source: &Source) -> Result<Predictions, PublicError>;

    /// What the official scorer says.
    fn score(&self, items: &[Item], predictions: &Predictions) -> Vec<Metric>;
}

/// What a benchmark asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// When something happens
    Ground,
    /// Which option is right
    Choose,
}

/// A question of a benchmark.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// By which its prediction is known; no two items share one
    pub key: String,
    /// What its video's file is called: a name, with or without ending, or a path below the videos' folder
    pub video: String,
    /// The query, or the question with its options
    pub query: String,
    /// When it happens; empty where that is not asked or not known
    pub spans: Vec<[f64; 2]>,
    /// The letter of the right option; `None` where that is not asked or not known
    pub answer: Option<String>,
    /// The annotation, as it was read
    pub row: Value,
}

/// What was predicted for an item.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// In words; empty where a file gives windows alone
    #[serde(default)]
    pub answer: String,
    /// Start, end, and score
    #[serde(default)]
    pub windows: Vec<[f64; 3]>,
}

/// By item key.
pub type Predictions = BTreeMap<String, Prediction>;

/// A number of a scorer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// Its name
    pub name: String,
    /// In per cent; `None` of nothing
    pub value: Option<f64>,
    /// Of how many items, groups or clips
    pub of: usize,
}

impl Metric {
    /// The mean of shares between 0 and 1, in per cent.
    fn mean(name: impl Into<String>, shares: &[f64]) -> Self {
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        Self { name: name.into(), value: (!shares.is_empty()).then_some(mean * 100.0), of: shares.len() }
    }
}

/// Why a benchmark cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum PublicError {
    /// A file
    #[error("{}: {source}", path.display())]
    File {
        /// Which
        path: PathBuf,
        /// Why
        source: std::io::Error,
    },
    /// A file that is not read here
    #[error("{}: Parquet is not read here", path.display())]
    Parquet {
        /// Which
        path: PathBuf,
    },
    /// A file that is not in the format
    #[error("{}: is not in the format of {benchmark}: {what}", path.display())]
    Format {
        /// Which
        path: PathBuf,
        /// Of which benchmark
        benchmark: &'static str,
        /// What is wrong, and where
        what: String,
    },
    /// Predictions that were begun otherwise
    #[error("{}: was begun with other settings: {what}", path.display())]
    Settings {
        /// The journal
        path: PathBuf,
        /// Which differ
        what: String,
    },
    /// Not one of the videos is there
    #[error("{}: holds none of the {of} videos", path.display())]
    NoVideos {
        /// The folder
        path: PathBuf,
        /// How many are asked about
        of: usize,
    },
    /// Asked to stop
    #[error("stopped")]
    Cancelled,
}
