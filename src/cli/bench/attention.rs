//! `longsight bench attention`.

use super::super::failure::{Failure, Kind, Result};
use super::super::{Context, output};
use crate::bench::attention::{self, HEADS, Timed};
use clap::builder::PossibleValuesParser;

/// Arguments of `longsight bench attention`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Whose head shapes
    #[arg(long, num_args = 1.., default_values = ["qwen3-vl-2b", "longsight-tiny"], value_parser = PossibleValuesParser::new(HEADS.map(|shape| shape.0)))]
    heads: Vec<String>,
    /// Lengths of the prompt
    #[arg(long, num_args = 1.., default_values = ["2048", "8192"], value_parser = clap::value_parser!(u32).range(1..))]
    tokens: Vec<u32>,
    /// Timed runs of each
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
}

pub(super) fn run(args: &Args, context: &Context) -> Result {
    let heads: Vec<&str> = args.heads.iter().map(String::as_str).collect();
    let tokens: Vec<usize> = args.tokens.iter().map(|&tokens| tokens as usize).collect();
    let mut show = |timed: &Timed| {
        if !context.json {
            let Timed { heads, tokens, precision, seconds, gflops, .. } = timed;
            output::text(&format!(
                "{heads:>14}  {tokens:>7} tokens  {precision:>4}  {seconds:>9.4} s  {gflops:>6.0} GFLOP/s"
            ));
        }
    };
    let outcome = attention::run(&heads, &tokens, args.runs as usize, &mut show)
        .map_err(|error| Failure::new(Kind::Internal, error))?;
    if context.json { output::json(&outcome) } else { Ok(()) }
}
