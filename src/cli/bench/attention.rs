//! `longsight bench attention`.

use super::super::device::Device;
use super::super::failure::{Failure, Kind, Result};
use super::super::{Context, output};
use crate::bench::attention::{self, Bench, HEADS, KINDS, Timed};
use clap::builder::PossibleValuesParser;

/// Arguments of `longsight bench attention`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Whose head shapes
    #[arg(long, num_args = 1.., default_values = ["qwen3-vl-2b", "longsight-tiny"], value_parser = PossibleValuesParser::new(HEADS.map(|shape| shape.name)))]
    heads: Vec<String>,
    /// Lengths of the prompt
    #[arg(long, num_args = 1.., default_values = ["2048", "8192"], value_parser = clap::value_parser!(u32).range(1..))]
    tokens: Vec<u32>,
    /// Which attention: ours, the tensor library's, and sparse patterns
    #[arg(long, num_args = 1.., default_values = KINDS, value_parser = PossibleValuesParser::new(KINDS))]
    attention: Vec<String>,
    /// Leave dense attention out for prompts longer than this
    #[arg(long, default_value_t = 131_072, value_name = "TOKENS")]
    dense_to: usize,
    /// On what: cpu, or an NVIDIA GPU, cuda or cuda:N, in builds that have it
    #[arg(long, value_name = "cpu|cuda[:N]", default_value = "cpu", env = "LONGSIGHT_DEVICE")]
    device: Device,
    /// Timed runs of each
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
}

pub(super) fn run(args: &Args, context: &Context) -> Result {
    let bench = Bench {
        heads: args.heads.iter().map(String::as_str).collect(),
        tokens: args.tokens.iter().map(|&tokens| tokens as usize).collect(),
        kinds: args.attention.iter().map(String::as_str).collect(),
        dense_to: args.dense_to,
        runs: args.runs as usize,
        device: args.device.open()?,
    };
    let mut show = |timed: &Timed| {
        if !context.json {
            let Timed { heads, tokens, attention, precision, seconds, index_s, density, gflops, speedup, .. } = timed;
            let speedup = speedup.map_or_else(String::new, |speedup| format!("{speedup:>7.2} x dense"));
            output::text(&format!(
                "{heads:>14}  {tokens:>7} tokens  {precision:>4}  {attention:>14}  {seconds:>9.4} s (index {index_s:.4})  density {density:.4}  {gflops:>5.0} GFLOP/s {speedup}"
            ));
        }
    };
    let outcome = attention::run(&bench, &mut show).map_err(|error| Failure::new(Kind::Internal, error))?;
    if context.json { output::json(&outcome) } else { Ok(()) }
}
