//! Clusters of rows that are alike: Lloyd's k-means, from rows that lie evenly apart.
//!
//! Comes in: rows of f32. Goes out: for each row the number of its cluster. Every round gives each row to the centre that is nearest by
//! Euclidean distance (of several the first) and moves each centre to the mean of its rows; a centre without rows stays.
//!
//! Distances of all rows to all centres are one product, `|c|^2 - 2 x . c`, a row's own norm being the same for all of them.

mod cpu;
pub mod reference;
#[cfg(test)]
mod tests;

/// Gives `rows`, `[n, width]`, to `count` clusters (no more than there are rows), in `rounds` rounds, on the calling thread.
///
/// # Panics
/// When there is no round, no column, or no whole number of rows.
#[must_use]
pub fn assign(rows: &[f32], width: usize, count: usize, rounds: usize) -> Vec<usize> {
    check(rows, width, rounds);
    if rows.is_empty() {
        return Vec::new();
    }
    cpu::assign(rows, width, count.clamp(1, rows.len() / width), rounds)
}

fn check(rows: &[f32], width: usize, rounds: usize) {
    assert!(width > 0 && rows.len().is_multiple_of(width), "{} values in rows of {width}", rows.len());
    assert!(rounds > 0, "clusters in no rounds");
}

/// The rows that centres begin at.
fn seeds(rows: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |centre| centre * rows / count)
}
