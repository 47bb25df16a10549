//! Causal attention over a whole prompt, at the head shapes of real models.

use longsight_kernels::attention::{Inputs, Mask, Shape, Strided, attend, reference};
use longsight_kernels::element::Element;
use longsight_kernels::level::{Level, Precision};
use serde::Serialize;
use std::time::Instant;

/// Head shapes by the model that has them: name, query heads, key heads, width.
pub const HEADS: [(&str, usize, usize, usize); 3] =
    [("qwen3-vl-2b", 16, 8, 128), ("qwen2.5-vl-7b", 28, 4, 128), ("longsight-tiny", 4, 2, 64)];

/// One measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timed {
    /// Whose heads
    pub heads: &'static str,
    /// Rows and keys
    pub tokens: usize,
    /// `f32` or `bf16`
    pub precision: &'static str,
    /// Seconds of each run
    pub runs_s: Vec<f64>,
    /// The least of them
    pub seconds: f64,
    /// 10^9 additions and multiplications a second, of those that the mask leaves
    pub gflops: f64,
}

/// Schema `longsight.bench.attention/1`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// What this is
    pub schema: &'static str,
    /// The processor level that was used
    pub level: String,
    /// Threads
    pub threads: usize,
    /// By shape, length and precision
    pub timed: Vec<Timed>,
}

/// Off by more than this from the reference, nothing is timed.
const TOLERANCE: [(Precision, f32); 2] = [(Precision::F32, 1e-5), (Precision::Bf16, 1e-2)];

/// Times dense causal attention for every shape whose name is in `heads` and every length in `tokens`; `each` hears every
/// measurement as it comes.
///
/// # Errors
/// When the kernel differs from its reference.
pub fn run(
    heads: &[&str],
    tokens: &[usize],
    runs: usize,
    each: &mut dyn FnMut(&Timed),
) -> Result<Outcome, anyhow::Error> {
    let mut timed = Vec::new();
    for &(name, heads, kv_heads, dim) in HEADS.iter().filter(|shape| heads.contains(&shape.0)) {
        check(heads, kv_heads, dim)?;
        for &rows in tokens {
            let shape = Shape { heads, kv_heads, rows, keys: rows, dim };
            let pairs = rows as f64 * (rows + 1) as f64 / 2.0;
            let operations = 4.0 * (heads * dim) as f64 * pairs;
            for (precision, runs_s) in [
                ("f32", times::<f32>(shape, |x| x, Precision::F32, runs)),
                ("bf16", times(shape, half::bf16::from_f32, Precision::Bf16, runs)),
            ] {
                let seconds = runs_s.iter().copied().fold(f64::INFINITY, f64::min);
                let gflops = operations / seconds / 1e9;
                timed.push(Timed { heads: name, tokens: rows, precision, runs_s, seconds, gflops });
                timed.last().into_iter().for_each(&mut *each);
            }
        }
    }
    let level = format!("{:?}", Level::detected()).to_lowercase();
    Ok(Outcome { schema: "longsight.bench.attention/1", level, threads: rayon::current_num_threads(), timed })
}

/// Queries with heads inside rows, as a projection leaves them; keys by head, as a cache holds them.
fn views<T>([q, k, v]: &[Vec<T>; 3], shape: Shape) -> Inputs<'_, T> {
    let Shape { heads, keys, dim, .. } = shape;
    let q = Strided { data: &q[..], head: dim, row: heads * dim };
    let by_head = |data| Strided { data, head: keys * dim, row: dim };
    Inputs { q, k: by_head(&k[..]), v: by_head(&v[..]), shape, scale: (dim as f32).powf(-0.5) }
}

fn noise<T>(len: usize, mut state: u32, element: fn(f32) -> T) -> Vec<T> {
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        element((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
    };
    (0..len).map(|_| next()).collect()
}

fn data<T>(shape: Shape, element: fn(f32) -> T) -> [Vec<T>; 3] {
    let Shape { heads, kv_heads, rows, keys, dim } = shape;
    [
        noise(heads * rows * dim, 1, element),
        noise(kv_heads * keys * dim, 2, element),
        noise(kv_heads * keys * dim, 3, element),
    ]
}

fn times<T: Element>(shape: Shape, element: fn(f32) -> T, precision: Precision, runs: usize) -> Vec<f64> {
    let data = data(shape, element);
    let run = |_| {
        let begun = Instant::now();
        std::hint::black_box(attend(views(&data, shape), Mask::Causal { first: 0 }, precision));
        begun.elapsed().as_secs_f64()
    };
    (0..runs.max(1)).map(run).collect()
}

fn check(heads: usize, kv_heads: usize, dim: usize) -> Result<(), anyhow::Error> {
    let shape = Shape { heads, kv_heads, rows: 200, keys: 200, dim };
    let data = data(shape, |x| half::bf16::from_f32(x).to_f32());
    let mask = Mask::Causal { first: 0 };
    let want = reference::attend(views(&data, shape), mask);
    for (precision, tolerance) in TOLERANCE {
        let got = attend(views(&data, shape), mask, precision);
        let worst = got.iter().zip(&want).map(|(got, want)| (got - want).abs()).fold(0.0, f32::max);
        anyhow::ensure!(worst <= tolerance, "attention in {precision:?} is off by {worst}");
    }
    Ok(())
}
