//! Every level that this processor has, against the reference.

use super::{Packed, Rows, Store, reference};
use crate::level::{Level, Precision};
use crate::noise::noise;
use proptest::prelude::*;

/// Inputs are bf16 numbers, so that both precisions multiply the same; what is left is the order of the sums.
fn compare(rows: usize, input: usize, output: usize, bias: bool, seed: u64) {
    let short = |len: usize, seed: u64| -> Vec<f32> {
        noise(len, seed).into_iter().map(|x| half::bf16::from_f32(x).to_f32()).collect()
    };
    let (x, w, b) = (short(rows * input, seed), short(output * input, seed + 1), noise(output, seed + 2));
    let bias = bias.then_some(&b[..]);
    let want = reference::forward(&x, &w, input, bias);
    for level in Level::available() {
        let got = Packed::at(level, &w, output, input).forward(&x, bias);
        assert_eq!(got.len(), want.len());
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            let near = (got - want).abs() <= 3e-6 * (1.0 + input as f32).sqrt() * 4.0;
            assert!(near, "{level:?} {rows} x {input} x {output}: element {i} is {got}, should be {want}");
        }
    }
}

#[test]
fn odd_sizes_agree_with_the_reference() {
    for (rows, input, output) in [
        (1, 1, 1),
        (1, 64, 64),
        (7, 3, 65),
        (13, 257, 63),
        (300, 31, 130),
        (5, 513, 17),
        (0, 8, 8),
        (2, 300, 1),
        (33, 300, 2117),
    ] {
        compare(rows, input, output, rows % 2 == 1, 5);
    }
}

#[test]
fn weights_are_read_back_as_they_were_packed() {
    for level in Level::available() {
        for (input, output) in [(1, 1), (97, 65), (256, 64), (600, 130)] {
            let weights: Vec<f32> =
                noise(output * input, 9).into_iter().map(|x| half::bf16::from_f32(x).to_f32()).collect();
            let packed = Packed::at(level, &weights, output, input);
            let mut row = vec![f32::NAN; input];
            for (column, want) in weights.chunks(input).enumerate() {
                packed.weights_of(column, &mut row);
                assert_eq!(row, want, "{level:?} {input} x {output}: output {column}");
            }
        }
    }
}

/// Two layers of the same rows, the second on top of the first; then fewer and narrower rows in the same memory.
#[test]
fn rows_are_shared_and_used_again() {
    let short = |len: usize, seed: u64| -> Vec<f32> {
        noise(len, seed).into_iter().map(|x| half::bf16::from_f32(x).to_f32()).collect()
    };
    for level in Level::available() {
        let mut ready = Rows::at(level);
        for (rows, input, output) in [(70, 600, 130), (33, 97, 65), (1, 97, 64)] {
            let (x, bias) = (short(rows * input, 1), noise(output, 4));
            let weights = [short(output * input, 2), short(output * input, 3)];
            ready.fill(rows, input, |row, to| to.copy_from_slice(&x[row * input..][..input]));
            let mut got = vec![f32::NAN; rows * output];
            for (weights, store) in weights.iter().zip([Store::Set, Store::Add]) {
                Packed::at(level, weights, output, input).multiply(&ready, Some(&bias), &mut got, store);
            }
            let want = weights.map(|weights| reference::forward(&x, &weights, input, Some(&bias)));
            for (i, got) in got.iter().enumerate() {
                let want = want[0][i] + want[1][i];
                let near = (got - want).abs() <= 2e-5 * (1.0 + input as f32).sqrt();
                assert!(near, "{level:?} {rows} x {input} x {output}: element {i} is {got}, should be {want}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "rows of 5 for 4")]
fn rows_of_another_width_are_refused() {
    let mut rows = Rows::new(Precision::F32);
    rows.fill(2, 5, |_, to| to.fill(0.0));
    Packed::new(&[1.0f32; 12], 3, 4, Precision::F32).multiply(&rows, None, &mut [0.0; 6], Store::Set);
}

#[test]
fn bf16_weights_take_half_the_memory_where_they_are_multiplied() {
    let weights = noise(128 * 256, 3);
    let [wide, short] = [Precision::F32, Precision::Bf16].map(|precision| Packed::new(&weights, 128, 256, precision));
    assert_eq!(wide.bytes(), 4 * weights.len());
    let halved = if Level::detected() >= Level::Avx512Bf16 { 2 } else { 1 };
    assert_eq!(short.bytes() * halved, wide.bytes());
}

#[test]
#[should_panic(expected = "in rows of")]
fn broken_rows_are_refused() {
    let _ = Packed::new(&[1.0f32; 12], 3, 4, Precision::F32).forward(&[1.0f32; 6], None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_size_agrees_with_the_reference(rows in 0usize..40, input in 1usize..300, output in 1usize..200, bias: bool, seed in 0u64..1000) {
        compare(rows, input, output, bias, seed);
    }
}
