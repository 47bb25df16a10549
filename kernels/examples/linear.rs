//! Times linear layers: `cargo run --release -p longsight-kernels --example linear`. Checks the answer before it times.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use longsight_kernels::level::Precision;
use longsight_kernels::linear::{Packed, reference};
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
    check();
    let shapes = [512, 1024, 4096].map(|rows| (rows, 2048, 6144));
    for (rows, input, output) in shapes.into_iter().chain([(1024, 6144, 2048), (512, 256, 512), (1, 2048, 6144)]) {
        println!("{rows} rows, {input} to {output}");
        let (x, weights) = (noise(rows * input, 1), noise(input * output, 2));
        for (name, precision) in [("f32", Precision::F32), ("bf16", Precision::Bf16)] {
            let packed = Packed::new(&weights, output, input, precision);
            let run = || {
                let begun = Instant::now();
                std::hint::black_box(packed.forward(&x, None));
                begun.elapsed().as_secs_f64()
            };
            let seconds = (0..RUNS).map(|_| run()).fold(f64::INFINITY, f64::min);
            let operations = 2.0 * (rows * input * output) as f64;
            let bytes = packed.bytes() as f64;
            println!(
                "    {name}: {:.3} ms, {:.0} GFLOP/s, {:.1} GB/s of weights",
                seconds * 1e3,
                operations / seconds / 1e9,
                bytes / seconds / 1e9
            );
        }
    }
}

fn check() {
    let (x, weights) = (noise(33 * 100, 1), noise(100 * 70, 2));
    let got = Packed::new(&weights, 70, 100, Precision::F32).forward(&x, None);
    let pairs = got.iter().zip(reference::forward(&x, &weights, 100, None));
    let worst = pairs.map(|(got, want)| (got - want).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-4, "off by {worst}");
}
