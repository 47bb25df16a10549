//! Every level that this processor has, against the reference.

use super::{Angles, Heads, reference};
use crate::level::Level;
use crate::norm::Rms;
use proptest::prelude::*;

/// Relative to the largest element: a norm and two products.
const TOLERANCE: f32 = 3e-6;

fn wave(len: usize, step: f32) -> Vec<f32> {
    (0..len).map(|i| ((i * i % 1009) as f32 * step).sin() * 2.0).collect()
}

/// Rows are laid in two parts, between rows that must stay as they are.
fn compare(heads: usize, dim: usize, rows: usize, normed: bool, turned: bool) {
    let (x, weight) = (wave(rows * heads * dim, 0.7), wave(dim, 1.3));
    let (angles, half) = (wave(rows * (dim / 2), 0.9), dim / 2);
    let [cos, sin] = [f32::cos, f32::sin].map(|f| angles.iter().map(|&angle| f(angle)).collect::<Vec<f32>>());
    let norm = normed.then_some(Rms { weight: &weight, eps: 1e-6 });
    let part = |from: usize, until: usize| Heads {
        dim,
        norm,
        angles: turned.then_some(Angles { cos: &cos[from * half..until * half], sin: &sin[from * half..until * half] }),
    };
    let want = reference::lay(part(0, rows), &x, heads);
    let largest = want.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    for level in Level::available() {
        let (all, first, split) = (rows + 3, 2, rows / 3);
        let mut out = vec![7.5; heads * all * dim];
        let (before, after) = x.split_at(split * heads * dim);
        part(0, split).lay_at(level, before, heads, &mut out, first);
        part(split, rows).lay_at(level, after, heads, &mut out, first + split);
        for (head, out) in out.chunks(all * dim).enumerate() {
            let (above, rest) = out.split_at(first * dim);
            let (got, below) = rest.split_at(rows * dim);
            assert!(above.iter().chain(below).all(|&x| x == 7.5), "{level:?}: rows around those laid were written");
            for (i, (got, want)) in got.iter().zip(&want[head * rows * dim..]).enumerate() {
                let near = (got - want).abs() <= TOLERANCE * largest;
                assert!(near, "{level:?}, head {head} of {heads} x {dim}: element {i} is {got}, should be {want}");
            }
        }
    }
}

#[test]
fn odd_sizes_agree_with_the_reference() {
    for (heads, dim, rows) in [(1, 2, 1), (3, 16, 7), (2, 128, 300), (8, 34, 129), (1, 64, 0)] {
        for (normed, turned) in [(false, false), (false, true), (true, false), (true, true)] {
            compare(heads, dim, rows, normed, turned);
        }
    }
}

#[test]
#[should_panic(expected = "angles for other than")]
fn angles_of_other_rows_are_refused() {
    let angles = Some(Angles { cos: &[1.0; 3], sin: &[0.0; 3] });
    Heads { dim: 4, norm: None, angles }.lay(&[0.0; 8], 1, &mut [0.0; 8], 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_size_agrees_with_the_reference(heads in 1usize..6, half in 1usize..40, rows in 0usize..150, normed: bool, turned: bool) {
        compare(heads, half * 2, rows, normed, turned);
    }
}
