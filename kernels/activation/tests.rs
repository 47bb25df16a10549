//! Every function against the reference.

use super::{Function, apply, reference};
use proptest::prelude::*;

/// Relative to `1 + |f(x)|`: the error function's 1.5e-7 and a few roundings.
const TOLERANCE: f64 = 6e-7;

const ALL: [Function; 4] = [Function::Silu, Function::Gelu, Function::GeluTanh, Function::QuickGelu];

fn compare(values: &[f32]) {
    for function in ALL {
        let (mut alone, mut gated) = (values.to_vec(), values.to_vec());
        let up: Vec<f32> = values.iter().rev().map(|value| value.clamp(-2.0, 2.0)).collect();
        apply(function, &mut alone, None);
        apply(function, &mut gated, Some(&up));
        for (i, &x) in values.iter().enumerate() {
            let expected = reference::value(function, x);
            let near =
                |got: f32, expected: f64| (f64::from(got) - expected).abs() <= TOLERANCE * (1.0 + expected.abs());
            assert!(near(alone[i], expected), "{function:?}({x}) is {}, should be {expected}", alone[i]);
            let expected = expected * f64::from(up[i]);
            assert!(near(gated[i], expected), "{function:?}({x}) * {} is {}, should be {expected}", up[i], gated[i]);
        }
    }
}

#[test]
fn the_whole_range_agrees_with_the_reference() {
    let values: Vec<f32> = (-120_000..=120_000).map(|step| step as f32 * 1e-4).collect();
    compare(&values);
    compare(&[0.0, -0.0, 1e-30, -1e-30, 88.0, -88.0, 200.0, -200.0, 1e4, -1e4]);
}

#[test]
fn nothing_in_gives_nothing_out() {
    compare(&[]);
}

#[test]
#[should_panic(expected = "differ in length")]
fn halves_of_different_length_are_refused() {
    apply(Function::Silu, &mut [1.0, 2.0], Some(&[1.0]));
}

proptest! {
    #[test]
    fn any_length_agrees_with_the_reference(values in prop::collection::vec(-30f32..30.0, 0..200)) {
        compare(&values);
    }
}
