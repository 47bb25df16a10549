//! Causal attention over a whole prompt, at the head shapes of real models: dense, by each sparse pattern, and by the tensor library.
//!
//! Queries and keys are noise with what patterns are about planted in it: one slot of every frame that all rows look at.

use crate::prefill::a_shape::AShape;
use crate::prefill::blocks::{Antidiagonal, QueryAware, Random};
use crate::prefill::clusters::Clusters;
use crate::prefill::grid::{Grid, Stride};
use crate::prefill::vertical_slash::VerticalSlash;
use crate::prefill::{Heads, Layout, Ledger, Pattern, Slot, Sparse, kept};
use candle_core::{DType, Device, Tensor};
use longsight_kernels::attention::{Inputs, Mask, Shape, Strided, attend, reference};
use longsight_kernels::level::{Level, Precision};
use longsight_models::{Attention, Call, Dense, Sequence, VisualRun};
use serde::Serialize;
use std::time::Instant;

/// Head shapes by the model that has them, with the text tokens, rows and columns of a frame.
pub const HEADS: [HeadShape; 4] = [
    HeadShape { name: "qwen3-vl-2b", heads: 16, kv_heads: 8, dim: 128, frame: (10, 11, 20) },
    HeadShape { name: "qwen3-vl-8b", heads: 32, kv_heads: 8, dim: 128, frame: (10, 11, 20) },
    HeadShape { name: "qwen2.5-vl-7b", heads: 28, kv_heads: 4, dim: 128, frame: (0, 13, 20) },
    HeadShape { name: "longsight-tiny", heads: 4, kv_heads: 2, dim: 64, frame: (10, 3, 3) },
];

/// Heads of a model.
#[derive(Debug, Clone, Copy)]
pub struct HeadShape {
    /// Whose
    pub name: &'static str,
    heads: usize,
    kv_heads: usize,
    dim: usize,
    frame: (usize, u32, u32),
}

/// What can be measured: everything, by name.
pub const KINDS: [&str; 9] =
    ["dense", "candle", "a-shape", "vertical-slash", "grid", "clusters", "random", "antidiagonal", "query-aware"];

/// The sparse one of a name. The random one has the density that the grid was measured to have.
fn pattern(kind: &str, grid_density: f64) -> Option<Pattern> {
    Some(match kind {
        "a-shape" => Pattern::AShape(AShape { local: 1024 }),
        "vertical-slash" => Pattern::VerticalSlash(VerticalSlash { vertical: 1024, slash: 1024, local: 512 }),
        "grid" => Pattern::Grid(Grid { stride: Stride::Frame, vertical: 1, horizontal: 0, slash: false, local: 1024 }),
        "clusters" => Pattern::Clusters(Clusters { means: 4096, local: 32 }),
        "random" => Pattern::Random(Random { density: grid_density }),
        "antidiagonal" => Pattern::Antidiagonal(Antidiagonal { stride: 8, keep: 0.9 }),
        "query-aware" => Pattern::QueryAware(QueryAware { keep: 0.9, divergence: 0.1 }),
        _ => return None,
    })
}

/// One measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timed {
    /// Whose heads
    pub heads: &'static str,
    /// Rows and keys
    pub tokens: usize,
    /// Which attention
    pub attention: &'static str,
    /// `f32` or `bf16`
    pub precision: &'static str,
    /// Seconds of each run
    pub runs_s: Vec<f64>,
    /// The least of them
    pub seconds: f64,
    /// Seconds of it that went into deciding what to keep
    pub index_s: f64,
    /// Scores computed, as a share of what the mask leaves
    pub density: f64,
    /// 10^9 additions and multiplications a second, of those scores
    pub gflops: f64,
    /// Times as fast as our dense attention in the same run
    pub speedup: Option<f64>,
}

/// Schema `longsight.bench.attention/2`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// What this is
    pub schema: &'static str,
    /// The processor level that was used, or `cuda`
    pub level: String,
    /// Threads
    pub threads: usize,
    /// By shape, length and precision
    pub timed: Vec<Timed>,
}

/// What to measure.
#[derive(Debug, Clone)]
pub struct Bench<'a> {
    /// Whose heads
    pub heads: Vec<&'a str>,
    /// Lengths of the prompt
    pub tokens: Vec<usize>,
    /// Of [`KINDS`]
    pub kinds: Vec<&'a str>,
    /// Dense attention, ours or another's, is left out for longer prompts
    pub dense_to: usize,
    /// Timed runs of each
    pub runs: usize,
    /// On what
    pub device: Device,
}

/// Off by more than this from the reference, nothing is timed.
const TOLERANCE: [(Precision, f32); 2] = [(Precision::F32, 1e-5), (Precision::Bf16, 2e-2)];

/// Times everything that was asked for; `each` hears every measurement as it comes.
///
/// # Errors
/// When something differs from its reference.
pub fn run(bench: &Bench<'_>, each: &mut dyn FnMut(&Timed)) -> Result<Outcome, anyhow::Error> {
    let mut timed: Vec<Timed> = Vec::new();
    for shape in HEADS.iter().filter(|shape| bench.heads.contains(&shape.name)) {
        let on_cpu = bench.device.is_cpu();
        if on_cpu {
            check(shape)?;
        } else {
            check_on(&bench.device, shape)?;
        }
        for &tokens in &bench.tokens {
            // A GPU's kernels are for 16-bit floats.
            for (precision, dtype) in
                [("f32", DType::F32), ("bf16", DType::BF16)].into_iter().skip(usize::from(!on_cpu))
            {
                let prompt = Prompt::new(shape, tokens, dtype, &bench.device)?;
                let (mut dense, mut grid) = (None, 0.0);
                for &kind in KINDS.iter().filter(|kind| bench.kinds.contains(kind)) {
                    let whole = matches!(kind, "dense" | "candle");
                    if whole && tokens > bench.dense_to || kind == "candle" && dtype != DType::F32 {
                        continue;
                    }
                    let runs = (0..bench.runs.max(1)).map(|_| prompt.time(kind, grid));
                    let runs = runs.collect::<Result<Vec<_>, _>>()?;
                    let Some(best) = runs.iter().min_by(|a, b| a.seconds.total_cmp(&b.seconds)) else { continue };
                    if kind == "dense" {
                        dense = Some(best.seconds);
                    }
                    if kind == "grid" {
                        grid = best.density;
                    }
                    let operations = 4.0 * (shape.heads * shape.dim) as f64 * pairs(tokens) * best.density;
                    timed.push(Timed {
                        heads: shape.name,
                        tokens,
                        attention: kind,
                        precision,
                        runs_s: runs.iter().map(|run| run.seconds).collect(),
                        seconds: best.seconds,
                        index_s: best.index_s,
                        density: best.density,
                        gflops: operations / best.seconds / 1e9,
                        speedup: dense.map(|dense| dense / best.seconds),
                    });
                    timed.last().into_iter().for_each(&mut *each);
                }
            }
        }
    }
    let level =
        if bench.device.is_cpu() { format!("{:?}", Level::detected()).to_lowercase() } else { "cuda".to_owned() };
    Ok(Outcome { schema: "longsight.bench.attention/2", level, threads: rayon::current_num_threads(), timed })
}

/// (Row, key) pairs of one head that a causal mask leaves.
fn pairs(tokens: usize) -> f64 {
    tokens as f64 * (tokens + 1) as f64 / 2.0
}

struct Run {
    seconds: f64,
    index_s: f64,
    density: f64,
}

/// Queries, keys and values of a prompt that is all frames but for its question.
struct Prompt {
    sequence: Sequence,
    /// `[heads, tokens, dim]`
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
}

/// Text tokens behind the last frame.
const QUESTION: usize = 32;

impl Prompt {
    fn new(shape: &HeadShape, tokens: usize, dtype: DType, device: &Device) -> Result<Self, candle_core::Error> {
        let &HeadShape { heads, kv_heads, dim, frame, .. } = shape;
        let sequence = frames(tokens, frame);
        let layout = Layout::of(&sequence);
        let line = layout.line(Slot::Cell(0), tokens);
        let tensor = |mut data: Vec<f32>, heads: usize, planted: &dyn Fn(usize) -> f32| {
            for (row, values) in data.chunks_mut(dim).enumerate() {
                values[0] = planted(row % tokens);
            }
            Tensor::from_vec(data, (heads, tokens, dim), device)?.to_dtype(dtype)
        };
        let on_line = |token: usize| if line.binary_search(&token).is_ok() { 6.0 * (dim as f32).sqrt() } else { 0.0 };
        Ok(Self {
            queries: tensor(noise(heads * tokens * dim, 1), heads, &|_| 1.0)?,
            keys: tensor(noise(kv_heads * tokens * dim, 2), kv_heads, &on_line)?,
            values: Tensor::from_vec(noise(kv_heads * tokens * dim, 3), (kv_heads, tokens, dim), device)?
                .to_dtype(dtype)?,
            sequence,
        })
    }

    fn call(&self) -> Call<'_> {
        Call {
            layer: 0,
            queries: &self.queries,
            keys: &self.keys,
            values: &self.values,
            first: 0,
            sequence: &self.sequence,
            products: Precision::F32,
        }
    }

    fn time(&self, kind: &str, grid_density: f64) -> Result<Run, anyhow::Error> {
        if kind == "candle" {
            return self.time_candle();
        }
        let ledger = Ledger::default();
        let mut attention: Box<dyn Attention> = match pattern(kind, grid_density) {
            Some(pattern) => Box::new(Sparse::new(Heads::all(pattern.into()), ledger.clone())),
            None => Box::new(Dense),
        };
        self.queries.device().synchronize()?;
        let begun = Instant::now();
        std::hint::black_box(attention.attend(self.call())?);
        self.queries.device().synchronize()?;
        let spent = ledger.take();
        Ok(Run { seconds: begun.elapsed().as_secs_f64(), index_s: spent.index_s, density: spent.density() })
    }

    /// The tensor library's own, which wants heads inside rows.
    fn time_candle(&self) -> Result<Run, anyhow::Error> {
        let inside = |x: &Tensor| x.transpose(0, 1)?.contiguous()?.unsqueeze(0);
        let (q, k, v) = (inside(&self.queries)?, inside(&self.keys)?, inside(&self.values)?);
        let scale = (self.queries.dim(2)? as f32).powf(-0.5);
        let mask = candle_nn::attention::AttnMask::causal();
        let begun = Instant::now();
        std::hint::black_box(candle_nn::attention::flash_attn::<f32>(&q, &k, &v, scale, mask, None, None)?);
        Ok(Run { seconds: begun.elapsed().as_secs_f64(), index_s: 0.0, density: 1.0 })
    }
}

/// A prompt of frames of (text tokens, rows, columns).
pub(super) fn frames(tokens: usize, (text, rows, columns): (usize, u32, u32)) -> Sequence {
    let (mut positions, mut visual) = ([vec![], vec![], vec![]], Vec::new());
    let mut push = |at: [u32; 3]| (0..3).for_each(|axis| positions[axis].push(at[axis]));
    let (mut next, mut token, cells) = (0, 0, (rows * columns) as usize);
    while token + text + cells + QUESTION <= tokens {
        (0..text as u32).for_each(|i| push([next + i; 3]));
        next += text as u32;
        (0..cells as u32).for_each(|cell| push([next, next + cell / columns, next + cell % columns]));
        let first = token + text;
        visual.push(VisualRun { tokens: first..first + cells, medium: 0, first_row: visual.len() * cells });
        (token, next) = (first + cells, next + rows.max(columns));
    }
    (token..tokens).for_each(|i| push([next + (i - token) as u32; 3]));
    Sequence::new(vec![0; tokens], positions, visual)
}

fn noise(len: usize, mut state: u32) -> Vec<f32> {
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Tokens of the prompt that is held to the formula.
const CHECKED: usize = 600;

/// Holds a GPU's dense attention and every pattern to the formula, on a short prompt.
fn check_on(device: &Device, shape: &HeadShape) -> Result<(), anyhow::Error> {
    let prompt = Prompt::new(shape, CHECKED, DType::BF16, device)?;
    let values = |x: &Tensor| x.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
    let (q, k, v) = (values(&prompt.queries)?, values(&prompt.keys)?, values(&prompt.values)?);
    let HeadShape { name, heads, kv_heads, dim, .. } = *shape;
    let by_head = |data| Strided { data, head: CHECKED * dim, row: dim };
    let sizes = Shape { heads, kv_heads, rows: CHECKED, keys: CHECKED, dim };
    let scale = (dim as f32).powf(-0.5);
    let inputs = Inputs { q: by_head(&q[..]), k: by_head(&k[..]), v: by_head(&v[..]), shape: sizes, scale };
    let held = |kind: &str, got: &Tensor, want: &[f32]| -> Result<(), anyhow::Error> {
        let worst = values(got)?.iter().zip(want).map(|(got, want)| (got - want).abs()).fold(0.0, f32::max);
        anyhow::ensure!(worst <= TOLERANCE[1].1, "{kind} of {name} on the GPU is off by {worst}");
        Ok(())
    };
    held("dense", &prompt.call().dense()?, &reference::attend(inputs, Mask::Causal { first: 0 }))?;
    for kind in KINDS {
        let Some(pattern) = pattern(kind, 0.3) else { continue };
        let parts = Sparse::new(Heads::all(pattern.into()), Ledger::default()).decide(&prompt.call())?;
        let program = kept::program(sizes, 0, &parts, &Layout::of(&prompt.sequence));
        held(kind, &prompt.call().program(&program)?.0, &reference::attend_program(inputs, &program))?;
    }
    Ok(())
}

/// Holds dense attention and every pattern to the formula, on a short prompt.
fn check(shape: &HeadShape) -> Result<(), anyhow::Error> {
    let tokens = CHECKED;
    let prompt = Prompt::new(shape, tokens, DType::F32, &Device::Cpu)?;
    let data = [&prompt.queries, &prompt.keys, &prompt.values]
        .map(|x| x.to_dtype(DType::BF16)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>());
    let [q, k, v] = data;
    let (q, k, v) = (q?, k?, v?);
    let HeadShape { name, heads, kv_heads, dim, .. } = *shape;
    let by_head = |data| Strided { data, head: tokens * dim, row: dim };
    let sizes = Shape { heads, kv_heads, rows: tokens, keys: tokens, dim };
    let scale = (dim as f32).powf(-0.5);
    let inputs = Inputs { q: by_head(&q[..]), k: by_head(&k[..]), v: by_head(&v[..]), shape: sizes, scale };
    let mask = Mask::Causal { first: 0 };
    let want = reference::attend(inputs, mask);
    let furthest =
        |got: &[f32], want: &[f32]| got.iter().zip(want).map(|(got, want)| (got - want).abs()).fold(0.0, f32::max);
    for (precision, tolerance) in TOLERANCE {
        let worst = furthest(&attend(inputs, mask, precision), &want);
        anyhow::ensure!(worst <= tolerance, "attention of {name} in {precision:?} is off by {worst}");
    }
    for kind in KINDS {
        let Some(pattern) = pattern(kind, 0.3) else { continue };
        let mut sparse = Sparse::new(Heads::all(pattern.into()), Ledger::default());
        let parts = sparse.decide(&prompt.call())?;
        let program = kept::program(sizes, 0, &parts, &Layout::of(&prompt.sequence));
        let got = longsight_kernels::attention::attend_program(inputs, &program, Precision::F32).out;
        let worst = furthest(&got, &reference::attend_program(inputs, &program));
        anyhow::ensure!(worst <= TOLERANCE[0].1, "{kind} of {name} is off by {worst}");
    }
    Ok(())
}
