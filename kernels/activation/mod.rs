//! Activation functions, alone or multiplied by a gate's other half: `y = f(x)` and `y = f(x) * up`.
//!
//! With the logistic function `s`, three of the four are `x s(c(x))`: SiLU with `c = x`, GELU's tanh form with
//! `c = 2 sqrt(2 / pi) (x + 0.044715 x^3)`, quick GELU with `c = 1.702 x`. Exact GELU uses Abramowitz and Stegun's
//! 7.1.26 for the error function (absolute error 1.5e-7, the spacing of f32 near 1).
//!
//! The ladder: the standard library's `tanh`, `exp` and `erf`, one element at a time, on one thread; here, branchless
//! polynomials that vectorise, on all threads.

mod cpu;
pub mod reference;
#[cfg(test)]
mod tests;

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// `x s(x)`
    Silu,
    /// `x Phi(x)`
    Gelu,
    /// Its tanh form
    GeluTanh,
    /// `x s(1.702 x)`
    QuickGelu,
}

/// Replaces every `x` by `f(x)`, multiplied by the element of `up` beside it if there is one.
///
/// # Panics
/// When `up` has another length than `x`.
pub fn apply(function: Function, x: &mut [f32], up: Option<&[f32]>) {
    assert!(up.is_none_or(|up| up.len() == x.len()), "the halves of a gate differ in length");
    cpu::apply(function, x, up);
}
