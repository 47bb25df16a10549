//! The formula, in f64.

use super::Groups;

/// The sums of the groups of rows of `x`, `[groups, columns]`.
///
/// # Panics
/// When `x` has not the rows that the groups name.
#[must_use]
pub fn gather(x: &[f32], columns: usize, groups: &Groups) -> Vec<f32> {
    let sum = |group: usize, column: usize| -> f64 {
        groups.group(group).map(|(row, weight)| f64::from(weight) * f64::from(x[row * columns + column])).sum()
    };
    (0..groups.len())
        .flat_map(|group| (0..columns).map(move |column| (group, column)))
        .map(|(g, c)| sum(g, c) as f32)
        .collect()
}
