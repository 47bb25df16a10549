//! `longsight bench WHAT`: measured on this machine, by protocols that check their answers.

mod attention;
mod compress;
mod decode;
mod describe;
mod evidence;
mod find;
mod index;
mod injection;
mod niah;
mod prefill;
mod public;
mod questions;
mod scenes;
mod world;

pub(super) use niah::minutes;

use super::failure::Result;
use super::{Context, wait};
use crate::bench::Share;

/// Arguments of `longsight bench`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

/// What to measure.
#[derive(Debug, Clone, clap::Subcommand)]
enum What {
    /// Frames out of a file, as RGB
    Decode(decode::Args),
    /// Causal attention, dense and sparse, at the head shapes of real models
    Attention(attention::Args),
    /// A whole prompt through a language model, dense and sparse
    Prefill(prefill::Args),
    /// The scenes of a file
    Scenes(scenes::Args),
    /// Questions with expected answers, from a JSON file beside its clips
    Questions(questions::Args),
    /// Compression methods: accuracy, needles, prefill and memory beside no compression
    Compress(compress::Args),
    /// Needles in haystacks: a few seconds hidden in up to hours of generated video
    Niah(niah::Args),
    /// The first question about a video beside later ones, and what the index costs in each format
    Index(index::Args),
    /// Times in answers on generated videos: how exact, how often a verified one is right, what a score is worth
    Evidence(evidence::Args),
    /// Captions of generated videos, sentence by sentence
    Describe(describe::Args),
    /// Moments planted in videos of a folder: which video comes first in a search through all of them
    Find(find::Args),
    /// Text burned into the picture that names an answer, and how many answers it changes
    Injection(injection::Args),
    /// Accuracy on generated videos, by kind of question, with and without looking; `--json` also lists every answer
    World(world::Args),
    /// When things happen: Charades-STA, ActivityNet Captions, QVHighlights, TimeLens-Bench
    Ground(public::GroundArgs),
    /// Video-MME, first and second version
    Videomme(public::VideoMmeArgs),
    /// LongVideoBench
    Longvideobench(public::RunArgs),
    /// LVBench
    Lvbench(public::RunArgs),
    /// MLVU
    Mlvu(public::RunArgs),
}

pub(super) fn run(args: &Args, context: &Context) -> Result {
    let (what, context) = (args.what.clone(), context.clone());
    wait::run(None, move |cancel| match &what {
        What::Decode(args) => decode::run(args, &context),
        What::Attention(args) => attention::run(args, &context),
        What::Scenes(args) => scenes::run(args, &context),
        What::Questions(args) => questions::run(args, &context, &cancel),
        What::Prefill(args) => prefill::run(args, &context),
        What::Niah(args) => niah::run(args, &context, &cancel),
        What::Compress(args) => compress::run(args, &context, &cancel),
        What::Index(args) => index::run(args, &context, &cancel),
        What::Evidence(args) => evidence::run(args, &context, &cancel),
        What::Describe(args) => describe::run(args, &context, &cancel),
        What::Find(args) => find::run(args, &context, &cancel),
        What::Injection(args) => injection::run(args, &context, &cancel),
        What::World(args) => world::run(args, &context, &cancel),
        What::Ground(args) => args.run(&context, &cancel),
        What::Videomme(args) => args.run(&context, &cancel),
        What::Longvideobench(args) => public::run("longvideobench", args, &context, &cancel),
        What::Lvbench(args) => public::run("lvbench", args, &context, &cancel),
        What::Mlvu(args) => public::run("mlvu", args, &context, &cancel),
    })
}

/// A share with its interval and its numbers.
fn share(share: &Share) -> String {
    let per_cent = |share: f64| share * 100.0;
    format!(
        "{:5.1} % ({:.1} - {:.1}; {} of {})",
        per_cent(share.share),
        per_cent(share.low),
        per_cent(share.high),
        share.hits,
        share.of
    )
}
