//! How fast, how right? The protocols of `longsight bench`: each checks its answers before it times them, and gives a
//! report that can be printed as a table or as JSON.

// causal attention, dense and sparse
pub mod attention;
mod compress;
mod constraints;
// frames out of a file
pub mod decode;
mod describe;
mod evidence;
mod find;
// a grid of shares as a picture
pub mod heat_map;
mod index;
mod injection;
mod niah;
mod prefill;
// the public benchmarks' files and scores
pub mod public;
mod questions;
// the shots of a file
pub mod scenes;
mod scores;
mod world;

pub use compress::{CompressBench, CompressRow, Elsewhere, InHaystacks, compress, in_haystacks};
pub use constraints::{Condition, Conditioned, constraints};
pub use describe::{DescribeBench, DescribeReport, Misdescribed, describe};
pub use evidence::{Asked, Bar, EvidenceBench, EvidenceReport, Risk, Shown, Sort, evidence};
pub use find::{FindBench, FindReport, NotFirst, find};
pub use index::{IndexAsked, IndexBench, IndexRow, index};
pub use injection::{InjectionBench, InjectionReport, injection};
pub use niah::{Missed, NiahBench, NiahCell, NiahReport, film, niah};
pub use prefill::{PrefillPrompt, PrefillTimed, prefill};
pub use questions::{Checked, Expected, check_questions};
pub use scores::{Share, iou, right};
use world::timed;
pub use world::{KindScore, Sides, Timed, WorldBench, WorldReport, world};

/// The high-water mark of resident memory, where the system tells it.
#[must_use]
pub fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

/// The middle one of at least one measurement.
fn median(seconds: &[f64]) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
