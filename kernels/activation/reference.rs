//! The formulas, in f64.

use super::Function;
use std::f64::consts::{FRAC_2_SQRT_PI, PI};

/// See [`Function`].
#[must_use]
pub fn value(function: Function, x: f32) -> f64 {
    let x = f64::from(x);
    let logistic = |c: f64| 1.0 / (1.0 + (-c).exp());
    match function {
        Function::Silu => x * logistic(x),
        Function::QuickGelu => x * logistic(1.702 * x),
        Function::GeluTanh => 0.5 * x * (1.0 + ((2.0 / PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh()),
        Function::Gelu => 0.5 * x * (1.0 + erf(x / 2f64.sqrt())),
    }
}

/// By its series near 0 and its continued fraction further out.
fn erf(x: f64) -> f64 {
    let size = x.abs();
    let value = if size < 3.0 {
        let (mut term, mut sum) = (size, size);
        for n in 1..200 {
            let n = f64::from(n);
            term *= -size * size / n;
            sum += term / (2.0 * n + 1.0);
        }
        FRAC_2_SQRT_PI * sum
    } else {
        let fraction = (1..60).rev().fold(size, |below, n| size + f64::from(n) / 2.0 / below);
        1.0 - (-size * size).exp() / (PI.sqrt() * fraction)
    };
    value.copysign(x)
}
