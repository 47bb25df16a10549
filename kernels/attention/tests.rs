//! Every version against the reference.

use super::{Mask, Shape, Strided, attend, reference};
use proptest::prelude::*;

/// f32 sums of up to a few hundred products of values near 1: a handful of units in the last place of the largest.
const TOLERANCE: f32 = 2e-5;

fn noise(len: usize, seed: u64, spread: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..len).map(|_| next() * 2.0 * spread).collect()
}

/// Runs both versions on noise whose heads and rows lie `gap` elements apart; `interleaved` puts heads inside rows.
fn compare(shape: Shape, mask: Mask, spread: f32, gap: usize, interleaved: bool, seed: u64) {
    let Shape { heads, kv_heads, rows, keys, dim } = shape;
    let strides = |heads: usize, rows: usize| {
        if interleaved { (dim + gap, heads * (dim + gap)) } else { (rows * (dim + gap), dim + gap) }
    };
    let make =
        |heads: usize, rows: usize, seed: u64| (noise(heads * rows * (dim + gap), seed, spread), strides(heads, rows));
    let (q, k, v) = (make(heads, rows, seed), make(kv_heads, keys, seed + 1), make(kv_heads, keys, seed + 2));
    let view =
        |(data, (head, row)): &(Vec<f32>, (usize, usize))| -> (Vec<f32>, usize, usize) { (data.clone(), *head, *row) };
    let (q, k, v) = (view(&q), view(&k), view(&v));
    let strided = |(data, head, row): &(Vec<f32>, usize, usize)| -> Strided<'static> {
        Strided { data: Box::leak(data.clone().into_boxed_slice()), head: *head, row: *row }
    };
    let (q, k, v) = (strided(&q), strided(&k), strided(&v));
    let scale = (dim as f32).powf(-0.5);
    let got = attend(q, k, v, shape, scale, mask);
    let want = reference::attend(q, k, v, shape, scale, mask);
    assert_eq!(got.len(), want.len());
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        let near = (got - want).abs() <= TOLERANCE * (1.0 + spread);
        assert!(near, "{shape:?} {mask:?}: element {i} is {got}, should be {want}");
    }
}

#[test]
fn odd_causal_sizes_agree_with_the_reference() {
    for (heads, kv_heads, first, rows, dim) in [
        (1, 1, 0, 1, 1),
        (1, 1, 0, 2, 3),
        (6, 2, 0, 127, 32),
        (6, 2, 0, 128, 32),
        (4, 4, 3, 129, 17),
        (8, 1, 300, 7, 64),
        (6, 2, 1, 1, 128),
        (6, 2, 511, 1, 80),
        (3, 3, 200, 1, 72),
        (2, 1, 128, 257, 16),
    ] {
        let shape = Shape { heads, kv_heads, rows, keys: first + rows, dim };
        for interleaved in [false, true] {
            compare(shape, Mask::Causal { first }, 1.0, 0, interleaved, 7);
            compare(shape, Mask::Causal { first }, 1.0, 5, interleaved, 8);
        }
    }
}

#[test]
fn keys_beyond_the_last_row_are_not_seen() {
    let shape = Shape { heads: 4, kv_heads: 2, rows: 10, keys: 200, dim: 24 };
    compare(shape, Mask::Causal { first: 100 }, 1.0, 0, false, 3);
    compare(Shape { rows: 1, ..shape }, Mask::Causal { first: 130 }, 1.0, 0, false, 3);
}

#[test]
fn segments_do_not_see_each_other() {
    for bounds in [&[0, 1][..], &[0, 5, 6, 20], &[0, 128, 256], &[0, 130, 131, 400], &[0, 7, 7, 9]] {
        let rows = bounds[bounds.len() - 1];
        let shape = Shape { heads: 3, kv_heads: 3, rows, keys: rows, dim: 20 };
        compare(shape, Mask::Segments(bounds), 1.0, 0, true, 11);
    }
}

#[test]
fn large_scores_neither_overflow_nor_vanish() {
    let shape = Shape { heads: 2, kv_heads: 1, rows: 300, keys: 300, dim: 64 };
    compare(shape, Mask::Causal { first: 0 }, 8.0, 0, false, 5);
}

#[test]
fn nothing_in_gives_nothing_out() {
    let shape = Shape { heads: 2, kv_heads: 1, rows: 0, keys: 0, dim: 8 };
    compare(shape, Mask::Causal { first: 0 }, 1.0, 0, false, 5);
    compare(shape, Mask::Segments(&[0]), 1.0, 0, false, 5);
}

#[test]
#[should_panic(expected = "keys are shorter")]
fn short_slices_are_refused() {
    let data = vec![0.0; 64];
    let rows = Strided { data: &data, head: 0, row: 16 };
    let short = Strided { data: &data[..60], head: 0, row: 16 };
    let _ = attend(
        rows,
        short,
        rows,
        Shape { heads: 1, kv_heads: 1, rows: 4, keys: 4, dim: 16 },
        1.0,
        Mask::Causal { first: 0 },
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_shape_agrees_with_the_reference(
        kv_heads in 1usize..4, group in 1usize..4, rows in 1usize..160, first in 0usize..160, extra in 0usize..3,
        dim in 1usize..90, gap in 0usize..3, interleaved: bool, seed in 0u64..1000,
    ) {
        let shape = Shape { heads: kv_heads * group, kv_heads, rows, keys: first + rows + extra, dim };
        compare(shape, Mask::Causal { first }, 2.0, gap, interleaved, seed);
    }
}
