//! Every level that this processor has, against the reference.

use super::{Rms, reference};
use crate::level::Level;
use proptest::prelude::*;

/// Relative: sums of thousands of squares in sixteen parts, a root, a quotient and two products.
const TOLERANCE: f32 = 2e-6;

fn compare(weight: &[f32], eps: f32, x: &[f32]) {
    let norm = Rms { weight, eps };
    let want = reference::rows(norm, x);
    for level in Level::available() {
        let mut out = vec![f32::NAN; x.len()];
        norm.rows_at(level, x, &mut out);
        for (i, (got, want)) in out.iter().zip(&want).enumerate() {
            let near = (got - want).abs() <= TOLERANCE * want.abs() + f32::MIN_POSITIVE;
            assert!(near, "{level:?}, width {}: element {i} is {got}, should be {want}", weight.len());
        }
    }
}

fn wave(len: usize, size: f32) -> Vec<f32> {
    (0..len).map(|i| ((i * i % 977) as f32 * 0.37).sin() * size).collect()
}

#[test]
fn odd_widths_agree_with_the_reference() {
    for width in [1, 3, 15, 16, 17, 64, 128, 1000, 2048] {
        for rows in [0, 1, 5] {
            compare(&wave(width, 2.0), 1e-6, &wave(width * rows, 3.0));
        }
    }
}

#[test]
fn outliers_and_zeros_agree_with_the_reference() {
    let mut x = wave(256, 1e-3);
    (x[7], x[200]) = (3e4, -2e4);
    compare(&[1.0; 128], 1e-6, &x);
    compare(&[1.0; 128], 1e-6, &[0.0; 256]);
}

#[test]
#[should_panic(expected = "in rows of")]
fn broken_rows_are_refused() {
    Rms { weight: &[1.0; 4], eps: 1e-6 }.rows(&[1.0; 6], &mut [0.0; 6]);
}

proptest! {
    #[test]
    fn any_rows_agree_with_the_reference(x in prop::collection::vec(-30f32..30.0, 1..200), split in 1usize..5) {
        let width = x.len().div_ceil(split);
        let whole = x.len() / width * width;
        compare(&wave(width, 1.0), 1e-5, &x[..whole]);
    }
}
