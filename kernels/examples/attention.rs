//! Times attention: `cargo run --release -p longsight-kernels --example attention`. Checks the answer before it times.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use longsight_kernels::attention::{Mask, Shape, Strided, attend, reference};
use longsight_kernels::element::Element;
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
    println!("causal, rows after `first`; GFLOP/s counts the products that the mask leaves");
    check();
    for (heads, kv_heads, first, rows, dim) in
        [(16, 8, 0, 1024, 128), (16, 8, 0, 8192, 128), (16, 8, 8192, 1, 128), (4, 2, 0, 600, 64), (4, 2, 600, 1, 64)]
    {
        let shape = Shape { heads, kv_heads, rows, keys: first + rows, dim };
        let pairs: usize = (0..rows).map(|row| first + row + 1).sum();
        let operations = 4.0 * (heads * pairs * dim) as f64;
        println!("{shape:?} first {first}");
        let print = |name: &str, seconds: f64| {
            println!("    {name}: {:.3} ms, {:.0} GFLOP/s", seconds * 1e3, operations / seconds / 1e9);
        };
        print("f32", fastest(shape, first, |x| x, Precision::F32));
        print("bf16", fastest(shape, first, half::bf16::from_f32, Precision::Bf16));
    }
}

fn fastest<T: Element>(shape: Shape, first: usize, element: fn(f32) -> T, precision: Precision) -> f64 {
    let Shape { heads, kv_heads, rows, keys, dim } = shape;
    let noise = |len: usize, seed: u32| noise(len, seed).into_iter().map(element).collect::<Vec<T>>();
    let (q, k, v) = (noise(heads * rows * dim, 1), noise(kv_heads * keys * dim, 2), noise(kv_heads * keys * dim, 3));
    // Heads inside rows, as a projection leaves them; keys by head, as a cache holds them.
    let queries = Strided { data: &q, head: dim, row: heads * dim };
    let (keys, values) =
        (Strided { data: &k, head: keys * dim, row: dim }, Strided { data: &v, head: keys * dim, row: dim });
    let run = || {
        let begun = Instant::now();
        std::hint::black_box(attend(queries, keys, values, shape, 0.1, Mask::Causal { first }, precision));
        begun.elapsed().as_secs_f64()
    };
    (0..RUNS).map(|_| run()).fold(f64::INFINITY, f64::min)
}

fn check() {
    let shape = Shape { heads: 4, kv_heads: 2, rows: 300, keys: 300, dim: 64 };
    let data = [4, 2, 2].map(|heads| noise(heads * 300 * 64, 7 + heads as u32));
    let [q, k, v] = data.each_ref().map(|data| Strided { data, head: 300 * 64, row: 64 });
    let mask = Mask::Causal { first: 0 };
    let pairs =
        attend(q, k, v, shape, 0.1, mask, Precision::F32).into_iter().zip(reference::attend(q, k, v, shape, 0.1, mask));
    let worst = pairs.map(|(got, expected)| (got - expected).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-5, "off by {worst}");
}
