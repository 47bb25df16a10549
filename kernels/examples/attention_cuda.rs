//! Attention on a GPU, timed: a line of JSON for each measurement, for `bench_gpu.py` to set beside PyTorch's.
//!
//!     cargo run --release -p longsight-kernels --features cuda --example attention_cuda -- 32768 131072
//!
//! Needs no FFmpeg and no model. Never yet run: no machine with a GPU was at hand.
#![allow(clippy::print_stdout, reason = "what the example is for")]

use longsight_kernels::attention::cuda::{Inputs, Outputs, Rows, attend, attend_program};
use longsight_kernels::attention::{self, Mask, Positions, Program, Segment, Shape, TILE_ROWS, Tile};
use longsight_kernels::cuda::{Gpu, Half, Machine};
use std::error::Error;
use std::time::Instant;

/// Whose heads, how many of queries and keys, their width.
const HEADS: [(&str, usize, usize, usize); 2] = [("qwen2.5-vl-7b", 28, 4, 128), ("qwen3-vl-8b", 32, 8, 128)];
/// The grid: a column of every so many keys, behind a window; every row sees the first keys.
const STEP: usize = 64;
const WINDOW: usize = 1024;
const SINK: usize = 128;
/// Decoding: one row against the keys.
const RUNS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let lengths = std::env::args().skip(1).map(|length| length.parse::<usize>()).collect::<Result<Vec<_>, _>>()?;
    let gpu = Gpu::open(0)?;
    let name = gpu.name()?;
    for (model, heads, kv_heads, dim) in HEADS {
        for &tokens in &lengths {
            let shape = Shape { heads, kv_heads, rows: tokens, keys: tokens, dim };
            let (q, k, v) = (
                noise(&gpu, heads * tokens * dim, 1)?,
                noise(&gpu, kv_heads * tokens * dim, 2)?,
                noise(&gpu, kv_heads * tokens * dim, 3)?,
            );
            let (out, lse) = (gpu.room(heads * tokens * dim * 2)?, gpu.room(heads * tokens * 4)?);
            let rows = |buffer| Rows { address: gpu.address(buffer), head: tokens * dim, row: dim };
            let scale = (dim as f32).powf(-0.5);
            let inputs = Inputs { half: Half::Bf16, q: rows(&q), k: rows(&k), v: rows(&v), shape, scale };
            let outputs = Outputs { out: gpu.address(&out), lse: gpu.address(&lse) };
            let dense = Mask::Causal { first: 0 };
            let pairs = tokens as f64 * (tokens + 1) as f64 / 2.0;
            let tell = |kind: &str, seconds: f64, density: f64| {
                let flops = 4.0 * (heads * dim) as f64 * pairs * density / seconds;
                println!(
                    "{{\"gpu\":\"{name}\",\"heads\":\"{model}\",\"tokens\":{tokens},\"attention\":\"{kind}\",\"seconds\":{seconds},\"density\":{density},\"tflops\":{}}}",
                    flops / 1e12
                );
            };
            // SAFETY: the buffers were made for the shape, and only these calls use them.
            let seconds = least(&gpu, || unsafe { attend(&gpu, &inputs, dense, outputs) })?;
            tell("dense", seconds, 1.0);
            let program = grid(shape);
            let density = program.scores(shape).iter().sum::<usize>() as f64 / (heads as f64 * pairs);
            // SAFETY: as above.
            let seconds = least(&gpu, || unsafe { attend_program(&gpu, &inputs, &program, outputs) })?;
            tell("grid", seconds, density);
            let last = Inputs { shape: Shape { rows: 1, ..shape }, ..inputs };
            let newest = Mask::Causal { first: tokens - 1 };
            // SAFETY: as above.
            let seconds = least(&gpu, || unsafe { attend(&gpu, &last, newest, outputs) })?;
            tell("decode", seconds, 2.0 / (tokens + 1) as f64);
        }
    }
    Ok(())
}

/// Least seconds of some runs, tables and their upload included.
fn least<E: Error + 'static>(gpu: &Gpu, mut run: impl FnMut() -> Result<(), E>) -> Result<f64, Box<dyn Error>> {
    let mut least = f64::INFINITY;
    for _ in 0..RUNS {
        gpu.synchronize()?;
        let begun = Instant::now();
        run()?;
        gpu.synchronize()?;
        least = least.min(begun.elapsed().as_secs_f64());
    }
    Ok(least)
}

/// A grid of columns behind a window: for all rows, the sink, the window and every [`STEP`]-th key.
fn grid(shape: Shape) -> Program {
    let columns = Positions::Strided { first: SINK, step: STEP, count: shape.keys.saturating_sub(SINK).div_ceil(STEP) };
    let all = SINK.min(shape.keys)..shape.keys;
    let segments = vec![
        Segment { set: 0, keys: 0..SINK.min(shape.keys), near: Some(0), far: None },
        Segment { set: 0, keys: all.clone(), near: Some(0), far: Some(WINDOW - 1) },
        Segment { set: 1, keys: all, near: Some(WINDOW), far: None },
    ];
    let tiles = (0..shape.heads).flat_map(|head| {
        (0..shape.rows).step_by(TILE_ROWS).map(move |first| {
            let rows = attention::Rows { order: 0, first, count: TILE_ROWS.min(shape.rows - first) };
            Tile { head, rows, segments: 0..3, fresh: true }
        })
    });
    Program {
        first: 0,
        orders: vec![Positions::All(shape.rows)],
        sets: vec![vec![Positions::All(shape.keys), columns]; shape.kv_heads],
        segments,
        passes: vec![tiles.collect()],
    }
}

/// Noise in bf16; a stretch of it over and over, as the times do not depend on it.
fn noise(gpu: &Gpu, len: usize, mut state: u32) -> Result<<Gpu as Machine>::Buffer, Box<dyn Error>> {
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        half::bf16::from_f32((state >> 8) as f32 / (1 << 23) as f32 - 1.0).to_bits()
    };
    let stretch: Vec<u16> = (0..len.min(1 << 22)).map(|_| next()).collect();
    let all: Vec<u16> = stretch.iter().copied().cycle().take(len).collect();
    Ok(gpu.upload(&all)?)
}
