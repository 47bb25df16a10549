//! Times dense causal attention: `cargo run --release -p longsight-kernels --example attention [tokens ...]`, at the heads of
//! Qwen3-VL-2B.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use longsight_kernels::attention::{Inputs, Mask, Shape, Strided, attend};
use longsight_kernels::level::Precision;
use std::time::Instant;

/// Runs of which the fastest counts: the machine may be doing other things too.
const RUNS: usize = 5;

fn noise(len: usize, mut state: u32) -> Vec<f32> {
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn main() {
    let mut tokens: Vec<usize> = std::env::args().skip(1).filter_map(|tokens| tokens.parse().ok()).collect();
    if tokens.is_empty() {
        tokens = vec![2048, 8192];
    }
    for rows in tokens {
        let shape = Shape { heads: 16, kv_heads: 8, rows, keys: rows, dim: 128 };
        let [q, k, v] = [(16, 1), (8, 2), (8, 3)].map(|(heads, seed)| noise(heads * rows * 128, seed));
        let view = |data| Strided { data, head: rows * 128, row: 128 };
        let inputs = Inputs { q: view(&q[..]), k: view(&k[..]), v: view(&v[..]), shape, scale: 128f32.powf(-0.5) };
        for (name, precision) in [("f32", Precision::F32), ("bf16", Precision::Bf16)] {
            let run = || {
                let begun = Instant::now();
                std::hint::black_box(attend(inputs, Mask::Causal { first: 0 }, precision));
                begun.elapsed().as_secs_f64()
            };
            let seconds = (0..RUNS).map(|_| run()).fold(f64::INFINITY, f64::min);
            let operations = 2.0 * (16 * rows * (rows + 1) * 128) as f64;
            println!("{rows} tokens, {name}: {:.1} ms, {:.0} GFLOP/s", seconds * 1e3, operations / seconds / 1e9);
        }
    }
}
