//! `longsight bench prefill`.

use super::super::ask::ModelArgs;
use super::super::failure::{Failure, Kind, Result};
use super::super::{Context, model_dir, output};
use crate::bench::{self, PrefillTimed, prefill};
use crate::prefill::{Heads, Pattern, PatternFile};
use longsight_models::{Checkpoint, ModelError, Vlm, family_of};
use serde::Serialize;

/// Arguments of `longsight bench prefill`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Lengths of the prompt
    #[arg(long, num_args = 1.., default_values = ["2048", "8192"], value_parser = clap::value_parser!(u32).range(64..))]
    tokens: Vec<u32>,
    /// By which attention
    #[arg(long, num_args = 1.., default_values = ["dense", "sparse"], value_parser = ["dense", "sparse"])]
    prefill: Vec<String>,
    /// Rows run at once
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    chunk: u32,
    /// Timed runs of each
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    #[command(flatten)]
    model: ModelArgs,
}

/// `longsight.bench.prefill/1`
#[derive(Debug, Serialize)]
struct Outcome {
    schema: &'static str,
    model: String,
    dtype: &'static str,
    threads: usize,
    layers: usize,
    weight_bytes: u64,
    /// Most memory that the process ever held, weights and cache included
    peak_bytes: Option<u64>,
    timed: Vec<PrefillTimed>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result {
    let folder = model_dir::resolve(&args.model.model)?;
    let options = args.model.load_options()?;
    let load = || -> std::result::Result<Box<dyn Vlm>, ModelError> {
        let checkpoint = Checkpoint::open(&folder)?;
        family_of(&checkpoint)?.load(&checkpoint, &options)
    };
    let model = load().map_err(|error| Failure::new(Kind::Model, error))?;
    let card = model.card();
    let file =
        PatternFile::beside(&folder, card.layers, card.heads).map_err(|error| Failure::new(Kind::Model, error))?;
    let heads = file.map_or_else(|| Heads::all(Pattern::SAFE.into()), |file| file.heads());
    let chunk = args.chunk as usize;
    let kinds: Vec<(&'static str, Option<&Heads>, usize)> = [("dense", None), ("sparse", Some(&heads))]
        .into_iter()
        .filter(|(name, _)| args.prefill.iter().any(|wanted| wanted == name))
        .map(|(name, heads)| (name, heads, chunk))
        .collect();
    let mut show = |timed: &PrefillTimed| {
        if !context.json {
            let PrefillTimed { prefill, tokens, seconds, tokens_per_s, density, logits_off, .. } = timed;
            let attention = timed.attention_s.zip(timed.index_s).map_or_else(String::new, |(attention, index)| {
                format!("  attention {attention:.3} s (index {index:.3})")
            });
            let off = logits_off.map_or_else(String::new, |off| format!("  scores off by {off:.4}"));
            output::text(&format!(
                "{tokens:>7} tokens  {prefill:>6}  {seconds:>9.3} s  {tokens_per_s:>8.0} tokens/s  density {density:.4}{attention}{off}"
            ));
        }
    };
    let mut timed = Vec::new();
    for &tokens in &args.tokens {
        let of_length = prefill(&*model, tokens as usize, &kinds, args.runs as usize, &mut show);
        timed.extend(of_length.map_err(|error| Failure::new(Kind::Internal, error))?);
    }
    let outcome = Outcome {
        schema: "longsight.bench.prefill/1",
        model: args.model.model.clone(),
        dtype: options.compute.name(),
        threads: rayon::current_num_threads(),
        layers: card.layers,
        weight_bytes: card.weight_bytes,
        peak_bytes: bench::peak_bytes(),
        timed,
    };
    if context.json {
        return output::json(&outcome);
    }
    output::text(&format!(
        "weights {} MB on disk, cache {} MB at most, peak memory {} MB",
        outcome.weight_bytes >> 20,
        outcome.timed.iter().map(|timed| timed.kv_bytes).max().unwrap_or(0) >> 20,
        outcome.peak_bytes.unwrap_or(0) >> 20
    ));
    Ok(())
}
